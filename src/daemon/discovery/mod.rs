//! Discovery at work: looks at the sources, gathers what they find, and makes plans of it.
//!
//! Plans are made on a thread that may block, since thousands of targets take a while. What was found is kept in the state
//! directory, so that a start at which a source is down watches what was watched before.

mod gather;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::config::{Finder, Loaded, Planned};
use crate::discover::{Watching, watch};
use crate::export::process::ProcessFigures;
use crate::model::discovery::{DiscoveryView, News, Origin, Remark, Source, SourceView, Target, Update};
use crate::model::plan::Plan;
use crate::net::sanitize::foreign_text;
use crate::net::wall;
use crate::store::found::{self as kept, Kept};

use gather::{Gathering, Said};

/// News that may wait.
const QUEUE: usize = 64;
/// How long the first plan waits for the sources' first news, so that what was restored is not thrown away.
const FIRST_NEWS: Duration = Duration::from_secs(5);
/// Names in one line of the log.
const NAMES: usize = 5;
/// Lines about what cannot be watched, for one plan; the rest is counted.
const LINES: usize = 20;
/// Characters of one of these lines, which quote what others wrote.
const LONGEST: usize = 4_000;

/// All sources and what they found.
pub struct Discovery {
    gathering: Gathering,
    watching: HashMap<Arc<str>, Watching>,
    updates: mpsc::Receiver<Update>,
    /// Where the sources tell.
    tell: mpsc::Sender<Update>,
    /// `None` only while a plan is being made.
    finder: Option<Finder>,
    /// What the configuration itself says.
    base: Plan,
    /// What is in force.
    origins: Arc<HashMap<Arc<str>, Origin>>,
    /// `None` where it is not known, so that the next plan is put in force whatever it says.
    in_force: Option<Plan>,
    said: BTreeSet<Remark>,
    process: Option<Arc<ProcessFigures>>,
    directory: Option<PathBuf>,
    /// What is on disk.
    written: Kept,
}

/// Sources to be looked at anew, with what they found before.
type Anew = Vec<(Source, Arc<[Target]>)>;

/// Another configuration, and what comes of it.
pub struct Prepared {
    base: Plan,
    gathering: Gathering,
    anew: Anew,
    finder: Finder,
    planned: Planned,
}

impl Prepared {
    pub fn plan(&self) -> Plan {
        self.planned.plan.clone()
    }
}

impl Discovery {
    /// Begins to look. Must be called within a tokio runtime.
    pub fn start(loaded: Loaded, directory: Option<PathBuf>) -> Self {
        let (tell, updates) = mpsc::channel(QUEUE);
        let written = match directory.as_deref().map(kept::read) {
            Some(Ok(kept)) => kept,
            Some(Err(why)) => {
                warn!("what discovery found before is not known: {why}");
                Kept::new()
            }
            None => Kept::new(),
        };
        let mut discovery = Discovery {
            gathering: Gathering::default(),
            watching: HashMap::new(),
            updates,
            tell,
            finder: Some(loaded.finder),
            base: loaded.plan,
            origins: Arc::default(),
            in_force: None,
            said: BTreeSet::new(),
            process: None,
            directory,
            written,
        };
        let (gathering, anew) = discovery.gathered_for(&discovery.base.discovery);
        discovery.gathering = gathering;
        discovery.look(anew);
        discovery
    }

    /// What was found, for these sources, and those that must be looked at anew. Nothing is another than before.
    fn gathered_for(&self, sources: &[Source]) -> (Gathering, Anew) {
        let kept = |source: &Source| {
            let (identity, targets) = self.written.get(&*source.name)?;
            (*identity == source.kind.identity()).then(|| Arc::clone(targets))
        };
        let mut gathering = self.gathering.clone();
        let anew = gathering.configure(sources, kept);
        (gathering, anew)
    }

    /// Looks at the sources of the base, and anew only at these.
    fn look(&mut self, anew: Anew) {
        let sources = Arc::clone(&self.base.discovery);
        self.watching
            .retain(|name, _| sources.iter().any(|source| source.name == *name));
        for (source, before) in anew {
            // The old one ends before the new one begins, and what it may still say is taken for the new one's: it is what was
            // found a moment ago.
            self.watching.remove(&source.name);
            let watching = watch(&source, before, self.tell.clone());
            self.watching.insert(source.name, watching);
        }
    }

    /// The plan to begin with: waits for the first news of every source, within limits.
    pub async fn first_plan(&mut self) -> Plan {
        let limit = tokio::time::Instant::now() + FIRST_NEWS;
        while !self.gathering.all_heard() {
            match tokio::time::timeout_at(limit, self.updates.recv()).await {
                Ok(Some(update)) => self.take(update),
                _ => break,
            }
        }
        // What waits besides belongs to it too.
        while let Ok(update) = self.updates.try_recv() {
            self.take(update);
        }
        for (source, count) in self.gathering.left_by_another_run() {
            warn!("discovery {source}: nothing was found yet: {count} targets of the last run are watched");
        }
        match self.make().await {
            Some(plan) => plan,
            None => self.base.clone(),
        }
    }

    /// Waits until it is time to make a plan. It may be dropped at any time.
    pub async fn changed(&mut self) {
        loop {
            if self.gathering.is_due(Instant::now()) {
                return;
            }
            let deadline = self.gathering.deadline().map(tokio::time::Instant::from_std);
            let update = match deadline {
                None => self.updates.recv().await,
                Some(deadline) => match tokio::time::timeout_at(deadline, self.updates.recv()).await {
                    Ok(update) => update,
                    Err(_) => continue,
                },
            };
            if let Some(update) = update {
                self.take(update);
                self.show();
            }
        }
    }

    fn take(&mut self, mut update: Update) {
        if let News::Failed(why) | News::Partly(_, why) = &mut update.news {
            *why = foreign_text(why.as_bytes(), LONGEST);
        }
        let source = Arc::clone(&update.source);
        match self.gathering.take(update, (Instant::now(), wall::now())) {
            Said::Nothing => {}
            Said::Fails(why) => warn!("discovery {source}: {why}; what it found before stays"),
            Said::Recovered => info!("discovery {source}: it can be looked at again"),
        }
    }

    /// The last plan could not be put in force: what is found next is put in force whatever it says.
    pub fn not_in_force(&mut self) {
        self.in_force = None;
    }

    /// Another configuration with what is found. Until it is adopted nothing is another than before, since it may be refused.
    ///
    /// # Errors
    /// A bug.
    pub async fn prepare(&self, loaded: Loaded) -> Result<Prepared, String> {
        let Loaded {
            plan: base,
            mut finder,
            ..
        } = loaded;
        let (mut gathering, anew) = self.gathered_for(&base.discovery);
        let found = gathering.found();
        let made = tokio::task::spawn_blocking(move || {
            let planned = finder.plan(&base, &found);
            (base, finder, planned)
        });
        let (base, finder, planned) = made
            .await
            .map_err(|panicked| format!("making a plan of what was found failed by a bug: {panicked}"))?;
        Ok(Prepared {
            base,
            gathering,
            anew,
            finder,
            planned,
        })
    }

    /// That configuration is in force.
    pub async fn adopt(&mut self, prepared: Prepared) {
        self.base = prepared.base;
        self.finder = Some(prepared.finder);
        self.gathering = prepared.gathering;
        self.look(prepared.anew);
        if let (Some(directory), Some(kept)) = (self.directory.clone(), self.to_keep()) {
            let written = tokio::task::spawn_blocking(move || keep(&directory, &kept).map(|()| kept)).await;
            match written {
                Ok(Ok(kept)) => self.written = kept,
                Ok(Err(why)) => warn!("what discovery found cannot be kept: {why}"),
                Err(panicked) => error!("keeping what was found failed by a bug: {panicked}"),
            }
        }
        self.put(prepared.planned);
    }

    /// The plan of what is found now, if it is another than the one in force.
    pub async fn plan(&mut self) -> Option<Plan> {
        let before = self.in_force.clone();
        let plan = self.make().await?;
        (before.as_ref() != Some(&plan)).then_some(plan)
    }

    /// Makes a plan, says what is new of it, shows it and keeps what it was made of.
    async fn make(&mut self) -> Option<Plan> {
        // Before anything else: what has been looked at is not due any more, whatever comes of it.
        let found = self.gathering.found();
        let mut finder = self.finder.take()?;
        let base = self.base.clone();
        let to_keep = self.to_keep();
        let directory = self.directory.clone().filter(|_| to_keep.is_some());
        let made = tokio::task::spawn_blocking(move || {
            let planned = finder.plan(&base, &found);
            let kept = directory
                .zip(to_keep)
                .map(|(directory, kept)| (keep(&directory, &kept), kept));
            (finder, planned, kept)
        });
        let (finder, planned, kept) = match made.await {
            Ok(made) => made,
            Err(panicked) => {
                // Without it nothing can be made of what is found any more, and what is in force goes on.
                error!("making a plan of what was found failed by a bug: {panicked}");
                return None;
            }
        };
        self.finder = Some(finder);
        match kept {
            Some((Ok(()), kept)) => self.written = kept,
            Some((Err(why), _)) => warn!("what discovery found cannot be kept: {why}"),
            None => {}
        }
        Some(self.put(planned))
    }

    /// What is not on disk as it is now; `None` where it is.
    fn to_keep(&self) -> Option<Kept> {
        // Before the state directory is opened it is not ours to write to.
        self.process.as_ref()?;
        let now: Kept = self
            .gathering
            .to_keep()
            .map(|(source, found)| {
                (
                    source.name.to_string(),
                    (source.kind.identity(), Arc::clone(found)),
                )
            })
            .collect();
        (now != self.written).then_some(now)
    }

    fn put(&mut self, planned: Planned) -> Plan {
        let origins = Arc::new(planned.origins);
        say_changes(&self.origins, &origins);
        let mut remarks: BTreeSet<Remark> = planned.remarks.into_iter().collect();
        remarks.extend(self.gathering.refused().map(|(source, refused)| Remark {
            source: Arc::clone(source),
            target: "".into(),
            place: Arc::clone(&refused.place),
            why: refused.why.clone(),
            refused: true,
        }));
        say_remarks(remarks.difference(&self.said));
        self.said = remarks;
        self.origins = origins;
        self.in_force = Some(planned.plan.clone());
        self.show();
        planned.plan
    }

    /// From now on how it does can be seen, and what is found is kept.
    pub fn show_in(&mut self, process: Arc<ProcessFigures>) {
        self.process = Some(process);
        self.show();
        if let (Some(directory), Some(kept)) = (self.directory.clone(), self.to_keep()) {
            self.written = kept.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(why) = keep(&directory, &kept) {
                    warn!("what discovery found cannot be kept: {why}");
                }
            });
        }
    }

    fn show(&self) {
        let Some(process) = &self.process else { return };
        let mut sources = self.gathering.views();
        let place =
            |sources: &mut [SourceView], name: &Arc<str>| sources.iter().position(|one| one.name == *name);
        for origin in self.origins.values() {
            if let Some(at) = place(&mut sources, &origin.source) {
                sources[at].watched += 1;
            }
        }
        for remark in self.said.iter().filter(|remark| remark.refused) {
            if let Some(at) = place(&mut sources, &remark.source) {
                sources[at].refused += 1;
            }
        }
        process.discovered(DiscoveryView {
            sources,
            origins: Arc::clone(&self.origins),
            remarks: self.said.iter().cloned().collect(),
        });
    }
}

fn keep(directory: &Path, kept: &Kept) -> Result<(), String> {
    kept::write(directory, kept).map_err(|error| error.to_string())
}

/// What came and what went, by source.
fn say_changes(before: &HashMap<Arc<str>, Origin>, now: &HashMap<Arc<str>, Origin>) {
    let mut sources: BTreeSet<&Arc<str>> = before.values().map(|origin| &origin.source).collect();
    sources.extend(now.values().map(|origin| &origin.source));
    for source in sources {
        let added = names_only_in(now, before, source);
        let removed = names_only_in(before, now, source);
        if added.is_empty() && removed.is_empty() {
            continue;
        }
        let watched = now.values().filter(|origin| origin.source == *source).count();
        let told = [("added", added), ("removed", removed)];
        let told = told.iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told
            .map(|(verb, names)| format!("{verb} {}", few(names)))
            .collect();
        info!("discovery {source}: {}; {watched} watched", told.join(", "));
    }
}

fn names_only_in<'n>(
    these: &'n HashMap<Arc<str>, Origin>,
    those: &HashMap<Arc<str>, Origin>,
    source: &str,
) -> Vec<&'n str> {
    let of_source = these.iter().filter(|(_, origin)| *origin.source == *source);
    let mut names: Vec<&str> = of_source
        .filter(|(name, _)| those.get(*name).is_none_or(|origin| *origin.source != *source))
        .map(|(name, _)| &**name)
        .collect();
    names.sort_unstable();
    names
}

/// `3 (a, b, c)`, or some of many.
fn few(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMES { ", …" } else { "" };
    format!("{} ({shown}{more})", names.len())
}

fn say_remarks<'r>(remarks: impl Iterator<Item = &'r Remark>) {
    let mut count = 0;
    for remark in remarks {
        count += 1;
        if count > LINES {
            continue;
        }
        let about: Vec<&str> = [&*remark.place, &*remark.target]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let about = if about.is_empty() {
            String::new()
        } else {
            format!("{}: ", about.join(" "))
        };
        let verb = if remark.refused { "not watched: " } else { "" };
        let said = format!("{about}{verb}{}", remark.why);
        warn!(
            "discovery {}: {}",
            remark.source,
            foreign_text(said.as_bytes(), LONGEST)
        );
    }
    if count > LINES {
        warn!("discovery: and {} more; /api/v1/discovery has all", count - LINES);
    }
}
