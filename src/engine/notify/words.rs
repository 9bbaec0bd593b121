//! The words of an incident.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::alert::{AlertKey, Subject};
use crate::model::incident::Factor;
use crate::model::notification::AlertNote;

use super::factors::{dependency_of, is_down};
use super::incident::Incident;

/// One line, without severity and occasion.
pub fn title(incident: &Incident, notes: &[AlertNote], affected: &[Arc<str>]) -> Box<str> {
    let keys: Vec<&AlertKey> = notes.iter().map(|note| &note.key).collect();
    let summary = notes.first().map(|note| &*note.text.summary).unwrap_or("");
    title_of(incident, &keys, affected, summary)
}

/// The same for the alerts of these keys; `summary` is what the first of them says.
pub fn title_of(incident: &Incident, keys: &[&AlertKey], affected: &[Arc<str>], summary: &str) -> Box<str> {
    let subjects: BTreeSet<&Subject> = keys.iter().map(|key| &key.subject).collect();
    let number = subjects.len() + affected.len();
    if number <= 1 && !summary.is_empty() {
        return summary.into();
    }
    let down = keys.iter().any(|key| is_down(key.rule));
    let what = if down { "are down" } else { "have an alert" };
    let whom = match (number, keys.first()) {
        (0 | 1, Some(key)) => format!(
            "{} {}",
            key.subject,
            if down { "is down" } else { "has an alert" }
        ),
        _ if keys.iter().all(|key| dependency_of(key).is_some()) => format!("{number} dependencies {what}"),
        _ => format!("{number} hosts {what}"),
    };
    let why = match incident.cause {
        Some(cause) => cause.id(),
        None => incident.founder.id(),
    };
    match incident.factors.first() {
        Some(Factor::Dependency(_)) | None => format!("{whom}: {why}"),
        Some(factor) => format!("{whom}: {why} ({} {factor})", kind(factor)),
    }
    .into()
}

fn kind(factor: &Factor) -> &'static str {
    match factor {
        Factor::HostName(_) => "host",
        other => other.kind(),
    }
}

/// The labels that all have alike.
pub fn common_labels(notes: &[AlertNote]) -> Arc<[(Arc<str>, Arc<str>)]> {
    let Some((first, rest)) = notes.split_first() else {
        return Arc::from([]);
    };
    if rest.iter().all(|note| note.labels == first.labels) {
        return Arc::clone(&first.labels);
    }
    let everywhere = |label: &&(Arc<str>, Arc<str>)| rest.iter().all(|note| note.labels.contains(label));
    first.labels.iter().filter(everywhere).cloned().collect()
}
