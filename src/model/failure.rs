//! What the engine concludes from facts: causes with their evidence, and operations with their verdict.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, Confirmation};
use super::cause::{Cause, FindingId, Speed};
use super::dependency::Dependency;
use super::evidence::Evidence;
use super::order::{ConfirmationKind, OperationId};
use super::phase::Phase;
use super::time::{Moment, Wall};

/// A named failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub cause: Cause,
    /// Where it happened.
    pub phase: Option<Phase>,
    pub speed: Speed,
    pub confidence: Confidence,
    /// What else it could be, where that is not settled.
    pub alternatives: Vec<Cause>,
    pub evidence: Evidence,
    /// One line: what to do.
    pub fix: Box<str>,
    pub elapsed: Duration,
    /// The error chain, outermost first.
    pub chain: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The fact itself says so (an rcode, an alert, a certificate).
    Observed,
    /// A second observation proved it.
    Confirmed,
    /// The best explanation; `alternatives` has the others.
    Likely,
}

impl Confidence {
    pub const fn id(self) -> &'static str {
        match self {
            Confidence::Observed => "observed",
            Confidence::Confirmed => "confirmed",
            Confidence::Likely => "likely",
        }
    }
}

/// Something worth knowing about a dependency that still answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub id: FindingId,
    pub evidence: Evidence,
    pub fix: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Ok,
    /// Answered, but only after a failed attempt.
    RetriedOk,
    Failed,
    /// Our side: offline, out of descriptors, interrupted.
    Inconclusive,
}

impl Verdict {
    pub const ALL: [Verdict; 4] = [
        Verdict::Ok,
        Verdict::RetriedOk,
        Verdict::Failed,
        Verdict::Inconclusive,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::RetriedOk => "retried_ok",
            Verdict::Failed => "failed",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// Why the engine did or did not attempt again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// It answered.
    NotNeeded,
    Retry {
        after: Duration,
        because: RetryDelay,
    },
    NotRetryable,
    /// The request may have been carried out, and its method is not idempotent.
    NotIdempotent,
    AttemptsExhausted,
    /// The next attempt would not fit into the total budget.
    NoTimeLeft,
    /// `Retry-After` asks for more time than the operation has.
    RetryAfterTooLong {
        asked: Duration,
    },
    BudgetEmpty,
    BreakerSuppressing,
    /// We are offline: asking again would show nothing.
    Offline,
    Stopping,
}

impl RetryDecision {
    pub const fn id(self) -> &'static str {
        match self {
            RetryDecision::NotNeeded => "not_needed",
            RetryDecision::Retry { .. } => "retry",
            RetryDecision::NotRetryable => "not_retryable",
            RetryDecision::NotIdempotent => "not_idempotent",
            RetryDecision::AttemptsExhausted => "attempts_exhausted",
            RetryDecision::NoTimeLeft => "no_time_left",
            RetryDecision::RetryAfterTooLong { .. } => "retry_after_too_long",
            RetryDecision::BudgetEmpty => "budget_empty",
            RetryDecision::BreakerSuppressing => "breaker_suppressing",
            RetryDecision::Offline => "offline",
            RetryDecision::Stopping => "stopping",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDelay {
    Backoff,
    RetryAfter,
    /// A stale connection: a fresh one is asked at once.
    FreshConnection,
}

impl RetryDelay {
    pub const fn id(self) -> &'static str {
        match self {
            RetryDelay::Backoff => "backoff",
            RetryDelay::RetryAfter => "retry_after",
            RetryDelay::FreshConnection => "fresh_connection",
        }
    }
}

/// One attempt with what was made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    pub number: u8,
    /// When it began, on the monotonic clock.
    pub at: Moment,
    pub attempt: Attempt,
    pub failure: Option<Failure>,
    pub decision: RetryDecision,
}

/// A second look that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmationRecord {
    pub kind: ConfirmationKind,
    pub confirmation: Confirmation,
    /// The causes that were possible before this look and are not any more.
    pub ruled_out: Vec<Cause>,
}

/// A concluded operation: one scheduled question with all its attempts and second looks. The same record feeds the log,
/// the history, `check`, the API and traces.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationRecord {
    pub id: OperationId,
    pub dependency: Arc<Dependency>,
    pub started: Wall,
    pub started_at: Moment,
    /// How late it began against its schedule.
    pub lag: Duration,
    pub elapsed: Duration,
    pub verdict: Verdict,
    /// Of the operation, when it failed or is inconclusive. The attempts have their own.
    pub failure: Option<Failure>,
    pub attempts: Vec<AttemptRecord>,
    pub confirmations: Vec<ConfirmationRecord>,
    pub findings: Vec<Finding>,
}

/// How a dependency stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Never probed, or not yet conclusively.
    Unknown,
    Up {
        since: Wall,
    },
    Failing {
        since: Wall,
        cause: Cause,
        phase: Option<Phase>,
        speed: Speed,
    },
}

impl State {
    pub const fn id(&self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up { .. } => "up",
            State::Failing { .. } => "failing",
        }
    }
}
