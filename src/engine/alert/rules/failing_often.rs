//! Operations fail now and then, far more often than the objective allows: a process that dies and is started again, one
//! of five replicas that is broken. The windows of burn rates see it late, and no streak ever lasts.
//!
//! It looks at the last sixty operations (half an hour at the usual interval, less or more at others), and asks three things:
//! are there enough failures at all; does the lower bound of their share exceed a multiple of the budget; and is it more
//! than chance makes of how often this dependency fails anyway. The third is what lets the first be small: where nothing
//! failed for hours, five failures of sixty are a change; where 1 % fail every day, as they may under the objective of 99 %,
//! five of sixty come by chance about once in two weeks.
//!
//! Of failures in a row only two count: a single outage of some minutes is the matter of the rules about being down, and too
//! short for them, it is for this one too.
//!
//! Simulated apart from the engine, every 30 s, with these constants: 1 % of operations failing at random page nine times in
//! 60,000 days. 20 % from one moment on page within 30 minutes in 99.5 % of cases after three hours of health, in 98.6 % after
//! two, and in 92 % after one, when the history is too short to tell. `tests/alerts/power.rs` holds the engine to it: 200 days
//! without a page, and at least 98 % after four hours.

use crate::model::alert::Holds;
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Moment;

use super::super::super::slot::Slot;
use super::super::stats::{Share, Z_95, chance_of};
use super::Judged;

/// Operations that are looked at.
pub const WINDOW: u32 = 60;
/// It is not over before so many operations in a row show no more failures than the threshold allows.
const CLEAN: u32 = 20;
/// How often chance may bring about so many failures. The rule is looked at with every failure: at a budget of 1 % and an
/// interval of 30 s about thirty times a day.
const CHANCE: f64 = 1e-6;
/// Fewer operations before the window say nothing of how often it fails anyway; then it is taken to use up its budget.
const HISTORY: u64 = 180;
/// The upper bound of how often it fails anyway is taken at this z: one standard deviation.
const Z_USUAL: f64 = 1.0;
/// Nothing is so good that a single failure is a change.
const USUAL_LEAST: f64 = 0.002;
/// Fewest failures, whatever is configured: two in a row are nothing.
const LEAST: u32 = 3;

pub fn judge(policy: &RulePolicy, slot: &Slot, now: Moment) -> Judged {
    let signals = &slot.signals;
    let budget = slot.dependency.alerts.budget();
    let share = signals.scattered(WINDOW);
    let clean = signals.last(CLEAN);
    let wanted = policy.threshold * budget;
    let minimum = policy.minimum.max(LEAST);
    let failures = u32::try_from(share.part).unwrap_or(u32::MAX);
    let bound = share.lower_bound(Z_95);
    let usual = usual(signals.before(signals.last(WINDOW), now), budget);
    let chance = chance_of(failures, usual * share.of as f64);
    let is_over = clean.value() <= wanted.min(0.5);
    let holds = if is_over {
        Holds::No
    } else if failures >= minimum && bound > wanted && chance <= CHANCE {
        Holds::Yes
    } else {
        Holds::Between
    };
    Judged::new(holds, holds == Holds::Yes || clean.of >= u64::from(CLEAN))
        .least(
            "failures among the last 60, at most two of a row",
            failures,
            minimum,
        )
        .share("lower bound of their share", bound, wanted)
        .with("chance of so many", chance, CHANCE, "1", chance <= CHANCE)
        .share("share of failures among the last 20", clean.value(), wanted)
}

/// How often it fails anyway: at most as often as it may.
fn usual(before: Share, budget: f64) -> f64 {
    if before.of < HISTORY {
        return budget;
    }
    let least = USUAL_LEAST.min(budget);
    before.upper_bound(Z_USUAL).clamp(least, budget)
}
