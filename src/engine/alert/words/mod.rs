//! What alerts say: one line, some sentences, what to do; and why a rule does or does not raise one.

mod dependency;
mod host;
mod monitor;

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::alert::{AlertState, AlertText, Comparison, Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{Failure, OperationRecord};
use crate::model::time::{Now, Wall};

use super::super::Engine;
use super::Alert;
use super::rules::Judged;
use super::subject::Who;

/// Pieces of evidence that an alert carries; the rest is in the API.
const EVIDENCE_MOST: usize = 16;

/// The alert's texts as they are now.
pub fn text(engine: &Engine, who: Who, rule: Rule, record: Option<&OperationRecord>, now: Now) -> AlertText {
    match who {
        Who::Dependency(index) => match engine.tables.slot(index) {
            Some(slot) => dependency::text(rule, slot, record, now),
            None => AlertText::default(),
        },
        Who::Host(place) => match engine.tables.hosts.get(place) {
            Some(host) => host::text(rule, host, engine.idle_finding(&host.key).as_ref(), record, now),
            None => AlertText::default(),
        },
        Who::Monitor => engine.with_facts(now, |facts| monitor::text(rule, facts)),
    }
}

/// Whether an alert of that rule is told by that operation.
pub fn is_telling(rule: Rule, record: &OperationRecord) -> bool {
    match rule {
        Rule::RetryMasked | Rule::KeepaliveStale => host::is_telling(rule, record),
        Rule::DependencyFailingOften
        | Rule::SloBurnFast
        | Rule::SloBurnMedium
        | Rule::SloBurnSlow
        | Rule::Flapping => record.failure.is_some(),
        _ => true,
    }
}

/// What every text that tells of a failure has alike.
fn of_failure(failure: &Failure) -> AlertText {
    AlertText {
        fix: failure.fix.clone(),
        cause: Some(failure.cause),
        phase: failure.phase,
        speed: Some(failure.speed),
        evidence: evidence(&failure.evidence),
        ..AlertText::default()
    }
}

/// `tls.cert.date_invalid.expired (fast, in tls)`.
fn cause_speed_phase(failure: &Failure) -> String {
    let (cause, speed) = (failure.cause.id(), failure.speed.id());
    match failure.phase {
        Some(phase) => format!("{cause} ({speed}, in {})", phase.id()),
        None => format!("{cause} ({speed})"),
    }
}

/// How long the failure took, and the error chain to its innermost error.
fn say_failure(text: &mut String, failure: &Failure) {
    let _ = write!(text, " The last operation failed after {}", span(failure.elapsed));
    if failure.chain.is_empty() {
        text.push('.');
    } else {
        let chain: Vec<&str> = failure.chain.iter().map(|error| &**error).collect();
        let _ = write!(text, ": {}.", chain.join(": ").trim_end_matches('.'));
    }
}

/// Why the rule does or does not raise an alert, in one sentence.
pub fn reason(
    judged: &Judged,
    alert: Option<&Alert>,
    policy: &RulePolicy,
    gap: Option<&'static str>,
    now: Now,
) -> String {
    let numbers = numbers(judged);
    let state = alert.map_or(AlertState::Quiet, |alert| alert.state);
    let held = alert.map_or(Duration::ZERO, |alert| alert.held(now.moment));
    let mut text = match (state, judged.holds) {
        (AlertState::Quiet, Holds::Unclear) => "it is quiet, and nothing can be said at present".to_owned(),
        (AlertState::Quiet, Holds::Yes) => "it will be pending with the next operation".to_owned(),
        (AlertState::Quiet, Holds::No | Holds::Between) => "it does not fire".to_owned(),
        (AlertState::Pending { .. }, _) if !alert.is_some_and(|alert| alert.enough) => {
            "it is pending, on too few samples to be raised".to_owned()
        }
        (AlertState::Pending { .. }, _) => {
            format!(
                "it is pending: it has held for {} of {}",
                span(held),
                span(policy.hold)
            )
        }
        (AlertState::Firing { since, .. }, _) => format!("it has fired since {}", minute(since)),
        (AlertState::Recovering { .. }, _) => format!(
            "it is recovering: it has not held for {} of {}",
            span(held),
            span(policy.recover)
        ),
    };
    if let Some(gap) = gap {
        let _ = write!(text, "; time does not count, since {gap}");
    }
    if !numbers.is_empty() {
        let _ = write!(text, "; {numbers}");
    }
    text
}

fn numbers(judged: &Judged) -> String {
    let each: Vec<String> = judged.compared().map(compared).collect();
    each.join(", ")
}

fn compared(comparison: &Comparison) -> String {
    let Comparison {
        what,
        value,
        threshold,
        unit,
        met,
    } = comparison;
    let relation = match (value.partial_cmp(threshold), met) {
        (Some(std::cmp::Ordering::Less), _) => "below",
        (Some(std::cmp::Ordering::Equal), _) => "as many as",
        _ => "above",
    };
    format!(
        "{what}: {}, {relation} {}",
        quantity(*value, unit),
        quantity(*threshold, unit)
    )
}

/// A number with its unit: shares as percentages, seconds as spans.
pub fn quantity(value: f64, unit: &str) -> String {
    match unit {
        // Chances are too small for percentages.
        "1" if value > 0.0 && value < 1e-4 => format!("{value:.0e}"),
        "1" => format!("{} %", significant(value * 100.0)),
        "s" if value >= 0.0 => span(Duration::try_from_secs_f64(value).unwrap_or_default()),
        "" => significant(value),
        unit => format!("{} {unit}", significant(value)),
    }
}

/// Three significant digits, without needless zeros.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `3 d 4 h`, `2 m`, `1.25 s`, `12 ms`: the two largest units at most.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0 => {
            let millis = duration.as_secs_f64() * 1_000.0;
            format!("{} ms", significant(millis))
        }
        1..60 => format!("{} s", significant(duration.as_secs_f64())),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A moment to the second: fractions of it tell people nothing.
pub fn minute(wall: Wall) -> Wall {
    Wall::from_unix_secs(wall.unix_secs())
}

/// Evidence as texts, in the order in which it should be read.
fn evidence(evidence: &Evidence) -> Vec<(Box<str>, Box<str>)> {
    evidence
        .iter()
        .take(EVIDENCE_MOST)
        .map(|(key, value)| (key.into(), value_text(value).into()))
        .collect()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => significant(*number),
        Value::Bool(answer) => if *answer { "yes" } else { "no" }.to_owned(),
        Value::Duration(duration) => span(*duration),
        Value::Time(wall) => wall.to_string(),
        Value::List(values) => values.iter().map(value_text).collect::<Vec<_>>().join(", "),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key}={}", value_text(value)));
            entries.collect::<Vec<_>>().join(" ")
        }
    }
}
