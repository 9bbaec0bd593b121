//! ICMP echoes: whether we may send one, what was said in place of an answer, and silence.

use std::net::IpAddr;

use crate::model::attempt::{IcmpTrouble, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::{IcmpProbe, Probe};
use crate::model::phase::Phase;

use super::errno;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let Probe::Icmp(probe) = &scene.dependency().probe else {
        return None;
    };
    let waiting = matches!(scene.phase(), Some(Phase::Request | Phase::FirstByte));
    match &scene.stop.trouble {
        Trouble::Icmp(IcmpTrouble::NoPermission { datagram, raw }) => Some(no_permission(*datagram, *raw)),
        Trouble::Icmp(IcmpTrouble::Unreachable { kind, code, offender }) => {
            Some(unreachable(scene, (*kind, *code), *offender))
        }
        Trouble::TimedOut(_) if waiting => Some(silence(scene, probe)),
        // The message itself was lost, and what it did to the socket is all that is left.
        Trouble::Io { errno, .. } if waiting && errno::is_unreachable(*errno) => {
            Some(Found::observed(Cause::IcmpUnreachable))
        }
        _ => None,
    }
}

fn no_permission(datagram: i32, raw: i32) -> Found {
    let name = |errno: i32| errno::name(errno).map_or_else(|| errno.to_string(), str::to_owned);
    Found::observed(Cause::IcmpNoPermission)
        .with("datagram_socket", name(datagram))
        .with("raw_socket", name(raw))
        .with("sysctl", "net.ipv4.ping_group_range")
        .with("capability", "CAP_NET_RAW")
        .fix(
            "let whyd send echoes: sysctl -w net.ipv4.ping_group_range='0 2147483647', or give it CAP_NET_RAW \
             (setcap cap_net_raw+ep)",
        )
}

fn silence(scene: &Scene<'_>, probe: &IcmpProbe) -> Found {
    let peer = scene.peer();
    Found::observed(Cause::IcmpTimedOut)
        .with("packets", probe.packets)
        .fix(format!(
            "find out why {peer} does not answer echoes: it is down, or they are filtered on the way (many hosts drop \
             them while their services work)"
        ))
}

fn unreachable(scene: &Scene<'_>, (kind, code): (u8, u8), offender: Option<IpAddr>) -> Found {
    let v6 = scene.address().is_some_and(|address| address.is_ipv6());
    let says = if v6 {
        name_v6(kind, code)
    } else {
        name_v4(kind, code)
    };
    let peer = scene.peer();
    let target = scene.address().map(|address| address.ip());
    let found = Found::observed(Cause::IcmpUnreachable)
        .with("icmp_type", kind)
        .with("icmp_code", code)
        .with("icmp_says", says)
        .with_some("offender", offender);
    match offender {
        Some(offender) if Some(offender) == target => {
            found.fix(format!("look at {peer} itself: it answers {says}"))
        }
        Some(offender) => found.fix(format!("look at {offender}, which says of {peer}: {says}")),
        None => found.fix(format!("repair the way to {peer}: {says}")),
    }
}

/// The IANA registry of ICMP types and codes (RFC 792, RFC 1122, RFC 1812).
pub fn name_v4(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 5) => "source route failed",
        (3, 6) => "network unknown",
        (3, 7) => "host unknown",
        (3, 8) => "source host isolated",
        (3, 9) => "network administratively prohibited",
        (3, 10) => "host administratively prohibited",
        (3, 11) => "network unreachable for this type of service",
        (3, 12) => "host unreachable for this type of service",
        (3, 13) => "communication administratively prohibited",
        (3, _) => "destination unreachable",
        (4, _) => "source quench",
        (11, 0) => "time to live exceeded in transit",
        (11, _) => "fragment reassembly time exceeded",
        (12, _) => "parameter problem",
        _ => "an error",
    }
}

/// The IANA registry of ICMPv6 types and codes (RFC 4443).
pub fn name_v6(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "communication administratively prohibited",
        (1, 2) => "beyond the scope of the source address",
        (1, 3) => "address unreachable",
        (1, 4) => "port unreachable",
        (1, 5) => "source address failed the ingress or egress policy",
        (1, 6) => "route to destination rejected",
        (1, _) => "destination unreachable",
        (2, _) => "packet too big",
        (3, 0) => "hop limit exceeded in transit",
        (3, _) => "fragment reassembly time exceeded",
        (4, _) => "parameter problem",
        _ => "an error",
    }
}
