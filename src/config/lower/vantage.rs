//! Anchors: who is asked whether it is us when something falls silent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::raw::{RawDefaults, RawDependency, RawVantage};
use super::super::report::{Finding, Place, Report};
use super::super::url_lint;
use super::layers::Layers;
use super::{Context, Origin, add_lints, lower_dependency};
use crate::model::dependency::{Confirm, Dependency, RetryPolicy, Timeouts};
use crate::model::vantage::Vantage;

/// An observation may keep a verdict waiting for so long at most.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Others' servers are not asked more often than this, however long we are offline.
const SHORTEST_RECHECK: Duration = Duration::from_secs(1);
/// With fewer anchors, one that fails by itself weighs too much.
const RECOMMENDED: usize = 3;

pub fn lower(
    context: &mut Context<'_>,
    raw: Option<&(RawVantage, Place)>,
    dependencies: &[Arc<Dependency>],
) -> Vantage {
    let built_in = Vantage::default();
    let Some((raw, place)) = raw else { return built_in };
    let timeout = raw.timeout.map_or(built_in.timeout, |text| text.0);
    if timeout > LONGEST_TIMEOUT {
        let finding = Finding::error(&place.key("timeout"), "a verdict would wait too long for it");
        context.report.add(finding.expected("at most 10s"));
    }
    let recheck = raw.recheck.map_or(built_in.recheck, |text| text.0);
    if recheck < SHORTEST_RECHECK {
        let finding = Finding::error(&place.key("recheck"), "anchors would be asked too often");
        context.report.add(finding.expected("at least 1s"));
    }
    let at = place.key("anchors");
    let mut anchors: Vec<Arc<Dependency>> = Vec::new();
    let mut given: HashMap<String, Place> = HashMap::new();
    for (i, url) in raw.anchors.iter().flatten().enumerate() {
        let at = at.index(i);
        let Some(anchor) = lower_anchor(context, url, &at, timeout) else {
            continue;
        };
        let target = anchor.probe.target();
        if let Some(first) = given.get(&target) {
            let finding = Finding::error(&at, "this anchor is given twice");
            context.report.add(finding.see("first given", first));
            continue;
        }
        given.insert(target, at.clone());
        advise(context.report, &anchor, &at, dependencies);
        anchors.push(Arc::new(anchor));
    }
    let few = !anchors.is_empty() && anchors.len() < RECOMMENDED;
    if few && context.from == Origin::Files {
        context.report.warning(
            &at,
            "fewer than three anchors: give three or more in different networks, so that one that fails by itself does \
             not decide",
        );
    }
    Vantage {
        anchors: anchors.into(),
        timeout,
        recheck,
    }
}

/// An anchor is a dependency with one attempt, which has all the time of the observation.
fn lower_anchor(
    context: &mut Context<'_>,
    url: &str,
    place: &Place,
    timeout: Duration,
) -> Option<Dependency> {
    let (target, lints) = url_lint::parse(url);
    add_lints(context.report, place, lints);
    target?;
    let raw = RawDependency {
        url: Some(url.to_owned()),
        ..RawDependency::default()
    };
    let (own, nothing) = (RawDefaults::default(), RawDefaults::default());
    let layers = Layers {
        own: &own,
        own_place: place,
        defaults: &nothing,
        defaults_place: place,
    };
    // What there is to say of the URL has been said.
    let mut unheard = Report::default();
    let mut quiet = Context {
        env: context.env,
        report: &mut unheard,
        directories: context.directories,
        from: context.from,
        alerts: Arc::clone(&context.alerts),
        located: context.located,
    };
    let anchor = lower_dependency(&mut quiet, &raw, place, &layers)?;
    Some(Dependency {
        // A slash is in no dependency's name, so that nothing is kept for both.
        name: format!("anchor {}", anchor.probe.target()).into(),
        timeouts: Timeouts {
            resolve: timeout,
            connect: timeout,
            tls: timeout,
            first_byte: timeout,
            body: timeout,
            attempt: timeout,
            total: timeout,
        },
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        confirm: Confirm::Off,
        ..anchor
    })
}

/// What an anchor is worth.
fn advise(report: &mut Report, anchor: &Dependency, place: &Place, dependencies: &[Arc<Dependency>]) {
    let host = &*anchor.host.name;
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if loopback {
        report.warning(
            place,
            "an anchor on this host answers whatever becomes of the network: its answers are not counted",
        );
        return;
    }
    let same = dependencies
        .iter()
        .find(|dependency| &*dependency.host.name == host);
    if let Some(same) = same {
        report.warning(
            place,
            format!(
                "this anchor's host is that of the dependency `{}` too: the two fail together",
                same.name
            ),
        );
    }
}
