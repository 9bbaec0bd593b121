//! Several addresses of one name: which failure explains the attempt, and whether it is a family that is broken.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};

use crate::model::attempt::{Attempt, Hop, Stop};
use crate::model::cause::{Cause, FindingId};
use crate::model::evidence::{Evidence, Value};

use super::Context;
use super::precedence::{self, ACROSS_ADDRESSES, place};
use super::scene::{Found, Scene};

/// The failure that explains the attempt: its own stop, or that of an address tried before. All stay in the evidence.
pub fn explaining<'a>(scene: Scene<'a>) -> (Scene<'a>, Found) {
    let own = precedence::explain(&scene);
    let (Some(own_hop), Some(_)) = (scene.hop, scene.phase()) else {
        return (scene, own);
    };
    let others = replaced(scene.attempt, own_hop, scene.context);
    if others.is_empty() {
        return (scene, own);
    }
    let mut all = vec![(scene, own)];
    all.extend(others);
    let list = Value::List(all.iter().map(|(scene, found)| entry(scene, found)).collect());
    let best = all.into_iter().min_by_key(|(scene, found)| {
        // Of two that got beyond connecting, the one that got further.
        (place(&ACROSS_ADDRESSES, found.cause), Reverse(scene.phase()))
    });
    match best {
        Some((scene, found)) => (scene, found.with("addresses", list)),
        // Cannot be: the list holds the attempt's own.
        None => (scene, precedence::explain(&scene)),
    }
}

/// The hops for the same request that another address replaced, with what stopped each.
fn replaced<'a>(attempt: &'a Attempt, own: &Hop, context: &'a Context<'a>) -> Vec<(Scene<'a>, Found)> {
    attempt
        .hops
        .iter()
        .filter(|hop| !std::ptr::eq(*hop, own) && hop.url == own.url && hop.role == own.role)
        .filter_map(|hop| {
            let scene = single(attempt, hop, hop.stop.as_deref()?, context);
            let found = precedence::explain(&scene);
            Some((scene, found))
        })
        .collect()
}

fn single<'a>(attempt: &'a Attempt, hop: &'a Hop, stop: &'a Stop, context: &'a Context<'a>) -> Scene<'a> {
    Scene {
        attempt,
        stop,
        hop: Some(hop),
        context,
    }
}

fn entry(scene: &Scene<'_>, found: &Found) -> Value {
    let mut map: Vec<(&'static str, Value)> = Vec::with_capacity(3);
    if let Some(address) = scene.address() {
        map.push(("address", address.into()));
    }
    map.push(("cause", found.cause.id().into()));
    map.push(("elapsed", scene.phase_elapsed().into()));
    Value::Map(map)
}

/// How much of a name's addresses is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Ipv6,
    Ipv4,
    Partial,
}

impl Extent {
    /// Of addresses that were all asked: a family is broken when all of it failed and the other one works.
    pub fn between(failed: &[SocketAddr], working: &[SocketAddr]) -> Extent {
        let are = |addresses: &[SocketAddr], v6: bool| addresses.iter().all(|at| at.is_ipv6() == v6);
        if are(failed, true) && are(working, false) {
            Extent::Ipv6
        } else if are(failed, false) && are(working, true) {
            Extent::Ipv4
        } else {
            Extent::Partial
        }
    }

    pub fn cause(self) -> Cause {
        match self {
            Extent::Ipv6 => Cause::AddressIpv6Broken,
            Extent::Ipv4 => Cause::AddressIpv4Broken,
            Extent::Partial => Cause::AddressPartial,
        }
    }

    pub fn finding(self) -> FindingId {
        match self {
            Extent::Ipv6 => FindingId::AddressIpv6Broken,
            Extent::Ipv4 => FindingId::AddressIpv4Broken,
            Extent::Partial => FindingId::AddressPartial,
        }
    }

    pub fn fix(self, host: &str, failed: &[SocketAddr]) -> String {
        let list: Vec<String> = failed.iter().map(|address| address.ip().to_string()).collect();
        let list = list.join(", ");
        match self {
            Extent::Ipv6 => format!("repair IPv6 to {host} ({list}), or remove its AAAA record"),
            Extent::Ipv4 => format!("repair IPv4 to {host} ({list}), or remove its A record"),
            Extent::Partial => format!("repair {list}, or take it out of the DNS records of {host}"),
        }
    }
}

/// Addresses that failed although another one of the same name could be connected to.
#[derive(Debug)]
pub struct Broken<'a> {
    extent: Extent,
    attempt: &'a Attempt,
    failed: Vec<&'a Hop>,
    working: SocketAddr,
}

/// Looks for them: `None` when no address was replaced by one that works.
pub fn broken(attempt: &Attempt) -> Option<Broken<'_>> {
    let stopped_at = attempt.stop().and_then(|stop| stop.hop).map(usize::from);
    let connected = |place: usize, hop: &Hop| match attempt.stop() {
        Some(stop) if stopped_at == Some(place) => stop.phase > Some(crate::model::phase::Phase::Connect),
        _ => hop.stop.is_none(),
    };
    let (_, winner) = attempt.hops.iter().enumerate().find(|(place, hop)| {
        connected(*place, hop)
            && attempt.hops[..*place]
                .iter()
                .any(|other| other.stop.is_some() && other.url == hop.url)
    })?;
    let working = winner.address?;
    let of_name = |hop: &&Hop| hop.url == winner.url && hop.stop.is_some() && hop.address.is_some();
    let failed: Vec<&Hop> = attempt.hops.iter().filter(of_name).collect();
    let extent = extent(&failed, working, &all_addresses(attempt, winner));
    (!failed.is_empty()).then_some(Broken {
        extent,
        attempt,
        failed,
        working,
    })
}

fn all_addresses(attempt: &Attempt, winner: &Hop) -> Vec<IpAddr> {
    let of_name = attempt.hops.iter().filter(|hop| hop.url == winner.url);
    of_name
        .filter_map(|hop| hop.resolution.as_deref())
        .flat_map(|resolution| resolution.addresses.iter().copied())
        .collect()
}

/// A family is broken when each of its addresses failed and the other family works.
fn extent(failed: &[&Hop], working: SocketAddr, all: &[IpAddr]) -> Extent {
    let failed: Vec<IpAddr> = failed
        .iter()
        .filter_map(|hop| hop.address)
        .map(|address| address.ip())
        .collect();
    let one_family = failed.iter().all(|ip| ip.is_ipv6() != working.is_ipv6());
    let whole_family = all
        .iter()
        .filter(|ip| ip.is_ipv6() != working.is_ipv6())
        .all(|ip| failed.contains(ip));
    match (one_family && whole_family, working.is_ipv6()) {
        (true, false) => Extent::Ipv6,
        (true, true) => Extent::Ipv4,
        (false, _) => Extent::Partial,
    }
}

impl<'a> Broken<'a> {
    pub fn cause(&self) -> Cause {
        self.extent.cause()
    }

    pub fn finding(&self) -> FindingId {
        self.extent.finding()
    }

    /// Whether the failures are only that this host has no route to that family: then nothing was sent, and nothing is
    /// known about the addresses.
    pub fn is_only_our_routing(&self, context: &Context<'_>) -> bool {
        self.causes(context).all(|(_, cause)| cause == Cause::TcpNoRoute)
    }

    fn causes<'c>(&'c self, context: &'c Context<'c>) -> impl Iterator<Item = (&'c Hop, Cause)> + 'c {
        self.failed.iter().filter_map(move |hop| {
            let scene = single(self.attempt, hop, hop.stop.as_deref()?, context);
            Some((*hop, precedence::explain(&scene).cause))
        })
    }

    /// The addresses that failed with the cause of each, and the one that works.
    pub fn evidence(&self, context: &Context<'_>) -> Evidence {
        let failed = self
            .causes(context)
            .map(|(hop, cause)| {
                let mut map: Vec<(&'static str, Value)> = Vec::with_capacity(3);
                if let Some(address) = hop.address {
                    map.push(("address", address.into()));
                }
                map.push(("cause", cause.id().into()));
                map.push(("elapsed", hop.phases.sum().into()));
                Value::Map(map)
            })
            .collect();
        let mut evidence = Evidence::new();
        let first = self.causes(context).next();
        evidence.set_some("inner_cause", first.map(|(_, cause)| cause.id()));
        evidence.set("failed", Value::List(failed));
        evidence.set("working", self.working);
        evidence
    }

    pub fn describe(&self, mut found: Found, context: &Context<'_>) -> Found {
        for (key, value) in self.evidence(context).iter() {
            found.evidence.set(key, value.clone());
        }
        found.fix(self.fix(context))
    }

    pub fn fix(&self, context: &Context<'_>) -> String {
        let failed: Vec<SocketAddr> = self.failed.iter().filter_map(|hop| hop.address).collect();
        self.extent
            .fix(&context.dependency.probe.endpoint().host, &failed)
    }
}
