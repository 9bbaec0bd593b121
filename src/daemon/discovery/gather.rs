//! What each source found last, what goes on being watched although it is not found any more, and when it is time to make a
//! plan of it. Time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Found, FoundHere};
use crate::model::discovery::{News, Refused, Source, SourceView, Target, Update};
use crate::model::time::Wall;

/// A plan waits until nothing has changed for so long, so that what comes in a bunch is one plan.
const QUIET: Duration = Duration::from_millis(500);
/// Who changes without end is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be said of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    /// It could look before, or could not for another reason.
    Fails(Box<str>),
    /// It can look again.
    Recovered,
}

#[derive(Clone, Debug, Default)]
pub struct Gathering {
    /// In the order of the configuration.
    sources: Vec<Held>,
    /// When what is not in a plan yet changed first and last.
    changed: Option<(Instant, Instant)>,
}

#[derive(Clone, Debug)]
struct Held {
    source: Source,
    found: Arc<[Target]>,
    /// What is not found any more, by id, and until when it is watched nevertheless.
    lingering: BTreeMap<Arc<str>, (Target, Instant)>,
    refused: Arc<[Refused]>,
    /// Whether it told anything since it is looked at.
    heard: bool,
    /// Whether it found anything in this run of the program: until then `found` is what another run left.
    own: bool,
    /// Since when it cannot look, and why it could not the last time.
    failing: Option<(Wall, Box<str>)>,
    failures: u64,
    last_success: Option<Wall>,
    last_failure: Option<(Wall, Box<str>)>,
}

impl Held {
    fn new(source: &Source, kept: Arc<[Target]>) -> Held {
        Held {
            source: source.clone(),
            found: kept,
            lingering: BTreeMap::new(),
            refused: Arc::from([]),
            heard: false,
            own: false,
            failing: None,
            failures: 0,
            last_success: None,
            last_failure: None,
        }
    }

    /// Whether anything is another than it was.
    fn take(&mut self, targets: Arc<[Target]>, now: Instant) -> bool {
        if self.found == targets && self.own {
            return false;
        }
        let is_there = |id: &Arc<str>| targets.binary_search_by(|one| one.id.cmp(id)).is_ok();
        // What another run left and is not there now did not vanish a moment ago.
        if self.own && self.source.linger > Duration::ZERO {
            let until = now + self.source.linger;
            let vanished = self.found.iter().filter(|one| !is_there(&one.id));
            for one in vanished {
                self.lingering.insert(Arc::clone(&one.id), (one.clone(), until));
            }
        }
        self.lingering.retain(|id, _| !is_there(id));
        self.own = true;
        self.found = targets;
        true
    }

    /// It cannot look, or not at everything. Other reasons do not begin the failure anew.
    fn fails(&mut self, why: Box<str>, wall: Wall) -> Said {
        self.heard = true;
        self.failures += 1;
        self.last_failure = Some((wall, why.clone()));
        let since = self.failing.as_ref().map_or(wall, |(since, _)| *since);
        match self.failing.replace((since, why.clone())) {
            Some((_, before)) if before == why => Said::Nothing,
            _ => Said::Fails(why),
        }
    }

    fn end_lingering(&mut self, now: Instant) -> bool {
        let before = self.lingering.len();
        self.lingering.retain(|_, (_, until)| *until > now);
        self.lingering.len() < before
    }
}

impl Gathering {
    /// Other sources; what was found stays with those that keep their name. `kept` is what another run left of a source.
    /// Returns those that must be looked at anew, with what they found before.
    pub fn configure(
        &mut self,
        sources: &[Source],
        mut kept: impl FnMut(&Source) -> Option<Arc<[Target]>>,
    ) -> Vec<(Source, Arc<[Target]>)> {
        let mut before = std::mem::take(&mut self.sources);
        let mut anew = Vec::new();
        for source in sources {
            let known = before.iter().position(|held| held.source.name == source.name);
            let held = match known.map(|at| before.swap_remove(at)) {
                Some(held) if held.source.kind == source.kind => Held {
                    source: source.clone(),
                    ..held
                },
                Some(held) => {
                    anew.push((source.clone(), Arc::clone(&held.found)));
                    Held {
                        source: source.clone(),
                        heard: false,
                        failing: None,
                        refused: Arc::from([]),
                        ..held
                    }
                }
                None => {
                    let before = kept(source).unwrap_or_default();
                    anew.push((source.clone(), Arc::clone(&before)));
                    Held::new(source, before)
                }
            };
            self.sources.push(held);
        }
        anew
    }

    /// Whether every source has told something.
    pub fn all_heard(&self) -> bool {
        self.sources.iter().all(|held| held.heard)
    }

    /// The sources that were not heard of yet, or cannot look, and of which another run left something.
    pub fn left_by_another_run(&self) -> impl Iterator<Item = (&str, usize)> {
        let held = self
            .sources
            .iter()
            .filter(|held| !held.own && !held.found.is_empty());
        held.map(|held| (&*held.source.name, held.found.len()))
    }

    pub fn take(&mut self, update: Update, (now, wall): (Instant, Wall)) -> Said {
        let Some(held) = self
            .sources
            .iter_mut()
            .find(|held| held.source.name == update.source)
        else {
            // Of a source that a reload has taken away.
            return Said::Nothing;
        };
        let mut changed = false;
        let said = match update.news {
            News::Found(targets) => {
                held.heard = true;
                held.last_success = Some(wall);
                changed = held.take(targets, now);
                match held.failing.take() {
                    Some(_) => Said::Recovered,
                    None => Said::Nothing,
                }
            }
            News::Failed(why) => held.fails(why, wall),
            News::Partly(targets, why) => {
                held.last_success = Some(wall);
                changed = held.take(targets, now);
                held.fails(why, wall)
            }
            News::Refused(refused) => {
                changed = held.refused != refused;
                held.refused = refused;
                Said::Nothing
            }
        };
        if changed {
            self.changed(now);
        }
        said
    }

    /// A plan is to be made.
    fn changed(&mut self, now: Instant) {
        let first = self.changed.map_or(now, |(first, _)| first);
        self.changed = Some((first, now));
    }

    /// When there may be something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let plan = self
            .changed
            .map(|(first, last)| (last + QUIET).min(first + PATIENCE));
        let lingering = self.sources.iter().flat_map(|held| held.lingering.values());
        lingering.map(|(_, until)| *until).chain(plan).min()
    }

    /// Whether it is time to make a plan.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let mut ended = false;
        for held in &mut self.sources {
            ended |= held.end_lingering(now);
        }
        if ended {
            self.changed(now);
            // What ends lingers in no bunch: its time is over.
            return true;
        }
        self.changed
            .is_some_and(|(first, last)| now >= (last + QUIET).min(first + PATIENCE))
    }

    /// Everything that is to be watched, for a plan that is made now.
    pub fn found(&mut self) -> Found {
        self.changed = None;
        let here = |held: &Held| FoundHere {
            targets: Arc::clone(&held.found),
            lingering: held
                .lingering
                .values()
                .map(|(target, _)| target.clone())
                .collect(),
        };
        let all = self.sources.iter();
        all.map(|held| (Arc::clone(&held.source.name), here(held)))
            .collect()
    }

    /// What each source found last, for another run.
    pub fn to_keep(&self) -> impl Iterator<Item = (&Source, &Arc<[Target]>)> {
        self.sources.iter().map(|held| (&held.source, &held.found))
    }

    /// What cannot be a target, by source.
    pub fn refused(&self) -> impl Iterator<Item = (&Arc<str>, &Refused)> {
        let all = self.sources.iter();
        all.flat_map(|held| held.refused.iter().map(|one| (&held.source.name, one)))
    }

    /// How each source does; what is known by the plan alone is zero.
    pub fn views(&self) -> Vec<SourceView> {
        let view = |held: &Held| SourceView {
            name: Arc::clone(&held.source.name),
            kind: held.source.kind.id(),
            targets: held.found.len(),
            lingering: held.lingering.len(),
            watched: 0,
            refused: 0,
            kept: !held.own && !held.found.is_empty(),
            last_success: held.last_success,
            last_failure: held.last_failure.clone(),
            failing: held.failing.as_ref().map(|(since, _)| *since),
            failures: held.failures,
        };
        self.sources.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::discovery::{FileSource, SourceKind};

    fn source(name: &str, file: &str) -> Source {
        Source {
            name: name.into(),
            kind: SourceKind::Files(FileSource {
                files: [file.into()].into(),
                refresh: Duration::from_secs(1),
            }),
            linger: Duration::from_secs(30),
        }
    }

    fn target(id: &str, env: &str) -> Target {
        Target {
            address: id.into(),
            id: id.into(),
            labels: [("env".into(), env.into())].into(),
            settings: None,
            place: "".into(),
        }
    }

    fn found(source: &str, ids: &[&str]) -> Update {
        Update {
            source: source.into(),
            news: News::Found(ids.iter().map(|id| target(id, "x")).collect()),
        }
    }

    fn failed(source: &str, why: &str) -> Update {
        Update {
            source: source.into(),
            news: News::Failed(why.into()),
        }
    }

    struct Play {
        begun: Instant,
        gathering: Gathering,
    }

    impl Play {
        fn new() -> Play {
            let mut gathering = Gathering::default();
            let anew = gathering.configure(&[source("s", "a.json"), source("t", "b.json")], |_| None);
            assert_eq!(anew.len(), 2);
            Play {
                begun: Instant::now(),
                gathering,
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.begun + Duration::from_millis(millis)
        }

        fn take(&mut self, millis: u64, update: Update) -> Said {
            let now = (self.at(millis), Wall::from_unix_secs(millis as i64 / 1_000));
            self.gathering.take(update, now)
        }

        /// When a plan is made next, in milliseconds, and what is in it of `s`, lingering ones in brackets.
        fn next(&mut self) -> Option<(u64, String)> {
            loop {
                let at = self.gathering.deadline()?;
                if !self.gathering.is_due(at) {
                    continue;
                }
                let found = self.gathering.found();
                let here = &found["s"];
                let ids = here.targets.iter().map(|one| one.id.to_string());
                let lingering = here.lingering.iter().map(|one| format!("({})", one.id));
                let millis = at.duration_since(self.begun).as_millis() as u64;
                return Some((millis, ids.chain(lingering).collect::<Vec<_>>().join(" ")));
            }
        }
    }

    #[test]
    fn what_comes_in_a_bunch_is_one_plan_that_is_not_put_off_for_ever() {
        let mut play = Play::new();
        play.take(0, found("s", &["a"]));
        play.take(400, found("s", &["a", "b"]));
        assert_eq!(play.next(), Some((900, "a b".into())));
        for i in 0..16 {
            play.take(10_000 + i * 450, found("s", &["a", "b", &format!("c{i}")]));
        }
        assert_eq!(play.next().map(|(at, _)| at), Some(15_000));
    }

    #[test]
    fn what_comes_back_in_time_never_went_and_what_does_not_goes() {
        let mut play = Play::new();
        play.take(0, found("s", &["a", "b"]));
        assert_eq!(play.next(), Some((500, "a b".into())));
        play.take(5_000, found("s", &["a"]));
        assert_eq!(play.next(), Some((5_500, "a (b)".into())));
        play.take(20_000, found("s", &["a", "b"]));
        assert_eq!(play.next(), Some((20_500, "a b".into())));
        play.take(30_000, found("s", &["b"]));
        assert_eq!(play.next(), Some((30_500, "b (a)".into())));
        assert_eq!(play.next(), Some((60_000, "b".into())));
        assert_eq!(play.next(), None);
    }

    #[test]
    fn a_source_that_fails_keeps_what_it_found_and_the_same_again_is_no_change() {
        let mut play = Play::new();
        play.take(0, found("s", &["a"]));
        assert!(play.next().is_some());
        assert_eq!(play.take(2_000, failed("s", "x")), Said::Fails("x".into()));
        assert_eq!(play.take(3_000, failed("s", "x")), Said::Nothing);
        assert_eq!(play.take(4_000, found("s", &["a"])), Said::Recovered);
        assert_eq!(play.next(), None);
        let view = &play.gathering.views()[0];
        assert_eq!((view.targets, view.failures, view.failing), (1, 2, None));
        assert_eq!(view.last_success, Some(Wall::from_unix_secs(4)));
    }

    #[test]
    fn what_can_be_looked_at_in_part_fails_from_the_first_time_on() {
        let mut play = Play::new();
        let partly = |ids: &[&str], why: &str| Update {
            source: "s".into(),
            news: News::Partly(ids.iter().map(|id| target(id, "x")).collect(), why.into()),
        };
        play.take(0, found("s", &["a", "b"]));
        assert_eq!(play.next(), Some((500, "a b".into())));
        assert_eq!(
            play.take(2_000, partly(&["a", "b"], "x")),
            Said::Fails("x".into())
        );
        assert_eq!(play.take(3_000, partly(&["a", "b"], "x")), Said::Nothing);
        // Another trouble is told, and what is found meanwhile is taken.
        assert_eq!(
            play.take(9_000, partly(&["a", "b", "c"], "y")),
            Said::Fails("y".into())
        );
        assert_eq!(play.next(), Some((9_500, "a b c".into())));
        let view = &play.gathering.views()[0];
        assert_eq!(view.failing, Some(Wall::from_unix_secs(2)));
        assert_eq!((view.failures, view.targets), (3, 3));
        assert_eq!(play.take(10_000, found("s", &["a"])), Said::Recovered);
        assert_eq!(play.gathering.views()[0].failing, None);
    }

    #[test]
    fn what_another_run_left_holds_until_the_source_speaks() {
        let mut gathering = Gathering::default();
        let kept: Arc<[Target]> = [target("a", "x"), target("b", "x")].into();
        gathering.configure(&[source("s", "a.json")], |_| Some(Arc::clone(&kept)));
        assert_eq!(gathering.left_by_another_run().collect::<Vec<_>>(), [("s", 2)]);
        let now = (Instant::now(), Wall::default());
        gathering.take(failed("s", "down"), now);
        assert!(gathering.all_heard());
        assert_eq!(gathering.found()["s"].targets.len(), 2);
        gathering.take(found("s", &["a"]), now);
        let found = gathering.found();
        assert_eq!((found["s"].targets.len(), found["s"].lingering.len()), (1, 0));
    }

    #[test]
    fn a_reload_looks_anew_only_at_what_it_changed() {
        let mut play = Play::new();
        play.take(0, found("s", &["a"]));
        play.take(0, found("t", &["b"]));
        let sources = [source("t", "b.json"), source("s", "c.json")];
        let anew = play.gathering.configure(&sources, |_| None);
        assert_eq!(anew.iter().map(|(one, _)| &*one.name).collect::<Vec<_>>(), ["s"]);
        assert_eq!(anew[0].1.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["a"]);
        assert_eq!(play.next(), Some((500, "a".into())));
        // Its new self finds something else: the old lingers.
        play.take(2_000, found("s", &["c"]));
        assert_eq!(play.next(), Some((2_500, "c (a)".into())));
    }
}
