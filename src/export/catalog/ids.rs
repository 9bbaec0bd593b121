//! What the metrics are called within the program.

use super::table::{METRICS, Metric};

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
