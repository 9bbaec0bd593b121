//! Kept connections are found dead when they are used again.
//!
//! Only what does harm counts: a request that was sent before the connection showed that it was dead, and a connection that
//! was reset or forgotten in silence while it lay idle, since whoever uses it a moment earlier loses a request. A close that
//! was seen in time (FIN) is how it should end.

use crate::model::alert::Holds;
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Moment;

use super::super::super::host::Host;
use super::super::stats::{Share, Z_95};
use super::Judged;
use super::masked::count;

/// Fewest stale connections, whatever is configured.
const LEAST: u32 = 2;

pub fn judge(policy: &RulePolicy, host: &Host, now: Moment) -> Judged {
    let [_, _, hour] = host.windows.figures(now);
    let quarter = host.windows.quarter_hour(now);
    let harmful = host.windows.harmful(now);
    let long = Share {
        part: harmful.hour,
        of: hour.operations,
    };
    let short = Share {
        part: harmful.quarter,
        of: quarter.operations,
    };
    let minimum = policy.minimum.max(LEAST);
    let (stale, bound) = (count(long.part), long.lower_bound(Z_95));
    let holds = if long.of == 0 {
        Holds::Unclear
    } else if bound > policy.threshold && short.value() > policy.threshold / 2.0 && stale >= minimum {
        Holds::Yes
    } else if short.of > 0 && short.value() < policy.threshold / 2.0 {
        Holds::No
    } else {
        Holds::Between
    };
    Judged::of(holds)
        .share(
            "lower bound of the share of operations that met a dead connection in 1 h",
            bound,
            policy.threshold,
        )
        .share(
            "share of operations that met a dead connection in 15 m",
            short.value(),
            policy.threshold / 2.0,
        )
        .least("dead connections in 1 h", stale, minimum)
}
