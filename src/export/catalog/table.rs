//! The table of all metrics: the contract with whoever reads them.

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
    ConcurrencySaturation,
    HttpStatusCode,
    TcpRtt,
    ScheduleLag,
    ProbesInFlight,
    ProbesSkipped,
    VantageOffline,
    VantageGaps,
    DependenciesSuspended,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// Cumulative and monotonic.
    Counter,
    /// Cumulative, with the bounds of [`LATENCY_BOUNDS`](crate::model::histogram::LATENCY_BOUNDS).
    Histogram,
    /// Cumulative, without bounds: a sum and a count.
    SumAndCount,
}

impl Kind {
    pub const fn id(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::SumAndCount => "histogram without bounds",
        }
    }
}

/// Whose series a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `dependency`, `server.address`, `server.port` and the user's labels.
    Dependency,
    /// `server.address`, `server.port`.
    Host,
    /// No attributes but those of the metric.
    Process,
    HostAndProcess,
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

const FAILURE_ATTRIBUTES: &[(&str, &str)] = &[
    (
        "error.type",
        "a cause id, or `_OTHER` after twelve different failures",
    ),
    ("speed", "fast, slow"),
    (
        "phase",
        "resolve, connect, proxy, tls, request, first_byte, body, verify; absent where a cause has none",
    ),
];

const WINDOW: &[(&str, &str)] = &[("window", "1m, 5m, 1h")];

/// The catalogue, in the order of [`MetricId`].
pub const METRICS: [Metric; 28] = [
    Metric {
        id: MetricId::Up,
        name: "whyd.up",
        unit: "",
        prometheus: "whyd_up",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Whether the dependency's last operation succeeded (1) or failed (0).",
        absent: "while the last operation was inconclusive, or none was made yet",
    },
    Metric {
        id: MetricId::Failing,
        name: "whyd.failing",
        unit: "",
        prometheus: "whyd_failing",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: FAILURE_ATTRIBUTES,
        help: "1 while the dependency is failing, with the cause in its attributes.",
        absent: "while the dependency is not failing",
    },
    Metric {
        id: MetricId::Operations,
        name: "whyd.operations",
        unit: "{operation}",
        prometheus: "whyd_operations_total",
        kind: Kind::Counter,
        scope: Scope::Dependency,
        attributes: &[("outcome", "ok, retried_ok, failed, inconclusive")],
        help: "Operations concluded: scheduled questions with all their attempts.",
        absent: "",
    },
    Metric {
        id: MetricId::Attempts,
        name: "whyd.attempts",
        unit: "{attempt}",
        prometheus: "whyd_attempts_total",
        kind: Kind::Counter,
        scope: Scope::Dependency,
        attributes: FAILURE_ATTRIBUTES,
        help: "Attempts made; those that failed carry what they showed, those that succeeded carry no error.type.",
        absent: "of failures that were not seen yet",
    },
    Metric {
        id: MetricId::ProbeDuration,
        name: "whyd.probe.duration",
        unit: "s",
        prometheus: "whyd_probe_duration_seconds",
        kind: Kind::Histogram,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Duration of conclusive operations, retries and backoff included.",
        absent: "",
    },
    Metric {
        id: MetricId::PhaseDuration,
        name: "whyd.phase.duration",
        unit: "s",
        prometheus: "whyd_phase_duration_seconds",
        kind: Kind::SumAndCount,
        scope: Scope::Dependency,
        attributes: &[(
            "phase",
            "resolve, connect, proxy, tls, request, first_byte, body, verify",
        )],
        help: "Time that attempts spent in a phase.",
        absent: "of phases that no attempt has reached",
    },
    Metric {
        id: MetricId::RetryMasked,
        name: "whyd.retry.masked",
        unit: "1",
        prometheus: "whyd_retry_masked_ratio",
        kind: Kind::Gauge,
        scope: Scope::Host,
        attributes: WINDOW,
        help: "Of the operations that succeeded, the share that did so only after a failed attempt.",
        absent: "below 10 operations in the window, or when none of them succeeded",
    },
    Metric {
        id: MetricId::RetryAmplification,
        name: "whyd.retry.amplification",
        unit: "",
        prometheus: "whyd_retry_amplification",
        kind: Kind::Gauge,
        scope: Scope::Host,
        attributes: WINDOW,
        help: "Attempts per operation.",
        absent: "below 10 operations in the window",
    },
    Metric {
        id: MetricId::RetrySuppressed,
        name: "whyd.retry.suppressed",
        unit: "{retry}",
        prometheus: "whyd_retry_suppressed_total",
        kind: Kind::Counter,
        scope: Scope::Host,
        attributes: &[("reason", "budget, breaker")],
        help: "Retries that the cause would have allowed and that were left out.",
        absent: "",
    },
    Metric {
        id: MetricId::KeepaliveResets,
        name: "whyd.keepalive.resets",
        unit: "{connection}",
        prometheus: "whyd_keepalive_resets_total",
        kind: Kind::Counter,
        scope: Scope::Dependency,
        attributes: &[
            ("kind", "closed, reset, silent"),
            ("seen", "before_send, after_send"),
        ],
        help: "Kept connections that were found dead, by how they ended and when that was seen.",
        absent: "where connections are not kept and none was ever found dead",
    },
    Metric {
        id: MetricId::KeepaliveIdleTimeout,
        name: "whyd.keepalive.idle_timeout",
        unit: "s",
        prometheus: "whyd_keepalive_idle_timeout_seconds",
        kind: Kind::Gauge,
        scope: Scope::Host,
        attributes: &[("kind", "closed, reset, silent")],
        help: "After how long the host was seen to end an idle connection, and how.",
        absent: "until it was seen",
    },
    Metric {
        id: MetricId::TlsNotAfter,
        name: "whyd.tls.not_after.timestamp",
        unit: "s",
        prometheus: "whyd_tls_not_after_timestamp_seconds",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Unix time of the earliest end of validity in the certificate chain last presented.",
        absent: "while no chain was presented",
    },
    Metric {
        id: MetricId::DnsAnswersDiffer,
        name: "whyd.dns.answers_differ",
        unit: "",
        prometheus: "whyd_dns_answers_differ",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Whether the sources of the last resolution disagreed (1) or agreed (0).",
        absent: "where sources were not compared",
    },
    Metric {
        id: MetricId::BreakerState,
        name: "whyd.breaker.state",
        unit: "",
        prometheus: "whyd_breaker_state",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Whether retries and second looks are made (0 admitting), tried again (1 trying) or left out (2 suppressing).",
        absent: "",
    },
    Metric {
        id: MetricId::ConcurrencySaturation,
        name: "whyd.concurrency.saturation",
        unit: "1",
        prometheus: "whyd_concurrency_saturation_ratio",
        kind: Kind::Gauge,
        scope: Scope::HostAndProcess,
        attributes: &[("scope", "host, global")],
        help: "Share of a concurrency cap in use: the host's own, or that of all operations.",
        absent: "",
    },
    Metric {
        id: MetricId::HttpStatusCode,
        name: "whyd.http.status_code",
        unit: "",
        prometheus: "whyd_http_status_code",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Status of the last response.",
        absent: "while no response came",
    },
    Metric {
        id: MetricId::TcpRtt,
        name: "whyd.tcp.rtt",
        unit: "s",
        prometheus: "whyd_tcp_rtt_seconds",
        kind: Kind::Gauge,
        scope: Scope::Dependency,
        attributes: &[],
        help: "Smoothed round-trip time of the last connection, as the kernel measured it.",
        absent: "while it is not known",
    },
    Metric {
        id: MetricId::ScheduleLag,
        name: "whyd.schedule.lag",
        unit: "s",
        prometheus: "whyd_schedule_lag_seconds",
        kind: Kind::Histogram,
        scope: Scope::Process,
        attributes: &[],
        help: "How late operations began against their schedule.",
        absent: "",
    },
    Metric {
        id: MetricId::ProbesInFlight,
        name: "whyd.probes.in_flight",
        unit: "{probe}",
        prometheus: "whyd_probes_in_flight",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "Operations under way.",
        absent: "",
    },
    Metric {
        id: MetricId::ProbesSkipped,
        name: "whyd.probes.skipped",
        unit: "{probe}",
        prometheus: "whyd_probes_skipped_total",
        kind: Kind::Counter,
        scope: Scope::Process,
        attributes: &[("reason", "still_running, late, saturated")],
        help: "Scheduled operations that were left out.",
        absent: "",
    },
    Metric {
        id: MetricId::VantageOffline,
        name: "whyd.vantage.offline",
        unit: "",
        prometheus: "whyd_vantage_offline",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "1 while we are offline ourselves and give no verdict about what is beyond us, 0 otherwise.",
        absent: "",
    },
    Metric {
        id: MetricId::VantageGaps,
        name: "whyd.vantage.gaps",
        unit: "{gap}",
        prometheus: "whyd_vantage_gaps_total",
        kind: Kind::Counter,
        scope: Scope::Process,
        attributes: &[],
        help: "Times at which we went offline.",
        absent: "",
    },
    Metric {
        id: MetricId::DependenciesSuspended,
        name: "whyd.vantage.suspended",
        unit: "{dependency}",
        prometheus: "whyd_vantage_suspended",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "Dependencies that have no verdict because we are offline.",
        absent: "",
    },
    Metric {
        id: MetricId::ExportFailures,
        name: "whyd.export.failures",
        unit: "{export}",
        prometheus: "whyd_export_failures_total",
        kind: Kind::Counter,
        scope: Scope::Process,
        attributes: &[("exporter", "otlp_metrics, otlp_traces")],
        help: "Exports that failed after all their retries, or were refused in part.",
        absent: "",
    },
    Metric {
        id: MetricId::ConfigReloadSuccess,
        name: "whyd.config.last_reload.success",
        unit: "",
        prometheus: "whyd_config_last_reload_success",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "Whether the configuration was good when it was last read (1) or refused (0).",
        absent: "until it was read",
    },
    Metric {
        id: MetricId::ConfigReloadTimestamp,
        name: "whyd.config.last_reload.timestamp",
        unit: "s",
        prometheus: "whyd_config_last_reload_timestamp_seconds",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "Unix time at which the configuration in force was applied.",
        absent: "until one was applied",
    },
    Metric {
        id: MetricId::StateWritable,
        name: "whyd.state.writable",
        unit: "",
        prometheus: "whyd_state_writable",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[],
        help: "Whether what must survive a restart is in the state directory (1) or in memory only, because it cannot be written (0).",
        absent: "without a state directory",
    },
    Metric {
        id: MetricId::BuildInfo,
        name: "whyd.build.info",
        unit: "",
        prometheus: "whyd_build_info",
        kind: Kind::Gauge,
        scope: Scope::Process,
        attributes: &[
            ("version", "of whyd"),
            ("os", "target system"),
            ("arch", "target architecture"),
        ],
        help: "1, with the build in its attributes.",
        absent: "",
    },
];
