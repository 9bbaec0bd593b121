//! Incidents: alerts that share a cause and something by which they hang together.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::alert::{AlertKey, AlertText, Severity};
use super::cause::Cause;
use super::time::Wall;

/// The same for the same cause and factor in every process, so that replicas and retries deduplicate; an incident that
/// comes again has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// By what failures hang together, the most telling first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// The monitor itself.
    Monitor,
    /// A dependency that the others need (`depends_on`), by its name.
    Parent(Arc<str>),
    /// The proxy by which they are reached.
    Proxy(Arc<str>),
    /// The nameserver that was asked.
    Resolver(Arc<str>),
    /// A certificate by its fingerprint (SHA-256, hexadecimal).
    Certificate(Arc<str>),
    /// An issuer's name.
    Issuer(Arc<str>),
    /// The router or firewall that answered in the target's place.
    Offender(IpAddr),
    /// The address that was asked.
    Address(IpAddr),
    /// The network that the address is in (a /24, or a /48).
    Network(IpAddr, u8),
    /// A host's name, whatever the port.
    HostName(Arc<str>),
    /// A host's name and port.
    Host(Arc<str>),
    /// The dependency itself.
    Dependency(Arc<str>),
}

impl Factor {
    pub const fn kind(&self) -> &'static str {
        match self {
            Factor::Monitor => "monitor",
            Factor::Parent(_) => "parent",
            Factor::Proxy(_) => "proxy",
            Factor::Resolver(_) => "resolver",
            Factor::Certificate(_) => "certificate",
            Factor::Issuer(_) => "issuer",
            Factor::Offender(_) => "offender",
            Factor::Address(_) => "address",
            Factor::Network(..) => "network",
            Factor::HostName(_) => "host_name",
            Factor::Host(_) => "host",
            Factor::Dependency(_) => "dependency",
        }
    }
}

/// What it is, without its kind.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Monitor => f.write_str("whyd"),
            Factor::Parent(text)
            | Factor::Proxy(text)
            | Factor::Resolver(text)
            | Factor::Certificate(text)
            | Factor::Issuer(text)
            | Factor::HostName(text)
            | Factor::Host(text)
            | Factor::Dependency(text) => f.write_str(text),
            Factor::Offender(address) | Factor::Address(address) => address.fmt(f),
            Factor::Network(address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

/// The read model of one incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentView {
    pub id: IncidentId,
    /// When its first alert became pending.
    pub since: Wall,
    pub severity: Severity,
    /// `None` where its alerts are of no failure (an expiring certificate, say).
    pub cause: Option<Cause>,
    /// What all members share, the most telling first.
    pub factors: Vec<Factor>,
    /// One line.
    pub title: Box<str>,
    pub text: Arc<AlertText>,
    pub members: Vec<Member>,
    /// Dependencies that fail because a member does (`depends_on`): recorded, not told.
    pub suppressed: Vec<Arc<str>>,
    /// Receivers that acknowledged a notification of it, each with the time of the last one.
    pub told: Vec<(Arc<str>, Wall)>,
}

/// One alert of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub key: AlertKey,
    /// `pending`, `firing` or `recovering`.
    pub state: &'static str,
    pub since: Wall,
}
