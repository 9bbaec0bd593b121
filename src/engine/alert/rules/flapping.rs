//! It goes up and down: many changes between answering and failing among the last thirty operations.

use crate::model::alert::Holds;
use crate::model::alert_policy::RulePolicy;

use super::super::super::slot::Slot;
use super::Judged;

/// Operations that are looked at.
pub const WINDOW: u32 = 30;
/// Fewest of them, whatever is configured.
const LEAST: u32 = 10;

pub fn judge(policy: &RulePolicy, slot: &Slot) -> Judged {
    let changes = slot.signals.changes(WINDOW);
    let minimum = policy.minimum.clamp(LEAST, WINDOW);
    let (count, seen) = (changes.part as u32, changes.of as u32);
    let threshold = policy.threshold.max(4.0);
    let holds = if seen < minimum {
        Holds::Unclear
    } else if f64::from(count) >= threshold {
        Holds::Yes
    } else if f64::from(count) < threshold / 2.0 {
        Holds::No
    } else {
        Holds::Between
    };
    Judged::of(holds)
        .least("changes among the last 30 operations", count, threshold)
        .least("operations", seen, minimum)
}
