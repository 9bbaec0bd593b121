//! ICMP messages that ended a connection attempt: who refuses, and why.

use crate::model::attempt::{ConnectFacts, IcmpError, IcmpMeaning, NeighbourState};
use crate::model::cause::Cause;

use super::scene::{Found, Scene};

/// `None` when no message came, or one that says nothing of its own.
pub fn explain(scene: &Scene<'_>, facts: &ConnectFacts) -> Option<Found> {
    let icmp = facts.icmp?;
    let found = if icmp.from_this_host && !scene.is_to_this_host() {
        from_ourselves(facts, &icmp)?
    } else {
        match icmp.meaning() {
            IcmpMeaning::Port => Found::observed(Cause::TcpRefusedIcmp),
            IcmpMeaning::Prohibited => Found::observed(Cause::TcpProhibited),
            IcmpMeaning::Network => Found::observed(Cause::TcpNetworkUnreachable),
            IcmpMeaning::Host => Found::observed(Cause::TcpHostUnreachable),
            // The packet went round until its hop limit was used up: the network is not to be reached that way.
            IcmpMeaning::TimeExceeded => {
                Found::likely(Cause::TcpNetworkUnreachable, &[Cause::TcpHostUnreachable])
            }
            IcmpMeaning::TooBig | IcmpMeaning::Other => return None,
        }
    };
    Some(describe(found, &icmp))
}

/// A message of this host to itself: nobody answers for the next hop on the link, or its own firewall rejects.
fn from_ourselves(facts: &ConnectFacts, icmp: &IcmpError) -> Option<Found> {
    let neighbour = facts.route.and_then(|route| route.neighbour);
    let answers = neighbour.is_some_and(|neighbour| {
        !matches!(
            neighbour.state,
            NeighbourState::Failed | NeighbourState::Incomplete
        )
    });
    match icmp.meaning() {
        IcmpMeaning::Host if !answers => {
            let found = Found::observed(Cause::TcpHostUnreachable).with("neighbour_silent", true);
            let gateway = facts.route.and_then(|route| route.gateway);
            Some(found.with_some("gateway", gateway))
        }
        IcmpMeaning::TooBig | IcmpMeaning::Other | IcmpMeaning::TimeExceeded => None,
        _ => Some(Found::observed(Cause::LocalPolicyDenied).with("rejected_by", "this host's own firewall")),
    }
}

fn describe(found: Found, icmp: &IcmpError) -> Found {
    found
        .with("icmp", icmp.meaning().id())
        .with("icmp_type", icmp.kind)
        .with("icmp_code", icmp.code)
        .with_some("offender", icmp.offender)
}
