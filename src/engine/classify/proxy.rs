//! Failures on the way to a proxy and in its answer to CONNECT: they are the proxy's, not the target's.

use crate::model::attempt::{Budget, ProxyTrouble, Role, Trouble};
use crate::model::cause::{Cause, Fault};
use crate::model::phase::Phase;

use super::evidence;
use super::precedence;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    if let Trouble::Proxy(trouble) = &scene.stop.trouble {
        return Some(answer(scene, trouble));
    }
    if !scene.is_at_proxy() {
        return None;
    }
    if scene.phase() == Some(Phase::Proxy) {
        return Some(during_connect(scene));
    }
    let inner = precedence::explain_below_proxy(scene);
    let cause = match inner.cause {
        Cause::DeadlineExceeded => return Some(inner),
        cause if cause.fault() == Fault::Local && !dns(cause) && cause != Cause::TcpNoRoute => {
            return Some(inner);
        }
        cause if dns(cause) => Cause::ProxyNameNotResolved,
        Cause::TcpRefusedRst | Cause::TcpRefusedIcmp => Cause::ProxyRefused,
        Cause::TcpTimedOut | Cause::TlsTimedOut => Cause::ProxyTimedOut,
        _ => Cause::ProxyFailed,
    };
    let mut found = Found::observed(cause).with("inner_cause", inner.cause.id());
    for (key, value) in inner.evidence.iter() {
        found.evidence.set(key, value.clone());
    }
    found.used_up_a_timeout = inner.used_up_a_timeout;
    Some(found)
}

/// Says of a failure of a proxy that nobody wrote down where the proxy comes from.
pub fn inherited(found: &mut Found, scene: &Scene<'_>) {
    let of_proxy = found.cause.id().starts_with("proxy.") || scene.is_at_proxy();
    if let Some(from) = scene.proxy().and_then(|proxy| proxy.inherited_from.as_deref())
        && of_proxy
    {
        found.evidence.set("proxy_inherited_from", from);
    }
}

/// Says of a way that does not lead to the target that others here may have another one.
pub fn unused(found: &mut Found, scene: &Scene<'_>) {
    let unreached = matches!(scene.phase(), Some(Phase::Resolve | Phase::Connect));
    let by_the_network = dns(found.cause) || found.cause.id().starts_with("tcp.");
    if let Some(variable) = scene.dependency().unused_proxy.as_deref()
        && unreached
        && by_the_network
        && scene.role() == Role::Target
    {
        found.evidence.set("proxy_variable_not_used", variable);
    }
}

fn dns(cause: Cause) -> bool {
    cause.id().starts_with("dns.")
}

/// CONNECT was sent, and something other than an answer came.
fn during_connect(scene: &Scene<'_>) -> Found {
    match scene.stop.trouble {
        // The proxy answers only when it has the target, so its silence may be the target's.
        Trouble::TimedOut(Budget::Phase | Budget::Attempt | Budget::Total) => Found::likely(
            Cause::ProxyTimedOut,
            &[Cause::ProxyUpstreamFailed, Cause::TcpTimedOut],
        )
        .with("connect_sent", true),
        _ => Found::observed(Cause::ProxyFailed).with("connect_sent", true),
    }
}

fn answer(scene: &Scene<'_>, trouble: &ProxyTrouble) -> Found {
    let cause = match trouble {
        ProxyTrouble::Status(407) => Cause::ProxyAuthRequired,
        ProxyTrouble::Status(400..=499) => Cause::ProxyConnectDenied,
        ProxyTrouble::Status(500..=599) => Cause::ProxyUpstreamFailed,
        ProxyTrouble::Status(_) | ProxyTrouble::Malformed => Cause::ProxyFailed,
    };
    let mut found = Found::observed(cause);
    if let ProxyTrouble::Status(status) = trouble {
        found.evidence.set("status", *status);
    }
    evidence::response(&mut found.evidence, scene);
    evidence::peer_speaks(&mut found.evidence, scene);
    found
}
