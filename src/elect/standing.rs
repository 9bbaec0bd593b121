//! What follows from Leases and from when they were seen to change: pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::share::Peers;
use crate::model::time::Wall;

/// How long a Lease lasts after it was renewed (client-go's default).
pub const DURATION: Duration = Duration::from_secs(15);
/// Between two renewals.
pub const RENEW: Duration = Duration::from_secs(5);
/// After this without a renewal we do not count on it any more: earlier than others do (client-go: 10 s).
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A Lease of a replica as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub holder: Option<String>,
    pub acquired: Option<Wall>,
    pub renewed: Option<Wall>,
    /// Since when something waited, when it was renewed, that its holder was to tell people.
    pub untold: Option<Wall>,
    /// How long it lasts, as its holder says.
    pub lasts: Duration,
}

#[derive(Debug)]
struct Known {
    seen: Seen,
    /// When it was seen to change, by both of our clocks; of one that was there when we came, civil time is what it says.
    changed: (Instant, Wall),
}

impl Known {
    fn lives(&self, now: Instant) -> bool {
        self.seen.holder.is_some() && now < self.changed.0 + self.seen.lasts
    }

    /// Until when it told people all that it had to tell, by our civil time: both of its times are by its own clock.
    fn told_until(&self) -> Wall {
        let (Some(untold), Some(renewed)) = (self.seen.untold, self.seen.renewed) else {
            return self.changed.1;
        };
        let behind = renewed.unix_nanos().saturating_sub(untold.unix_nanos()).max(0);
        Wall::from_unix_nanos(self.changed.1.unix_nanos().saturating_sub(behind))
    }
}

/// How we and the others stand.
#[derive(Debug, Default)]
pub struct Standings {
    others: BTreeMap<u32, Known>,
    /// When the last renewal that succeeded was begun, and since when we hold our Lease without a break.
    own: Option<(Instant, Wall)>,
    /// When our Lease had been renewed last when it was taken anew.
    before: Option<Wall>,
    looked: bool,
    /// Another process that holds our Lease.
    rival: Option<Known>,
}

impl Standings {
    /// Our Lease was renewed by a request that began then.
    pub fn renewed(&mut self, begun: Instant, acquired: Wall) {
        self.own = Some((begun, acquired));
    }

    /// Our Lease is taken anew, which had been renewed last then.
    pub fn taken(&mut self, renewed_last: Option<Wall>) {
        self.before = renewed_last;
    }

    /// Another process holds our Lease. Says whether it has been silent for so long that it is ours to take.
    pub fn rival(&mut self, seen: Seen, now: (Instant, Wall)) -> bool {
        self.own = None;
        match &self.rival {
            Some(rival) if rival.seen == seen => !rival.lives(now.0),
            _ => {
                self.rival = Some(Known { seen, changed: now });
                false
            }
        }
    }

    /// Until when we count on our Lease.
    pub fn until(&self) -> Option<Instant> {
        self.own.map(|(begun, _)| begun + DEADLINE)
    }

    /// Since when our Lease was held without a break, if it still is.
    pub fn held_since(&self, now: Instant) -> Option<Wall> {
        let (begun, acquired) = self.own?;
        (now < begun + DURATION).then_some(acquired)
    }

    pub fn stands(&self, now: Instant) -> bool {
        // Whoever has not looked at the others does not know whose turn it is.
        self.looked && self.own.is_some_and(|(begun, _)| now < begun + DEADLINE)
    }

    /// The Leases of all others that there are.
    pub fn look(&mut self, leases: BTreeMap<u32, Seen>, now: (Instant, Wall)) {
        for (replica, seen) in leases {
            match self.others.get_mut(&replica) {
                Some(known) if known.seen == seen => {}
                Some(known) => {
                    // Given up: it lived until it was.
                    known.changed = now;
                    known.seen = seen;
                }
                None => {
                    let proof = seen.renewed.map_or(now.1, |renewed| renewed.min(now.1));
                    let changed = (now.0, proof);
                    self.others.insert(replica, Known { seen, changed });
                }
            }
        }
        self.looked = true;
    }

    /// When something may be otherwise although nothing new was seen.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let own = self.own.map(|(begun, _)| begun + DEADLINE);
        let others = self
            .others
            .values()
            .map(|known| known.changed.0 + known.seen.lasts);
        others.chain(own).filter(|at| *at > now).min()
    }

    pub fn peers(&self, now: Instant) -> Peers {
        let mut peers = Peers {
            standing: self.stands(now),
            before: self.before,
            ..Peers::default()
        };
        for (replica, known) in &self.others {
            if known.lives(now) {
                peers.living.push(*replica);
                peers
                    .since
                    .extend(known.seen.acquired.map(|since| (*replica, since)));
            } else {
                peers.gone.push((*replica, known.told_until()));
            }
        }
        peers
    }

    /// The same, with our own time in it.
    pub fn peers_of(&self, me: u32, now: Instant) -> Peers {
        let mut peers = self.peers(now);
        if let Some((_, acquired)) = self.own.filter(|_| peers.standing) {
            peers.since.push((me, acquired));
        }
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(seconds: i64) -> Wall {
        Wall::from_unix_nanos(seconds * 1_000_000_000)
    }

    fn seen(holder: &str, renewed: i64) -> Seen {
        Seen {
            holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
            acquired: Some(wall(100)),
            renewed: Some(wall(renewed)),
            untold: None,
            lasts: DURATION,
        }
    }

    #[test]
    fn another_lives_as_long_as_its_lease_is_seen_to_change_whatever_its_clock_says() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut standings = Standings::default();
        // Its clock is years behind.
        standings.look([(1, seen("b", 7))].into(), (at(0), wall(5_000)));
        assert_eq!(standings.peers(at(14)).living, [1]);
        standings.look([(1, seen("b", 12))].into(), (at(14), wall(5_014)));
        standings.look([(1, seen("b", 12))].into(), (at(20), wall(5_020)));
        assert_eq!(standings.next(at(20)), Some(at(29)));
        assert_eq!(standings.peers(at(28)).living, [1]);
        let peers = standings.peers(at(29));
        assert_eq!((peers.living, peers.gone), (vec![], vec![(1, wall(5_014))]));
        // Given up, it is gone at once.
        standings.look([(1, seen("b", 13))].into(), (at(30), wall(5_030)));
        standings.look([(1, seen("", 13))].into(), (at(31), wall(5_031)));
        assert_eq!(standings.peers(at(31)).gone, [(1, wall(5_031))]);
    }

    #[test]
    fn what_another_could_not_tell_is_counted_back_by_its_own_clock() {
        let begun = Instant::now();
        let mut standings = Standings::default();
        // Its clock is years behind; something has waited for a minute there.
        let waits = Seen {
            untold: Some(wall(40)),
            ..seen("b", 100)
        };
        standings.look([(1, seen("b", 95))].into(), (begun, wall(5_000)));
        let looked = (begun + Duration::from_secs(5), wall(5_005));
        standings.look([(1, waits)].into(), looked);
        let peers = standings.peers(begun + Duration::from_secs(30));
        assert_eq!(peers.gone, [(1, wall(5_005 - 60))]);
    }

    #[test]
    fn we_count_on_our_lease_for_less_time_than_others_do() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut standings = Standings::default();
        standings.renewed(at(0), wall(5_000));
        assert!(!standings.stands(at(1)), "nobody has looked at the others yet");
        standings.look([].into(), (at(1), wall(5_001)));
        assert!(standings.stands(at(9)) && !standings.stands(at(10)));
        assert_eq!(standings.held_since(at(14)), Some(wall(5_000)));
        assert_eq!(standings.held_since(at(15)), None);
        assert_eq!(standings.peers_of(2, at(9)).since, [(2, wall(5_000))]);
        // Another process of our name is waited for like any other.
        let rival = seen("x", 5);
        assert!(!standings.rival(rival.clone(), (at(2), wall(5_002))));
        assert!(!standings.stands(at(3)));
        assert!(!standings.rival(rival.clone(), (at(16), wall(5_016))));
        assert!(standings.rival(rival, (at(17), wall(5_017))));
    }
}
