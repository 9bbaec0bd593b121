//! Where dependencies come from besides the file: what the edges need to know, and how what they find becomes
//! dependencies.

mod address;
mod make;
mod settings;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use serde_yaml::Value;

use super::super::diagnostic::Severity;
use super::super::raw::discovery::RawDiscovery;
use super::super::raw::{RawDefaults, RawDependency};
use super::super::report::{Finding, Place};
use super::super::url_lint;
use super::layers::Layers;
use super::{
    Context, RawPlan, add_lints, alerting, budgets, expect, http, keepalive, labels, lower_dependency, names,
    network,
};
use crate::model::discovery::Source;
use crate::template::{Fault, TargetFacts, TargetTemplate};

pub use make::{Made, Maker};
pub use settings::{fit, merge};

/// How long what is gone goes on being watched unless configured.
pub const LINGER: Duration = Duration::from_secs(30);

/// How what an entry of `discovery` finds becomes dependencies.
#[derive(Clone, Debug)]
pub struct Entry {
    pub source: Arc<str>,
    /// Templates.
    pub url: Option<String>,
    pub name: Option<String>,
    /// What holds for all that is found, without name and URL.
    pub base: RawDependency,
    /// The same, for what a target says itself to be laid upon.
    pub value: Value,
    /// Of the section with what holds for all.
    pub place: Place,
}

/// The sources, and how what each finds becomes dependencies.
pub fn lower(context: &mut Context<'_>, raw: &RawPlan) -> (Arc<[Source]>, Vec<Entry>) {
    let named = raw
        .discovery
        .iter()
        .map(|(one, place)| (one.name.as_ref(), place));
    names::check(context, named, "in the whole configuration");
    let mut sources = Vec::new();
    let mut entries = Vec::new();
    for (one, place) in &raw.discovery {
        let kind = sources::kind(context, one, place);
        let entry = entry(context, one, place);
        check(context, &entry, raw);
        let Some(kind) = kind else { continue };
        sources.push(Source {
            name: Arc::clone(&entry.source),
            kind,
            linger: one.linger.map_or(LINGER, |span| span.0),
        });
        entries.push(entry);
    }
    (sources.into(), entries)
}

fn entry(context: &mut Context<'_>, raw: &RawDiscovery, place: &Place) -> Entry {
    let name = raw.name.as_ref().map_or("?", |name| name.0.as_str());
    let found = raw.dependency.clone().unwrap_or_default();
    // Through their common form, which has the same keys.
    let value = serde_yaml::to_value(&found).unwrap_or_default();
    let base = serde_yaml::from_value(value.clone()).unwrap_or_default();
    for (key, source) in [("url", &raw.url), ("dependency_name", &raw.dependency_name)] {
        let template = source.as_deref().map(TargetTemplate::new);
        if let Some(Err(fault)) = template {
            report_fault(context, &fault, &place.key(key));
        }
    }
    if let Some(template) = &raw.dependency_name
        && outside_of_expressions(template).contains('/')
    {
        let finding = Finding::error(&place.key("dependency_name"), "a name has no `/`");
        context
            .report
            .add(finding.expected("another character, such as `.`"));
    }
    Entry {
        source: name.into(),
        url: raw.url.clone(),
        name: raw.dependency_name.clone(),
        base,
        value,
        place: place.key("dependency"),
    }
}

fn report_fault(context: &mut Context<'_>, fault: &Fault, at: &Place) {
    let meant = fault
        .instead
        .as_ref()
        .map(|name| format!("did you mean `{name}`?"));
    context
        .report
        .add(Finding::error(at, fault.to_string()).suggest_opt(meant));
}

/// What a template says itself.
fn outside_of_expressions(template: &str) -> String {
    let mut rest = template;
    let mut text = String::new();
    while let Some(begin) = rest.find(['{']) {
        text.push_str(&rest[..begin]);
        let Some(length) = rest[begin..].find("}") else {
            return text;
        };
        rest = rest[begin + length + 1..].trim_start_matches('}');
    }
    text.push_str(rest);
    text
}

/// What is wrong with an entry is told even when it finds nothing.
fn check(context: &mut Context<'_>, entry: &Entry, raw: &RawPlan) {
    let nothing = (RawDefaults::default(), Place::root(0).key("defaults"));
    let (defaults, defaults_place) = raw.defaults.as_ref().unwrap_or(&nothing);
    let own = RawDefaults::from(&entry.base);
    let layers = Layers {
        own: &own,
        own_place: &entry.place,
        defaults,
        defaults_place,
    };
    if let Some(setting) = &entry.base.alerts {
        alerting::check_own(context, setting, &entry.place.key("alerts"));
    }
    if let Some(url) = sample_url(context, entry) {
        let sample = RawDependency {
            url: Some(url),
            ..entry.base.clone()
        };
        lower_dependency(context, &sample, &entry.place, &layers);
        return;
    }
    budgets::timeouts(context, &layers, entry.base.deadline.map(|text| text.0));
    budgets::retry(context, &layers);
    budgets::breaker(context, &layers);
    labels::lower(context, &layers);
    http::headers(context, &layers);
    network::tls(context, &layers);
    keepalive::settings(context, &layers);
    expect::lower(context, &entry.base, &entry.place);
    http::auth(context, &entry.base, &entry.place, None);
}

/// What the URL's template makes of a target that nothing is said of, where that is a URL.
fn sample_url(context: &mut Context<'_>, entry: &Entry) -> Option<String> {
    let template = entry.url.as_deref()?;
    let labels = Default::default();
    let facts = TargetFacts {
        target: "host.example:4430",
        host: "host.example",
        port: "4430",
        labels: &labels,
        source: &entry.source,
    };
    let url = TargetTemplate::new(template).ok()?.render(&facts).ok()?;
    let (target, lints) = url_lint::parse(&url);
    if target.is_none() && !template.contains('{') {
        // Nothing that is found can make it better.
        let place = entry.place.clone();
        let at = Place {
            file: place.file,
            path: place.path.parent().unwrap_or_default().key("url"),
        };
        let errors = lints.into_iter().filter(|lint| lint.severity == Severity::Error);
        add_lints(context.report, &at, errors.collect());
    }
    target.map(|_| url)
}
