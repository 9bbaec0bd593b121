//! Which keys a URL's scheme has a use for.

use super::super::raw::RawDependency;
use super::super::report::{Finding, Part};
use super::super::url_lint::Target;
use super::layers::Layers;
use super::{Context, Origin};
use crate::model::dependency::Scheme;

/// The kinds of probes, as far as their keys differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Tcp,
    Tls,
    Dns,
    Icmp,
    Grpc,
    WebSocket,
    Service,
}

fn kind(target: &Target) -> Kind {
    match target {
        Target::Http { .. } => Kind::Http,
        Target::Tcp(_) => Kind::Tcp,
        Target::Tls(_) => Kind::Tls,
        Target::Dns { .. } => Kind::Dns,
        Target::Icmp(_) => Kind::Icmp,
        Target::Grpc { .. } => Kind::Grpc,
        Target::WebSocket { .. } => Kind::WebSocket,
        Target::Service { .. } => Kind::Service,
    }
}

/// A key that a dependency gives itself and that has no meaning for its scheme is a mistake; an inherited one is not.
pub fn check(context: &mut Context<'_>, raw: &RawDependency, layers: &Layers<'_>, target: &Target) {
    if context.from == Origin::CommandLine {
        // One set of options serves all targets there.
        return;
    }
    let own = layers.own;
    let kind = kind(target);
    let only = |allowed: &[Kind]| !allowed.contains(&kind);
    let requests = [Kind::Http, Kind::Grpc, Kind::WebSocket];
    let expect = raw.expect.as_ref();
    let http_expectation = expect.is_some_and(|e| {
        e.status.is_some()
            || e.headers.is_some()
            || e.body_contains.is_some()
            || e.body_regex.is_some()
            || e.body_not_regex.is_some()
            || e.json.is_some()
    });
    let latency = expect.is_some_and(|e| e.latency.is_some());
    let talks = raw.dialogue.is_some();
    let timed = match kind {
        Kind::Tcp | Kind::Tls => talks,
        Kind::Dns => false,
        _ => true,
    };
    let given = [
        ("method", raw.method.is_some() && only(&[Kind::Http])),
        ("body", raw.body.is_some() && only(&[Kind::Http])),
        (
            "auth",
            raw.auth.is_some() && !requests.contains(&kind) && !has_login(target),
        ),
        ("headers", own.headers.is_some() && only(&requests)),
        (
            "keepalive",
            own.keepalive.is_some() && only(&[Kind::Http, Kind::Grpc]),
        ),
        ("redirects", own.redirects.is_some() && only(&[Kind::Http])),
        ("http_version", own.http_version.is_some() && only(&[Kind::Http])),
        ("max_body", own.max_body.is_some() && only(&[Kind::Http])),
        ("user_agent", own.user_agent.is_some() && only(&requests)),
        ("tls", own.tls.is_some() && !may_speak_tls(raw, target)),
        ("proxy", own.proxy.is_some() && !only(&[Kind::Dns, Kind::Icmp])),
        ("resolve", own.resolve.is_some() && !only(&[Kind::Dns])),
        (
            "expect",
            (http_expectation && only(&[Kind::Http])) || (latency && !timed),
        ),
        (
            "expect.cert",
            expect.is_some_and(|e| e.cert.is_some()) && !may_speak_tls(raw, target),
        ),
        (
            "expect.records",
            expect.is_some_and(|e| e.records.is_some()) && only(&[Kind::Dns]),
        ),
        (
            "dialogue",
            talks && only(&[Kind::Tcp, Kind::Tls, Kind::WebSocket]),
        ),
        ("starttls", raw.starttls.is_some() && !has_starttls(target)),
        ("websocket", raw.websocket.is_some() && only(&[Kind::WebSocket])),
        ("icmp", raw.icmp.is_some() && only(&[Kind::Icmp])),
    ];
    if let Target::Http { url, .. } = target
        && url.scheme == Scheme::Http
        && expect.is_some_and(|e| e.cert.is_some())
    {
        let at = layers.own_place.dotted("expect.cert");
        let finding = Finding::error(&at, "there are no certificates without TLS").at(Part::Key);
        context.report.add(finding.expected("an https:// URL"));
    }
    for (key, _) in given.into_iter().filter(|(_, wrong)| *wrong) {
        let at = layers.own_place.dotted(key);
        let problem = format!("this key is not for {}:// URLs", target.scheme());
        let finding = Finding::error(&at, problem).suggest_opt(instead(key, target));
        context.report.add(finding.at(Part::Key));
    }
}

fn has_login(target: &Target) -> bool {
    matches!(target, Target::Service { service, .. } if service.has_login())
}

fn has_starttls(target: &Target) -> bool {
    matches!(target, Target::Service { service, tls: false, .. } if service.has_starttls())
}

/// Whether a TLS handshake may come at some point. Plain HTTP may be redirected to one.
fn may_speak_tls(raw: &RawDependency, target: &Target) -> bool {
    match target {
        Target::Http { .. } | Target::Tls(_) => true,
        Target::Tcp(_) => raw
            .dialogue
            .iter()
            .flat_map(|steps| &steps.0)
            .any(|step| step.starttls == Some(true)),
        Target::Dns { .. } | Target::Icmp(_) => false,
        Target::Grpc { url, .. } | Target::WebSocket { url, .. } => url.scheme == Scheme::Https,
        Target::Service { tls, .. } => *tls || raw.starttls == Some(true),
    }
}

/// What may have been meant.
fn instead(key: &str, target: &Target) -> Option<String> {
    let with_tls = match target.scheme() {
        "grpc" => "grpcs",
        "ws" => "wss",
        _ => return None,
    };
    (key == "tls").then(|| format!("with TLS the scheme is `{with_tls}://`"))
}
