//! Which hosts' idle timeouts are measured, when, and what is made of it.
//!
//! A host is measured when a dependency on it asks for that (`keepalive.discover`) and answers; by that dependency's own
//! request, on connections of their own, a handful at a time. Nothing of this counts as an operation. A result is kept
//! over restarts and believed for a day (`keepalive.remeasure`), or until what is seen elsewhere contradicts it.

mod doubt;
mod finding;
mod search;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::dependency::{Dependency, DependencyIndex, HostKey, IdleSearch};
use crate::model::event::Event;
use crate::model::failure::{Finding, State};
use crate::model::idle::{IdleLimit, IdleMeasurement, IdleRound, IdleStage, IdleUnknown, IdleView};
use crate::model::order::{IdleOrder, IdleRoundId};
use crate::model::page::HostView;
use crate::model::plan::Plan;
use crate::model::record::{Change, PersistSeq, Record, RecordKey};
use crate::model::time::{Moment, Now, Wall};

use super::schedule::Alarm;
use super::table::Table;
use super::{Engine, Output};
use search::{Search, Step};

/// Hosts that are measured at the same time. Each takes a handful of connections for as long as its ladder is.
pub const AT_ONCE: usize = 64;
/// How many that is: those that lie idle, the busy one, and one more to look whether a fresh one works.
pub const CONNECTIONS: usize = search::PARKED + 2;
/// How long until it is looked again whether the dependency answers.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// After a search that found nothing, the next one comes after so long at the earliest.
const GIVEN_UP: Duration = Duration::from_secs(3_600);
/// What was measured so long ago is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(90 * 86_400);

/// The hosts that are measured.
#[derive(Debug, Default)]
pub struct Desk {
    hosts: Table<Host>,
    by_key: HashMap<HostKey, u32>,
    /// What another run measured, of hosts that are not in the plan yet.
    remembered: HashMap<HostKey, IdleMeasurement>,
    /// Hosts whose time has come and that wait for others to be done.
    queue: VecDeque<u32>,
    measuring: usize,
    next_serial: u64,
}

#[derive(Debug)]
struct Host {
    key: HostKey,
    /// By whose request it is measured.
    index: DependencyIndex,
    dependency: Arc<Dependency>,
    settings: Arc<IdleSearch>,
    stage: Stage,
    known: Option<IdleMeasurement>,
    /// Under which number it was handed out to be kept; `None` for what was restored.
    seq: Option<PersistSeq>,
    unknown: Option<(IdleUnknown, Wall)>,
    contradictions: u8,
}

#[derive(Debug)]
enum Stage {
    /// For its time, and for the dependency to answer. The serial tells its alarm from older ones.
    Waiting {
        serial: u64,
    },
    Queued,
    /// For the facts of a round.
    Measuring {
        round: IdleRoundId,
        search: Box<Search>,
        since: Wall,
    },
    /// For the next round's time.
    Pausing {
        serial: u64,
        next: IdleOrder,
        search: Box<Search>,
        since: Wall,
    },
}

impl Desk {
    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    fn host(&self, key: &HostKey) -> Option<&Host> {
        self.hosts.get(*self.by_key.get(key)?)
    }

    /// Adds what is known of the host to its page.
    pub fn complete(&self, view: &mut HostView, durable: impl Fn(PersistSeq) -> bool) {
        let Some(host) = self.host(&view.key) else {
            return;
        };
        if let Some(IdleLimit::Ends { how, low, high }) = host.known.map(|known| known.limit) {
            let shown = if low.is_zero() { high } else { low };
            view.idle_timeout = Some((how.kind(), shown));
        }
        view.idle = Some(IdleView {
            stage: host.stage(),
            known: host.known,
            kept: host.known.is_some() && host.seq.is_none_or(durable),
            unknown: host.unknown.clone(),
        });
    }

    /// What is worth knowing about the dependency on that host, and was measured.
    pub fn finding(&self, key: &HostKey) -> Option<Finding> {
        finding::of(key, self.host(key)?.known.as_ref()?)
    }

    /// Takes a host off the desk; returns the round that is under way.
    fn remove(&mut self, place: u32) -> Option<IdleRoundId> {
        let host = self.hosts.remove(place)?;
        self.by_key.remove(&host.key);
        self.queue.retain(|queued| *queued != place);
        if let Some(known) = host.known {
            self.remembered.insert(host.key, known);
        }
        self.leave(host.stage)
    }

    /// A stage is left: its place among those that are measured is free.
    fn leave(&mut self, stage: Stage) -> Option<IdleRoundId> {
        match stage {
            Stage::Waiting { .. } | Stage::Queued => None,
            Stage::Pausing { .. } => {
                self.measuring -= 1;
                None
            }
            Stage::Measuring { round, .. } => {
                self.measuring -= 1;
                Some(round)
            }
        }
    }
}

impl Host {
    fn stage(&self) -> IdleStage {
        match &self.stage {
            Stage::Measuring { search, since, .. } | Stage::Pausing { search, since, .. } => {
                let (low, high) = search.bracket();
                IdleStage::Measuring {
                    since: *since,
                    low,
                    high,
                }
            }
            Stage::Waiting { .. } if self.known.is_some() || self.unknown.is_some() => IdleStage::Resting,
            Stage::Waiting { .. } | Stage::Queued => IdleStage::Waiting,
        }
    }

    /// How long what is known is still believed.
    fn rest(&self, now: Now) -> Duration {
        let Some(known) = &self.known else {
            return Duration::ZERO;
        };
        let age = now.wall.unix_nanos().saturating_sub(known.at.unix_nanos());
        // A measurement of the future comes from a clock that was wrong.
        u64::try_from(age).map_or(Duration::ZERO, |age| {
            self.settings.remeasure.saturating_sub(Duration::from_nanos(age))
        })
    }
}

/// The dependencies by whose requests hosts are measured: the first of each host that asks for it.
fn wanted(plan: &Plan) -> Vec<&Arc<Dependency>> {
    let mut hosts = std::collections::HashSet::new();
    plan.dependencies
        .iter()
        .filter(|dependency| dependency.keepalive.discover.is_some() && dependency.probe.only_reads())
        .filter(|dependency| hosts.insert(&dependency.host))
        .collect()
}

impl Engine {
    /// What was measured of the host, in the words of a finding.
    pub(super) fn idle_finding(&self, key: &HostKey) -> Option<Finding> {
        self.idle.finding(key)
    }

    /// What another run measured.
    pub(super) fn restore_idle(&mut self, host: HostKey, measurement: IdleMeasurement) {
        self.idle.remembered.insert(host, measurement);
    }

    /// Another plan is in force: hosts come and go.
    pub(super) fn replan_idle(&mut self, plan: &Plan, now: Now, out: &mut Vec<Output>) {
        if self.one_round {
            // Nobody waits a quarter of an hour for `check`.
            return;
        }
        let wanted = wanted(plan);
        let keys: std::collections::HashSet<&HostKey> = wanted.iter().map(|d| &d.host).collect();
        let gone = self
            .idle
            .hosts
            .iter()
            .filter(|(_, host)| !keys.contains(&host.key));
        let gone: Vec<u32> = gone.map(|(place, _)| place).collect();
        for place in gone {
            if let Some(round) = self.idle.remove(place) {
                out.push(Output::CancelIdleRound(round));
            }
        }
        for dependency in wanted {
            let Some(index) = self.tables.index_of(&dependency.name) else {
                continue;
            };
            match self.idle.by_key.get(&dependency.host) {
                Some(place) => self.measure_otherwise(*place, index, dependency, now, out),
                None => self.measure(index, dependency, now),
            }
        }
        self.forget_old(now, out);
        self.begin_queued(now, out);
    }

    /// A host comes into the plan.
    fn measure(&mut self, index: DependencyIndex, dependency: &Arc<Dependency>, now: Now) {
        let Some(settings) = dependency.keepalive.discover.clone() else {
            return;
        };
        let serial = self.idle.serial();
        let host = Host {
            key: dependency.host.clone(),
            index,
            dependency: Arc::clone(dependency),
            settings,
            stage: Stage::Waiting { serial },
            known: self.idle.remembered.remove(&dependency.host),
            seq: None,
            unknown: None,
            contradictions: 0,
        };
        let at = now.moment + host.rest(now);
        let place = self.idle.hosts.insert(host);
        self.idle.by_key.insert(dependency.host.clone(), place);
        self.alarms.set(at, Alarm::IdleDue { place, serial });
    }

    /// The same host, perhaps asked in another way. What is known of it stays; what is under way begins anew.
    fn measure_otherwise(
        &mut self,
        place: u32,
        index: DependencyIndex,
        dependency: &Arc<Dependency>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let (Some(host), Some(settings)) = (
            self.idle.hosts.get_mut(place),
            dependency.keepalive.discover.clone(),
        ) else {
            return;
        };
        if host.index == index && *host.dependency == **dependency {
            return;
        }
        let searched_otherwise = host.settings != settings;
        (host.index, host.dependency, host.settings) = (index, Arc::clone(dependency), settings);
        let at = now.moment + host.rest(now);
        let is_under_way = matches!(host.stage, Stage::Measuring { .. } | Stage::Pausing { .. });
        if is_under_way {
            self.wait(place, now.moment, out);
        } else if searched_otherwise && matches!(host.stage, Stage::Waiting { .. }) {
            self.wait(place, at, out);
        }
    }

    /// The host waits until then, whatever it did before.
    fn wait(&mut self, place: u32, until: Moment, out: &mut Vec<Output>) {
        let serial = self.idle.serial();
        let Some(host) = self.idle.hosts.get_mut(place) else {
            return;
        };
        let stage = std::mem::replace(&mut host.stage, Stage::Waiting { serial });
        if let Some(round) = self.idle.leave(stage) {
            out.push(Output::CancelIdleRound(round));
        }
        self.alarms.set(until, Alarm::IdleDue { place, serial });
    }

    /// A host's time has come, if the alarm still holds.
    pub(super) fn idle_due(&mut self, place: u32, alarm: u64, now: Now, out: &mut Vec<Output>) {
        if self.stopping {
            return;
        }
        let Some(host) = self.idle.hosts.get_mut(place) else {
            return;
        };
        match &host.stage {
            Stage::Waiting { serial } if *serial == alarm => {
                let state = self.tables.slot(host.index).map(|slot| &slot.state);
                if matches!(state, Some(State::Up { .. })) {
                    host.stage = Stage::Queued;
                    self.idle.queue.push_back(place);
                    self.begin_queued(now, out);
                } else {
                    // What does not answer is not measured.
                    self.wait(place, now.moment + LOOK_AGAIN, out);
                }
            }
            Stage::Pausing { serial, .. } if *serial == alarm => {
                let stage = std::mem::replace(&mut host.stage, Stage::Queued);
                if let Stage::Pausing {
                    next, search, since, ..
                } = stage
                {
                    host.stage = Stage::Measuring {
                        round: next.round,
                        search,
                        since,
                    };
                    out.push(Output::StartIdleRound(Box::new(next)));
                }
            }
            _ => {}
        }
    }

    fn begin_queued(&mut self, now: Now, out: &mut Vec<Output>) {
        while self.idle.measuring < AT_ONCE {
            let Some(place) = self.idle.queue.pop_front() else {
                return;
            };
            let Some(host) = self.idle.hosts.get(place) else {
                continue;
            };
            let ladder = Arc::clone(&host.settings.ladder);
            let mut search = match &host.known {
                Some(known) => Search::from_known(ladder, known.limit),
                None => Search::new(ladder),
            };
            let step = search.begin();
            self.idle.measuring += 1;
            self.proceed(place, (Box::new(search), now.wall), step, now, out);
        }
    }

    /// A round is over.
    pub(super) fn idle_round_finished(
        &mut self,
        round: IdleRoundId,
        result: &IdleRound,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(host) = self.idle.hosts.get_mut(round.place) else {
            return;
        };
        match std::mem::replace(&mut host.stage, Stage::Queued) {
            Stage::Measuring {
                round: expected,
                mut search,
                since,
            } if expected == round => {
                let step = search.take(result);
                self.proceed(round.place, (search, since), step, now, out);
            }
            other => host.stage = other,
        }
    }

    /// Does what the search (and since when it goes on) says: another round, or the end of it.
    fn proceed(
        &mut self,
        place: u32,
        (search, since): (Box<Search>, Wall),
        step: Step,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let serial = self.idle.serial();
        let Some(host) = self.idle.hosts.get_mut(place) else {
            return;
        };
        match step {
            Step::Measure {
                after,
                rungs,
                control_every,
            } => {
                let round = IdleRoundId { place, serial };
                let order = IdleOrder {
                    round,
                    index: host.index,
                    dependency: Arc::clone(&host.dependency),
                    rungs,
                    control_every,
                };
                if after.is_zero() {
                    host.stage = Stage::Measuring { round, search, since };
                    out.push(Output::StartIdleRound(Box::new(order)));
                } else {
                    host.stage = Stage::Pausing {
                        serial,
                        next: order,
                        search,
                        since,
                    };
                    self.alarms
                        .set(now.moment + after, Alarm::IdleDue { place, serial });
                }
            }
            Step::Known { limit, samples } => {
                let measurement = IdleMeasurement {
                    limit,
                    samples,
                    control_uses: search.control_uses(),
                    announced: search.announced(),
                    at: now.wall,
                };
                self.known(place, measurement, now, out);
            }
            Step::Unknown(why) => {
                host.unknown = Some((why.clone(), now.wall));
                let rest = host.settings.remeasure.min(GIVEN_UP);
                out.push(Output::Observed(Event::IdleTimeoutUnknown {
                    dependency: Arc::clone(&host.dependency),
                    why,
                }));
                self.rest(place, now.moment + rest, now, out);
            }
        }
    }

    fn known(&mut self, place: u32, measurement: IdleMeasurement, now: Now, out: &mut Vec<Output>) {
        let Some(host) = self.idle.hosts.get(place) else {
            return;
        };
        let record = Record::IdleTimeout {
            host: host.key.clone(),
            measurement,
        };
        let seq = self.persist(vec![Change::Put(record)], out);
        let Some(host) = self.idle.hosts.get_mut(place) else {
            return;
        };
        let before = host.known.replace(measurement);
        (host.seq, host.unknown, host.contradictions) = (Some(seq), None, 0);
        let rest = host.settings.remeasure;
        out.push(Output::Observed(Event::IdleTimeoutMeasured {
            dependency: Arc::clone(&host.dependency),
            before,
            measurement,
        }));
        self.rest(place, now.moment + rest, now, out);
    }

    /// A search is over; the next host has its turn.
    fn rest(&mut self, place: u32, until: Moment, now: Now, out: &mut Vec<Output>) {
        let serial = self.idle.serial();
        if let Some(host) = self.idle.hosts.get_mut(place) {
            host.stage = Stage::Waiting { serial };
            self.idle.measuring -= 1;
            self.alarms.set(until, Alarm::IdleDue { place, serial });
        }
        self.begin_queued(now, out);
    }

    /// Nothing more is measured.
    pub(super) fn stop_idle(&mut self, out: &mut Vec<Output>) {
        self.idle.queue.clear();
        let places: Vec<u32> = self.idle.hosts.iter().map(|(place, _)| place).collect();
        for place in places {
            let serial = self.idle.serial();
            let Some(host) = self.idle.hosts.get_mut(place) else {
                continue;
            };
            let stage = std::mem::replace(&mut host.stage, Stage::Waiting { serial });
            if let Some(round) = self.idle.leave(stage) {
                out.push(Output::CancelIdleRound(round));
            }
        }
    }

    /// What was measured long ago on hosts that are in no plan any more is not kept for ever.
    fn forget_old(&mut self, now: Now, out: &mut Vec<Output>) {
        let limit = i64::try_from(FORGET_AFTER.as_secs()).unwrap_or(i64::MAX);
        let is_old = |known: &IdleMeasurement| now.wall.seconds_since(known.at) > limit;
        let old: Vec<HostKey> = self
            .idle
            .remembered
            .iter()
            .filter(|(_, known)| is_old(known))
            .map(|(key, _)| key.clone())
            .collect();
        if old.is_empty() {
            return;
        }
        let changes = old
            .iter()
            .map(|key| Change::Remove(RecordKey::idle_timeout(key)))
            .collect();
        for key in old {
            self.idle.remembered.remove(&key);
        }
        self.persist(changes, out);
    }
}
