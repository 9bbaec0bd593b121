//! The breaker of one dependency: it suppresses retries and second looks while operations keep failing. The scheduled
//! first attempt is always made, and is the trial, so an outage is always watched.

use crate::model::dependency::BreakerPolicy;
use crate::model::event::BreakerState;
use crate::model::time::Moment;

/// The last operations as bits (1 failed) and the state that follows from them.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    failed: u32,
    seen: u8,
    state: BreakerState,
    paused_until: Moment,
}

/// What the breaker says of an operation about to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Retries and second looks may be made.
    Full,
    /// The first attempt alone.
    FirstAttemptOnly,
    /// Nothing is asked: only with `refuse: true`, and never of the trial after the pause.
    Refused,
}

impl Breaker {
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Asks before an operation starts. After the pause one operation is let through in full, as the trial.
    pub fn admit(&mut self, policy: &BreakerPolicy, now: Moment) -> Admission {
        if self.state == BreakerState::Suppressing && now >= self.paused_until {
            self.state = BreakerState::Trying;
        }
        match self.state {
            BreakerState::Admitting | BreakerState::Trying => Admission::Full,
            BreakerState::Suppressing if policy.refuse => Admission::Refused,
            BreakerState::Suppressing => Admission::FirstAttemptOnly,
        }
    }

    /// Takes a conclusive operation into account.
    pub fn conclude(&mut self, policy: &BreakerPolicy, failed: bool, now: Moment) {
        let window = u32::from(policy.window.clamp(1, 32));
        let mask = if window == 32 { u32::MAX } else { (1 << window) - 1 };
        self.failed = ((self.failed << 1) | u32::from(failed)) & mask;
        self.seen = self.seen.saturating_add(1).min(window as u8);
        if !failed && self.state != BreakerState::Admitting {
            // One success ends the suppression: the scheduled attempt is the trial, and it worked.
            *self = Breaker::default();
            self.seen = 1;
            return;
        }
        let tripped = self.seen >= policy.minimum.max(1) && self.share() >= policy.failure_share;
        if failed
            && (self.state == BreakerState::Trying || (self.state == BreakerState::Admitting && tripped))
        {
            self.state = BreakerState::Suppressing;
            self.paused_until = now + policy.pause;
        }
    }

    /// Share of failed operations in the window, 0 to 1.
    fn share(&self) -> f32 {
        if self.seen == 0 {
            0.0
        } else {
            self.failed.count_ones() as f32 / f32::from(self.seen)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failure_share: 0.5,
        window: 10,
        minimum: 5,
        pause: Duration::from_secs(60),
        refuse: false,
    };

    #[test]
    fn it_needs_a_minimum_and_a_share() {
        let mut breaker = Breaker::default();
        let now = Moment::from_secs(0);
        for _ in 0..4 {
            breaker.conclude(&POLICY, true, now);
        }
        assert_eq!(breaker.state(), BreakerState::Admitting);
        breaker.conclude(&POLICY, true, now);
        assert_eq!(breaker.state(), BreakerState::Suppressing);

        let mut healthy = Breaker::default();
        for i in 0..100 {
            healthy.conclude(&POLICY, i % 3 == 0, now);
        }
        assert_eq!(healthy.state(), BreakerState::Admitting);
    }

    #[test]
    fn it_tries_after_the_pause_and_admits_after_one_success() {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.conclude(&POLICY, true, Moment::from_secs(0));
        }
        assert_eq!(
            breaker.admit(&POLICY, Moment::from_secs(59)),
            Admission::FirstAttemptOnly
        );
        breaker.conclude(&POLICY, true, Moment::from_secs(59));
        assert_eq!(breaker.state(), BreakerState::Suppressing);
        assert_eq!(breaker.admit(&POLICY, Moment::from_secs(60)), Admission::Full);
        assert_eq!(breaker.state(), BreakerState::Trying);
        breaker.conclude(&POLICY, true, Moment::from_secs(61));
        assert_eq!(breaker.state(), BreakerState::Suppressing);
        assert_eq!(
            breaker.admit(&POLICY, Moment::from_secs(62)),
            Admission::FirstAttemptOnly
        );
        breaker.conclude(&POLICY, false, Moment::from_secs(62));
        assert_eq!(breaker.state(), BreakerState::Admitting);
    }

    #[test]
    fn it_refuses_only_when_asked_to() {
        let policy = BreakerPolicy {
            refuse: true,
            ..POLICY
        };
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.conclude(&policy, true, Moment::from_secs(0));
        }
        assert_eq!(breaker.admit(&policy, Moment::from_secs(1)), Admission::Refused);
        assert_eq!(breaker.admit(&policy, Moment::from_secs(60)), Admission::Full);
    }
}
