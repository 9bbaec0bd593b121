//! Conditions on labels: `team: checkout`, `dependency: orders-*`, `env: '!prod'`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::super::decode::list;
use super::super::super::raw::values::Word;
use super::super::super::report::{Finding, Part, Place};
use super::super::super::suggest;
use super::super::{Context, RawPlan, labels};
use crate::model::alert::{Rule, Severity};
use crate::model::dependency::Dependency;
use crate::model::silence::Matcher;

/// Labels that every alert has beside the user's.
const OF_ALERTS: [&str; 5] = ["alert", "cause", "dependency", "host", "severity"];
/// Labels that every dependency has beside the user's.
const OF_DEPENDENCIES: [&str; 2] = ["dependency", "host"];

/// What there is to match.
pub struct Known {
    labels: BTreeSet<Arc<str>>,
    dependencies: BTreeSet<Arc<str>>,
    /// What is discovered may have other labels and names.
    open: bool,
}

impl Known {
    pub fn new<'d>(
        raw: &RawPlan,
        dependencies: impl IntoIterator<Item = &'d Dependency>,
        more: &[(Arc<str>, Arc<str>)],
    ) -> Known {
        let mut known = Known {
            labels: more.iter().map(|(name, _)| Arc::clone(name)).collect(),
            dependencies: BTreeSet::new(),
            open: !raw.discovery.is_empty(),
        };
        for dependency in dependencies {
            for (name, _) in dependency.labels.iter() {
                if !known.labels.contains(name) {
                    known.labels.insert(Arc::clone(name));
                }
            }
            known.dependencies.insert(Arc::clone(&dependency.name));
        }
        known
    }
}

/// Conditions on alerts.
pub fn of_alerts(
    context: &mut Context<'_>,
    raw: &BTreeMap<String, Word>,
    place: &Place,
    known: &Known,
) -> Arc<[Matcher]> {
    lower(context, raw, place, (known, &OF_ALERTS))
}

/// Conditions on dependencies.
pub fn of_dependencies(
    context: &mut Context<'_>,
    raw: &BTreeMap<String, Word>,
    place: &Place,
    known: &Known,
) -> Arc<[Matcher]> {
    lower(context, raw, place, (known, &OF_DEPENDENCIES))
}

fn lower(
    context: &mut Context<'_>,
    raw: &BTreeMap<String, Word>,
    place: &Place,
    (known, ours): (&Known, &[&str]),
) -> Arc<[Matcher]> {
    raw.iter()
        .map(|(label, pattern)| {
            let at = place.key(label);
            let (negated, text) = match pattern.0.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern.0.as_str()),
            };
            check_label(context, label, &at, (known, ours));
            check_pattern(context, (label, text), &at, known);
            Matcher {
                label: label.as_str().into(),
                pattern: text.into(),
                negated,
            }
        })
        .collect()
}

fn check_label(context: &mut Context<'_>, label: &str, at: &Place, (known, ours): (&Known, &[&str])) {
    if ours.contains(&label) || known.labels.contains(label) {
        return;
    }
    if !labels::is_name(label) {
        let finding = Finding::error(at, "this is not a label name").at(Part::Key);
        context
            .report
            .add(finding.expected("letters, digits and `_`, not a digit first"));
        return;
    }
    if OF_ALERTS.contains(&label) {
        let finding = Finding::error(at, "a dependency has no such label; an alert has").at(Part::Key);
        context.report.add(finding);
        return;
    }
    if known.open {
        return;
    }
    let all = ours
        .iter()
        .copied()
        .chain(known.labels.iter().map(|name| &**name));
    let meant = suggest::nearest(label, all);
    let finding = Finding::warning(at, "no dependency has this label").at(Part::Key);
    context
        .report
        .add(finding.suggest_opt(meant.map(|name| format!("did you mean `{name}`?"))));
}

/// A pattern without a star is one text: whether there is such a one is known.
fn check_pattern(context: &mut Context<'_>, (label, text): (&str, &str), at: &Place, known: &Known) {
    if text.contains('*') {
        return;
    }
    match label {
        "severity" if Severity::from_id(text).is_none() => {
            let ids: Vec<&str> = Severity::ALL.iter().map(|one| one.id()).collect();
            let finding = Finding::error(at, "there is no such severity");
            let meant = suggest::nearest(text, ids.iter().copied());
            context.report.add(
                finding
                    .expected(format!("one of {}", list(&ids)))
                    .suggest_opt(meant.map(|id| format!("did you mean `{id}`?"))),
            );
        }
        "alert" if Rule::from_id(text).is_none() => {
            let by_name = Rule::ALL
                .iter()
                .find(|rule| rule.name() == text)
                .map(|rule| rule.id());
            let meant = by_name.or_else(|| suggest::nearest(text, Rule::ALL.iter().map(|rule| rule.id())));
            let finding = Finding::error(at, "there is no such rule")
                .expected("a rule's id such as `dependency_down_fast`")
                .suggest_opt(meant.map(|id| format!("did you mean `{id}`?")));
            context.report.add(finding);
        }
        "dependency" if !known.open && !known.dependencies.contains(text) => {
            let meant = suggest::nearest(text, known.dependencies.iter().map(|name| &**name));
            let finding = Finding::warning(at, "there is no dependency of this name");
            context
                .report
                .add(finding.suggest_opt(meant.map(|name| format!("did you mean `{name}`?"))));
        }
        _ => {}
    }
}
