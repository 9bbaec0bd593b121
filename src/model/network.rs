//! Facts of the network below a connection: what ICMP said, what this host's own tables say, which signs of life an
//! address gave.

use std::net::IpAddr;
use std::time::Duration;

use super::attempt::TcpFacts;

/// What is known of a connection that could not be made, beyond the errno. Looked for only when one failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectFacts {
    /// connect(2) itself refused, before anything was sent: this host's routes, policy or ports.
    pub at_once: bool,
    /// Whether the socket's error queue was read, so that its being empty says that no ICMP message came.
    pub queue_read: bool,
    /// The last ICMP error that came for the connection.
    pub icmp: Option<IcmpError>,
    /// Whether this host has an address of the family to connect from; looked at when it is in doubt.
    pub has_source: Option<bool>,
    /// First and last of the local ports that connections may use, when they are what ran out.
    pub port_range: Option<(u16, u16)>,
    /// Whether the peer's address is one of this host's own.
    pub own_address: bool,
    /// The way to the address by this host's table, looked up when a neighbour did not answer.
    pub route: Option<Route>,
}

/// An ICMP or ICMPv6 error message for something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    pub v6: bool,
    /// RFC 792 and RFC 1812, or RFC 4443.
    pub kind: u8,
    pub code: u8,
    /// Who sent it.
    pub offender: Option<IpAddr>,
    /// The sender is this host itself: its own firewall, or its neighbour table (nobody answered ARP or neighbour
    /// discovery).
    pub from_this_host: bool,
}

impl IcmpError {
    /// The meaning, in the words of the standards.
    pub fn meaning(&self) -> IcmpMeaning {
        match (self.v6, self.kind, self.code) {
            (false, 3, 0 | 6 | 11) | (true, 1, 0) => IcmpMeaning::Network,
            (false, 3, 1 | 5 | 7 | 8 | 12) | (true, 1, 2 | 3) => IcmpMeaning::Host,
            (false, 3, 2 | 3) | (true, 1, 4) => IcmpMeaning::Port,
            (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6) => IcmpMeaning::Prohibited,
            (false, 3, 4) | (true, 2, _) => IcmpMeaning::TooBig,
            (false, 11, _) | (true, 3, _) => IcmpMeaning::TimeExceeded,
            _ => IcmpMeaning::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpMeaning {
    /// No route to the network.
    Network,
    /// The network is there, the host is not.
    Host,
    /// Nothing takes the port (or the protocol).
    Port,
    /// Administratively prohibited: filter, policy, reject route.
    Prohibited,
    TooBig,
    /// The hop limit ran out: a routing loop, usually.
    TimeExceeded,
    Other,
}

impl IcmpMeaning {
    pub const fn id(self) -> &'static str {
        match self {
            IcmpMeaning::Network => "network_unreachable",
            IcmpMeaning::Host => "host_unreachable",
            IcmpMeaning::Port => "port_unreachable",
            IcmpMeaning::Prohibited => "administratively_prohibited",
            IcmpMeaning::TooBig => "packet_too_big",
            IcmpMeaning::TimeExceeded => "time_exceeded",
            IcmpMeaning::Other => "other",
        }
    }
}

/// The way to an address by this host's routing table, and what the first neighbour on it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The router to hand it to; `None` when the address is on our own link.
    pub gateway: Option<IpAddr>,
    /// The neighbour entry of the gateway, or of the address itself.
    pub neighbour: Option<Neighbour>,
}

/// An entry of the neighbour table (ARP, neighbour discovery).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub state: NeighbourState,
    /// How long ago it was last heard of.
    pub confirmed: Option<Duration>,
}

/// `NUD_*` of linux/neighbour.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Asked for, no answer yet.
    Incomplete,
    Reachable,
    /// Known from before; not confirmed lately.
    Stale,
    /// Known, and being asked again.
    Probing,
    /// Asked for, and no answer came.
    Failed,
    /// Needs no asking: loopback, point to point, configured.
    Static,
}

impl NeighbourState {
    pub const fn id(self) -> &'static str {
        match self {
            NeighbourState::Incomplete => "incomplete",
            NeighbourState::Reachable => "reachable",
            NeighbourState::Stale => "stale",
            NeighbourState::Probing => "probing",
            NeighbourState::Failed => "failed",
            NeighbourState::Static => "static",
        }
    }
}

/// What was found when something was looked for that answers from a silent address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignsOfLife {
    /// The address is one of this host's own.
    pub own_address: bool,
    pub route: Option<Route>,
    /// In the order in which they should be read.
    pub signs: Vec<Sign>,
}

/// One step of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    pub looked_at: LookedAt,
    pub seen: Seen,
    pub elapsed: Duration,
}

impl Sign {
    /// Whether something of the address itself answered.
    pub fn is_alive(&self) -> bool {
        let of_the_peer = !matches!(self.looked_at, LookedAt::OwnListener | LookedAt::OwnOutput);
        of_the_peer && matches!(self.seen, Seen::Answered | Seen::Refused)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedAt {
    /// The queue of the port's listener, where that is on this host.
    OwnListener,
    /// Whether a packet for a new connection gets out of this host.
    OwnOutput,
    /// ICMP.
    Echo,
    /// A segment to the port that belongs to no connection.
    StraySegment,
    /// The same port once more.
    Again,
    /// Another TCP port.
    Port(u16),
    Udp(u16),
}

impl LookedAt {
    pub const fn id(self) -> &'static str {
        match self {
            LookedAt::OwnListener => "own_listener",
            LookedAt::OwnOutput => "own_output",
            LookedAt::Echo => "icmp_echo",
            LookedAt::StraySegment => "stray_segment",
            LookedAt::Again => "again",
            LookedAt::Port(_) => "tcp_port",
            LookedAt::Udp(_) => "udp_port",
        }
    }

    pub const fn port(self) -> Option<u16> {
        match self {
            LookedAt::Port(port) | LookedAt::Udp(port) => Some(port),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It answered as it should (of this host's own output: the packet was sent).
    Answered,
    /// The address itself refused, by a reset or by ICMP.
    Refused,
    Silent,
    /// An ICMP error, of somebody else than the address.
    Icmp(IcmpError),
    /// Nothing listens.
    Nothing,
    /// So many connections wait to be accepted.
    Waiting(u32),
    /// This process has not the privilege for it.
    NotAllowed,
    /// A system call failed, with that errno.
    Failed(i32),
}

impl Seen {
    pub const fn id(self) -> &'static str {
        match self {
            Seen::Answered => "answered",
            Seen::Refused => "refused",
            Seen::Silent => "silent",
            Seen::Icmp(_) => "icmp",
            Seen::Nothing => "nothing",
            Seen::Waiting(_) => "waiting",
            Seen::NotAllowed => "not_allowed",
            Seen::Failed(_) => "failed",
        }
    }
}

/// One try with a size of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentTrial {
    /// The largest segment allowed; `None` for what the system uses.
    pub mss: Option<u16>,
    /// Whether it came through.
    pub worked: bool,
    pub elapsed: Duration,
    /// TCP_INFO at its end.
    pub tcp: Option<TcpFacts>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_mean_what_the_standards_say() {
        let meaning = |v6, kind, code| {
            IcmpError {
                v6,
                kind,
                code,
                offender: None,
                from_this_host: false,
            }
            .meaning()
        };
        assert_eq!(meaning(false, 3, 3), IcmpMeaning::Port);
        assert_eq!(meaning(true, 1, 4), IcmpMeaning::Port);
        assert_eq!(meaning(false, 3, 13), IcmpMeaning::Prohibited);
        assert_eq!(meaning(true, 1, 1), IcmpMeaning::Prohibited);
        assert_eq!(meaning(true, 1, 5), IcmpMeaning::Prohibited);
        assert_eq!(meaning(false, 3, 1), IcmpMeaning::Host);
        assert_eq!(meaning(true, 1, 3), IcmpMeaning::Host);
        assert_eq!(meaning(false, 3, 0), IcmpMeaning::Network);
        assert_eq!(meaning(true, 1, 0), IcmpMeaning::Network);
        assert_eq!(meaning(true, 2, 0), IcmpMeaning::TooBig);
        assert_eq!(meaning(false, 11, 0), IcmpMeaning::TimeExceeded);
        assert_eq!(meaning(false, 12, 0), IcmpMeaning::Other);
    }
}
