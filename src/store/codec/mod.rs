//! How records are written: JSON with a version, in types of their own.
//!
//! A version says how the rest is to be read. Another one is never guessed at: the record is passed over and left as it
//! is. To change a record, add a struct for its next version, write that, and go on reading the old one.

mod alerts;
mod signals;
mod silences;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

use self::alerts::{AlertV1, IncidentV1, OutboxV1};
use self::signals::SignalsV1;
use self::silences::SilenceV1;
use crate::model::dependency::HostKey;
use crate::model::idle::{IdleEnd, IdleLimit, IdleMeasurement};
use crate::model::looks::{NameSource, NamesSeen, SeenAddress};
use crate::model::record::{Record, RecordKind};
use crate::model::time::{Wall, nanos};

/// Why a record is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it has version {0}, which this version does not know")]
    Version(u64),
    #[error("it cannot be decoded: {0}")]
    Malformed(String),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    record: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

pub fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    match record {
        Record::IdleTimeout { host, measurement } => versioned(1, IdleTimeoutV1::new(host, measurement)),
        Record::Names {
            dependency,
            name,
            seen,
        } => versioned(1, NamesV1::new(dependency, name, seen)),
        Record::Alert(kept) => versioned(1, AlertV1::new(kept)),
        Record::Incident(kept) => versioned(1, IncidentV1::new(kept)),
        Record::Outbox(kept) => versioned(1, OutboxV1::new(kept)),
        Record::Silence(silence) => versioned(1, SilenceV1::new(silence)),
        Record::Signals(kept) => versioned(1, SignalsV1::new(kept)),
    }
}

fn versioned<T: Serialize>(version: u64, record: T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Versioned { version, record })
}

pub fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Record, Unreadable> {
    let version = from_json::<VersionOnly>(bytes)?.version;
    match (kind, version) {
        (RecordKind::IdleTimeout, 1) => body::<IdleTimeoutV1>(bytes)?.read(),
        (RecordKind::Names, 1) => body::<NamesV1>(bytes)?.read(),
        (RecordKind::Alert, 1) => body::<AlertV1>(bytes)?.read(),
        (RecordKind::Incident, 1) => body::<IncidentV1>(bytes)?.read(),
        (RecordKind::Outbox, 1) => body::<OutboxV1>(bytes)?.read(),
        (RecordKind::Silence, 1) => Ok(body::<SilenceV1>(bytes)?.read()),
        (RecordKind::Signals, 1) => Ok(body::<SignalsV1>(bytes)?.read()),
        (_, other) => Err(Unreadable::Version(other)),
    }
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    Ok(from_json::<Versioned<T>>(bytes)?.record)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(|error| Unreadable::Malformed(error.to_string()))
}

/// Civil time in nanoseconds since 1970 and durations in nanoseconds: exact, and the same in every time zone.
#[derive(Serialize, Deserialize)]
struct IdleTimeoutV1 {
    name: String,
    port: u16,
    proxy: Option<String>,
    at: i64,
    /// `None` where no end was found up to `high`.
    end: Option<String>,
    low: u64,
    high: u64,
    samples: u8,
    control_uses: u32,
    announced: Option<u64>,
}

impl IdleTimeoutV1 {
    fn new(host: &HostKey, measurement: &IdleMeasurement) -> Self {
        let (end, low, high) = match measurement.limit {
            IdleLimit::Ends { how, low, high } => (Some(how.id().to_owned()), low, high),
            IdleLimit::NoneFound { up_to } => (None, up_to, up_to),
        };
        IdleTimeoutV1 {
            name: host.name.to_string(),
            port: host.port,
            proxy: host.proxy.as_deref().map(str::to_owned),
            at: measurement.at.unix_nanos(),
            end,
            low: nanos(low),
            high: nanos(high),
            samples: measurement.samples,
            control_uses: measurement.control_uses,
            announced: measurement.announced.map(nanos),
        }
    }

    fn read(self) -> Result<Record, Unreadable> {
        let limit = match self.end {
            None => IdleLimit::NoneFound {
                up_to: Duration::from_nanos(self.high),
            },
            Some(id) => IdleLimit::Ends {
                how: IdleEnd::ALL
                    .into_iter()
                    .find(|end| end.id() == id)
                    .ok_or_else(|| Unreadable::Malformed(format!("no end is called {id:?}")))?,
                low: Duration::from_nanos(self.low),
                high: Duration::from_nanos(self.high),
            },
        };
        Ok(Record::IdleTimeout {
            host: HostKey {
                name: self.name.into(),
                port: self.port,
                proxy: self.proxy.map(Into::into),
            },
            measurement: IdleMeasurement {
                limit,
                samples: self.samples,
                control_uses: self.control_uses,
                announced: self.announced.map(Duration::from_nanos),
                at: Wall::from_unix_nanos(self.at),
            },
        })
    }
}

/// Sources as `hosts_file`, `system`, or a nameserver's address.
#[derive(Serialize, Deserialize)]
struct NamesV1 {
    dependency: String,
    name: String,
    sources: Vec<SourceV1>,
}

#[derive(Serialize, Deserialize)]
struct SourceV1 {
    source: String,
    seen: Vec<SeenV1>,
}

#[derive(Serialize, Deserialize)]
struct SeenV1 {
    address: IpAddr,
    first: i64,
    last: i64,
}

const HOSTS_FILE: &str = "hosts_file";
const SYSTEM: &str = "system";

impl NamesV1 {
    fn new(dependency: &str, name: &str, seen: &NamesSeen) -> Self {
        let sources = seen.iter().map(|(source, seen)| SourceV1 {
            source: match source {
                NameSource::HostsFile => HOSTS_FILE.to_owned(),
                NameSource::System => SYSTEM.to_owned(),
                NameSource::Nameserver(server) => server.to_string(),
            },
            seen: seen
                .iter()
                .map(|seen| SeenV1 {
                    address: seen.address,
                    first: seen.first.unix_nanos(),
                    last: seen.last.unix_nanos(),
                })
                .collect(),
        });
        NamesV1 {
            dependency: dependency.to_owned(),
            name: name.to_owned(),
            sources: sources.collect(),
        }
    }

    fn read(self) -> Result<Record, Unreadable> {
        let seen: Result<NamesSeen, Unreadable> = self.sources.into_iter().map(SourceV1::read).collect();
        Ok(Record::Names {
            dependency: self.dependency.into(),
            name: self.name.into(),
            seen: seen?,
        })
    }
}

impl SourceV1 {
    fn read(self) -> Result<(NameSource, Vec<SeenAddress>), Unreadable> {
        let source = match &*self.source {
            HOSTS_FILE => NameSource::HostsFile,
            SYSTEM => NameSource::System,
            server => NameSource::Nameserver(
                server
                    .parse()
                    .map_err(|_| Unreadable::Malformed(format!("no source is called {server:?}")))?,
            ),
        };
        let seen = self.seen.into_iter().map(|seen| SeenAddress {
            address: seen.address,
            first: Wall::from_unix_nanos(seen.first),
            last: Wall::from_unix_nanos(seen.last),
        });
        Ok((source, seen.collect()))
    }
}
