//! The table of all metrics: the contract with whoever reads them.

mod itself;
mod watched;

use super::kinds::{Kind, Scope};

/// Names a metric; the order is that of [`METRICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MetricId {
    Up,
    Failing,
    Operations,
    Attempts,
    ProbeDuration,
    PhaseDuration,
    RetryMasked,
    RetryAmplification,
    RetrySuppressed,
    KeepaliveResets,
    KeepaliveIdleTimeout,
    TlsNotAfter,
    DnsAnswersDiffer,
    BreakerState,
    SloObjective,
    AlertActive,
    ConcurrencySaturation,
    HttpStatusCode,
    TcpRtt,
    ScheduleLag,
    ProbesInFlight,
    ProbesSkipped,
    VantageOffline,
    VantageGaps,
    DependenciesSuspended,
    OpenFiles,
    OpenFilesLimit,
    PortsInUse,
    PortRange,
    HeadroomLow,
    Incidents,
    Deliveries,
    OutboxWaiting,
    DiscoveryTargets,
    DiscoveryFailing,
    DiscoveryLastSuccess,
    DiscoveryFailures,
    DiscoveryRefused,
    ScaleOutReplicas,
    ScaleOutFactor,
    ScaleOutDependencies,
    ScaleOutSpeaks,
    ExportFailures,
    ConfigReloadSuccess,
    ConfigReloadTimestamp,
    StateWritable,
    BuildInfo,
}

impl MetricId {
    pub fn metric(self) -> &'static Metric {
        &METRICS[self as usize]
    }
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub id: MetricId,
    /// As OTLP has it.
    pub name: &'static str,
    /// UCUM; empty for states.
    pub unit: &'static str,
    /// As Prometheus has it, without the suffixes that belong to samples (`_bucket`, `_sum`, `_count`).
    pub prometheus: &'static str,
    pub kind: Kind,
    pub scope: Scope,
    /// Its own attributes and their values, for the reference.
    pub attributes: &'static [(&'static str, &'static str)],
    pub help: &'static str,
    /// When a series is absent; empty when it never is.
    pub absent: &'static str,
}

/// How many there are.
const COUNT: usize = watched::METRICS.len() + itself::METRICS.len();

/// The catalogue, in the order of [`MetricId`].
pub const METRICS: [Metric; COUNT] = {
    let mut all = [watched::METRICS[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = match at < watched::METRICS.len() {
            true => watched::METRICS[at],
            false => itself::METRICS[at - watched::METRICS.len()],
        };
        at += 1;
    }
    all
};
