//! One operation under way: a scheduled question with its attempts and second looks.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::attempt::Budget;
use crate::model::dependency::Timeouts;
use crate::model::failure::{AttemptRecord, ConfirmationRecord, Failure, Finding};
use crate::model::order::{ConfirmationKind, OperationId};
use crate::model::time::{Moment, Now};

use super::breaker::Admission;

#[derive(Debug)]
pub struct Operation {
    pub id: OperationId,
    pub started: Now,
    pub lag: Duration,
    /// When the total budget ends.
    pub deadline: Moment,
    pub admission: Admission,
    pub stage: Stage,
    pub attempts: Vec<AttemptRecord>,
    pub confirmations: Vec<ConfirmationRecord>,
    pub findings: Vec<Finding>,
}

/// What the operation waits for.
#[derive(Debug)]
pub enum Stage {
    Attempting {
        number: u8,
        since: Moment,
    },
    /// For the backoff's alarm.
    BackingOff {
        next: u8,
    },
    /// For a second look at `failure`; the rest are still to be made.
    Confirming {
        failure: Box<Failure>,
        current: ConfirmationKind,
        rest: VecDeque<ConfirmationKind>,
    },
}

impl Operation {
    pub fn new(id: OperationId, now: Now, lag: Duration, admission: Admission, timeouts: &Timeouts) -> Self {
        Operation {
            id,
            started: now,
            lag,
            deadline: now.moment + timeouts.total,
            admission,
            stage: Stage::Attempting {
                number: 1,
                since: now.moment,
            },
            attempts: Vec::with_capacity(1),
            confirmations: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub fn remaining(&self, now: Moment) -> Duration {
        self.deadline.since(now)
    }

    /// The time one attempt or second look may take from now, and whose budget that is. Where both end at once it is the
    /// total: nothing comes after it, and an attempt's own budget is often lowered to fit it.
    pub fn attempt_budget(&self, timeouts: &Timeouts, now: Moment) -> (Duration, Budget) {
        let remaining = self.remaining(now);
        if remaining <= timeouts.attempt {
            (remaining, Budget::Total)
        } else {
            (timeouts.attempt, Budget::Attempt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    #[test]
    fn an_attempt_that_may_take_all_the_time_has_the_total_budget() {
        let now = |millis| Now {
            moment: Moment::ZERO + Duration::from_millis(millis),
            wall: Wall::from_unix_secs(0),
        };
        let timeouts = |attempt| Timeouts {
            attempt: Duration::from_millis(attempt),
            total: Duration::from_millis(400),
            ..Timeouts::default()
        };
        let begun = |timeouts: &Timeouts| {
            let (id, lag) = (OperationId(1), Duration::ZERO);
            Operation::new(id, now(0), lag, Admission::Full, timeouts)
        };
        let budget_of = |attempt, at| {
            let timeouts = timeouts(attempt);
            begun(&timeouts).attempt_budget(&timeouts, now(at).moment)
        };
        assert_eq!(budget_of(400, 0), (Duration::from_millis(400), Budget::Total));
        assert_eq!(budget_of(300, 0), (Duration::from_millis(300), Budget::Attempt));
        assert_eq!(budget_of(300, 150), (Duration::from_millis(250), Budget::Total));
    }
}
