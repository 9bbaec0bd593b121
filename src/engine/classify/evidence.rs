//! Evidence that many causes share: where it happened, what the call said, what the kernel and the response knew.

use std::time::Duration;

use crate::model::attempt::{Hop, RetryAfter, Role, TcpFacts, Trouble};
use crate::model::cause::Cause;
use crate::model::evidence::{Evidence, Value};
use crate::model::phase::Phase;

use super::caused_by::{self, caused_by};
use super::errno;
use super::recognise::{printable, recognise};
use super::scene::{Found, Scene};
use super::stale;

/// Adds what holds for every failure. What a rule has set stays.
pub fn common(found: &mut Found, scene: &Scene<'_>) {
    let mut more = Evidence::new();
    more.set_some("address", scene.address());
    if let Some(hop) = scene.hop {
        place(&mut more, scene, hop);
    }
    match &scene.stop.trouble {
        Trouble::Io { call, errno } => {
            match errno::name(*errno) {
                Some(name) => more.set("errno", name),
                None => more.set("errno", *errno),
            }
            more.set("call", call.id());
        }
        Trouble::TimedOut(budget) => {
            more.set("budget", budget.id());
            more.set("waited", scene.phase_elapsed());
        }
        Trouble::Other(reason) => more.set("reason", &**reason),
        _ => {}
    }
    if let Some(hop) = scene.hop
        && kernel_explains(found, scene)
    {
        more.set("sent_bytes", hop.sent);
        more.set("received_bytes", hop.received);
        more.set_some("tcp", hop.tcp.as_ref().map(tcp));
    }
    for (key, value) in more.iter() {
        if found.evidence.get(key).is_none() {
            found.evidence.set(key, value.clone());
        }
    }
}

fn place(more: &mut Evidence, scene: &Scene<'_>, hop: &Hop) {
    // The target is known; another place is worth naming.
    if scene
        .attempt
        .hops
        .first()
        .is_some_and(|first| first.url != hop.url)
    {
        more.set("url", &*hop.url);
    }
    if hop.role != Role::Target {
        more.set("role", hop.role.id());
    }
    if hop.reused {
        more.set("reused", true);
        more.set_some("idle_before", hop.idle_before);
    }
    if let Some(protocol) = hop.protocol
        && scene.phase() >= Some(Phase::Request)
    {
        more.set("protocol", protocol.id());
    }
}

/// Whether byte counts and TCP_INFO say something: after a silence, a reset or an early end on a connection.
fn kernel_explains(found: &Found, scene: &Scene<'_>) -> bool {
    let on_connection = scene.phase() >= Some(Phase::Connect);
    let ended = match &scene.stop.trouble {
        Trouble::TimedOut(_) | Trouble::Closed => true,
        Trouble::Io { errno, .. } => errno::is_reset(*errno) || *errno == errno::ETIMEDOUT,
        _ => false,
    };
    on_connection && (ended || stale::is_stale(found.cause)) && found.cause != Cause::DeadlineExceeded
}

fn tcp(tcp: &TcpFacts) -> Value {
    let mut map: Vec<(&'static str, Value)> = vec![
        ("state", state(tcp.state).into()),
        ("unacked_segments", tcp.unacked.into()),
        ("retransmits", tcp.retransmits.into()),
        ("total_retransmits", tcp.total_retransmits.into()),
        ("backoff", tcp.backoff.into()),
        ("probes", tcp.probes.into()),
        ("rtt", tcp.rtt.into()),
        ("send_mss", tcp.send_mss.into()),
        ("path_mtu", tcp.path_mtu.into()),
    ];
    let mut some = |key, value: Option<Value>| {
        if let Some(value) = value {
            map.push((key, value));
        }
    };
    some("send_window", tcp.send_window.map(Into::into));
    some("acked_bytes", tcp.bytes_acked.map(Into::into));
    some("received_bytes", tcp.bytes_received.map(Into::into));
    some("not_sent_bytes", tcp.not_sent.map(Into::into));
    Value::Map(map)
}

/// The kernel's TCP states (`include/net/tcp_states.h`).
fn state(number: u8) -> &'static str {
    const STATES: [&str; 12] = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    usize::from(number)
        .checked_sub(1)
        .and_then(|index| STATES.get(index))
        .unwrap_or(&"unknown")
}

/// What the response's head said that explains something.
pub fn response(evidence: &mut Evidence, scene: &Scene<'_>) {
    let Some(hop) = scene.hop else { return };
    if let Some(status) = hop.status
        && evidence.get("status").is_none()
    {
        evidence.set("status", status);
    }
    let Some(response) = hop.response.as_deref() else {
        return;
    };
    evidence.set_some("server", response.server.as_deref());
    evidence.set_some("via", response.via.as_deref());
    evidence.set_some("proxy_status", response.proxy_status.as_deref());
    evidence.set_some("squid_error", response.squid_error.as_deref());
    if let Some(cause) = caused_by(response) {
        caused_by::tell(evidence, &cause);
    }
    match response.retry_after {
        Some(RetryAfter::Seconds(seconds)) => {
            evidence.set("retry_after", Duration::from_secs(seconds));
        }
        Some(RetryAfter::At(at)) => evidence.set("retry_after", at),
        None => {}
    }
    evidence.set_some("authenticate", response.authenticate.as_deref());
    if matches!(scene.stop.trouble, Trouble::Http(_)) {
        evidence.set_some("content_encoding", response.content_encoding.as_deref());
    }
    evidence.set_some("excerpt", response.body_excerpt.as_deref());
}

/// What the peer's first bytes are, where they were kept because no response was understood.
pub fn peer_speaks(evidence: &mut Evidence, scene: &Scene<'_>) {
    let bytes = scene.first_bytes();
    if bytes.is_empty() {
        return;
    }
    let spoken = recognise(bytes);
    evidence.set_some("peer_speaks", spoken.map(|spoken| spoken.name()));
    let mostly_text = bytes
        .iter()
        .take(8)
        .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    if mostly_text {
        evidence.set("first_bytes", printable(bytes));
    } else {
        let hexadecimal: Vec<String> = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        evidence.set("first_bytes", hexadecimal.join(" "));
    }
}
