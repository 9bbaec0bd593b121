//! What the engine asks of the probes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Budget;
use super::dependency::{Dependency, DependencyIndex, Family};

/// Identifies one operation of one dependency; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

/// Which connection an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The parked one, when there is one that is alive; otherwise a fresh one.
    Reuse,
    Fresh,
    /// A fresh one to this address and no other.
    Address(SocketAddr),
}

/// One attempt to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptOrder {
    pub index: DependencyIndex,
    pub dependency: Arc<Dependency>,
    pub operation: OperationId,
    /// 1 for the first.
    pub number: u8,
    pub connection: Connection,
    /// Whether a parked connection is left as soon as the request on it goes unheard for some round trips, and not only
    /// when its time is up: another attempt is to follow at once.
    pub leave_unheard: bool,
    /// The attempt ends by then, whatever its phases allow.
    pub budget: Duration,
    /// Whose budget that is: the attempt's own, or what is left of the operation's total.
    pub budget_of: Budget,
}

/// One second look to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmationOrder {
    pub index: DependencyIndex,
    pub dependency: Arc<Dependency>,
    pub operation: OperationId,
    pub kind: ConfirmationKind,
    pub budget: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmationKind {
    /// Ask for the path with and without its trailing slash, and by the other scheme.
    NotFoundVariants,
    /// Send a ClientHello to the address that did not understand plain HTTP.
    ClientHello(SocketAddr),
    /// Ask again on a fresh connection to the address whose parked connection failed.
    FreshConnection(SocketAddr),
    /// Look for anything that answers from an address that does not answer a connection attempt; for what alarms
    /// intrusion detection (other ports) only when `all` is allowed.
    SignsOfLife { address: SocketAddr, all: bool },
    /// Try small segments, and then the usual ones again.
    MssClamp { address: SocketAddr, stalled: Stalled },
    /// Ask by plain HTTP on the same host and port, which did not understand TLS: for the URL itself, or, where the peer
    /// said nothing and may yet be a TLS server, for `/` alone.
    PlainHttp { path: bool },
    /// Shake hands and listen, asking nothing: does the peer that wanted a client certificate end it by itself?
    LateAlert(SocketAddr),
    /// Fetch the certificate that lacks from where the one below it says, and shake hands again.
    FetchIssuer { address: SocketAddr, url: Box<str> },
    /// Ask as a browser would, one difference at a time: the status with which we were refused.
    AsBrowser { refused: u16 },
    /// Ask every address of these families on its own.
    EveryAddress(Family),
    /// Ask every source of the name: the hosts file, the system's resolver, each nameserver.
    CompareNames,
}

/// What was under way when large packets seemed to vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    Handshake,
    Sending,
    Receiving,
}

impl ConfirmationKind {
    pub const fn id(&self) -> &'static str {
        match self {
            ConfirmationKind::NotFoundVariants => "not_found_variants",
            ConfirmationKind::ClientHello(_) => "client_hello",
            ConfirmationKind::FreshConnection(_) => "fresh_connection",
            ConfirmationKind::SignsOfLife { .. } => "signs_of_life",
            ConfirmationKind::MssClamp { .. } => "mss_clamp",
            ConfirmationKind::PlainHttp { .. } => "plain_http",
            ConfirmationKind::LateAlert(_) => "late_alert",
            ConfirmationKind::FetchIssuer { .. } => "fetch_issuer",
            ConfirmationKind::AsBrowser { .. } => "as_browser",
            ConfirmationKind::EveryAddress(_) => "every_address",
            ConfirmationKind::CompareNames => "compare_names",
        }
    }
}

/// Identifies one round of an idle measurement. The place is the engine's, the serial is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdleRoundId {
    pub place: u32,
    pub serial: u64,
}

/// One round of an idle measurement: connections that lie idle, each for its time and then used once, beside one that is
/// kept busy. It is over as soon as one of them is found to have ended, or all were used.
#[derive(Clone, Debug, PartialEq)]
pub struct IdleOrder {
    pub round: IdleRoundId,
    pub index: DependencyIndex,
    /// Asked with its own request, which is one that only reads.
    pub dependency: Arc<Dependency>,
    /// How long each connection lies idle, the shortest first.
    pub rungs: Vec<Duration>,
    /// How often the busy connection is used at least.
    pub control_every: Duration,
}
