//! The user's labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::report::{Finding, Part, Place};
use super::Context;
use super::layers::{Layers, Level};

/// Names that our own series, alerts or the usual scrapers give a meaning.
pub const RESERVED: [&str; 27] = [
    "alertname",
    "cause",
    "dependency",
    "error_type",
    "exporter",
    "host",
    "incident",
    "instance",
    "job",
    "kind",
    "le",
    "outcome",
    "phase",
    "quantile",
    "reason",
    "receiver",
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
            if let Some(place) = layers.place(level, "labels") {
                check(context, name, &place.key(name));
            }
            all.insert(name, &value.0);
        }
    }
    all.into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Notes what is wrong with the name of a label of the user's.
pub fn check(context: &mut Context<'_>, name: &str, at: &Place) {
    if let Some(problem) = problem(name, context.located) {
        let finding = Finding::error(at, problem).at(Part::Key);
        context
            .report
            .add(finding.expected("a name such as `team` that whyd does not use itself"));
    }
}

/// Whether it has the form of a label's name.
pub fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn problem(name: &str, located: bool) -> Option<String> {
    if !is_name(name) {
        Some("this is not a label name (letters, digits and `_`, not a digit first)".into())
    } else if name.starts_with("__") {
        Some("label names that begin with `__` are reserved".into())
    } else if RESERVED.contains(&name) {
        Some(format!(
            "the label `{name}` is one of whyd's own or of its scrapers"
        ))
    } else if name == "location" && located {
        Some("the label `location` is whyd's own where `location` is given".into())
    } else {
        None
    }
}
