//! What alerts about a host say.

use std::fmt::Write as _;

use crate::model::alert::{AlertText, Rule};
use crate::model::attempt::StaleKind;
use crate::model::failure::{Failure, Finding, OperationRecord};
use crate::model::time::Now;

use super::super::super::host::Host;
use super::super::super::retry;
use super::super::stats::Share;
use super::{cause_speed_phase, evidence, of_failure, quantity, say_failure};

pub fn text(
    rule: Rule,
    host: &Host,
    idle: Option<&Finding>,
    record: Option<&OperationRecord>,
    now: Now,
) -> AlertText {
    match rule {
        Rule::RetryMasked => masked(host, record, now),
        Rule::KeepaliveStale => stale(host, idle, now),
        _ => AlertText::default(),
    }
}

/// The failure that a retry made up for.
fn masked_failure(record: &OperationRecord) -> Option<&Failure> {
    let failures = record
        .attempts
        .iter()
        .filter_map(|attempt| attempt.failure.as_ref());
    let mut theirs = failures.filter(|failure| !failure.cause.is_ours());
    record.failure.is_none().then(|| theirs.next()).flatten()
}

pub fn is_telling(rule: Rule, record: &OperationRecord) -> bool {
    match rule {
        Rule::RetryMasked => masked_failure(record).is_some(),
        _ => record.attempts.iter().any(|attempt| {
            let failure = attempt.failure.as_ref();
            attempt.attempt.stale_found.is_some()
                || failure.is_some_and(|failure| retry::stale_kind(failure.cause).is_some())
        }),
    }
}

fn masked(host: &Host, record: Option<&OperationRecord>, now: Now) -> AlertText {
    let [_, _, hour] = host.windows.figures(now.moment);
    let share = Share {
        part: hour.retried_then_succeeded,
        of: hour.succeeded,
    };
    let failure = record.and_then(masked_failure);
    let mut description = format!(
        "{} of {} operations that succeeded in an hour did so only after a retry ({}), with {} attempts for each operation: error rates do not show it.",
        share.part,
        share.of,
        quantity(share.value(), "1"),
        quantity(hour.attempts as f64 / hour.operations.max(1) as f64, ""),
    );
    let mut text = AlertText {
        summary: format!(
            "retries hide failures of {}: {} of its successes",
            host.key,
            quantity(share.value(), "1")
        )
        .into(),
        fix: format!(
            "look into the first attempts at {}; what they meet is in its dependencies' last failures",
            host.key
        )
        .into(),
        ..AlertText::default()
    };
    if let Some(failure) = failure {
        text = AlertText {
            summary: format!("{}, {}", text.summary, cause_speed_phase(failure)).into(),
            ..of_failure(failure)
        };
        say_failure(&mut description, failure);
    }
    text.description = description.into();
    text
}

fn stale(host: &Host, idle: Option<&Finding>, now: Now) -> AlertText {
    let [_, _, hour] = host.windows.figures(now.moment);
    let harmful = host.windows.harmful(now.moment);
    let share = Share {
        part: harmful.hour,
        of: hour.operations,
    };
    let kinds: Vec<String> = StaleKind::ALL
        .iter()
        .zip(hour.stale)
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {}", kind.id()))
        .collect();
    let mut description = format!(
        "{} of {} operations in an hour met a connection that was dead ({}): {}.",
        share.part,
        share.of,
        quantity(share.value(), "1"),
        kinds.join(", "),
    );
    let mut text = AlertText {
        summary: format!(
            "kept connections to {} are dead when they are used again: {} of its operations",
            host.key,
            quantity(share.value(), "1")
        )
        .into(),
        ..AlertText::default()
    };
    match (idle, host.seen_idle_timeout()) {
        (Some(finding), _) => {
            let _ = write!(description, " Measured: {}.", finding.fix);
            text.fix = finding.fix.clone();
            text.evidence = evidence(&finding.evidence);
        }
        (None, Some((kind, idle))) => {
            let after = super::span(idle);
            let _ = write!(
                description,
                " One that lay idle ended after {after} ({}).",
                kind.id()
            );
            text.fix = format!("set your pool's idle timeout to {} below {after}", host.key).into();
        }
        (None, None) => {
            text.fix = format!(
                "set your pool's idle timeout to {} below that of the server and of what is on the way; `keepalive: {{discover: true}}` measures it",
                host.key
            )
            .into();
        }
    }
    text.description = description.into();
    text
}
