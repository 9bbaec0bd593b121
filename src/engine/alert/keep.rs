//! What the rules remember survives a restart: written down seldom, and found again as old as it is.
//!
//! Of a dependency that failed of late it is written every five minutes, of the others every hour: their baseline changes
//! slowly, and disks wear out. The first time comes after a part of that that is decided by its name, so that thousands are
//! not written at once; at a stop everything is.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{Subject, stable_hash};
use crate::model::dependency::DependencyIndex;
use crate::model::record::{Change, Record, RecordKey};
use crate::model::signals::{KeptCounts, KeptDependency, KeptSignals};
use crate::model::time::{Moment, Now, Wall};

use super::super::Engine;
use super::super::host::Host;
use super::super::slot::Slot;
use super::Signals;
use super::latency::Latency;
use super::rings::Rings;

/// Time between two records of a dependency that failed of late, or of a host with something masked or stale.
const OFTEN: Duration = Duration::from_secs(300);
/// Of one that is well.
const SELDOM: Duration = Duration::from_secs(3_600);
/// After so long, or three intervals where that is more, two operations are not one after the other any more.
const ROW_BROKEN: Duration = Duration::from_secs(600);
/// After so long the last verdicts say nothing of the present.
const VERDICTS_OLD: Duration = Duration::from_secs(6 * 3_600);

impl Signals {
    /// Whether it is time to write it down; then it counts as written.
    fn take_due(&mut self, name: &str, now: Moment) -> bool {
        let every = if self.failed_of_late(now) { OFTEN } else { SELDOM };
        let Some(written) = self.written else {
            // As if it had been written at some time before.
            self.written = Some(now);
            self.wait = (stable_hash(&[name]) % SELDOM.as_secs()) as u16;
            return false;
        };
        let wait = if self.wait == 0 {
            every
        } else {
            every.min(Duration::from_secs(u64::from(self.wait)))
        };
        if now.since(written) < wait {
            return false;
        }
        (self.written, self.wait) = (Some(now), 0);
        true
    }

    fn kept(&self, slot: &Slot, now: Now) -> KeptDependency {
        let wall = |moment: Option<Moment>| moment.map(|at| before(now.wall, now.moment.since(at)));
        let (verdicts, seen, untold) = self.kept_verdicts();
        KeptDependency {
            name: Arc::clone(&slot.dependency.name),
            host: slot.dependency.host.clone(),
            failures_in_a_row: self.failures_in_a_row,
            successes_in_a_row: self.successes_in_a_row,
            fast_in_a_row: self.fast_in_a_row,
            verdicts,
            seen,
            untold,
            rings: self.rings.kept(now.moment),
            latency: self.latency.kept(),
            last_failed: wall(self.last_failed()),
            down_ended: wall(self.down_ended),
            names_differ: self.names_differ,
            broken: self.broken,
        }
    }

    /// What was kept so long ago. Moments before this process began are taken for its beginning.
    fn restored(kept: &KeptDependency, interval: Duration, age: Duration, now: Moment) -> Signals {
        let mut signals = Signals {
            rings: Rings::restored(&kept.rings, age, now),
            latency: Latency::restored(&kept.latency),
            down_ended: kept.down_ended.map(|_| now),
            names_differ: kept.names_differ,
            broken: kept.broken,
            broken_recalled: Some(now),
            ..Signals::default()
        };
        if age <= ROW_BROKEN.max(interval.saturating_mul(3)) {
            signals.failures_in_a_row = kept.failures_in_a_row;
            signals.successes_in_a_row = kept.successes_in_a_row;
            signals.fast_in_a_row = kept.fast_in_a_row;
        }
        let verdicts = if age <= VERDICTS_OLD.max(interval.saturating_mul(60)) {
            (kept.verdicts, kept.seen, kept.untold)
        } else {
            (0, 0, 0)
        };
        signals.set_verdicts(verdicts, kept.last_failed.map(|_| now));
        signals
    }
}

fn before(wall: Wall, ago: Duration) -> Wall {
    let ago = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
    Wall::from_unix_nanos(wall.unix_nanos().saturating_sub(ago))
}

/// A record that comes from the future was written by a clock that was wrong: it counts as of now.
fn age(at: Wall, now: Wall) -> Duration {
    let nanos = now.unix_nanos().saturating_sub(at.unix_nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn of_slot(slot: &Slot, now: Now) -> Change {
    Change::Put(Record::Signals(Box::new(KeptSignals {
        at: now.wall,
        counts: KeptCounts::Dependency(Box::new(slot.signals.kept(slot, now))),
    })))
}

fn of_host(host: &Host, now: Now) -> Change {
    Change::Put(Record::Signals(Box::new(KeptSignals {
        at: now.wall,
        counts: KeptCounts::Host {
            host: host.key.clone(),
            hour: host.windows.kept(now.moment),
        },
    })))
}

impl Engine {
    /// After an operation: whether what is remembered of it is worth writing down now.
    pub(super) fn keep_signals_when_due(&mut self, index: DependencyIndex, now: Now) {
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        if slot.signals.take_due(&slot.dependency.name, now.moment) {
            self.alerts.unsaved.push(of_slot(slot, now));
            if host.windows.is_troubled(now.moment) {
                self.alerts.unsaved.push(of_host(host, now));
            }
        }
    }

    /// The process ends.
    pub(super) fn keep_all_signals(&mut self, now: Now) {
        let slots = self.tables.slots.iter().map(|(_, slot)| slot);
        let asked = slots.filter(|slot| slot.signals.written.is_some());
        let mut records: Vec<Change> = asked.map(|slot| of_slot(slot, now)).collect();
        let hosts = self.tables.hosts.iter().map(|(_, host)| host);
        let troubled = hosts.filter(|host| host.windows.is_troubled(now.moment));
        records.extend(troubled.map(|host| of_host(host, now)));
        self.alerts.unsaved.extend(records);
    }

    pub(in super::super) fn restore_signals(&mut self, kept: KeptSignals) {
        let subject = kept.subject();
        self.alerts.remembered.insert(subject, kept);
    }

    /// The first plan is in force: what was kept goes where it belongs, and the rest away.
    pub(super) fn recall_signals(&mut self, now: Now) {
        for (subject, kept) in std::mem::take(&mut self.alerts.remembered) {
            let age = age(kept.at, now.wall);
            let is_taken = match &kept.counts {
                KeptCounts::Dependency(counts) => self.recall_dependency(counts, age, now),
                KeptCounts::Host { host, hour } => match self.tables.host_mut(host) {
                    Some(host) => {
                        host.windows.restore(hour, age, now.moment);
                        true
                    }
                    None => false,
                },
            };
            if !is_taken {
                self.alerts
                    .unsaved
                    .push(Change::Remove(RecordKey::signals(&subject)));
            }
        }
    }

    fn recall_dependency(&mut self, kept: &KeptDependency, age: Duration, now: Now) -> bool {
        let index = self.tables.index_of(&kept.name);
        let Some(slot) = index.and_then(|index| self.tables.slot_mut(index)) else {
            return false;
        };
        if slot.dependency.host != kept.host {
            return false;
        }
        slot.signals = Signals::restored(kept, slot.dependency.interval, age, now.moment);
        true
    }

    /// The dependency is gone, or another one.
    pub(super) fn forget_signals(&mut self, index: DependencyIndex) {
        if let Some(slot) = self
            .tables
            .slot(index)
            .filter(|slot| slot.signals.written.is_some())
        {
            let subject = Subject::Dependency(Arc::clone(&slot.dependency.name));
            self.alerts
                .unsaved
                .push(Change::Remove(RecordKey::signals(&subject)));
        }
    }
}
