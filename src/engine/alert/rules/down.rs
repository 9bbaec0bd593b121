//! Several operations in a row failed. Two rules share that: quick failures tell of a misconfiguration or a dead process and
//! are believed soon, slow ones of an overload or the network, which often passes.
//!
//! A streak belongs to exactly one of them at a time, so that it is told once: to the fast rule while its last operations
//! all failed fast, to the slow one otherwise, and to the one that was raised for as long as that is raised.

use crate::model::alert::{Holds, Rule};
use crate::model::alert_policy::RulePolicy;

use super::super::super::slot::Slot;
use super::Judged;

/// No dependency is down by one operation, whatever is configured.
const LEAST: u32 = 2;
/// Successes in a row after which it may be up again.
pub const SUCCESSES: u32 = 2;

pub const fn other(rule: Rule) -> Rule {
    match rule {
        Rule::DependencyDownFast => Rule::DependencyDownSlow,
        _ => Rule::DependencyDownFast,
    }
}

/// The rule that the present streak belongs to.
pub fn rule_of(slot: &Slot) -> Rule {
    let raised = slot.marks.raised;
    if let Some(raised) = [Rule::DependencyDownFast, Rule::DependencyDownSlow]
        .into_iter()
        .find(|rule| raised.contains(*rule))
    {
        return raised;
    }
    let minimum = slot
        .dependency
        .alerts
        .rule(Rule::DependencyDownFast)
        .minimum
        .max(LEAST);
    let signals = &slot.signals;
    if signals.fast_in_a_row >= minimum.min(signals.failures_in_a_row) {
        Rule::DependencyDownFast
    } else {
        Rule::DependencyDownSlow
    }
}

/// The present streak is told as "down", or is about to be.
pub fn is_told(slot: &Slot) -> bool {
    let rule = rule_of(slot);
    let policy = slot.dependency.alerts.rule(rule);
    slot.marks.raised.contains(rule)
        || (policy.enabled && slot.signals.failures_in_a_row >= policy.minimum.max(LEAST))
}

pub fn judge(rule: Rule, policy: &RulePolicy, slot: &Slot) -> Judged {
    let signals = &slot.signals;
    let minimum = policy.minimum.max(LEAST);
    let (failures, successes) = (signals.failures_in_a_row, signals.successes_in_a_row);
    let judged = match (signals.is_failing(), rule_of(slot) == rule) {
        (true, true) => Judged::new(Holds::Yes, failures >= minimum),
        (true, false) => Judged::new(Holds::No, true),
        (false, _) => Judged::new(Holds::No, successes >= SUCCESSES),
    };
    let judged = judged.least("failed operations in a row", failures, minimum);
    match rule {
        Rule::DependencyDownFast => {
            judged.least("fast ones, the last of them", signals.fast_in_a_row, minimum)
        }
        _ => judged,
    }
}
