//! What breaks when it breaks: a dependency is as critical as the most critical one that needs it.

use std::collections::{BTreeMap, HashMap};

use super::super::super::decode::list;
use super::super::super::raw::alerts::RawAlerts;
use super::super::super::report::{Finding, Place};
use super::super::super::suggest;
use super::super::{Context, labels};
use super::{Lowering, severity};
use crate::model::alert::Severity;
use crate::model::receiver::Alerting;

/// The label by which dependencies tell their tier.
pub fn label(raw: &RawAlerts) -> &str {
    raw.tier_label
        .as_ref()
        .map_or(Alerting::TIER_LABEL, |word| word.0.as_str())
}

/// The tiers, and the highest severity for each.
pub fn of(raw: &RawAlerts) -> BTreeMap<&str, Severity> {
    match &raw.tiers {
        Some(given) => given
            .iter()
            .map(|(tier, word)| (tier.as_str(), severity(*word)))
            .collect(),
        None => Alerting::TIERS.into_iter().collect(),
    }
}

/// The highest severity of each dependency's alerts; `None` where there is no limit. `all` says that there are no others,
/// which are discovered.
pub fn caps(
    context: &mut Context<'_>,
    (raw, place): (&RawAlerts, &Place),
    (dependencies, all): (&[Lowering<'_>], bool),
) -> Vec<Option<Severity>> {
    let label = label(raw);
    if raw.tier_label.is_some() && !labels::is_name(label) {
        let finding = Finding::error(&place.key("tier_label"), "this is not a label name");
        context.report.add(finding.expected("a name such as `tier`"));
    }
    let tiers = of(raw);
    let own: Vec<Option<Severity>> = dependencies
        .iter()
        .map(|(dependency, raw, at)| {
            let (_, tier) = dependency.labels.iter().find(|(name, _)| **name == *label)?;
            let cap = tiers.get(&**tier).copied();
            // Where there are no tiers, labels mean none.
            if cap.is_none() && !tiers.is_empty() {
                let is_own = raw
                    .labels
                    .as_ref()
                    .is_some_and(|labels| labels.contains_key(label));
                let at = if is_own {
                    at.key("labels").key(label)
                } else {
                    (*at).clone()
                };
                unknown_tier(context, tier, &at, &tiers);
            }
            cap
        })
        .collect();
    // What is said and is what is built in anyway (as in a dump) need not have a use.
    let given = (label != Alerting::TIER_LABEL).then_some("tier_label");
    let tiers_given = raw.tiers.as_ref().filter(|_| tiers != of(&RawAlerts::default()));
    if let Some(key) = given.or(tiers_given.map(|_| "tiers"))
        && all
        && own.iter().all(Option::is_none)
    {
        context.report.warning(
            &place.key(key),
            format!("no dependency has a tier: the label `{label}` is nowhere"),
        );
    }
    spread(dependencies, own)
}

fn unknown_tier(context: &mut Context<'_>, tier: &str, at: &Place, tiers: &BTreeMap<&str, Severity>) {
    let known: Vec<&str> = tiers.keys().copied().collect();
    let meant = suggest::nearest(tier, known.iter().copied()).filter(|_| tier.len() > 1);
    let finding = Finding::warning(
        at,
        "there is no such tier in `alerts.tiers`: it limits no severity",
    )
    .expected(format!("one of {}", list(&known)))
    .suggest_opt(meant.map(|tier| format!("did you mean `{tier}`?")));
    context.report.add(finding);
}

/// Hands caps down to what is needed. It ends, cycles or not, since a cap only grows and has few values.
fn spread(dependencies: &[Lowering<'_>], mut caps: Vec<Option<Severity>>) -> Vec<Option<Severity>> {
    let index: HashMap<&str, usize> = dependencies
        .iter()
        .enumerate()
        .map(|(i, (dependency, ..))| (&*dependency.name, i))
        .collect();
    let mut open: Vec<usize> = (0..caps.len()).filter(|i| caps[*i].is_some()).collect();
    while let Some(from) = open.pop() {
        for needed in dependencies[from].0.depends_on.iter() {
            if let Some(to) = index.get(&**needed).copied()
                && caps[to] < caps[from]
            {
                caps[to] = caps[from];
                open.push(to);
            }
        }
    }
    caps
}
