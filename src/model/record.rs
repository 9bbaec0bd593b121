//! What survives a restart: records that the engine hands out to be kept, and is given again when it starts.
//!
//! Records hold civil time only, since a [`Moment`](super::time::Moment) means nothing to another process. How they are
//! written down, and in which version, is the store's affair.

use std::fmt;
use std::sync::Arc;

use super::dependency::HostKey;
use super::idle::IdleMeasurement;
use super::looks::NamesSeen;

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
}

/// The kinds of records. Each has a table of its own in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    IdleTimeout,
    Names,
}

impl RecordKind {
    pub const ALL: [RecordKind; 2] = [RecordKind::IdleTimeout, RecordKind::Names];

    /// Stable: it names the table.
    pub const fn id(self) -> &'static str {
        match self {
            RecordKind::IdleTimeout => "idle_timeout",
            RecordKind::Names => "names",
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
