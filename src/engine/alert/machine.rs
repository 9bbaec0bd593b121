//! The life of one alert: quiet, pending, firing, recovering, and quiet again.
//!
//! How long a condition holds is measured on the monotonic clock, and only while somebody looks: time in which nothing
//! could be said (we were offline, the breaker refused, the process was not there) counts neither for raising an alert nor
//! for ending it. What was raised is told as over, always, and for a reason.

use std::time::Duration;

use crate::model::alert::{AlertChange, AlertKey, AlertState, Holds, ResolvedBecause};
use crate::model::alert_policy::RulePolicy;
use crate::model::time::{Moment, Now};

use super::super::schedule::{Alarm, Alarms};
use super::{Alert, Alerts};

/// What a rule makes of its subject, as far as the machine cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub holds: Holds,
    /// There are samples enough to raise it (where it holds) or to end it (where it does not).
    pub enough: bool,
}

impl Alert {
    /// Counts the time up to now, if it counts.
    fn count(&mut self, now: Moment) {
        if let Some(since) = self.counting {
            self.held += now.since(since);
            self.counting = Some(now);
        }
    }

    /// How long its condition has held, or has not held while it recovers, our gaps left out.
    pub fn held(&self, now: Moment) -> Duration {
        self.held + self.counting.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// From that moment on time does not count; it may lie a little back.
    fn pause(&mut self, from: Moment) {
        if let Some(since) = self.counting.take() {
            self.held += from.since(since);
        }
    }

    /// How long must be counted until the state ends by itself, if it does.
    fn wanted(&self, policy: &RulePolicy) -> Option<Duration> {
        match self.state {
            AlertState::Pending { .. } => Some(policy.hold),
            AlertState::Recovering { .. } => Some(policy.recover),
            AlertState::Quiet | AlertState::Firing { .. } => None,
        }
    }
}

impl Alerts {
    /// Takes what the rule makes of the subject now.
    pub fn step(
        &mut self,
        key: &AlertKey,
        standing: Standing,
        policy: &RulePolicy,
        now: Now,
        alarms: &mut Alarms,
    ) {
        if !self.book.contains_key(key) {
            if standing.holds != Holds::Yes {
                return;
            }
            let state = AlertState::Pending { since: now.wall };
            self.book.insert(key.clone(), Alert::new(state));
            self.changed(key, AlertChange::Pending);
        }
        let Some(alert) = self.book.get_mut(key) else {
            return;
        };
        alert.count(now.moment);
        let was_enough = std::mem::replace(&mut alert.enough, standing.enough);
        let mut change = None;
        match (alert.state, standing.holds) {
            (AlertState::Quiet, _) | (AlertState::Firing { .. }, Holds::Yes | Holds::Between) => {}
            (_, Holds::Unclear) => {
                alert.counting = None;
                alert.enough = was_enough;
            }
            (AlertState::Pending { .. }, Holds::Yes) => {
                alert.counting = standing.enough.then_some(now.moment);
            }
            (AlertState::Pending { .. }, Holds::No | Holds::Between) => change = Some(AlertChange::Cleared),
            (AlertState::Firing { since, pending }, Holds::No) => {
                let (firing, since) = (since, now.wall);
                alert.state = AlertState::Recovering {
                    since,
                    firing,
                    pending,
                };
                (alert.held, alert.counting) = (Duration::ZERO, Some(now.moment));
                change = Some(AlertChange::Recovering);
            }
            (AlertState::Recovering { firing, pending, .. }, Holds::Yes) => {
                let since = firing;
                alert.state = AlertState::Firing { since, pending };
                (alert.held, alert.counting) = (Duration::ZERO, None);
                change = Some(AlertChange::Relapsed);
            }
            (AlertState::Recovering { .. }, Holds::Between) => alert.counting = None,
            (AlertState::Recovering { .. }, Holds::No) => alert.counting = Some(now.moment),
        }
        // What is pending and counts from now on is worth keeping, though it is no news.
        if change.is_none() && standing.enough && !was_enough {
            self.dirty.push(key.clone());
        }
        if change == Some(AlertChange::Cleared) {
            self.forget(key);
        }
        if let Some(change) = change {
            self.changed(key, change);
        }
        self.ripen(key, policy, now, alarms);
    }

    /// Raises or ends what has stood as it does for long enough; sets a timer for what has not.
    pub fn ripen(&mut self, key: &AlertKey, policy: &RulePolicy, now: Now, alarms: &mut Alarms) {
        let Some(alert) = self.book.get_mut(key) else {
            return;
        };
        alert.count(now.moment);
        let Some(wanted) = alert
            .wanted(policy)
            .filter(|_| alert.counting.is_some() && alert.enough)
        else {
            return;
        };
        if alert.held < wanted {
            let at = now.moment + (wanted - alert.held);
            self.set_timer(key, at, alarms);
            return;
        }
        match alert.state {
            AlertState::Pending { since: pending } => {
                let since = now.wall;
                alert.state = AlertState::Firing { since, pending };
                (alert.held, alert.counting) = (Duration::ZERO, None);
                self.changed(key, AlertChange::Fired);
            }
            AlertState::Recovering { .. } => {
                self.forget(key);
                self.changed(key, AlertChange::Resolved(ResolvedBecause::Recovered));
            }
            AlertState::Quiet | AlertState::Firing { .. } => {}
        }
    }

    fn set_timer(&mut self, key: &AlertKey, at: Moment, alarms: &mut Alarms) {
        let Some(alert) = self.book.get_mut(key) else {
            return;
        };
        // One timer is enough: one that is set for earlier finds out itself that it is too early.
        if alert.timer.is_some_and(|(set, _)| set <= at) {
            return;
        }
        self.serial += 1;
        let serial = self.serial;
        if let Some((_, old)) = alert.timer.replace((at, serial)) {
            self.timers.remove(&old);
        }
        self.timers.insert(serial, key.clone());
        alarms.set(at, Alarm::AlertDue { serial });
    }

    /// The alert of a timer that has come, if the timer still holds.
    pub fn take_timer(&mut self, serial: u64) -> Option<AlertKey> {
        let key = self.timers.remove(&serial)?;
        let alert = self.book.get_mut(&key)?;
        if alert.timer.is_some_and(|(_, set)| set == serial) {
            alert.timer = None;
            return Some(key);
        }
        None
    }

    /// Nothing can be said of it from that moment on.
    pub fn pause(&mut self, key: &AlertKey, from: Moment) {
        if let Some(alert) = self.book.get_mut(key).filter(|alert| alert.counting.is_some()) {
            alert.pause(from);
            self.dirty.push(key.clone());
        }
    }

    /// It is over, or is not going to be raised, for a reason beside its condition.
    pub fn end(&mut self, key: &AlertKey, because: ResolvedBecause) {
        let Some(alert) = self.forget(key) else { return };
        let change = if alert.state.is_raised() {
            AlertChange::Resolved(because)
        } else {
            AlertChange::Cleared
        };
        self.changed(key, change);
    }

    /// What one rule has counted of a condition that goes on counts for the other one, which it belongs to now.
    pub fn hand_over(&mut self, from: &AlertKey, to: &AlertKey) {
        if self.book.contains_key(to) {
            return;
        }
        let Some(mut alert) = self.forget(from) else {
            return;
        };
        self.changed(from, AlertChange::Cleared);
        alert.timer = None;
        self.book.insert(to.clone(), alert);
        self.changed(to, AlertChange::Pending);
    }

    /// Takes it out of the book. As it stood it can be looked at until the end of the step.
    fn forget(&mut self, key: &AlertKey) -> Option<Alert> {
        let alert = self.book.remove(key)?;
        if let Some((_, serial)) = alert.timer {
            self.timers.remove(&serial);
        }
        self.ended.insert(key.clone(), alert.clone());
        Some(alert)
    }

    fn changed(&mut self, key: &AlertKey, change: AlertChange) {
        // What is raised at once was not pending.
        if change == AlertChange::Fired
            && let Some((last, AlertChange::Pending)) = self.changes.last()
            && last == key
        {
            self.changes.pop();
        }
        self.changes.push((key.clone(), change));
        self.dirty.push(key.clone());
    }
}
