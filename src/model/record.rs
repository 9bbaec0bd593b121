//! What survives a restart: records that the engine hands out to be kept, and is given again when it starts.
//!
//! Records hold civil time only, since a [`Moment`](super::time::Moment) means nothing to another process. How they are
//! written down, and in which version, is the store's affair.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::alert::{AlertKey, AlertState, AlertText, Rule, Severity, Subject};
use super::cause::Cause;
use super::dependency::HostKey;
use super::idle::IdleMeasurement;
use super::incident::{Factor, IncidentId};
use super::looks::NamesSeen;
use super::notification::{AlertNote, Notification, OutboxId};
use super::signals::KeptSignals;
use super::silence::Silence;
use super::time::Wall;

/// Counts what was handed out to be kept, so that it is known what has been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistSeq(pub u64);

/// One thing that is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The idle timeout that was measured on a host.
    IdleTimeout {
        host: HostKey,
        measurement: IdleMeasurement,
    },
    /// What the sources of a dependency's name gave so far.
    Names {
        dependency: Arc<str>,
        /// The name. A dependency that is asked for another one begins anew.
        name: Arc<str>,
        seen: NamesSeen,
    },
    /// An alert that is not quiet, or of whose end somebody has still to be told.
    Alert(Box<KeptAlert>),
    /// An incident that was told, or is going to be.
    Incident(Box<KeptIncident>),
    /// A notification that no receiver has acknowledged yet.
    Outbox(Box<KeptNotification>),
    /// A silence that has not ended.
    Silence(Box<Silence>),
    /// What the rules of alerts remember of operations.
    Signals(Box<KeptSignals>),
}

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAlert {
    pub key: AlertKey,
    pub state: AlertState,
    /// How long its condition has held (or, while it recovers, has not held), our gaps left out.
    pub held: Duration,
    pub severity: Severity,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub text: Arc<AlertText>,
    /// The incident that it belongs to. It stands here and not with the incident, so that what is written when an alert
    /// joins does not grow with the incident.
    pub incident: Option<IncidentId>,
    /// How it was when it was last over, as long as that is to be told. Its state is then quiet, or of what came after.
    pub ended: Option<Box<AlertNote>>,
}

/// An incident as it is kept, and whom it was told. Its members are the alerts that name it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptIncident {
    pub id: IncidentId,
    pub since: Wall,
    /// The rule of the alert that began it.
    pub founder: Rule,
    pub cause: Option<Cause>,
    pub factors: Vec<Factor>,
    /// The highest that it had.
    pub severity: Severity,
    /// Counts the notifications of it, so that each has an id of its own.
    pub serial: u64,
    pub told: Vec<KeptTold>,
}

/// What one receiver knows of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptTold {
    pub receiver: Arc<str>,
    /// When it was last put into the receiver's outbox.
    pub last: Wall,
    /// The alerts that it was told of as firing and not yet as over.
    pub firing: Vec<AlertKey>,
    /// The dependencies that its last word named as affected: when their alerts fire, that is no news to it.
    pub listed: Vec<Arc<str>>,
}

/// A notification as it waits.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptNotification {
    pub id: OutboxId,
    pub receiver: Arc<str>,
    pub expires: Wall,
    pub notification: Arc<Notification>,
}

/// The kinds of records. Each has a table of its own in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    IdleTimeout,
    Names,
    Alert,
    Incident,
    Outbox,
    Silence,
    Signals,
}

impl RecordKind {
    pub const ALL: [RecordKind; 7] = [
        RecordKind::IdleTimeout,
        RecordKind::Names,
        RecordKind::Alert,
        RecordKind::Incident,
        RecordKind::Outbox,
        RecordKind::Silence,
        RecordKind::Signals,
    ];

    /// Stable: it names the table.
    pub const fn id(self) -> &'static str {
        match self {
            RecordKind::IdleTimeout => "idle_timeout",
            RecordKind::Names => "names",
            RecordKind::Alert => "alert",
            RecordKind::Incident => "incident",
            RecordKind::Outbox => "outbox",
            RecordKind::Silence => "silence",
            RecordKind::Signals => "signals",
        }
    }
}

/// What a record is found by: there is one record of a kind and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    pub kind: RecordKind,
    pub key: Box<str>,
}

impl RecordKey {
    /// Of a host's idle timeout.
    pub fn idle_timeout(host: &HostKey) -> RecordKey {
        RecordKey {
            kind: RecordKind::IdleTimeout,
            key: host.to_string().into(),
        }
    }

    /// Of what a dependency's name gave.
    pub fn names(dependency: &str) -> RecordKey {
        RecordKey {
            kind: RecordKind::Names,
            key: dependency.into(),
        }
    }

    pub fn alert(key: &AlertKey) -> RecordKey {
        RecordKey {
            kind: RecordKind::Alert,
            key: key.id().to_string().into(),
        }
    }

    pub fn incident(id: IncidentId) -> RecordKey {
        RecordKey {
            kind: RecordKind::Incident,
            key: id.to_string().into(),
        }
    }

    pub fn outbox(id: OutboxId) -> RecordKey {
        RecordKey {
            kind: RecordKind::Outbox,
            // Padded, so that the order of the keys is that of the numbers.
            key: format!("{:020}", id.0).into(),
        }
    }

    /// Of what the rules of alerts remember of that subject.
    pub fn signals(subject: &Subject) -> RecordKey {
        RecordKey {
            kind: RecordKind::Signals,
            key: match subject {
                Subject::Dependency(name) => format!("dependency {name}"),
                Subject::Host(host) => format!("host {host}"),
                Subject::Monitor => "monitor".to_owned(),
            }
            .into(),
        }
    }

    pub fn silence(id: &str) -> RecordKey {
        RecordKey {
            kind: RecordKind::Silence,
            key: id.into(),
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.id(), self.key)
    }
}

impl Record {
    pub fn key(&self) -> RecordKey {
        match self {
            Record::IdleTimeout { host, .. } => RecordKey::idle_timeout(host),
            Record::Names { dependency, .. } => RecordKey::names(dependency),
            Record::Alert(kept) => RecordKey::alert(&kept.key),
            Record::Incident(kept) => RecordKey::incident(kept.id),
            Record::Outbox(kept) => RecordKey::outbox(kept.id),
            Record::Silence(kept) => RecordKey::silence(&kept.id),
            Record::Signals(kept) => RecordKey::signals(&kept.subject()),
        }
    }
}

/// A change of what is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// In place of the record with the same key, if there is one.
    Put(Record),
    Remove(RecordKey),
}

impl Change {
    pub fn key(&self) -> RecordKey {
        match self {
            Change::Put(record) => record.key(),
            Change::Remove(key) => key.clone(),
        }
    }
}
