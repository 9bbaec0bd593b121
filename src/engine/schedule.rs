//! When each dependency is due: a fixed rate, with an offset that spreads the load.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::model::dependency::DependencyIndex;
use crate::model::order::OperationId;
use crate::model::time::{Moment, Now, nanos};

/// What is to happen at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A dependency is due. The generation tells an alarm set before a reload from the present one.
    Due { index: DependencyIndex, generation: u32 },
    /// The backoff of an operation ends.
    BackoffEnds {
        index: DependencyIndex,
        operation: OperationId,
    },
    /// An operation has waited long enough for what other targets show.
    PatienceEnds {
        index: DependencyIndex,
        operation: OperationId,
    },
    /// It is time to look at our own network again, or to give up an observation.
    Vantage,
    /// A host's idle timeout is to be measured, or the pause between two rounds of that ends.
    IdleDue { place: u32, serial: u64 },
    /// Something is to be told, sent or given up.
    Desk,
    /// An alert may have stood as it does for long enough.
    AlertDue { serial: u64 },
    /// It is time to look at ourselves.
    Ourselves,
}

/// All alarms, earliest first. Alarms are never removed early: whoever takes one checks that it still holds.
#[derive(Debug, Default)]
pub struct Alarms {
    heap: BinaryHeap<Reverse<(Moment, Alarm)>>,
}

impl Alarms {
    pub fn set(&mut self, at: Moment, alarm: Alarm) {
        self.heap.push(Reverse((at, alarm)));
    }

    pub fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next alarm that has come, with the moment for which it was set.
    pub fn take_due(&mut self, now: Moment) -> Option<(Moment, Alarm)> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.heap.pop()).flatten().map(|Reverse(entry)| entry)
    }
}

/// Every dependency is due within this time of the start, however rarely it is afterwards: until then nothing is known of it.
pub const SOON: Duration = Duration::from_secs(60);

/// When a dependency of that name is due for the first time, and, where that is earlier than its schedule says, from when on the
/// schedule holds.
pub fn begin(name: &str, interval: Duration, now: Now) -> (Moment, Option<Moment>) {
    let regular = first_due(name, interval, now);
    // Spread like everything else: ten thousand that are due once a day would otherwise begin at once.
    let soon = first_due(name, SOON.min(interval), now);
    if regular <= soon {
        (regular, None)
    } else {
        (soon, Some(regular))
    }
}

/// The first moment at which a dependency of that name is due by its schedule: the same place within the interval of civil time at every
/// start, so that a restart, or many at once, neither herds the probes nor shifts them.
pub fn first_due(name: &str, interval: Duration, now: Now) -> Moment {
    let interval = nanos(interval).max(1);
    let place = stable_hash(name) % interval;
    let present = now
        .wall
        .unix_nanos()
        .rem_euclid(i64::try_from(interval).unwrap_or(i64::MAX)) as u64;
    let wait = (place + interval - present % interval) % interval;
    now.moment + Duration::from_nanos(wait)
}

/// What follows a due moment that was noticed at `now`: the next due moment, and how many were missed in between.
pub fn after(due: Moment, interval: Duration, now: Moment) -> (Moment, u64) {
    let step = nanos(interval).max(1);
    let missed = nanos(now.since(due)) / step;
    (
        due + Duration::from_nanos(step.saturating_mul(missed + 1)),
        missed,
    )
}

/// FNV-1a, 64 bits, with a final mix so that its low bits can be used: stable across versions and machines.
fn stable_hash(text: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    fn at(seconds: u64, wall: i64) -> Now {
        Now {
            moment: Moment::from_secs(seconds),
            wall: Wall::from_unix_secs(wall),
        }
    }

    #[test]
    fn the_place_in_the_interval_survives_a_restart() {
        let interval = Duration::from_secs(30);
        let first = first_due("payments", interval, at(0, 1_000));
        let wall_of_first = 1_000_000_000_000 + first.as_nanos() as i64;
        let again = first_due("payments", interval, at(500, 7_777));
        let wall_of_again = 7_777_000_000_000 + (again.as_nanos() - 500_000_000_000) as i64;
        assert_eq!(
            wall_of_first.rem_euclid(30_000_000_000),
            wall_of_again.rem_euclid(30_000_000_000)
        );
        assert!(first < Moment::from_secs(30));
    }

    #[test]
    fn names_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let mut tenths = [0_u32; 10];
        for i in 0..10_000 {
            let due = first_due(&format!("dependency-{i}"), interval, at(0, 1_795_478_400));
            tenths[(due.as_nanos() / 1_000_000_000) as usize] += 1;
        }
        assert!(tenths.iter().all(|n| (850..1_150).contains(n)), "{tenths:?}");
    }

    #[test]
    fn the_first_round_is_soon_and_spread_and_the_schedule_holds_from_then_on() {
        let now = at(500, 1_795_478_400);
        for interval in [10, 30, 60] {
            let interval = Duration::from_secs(interval);
            let regular = first_due("payments", interval, now);
            assert_eq!(begin("payments", interval, now), (regular, None));
        }
        let day = Duration::from_secs(86_400);
        let mut tenths = [0_u32; 10];
        for i in 0..10_000 {
            let name = format!("dependency-{i}");
            let (first, regular) = begin(&name, day, now);
            let wait = first.since(now.moment);
            assert!(wait < SOON, "{wait:?}");
            tenths[(wait.as_secs() / 6) as usize] += 1;
            assert_eq!(regular.unwrap_or(first), first_due(&name, day, now));
        }
        assert!(tenths.iter().all(|n| (850..1_150).contains(n)), "{tenths:?}");
    }

    #[test]
    fn missed_rounds_are_counted_and_the_rate_stays_fixed() {
        let interval = Duration::from_secs(10);
        let due = Moment::from_secs(100);
        assert_eq!(
            after(due, interval, Moment::from_secs(100)),
            (Moment::from_secs(110), 0)
        );
        assert_eq!(
            after(due, interval, Moment::from_secs(109)),
            (Moment::from_secs(110), 0)
        );
        assert_eq!(
            after(due, interval, Moment::from_secs(137)),
            (Moment::from_secs(140), 3)
        );
    }
}
