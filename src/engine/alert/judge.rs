//! When rules are looked at, and what is done with what they say.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, Holds, ResolvedBecause, Rule, RuleScope};
use crate::model::alert_policy::RulePolicy;
use crate::model::dependency::DependencyIndex;
use crate::model::failure::{OperationRecord, Verdict};
use crate::model::plan::Plan;
use crate::model::time::{Moment, Now};

use super::super::Engine;
use super::super::operation::Stage;
use super::super::slot::Slot;
use super::machine::Standing;
use super::signals::{self, Beside};
use super::subject::Who;
use super::{Marks, rules, words};

/// A timer that comes so late comes to a process that was not there meanwhile: what it would end has not been watched.
const NOT_THERE: Duration = Duration::from_secs(10);

impl Engine {
    /// A concluded operation, after everything else has taken note of it.
    pub(in super::super) fn judge_operation(
        &mut self,
        index: DependencyIndex,
        record: &Arc<OperationRecord>,
        now: Now,
    ) {
        if self.one_round {
            return;
        }
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        let place = slot.host;
        if record.verdict == Verdict::Inconclusive {
            self.pause_alerts(Who::Dependency(index), record.started_at);
            self.pause_alerts(Who::Host(place), record.started_at);
            return;
        }
        let beside = beside(slot);
        slot.signals.note(record, beside, now.moment);
        let (who, is_suspended) = (Who::Dependency(index), slot.suspended);
        self.keep_signals_when_due(index, now);
        if is_suspended {
            self.pause_alerts(who, now.moment);
            return;
        }
        let slot = self.tables.slot(index);
        if slot.is_some_and(|slot| !slot.marks.active.is_empty() || !rules::is_well(slot, now)) {
            self.move_between_speeds(index);
            for rule in rules::OF_DEPENDENCIES {
                self.judge(who, *rule, Some(record), now);
            }
        }
        let host = self.tables.hosts.get(place);
        if host.is_some_and(|host| !host.marks.active.is_empty() || host.windows.is_troubled(now.moment)) {
            for rule in rules::OF_HOSTS {
                self.judge(Who::Host(place), *rule, Some(record), now);
            }
        }
    }

    /// Looks at one rule and follows it.
    pub(super) fn judge(&mut self, who: Who, rule: Rule, record: Option<&Arc<OperationRecord>>, now: Now) {
        let Some(policy) = self.terms(who, rule).filter(|policy| policy.enabled) else {
            return;
        };
        let judged = self.judged(who, rule, &policy, now);
        let was_raised = self.marks(who).raised.contains(rule);
        if judged.holds != Holds::Yes && !self.marks(who).active.contains(rule) {
            return;
        }
        let Some(key) = self.key_of(who, rule) else { return };
        let standing = Standing {
            holds: judged.holds,
            enough: judged.enough,
        };
        self.alerts.step(&key, standing, &policy, now, &mut self.alarms);
        self.mark(who, &key);
        self.note_end_of_down(who, rule, was_raised, now);
        if judged.holds == Holds::Yes {
            self.describe(who, &key, record, now);
        }
    }

    /// What was told as "down" and is over is not told again by other rules.
    fn note_end_of_down(&mut self, who: Who, rule: Rule, was_raised: bool, now: Now) {
        let is_down_rule = matches!(rule, Rule::DependencyDownFast | Rule::DependencyDownSlow);
        if !is_down_rule || !was_raised || self.marks(who).raised.contains(rule) {
            return;
        }
        if let Who::Dependency(index) = who
            && let Some(slot) = self.tables.slot_mut(index)
        {
            slot.signals.down_is_over(now.moment);
        }
    }

    /// What the rule makes of its subject.
    pub(super) fn judged(&self, who: Who, rule: Rule, policy: &RulePolicy, now: Now) -> rules::Judged {
        match who {
            Who::Dependency(index) => match self.tables.slot(index) {
                Some(slot) => rules::of_dependency(rule, policy, slot, now),
                None => rules::Judged::unclear(),
            },
            Who::Host(place) => match self.tables.hosts.get(place) {
                Some(host) => rules::of_host(rule, policy, host, now),
                None => rules::Judged::unclear(),
            },
            Who::Monitor => self.judged_ourselves(rule, policy, now),
        }
    }

    /// A streak of failures belongs to one of two rules, by how fast the last ones were. Where that changes before
    /// either is raised, what was counted stays counted.
    fn move_between_speeds(&mut self, index: DependencyIndex) {
        let Some(slot) = self.tables.slot(index) else {
            return;
        };
        let (marks, target) = (slot.marks, rules::down::rule_of(slot));
        let other = rules::down::other(target);
        let enabled = slot.dependency.alerts.rule(target).enabled;
        let is_pending = marks.active.contains(other) && !marks.raised.contains(other);
        if !enabled || !slot.signals.is_failing() || !is_pending || marks.active.contains(target) {
            return;
        }
        let who = Who::Dependency(index);
        if let (Some(from), Some(to)) = (self.key_of(who, other), self.key_of(who, target)) {
            self.alerts.hand_over(&from, &to);
            self.mark(who, &from);
            self.mark(who, &to);
        }
    }

    /// Puts down where the alert stands in its subject's marks.
    pub(super) fn mark(&mut self, who: Who, key: &AlertKey) {
        let state = self.alerts.get(key).map(|alert| alert.state);
        if let Some(marks) = self.marks_mut(who) {
            marks.active.set(key.rule, state.is_some());
            marks
                .raised
                .set(key.rule, state.is_some_and(|state| state.is_raised()));
        }
    }

    /// Says of an alert that is not quiet what it is about now.
    fn describe(&mut self, who: Who, key: &AlertKey, record: Option<&Arc<OperationRecord>>, now: Now) {
        let labels = self.alert_labels(who);
        let severity = self.alert_severity(who, key.rule);
        // An operation that does not show what the alert is about does not replace the last one that did.
        let before = self.alerts.get(key).and_then(|alert| alert.record.clone());
        let record = record.filter(|record| words::is_telling(key.rule, record));
        let record = record.cloned().or(before);
        let text = Arc::new(words::text(self, who, key.rule, record.as_deref(), now));
        if let Some(alert) = self.alerts.book.get_mut(key) {
            (alert.labels, alert.severity, alert.text) = (labels, severity, text);
            alert.record = record;
        }
    }

    /// Nothing can be said of the subject from that moment on.
    fn pause_alerts(&mut self, who: Who, from: Moment) {
        for rule in self.marks(who).active.iter() {
            if let Some(key) = self.key_of(who, rule) {
                self.alerts.pause(&key, from);
            }
        }
    }

    /// We went offline: nothing can be said of those who are suspended, since that moment.
    pub(in super::super) fn pause_suspended(&mut self, from: Moment) {
        let slots = self.tables.slots.iter();
        let suspended = slots.filter(|(_, slot)| slot.suspended);
        let whose: Vec<(u32, u32)> = suspended.map(|(place, slot)| (place, slot.host)).collect();
        for (place, host) in whose {
            self.pause_alerts(Who::Dependency(DependencyIndex(place)), from);
            self.pause_alerts(Who::Host(host), from);
        }
    }

    /// The time for which an alert had to stand as it does is over, if nothing contradicted.
    pub(in super::super) fn alert_due(&mut self, serial: u64, due: Moment, now: Now) {
        let Some(key) = self.alerts.take_timer(serial) else {
            return;
        };
        let Some(who) = self.who(&key.subject) else {
            return;
        };
        if now.moment.since(due) > NOT_THERE {
            self.alerts.pause(&key, due);
            return;
        }
        // An operation that waits for our own sight will say whether this is true.
        if self.awaits_sight(who) {
            return;
        }
        if let Some(policy) = self.terms(who, key.rule) {
            let was_raised = self.marks(who).raised.contains(key.rule);
            self.alerts.ripen(&key, &policy, now, &mut self.alarms);
            self.mark(who, &key);
            self.note_end_of_down(who, key.rule, was_raised, now);
        }
    }

    fn awaits_sight(&self, who: Who) -> bool {
        let Who::Dependency(index) = who else {
            return false;
        };
        let operation = self.tables.slot(index).and_then(|slot| slot.operation.as_deref());
        operation.is_some_and(|operation| matches!(operation.stage, Stage::AwaitingSight { .. }))
    }

    /// The dependency leaves the plan, or is another one under the same name from now on.
    pub(in super::super) fn end_alerts_of(&mut self, index: DependencyIndex) {
        let who = Who::Dependency(index);
        self.forget_signals(index);
        for rule in self.marks(who).active.iter() {
            if let Some(key) = self.key_of(who, rule) {
                self.alerts.end(&key, ResolvedBecause::Removed);
            }
        }
        if let Some(marks) = self.marks_mut(who) {
            *marks = Marks::default();
        }
    }

    /// The dependency is asked in another way: what is known of it is of before, until it answers again.
    pub(in super::super) fn pause_alerts_of(&mut self, index: DependencyIndex, from: Moment) {
        self.pause_alerts(Who::Dependency(index), from);
    }

    /// Another plan is in force: alerts of those who are gone, and of rules that were switched off, are over.
    pub(in super::super) fn replan_alerts(&mut self, plan: &Plan, now: Now) {
        if self.one_round {
            return;
        }
        self.alerts.terms = plan.alerting.clone();
        let scale_out = plan.scale_out.as_ref();
        self.alerts.replica = scale_out.map(|scale_out| Arc::clone(&scale_out.name));
        self.settle_host_terms(scale_out.map_or(&[], |scale_out| &scale_out.neighbours));
        self.watch_ourselves(now);
        self.recall_signals(now);
        let keys: Vec<AlertKey> = self.alerts.book.keys().cloned().collect();
        for key in keys {
            let who = self
                .who(&key.subject)
                .filter(|who| who.scope() == key.rule.scope());
            let policy = who.and_then(|who| self.terms(who, key.rule));
            match (who, policy) {
                (Some(who), Some(policy)) => {
                    if !policy.enabled {
                        self.alerts.end(&key, ResolvedBecause::Disabled);
                    }
                    // Thresholds, labels and severity may be others now.
                    self.alerts.ripen(&key, &policy, now, &mut self.alarms);
                    self.mark(who, &key);
                    let (labels, severity) = (self.alert_labels(who), self.alert_severity(who, key.rule));
                    if let Some(alert) = self.alerts.book.get_mut(&key) {
                        (alert.labels, alert.severity) = (labels, severity);
                    }
                }
                _ => self.alerts.end(&key, ResolvedBecause::Removed),
            }
        }
    }

    pub(super) fn scope_rules(scope: RuleScope) -> impl Iterator<Item = Rule> {
        Rule::ALL
            .iter()
            .copied()
            .filter(move |rule| rule.scope() == scope)
    }
}

/// What is known of the dependency beside the operation itself.
fn beside(slot: &Slot) -> Beside {
    Beside {
        not_after: slot.tally.not_after,
        regressed: slot.marks.active.contains(Rule::LatencyRegression),
        names_differ: slot.tally.dns_answers_differ,
        broken: signals::BROKEN.iter().any(|id| slot.has_finding(*id)),
    }
}
