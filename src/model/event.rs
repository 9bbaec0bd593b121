//! What the engine tells the world besides its orders. Logs, `check` and traces are made of these; metrics are made of pages.

use std::sync::Arc;

use super::alert::{AlertChange, AlertView};
use super::attempt::StaleConnection;
use super::dependency::Dependency;
use super::failure::{OperationRecord, State};
use super::headroom::{Resources, Scarce};
use super::idle::{IdleMeasurement, IdleUnknown};
use super::time::Wall;
use super::vantage::{Gap, OfflineBecause};

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    OperationFinished(Arc<OperationRecord>),
    /// A dependency stands otherwise than before; `record` is the operation that showed it.
    StateChanged {
        from: State,
        to: State,
        record: Arc<OperationRecord>,
    },
    /// A parked connection was found dead before anything was sent.
    KeepaliveReset {
        dependency: Arc<Dependency>,
        stale: StaleConnection,
    },
    /// The idle timeout of the dependency's host was measured.
    IdleTimeoutMeasured {
        dependency: Arc<Dependency>,
        before: Option<IdleMeasurement>,
        measurement: IdleMeasurement,
    },
    /// It was looked for and not found.
    IdleTimeoutUnknown {
        dependency: Arc<Dependency>,
        why: IdleUnknown,
    },
    BreakerChanged {
        dependency: Arc<Dependency>,
        from: BreakerState,
        to: BreakerState,
    },
    /// Scheduled operations that were left out, and why.
    ProbesSkipped {
        dependency: Arc<Dependency>,
        count: u64,
        reason: SkipReason,
    },
    PlanApplied {
        added: usize,
        changed: usize,
        removed: usize,
        unchanged: usize,
    },
    /// Little is left of what sockets are made of, and less is done; or enough of everything (`None`).
    HeadroomChanged {
        scarce: Option<Scarce>,
        resources: Option<Resources>,
    },
    /// We lost sight, or see again.
    VantageChanged(VantageChange),
    /// Something happened to an alert; the view is of after it. That of an alert that is over (resolved, cleared) has the
    /// state that it left, so that it can be said how long it lasted.
    AlertChanged {
        change: AlertChange,
        view: Box<AlertView>,
    },
    /// A notification left the outbox, or did not.
    Delivery(DeliveryEvent),
    /// A plan of one round is done, or a stop has drained.
    Drained,
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryEvent {
    pub receiver: Arc<str>,
    /// The notification's id and its title.
    pub notification: Arc<str>,
    pub title: Box<str>,
    pub what: Delivered,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The receiver acknowledged it.
    Accepted { tries: u32 },
    /// Said of the first failure in a row of a receiver, and again when the reason changes.
    Failing { why: Box<str> },
    /// It was not taken before it expired, or its receiver left the configuration: nobody will be told.
    GivenUp { why: Box<str> },
}

/// What changed about our own sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VantageChange {
    /// From now on no verdict is given about what is beyond us.
    Offline {
        because: OfflineBecause,
        since: Wall,
        /// How many anchors there are, and how many of them were silent.
        anchors: usize,
        silent: usize,
        /// Dependencies without a verdict.
        suspended: usize,
    },
    Online {
        gap: Gap,
        /// Dependencies that had no verdict meanwhile.
        suspended: usize,
    },
    /// That many anchors are silent while dependencies answer: they prove nothing until one of them answers again.
    AnchorsDiscredited { silent: usize },
}

/// The breaker's states, named by their effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Retries and second looks are made.
    #[default]
    Admitting,
    /// The pause is over: the next operation may retry, and its result decides.
    Trying,
    /// Retries and second looks are left out; the scheduled first attempt is made.
    Suppressing,
}

impl BreakerState {
    pub const fn id(self) -> &'static str {
        match self {
            BreakerState::Admitting => "admitting",
            BreakerState::Trying => "trying",
            BreakerState::Suppressing => "suppressing",
        }
    }

    /// The value of `whyd_breaker_state`.
    pub const fn number(self) -> u8 {
        match self {
            BreakerState::Admitting => 0,
            BreakerState::Trying => 1,
            BreakerState::Suppressing => 2,
        }
    }
}

/// Why a scheduled operation was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The one before was still running.
    StillRunning,
    /// This process was too late for it (suspended, overloaded).
    Late,
    /// A concurrency cap was reached for a whole interval.
    Saturated,
}

impl SkipReason {
    pub const ALL: [SkipReason; 3] = [SkipReason::StillRunning, SkipReason::Late, SkipReason::Saturated];

    pub const fn id(self) -> &'static str {
        match self {
            SkipReason::StillRunning => "still_running",
            SkipReason::Late => "late",
            SkipReason::Saturated => "saturated",
        }
    }

    pub const fn index(self) -> usize {
        match self {
            SkipReason::StillRunning => 0,
            SkipReason::Late => 1,
            SkipReason::Saturated => 2,
        }
    }
}

/// Why a retry was not made although the cause would have allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuppressReason {
    Budget,
    Breaker,
}

impl SuppressReason {
    pub const ALL: [SuppressReason; 2] = [SuppressReason::Budget, SuppressReason::Breaker];

    pub const fn id(self) -> &'static str {
        match self {
            SuppressReason::Budget => "budget",
            SuppressReason::Breaker => "breaker",
        }
    }

    pub const fn index(self) -> usize {
        match self {
            SuppressReason::Budget => 0,
            SuppressReason::Breaker => 1,
        }
    }
}
