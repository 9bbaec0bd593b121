//! What is kept of a dependency's operations with all their evidence: the last that succeeded, and of those that did not
//! the last ones and at least one of each cause.
//!
//! Records are the largest thing that the engine holds, so that their number is bounded twice: for one dependency, and
//! over all of them. Where thousands are watched, each keeps fewer; the last success is always kept.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::cause::Cause;
use crate::model::failure::{OperationRecord, Verdict};

/// Most successes and most failures of one dependency.
const EACH: Room = Room {
    successes: 3,
    failures: 10,
};
/// Successes and failures that all dependencies together may keep (as far as [`LEAST`] allows): a record of an HTTPS
/// operation takes some kilobytes.
const ALL: Room = Room {
    successes: 6_000,
    failures: 50_000,
};
/// What is kept of one dependency in any case.
const LEAST: Room = Room {
    successes: 1,
    failures: 3,
};
/// Most failures where their causes differ: each cause keeps one, beyond the room for the last ones.
const CAUSES: usize = 12;

/// How many records one dependency may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    successes: usize,
    failures: usize,
}

impl Room {
    /// The room of each where so many dependencies are watched.
    pub fn among(dependencies: usize) -> Room {
        let share = |all: usize, least: usize, most: usize| (all / dependencies.max(1)).clamp(least, most);
        Room {
            successes: share(ALL.successes, LEAST.successes, EACH.successes),
            failures: share(ALL.failures, LEAST.failures, EACH.failures),
        }
    }
}

/// The operations of one dependency that are kept.
#[derive(Debug, Default)]
pub struct History {
    /// Newest first, without gaps. In place, since nearly every dependency has one and no more.
    successes: [Option<Arc<OperationRecord>>; EACH.successes],
    /// Newest first: whatever was not answered at the first attempt.
    failures: VecDeque<Arc<OperationRecord>>,
}

impl History {
    /// Keeps a concluded operation, and gives up what has no room beside it.
    pub fn keep(&mut self, record: &Arc<OperationRecord>, room: Room) {
        match record.verdict {
            Verdict::Ok => {
                self.successes.rotate_right(1);
                self.successes[0] = Some(Arc::clone(record));
                self.successes[room.successes..].fill(None);
            }
            Verdict::RetriedOk | Verdict::Failed | Verdict::Inconclusive => {
                self.failures.push_front(Arc::clone(record));
                while self.failures.len() > room.failures && self.give_up_one(room) {}
            }
        }
    }

    /// Gives up the oldest failure whose cause a newer one shows as well; where none does, the oldest of too many.
    fn give_up_one(&mut self, room: Room) -> bool {
        let causes: Vec<Option<Cause>> = self.failures.iter().map(|record| shown(record)).collect();
        let doubled = (0..causes.len())
            .rev()
            .find(|&place| causes[..place].contains(&causes[place]));
        let too_many = causes.len() > CAUSES.max(room.failures);
        let place = doubled.or_else(|| too_many.then(|| causes.len() - 1));
        place.is_some_and(|place| self.failures.remove(place).is_some())
    }

    /// The last operation that was answered at its first attempt.
    pub fn last_success(&self) -> Option<&Arc<OperationRecord>> {
        self.successes[0].as_ref()
    }

    /// Those before it, newest first.
    pub fn earlier_successes(&self) -> impl Iterator<Item = &Arc<OperationRecord>> {
        self.successes.iter().skip(1).flatten()
    }

    /// Those that were not, newest first.
    pub fn failures(&self) -> impl Iterator<Item = &Arc<OperationRecord>> {
        self.failures.iter()
    }
}

/// The cause that an operation shows: of its failure, or of the attempt that a retry made up for.
fn shown(record: &OperationRecord) -> Option<Cause> {
    let attempts = record.attempts.iter().rev();
    let of_attempts = || attempts.filter_map(|attempt| attempt.failure.as_ref()).next();
    let failure = record.failure.as_ref().or_else(of_attempts);
    failure.map(|failure| failure.cause)
}
