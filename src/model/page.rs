//! The read model: what metrics and the API are projections of. Readers get it a page at a time, so that no reader
//! holds the engine for long; a page is consistent per dependency.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::StaleKind;
use super::cause::{Cause, Speed};
use super::dependency::{Dependency, DependencyIndex, HostKey};
use super::event::BreakerState;
use super::failure::{Finding, OperationRecord, State};
use super::headroom::HeadroomView;
use super::histogram::Histogram;
use super::idle::IdleView;
use super::phase::Phase;
use super::share::Share;
use super::time::Wall;
use super::vantage::{Gaps, VantageView};

/// A slice of the dependencies.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub dependencies: Vec<DependencyView>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<DependencyIndex>,
}

/// A slice of the hosts, in a stable order.
#[derive(Clone, Debug, Default)]
pub struct HostPage {
    pub hosts: Vec<HostView>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<u32>,
}

/// The figures of one dependency. Counters run from `since` and never go back.
#[derive(Clone, Debug)]
pub struct DependencyView {
    pub index: DependencyIndex,
    pub dependency: Arc<Dependency>,
    /// When its counters began: the start time of its cumulative series.
    pub since: Wall,
    pub state: State,
    /// `None` while inconclusive or never probed.
    pub up: Option<bool>,
    /// Concluded operations, by `Verdict::ALL`.
    pub operations: [u64; 4],
    pub attempts_ok: u64,
    /// Failed attempts by what they showed; bounded, see [`FailureKey::Other`].
    pub attempts_failed: Vec<(FailureKey, u64)>,
    /// Total duration of conclusive operations.
    pub duration: Histogram,
    /// By `Phase::ALL`.
    pub phases: [PhaseFigures; 8],
    /// By `StaleKind::ALL`, then seen before anything was sent and after.
    pub keepalive_resets: [[u64; 2]; 3],
    pub breaker: BreakerState,
    pub last_status: Option<u16>,
    pub last_rtt: Option<Duration>,
    /// The earliest end of validity in the chain last presented.
    pub not_after: Option<Wall>,
    /// Whether the sources of the last resolution disagreed; `None` where they were not compared.
    pub dns_answers_differ: Option<bool>,
}

/// What a failed attempt is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKey {
    Named {
        cause: Cause,
        phase: Option<Phase>,
        speed: Speed,
    },
    /// Everything after the first twelve different ones (`_OTHER`), so that the number of series stays bounded.
    Other,
}

/// How many different [`FailureKey`]s a dependency may show before `_OTHER`.
pub const FAILURE_KEYS_MAX: usize = 12;

/// Time spent in one phase over all attempts that reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseFigures {
    pub count: u64,
    /// Seconds.
    pub sum: f64,
    /// Exponentially weighted moving average in seconds (weight 1/8, as RFC 6298 smooths round trips).
    pub average: f64,
}

/// The windows over which a host is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    OneMinute,
    FiveMinutes,
    OneHour,
}

impl Window {
    pub const ALL: [Window; 3] = [Window::OneMinute, Window::FiveMinutes, Window::OneHour];

    pub const fn id(self) -> &'static str {
        match self {
            Window::OneMinute => "1m",
            Window::FiveMinutes => "5m",
            Window::OneHour => "1h",
        }
    }
}

/// Fewest operations in a window before its ratios are shown.
pub const WINDOW_MINIMUM: u64 = 10;

/// The figures of one host.
#[derive(Clone, Debug)]
pub struct HostView {
    pub key: HostKey,
    pub since: Wall,
    /// By `Window::ALL`.
    pub windows: [WindowFigures; 3],
    /// Retries left out, by `SuppressReason::ALL`.
    pub suppressed: [u64; 2],
    /// Retries that the host's budget still allows.
    pub retry_budget: f64,
    pub in_flight: u32,
    pub cap: u32,
    /// The idle timeout measured or seen on this host, how it ends and after how long.
    pub idle_timeout: Option<(StaleKind, Duration)>,
    /// How far its measurement has come, where a dependency asks for one.
    pub idle: Option<IdleView>,
}

impl HostView {
    /// Share of the host's concurrency cap in use.
    pub fn saturation(&self) -> f64 {
        saturation(self.in_flight, self.cap)
    }
}

/// Share of a cap in use; 0 where there is no cap.
pub fn saturation(in_flight: u32, cap: u32) -> f64 {
    if cap == 0 {
        0.0
    } else {
        f64::from(in_flight) / f64::from(cap)
    }
}

/// Sums over one window of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowFigures {
    /// Conclusive operations.
    pub operations: u64,
    pub succeeded: u64,
    /// Operations with more than one attempt.
    pub retried: u64,
    /// Operations that succeeded after at least one failed attempt.
    pub retried_then_succeeded: u64,
    pub attempts: u64,
    /// By `StaleKind::ALL`.
    pub stale: [u64; 3],
}

impl WindowFigures {
    /// Retried-then-succeeded over succeeded; `None` below [`WINDOW_MINIMUM`] operations or when nothing succeeded.
    pub fn masked_ratio(&self) -> Option<f64> {
        (self.operations >= WINDOW_MINIMUM && self.succeeded > 0)
            .then(|| self.retried_then_succeeded as f64 / self.succeeded as f64)
    }

    /// Attempts per operation; `None` below [`WINDOW_MINIMUM`] operations.
    pub fn amplification(&self) -> Option<f64> {
        (self.operations >= WINDOW_MINIMUM).then(|| self.attempts as f64 / self.operations as f64)
    }
}

/// The engine's own figures.
#[derive(Clone, Debug)]
pub struct EngineView {
    pub since: Wall,
    pub dependencies: usize,
    pub hosts: usize,
    pub in_flight: u32,
    pub cap: u32,
    /// Operations waiting for a place under a cap.
    pub waiting: u32,
    /// By `SkipReason::ALL`.
    pub skipped: [u64; 3],
    pub lag: Histogram,
    /// Every dependency of a plan was begun once; what a later plan adds does not take that back.
    pub first_round_begun: bool,
    pub vantage: VantageView,
    pub headroom: HeadroomView,
    /// Incidents that are open.
    pub incidents: usize,
    /// What all series carry: which replica this is, and where, as far as that was given.
    pub place: PlaceLabels,
    /// The part of the work that is this replica's; `None` where it has no peers.
    pub share: Option<Share>,
}

/// Names and values of labels.
pub type PlaceLabels = Arc<[(&'static str, Arc<str>)]>;

/// Everything known of one dependency.
#[derive(Clone, Debug)]
pub struct Detail {
    pub view: DependencyView,
    pub host: HostView,
    /// The last operation that was answered at its first attempt.
    pub last_success: Option<Arc<OperationRecord>>,
    /// Those before it, newest first.
    pub earlier_successes: Vec<Arc<OperationRecord>>,
    /// The last ones that were not, newest first, and at least one of each cause.
    pub last_failures: Vec<Arc<OperationRecord>>,
    pub findings: Vec<Finding>,
    /// When nothing could be said of it because we were offline.
    pub gaps: Gaps,
}
