//! A plan of what the configuration names and of what was found.

mod circles;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::environment::Environment;
use super::lower::discovery::{Entry, Made, Maker};
use super::lower::{self, Lowering, RawPlan};
use super::mask;
use super::raise::{self, discovery::Section};
use super::raw::{RawConfig, RawDefaults};
use super::report::Place;
use crate::model::dependency::Dependency;
use crate::model::discovery::{Origin, Remark, Target};
use crate::model::plan::Plan;

/// The variables that dependencies ask the environment for: what curl and most others read of proxies.
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// What each source found, by the source's name.
pub type Found = BTreeMap<Arc<str>, FoundHere>;

/// What one source found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundHere {
    /// Sorted by `id`.
    pub targets: Arc<[Target]>,
    /// What it does not find any more and is to be watched for a while. It takes nobody's name, and nothing is said of it.
    pub lingering: Vec<Target>,
}

impl From<Arc<[Target]>> for FoundHere {
    fn from(targets: Arc<[Target]>) -> Self {
        FoundHere {
            targets,
            lingering: Vec::new(),
        }
    }
}

impl FoundHere {
    fn all(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(&self.lingering)
    }
}

/// Knows how what is found becomes dependencies, and remembers what became of it: making a plan again costs little where
/// little has changed.
#[derive(Clone, Debug)]
pub struct Finder {
    raw: Arc<RawPlan>,
    /// What the configuration itself names, before thresholds of alerts, each with its place in `raw`.
    file: Arc<[(Dependency, usize)]>,
    entries: Arc<[Entry]>,
    env: BTreeMap<String, String>,
    expanded: BTreeSet<Place>,
    /// What became of each target, for each entry.
    known: Vec<HashMap<Arc<str>, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    target: Target,
    made: Result<Arc<Made>, String>,
}

/// A plan, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub plan: Plan,
    /// Where each dependency that was found comes from, by its name.
    pub origins: HashMap<Arc<str>, Origin>,
    /// What could not be taken as it was found; sorted.
    pub remarks: Vec<Remark>,
}

/// One that was taken.
struct Taken<'f> {
    made: Arc<Made>,
    entry: &'f Entry,
    target: &'f Target,
    /// Without what would close a circle.
    depends_on: Arc<[Arc<str>]>,
}

impl Finder {
    pub(super) fn new(
        raw: RawPlan,
        lowered: (Vec<(Dependency, usize)>, Vec<Entry>),
        env: &dyn Environment,
        expanded: BTreeSet<Place>,
    ) -> Finder {
        let (file, entries) = lowered;
        let known = entries.iter().map(|_| HashMap::new()).collect();
        let env = VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), env.var(name)?)));
        Finder {
            raw: Arc::new(raw),
            file: file.into(),
            entries: entries.into(),
            env: env.collect(),
            expanded,
            known,
        }
    }

    /// Whether anything can be found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds to a raised plan how what is found becomes dependencies.
    pub(super) fn raise(&self, raised: &mut RawConfig) {
        let directory = |place: &Place| self.raw.directories.get(place.file).cloned().unwrap_or_default();
        for (raw, entry) in raised.discovery.iter_mut().flatten().zip(self.entries.iter()) {
            let own = directory(&entry.place);
            let own = Section {
                place: &entry.place,
                directory: &own,
                expanded: &self.expanded,
            };
            let shared = self.raw.defaults.as_ref();
            let shared_directory = shared.map(|(_, place)| directory(place)).unwrap_or_default();
            let shared = shared.map(|(defaults, place)| {
                let from = Section {
                    place,
                    directory: &shared_directory,
                    expanded: &self.expanded,
                };
                (defaults, from)
            });
            raise::discovery::entry(raw, entry, &own, shared);
        }
    }

    /// The plan of the configuration and of what was found. `base` is the configuration's own, from which everything but the
    /// dependencies is taken.
    pub fn plan(&mut self, base: &Plan, found: &Found) -> Planned {
        if self.is_empty() {
            // What the file names is not kept apart then: the base has it.
            return Planned {
                plan: base.clone(),
                origins: HashMap::new(),
                remarks: Vec::new(),
            };
        }
        let entries = Arc::clone(&self.entries);
        let mut remarks = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            self.make(i, entry, found.get(&entry.source));
            self.say_renamed(i, entry, &mut remarks);
        }
        let mut taken = self.take(&entries, found, &mut remarks);
        self.cut_circles(&mut taken, &mut remarks);
        let origins = taken.iter().map(|one| {
            let origin = Origin {
                source: Arc::clone(&one.entry.source),
                place: Arc::clone(&one.target.place),
            };
            (Arc::clone(&one.made.dependency.name), origin)
        });
        let mut origins: HashMap<Arc<str>, Origin> = origins.collect();
        let dependencies = self.with_thresholds(&taken);
        remarks.sort();
        remarks.dedup();
        let mut plan = Plan {
            dependencies,
            ..base.clone()
        };
        if !self.raw.overrides.whole {
            lower::scale_out::keep_own(&mut plan);
            if plan.scale_out.is_some() {
                let own: HashSet<&Arc<str>> = plan.dependencies.iter().map(|one| &one.name).collect();
                origins.retain(|name, _| own.contains(name));
            }
        }
        Planned {
            plan,
            origins,
            remarks,
        }
    }

    /// Makes what is new of an entry's targets, and forgets what is gone.
    fn make(&mut self, i: usize, entry: &Entry, found: Option<&FoundHere>) {
        let nothing = (RawDefaults::default(), Place::root(0).key("defaults"));
        let (defaults, place) = self.raw.defaults.as_ref().unwrap_or(&nothing);
        let maker = Maker::new(entry, (defaults, place), &self.raw.directories, &self.env);
        let mut before = std::mem::take(&mut self.known[i]);
        let expanded = &mut self.expanded;
        self.known[i] = found
            .into_iter()
            .flat_map(FoundHere::all)
            .map(|target| {
                let known = before.remove(&target.id).filter(|known| known.target == *target);
                let known = known.unwrap_or_else(|| Known {
                    target: target.clone(),
                    made: maker.make(target, expanded).map(Arc::new),
                });
                (Arc::clone(&target.id), known)
            })
            .collect();
    }

    /// Labels that are called otherwise are said once for a source and not for each target.
    fn say_renamed(&self, i: usize, entry: &Entry, remarks: &mut Vec<Remark>) {
        let mut said: BTreeSet<(&str, &str)> = BTreeSet::new();
        for known in self.known[i].values() {
            for (name, renamed) in known.made.iter().flat_map(|made| &made.renamed) {
                said.insert((name, renamed));
            }
        }
        remarks.extend(said.into_iter().map(|(name, renamed)| {
            Remark {
                source: Arc::clone(&entry.source),
                target: "".into(),
                place: "".into(),
                why: format!(
                    "the label `{}` has another meaning or no fit name: here it is `{renamed}`",
                    name.escape_debug()
                )
                .into(),
                refused: false,
            }
        }));
    }

    /// Those whose names are free: the configuration's own win, then those of the first entry, then the smaller id, and last
    /// what is not found any more.
    fn take<'f>(&self, entries: &'f [Entry], found: &'f Found, remarks: &mut Vec<Remark>) -> Vec<Taken<'f>> {
        let own = self.file.iter().map(|(dependency, _)| &dependency.name);
        let mut names: HashMap<Arc<str>, Option<&Target>> =
            own.map(|name| (Arc::clone(name), None)).collect();
        let mut taken = Vec::new();
        let here = |entry: &Entry| found.get(&entry.source);
        let found = entries.iter().enumerate().flat_map(|(i, entry)| {
            let targets = here(entry).map_or(&[][..], |here| &here.targets);
            targets.iter().map(move |target| (i, entry, target, false))
        });
        let lingering = entries.iter().enumerate().flat_map(|(i, entry)| {
            let targets = here(entry).map_or(&[][..], |here| &here.lingering);
            targets.iter().map(move |target| (i, entry, target, true))
        });
        for (i, entry, target, lingers) in found.chain(lingering) {
            let Some(known) = self.known[i].get(&target.id) else {
                continue;
            };
            let refused = match &known.made {
                Err(why) => Err(why.clone()),
                Ok(made) => match names.get(&made.dependency.name) {
                    None => Ok(made),
                    Some(first) => Err(name_is_taken(&made.dependency.name, *first)),
                },
            };
            match refused {
                Ok(made) => {
                    names.insert(Arc::clone(&made.dependency.name), Some(target));
                    taken.push(Taken {
                        depends_on: Arc::clone(&made.dependency.depends_on),
                        made: Arc::clone(made),
                        entry,
                        target,
                    });
                }
                Err(_) if lingers => {}
                Err(why) => remarks.push(refusal(entry, target, why)),
            }
        }
        taken
    }

    /// The configuration's own dependencies need each other in no circle. What is found could close one, and then does not
    /// need what would.
    fn cut_circles(&self, taken: &mut [Taken<'_>], remarks: &mut Vec<Remark>) {
        let own = self.file.iter().map(|(one, _)| (&one.name, &one.depends_on));
        let found = taken
            .iter()
            .map(|one| (&one.made.dependency.name, &one.depends_on));
        let all: Vec<_> = own.chain(found).collect();
        let places: HashMap<&Arc<str>, usize> = all.iter().map(|(name, _)| *name).zip(0..).collect();
        let place = |name| places.get(name).copied();
        let needs = all.iter().map(|(_, needs)| needs.iter().map(place).collect());
        let passed_over = circles::to_pass_over(&needs.collect(), self.file.len());
        if passed_over.is_empty() {
            return;
        }
        for (one, place) in taken.iter_mut().zip(self.file.len()..) {
            let (mut kept, mut passed) = (Vec::new(), Vec::new());
            for (i, needed) in one.depends_on.iter().enumerate() {
                let to = if passed_over.contains(&(place, i)) {
                    &mut passed
                } else {
                    &mut kept
                };
                to.push(Arc::clone(needed));
            }
            let why = match passed.as_slice() {
                [] => continue,
                [needed] => format!("`{needed}` needs it too: that it needs `{needed}` is passed over"),
                [first, more @ ..] => format!(
                    "`{first}` and {} more need it too: that it needs them is passed over",
                    more.len()
                ),
            };
            remarks.push(Remark {
                refused: false,
                ..refusal(one.entry, one.target, why)
            });
            one.depends_on = kept.into();
        }
    }

    /// All dependencies with the thresholds of their alerts, sorted by name.
    fn with_thresholds(&self, taken: &[Taken<'_>]) -> Vec<Arc<Dependency>> {
        let own = self.file.iter().filter_map(|(dependency, i)| {
            let (raw, place) = self.raw.dependencies.get(*i)?;
            Some((dependency.clone(), raw, place))
        });
        let found = taken.iter().map(|one| {
            let dependency = Dependency {
                depends_on: Arc::clone(&one.depends_on),
                ..one.made.dependency.clone()
            };
            (dependency, &one.made.raw, &one.entry.place)
        });
        let mut all: Vec<Lowering<'_>> = own.chain(found).collect();
        lower::thresholds(&self.raw, &self.env, &mut all);
        let all = all.into_iter().map(|(dependency, ..)| Arc::new(dependency));
        let mut all: Vec<Arc<Dependency>> = all.collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

fn name_is_taken(name: &str, by: Option<&Target>) -> String {
    match by {
        None => format!("the configuration has a dependency `{name}`, which is watched instead"),
        Some(first) => format!("the name `{name}` is taken by {}", first.place),
    }
}

fn refusal(entry: &Entry, target: &Target, why: String) -> Remark {
    Remark {
        source: Arc::clone(&entry.source),
        target: mask::target(&target.address).into(),
        place: Arc::clone(&target.place),
        why: why.into(),
        refused: true,
    }
}

#[cfg(test)]
mod tests;
