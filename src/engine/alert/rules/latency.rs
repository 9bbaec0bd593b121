//! Operations take much longer than they used to: the median of the last twenty against the learned baseline.

use std::time::Duration;

use crate::model::alert::Holds;
use crate::model::alert_policy::RulePolicy;

use super::super::super::slot::Slot;
use super::super::latency::duration_at;
use super::Judged;

/// Below that difference nobody suffers, however often it is doubled: on one machine 0.2 ms and 0.5 ms are the same.
const LEAST: Duration = Duration::from_millis(5);
/// How many MADs the recent median must lie away, in the logarithm: the standard error of a median of twenty values is
/// about 1.25 × 1.48 MAD ÷ √20 = 0.41 MAD where they are normal, and latencies come in clusters.
const MADS: f32 = 2.0;

pub fn judge(policy: &RulePolicy, slot: &Slot) -> Judged {
    let latency = &slot.signals.latency;
    let learned = latency.learned();
    let (Some(base), Some(recent)) = (latency.baseline(), latency.recent()) else {
        return Judged::unclear().least(
            "operations that the baseline is learned from",
            learned,
            policy.minimum,
        );
    };
    if learned < policy.minimum {
        return Judged::unclear().least(
            "operations that the baseline is learned from",
            learned,
            policy.minimum,
        );
    }
    let (usual, now) = (duration_at(base.median), duration_at(recent));
    let wide = duration_at(base.median + MADS * base.mad);
    let limit = usual
        .mul_f64(policy.threshold.max(1.1))
        .max(wide)
        .max(usual + LEAST);
    // Half of the way back it is over.
    let over = usual + (limit - usual) / 2;
    let holds = if slot.signals.is_failing() {
        Holds::Unclear
    } else if now > limit {
        Holds::Yes
    } else if now < over {
        Holds::No
    } else {
        Holds::Between
    };
    let (now, limit) = (now.as_secs_f64(), limit.as_secs_f64());
    Judged::of(holds)
        .with("median of the last 20 durations", now, limit, "s", now > limit)
        .least(
            "operations that the baseline is learned from",
            learned,
            policy.minimum,
        )
}
