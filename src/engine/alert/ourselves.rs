//! What we know of ourselves, and when we look at it.

use std::time::Duration;

use crate::model::alert::{Rule, RuleScope};
use crate::model::alert_policy::RulePolicy;
use crate::model::monitor::SelfFacts;
use crate::model::time::{Moment, Now};

use super::super::Engine;
use super::super::schedule::Alarm;
use super::Alerts;
use super::rings::Ring;
use super::rules::monitor::Facts;
use super::rules::{self, Judged};
use super::subject::Who;

/// Time between two looks at ourselves: the rules wait for a minute and more.
const EVERY: Duration = Duration::from_secs(10);
/// An operation that begins later than that after it was due is late, or than a tenth of its interval where that is more.
const LATE: Duration = Duration::from_secs(1);
/// Slots of half a minute, five minutes in all.
const SLOTS: u64 = 11;

/// What the rules about the monitor look at.
#[derive(Debug, Default)]
pub struct Ourselves {
    edges: SelfFacts,
    /// Operations that were due, and those of them that were left out or began late.
    late: Ring<11, 30>,
    is_watched: bool,
}

/// Whether an operation that began so long after it was due is late.
pub fn is_late(lag: Duration, interval: Duration) -> bool {
    lag > LATE.max(interval / 10)
}

impl Alerts {
    /// An operation was due, and was left out or began late, or not.
    pub fn note_due(&mut self, late: bool, now: Now) {
        self.ourselves.late.add(late, now.moment);
    }
}

impl Engine {
    /// The first plan is in force: from now on we look at ourselves.
    pub(super) fn watch_ourselves(&mut self, now: Now) {
        if !std::mem::replace(&mut self.alerts.ourselves.is_watched, true) {
            self.alarms.set(now.moment + EVERY, Alarm::Ourselves);
        }
    }

    pub(in super::super) fn look_at_ourselves(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        self.judge_ourselves(now);
        self.alarms.set(now.moment + EVERY, Alarm::Ourselves);
    }

    pub(in super::super) fn self_observed(&mut self, facts: SelfFacts, now: Now) {
        self.alerts.ourselves.edges = facts;
        // Nothing is raised before the first plan says by which thresholds.
        if self.alerts.ourselves.is_watched {
            self.judge_ourselves(now);
        }
    }

    fn judge_ourselves(&mut self, now: Now) {
        for rule in Engine::scope_rules(RuleScope::Monitor) {
            self.judge(Who::Monitor, rule, None, now);
        }
    }

    pub(super) fn judged_ourselves(&self, rule: Rule, policy: &RulePolicy, now: Now) -> Judged {
        self.with_facts(now, |facts| rules::monitor::judge(rule, policy, facts))
    }

    /// What we know of ourselves now.
    pub(super) fn with_facts<T>(&self, now: Now, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let deliveries = self.delivery_troubles();
        look(&Facts {
            edges: &self.alerts.ourselves.edges,
            offline: self.vantage.offline_because(),
            scarce: self.headroom.scarce(now.moment),
            late: self.late(now.moment),
            deliveries: &deliveries,
            now: now.wall,
        })
    }

    fn late(&self, now: Moment) -> super::stats::Share {
        self.alerts.ourselves.late.sum(SLOTS, now)
    }
}
