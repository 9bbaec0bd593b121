//! What second looks at names and addresses bring home: each address asked on its own, each source of a name beside the
//! others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, ServerAnswer, SystemError};
use super::cause::Cause;
use super::time::Wall;

/// Every address of a dependency, asked one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressesAsked {
    /// The name that they belong to.
    pub name: Arc<str>,
    pub depth: Depth,
    pub trials: Vec<AddressTrial>,
    /// Addresses beyond the bound, which were not asked.
    pub left_out: usize,
}

/// How far each address was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// As the dependency's own probe asks.
    #[default]
    Probe,
    /// Only until the connection (and TLS, where the probe has it) stands: the request may not be repeated at will.
    Connection,
}

impl Depth {
    pub const fn id(self) -> &'static str {
        match self {
            Depth::Probe => "probe",
            Depth::Connection => "connection",
        }
    }
}

/// One address, asked on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressTrial {
    pub address: SocketAddr,
    pub asked: u8,
    pub answered: u8,
    /// Time of the last.
    pub elapsed: Duration,
    /// HTTP status of the last that had one.
    pub status: Option<u16>,
    /// SHA-256 of the certificate that it presents.
    pub certificate: Option<Box<str>>,
    /// The facts, until they are judged.
    pub attempts: Vec<Attempt>,
    pub verdict: Trial,
}

/// What was made of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trial {
    /// Neither could be said: it answered once and failed once, or the look's time was over.
    #[default]
    Unsettled,
    /// It answered whenever it was asked.
    Works,
    /// It failed whenever it was asked, the last time like this.
    Fails(Cause),
}

/// What each source of a name said, beside the others.
#[derive(Clone, Debug, PartialEq)]
pub struct NamesCompared {
    pub name: Arc<str>,
    /// When.
    pub at: Wall,
    /// It is this host's own name: the hosts file may well have it otherwise.
    pub own_name: bool,
    /// Which C library answers getaddrinfo(3) here, and whether it knows nsswitch.
    pub system_resolver: &'static str,
    pub sources: Vec<SourceAnswers>,
    /// Addresses of sources that disagree, asked one by one.
    pub trials: Vec<AddressTrial>,
}

/// Who speaks for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// /etc/hosts, as we read it ourselves.
    HostsFile,
    /// getaddrinfo(3).
    System,
    Nameserver(SocketAddr),
}

/// One source, asked several times.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceAnswers {
    pub source: NameSource,
    pub said: Said,
    /// All that it gave, over all the times it was asked.
    pub addresses: Vec<IpAddr>,
    /// It did not give the same each time.
    pub varies: bool,
    pub ttl: Option<Duration>,
    /// From its own zone, with that serial number of the zone's SOA.
    pub serial: Option<u32>,
    /// It says itself that its answer is stale (RFC 8914, codes 3 and 19).
    pub says_stale: bool,
    /// A is answered with records, and AAAA was never answered.
    pub aaaa_stalled: bool,
    /// The last round, of a nameserver.
    pub answers: Vec<ServerAnswer>,
    /// The last error, of the system's resolver.
    pub error: Option<SystemError>,
    /// What it gave at earlier looks. The engine fills it in.
    pub before: Vec<SeenAddress>,
}

/// What a source said, each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Addresses,
    /// There is no such name, or no address to it.
    Denied,
    /// Nothing that can be held against another answer: silence, an error, or one thing now and another then.
    Nothing,
}

impl Said {
    pub const fn id(self) -> &'static str {
        match self {
            Said::Addresses => "addresses",
            Said::Denied => "no such name",
            Said::Nothing => "no answer",
        }
    }
}

/// What the sources of a name gave so far, each on its own.
pub type NamesSeen = Vec<(NameSource, Vec<SeenAddress>)>;

/// An address that a source gave, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAddress {
    pub address: IpAddr,
    pub first: Wall,
    pub last: Wall,
}
