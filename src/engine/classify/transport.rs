//! TCP: what an errno means at the call that returned it, and what silence means by what the kernel knew.

use std::time::Duration;

use crate::model::attempt::{Call, Trouble};
use crate::model::cause::Cause;
use crate::model::phase::Phase;

use super::errno;
use super::http;
use super::path_mtu;
use super::refusal;
use super::scene::{Found, Scene};
use super::tls;

/// A refusal of our own routing table comes back within the call. A router's takes at least a link.
const OWN_ROUTING_TABLE: Duration = Duration::from_millis(1);
/// A router does not let one wait: this long, it was the neighbour that did not answer ARP.
const NEIGHBOUR: Duration = Duration::from_millis(900);

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    match scene.stop.trouble {
        Trouble::Io {
            call: call @ (Call::Connect | Call::Socket | Call::Bind),
            errno,
        } => Some(connecting(scene, call, errno)),
        Trouble::Io { errno, .. } => {
            let waits_for_head = matches!(scene.phase(), Some(Phase::Request | Phase::FirstByte));
            let other = waits_for_head.then(|| http::spoke_otherwise(scene)).flatten();
            other.or_else(|| established(scene, errno))
        }
        Trouble::TimedOut(_) if scene.phase() == Some(Phase::Connect) => Some(silence(scene)),
        Trouble::TimedOut(_)
            if matches!(
                scene.phase(),
                Some(Phase::Tls | Phase::Request | Phase::FirstByte | Phase::Body)
            ) =>
        {
            not_reading(scene).or_else(|| path_mtu::explain(scene))
        }
        _ => None,
    }
}

fn connecting(scene: &Scene<'_>, call: Call, errno: i32) -> Found {
    let facts = scene.connect_facts();
    if let Some(found) = facts.and_then(|facts| refusal::explain(scene, facts)) {
        return found;
    }
    let at_once = facts.is_some_and(|facts| facts.at_once);
    let no_message = facts.is_some_and(|facts| facts.queue_read) || scene.is_to_this_host();
    match errno {
        // Without the error queue an ICMP refusal looks the same; to this host itself nothing stands between.
        errno::ECONNREFUSED if no_message => Found::observed(Cause::TcpRefusedRst),
        errno::ENETUNREACH | errno::EHOSTUNREACH if at_once => Found::observed(Cause::TcpNoRoute),
        // What ICMPv6 calls prohibited is this errno, where the message itself could not be had.
        errno::EACCES => Found::likely(Cause::TcpProhibited, &[Cause::LocalPolicyDenied]),
        errno::ECONNREFUSED => Found::likely(Cause::TcpRefusedRst, &[Cause::TcpRefusedIcmp]),
        errno::ETIMEDOUT => silence(scene).slow(),
        errno::EINVAL | errno::ENETDOWN => Found::observed(Cause::TcpNoRoute),
        errno::EAFNOSUPPORT if call == Call::Socket => Found::observed(Cause::TcpNoRoute),
        errno::ENETUNREACH => unreachable(scene, Cause::TcpNetworkUnreachable),
        errno::EHOSTUNREACH | errno::EHOSTDOWN => unreachable(scene, Cause::TcpHostUnreachable),
        errno if errno::is_reset(errno) => Found::observed(Cause::TcpResetDuringConnect),
        _ => Found::observed(Cause::Unknown),
    }
}

fn unreachable(scene: &Scene<'_>, said_by_router: Cause) -> Found {
    let elapsed = scene.phase_elapsed();
    if elapsed < OWN_ROUTING_TABLE {
        Found::likely(Cause::TcpNoRoute, &[said_by_router])
    } else if elapsed >= NEIGHBOUR && said_by_router == Cause::TcpHostUnreachable {
        Found::observed(Cause::TcpHostUnreachable).with("neighbour_silent", true)
    } else {
        // The error queue would have the ICMP code: prohibited (9, 10, 13) arrives as these same two errnos.
        Found::likely(said_by_router, &[Cause::TcpProhibited, Cause::TcpNoRoute])
    }
}

/// Nothing answers the SYN. The fact is certain, its reason is not: a filter, a host that is down, or (what is
/// left on this host itself) a listener whose accept queue is full.
fn silence(scene: &Scene<'_>) -> Found {
    let found = Found::observed(Cause::TcpTimedOut);
    if scene.is_to_this_host() {
        return found
            .with("accept_queue_full", "likely")
            .or(&[Cause::TcpTimedOutFiltered]);
    }
    found.or(&[Cause::TcpTimedOutFiltered, Cause::TcpTimedOutHostDown])
}

/// An error on a connection that was established before.
fn established(scene: &Scene<'_>, errno: i32) -> Option<Found> {
    let phase = scene.phase().unwrap_or(Phase::FirstByte);
    Some(match errno {
        errno if errno::is_reset(errno) => reset(scene, phase),
        // The kernel gave up sending again: the path died under us.
        errno::ETIMEDOUT if phase == Phase::Tls => Found::observed(Cause::TlsTimedOut).slow(),
        errno::ETIMEDOUT => Found::observed(Cause::TcpTimedOut)
            .or(&[Cause::TcpPathMtuBlackHole])
            .slow(),
        errno::ECONNREFUSED => Found::likely(Cause::TcpRefusedRst, &[Cause::TcpRefusedIcmp]),
        errno::EHOSTUNREACH | errno::EHOSTDOWN => {
            Found::likely(Cause::TcpHostUnreachable, &[Cause::TcpProhibited])
        }
        errno::ENETUNREACH | errno::ENETDOWN => {
            Found::likely(Cause::TcpNetworkUnreachable, &[Cause::TcpNoRoute])
        }
        _ => return None,
    })
}

fn reset(scene: &Scene<'_>, phase: Phase) -> Found {
    match phase {
        Phase::Resolve | Phase::Connect => Found::observed(Cause::TcpResetDuringConnect),
        Phase::Tls => {
            let found = tls::hello_acknowledged(Found::observed(Cause::TlsReset), scene);
            if wants_client_certificate(scene) {
                found.or(&[Cause::TlsClientCertRequired])
            } else {
                found
            }
        }
        Phase::Body | Phase::Verify => Found::observed(Cause::TcpResetMidResponse),
        Phase::Proxy => Found::observed(Cause::ProxyFailed),
        Phase::Request | Phase::FirstByte if scene.response_begun() => {
            Found::observed(Cause::TcpResetMidResponse)
        }
        Phase::Request | Phase::FirstByte => {
            let found = Found::observed(Cause::TcpResetAfterAccept);
            if wants_client_certificate(scene) {
                // The alert that would say so is lost when the RST overtakes it.
                Found::likely(Cause::TlsClientCertRequired, &[Cause::TcpResetAfterAccept])
            } else if scene.is_plain_http() {
                found.or(&[Cause::HttpTlsPeer])
            } else {
                found
            }
        }
    }
}

/// The peer asked for a client certificate and did not get one.
pub fn wants_client_certificate(scene: &Scene<'_>) -> bool {
    scene
        .hop
        .and_then(|hop| hop.tls.as_deref())
        .is_some_and(|tls| tls.client_cert_requested && !tls.client_cert_sent)
}

/// The peer's window is shut, and our probes of it are answered by nothing but that. The kernel counts a probe only until it
/// is answered; that the next one waits ever longer (the backoff) tells of those that were.
fn not_reading(scene: &Scene<'_>) -> Option<Found> {
    let tcp = scene.hop?.tcp?;
    let shut = tcp.send_window == Some(0) && (tcp.probes > 0 || tcp.backoff > 0);
    (shut && scene.phase() != Some(Phase::Body)).then(|| Found::observed(Cause::TcpPeerNotReading))
}
