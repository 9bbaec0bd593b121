//! What goes to receivers: notifications, the orders to deliver them, and what became of that.

use std::sync::Arc;
use std::time::Duration;

use super::alert::{AlertId, AlertKey, AlertText, ResolvedBecause, Severity};
use super::cause::Cause;
use super::incident::{Factor, IncidentId};
use super::receiver::Receiver;
use super::time::Wall;

/// The number of one notification in the outbox. It grows, also over restarts, so that it is an order too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub u64);

/// Why a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// An incident is told for the first time.
    Opened,
    /// Alerts joined it, or are over while others go on, or its severity changed.
    Changed,
    /// Nothing changed, but it is long ago that it was told.
    Repeated,
    /// All its alerts are over.
    Closed,
    /// A person tries the receiver.
    Test,
    /// We are alive.
    Heartbeat,
}

impl Occasion {
    pub const ALL: [Occasion; 6] = [
        Occasion::Opened,
        Occasion::Changed,
        Occasion::Repeated,
        Occasion::Closed,
        Occasion::Test,
        Occasion::Heartbeat,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            Occasion::Opened => "opened",
            Occasion::Changed => "changed",
            Occasion::Repeated => "repeated",
            Occasion::Closed => "closed",
            Occasion::Test => "test",
            Occasion::Heartbeat => "heartbeat",
        }
    }
}

/// One thing to be told, as it was at `at`. It does not change while it waits to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The same each time the same thing is told: receivers may deduplicate by it. Printable ASCII, at most 64 bytes.
    pub id: Arc<str>,
    pub occasion: Occasion,
    pub at: Wall,
    pub incident: IncidentId,
    /// When the incident began.
    pub since: Wall,
    /// The highest of those that fire; of a closed incident, the highest that it had.
    pub severity: Severity,
    /// One line, without severity and occasion.
    pub title: Box<str>,
    pub cause: Option<Cause>,
    /// What all members share, the most telling first.
    pub factors: Vec<Factor>,
    /// Of the member that tells most.
    pub text: Arc<AlertText>,
    /// Labels that all its alerts have alike.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// Those that fire, and those that are over since the receiver was last told.
    pub alerts: Vec<AlertNote>,
    /// Dependencies that fail as its alerts do, but not yet for long enough to be raised themselves.
    pub affected: Vec<Arc<str>>,
    /// Dependencies that fail because a member does (`depends_on`).
    pub suppressed: Vec<Arc<str>>,
}

impl Notification {
    /// Whether anything still fires.
    pub fn is_firing(&self) -> bool {
        self.alerts.iter().any(|alert| alert.ended.is_none())
    }
}

/// One alert as a notification tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertNote {
    pub key: AlertKey,
    pub id: AlertId,
    pub severity: Severity,
    /// When it was raised.
    pub since: Wall,
    /// When it was over, and why; `None` while it fires.
    pub ended: Option<(Wall, ResolvedBecause)>,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub text: Arc<AlertText>,
}

/// A notification on its way to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryOrder {
    pub delivery: DeliveryId,
    pub receiver: Arc<Receiver>,
    pub notification: Arc<Notification>,
    /// How often it was tried before.
    pub tried: u32,
    /// Where people find the daemon's API; where the pages of causes are.
    pub links: Links,
}

/// Identifies one try; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    pub external_url: Option<Arc<str>>,
    pub runbooks: Arc<str>,
    /// Several replicas tell of the same alerts, so that nothing may identify one that they might see differently.
    pub shared: bool,
}

impl Links {
    /// The page of a cause.
    pub fn runbook(&self, cause: Cause) -> String {
        // The anchors that the generated page has (`report::causes`).
        format!("{}{}", self.runbooks, cause.id().replace('.', "-"))
    }
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Accepted,
    /// It may be taken later: no connection, a timeout, 408, 429, 5xx.
    Failed {
        why: Box<str>,
        retry_after: Option<Duration>,
    },
    /// The receiver will not take it as it is: another 4xx, a refused login, an address that does not exist. It is tried
    /// again all the same, seldom: somebody may set it right before it expires.
    Refused {
        why: Box<str>,
    },
}

/// How a receiver is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiverView {
    pub name: Arc<str>,
    pub channel: &'static str,
    /// Notifications that wait to be delivered.
    pub waiting: usize,
    pub oldest: Option<Wall>,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    /// Failures in a row, and why the last one failed.
    pub failing: Option<(u32, Box<str>)>,
    pub last_delivered: Option<Wall>,
}
