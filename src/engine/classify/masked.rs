//! `retry.masked`: it answered, but only because it was asked again. Users feel it as delay, and error rates hide it.

use crate::model::cause::FindingId;
use crate::model::evidence::Evidence;
use crate::model::failure::{AttemptRecord, Failure, Finding};

/// The finding of an operation whose last attempt answered after others had failed; `masked_ratio` is the share of its
/// host's successes in the last hour that needed a retry, where there were enough.
pub fn finding(attempts: &[AttemptRecord], masked_ratio: Option<f64>) -> Option<Finding> {
    let failures = attempts.iter().filter_map(|record| record.failure.as_ref());
    let failures: Vec<&Failure> = failures.filter(|failure| !failure.cause.is_ours()).collect();
    let first = failures.first()?;
    let mut causes: Vec<&str> = failures.iter().map(|failure| failure.cause.id()).collect();
    causes.dedup();
    let mut evidence = Evidence::new()
        .with("attempts", attempts.len())
        .with("causes", causes);
    if let Some(ratio) = masked_ratio {
        evidence.set("masked_ratio_1h", ratio);
    }
    let fix = if first.fix.is_empty() {
        first.cause.doc().fix.into()
    } else {
        first.fix.clone()
    };
    Some(Finding {
        id: FindingId::RetryMasked,
        evidence,
        fix,
    })
}
