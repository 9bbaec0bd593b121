//! Alerts: thresholds, receivers, maintenance windows.

mod maintenance;
mod matchers;
mod policy;
mod receivers;
mod rules;
mod tiers;
pub mod web;

use std::sync::Arc;

use super::super::raw::RawDependency;
use super::super::raw::alerts::RawAlerts;
use super::super::raw::choices::SeverityWord;
use super::super::report::{Finding, Part, Place};
use super::super::url_lint;
use super::{Context, RawPlan, add_lints, labels};
use crate::model::alert::Severity;
use crate::model::dependency::Dependency;
use crate::model::receiver::Alerting;

pub use policy::{check_own, policies};
pub use rules::{has_minimum, has_threshold};

#[cfg(test)]
mod tests;

/// A dependency on its way: what was made of it, what was written, and where.
pub type Lowering<'r> = (Dependency, &'r RawDependency, &'r Place);

fn severity(word: SeverityWord) -> Severity {
    match word {
        SeverityWord::Info => Severity::Info,
        SeverityWord::Warning => Severity::Warning,
        SeverityWord::Critical => Severity::Critical,
    }
}

/// All that is said of alerts beside the dependencies' own thresholds.
pub fn lower(context: &mut Context<'_>, raw: &RawPlan, dependencies: &[Arc<Dependency>]) -> Alerting {
    let nothing = (RawAlerts::default(), Place::root(0).key("alerts"));
    let (alerts, place) = raw.alerts.as_ref().unwrap_or(&nothing);
    let labels = own_labels(context, alerts, place);
    let known = matchers::Known::new(raw, dependencies.iter().map(|one| &**one), &labels);
    let receivers = receivers::lower(context, &raw.receivers, &known);
    let maintenance = maintenance::lower(context, &raw.maintenance, &known);
    Alerting {
        receivers,
        group_wait: alerts.group_wait.map_or(Alerting::GROUP_WAIT, |span| span.0),
        group_interval: alerts
            .group_interval
            .map_or(Alerting::GROUP_INTERVAL, |span| span.0),
        maintenance,
        monitor: policy::monitor(context, alerts, place),
        tier_label: tiers::label(alerts).into(),
        tiers: tiers::of(alerts)
            .into_iter()
            .map(|(tier, cap)| (tier.into(), cap))
            .collect(),
        labels,
        external_url: alerts
            .external_url
            .as_deref()
            .and_then(|url| shown_url(context, url, &place.key("external_url")))
            .map(|url| url.trim_end_matches('/').into()),
        runbooks: alerts
            .runbooks
            .as_deref()
            .and_then(|url| shown_url(context, url, &place.key("runbooks")))
            .map_or_else(|| Alerting::RUNBOOKS.into(), Into::into),
    }
}

/// Labels of every alert, sorted by name.
fn own_labels(context: &mut Context<'_>, raw: &RawAlerts, place: &Place) -> Arc<[(Arc<str>, Arc<str>)]> {
    let place = place.key("labels");
    for name in raw.labels.iter().flatten().map(|(name, _)| name) {
        labels::check(context, name, &place.key(name));
    }
    raw.labels
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().into(), value.0.as_str().into()))
        .collect()
}

/// A URL that people are shown, as it is written.
fn shown_url<'u>(context: &mut Context<'_>, url: &'u str, place: &Place) -> Option<&'u str> {
    // A prefix may end with `#`, which no target may have.
    let bare = url.split('#').next().unwrap_or(url);
    let (parsed, lints) = url_lint::parse_http(bare);
    add_lints(context.report, place, lints);
    let (_, user_info) = parsed?;
    if user_info.is_some() {
        let finding = Finding::error(place, "this stands in notifications: it must hold no password");
        context.report.add(finding.at(Part::Value));
        return None;
    }
    Some(url)
}
