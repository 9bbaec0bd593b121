//! Whether we see: from one observation to a judgement, and from a judgement to what it explains.
//!
//! Pure rules over facts. The order of proof: what our own kernel says of its links and routes, then the anchors. An
//! answer from beyond our link, from whomever, outweighs them all.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::attempt::{Attempt, Outcome, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::{Dependency, DnsTransport, Probe};
use crate::model::phase::Phase;
use crate::model::time::Wall;
use crate::model::vantage::{AnchorStanding, NetworkFacts, OfflineBecause};

use super::super::classify::{self, Context};

/// Fewest different hosts, anchors and unrelated dependencies together, that must be silent beside the one in question
/// before its silence is ours: one host that is silent with another is no more than two hosts that are.
const WITNESSES: usize = 2;

/// Whether our own outage would explain such a failure, so that no verdict is given before we have looked. A refusal, a
/// TLS or HTTP answer proves that the network works; everything that ends in silence, or never left, proves nothing. A
/// resolver's answer that it could not find out may come from this host or its router, and says nothing of what is behind.
pub const fn is_suspect(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DnsServfail
            | Cause::DnsRefused
            | Cause::DnsTimedOut
            | Cause::DnsUnreachable
            | Cause::DnsAaaaStalled
            | Cause::DnsFailed
            | Cause::TcpTimedOut
            | Cause::TcpTimedOutFiltered
            | Cause::TcpTimedOutHostDown
            | Cause::TcpNoRoute
            | Cause::TcpNetworkUnreachable
            | Cause::TcpHostUnreachable
            | Cause::TcpProhibited
            | Cause::TcpTimedOutStale
            | Cause::TcpPathMtuBlackHole
            | Cause::TcpPeerNotReading
            | Cause::TlsTimedOut
            | Cause::ProxyNameNotResolved
            | Cause::ProxyTimedOut
            | Cause::ProxyFailed
            | Cause::HttpTimedOutFirstByte
            | Cause::HttpTimedOutBodyStall
            | Cause::IcmpTimedOut
            | Cause::IcmpUnreachable
            | Cause::AddressIpv6Broken
            | Cause::AddressIpv4Broken
            | Cause::AddressPartial
            | Cause::DeadlineExceeded
    )
}

/// Where something is, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// On this host: it answers whatever becomes of the network.
    Here,
    /// On our own link.
    Near,
    /// Behind a router, or not known to be elsewhere.
    Far,
}

pub fn distance(network: Option<&NetworkFacts>, address: Option<IpAddr>) -> Distance {
    match (network, address) {
        (_, None) => Distance::Far,
        (None, Some(address)) if address.is_loopback() => Distance::Here,
        (None, Some(_)) => Distance::Far,
        (Some(network), Some(address)) if network.is_own(address) => Distance::Here,
        (Some(network), Some(address)) if network.link_of(address).is_some() => Distance::Near,
        (Some(_), Some(_)) => Distance::Far,
    }
}

/// The address that an attempt ended at.
pub fn address_of(attempt: &Attempt) -> Option<IpAddr> {
    Some(attempt.decisive_hop()?.address?.ip())
}

/// How an anchor did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor<'a> {
    pub host: &'a str,
    pub distance: Distance,
    pub standing: AnchorStanding,
}

/// An anchor's attempt as a witness.
pub fn anchor<'a>(
    anchor: &'a Dependency,
    attempt: Option<&Attempt>,
    network: Option<&NetworkFacts>,
    now: Wall,
) -> Anchor<'a> {
    let host = &*anchor.host.name;
    let Some(attempt) = attempt else {
        return Anchor {
            host,
            distance: Distance::Far,
            standing: AnchorStanding::NotAsked,
        };
    };
    let distance = distance(network, address_of(attempt));
    let standing = if distance == Distance::Here {
        AnchorStanding::SaysNothing
    } else {
        standing(anchor, attempt, now)
    };
    Anchor {
        host,
        distance,
        standing,
    }
}

fn standing(anchor: &Dependency, attempt: &Attempt, now: Wall) -> AnchorStanding {
    let stop = match &attempt.outcome {
        Outcome::Answered => return AnchorStanding::Answered,
        Outcome::Stopped(stop) => stop,
    };
    let context = Context {
        dependency: anchor,
        known_hosts: &|_| None,
        now,
    };
    let Some(failure) = classify::classify(attempt, &context) else {
        return AnchorStanding::Answered;
    };
    if failure.cause.is_ours() || matches!(failure.cause, Cause::LocalPolicyDenied | Cause::Unknown) {
        return AnchorStanding::SaysNothing;
    }
    if stop.phase == Some(Phase::Resolve) || matches!(stop.trouble, Trouble::NoAddress) {
        return AnchorStanding::NotResolved;
    }
    let received = attempt.decisive_hop().is_some_and(|hop| hop.received > 0);
    let shook_hands = by_tcp(&anchor.probe) && stop.phase.is_some_and(|phase| phase > Phase::Connect);
    if received || shook_hands || !is_suspect(failure.cause) {
        AnchorStanding::Answered
    } else {
        AnchorStanding::Silent
    }
}

/// Whether what comes after the connect phase comes after a handshake.
fn by_tcp(probe: &Probe) -> bool {
    match probe {
        Probe::Icmp(_) => false,
        Probe::Dns(dns) => dns.transport == DnsTransport::Tcp,
        Probe::Http(_)
        | Probe::Tcp(_)
        | Probe::Tls(_)
        | Probe::Grpc(_)
        | Probe::WebSocket(_)
        | Probe::Dialogue(_) => true,
    }
}

/// What there is to judge by.
#[derive(Debug)]
pub struct Grounds<'a> {
    pub anchors: &'a [Anchor<'a>],
    pub network: Option<&'a NetworkFacts>,
    /// Something beyond our link answered since the observation began.
    pub heard: bool,
    /// There was a default route at an earlier observation.
    pub had_way_out: bool,
    /// The anchors were silent before while others answered.
    pub discredited: bool,
    /// Hosts of dependencies that fell silent a moment ago.
    pub silent_hosts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Offline(OfflineBecause),
    /// An anchor answers, so what fails fails by itself.
    AnchorsAnswer,
    /// Every anchor is silent, and others are not.
    AnchorsContradicted,
    /// Nothing proves that we are offline, and nothing that we are not.
    Open,
}

pub fn judge(grounds: &Grounds<'_>) -> Judgement {
    let counted = counted(grounds.anchors);
    let answers = counted
        .iter()
        .any(|anchor| anchor.standing == AnchorStanding::Answered);
    if answers {
        return Judgement::AnchorsAnswer;
    }
    let silent: BTreeSet<&str> = counted
        .iter()
        .filter(|anchor| anchor.standing == AnchorStanding::Silent)
        .map(|anchor| anchor.host)
        .collect();
    if grounds.heard {
        return if silent.is_empty() {
            Judgement::Open
        } else {
            Judgement::AnchorsContradicted
        };
    }
    if let Some(because) = grounds.network.and_then(|network| by_kernel(network, grounds)) {
        return Judgement::Offline(because);
    }
    // Anchors whose names gave no address say that the resolver is silent, which explains itself.
    let proven = !silent.is_empty() && silent.len() + grounds.silent_hosts >= WITNESSES;
    if proven && !grounds.discredited {
        Judgement::Offline(OfflineBecause::Anchors)
    } else {
        Judgement::Open
    }
}

/// The anchors that can speak for what lies beyond our link: the far ones, or the near ones where there are no others.
fn counted<'a, 'b>(anchors: &'b [Anchor<'a>]) -> Vec<&'b Anchor<'a>> {
    let speaks = |anchor: &&Anchor<'_>| {
        !matches!(
            anchor.standing,
            AnchorStanding::SaysNothing | AnchorStanding::NotAsked
        )
    };
    let at = |wanted| move |anchor: &&Anchor<'_>| anchor.distance == wanted;
    let far: Vec<_> = anchors.iter().filter(at(Distance::Far)).filter(speaks).collect();
    if far.is_empty() {
        anchors.iter().filter(at(Distance::Near)).filter(speaks).collect()
    } else {
        far
    }
}

/// What our own kernel proves without anchors.
fn by_kernel(network: &NetworkFacts, grounds: &Grounds<'_>) -> Option<OfflineBecause> {
    let outward = || network.interfaces.iter().filter(|one| !one.loopback);
    // A host that has nothing but loopback was not cut off: it has no network by intention, and no route says so.
    let meant = outward().any(|one| one.adapter);
    if meant && !outward().any(|one| one.up && one.running) {
        return Some(OfflineBecause::LinksDown);
    }
    (grounds.had_way_out && !network.has_default_route()).then_some(OfflineBecause::NoWayOut)
}

/// Whether being offline for that reason explains that this address is silent. What is on this host needs no network, and
/// what is on a link that works answers for itself.
pub fn explains(because: OfflineBecause, network: Option<&NetworkFacts>, address: Option<IpAddr>) -> bool {
    match distance(network, address) {
        Distance::Here => false,
        Distance::Far => true,
        Distance::Near => {
            because == OfflineBecause::LinksDown
                || network
                    .is_some_and(|network| address.is_some_and(|address| link_is_dead(network, address)))
        }
    }
}

/// The link has no carrier, or not even our gateways on it are found.
fn link_is_dead(network: &NetworkFacts, address: IpAddr) -> bool {
    let Some(link) = network.link_of(address) else {
        return false;
    };
    let running = network
        .interfaces
        .iter()
        .any(|one| &*one.name == link && one.up && one.running);
    let gateways = || {
        network
            .default_routes
            .iter()
            .filter(|route| &*route.interface == link && route.gateway.is_some())
    };
    !running || (gateways().next().is_some() && gateways().all(|route| route.neighbour == Some(false)))
}
