//! What was learned of a dependency's name: which source gave which addresses, and when. It tells an answer that rotates
//! from one that is wrong, and one that is left behind from one that is new.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::dependency::{Dependency, DependencyIndex};
use crate::model::looks::{NameSource, NamesSeen, Said, SeenAddress, SourceAnswers};
use crate::model::record::{Change, Record, RecordKey};
use crate::model::time::Wall;

use super::slot::Slot;
use super::{Engine, Output};

/// Bounds: a host has at most three nameservers, its hosts file and its resolver; who changes nameservers leaves old ones
/// behind. Of each source so many addresses, and none that was not seen for so long.
const SOURCES: usize = 8;
const ADDRESSES: usize = 32;
const KEPT_SECONDS: i64 = 30 * 86_400;
/// What is only seen again is written down so often: a restart then loses no more than that of when it was seen last.
const WRITTEN_SECONDS: i64 = 6 * 3_600;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameHistory {
    sources: NamesSeen,
    /// When it was handed out to be kept.
    written: Option<Wall>,
}

impl NameHistory {
    /// What that source gave formerly.
    pub fn of(&self, source: NameSource) -> &[SeenAddress] {
        let found = self.sources.iter().find(|(known, _)| *known == source);
        found.map_or(&[], |(_, seen)| seen)
    }

    /// Adds what sources gave at `now`. Says whether it is worth writing down.
    pub fn learn(&mut self, sources: &[SourceAnswers], now: Wall) -> bool {
        let count = |history: &NameHistory| history.sources.iter().map(|(_, seen)| seen.len()).sum::<usize>();
        let before = (count(self), self.newest_first());
        for source in sources.iter().filter(|source| source.said == Said::Addresses) {
            let seen = self.entry(source.source);
            for address in &source.addresses {
                remember(seen, *address, now);
            }
        }
        for (_, seen) in &mut self.sources {
            seen.retain(|seen| now.seconds_since(seen.last) <= KEPT_SECONDS);
        }
        self.sources.retain(|(_, seen)| !seen.is_empty());
        let is_news = before != (count(self), self.newest_first());
        let is_old = self
            .written
            .is_none_or(|at| now.seconds_since(at) >= WRITTEN_SECONDS);
        let worth = is_news || (is_old && !self.sources.is_empty());
        if worth {
            self.written = Some(now);
        }
        worth
    }

    /// When something new was seen last.
    fn newest_first(&self) -> Option<Wall> {
        let seen = self.sources.iter().flat_map(|(_, seen)| seen);
        seen.map(|seen| seen.first).max()
    }

    fn entry(&mut self, source: NameSource) -> &mut Vec<SeenAddress> {
        let place = self.sources.iter().position(|(known, _)| *known == source);
        let place = place.unwrap_or_else(|| {
            if self.sources.len() >= SOURCES {
                self.forget_the_oldest();
            }
            self.sources.push((source, Vec::new()));
            self.sources.len() - 1
        });
        &mut self.sources[place].1
    }

    fn forget_the_oldest(&mut self) {
        let last_seen = |seen: &[SeenAddress]| seen.iter().map(|seen| seen.last).max();
        let oldest = (0..self.sources.len()).min_by_key(|place| last_seen(&self.sources[*place].1));
        if let Some(place) = oldest {
            self.sources.swap_remove(place);
        }
    }
}

fn remember(seen: &mut Vec<SeenAddress>, address: IpAddr, now: Wall) {
    if let Some(known) = seen.iter_mut().find(|seen| seen.address == address) {
        known.last = known.last.max(now);
        return;
    }
    if seen.len() >= ADDRESSES
        && let Some(oldest) = (0..seen.len()).min_by_key(|place| seen[*place].last)
    {
        seen.swap_remove(oldest);
    }
    seen.push(SeenAddress {
        address,
        first: now,
        last: now,
    });
}

/// What an earlier run kept, until the first plan comes.
#[derive(Debug, Default)]
pub struct NamesKept(HashMap<Arc<str>, (Arc<str>, NamesSeen)>);

impl NamesKept {
    pub fn add(&mut self, dependency: Arc<str>, name: Arc<str>, seen: NamesSeen) {
        self.0.insert(dependency, (name, seen));
    }

    /// What was learned of that dependency's name, if it is asked for the same one.
    pub fn take(&mut self, dependency: &Dependency) -> Option<Box<NameHistory>> {
        let (name, sources) = self.0.remove(&dependency.name)?;
        let is_same = name == dependency.probe.endpoint().host;
        is_same.then(|| {
            Box::new(NameHistory {
                sources,
                written: None,
            })
        })
    }
}

impl Engine {
    /// Hands out what is known of a dependency's name, to be kept.
    pub(super) fn keep_names(&mut self, index: DependencyIndex, out: &mut Vec<Output>) {
        let Some(slot) = self.tables.slot(index) else {
            return;
        };
        let Some(history) = &slot.names else { return };
        let record = Record::Names {
            dependency: Arc::clone(&slot.dependency.name),
            name: Arc::clone(&slot.dependency.probe.endpoint().host),
            seen: history.sources.clone(),
        };
        self.persist(vec![Change::Put(record)], out);
    }

    /// The dependency is gone, and what was known of its name with it.
    pub(super) fn forget_names(&mut self, slot: &Slot, out: &mut Vec<Output>) {
        if slot.names.is_some() {
            let key = RecordKey::names(&slot.dependency.name);
            self.persist(vec![Change::Remove(key)], out);
        }
    }

    /// What an earlier run kept of dependencies that the plan does not have.
    pub(super) fn forget_names_of_others(&mut self, out: &mut Vec<Output>) {
        let others = std::mem::take(&mut self.names_kept.0);
        let gone: Vec<Change> = others
            .into_keys()
            .map(|dependency| Change::Remove(RecordKey::names(&dependency)))
            .collect();
        if !gone.is_empty() {
            self.persist(gone, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::looks::SourceAnswers;

    fn gave(source: NameSource, last_bytes: &[u8]) -> SourceAnswers {
        SourceAnswers {
            source,
            said: Said::Addresses,
            addresses: last_bytes.iter().map(|n| [192, 0, 2, *n].into()).collect(),
            varies: false,
            ttl: None,
            serial: None,
            says_stale: false,
            aaaa_stalled: false,
            answers: Vec::new(),
            error: None,
            before: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Wall {
        Wall::from_unix_secs(1_000_000 + seconds)
    }

    #[test]
    fn it_keeps_when_each_address_was_seen() {
        let mut history = NameHistory::default();
        let system = NameSource::System;
        assert!(history.learn(&[gave(system, &[1, 2])], at(0)), "news");
        assert!(!history.learn(&[gave(system, &[1, 2])], at(0)), "no news");
        assert!(history.learn(&[gave(system, &[2, 3])], at(60)));
        let times: Vec<(i64, i64)> = history
            .of(system)
            .iter()
            .map(|seen| (seen.first.seconds_since(at(0)), seen.last.seconds_since(at(0))))
            .collect();
        assert_eq!(times, [(0, 0), (0, 60), (60, 60)]);
        assert!(history.of(NameSource::HostsFile).is_empty());
        assert!(!history.clone().learn(&[gave(system, &[3])], at(120)));
        assert!(
            history
                .clone()
                .learn(&[gave(system, &[3])], at(60 + WRITTEN_SECONDS)),
            "it is time"
        );
        history.learn(&[], at(KEPT_SECONDS + 61));
        assert!(history.sources.is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let mut history = NameHistory::default();
        for round in 0..=255_u8 {
            let server = NameSource::Nameserver(([192, 0, 2, 53], u16::from(round)).into());
            history.learn(
                &[gave(server, &[1]), gave(NameSource::System, &[round])],
                at(i64::from(round)),
            );
        }
        assert_eq!(history.sources.len(), SOURCES);
        assert_eq!(history.of(NameSource::System).len(), ADDRESSES);
        let newest = history.of(NameSource::System).iter().map(|seen| seen.last).max();
        assert_eq!(newest, Some(at(255)));
    }
}
