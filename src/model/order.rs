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
    /// Ask every address of these families on its own.
    EveryAddress(Family),
    /// Ask every source of the name: the hosts file, the system's resolver, each nameserver.
    CompareNames,
}

impl ConfirmationKind {
    pub const fn id(&self) -> &'static str {
        match self {
            ConfirmationKind::NotFoundVariants => "not_found_variants",
            ConfirmationKind::ClientHello(_) => "client_hello",
            ConfirmationKind::FreshConnection(_) => "fresh_connection",
            ConfirmationKind::EveryAddress(_) => "every_address",
            ConfirmationKind::CompareNames => "compare_names",
        }
    }
}
