//! Ourselves as observers: what is configured to tell our own outage from others', what was observed, and what follows.
//!
//! Anchors are asked like dependencies, so an anchor's facts are those of an attempt. Local facts come from the kernel:
//! interfaces, networks on the link, default routes and whether their gateways are known to answer.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempt;
use super::dependency::Dependency;
use super::time::Wall;

/// What the configuration says of anchors.
#[derive(Clone, Debug, PartialEq)]
pub struct Vantage {
    /// Asked when something fails that our own outage would explain. Each is a dependency of which no one keeps figures.
    pub anchors: Arc<[Arc<Dependency>]>,
    /// How long one observation may take: the most by which a verdict waits for it.
    pub timeout: Duration,
    /// Time between two observations while we are offline.
    pub recheck: Duration,
}

impl Default for Vantage {
    fn default() -> Self {
        Vantage {
            anchors: Arc::from([]),
            timeout: Duration::from_secs(2),
            recheck: Duration::from_secs(5),
        }
    }
}

/// Identifies one observation; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationId(pub u64);

/// One observation to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct VantageOrder {
    pub id: ObservationId,
    pub anchors: Arc<[Arc<Dependency>]>,
    pub budget: Duration,
}

/// What one observation found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VantageFacts {
    /// In the order of the anchors. `None` of one that was not waited for, since another had answered.
    pub anchors: Vec<Option<Box<Attempt>>>,
    /// `None` where the system does not tell.
    pub network: Option<NetworkFacts>,
}

/// What the kernel says of our network, without sending anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkFacts {
    pub interfaces: Vec<Interface>,
    /// Our own addresses, each with the network that it is in.
    pub addresses: Vec<OwnAddress>,
    pub default_routes: Vec<DefaultRoute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: Box<str>,
    pub loopback: bool,
    /// An adapter, real or virtual, and not a tunnel that the kernel makes by itself.
    pub adapter: bool,
    /// Switched on by the administrator.
    pub up: bool,
    /// Operational: its carrier is there.
    pub running: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    pub address: IpAddr,
    /// Bits of the network's prefix.
    pub prefix: u8,
    pub interface: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    pub ipv6: bool,
    /// `None` for a route straight to the link.
    pub gateway: Option<IpAddr>,
    pub interface: Box<str>,
    /// Whether the gateway's link address is known (`Some(true)`), was asked for in vain (`Some(false)`), or is not looked
    /// for at present.
    pub neighbour: Option<bool>,
}

impl NetworkFacts {
    /// Whether that address is one of ours, or loopback: no network is needed to reach it.
    pub fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().any(|own| own.address == address)
    }

    /// The interface on whose link that address is, when we have an address in its network.
    pub fn link_of(&self, address: IpAddr) -> Option<&str> {
        let on_link = |own: &&OwnAddress| same_network(own.address, address, own.prefix);
        self.addresses.iter().find(on_link).map(|own| &*own.interface)
    }

    /// Whether there is a way out at all: a default route of either family.
    pub fn has_default_route(&self) -> bool {
        !self.default_routes.is_empty()
    }
}

fn same_network(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    // A prefix of the whole address has nobody else in it, and one of nothing says nothing.
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) if (1..32).contains(&prefix) => {
            (one.to_bits() ^ other.to_bits()) >> (32 - prefix) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) if (1..128).contains(&prefix) => {
            (one.to_bits() ^ other.to_bits()) >> (128 - prefix) == 0
        }
        _ => false,
    }
}

/// By what we know that we are offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfflineBecause {
    /// Every anchor failed together with what was asked.
    Anchors,
    /// No interface but loopback is operational.
    LinksDown,
    /// There was a default route, and there is none any more, in either family.
    NoWayOut,
}

impl OfflineBecause {
    pub const fn id(self) -> &'static str {
        match self {
            OfflineBecause::Anchors => "anchors",
            OfflineBecause::LinksDown => "links_down",
            OfflineBecause::NoWayOut => "no_way_out",
        }
    }

    /// The same in words that follow "we are offline: ".
    pub const fn words(self) -> &'static str {
        match self {
            OfflineBecause::Anchors => "no anchor answers",
            OfflineBecause::LinksDown => "no network interface is operational",
            OfflineBecause::NoWayOut => "the default route is gone",
        }
    }
}

/// A time in which we saw nothing: no verdict was given for whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: Wall,
    /// `None` while it lasts.
    pub to: Option<Wall>,
    pub because: OfflineBecause,
}

/// The last gaps, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(VecDeque<Gap>);

impl Gaps {
    /// Begins one; the oldest goes when there are already `most`.
    pub fn begin(&mut self, gap: Gap, most: usize) {
        while self.0.len() >= most.max(1) {
            self.0.pop_front();
        }
        self.0.push_back(gap);
    }

    /// Ends the one that lasts, if any.
    pub fn end(&mut self, at: Wall) {
        if let Some(last) = self.0.back_mut() {
            last.to.get_or_insert(at);
        }
    }

    /// The newest one.
    pub fn last(&self) -> Option<&Gap> {
        self.0.back()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether we can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nothing has made us doubt it.
    #[default]
    Online,
    Offline(OfflineBecause),
}

impl Sight {
    pub const fn id(self) -> &'static str {
        match self {
            Sight::Online => "online",
            Sight::Offline(_) => "offline",
        }
    }

    pub const fn is_offline(self) -> bool {
        matches!(self, Sight::Offline(_))
    }
}

/// How one anchor did when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorView {
    /// Its URL, without secrets.
    pub target: Arc<str>,
    pub standing: AnchorStanding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorStanding {
    /// Not asked yet, or not waited for because another had answered.
    NotAsked,
    Answered,
    /// It could not be reached.
    Silent,
    /// Its name gave no address, so that it says nothing of the network behind the resolver.
    NotResolved,
    /// It is on this very host, or we could not ask: it says nothing.
    SaysNothing,
}

impl AnchorStanding {
    pub const fn id(self) -> &'static str {
        match self {
            AnchorStanding::NotAsked => "not_asked",
            AnchorStanding::Answered => "answered",
            AnchorStanding::Silent => "silent",
            AnchorStanding::NotResolved => "not_resolved",
            AnchorStanding::SaysNothing => "says_nothing",
        }
    }
}

/// The read model of the vantage.
#[derive(Clone, Debug, Default)]
pub struct VantageView {
    pub sight: Sight,
    /// When the present sight began; `None` while there was never a doubt.
    pub since: Option<Wall>,
    /// When it was last observed.
    pub observed: Option<Wall>,
    pub anchors: Vec<AnchorView>,
    /// Anchors were silent while dependencies answered: until one of them answers they prove nothing.
    pub anchors_discredited: bool,
    /// Dependencies without a verdict because we are offline.
    pub suspended: usize,
    pub gaps: Gaps,
    /// Gaps since the start, those that are not kept any more among them.
    pub gaps_total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> NetworkFacts {
        let own = |address: &str, prefix, interface: &str| OwnAddress {
            address: address.parse().expect("an address"),
            prefix,
            interface: interface.into(),
        };
        NetworkFacts {
            addresses: vec![
                own("127.0.0.1", 8, "lo"),
                own("10.1.2.3", 20, "eth0"),
                own("2001:db8:1::3", 64, "eth0"),
                own("192.0.2.9", 32, "wg0"),
            ],
            ..NetworkFacts::default()
        }
    }

    #[test]
    fn what_is_on_the_link_is_told_by_the_prefix() {
        let facts = facts();
        let link = |text: &str| facts.link_of(text.parse().expect("an address"));
        assert_eq!(link("10.1.15.255"), Some("eth0"));
        assert_eq!(link("10.1.16.0"), None);
        assert_eq!(link("2001:db8:1::ffff"), Some("eth0"));
        assert_eq!(link("2001:db8:2::1"), None);
        assert_eq!(link("192.0.2.10"), None, "a host route has no neighbours");
        assert!(facts.is_own("192.0.2.9".parse().expect("an address")));
        assert!(facts.is_own("127.3.2.1".parse().expect("an address")));
    }

    #[test]
    fn gaps_are_bounded_and_end_once() {
        let mut gaps = Gaps::default();
        let gap = |secs| Gap {
            from: Wall::from_unix_secs(secs),
            to: None,
            because: OfflineBecause::Anchors,
        };
        for secs in 0..5 {
            gaps.begin(gap(secs), 3);
            gaps.end(Wall::from_unix_secs(secs + 100));
        }
        gaps.end(Wall::from_unix_secs(999));
        let seen: Vec<_> = gaps
            .iter()
            .map(|gap| (gap.from.unix_secs(), gap.to.map(Wall::unix_secs)))
            .collect();
        assert_eq!(seen, [(2, Some(102)), (3, Some(103)), (4, Some(104))]);
    }
}
