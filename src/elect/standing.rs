//! What follows from Leases and from when they were seen to change: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::share::Peers;
use crate::model::time::{Moment, Now, Wall};

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
    changed: (Moment, Wall),
}

impl Known {
    fn ends(&self) -> Moment {
        self.changed.0 + self.seen.lasts
    }

    fn lives(&self, now: Moment) -> bool {
        self.seen.holder.is_some() && now < self.ends()
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

/// What we count on while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When the last renewal that succeeded was begun.
    renewed: Now,
    /// When the last look at the others that succeeded was begun. Who does not look does not see them change, and would take
    /// all of them for dead.
    looked: Now,
}

impl Claim {
    pub fn holds(&self, now: Now) -> bool {
        passed(self.renewed, now) < DEADLINE && passed(self.looked, now) < DEADLINE
    }

    /// When it ends, if civil time does not leap.
    pub fn ends(&self) -> Moment {
        self.renewed.moment.min(self.looked.moment) + DEADLINE
    }
}

/// The time that has passed for the others. A machine that stood still may have had its clock stand still too, and be told of
/// it by civil time alone; a civil time that leaps by mistake costs a renewal.
fn passed(then: Now, now: Now) -> Duration {
    let civil = now.wall.unix_nanos().saturating_sub(then.wall.unix_nanos());
    let civil = Duration::from_nanos(u64::try_from(civil).unwrap_or_default());
    now.moment.since(then.moment).max(civil)
}

/// How we and the others stand.
#[derive(Debug, Default)]
pub struct Standings {
    others: BTreeMap<u32, Known>,
    /// When the last renewal that succeeded was begun, and since when we hold our Lease without a break.
    own: Option<(Now, Wall)>,
    /// When our Lease had been renewed last when it was taken anew.
    before: Option<Wall>,
    /// When the last look at the others that succeeded was begun.
    looked: Option<Now>,
    /// Another process that holds our Lease.
    rival: Option<Known>,
}

impl Standings {
    /// Our Lease was renewed by a request that began then.
    pub fn renewed(&mut self, begun: Now, acquired: Wall) {
        self.own = Some((begun, acquired));
    }

    /// Our Lease is taken anew, which had been renewed last then.
    pub fn taken(&mut self, renewed_last: Option<Wall>) {
        self.before = renewed_last;
    }

    /// Another process holds our Lease. Says whether it has been silent for so long that it is ours to take.
    pub fn rival(&mut self, seen: Seen, now: Now) -> bool {
        self.own = None;
        match &self.rival {
            Some(rival) if rival.seen == seen => !rival.lives(now.moment),
            _ => {
                let changed = (now.moment, now.wall);
                self.rival = Some(Known { seen, changed });
                false
            }
        }
    }

    /// What we count on. Whoever has not looked at the others does not know whose turn it is.
    pub fn claim(&self) -> Option<Claim> {
        let (renewed, _) = self.own?;
        let looked = self.looked?;
        Some(Claim { renewed, looked })
    }

    /// Since when our Lease was held without a break, if it still is.
    pub fn held_since(&self, now: Now) -> Option<Wall> {
        let (begun, acquired) = self.own?;
        (passed(begun, now) < DURATION).then_some(acquired)
    }

    pub fn stands(&self, now: Now) -> bool {
        self.claim().is_some_and(|claim| claim.holds(now))
    }

    /// The Leases of all others that there are, by a look that began then.
    pub fn look(&mut self, leases: BTreeMap<u32, Seen>, begun: Now, now: Now) {
        for (replica, seen) in leases {
            match self.others.get_mut(&replica) {
                Some(known) if known.seen == seen => {}
                Some(known) => {
                    // Given up: it lived until it was.
                    known.changed = (now.moment, now.wall);
                    known.seen = seen;
                }
                None => {
                    let proof = seen.renewed.map_or(now.wall, |renewed| renewed.min(now.wall));
                    let changed = (now.moment, proof);
                    self.others.insert(replica, Known { seen, changed });
                }
            }
        }
        self.looked = Some(begun);
    }

    /// When something may be otherwise although nothing new was seen.
    pub fn next(&self, now: Moment) -> Option<Moment> {
        let own = self.claim().map(|claim| claim.ends());
        let others = self.others.values().map(Known::ends);
        others.chain(own).filter(|at| *at > now).min()
    }

    pub fn peers(&self, now: Now) -> Peers {
        let mut peers = Peers {
            standing: self.stands(now),
            before: self.before,
            ..Peers::default()
        };
        for (replica, known) in &self.others {
            if known.lives(now.moment) {
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
    pub fn peers_of(&self, me: u32, now: Now) -> Peers {
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

    /// Civil time that goes as the clock does.
    const EPOCH: i64 = 5_000;

    fn wall(seconds: i64) -> Wall {
        Wall::from_unix_secs(seconds)
    }

    fn at(seconds: u64) -> Now {
        Now {
            moment: Moment::from_secs(seconds),
            wall: wall(EPOCH + seconds.cast_signed()),
        }
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
        let mut standings = Standings::default();
        // Its clock is years behind.
        standings.look([(1, seen("b", 7))].into(), at(0), at(0));
        assert_eq!(standings.peers(at(14)).living, [1]);
        standings.look([(1, seen("b", 12))].into(), at(14), at(14));
        standings.look([(1, seen("b", 12))].into(), at(20), at(20));
        assert_eq!(standings.next(at(20).moment), Some(at(29).moment));
        assert_eq!(standings.peers(at(28)).living, [1]);
        let peers = standings.peers(at(29));
        assert_eq!((peers.living, peers.gone), (vec![], vec![(1, wall(5_014))]));
        // Given up, it is gone at once.
        standings.look([(1, seen("b", 13))].into(), at(30), at(30));
        standings.look([(1, seen("", 13))].into(), at(31), at(31));
        assert_eq!(standings.peers(at(31)).gone, [(1, wall(5_031))]);
    }

    #[test]
    fn what_another_could_not_tell_is_counted_back_by_its_own_clock() {
        let mut standings = Standings::default();
        // Its clock is years behind; something has waited for a minute there.
        let waits = Seen {
            untold: Some(wall(40)),
            ..seen("b", 100)
        };
        standings.look([(1, seen("b", 95))].into(), at(0), at(0));
        standings.look([(1, waits)].into(), at(5), at(5));
        let peers = standings.peers(at(30));
        assert_eq!(peers.gone, [(1, wall(5_005 - 60))]);
    }

    #[test]
    fn we_count_on_our_lease_for_less_time_than_others_do() {
        let mut standings = Standings::default();
        standings.renewed(at(0), wall(5_000));
        assert!(!standings.stands(at(1)), "nobody has looked at the others yet");
        standings.look([].into(), at(1), at(2));
        assert!(standings.stands(at(9)) && !standings.stands(at(10)));
        assert_eq!(standings.held_since(at(14)), Some(wall(5_000)));
        assert_eq!(standings.held_since(at(15)), None);
        assert_eq!(standings.peers_of(2, at(9)).since, [(2, wall(5_000))]);
        // Another process of our name is waited for like any other.
        let rival = seen("x", 5);
        assert!(!standings.rival(rival.clone(), at(2)));
        assert!(!standings.stands(at(3)));
        assert!(!standings.rival(rival.clone(), at(16)));
        assert!(standings.rival(rival, at(17)));
    }

    /// A suspended machine by its clock, one that its host stopped by civil time: an hour for all others.
    #[test]
    fn an_hour_that_we_stood_still_breaks_what_we_held() {
        let hour = 3_600;
        let stopped = Now {
            moment: at(3).moment,
            wall: wall(EPOCH + 3 + hour),
        };
        let suspended = at(3 + hour.cast_unsigned());
        for resumed in [stopped, suspended] {
            let mut standings = Standings::default();
            standings.renewed(at(0), wall(4_000));
            standings.look([(1, seen("b", 1))].into(), at(1), at(1));
            assert!(standings.stands(at(3)) && standings.held_since(at(3)).is_some());
            assert!(!standings.stands(resumed), "{resumed:?}");
            assert_eq!(standings.held_since(resumed), None, "{resumed:?}");
            // Renewed, but the others were last seen an hour ago: whether they live is not known.
            standings.renewed(resumed, resumed.wall);
            assert!(!standings.stands(resumed), "{resumed:?}");
            standings.look([(1, seen("b", 9))].into(), resumed, resumed);
            let peers = standings.peers_of(2, resumed);
            assert!(peers.standing && peers.living == [1], "{peers:?}");
            assert!(peers.since.contains(&(2, resumed.wall)), "{peers:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_right_or_back_breaks_nothing() {
        let mut standings = Standings::default();
        standings.renewed(at(0), wall(4_000));
        standings.look([].into(), at(0), at(0));
        for civil in [-100_000, -3, 3] {
            let now = Now {
                moment: at(5).moment,
                wall: wall(EPOCH + 5 + civil),
            };
            assert!(standings.stands(now), "{civil}");
            assert_eq!(standings.held_since(now), Some(wall(4_000)));
        }
    }

    #[test]
    fn who_cannot_look_at_the_others_does_not_stand_for_long() {
        let mut standings = Standings::default();
        standings.look([(1, seen("b", 1))].into(), at(0), at(0));
        for round in 0..4 {
            standings.renewed(at(5 * round), wall(4_000));
        }
        assert!(standings.stands(at(9)));
        assert_eq!(standings.next(at(9).moment), Some(at(10).moment));
        // From 15 s on the other would seem to be dead.
        assert!(!standings.stands(at(16)), "nobody has looked whether it is");
    }
}
