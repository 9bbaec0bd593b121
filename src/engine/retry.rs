//! Whether an attempt is made again, when, and why not.

use std::time::Duration;

use crate::model::attempt::{Attempt, RetryAfter, StaleKind};
use crate::model::cause::{Cause, Retryable};
use crate::model::dependency::RetryPolicy;
use crate::model::failure::{Failure, RetryDecision, RetryDelay};
use crate::model::time::Wall;

use super::random::Random;

/// What a host's operations put into its retry budget, in retries (Finagle's and linkerd's default ratio).
const DEPOSIT: f64 = 0.2;
/// The least capacity of a host's retry budget.
const CAPACITY_FLOOR: f64 = 10.0;

/// A token bucket per host: retries may not exceed a fifth of operations for long, however many dependencies share it.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    tokens: f64,
    capacity: f64,
}

impl RetryBudget {
    /// Starts full; `attempts` is the most that any dependency of the host may make.
    pub fn new(attempts: u8) -> Self {
        let capacity = CAPACITY_FLOOR.max(f64::from(attempts.saturating_sub(1)));
        RetryBudget {
            tokens: capacity,
            capacity,
        }
    }

    /// An operation begins.
    pub fn deposit(&mut self) {
        self.tokens = (self.tokens + DEPOSIT).min(self.capacity);
    }

    pub fn allows(&self) -> bool {
        self.tokens >= 1.0
    }

    /// A retry is made.
    pub fn withdraw(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }

    pub fn available(&self) -> f64 {
        self.tokens
    }

    /// Another dependency with more attempts joins the host.
    pub fn make_room_for(&mut self, attempts: u8) {
        self.capacity = self.capacity.max(f64::from(attempts.saturating_sub(1)));
    }
}

/// All that a retry decision looks at.
#[derive(Debug)]
pub struct Question<'a> {
    pub policy: RetryPolicy,
    pub failure: &'a Failure,
    /// How many attempts were made.
    pub made: u8,
    pub idempotent: bool,
    /// What is left of the total budget.
    pub remaining: Duration,
    pub retry_after: Option<Duration>,
    pub suppressed_by_breaker: bool,
    pub budget_allows: bool,
    pub stopping: bool,
}

/// Decides; the order of the checks is the order in which a person would want to hear the reasons.
pub fn decide(question: &Question<'_>, random: &mut Random) -> RetryDecision {
    if question.stopping {
        return RetryDecision::Stopping;
    }
    match question.failure.cause.retryable() {
        Retryable::No => return RetryDecision::NotRetryable,
        Retryable::IdempotentOnly if !question.idempotent => return RetryDecision::NotIdempotent,
        Retryable::IdempotentOnly | Retryable::Yes | Retryable::WithBackoff => {}
    }
    if is_stale(question.failure.cause) && !question.idempotent {
        // The peer may have read the request before it closed: only the sender can know (RFC 9110, section 9.2.2).
        return RetryDecision::NotIdempotent;
    }
    if question.made >= question.policy.attempts {
        return RetryDecision::AttemptsExhausted;
    }
    let (after, because) = delay(question, random);
    if after >= question.remaining {
        return match because {
            RetryDelay::RetryAfter => RetryDecision::RetryAfterTooLong { asked: after },
            RetryDelay::Backoff | RetryDelay::FreshConnection => RetryDecision::NoTimeLeft,
        };
    }
    if question.suppressed_by_breaker {
        return RetryDecision::BreakerSuppressing;
    }
    if !question.budget_allows {
        return RetryDecision::BudgetEmpty;
    }
    RetryDecision::Retry { after, because }
}

fn delay(question: &Question<'_>, random: &mut Random) -> (Duration, RetryDelay) {
    if let Some(asked) = question.retry_after {
        return (asked, RetryDelay::RetryAfter);
    }
    if is_stale(question.failure.cause) {
        return (Duration::ZERO, RetryDelay::FreshConnection);
    }
    let ceiling = backoff_ceiling(question.policy, question.made.saturating_sub(1));
    (random.duration_up_to(ceiling), RetryDelay::Backoff)
}

/// `min(max, initial · 2ⁿ)` of "full jitter" (Brooker, "Exponential Backoff And Jitter", AWS, 2015).
fn backoff_ceiling(policy: RetryPolicy, n: u8) -> Duration {
    let factor = 1_u32.checked_shl(u32::from(n)).unwrap_or(u32::MAX);
    policy.initial.saturating_mul(factor).min(policy.max)
}

/// How a reused connection was lost, for the causes that say it was.
pub fn stale_kind(cause: Cause) -> Option<StaleKind> {
    match cause {
        Cause::TcpClosedStale => Some(StaleKind::Closed),
        Cause::TcpResetStale => Some(StaleKind::Reset),
        Cause::TcpTimedOutStale => Some(StaleKind::Silent),
        _ => None,
    }
}

/// A reused connection was lost: a fresh one may work at once.
fn is_stale(cause: Cause) -> bool {
    stale_kind(cause).is_some()
}

/// The delay that a response asked for, where its status makes that a promise (429 and 503: RFC 6585, RFC 9110).
pub fn retry_after(attempt: &Attempt, now: Wall) -> Option<Duration> {
    let hop = attempt.decisive_hop()?;
    if !matches!(hop.status, Some(429 | 503)) {
        return None;
    }
    match hop.response.as_ref()?.retry_after? {
        RetryAfter::Seconds(seconds) => Some(Duration::from_secs(seconds)),
        RetryAfter::At(at) => {
            let nanos = at.unix_nanos().saturating_sub(now.unix_nanos());
            Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cause::Speed;
    use crate::model::evidence::Evidence;
    use crate::model::failure::Confidence;

    fn failure(cause: Cause) -> Failure {
        Failure {
            cause,
            phase: None,
            speed: Speed::Fast,
            confidence: Confidence::Observed,
            alternatives: vec![],
            evidence: Evidence::new(),
            fix: "".into(),
            elapsed: Duration::ZERO,
            chain: vec![],
        }
    }

    fn question(failure: &Failure) -> Question<'_> {
        Question {
            policy: RetryPolicy::default(),
            failure,
            made: 1,
            idempotent: true,
            remaining: Duration::from_secs(20),
            retry_after: None,
            suppressed_by_breaker: false,
            budget_allows: true,
            stopping: false,
        }
    }

    #[test]
    fn every_reason_not_to_retry_is_said() {
        let mut random = Random::new(1);
        let refused = failure(Cause::TcpRefusedRst);
        let expired = failure(Cause::TlsCertExpired);
        let stalled = failure(Cause::HttpTimedOutFirstByte);
        let mut say = |q: Question<'_>| decide(&q, &mut random);
        assert_eq!(say(question(&expired)), RetryDecision::NotRetryable);
        assert_eq!(
            say(Question {
                idempotent: false,
                ..question(&stalled)
            }),
            RetryDecision::NotIdempotent
        );
        assert_eq!(
            say(Question {
                made: 3,
                ..question(&refused)
            }),
            RetryDecision::AttemptsExhausted
        );
        assert_eq!(
            say(Question {
                remaining: Duration::ZERO,
                ..question(&refused)
            }),
            RetryDecision::NoTimeLeft
        );
        assert_eq!(
            say(Question {
                retry_after: Some(Duration::from_secs(60)),
                ..question(&refused)
            }),
            RetryDecision::RetryAfterTooLong {
                asked: Duration::from_secs(60)
            }
        );
        assert_eq!(
            say(Question {
                suppressed_by_breaker: true,
                ..question(&refused)
            }),
            RetryDecision::BreakerSuppressing
        );
        assert_eq!(
            say(Question {
                budget_allows: false,
                ..question(&refused)
            }),
            RetryDecision::BudgetEmpty
        );
        assert_eq!(
            say(Question {
                stopping: true,
                ..question(&refused)
            }),
            RetryDecision::Stopping
        );
    }

    #[test]
    fn retry_after_wins_over_backoff_and_stale_goes_at_once() {
        let mut random = Random::new(1);
        let busy = failure(Cause::Http503);
        let asked = Duration::from_secs(3);
        assert_eq!(
            decide(
                &Question {
                    retry_after: Some(asked),
                    ..question(&busy)
                },
                &mut random
            ),
            RetryDecision::Retry {
                after: asked,
                because: RetryDelay::RetryAfter
            }
        );
        let stale = failure(Cause::TcpClosedStale);
        assert_eq!(
            decide(&question(&stale), &mut random),
            RetryDecision::Retry {
                after: Duration::ZERO,
                because: RetryDelay::FreshConnection
            }
        );
        assert_eq!(
            decide(
                &Question {
                    idempotent: false,
                    ..question(&stale)
                },
                &mut random
            ),
            RetryDecision::NotIdempotent
        );
    }

    #[test]
    fn jitter_is_full_and_bounded() {
        let policy = RetryPolicy {
            attempts: 9,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(2),
        };
        assert_eq!(backoff_ceiling(policy, 0), Duration::from_millis(200));
        assert_eq!(backoff_ceiling(policy, 3), Duration::from_millis(1600));
        assert_eq!(backoff_ceiling(policy, 4), Duration::from_secs(2));
        assert_eq!(backoff_ceiling(policy, 200), Duration::from_secs(2));
        let mut random = Random::new(7);
        let drawn: Vec<_> = (0..1000).map(|_| random.duration_up_to(policy.max)).collect();
        assert!(drawn.iter().all(|d| *d <= policy.max));
        assert!(drawn.iter().any(|d| *d < Duration::from_millis(100)));
        assert!(drawn.iter().any(|d| *d > Duration::from_millis(1900)));
    }

    #[test]
    fn a_budget_starts_full_and_refills_by_a_fifth() {
        let mut budget = RetryBudget::new(3);
        for _ in 0..10 {
            assert!(budget.allows());
            budget.withdraw();
        }
        assert!(!budget.allows());
        for _ in 0..5 {
            budget.deposit();
        }
        assert!(budget.allows());
        assert_eq!(RetryBudget::new(21).available(), 20.0);
    }
}
