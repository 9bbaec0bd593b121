//! Operations succeed, but only after a retry: the trouble that error rates hide.
//!
//! Counted over all dependencies on a host, in an hour, and judged by the lower bound; it goes on only while the last quarter
//! of an hour shows it too.

use crate::model::alert::Holds;
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Moment;

use super::super::super::host::Host;
use super::super::stats::{Share, Z_95};
use super::Judged;

/// Fewest operations, whatever is configured.
const LEAST: u32 = 10;
/// Fewest operations that were masked: one is chance.
const MASKED_LEAST: u32 = 3;

pub fn judge(policy: &RulePolicy, host: &Host, now: Moment) -> Judged {
    let [_, _, hour] = host.windows.figures(now);
    let quarter = host.windows.quarter_hour(now);
    let share = |part, of| Share { part, of };
    let long = share(hour.retried_then_succeeded, hour.succeeded);
    let short = share(quarter.retried_then_succeeded, quarter.succeeded);
    let minimum = policy.minimum.max(LEAST);
    let (operations, masked) = (count(hour.operations), count(long.part));
    let bound = long.lower_bound(Z_95);
    let enough = operations >= minimum && masked >= MASKED_LEAST;
    let holds = if long.of == 0 {
        Holds::Unclear
    } else if bound > policy.threshold && short.value() > policy.threshold / 2.0 && enough {
        Holds::Yes
    } else if short.of > 0 && short.value() < policy.threshold / 2.0 {
        Holds::No
    } else {
        Holds::Between
    };
    Judged::of(holds)
        .share(
            "lower bound of the share of successes after a retry in 1 h",
            bound,
            policy.threshold,
        )
        .share(
            "share of successes after a retry in 15 m",
            short.value(),
            policy.threshold / 2.0,
        )
        .least("operations in 1 h", operations, minimum)
        .least("successes after a retry in 1 h", masked, MASKED_LEAST)
}

pub fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
