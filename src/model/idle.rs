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

/// A finished measurement of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleMeasurement {
    pub limit: IdleLimit,
    /// How many measurements agreed.
    pub samples: u8,
    /// What the host itself announces with `Keep-Alive: timeout=`.
    pub announced: Option<Duration>,
    pub at: Wall,
}
