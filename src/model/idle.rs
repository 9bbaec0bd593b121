//! How idle connections end on a host: what was measured, and how far a measurement has come.

use std::time::Duration;

use super::attempt::StaleKind;
use super::time::Wall;

/// How a connection that lay idle ended, or what was found when it was used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdleEnd {
    /// An orderly close of the TCP connection.
    Fin,
    /// TLS said goodbye (RFC 8446, section 6.1), with or without a FIN behind it.
    CloseNotify,
    /// HTTP/2 said goodbye (RFC 9113, section 6.8).
    GoAway,
    Rst,
    /// Nothing came; what was sent on it afterwards was never acknowledged.
    Silence,
}

impl IdleEnd {
    pub const ALL: [IdleEnd; 5] = [
        IdleEnd::Fin,
        IdleEnd::CloseNotify,
        IdleEnd::GoAway,
        IdleEnd::Rst,
        IdleEnd::Silence,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            IdleEnd::Fin => "fin",
            IdleEnd::CloseNotify => "close_notify",
            IdleEnd::GoAway => "goaway",
            IdleEnd::Rst => "rst",
            IdleEnd::Silence => "silence",
        }
    }

    /// The kind under which such an end is counted.
    pub const fn kind(self) -> StaleKind {
        match self {
            IdleEnd::Fin | IdleEnd::CloseNotify | IdleEnd::GoAway => StaleKind::Closed,
            IdleEnd::Rst => StaleKind::Reset,
            IdleEnd::Silence => StaleKind::Silent,
        }
    }
}

/// What is known of a host's idle timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleLimit {
    /// Connections that lay idle for `low` were still good, those that lay idle for `high` were not. Where the end itself
    /// was seen, both are the moment of it, and apart only as far as the measurements were.
    Ends {
        how: IdleEnd,
        low: Duration,
        high: Duration,
    },
    /// A connection that lay idle for so long was still good.
    NoneFound { up_to: Duration },
}

impl IdleLimit {
    /// Up to this idle time a connection is known to be good.
    pub const fn good_for(self) -> Duration {
        match self {
            IdleLimit::Ends { low, .. } => low,
            IdleLimit::NoneFound { up_to } => up_to,
        }
    }
}

/// A finished measurement of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleMeasurement {
    pub limit: IdleLimit,
    /// How many measurements agreed.
    pub samples: u8,
    /// How often the busy connections beside them were used, which did not end.
    pub control_uses: u32,
    /// What the host itself announces with `Keep-Alive: timeout=`.
    pub announced: Option<Duration>,
    pub at: Wall,
}

/// Why a host's idle timeout is not known although it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdleUnknown {
    /// The host does not keep connections at all: it closes each after its answer.
    NotKept,
    /// Connections end at about this age although they are in use: a maximum age, not idleness.
    EndsInUse { age: Duration },
    /// No two measurements agreed.
    Contradictory,
    /// The connections could not be made; why.
    NotMade(Box<str>),
}

impl IdleUnknown {
    pub const fn id(&self) -> &'static str {
        match self {
            IdleUnknown::NotKept => "not_kept",
            IdleUnknown::EndsInUse { .. } => "ends_in_use",
            IdleUnknown::Contradictory => "contradictory",
            IdleUnknown::NotMade(_) => "not_made",
        }
    }
}

/// How far the measurement of a host has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleStage {
    /// It has not begun, or goes on later.
    Waiting,
    /// It is under way: connections that lay idle for `low` were good, those that lay idle for `high` were not.
    Measuring {
        since: Wall,
        low: Duration,
        high: Option<Duration>,
    },
    /// It is over; the next one comes after `remeasure`.
    Resting,
}

impl IdleStage {
    pub const fn id(self) -> &'static str {
        match self {
            IdleStage::Waiting => "waiting",
            IdleStage::Measuring { .. } => "measuring",
            IdleStage::Resting => "resting",
        }
    }
}

/// The measurement of a host as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct IdleView {
    pub stage: IdleStage,
    /// The last finished measurement.
    pub known: Option<IdleMeasurement>,
    /// Whether it is on disk and would survive a restart.
    pub kept: bool,
    /// Why the last try found nothing, and when, if it did not.
    pub unknown: Option<(IdleUnknown, Wall)>,
}

/// What one round of parked connections showed. Facts only.
#[derive(Clone, Debug, PartialEq)]
pub enum IdleRound {
    Done(IdleFacts),
    /// The host closes connections after each answer.
    NotKept,
    /// It could not be begun.
    NotMade(Box<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct IdleFacts {
    /// One for each parked connection, in the order in which they were ordered.
    pub rungs: Vec<RungOutcome>,
    pub control: ControlFacts,
    /// `Keep-Alive: timeout=`, where the host sends it.
    pub announced: Option<Duration>,
}

/// What became of one parked connection. Idle times are measured from the end of its one answer.
#[derive(Clone, Debug, PartialEq)]
pub enum RungOutcome {
    /// It still lay idle when the round ended.
    Unfinished,
    /// It ended by itself after so long.
    Ended { how: IdleEnd, after: Duration },
    /// It was used after so long, and answered.
    Survived { after: Duration },
    /// It was used after so long and was dead. Of silence, a fresh connection to the same address answered at once.
    Lost { how: IdleEnd, after: Duration },
    /// It could not be made, or it failed in a way that says nothing of idleness.
    Unclear(Box<str>),
}

/// The connection that was kept busy meanwhile: what ends it as well is not idleness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlFacts {
    /// Requests that were answered on it.
    pub uses: u32,
    /// Whether it answered once more after everything else was over.
    pub alive: bool,
    /// How old it was when it ended, and how long it had lain idle then.
    pub ended: Option<(Duration, Duration)>,
    /// When, since the round's beginning, the host last asked to end it in an answer; another one took its place.
    pub renewed: Option<Duration>,
}
