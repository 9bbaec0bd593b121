//! The plan: the whole of what was configured, checked and complete. Immutable; a reload makes another one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dependency::{Dependency, TlsSettings};
use super::discovery::Source;
use super::receiver::Alerting;
use super::secret::{SecretRef, Text};
use super::share::Share;
use super::vantage::Vantage;

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Sorted by name; names are unique. Where replicas share the work, only those that are this one's.
    pub dependencies: Vec<Arc<Dependency>>,
    pub limits: Limits,
    /// How our own outages are told from others'.
    pub vantage: Vantage,
    /// Who is told of alerts.
    pub alerting: Alerting,
    /// Each dependency is asked once, at once, and that is all (`check`).
    pub one_round: bool,
    pub otlp: Option<Otlp>,
    pub listen: Option<Listen>,
    /// Where dependencies come from besides the file.
    pub discovery: Arc<[Source]>,
    /// Where several replicas share the work: this one's place.
    pub scale_out: Option<ScaleOut>,
    /// Where this process watches from, as people call it; on its series and its alerts.
    pub location: Option<Arc<str>>,
}

/// Several replicas share the work.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleOut {
    pub share: Share,
    /// What this replica is called; the value of the label `replica`.
    pub name: Arc<str>,
    pub election: Election,
    /// How many dependencies the replicas watch together.
    pub in_all: usize,
    /// Those of other replicas that are on hosts of ours: what is said of a host is the same whoever says it.
    pub neighbours: Arc<[Arc<Dependency>]>,
}

/// How it is decided which replica speaks to receivers that would tell people twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first holder of a dependency speaks for it, whether it lives or not.
    None,
    /// Every replica holds a Lease (coordination.k8s.io) of its own; the first holder that lives speaks.
    Leases {
        /// The pod's own unless given.
        namespace: Option<Arc<str>>,
        /// Each replica's Lease is called this with `-` and its ordinal behind it.
        name: Arc<str>,
    },
}

impl Election {
    pub const fn id(&self) -> &'static str {
        match self {
            Election::None => "none",
            Election::Leases { .. } => "leases",
        }
    }
}

impl ScaleOut {
    /// Whether the replicas elect who speaks. Who is alone with its dependencies need not ask anybody.
    pub fn elects(&self) -> bool {
        self.election != Election::None && self.share.factor > 1
    }
}

/// Bulkheads: how much may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations in flight in all.
    pub concurrency: u32,
    /// Operations in flight per host.
    pub concurrency_per_host: u32,
    /// Second looks per host and minute.
    pub confirmations_per_host: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            concurrency: 2_000,
            concurrency_per_host: 32,
            confirmations_per_host: 6,
        }
    }
}

/// Where metrics (and, when asked, traces) are pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// Scheme, authority and, for HTTP, the path of the metrics signal; never user info.
    pub endpoint: Arc<str>,
    pub protocol: OtlpProtocol,
    pub headers: Arc<[(Arc<str>, Text)]>,
    pub gzip: bool,
    pub timeout: Duration,
    pub interval: Duration,
    pub tls: TlsSettings,
    /// Attributes of the resource beside `service.name` and `service.instance.id`, which may be among them.
    pub resource: Arc<[(Arc<str>, Arc<str>)]>,
    pub exponential_histograms: bool,
    /// Where operations are sent as traces; `None` sends none.
    pub traces_endpoint: Option<Arc<str>>,
    /// Where alerts are sent as log records; `None` sends none.
    pub alert_logs: Option<AlertLogs>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertLogs {
    pub endpoint: Arc<str>,
    /// Somebody wants them. Otherwise they are sent because a collector is there, which may be one for metrics alone.
    pub asked_for: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    Grpc,
    HttpProtobuf,
}

/// The one listener: metrics, API, health.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<ListenTls>,
    pub auth: Option<ListenAuth>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenTls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ListenAuth {
    Basic { user: Arc<str>, password: SecretRef },
    Bearer(SecretRef),
}

/// The listener's address unless configured.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9477);
