//! What tells the series of one metric and one owner apart. Every value comes from an enum or from the build, never from
//! what a peer sent: that is what bounds the number of series.

use crate::model::alert::{Rule, Severity};
use crate::model::attempt::StaleKind;
use crate::model::cause::{Cause, Speed};
use crate::model::event::{SkipReason, SuppressReason};
use crate::model::failure::Verdict;
use crate::model::page::{FailureKey, Window};
use crate::model::phase::Phase;

use super::process::{Exporter, VERSION};

/// The attributes of a series beside those of its owner. Small and `Copy`, so that tables of series stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extra {
    None,
    Failure {
        cause: Cause,
        phase: Option<Phase>,
        speed: Speed,
    },
    /// `error.type="_OTHER"`: what came after the first twelve different failures.
    OtherFailure,
    Outcome(Outcome),
    Phase(Phase),
    Window(u8),
    Suppressed(u8),
    KeepaliveReset {
        kind: StaleKind,
        before_send: bool,
    },
    IdleTimeout(StaleKind),
    ScopeHost,
    ScopeGlobal,
    Skipped(u8),
    Exporter(Exporter),
    Alert(Rule, Severity),
    Delivery(Delivery),
    /// Whether a dependency is this replica's to watch.
    Watched(bool),
    Build,
}

/// What became of tries to deliver a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// The receiver acknowledged it.
    Accepted,
    /// A try failed; it is made again.
    Failed,
    /// It was given up.
    Expired,
}

impl Delivery {
    pub const fn id(self) -> &'static str {
        match self {
            Delivery::Accepted => "accepted",
            Delivery::Failed => "failed",
            Delivery::Expired => "expired",
        }
    }
}

/// A verdict by its place in `Verdict::ALL`, which can be ordered and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome(u8);

impl From<FailureKey> for Extra {
    fn from(key: FailureKey) -> Self {
        match key {
            FailureKey::Named { cause, phase, speed } => Extra::Failure { cause, phase, speed },
            FailureKey::Other => Extra::OtherFailure,
        }
    }
}

impl Extra {
    pub(super) const fn outcome(place: u8) -> Self {
        Extra::Outcome(Outcome(place))
    }

    /// The attributes as names and values, in the order in which they are written.
    pub fn attributes(self) -> Attributes {
        let mut list = Attributes::default();
        match self {
            Extra::None => {}
            Extra::Failure { cause, phase, speed } => {
                list.push("error.type", cause.id());
                list.push("speed", speed.id());
                if let Some(phase) = phase {
                    list.push("phase", phase.id());
                }
            }
            Extra::OtherFailure => list.push("error.type", "_OTHER"),
            Extra::Outcome(Outcome(place)) => list.push("outcome", Verdict::ALL[usize::from(place)].id()),
            Extra::Phase(phase) => list.push("phase", phase.id()),
            Extra::Window(place) => list.push("window", Window::ALL[usize::from(place)].id()),
            Extra::Suppressed(place) => list.push("reason", SuppressReason::ALL[usize::from(place)].id()),
            Extra::KeepaliveReset { kind, before_send } => {
                list.push("kind", kind.id());
                list.push("seen", if before_send { "before_send" } else { "after_send" });
            }
            Extra::IdleTimeout(kind) => list.push("kind", kind.id()),
            Extra::ScopeHost => list.push("scope", "host"),
            Extra::ScopeGlobal => list.push("scope", "global"),
            Extra::Skipped(place) => list.push("reason", SkipReason::ALL[usize::from(place)].id()),
            Extra::Exporter(exporter) => list.push("exporter", exporter.id()),
            Extra::Alert(rule, severity) => {
                list.push("alert", rule.id());
                list.push("severity", severity.id());
            }
            Extra::Delivery(what) => list.push("outcome", what.id()),
            Extra::Watched(own) => list.push("state", if own { "watched" } else { "left" }),
            Extra::Build => {
                list.push("version", VERSION);
                list.push("os", std::env::consts::OS);
                list.push("arch", std::env::consts::ARCH);
            }
        }
        list
    }
}

/// At most three names and values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    list: [(&'static str, &'static str); 3],
    len: usize,
}

impl Attributes {
    fn push(&mut self, name: &'static str, value: &'static str) {
        self.list[self.len] = (name, value);
        self.len += 1;
    }

    pub fn as_slice(&self) -> &[(&'static str, &'static str)] {
        &self.list[..self.len]
    }
}
