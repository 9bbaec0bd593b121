//! The user's labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::report::{Finding, Part};
use super::Context;
use super::layers::{Layers, Level};

/// Names that our own series, alerts or the usual scrapers give a meaning.
pub const RESERVED: [&str; 24] = [
    "alertname",
    "cause",
    "dependency",
    "error_type",
    "exporter",
    "instance",
    "job",
    "kind",
    "le",
    "outcome",
    "phase",
    "quantile",
    "reason",
    "replica",
    "scope",
    "seen",
    "server_address",
    "server_port",
    "severity",
    "speed",
    "version",
    "window",
    "alert",
    "state",
];

/// Labels of both layers, the dependency's own over the inherited ones, sorted by name.
pub fn lower(context: &mut Context<'_>, layers: &Layers<'_>) -> Arc<[(Arc<str>, Arc<str>)]> {
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    for (level, shared) in [(Level::Defaults, layers.defaults), (Level::Own, layers.own)] {
        for (name, value) in shared.labels.iter().flatten() {
            if let Some(problem) = problem(name)
                && let Some(place) = layers.place(level, "labels")
            {
                let finding = Finding::error(&place.key(name), problem).at(Part::Key);
                context
                    .report
                    .add(finding.expected("a name such as `team` that whyd does not use itself"));
            }
            all.insert(name, &value.0);
        }
    }
    all.into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn problem(name: &str) -> Option<String> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Some("this is not a label name (letters, digits and `_`, not a digit first)".into())
    } else if name.starts_with("__") {
        Some("label names that begin with `__` are reserved".into())
    } else if RESERVED.contains(&name) {
        Some(format!(
            "the label `{name}` is one of whyd's own or of its scrapers"
        ))
    } else {
        None
    }
}
