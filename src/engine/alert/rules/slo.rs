//! The error budget burns: multi-window, multi-burn-rate alerts (Google, The Site Reliability Workbook, chapter 5, "Alerting
//! on SLOs"). A long window says that it matters, a short one that it still goes on.
//!
//! Two things are added, since a probe asks seldom. The long window's share is judged by its lower bound: two failures in an
//! hour of 30 s probes burn nothing that is known. And it is a share of what the window holds when it is full: "2 % of the
//! month's budget" is not said after ten minutes of life.
//!
//! What an alert told as "down" is not told a second time when the dependency is up again: for the length of the short window
//! after that, these rules raise nothing.

use crate::model::alert::{Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Moment;

use super::super::super::slot::Slot;
use super::super::rings::Span;
use super::super::stats::{Z_99, Z_STRICT};
use super::{Judged, expected};

/// Fewest failures in the long window, whatever is configured.
const LEAST: u32 = 3;

/// The long window and the short one, and how sure the long one must be. The slowest burn is the budget itself: a
/// dependency that lives exactly within its objective is looked at thousands of times a day and must not be found guilty by
/// chance.
pub const fn windows(rule: Rule) -> (Span, Span, f64) {
    match rule {
        Rule::SloBurnFast => (Span::Hour, Span::FiveMinutes, Z_99),
        Rule::SloBurnMedium => (Span::SixHours, Span::HalfHour, Z_99),
        _ => (Span::ThreeDays, Span::SixHours, Z_STRICT),
    }
}

pub fn judge(rule: Rule, policy: &RulePolicy, slot: &Slot, now: Moment) -> Judged {
    let signals = &slot.signals;
    let (long_span, short_span, z) = windows(rule);
    let interval = slot.dependency.interval;
    let full = |span: Span| expected(span.duration(), interval);
    let long = signals.rings.sum(long_span, now).of_at_least(full(long_span));
    let short = signals.rings.sum(short_span, now);
    // No share is above one, whatever the objective.
    let wanted = (policy.threshold * slot.dependency.alerts.budget()).min(0.9);
    let minimum = policy.minimum.max(LEAST);
    let bound = long.lower_bound(z);
    let was_told = super::down::is_told(slot)
        || signals
            .down_ended
            .is_some_and(|ended| now.since(ended) < short_span.duration());
    let is_over = long.value() < wanted / 2.0 || (short.of > 0 && short.value() < wanted / 2.0);
    let holds = if is_over {
        Holds::No
    } else if bound > wanted && short.value() > wanted && long.part >= u64::from(minimum) && !was_told {
        Holds::Yes
    } else {
        Holds::Between
    };
    let failures = u32::try_from(long.part).unwrap_or(u32::MAX);
    let (in_long, in_short, count) = words(rule);
    Judged::of(holds)
        .share(in_long, bound, wanted)
        .share(in_short, short.value(), wanted)
        .least(count, failures, minimum)
}

const fn words(rule: Rule) -> (&'static str, &'static str, &'static str) {
    match rule {
        Rule::SloBurnFast => (
            "lower bound of the share of failures in 1 h",
            "share of failures in 5 m",
            "failures in 1 h",
        ),
        Rule::SloBurnMedium => (
            "lower bound of the share of failures in 6 h",
            "share of failures in 30 m",
            "failures in 6 h",
        ),
        _ => (
            "lower bound of the share of failures in 3 d",
            "share of failures in 6 h",
            "failures in 3 d",
        ),
    }
}
