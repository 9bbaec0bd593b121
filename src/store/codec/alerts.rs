//! How alerts, incidents, notifications and silences are written down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Unreadable;
use crate::model::alert::{AlertKey, AlertState, AlertText, ResolvedBecause, Rule, Severity, Subject};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::HostKey;
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::{AlertNote, Notification, Occasion, OutboxId};
use crate::model::phase::Phase;
use crate::model::record::{KeptAlert, KeptIncident, KeptNotification, KeptTold, Record};
use crate::model::time::{Wall, nanos};

type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// The one of a closed set that is called so.
fn named<T: Copy>(
    all: impl IntoIterator<Item = T>,
    id: impl Fn(T) -> &'static str,
    wanted: &str,
) -> Result<T, Unreadable> {
    all.into_iter()
        .find(|one| id(*one) == wanted)
        .ok_or_else(|| Unreadable::Malformed(format!("nothing is called {wanted:?}")))
}

fn cause(id: &str) -> Result<Cause, Unreadable> {
    id.parse()
        .map_err(|()| Unreadable::Malformed(format!("no cause is called {id:?}")))
}

fn texts(texts: &[Arc<str>]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

fn shared(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Into::into).collect()
}

#[derive(Serialize, Deserialize)]
struct PairV1(String, String);

fn pairs(labels: &Labels) -> Vec<PairV1> {
    let pair = |(name, value): &(Arc<str>, Arc<str>)| PairV1(name.to_string(), value.to_string());
    labels.iter().map(pair).collect()
}

fn labels(pairs: Vec<PairV1>) -> Labels {
    pairs
        .into_iter()
        .map(|PairV1(name, value)| (name.into(), value.into()))
        .collect()
}

#[derive(Serialize, Deserialize)]
struct KeyV1 {
    rule: String,
    subject: SubjectV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubjectV1 {
    Dependency(String),
    Host {
        name: String,
        port: u16,
        proxy: Option<String>,
    },
    Monitor,
}

impl KeyV1 {
    fn new(key: &AlertKey) -> Self {
        KeyV1 {
            rule: key.rule.id().to_owned(),
            subject: match &key.subject {
                Subject::Dependency(name) => SubjectV1::Dependency(name.to_string()),
                Subject::Host(host) => SubjectV1::Host {
                    name: host.name.to_string(),
                    port: host.port,
                    proxy: host.proxy.as_deref().map(str::to_owned),
                },
                Subject::Monitor => SubjectV1::Monitor,
            },
        }
    }

    fn read(self) -> Result<AlertKey, Unreadable> {
        Ok(AlertKey {
            rule: named(Rule::ALL.iter().copied(), Rule::id, &self.rule)?,
            subject: match self.subject {
                SubjectV1::Dependency(name) => Subject::Dependency(name.into()),
                SubjectV1::Host { name, port, proxy } => Subject::Host(HostKey {
                    name: name.into(),
                    port,
                    proxy: proxy.map(Into::into),
                }),
                SubjectV1::Monitor => Subject::Monitor,
            },
        })
    }

    fn read_all(keys: Vec<KeyV1>) -> Result<Vec<AlertKey>, Unreadable> {
        keys.into_iter().map(KeyV1::read).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct TextV1 {
    summary: String,
    description: String,
    fix: String,
    cause: Option<String>,
    phase: Option<String>,
    speed: Option<String>,
    evidence: Vec<PairV1>,
}

impl TextV1 {
    fn new(text: &AlertText) -> Self {
        TextV1 {
            summary: text.summary.to_string(),
            description: text.description.to_string(),
            fix: text.fix.to_string(),
            cause: text.cause.map(|cause| cause.id().to_owned()),
            phase: text.phase.map(|phase| phase.id().to_owned()),
            speed: text.speed.map(|speed| speed.id().to_owned()),
            evidence: text
                .evidence
                .iter()
                .map(|(key, value)| PairV1(key.to_string(), value.to_string()))
                .collect(),
        }
    }

    fn read(self) -> Result<Arc<AlertText>, Unreadable> {
        let phase = |id: String| named(Phase::ALL, Phase::id, &id);
        let speed = |id: String| named([Speed::Fast, Speed::Slow], Speed::id, &id);
        Ok(Arc::new(AlertText {
            summary: self.summary.into(),
            description: self.description.into(),
            fix: self.fix.into(),
            cause: self.cause.as_deref().map(cause).transpose()?,
            phase: self.phase.map(phase).transpose()?,
            speed: self.speed.map(speed).transpose()?,
            evidence: self
                .evidence
                .into_iter()
                .map(|PairV1(key, value)| (key.into(), value.into()))
                .collect(),
        }))
    }
}

/// Times are nanoseconds since 1970, durations nanoseconds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateV1 {
    Quiet,
    Pending { since: i64 },
    Firing { since: i64, pending: i64 },
    Recovering { since: i64, firing: i64, pending: i64 },
}

impl StateV1 {
    fn new(state: AlertState) -> Self {
        match state {
            AlertState::Quiet => StateV1::Quiet,
            AlertState::Pending { since } => StateV1::Pending {
                since: since.unix_nanos(),
            },
            AlertState::Firing { since, pending } => StateV1::Firing {
                since: since.unix_nanos(),
                pending: pending.unix_nanos(),
            },
            AlertState::Recovering {
                since,
                firing,
                pending,
            } => StateV1::Recovering {
                since: since.unix_nanos(),
                firing: firing.unix_nanos(),
                pending: pending.unix_nanos(),
            },
        }
    }

    fn read(self) -> AlertState {
        let wall = Wall::from_unix_nanos;
        match self {
            StateV1::Quiet => AlertState::Quiet,
            StateV1::Pending { since } => AlertState::Pending { since: wall(since) },
            StateV1::Firing { since, pending } => AlertState::Firing {
                since: wall(since),
                pending: wall(pending),
            },
            StateV1::Recovering {
                since,
                firing,
                pending,
            } => AlertState::Recovering {
                since: wall(since),
                firing: wall(firing),
                pending: wall(pending),
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
pub struct AlertV1 {
    key: KeyV1,
    state: StateV1,
    held: u64,
    severity: String,
    labels: Vec<PairV1>,
    text: TextV1,
    incident: Option<u64>,
    ended: Option<NoteV1>,
}

impl AlertV1 {
    pub fn new(kept: &KeptAlert) -> Self {
        AlertV1 {
            key: KeyV1::new(&kept.key),
            state: StateV1::new(kept.state),
            held: nanos(kept.held),
            severity: kept.severity.id().to_owned(),
            labels: pairs(&kept.labels),
            text: TextV1::new(&kept.text),
            incident: kept.incident.map(|id| id.0),
            ended: kept.ended.as_deref().map(NoteV1::new),
        }
    }

    pub fn read(self) -> Result<Record, Unreadable> {
        Ok(Record::Alert(Box::new(KeptAlert {
            key: self.key.read()?,
            state: self.state.read(),
            held: Duration::from_nanos(self.held),
            severity: named(Severity::ALL, Severity::id, &self.severity)?,
            labels: labels(self.labels),
            text: self.text.read()?,
            incident: self.incident.map(IncidentId),
            ended: self.ended.map(NoteV1::read).transpose()?.map(Box::new),
        })))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FactorV1 {
    Monitor,
    Parent(String),
    Proxy(String),
    Resolver(String),
    Certificate(String),
    Issuer(String),
    Offender(IpAddr),
    Address(IpAddr),
    Network(IpAddr, u8),
    HostName(String),
    Host(String),
    Dependency(String),
}

impl FactorV1 {
    fn new(factor: &Factor) -> Self {
        match factor {
            Factor::Monitor => FactorV1::Monitor,
            Factor::Parent(text) => FactorV1::Parent(text.to_string()),
            Factor::Proxy(text) => FactorV1::Proxy(text.to_string()),
            Factor::Resolver(text) => FactorV1::Resolver(text.to_string()),
            Factor::Certificate(text) => FactorV1::Certificate(text.to_string()),
            Factor::Issuer(text) => FactorV1::Issuer(text.to_string()),
            Factor::Offender(address) => FactorV1::Offender(*address),
            Factor::Address(address) => FactorV1::Address(*address),
            Factor::Network(address, prefix) => FactorV1::Network(*address, *prefix),
            Factor::HostName(text) => FactorV1::HostName(text.to_string()),
            Factor::Host(text) => FactorV1::Host(text.to_string()),
            Factor::Dependency(text) => FactorV1::Dependency(text.to_string()),
        }
    }

    fn read(self) -> Factor {
        match self {
            FactorV1::Monitor => Factor::Monitor,
            FactorV1::Parent(text) => Factor::Parent(text.into()),
            FactorV1::Proxy(text) => Factor::Proxy(text.into()),
            FactorV1::Resolver(text) => Factor::Resolver(text.into()),
            FactorV1::Certificate(text) => Factor::Certificate(text.into()),
            FactorV1::Issuer(text) => Factor::Issuer(text.into()),
            FactorV1::Offender(address) => Factor::Offender(address),
            FactorV1::Address(address) => Factor::Address(address),
            FactorV1::Network(address, prefix) => Factor::Network(address, prefix),
            FactorV1::HostName(text) => Factor::HostName(text.into()),
            FactorV1::Host(text) => Factor::Host(text.into()),
            FactorV1::Dependency(text) => Factor::Dependency(text.into()),
        }
    }
}

fn factors(factors: &[Factor]) -> Vec<FactorV1> {
    factors.iter().map(FactorV1::new).collect()
}

#[derive(Serialize, Deserialize)]
pub struct IncidentV1 {
    id: u64,
    since: i64,
    founder: String,
    cause: Option<String>,
    factors: Vec<FactorV1>,
    severity: String,
    serial: u64,
    told: Vec<ToldV1>,
}

#[derive(Serialize, Deserialize)]
struct ToldV1 {
    receiver: String,
    last: i64,
    firing: Vec<KeyV1>,
    listed: Vec<String>,
}

impl IncidentV1 {
    pub fn new(kept: &KeptIncident) -> Self {
        IncidentV1 {
            id: kept.id.0,
            since: kept.since.unix_nanos(),
            cause: kept.cause.map(|cause| cause.id().to_owned()),
            founder: kept.founder.id().to_owned(),
            factors: factors(&kept.factors),
            severity: kept.severity.id().to_owned(),
            serial: kept.serial,
            told: kept.told.iter().map(ToldV1::new).collect(),
        }
    }

    pub fn read(self) -> Result<Record, Unreadable> {
        let told: Result<Vec<KeptTold>, Unreadable> = self.told.into_iter().map(ToldV1::read).collect();
        Ok(Record::Incident(Box::new(KeptIncident {
            id: IncidentId(self.id),
            since: Wall::from_unix_nanos(self.since),
            cause: self.cause.as_deref().map(cause).transpose()?,
            factors: self.factors.into_iter().map(FactorV1::read).collect(),
            founder: named(Rule::ALL.iter().copied(), Rule::id, &self.founder)?,
            severity: named(Severity::ALL, Severity::id, &self.severity)?,
            serial: self.serial,
            told: told?,
        })))
    }
}

impl ToldV1 {
    fn new(told: &KeptTold) -> Self {
        ToldV1 {
            receiver: told.receiver.to_string(),
            last: told.last.unix_nanos(),
            firing: told.firing.iter().map(KeyV1::new).collect(),
            listed: texts(&told.listed),
        }
    }

    fn read(self) -> Result<KeptTold, Unreadable> {
        Ok(KeptTold {
            receiver: self.receiver.into(),
            last: Wall::from_unix_nanos(self.last),
            firing: KeyV1::read_all(self.firing)?,
            listed: shared(self.listed),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct OutboxV1 {
    id: u64,
    receiver: String,
    expires: i64,
    notification: NotificationV1,
}

#[derive(Serialize, Deserialize)]
struct NotificationV1 {
    id: String,
    occasion: String,
    at: i64,
    incident: u64,
    since: i64,
    severity: String,
    title: String,
    cause: Option<String>,
    factors: Vec<FactorV1>,
    text: TextV1,
    labels: Vec<PairV1>,
    alerts: Vec<NoteV1>,
    affected: Vec<String>,
    suppressed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct NoteV1 {
    key: KeyV1,
    severity: String,
    since: i64,
    ended: Option<(i64, String)>,
    labels: Vec<PairV1>,
    text: TextV1,
}

impl OutboxV1 {
    pub fn new(kept: &KeptNotification) -> Self {
        OutboxV1 {
            id: kept.id.0,
            receiver: kept.receiver.to_string(),
            expires: kept.expires.unix_nanos(),
            notification: NotificationV1::new(&kept.notification),
        }
    }

    pub fn read(self) -> Result<Record, Unreadable> {
        Ok(Record::Outbox(Box::new(KeptNotification {
            id: OutboxId(self.id),
            receiver: self.receiver.into(),
            expires: Wall::from_unix_nanos(self.expires),
            notification: Arc::new(self.notification.read()?),
        })))
    }
}

impl NotificationV1 {
    fn new(told: &Notification) -> Self {
        NotificationV1 {
            id: told.id.to_string(),
            occasion: told.occasion.id().to_owned(),
            at: told.at.unix_nanos(),
            incident: told.incident.0,
            since: told.since.unix_nanos(),
            severity: told.severity.id().to_owned(),
            title: told.title.to_string(),
            cause: told.cause.map(|cause| cause.id().to_owned()),
            factors: factors(&told.factors),
            text: TextV1::new(&told.text),
            labels: pairs(&told.labels),
            alerts: told.alerts.iter().map(NoteV1::new).collect(),
            affected: texts(&told.affected),
            suppressed: texts(&told.suppressed),
        }
    }

    fn read(self) -> Result<Notification, Unreadable> {
        let alerts: Result<Vec<AlertNote>, Unreadable> = self.alerts.into_iter().map(NoteV1::read).collect();
        Ok(Notification {
            id: self.id.into(),
            occasion: named(Occasion::ALL, Occasion::id, &self.occasion)?,
            at: Wall::from_unix_nanos(self.at),
            incident: IncidentId(self.incident),
            since: Wall::from_unix_nanos(self.since),
            severity: named(Severity::ALL, Severity::id, &self.severity)?,
            title: self.title.into(),
            cause: self.cause.as_deref().map(cause).transpose()?,
            factors: self.factors.into_iter().map(FactorV1::read).collect(),
            text: self.text.read()?,
            labels: labels(self.labels),
            alerts: alerts?,
            affected: shared(self.affected),
            suppressed: shared(self.suppressed),
        })
    }
}

impl NoteV1 {
    fn new(note: &AlertNote) -> Self {
        let ended = note.ended;
        NoteV1 {
            key: KeyV1::new(&note.key),
            severity: note.severity.id().to_owned(),
            since: note.since.unix_nanos(),
            ended: ended.map(|(at, because)| (at.unix_nanos(), because.id().to_owned())),
            labels: pairs(&note.labels),
            text: TextV1::new(&note.text),
        }
    }

    fn read(self) -> Result<AlertNote, Unreadable> {
        let key = self.key.read()?;
        let ended = |(at, because): (i64, String)| {
            let because = named(ResolvedBecause::ALL, ResolvedBecause::id, &because)?;
            Ok((Wall::from_unix_nanos(at), because))
        };
        Ok(AlertNote {
            id: key.id(),
            key,
            severity: named(Severity::ALL, Severity::id, &self.severity)?,
            since: Wall::from_unix_nanos(self.since),
            ended: self.ended.map(ended).transpose()?,
            labels: labels(self.labels),
            text: self.text.read()?,
        })
    }
}

#[cfg(test)]
mod tests;
