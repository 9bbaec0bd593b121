//! What kinds of metrics there are, and whose series they have.

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
    /// `receiver`, its name in the configuration.
    Receiver,
    /// `source`, the name of an entry of `discovery`.
    Source,
    /// Those of whom an alert is about: a dependency, a host, or none for the process. Only the ones that have any.
    Raised,
}

/// Attributes of what failed.
pub const FAILURE_ATTRIBUTES: &[(&str, &str)] = &[
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
