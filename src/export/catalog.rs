//! Every metric, once: its name, unit, kind, meaning and attributes, and how its samples follow from the read model.
//!
//! [`METRICS`] is the table; [`samples`] is the projection. Encoders go through the table metric by metric and through a
//! snapshot owner by owner, and may stop and go on between any two owners.

use crate::model::attempt::StaleKind;
use crate::model::failure::State;
use crate::model::histogram::{Histogram, LATENCY_BOUNDS};
use crate::model::page::{DependencyView, FailureKey, HostView, PhaseFigures, saturation};
use crate::model::phase::Phase;
use crate::model::time::Wall;

pub use super::labels::{Attributes, Extra};
use super::process::Exporter;
use super::snapshot::Snapshot;

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
    ExportFailures,
    ConfigReloadSuccess,
    ConfigReloadTimestamp,
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
    /// Cumulative, with the bounds of [`LATENCY_BOUNDS`].
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
pub const METRICS: [Metric; 24] = [
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

/// Whose series a sample belongs to; numbers are places in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Dependency(usize),
    Host(usize),
    Process,
}

/// One point of one series.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub extra: Extra,
    /// When a cumulative series began; gauges ignore it.
    pub since: Wall,
    pub value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Float(f64),
    Integer(u64),
    Distribution(Distribution<'a>),
}

/// A histogram's point: `buckets` is one longer than `bounds`, and counts are not accumulated.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    pub bounds: &'static [f64],
    pub buckets: &'a [u64],
    pub count: u64,
    pub sum: f64,
}

/// The owners that may have series of a metric, in the order in which encoders visit them.
pub fn owners(metric: &Metric, snapshot: &Snapshot) -> Owners {
    let (dependencies, hosts, process) = match metric.scope {
        Scope::Dependency => (snapshot.dependencies.len(), 0, false),
        Scope::Host => (0, snapshot.hosts.len(), false),
        Scope::HostAndProcess => (0, snapshot.hosts.len(), true),
        Scope::Process => (0, 0, true),
    };
    Owners {
        dependencies,
        hosts,
        process,
    }
}

/// A list of owners that is counted, not stored.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    dependencies: usize,
    hosts: usize,
    process: bool,
}

impl Owners {
    /// The owner at that place; `None` past the end.
    pub fn get(&self, place: usize) -> Option<Owner> {
        if place < self.dependencies {
            Some(Owner::Dependency(place))
        } else if place - self.dependencies < self.hosts {
            Some(Owner::Host(place - self.dependencies))
        } else if self.process && place == self.dependencies + self.hosts {
            Some(Owner::Process)
        } else {
            None
        }
    }
}

/// Gives `sink` every sample that one owner has of one metric: the projection itself.
pub fn samples<'a>(id: MetricId, snapshot: &'a Snapshot, owner: Owner, sink: &mut impl FnMut(Sample<'a>)) {
    match owner {
        Owner::Dependency(place) => {
            if let Some(view) = snapshot.dependencies.get(place) {
                dependency_samples(id, view, sink);
            }
        }
        Owner::Host(place) => {
            if let Some(view) = snapshot.hosts.get(place) {
                host_samples(id, view, sink);
            }
        }
        Owner::Process => process_samples(id, snapshot, sink),
    }
}

/// Puts points of one owner into a sink, with the owner's start time.
struct Points<'s, S> {
    since: Wall,
    sink: &'s mut S,
}

impl<'a, S: FnMut(Sample<'a>)> Points<'_, S> {
    fn put(&mut self, extra: Extra, value: Value<'a>) {
        (self.sink)(Sample {
            extra,
            since: self.since,
            value,
        });
    }

    fn float(&mut self, extra: Extra, value: f64) {
        self.put(extra, Value::Float(value));
    }

    fn integer(&mut self, extra: Extra, value: impl Into<u64>) {
        self.put(extra, Value::Integer(value.into()));
    }
}

fn dependency_samples<'a>(id: MetricId, view: &'a DependencyView, sink: &mut impl FnMut(Sample<'a>)) {
    let since = view.since;
    let mut points = Points { since, sink };
    match id {
        MetricId::Up => {
            if let Some(up) = view.up {
                points.integer(Extra::None, up);
            }
        }
        MetricId::Failing => {
            if let State::Failing {
                cause, phase, speed, ..
            } = view.state
            {
                points.integer(failing(view, FailureKey::Named { cause, phase, speed }), 1_u64);
            }
        }
        MetricId::Operations => {
            for (place, count) in (0..).zip(view.operations) {
                points.integer(Extra::outcome(place), count);
            }
        }
        MetricId::Attempts => {
            points.integer(Extra::None, view.attempts_ok);
            for (key, count) in &view.attempts_failed {
                points.integer(Extra::from(*key), *count);
            }
        }
        MetricId::ProbeDuration => points.put(Extra::None, distribution(&view.duration)),
        MetricId::PhaseDuration => {
            for (phase, figures) in Phase::ALL.into_iter().zip(&view.phases) {
                if figures.count > 0 {
                    points.put(Extra::Phase(phase), sum_and_count(figures));
                }
            }
        }
        MetricId::KeepaliveResets => keepalive_resets(view, &mut points),
        MetricId::TlsNotAfter => {
            if let Some(not_after) = view.not_after {
                points.float(Extra::None, not_after.unix_secs() as f64);
            }
        }
        MetricId::DnsAnswersDiffer => {
            if let Some(differ) = view.dns_answers_differ {
                points.integer(Extra::None, differ);
            }
        }
        MetricId::BreakerState => points.integer(Extra::None, view.breaker.number()),
        MetricId::HttpStatusCode => {
            if let Some(status) = view.last_status {
                points.integer(Extra::None, status);
            }
        }
        MetricId::TcpRtt => {
            if let Some(rtt) = view.last_rtt {
                points.float(Extra::None, rtt.as_secs_f64());
            }
        }
        _ => {}
    }
}

/// The failing series has the attributes of the attempts' series, and their bound.
fn failing(view: &DependencyView, key: FailureKey) -> Extra {
    let shown = |wanted: FailureKey| view.attempts_failed.iter().any(|(known, _)| *known == wanted);
    if shown(FailureKey::Other) && !shown(key) {
        Extra::OtherFailure
    } else {
        Extra::from(key)
    }
}

fn keepalive_resets<'a, S: FnMut(Sample<'a>)>(view: &DependencyView, points: &mut Points<'_, S>) {
    let any = view.keepalive_resets.iter().flatten().any(|count| *count > 0);
    if !any && !view.dependency.keepalive.reuse {
        return;
    }
    for (kind, [before, after]) in StaleKind::ALL.into_iter().zip(view.keepalive_resets) {
        for (before_send, count) in [(true, before), (false, after)] {
            points.integer(Extra::KeepaliveReset { kind, before_send }, count);
        }
    }
}

fn host_samples<'a>(id: MetricId, view: &'a HostView, sink: &mut impl FnMut(Sample<'a>)) {
    let since = view.since;
    let mut points = Points { since, sink };
    match id {
        MetricId::RetryMasked => {
            for (place, window) in (0..).zip(&view.windows) {
                if let Some(ratio) = window.masked_ratio() {
                    points.float(Extra::Window(place), ratio);
                }
            }
        }
        MetricId::RetryAmplification => {
            for (place, window) in (0..).zip(&view.windows) {
                if let Some(amplification) = window.amplification() {
                    points.float(Extra::Window(place), amplification);
                }
            }
        }
        MetricId::RetrySuppressed => {
            for (place, count) in (0..).zip(view.suppressed) {
                points.integer(Extra::Suppressed(place), count);
            }
        }
        MetricId::KeepaliveIdleTimeout => {
            if let Some((kind, after)) = view.idle_timeout {
                points.float(Extra::IdleTimeout(kind), after.as_secs_f64());
            }
        }
        MetricId::ConcurrencySaturation => points.float(Extra::ScopeHost, view.saturation()),
        _ => {}
    }
}

fn process_samples<'a>(id: MetricId, snapshot: &'a Snapshot, sink: &mut impl FnMut(Sample<'a>)) {
    let engine = &snapshot.engine;
    let process = &snapshot.process;
    let since = match id {
        MetricId::ExportFailures => process.since,
        _ => engine.since,
    };
    let mut points = Points { since, sink };
    match id {
        MetricId::ConcurrencySaturation => {
            points.float(Extra::ScopeGlobal, saturation(engine.in_flight, engine.cap));
        }
        MetricId::ScheduleLag => points.put(Extra::None, distribution(&engine.lag)),
        MetricId::ProbesInFlight => points.integer(Extra::None, engine.in_flight),
        MetricId::ProbesSkipped => {
            for (place, count) in (0..).zip(engine.skipped) {
                points.integer(Extra::Skipped(place), count);
            }
        }
        MetricId::ExportFailures => {
            for (exporter, count) in Exporter::ALL.into_iter().zip(process.export_failures) {
                points.integer(Extra::Exporter(exporter), count);
            }
        }
        MetricId::ConfigReloadSuccess => {
            if let Some(reload) = process.reload {
                points.integer(Extra::None, reload.success);
            }
        }
        MetricId::ConfigReloadTimestamp => {
            if let Some(applied) = process.reload.and_then(|reload| reload.applied) {
                points.float(Extra::None, applied.unix_nanos() as f64 / 1e9);
            }
        }
        MetricId::BuildInfo => points.integer(Extra::Build, 1_u64),
        _ => {}
    }
}

fn distribution(histogram: &Histogram) -> Value<'_> {
    Value::Distribution(Distribution {
        bounds: &LATENCY_BOUNDS,
        buckets: histogram.buckets(),
        count: histogram.count(),
        sum: histogram.sum(),
    })
}

fn sum_and_count(figures: &PhaseFigures) -> Value<'_> {
    Value::Distribution(Distribution {
        bounds: &[],
        buckets: std::slice::from_ref(&figures.count),
        count: figures.count,
        sum: figures.sum,
    })
}

#[cfg(test)]
mod tests;
