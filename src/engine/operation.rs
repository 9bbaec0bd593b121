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
    /// When the last attempt so far ended: what the operation took. Second looks are time of ours, not of the dependency.
    pub answered: Moment,
    pub attempts: Vec<AttemptRecord>,
    /// Attempts (by bit) that are counted only when it is known whether they are excused.
    pub uncounted: u32,
    pub confirmations: Vec<ConfirmationRecord>,
    pub findings: Vec<Finding>,
    /// What each of its surveys found, by the kind of look.
    pub surveyed: Vec<(&'static str, Vec<Finding>)>,
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
    /// For an observation of our own network that began at that moment or later: the verdict depends on it.
    AwaitingSight {
        since: Moment,
    },
    /// In one round, for what other targets show of the time: whether a certificate is out of date, or our clock.
    AwaitingOthers,
    /// For a second look at `failure`, or for a survey where there is none; the rest are still to be made.
    Confirming {
        failure: Option<Box<Failure>>,
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
            answered: now.moment,
            attempts: Vec::with_capacity(1),
            uncounted: 0,
            confirmations: Vec::new(),
            findings: Vec::new(),
            surveyed: Vec::new(),
        }
    }

    pub fn remaining(&self, now: Moment) -> Duration {
        self.deadline.since(now)
    }

    /// The time one second look may take from now. A failure that used up the total leaves no time for looking twice, so
    /// that looks may run beyond it by `allowance`.
    pub fn look_budget(&self, timeouts: &Timeouts, allowance: Duration, now: Moment) -> Duration {
        (self.deadline + allowance).since(now).min(timeouts.attempt)
    }

    /// The time one attempt may take from now, and whose budget that is. Where both end at once it is the
    /// total: no time is left for another attempt, and on the command line it is the one that the user gave.
    pub fn attempt_budget(&self, timeouts: &Timeouts, now: Moment) -> (Duration, Budget) {
        let remaining = self.remaining(now);
        if remaining <= timeouts.attempt {
            (remaining, Budget::Total)
        } else {
            (timeouts.attempt, Budget::Attempt)
        }
    }
}
