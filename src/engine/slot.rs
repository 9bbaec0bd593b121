//! A dependency's place in the engine: its plan, its schedule, its standing and its history.

use std::sync::Arc;

use crate::model::cause::FindingId;
use crate::model::dependency::{Dependency, DependencyIndex};
use crate::model::failure::{Finding, OperationRecord, State};
use crate::model::page::{DependencyView, Detail, HostView};
use crate::model::time::{Moment, Wall};
use crate::model::vantage::Gaps;

use super::alert::{Marks, Signals};
use super::breaker::Breaker;
use super::history::History;
use super::names::NameHistory;
use super::operation::Operation;
use super::tally::Tally;

#[derive(Debug)]
pub struct Slot {
    pub dependency: Arc<Dependency>,
    pub since: Wall,
    pub host: u32,
    pub due: Moment,
    /// When its schedule begins, before its first round where that is earlier.
    pub regular: Option<Moment>,
    /// Tells alarms of this schedule from those set before a reload.
    pub generation: u32,
    pub begun: bool,
    /// Since when it has been due without finding a place under a cap.
    pub waiting_since: Option<Moment>,
    pub operation: Option<Box<Operation>>,
    pub breaker: Breaker,
    pub tally: Tally,
    pub state: State,
    /// The last operation was conclusive.
    pub conclusive: bool,
    /// We are offline, and that is why nothing can be said of it.
    pub suspended: bool,
    /// When nothing could be said of it because we were offline.
    pub gaps: Gaps,
    /// Of the last conclusive operation's answer.
    pub findings: Vec<Finding>,
    /// Of the last survey of each kind; they hold until the next one of that kind.
    survey_findings: Vec<(&'static str, Finding)>,
    /// When the dependency is worth a survey again; `None` before its first answer.
    pub survey_due: Option<Moment>,
    /// What its name's sources gave so far.
    pub names: Option<Box<NameHistory>>,
    pub history: History,
    /// What to suggest for this name when it does not resolve; computed once per plan, on the first need.
    pub suggestion: Option<Option<String>>,
    /// What the rules of alerts look at.
    pub signals: Signals,
    /// Which of its alerts are not quiet.
    pub marks: Marks,
}

impl Slot {
    pub fn new(dependency: Arc<Dependency>, host: u32, generation: u32, now: Wall) -> Self {
        Slot {
            dependency,
            since: now,
            host,
            due: Moment::ZERO,
            regular: None,
            generation,
            begun: false,
            waiting_since: None,
            operation: None,
            breaker: Breaker::default(),
            tally: Tally::default(),
            state: State::Unknown,
            conclusive: false,
            suspended: false,
            gaps: Gaps::default(),
            findings: Vec::new(),
            survey_findings: Vec::new(),
            survey_due: None,
            names: None,
            history: History::default(),
            suggestion: None,
            signals: Signals::default(),
            marks: Marks::default(),
        }
    }

    /// The state that follows from a conclusive record, with the time since which it holds.
    pub fn state_after(&self, record: &OperationRecord, now: Wall) -> State {
        match (&record.failure, &self.state) {
            (None, State::Up { since }) => State::Up { since: *since },
            (None, _) => State::Up { since: now },
            (Some(failure), before) => {
                let since = match before {
                    State::Failing { since, .. } => *since,
                    State::Unknown | State::Up { .. } => now,
                };
                State::Failing {
                    since,
                    cause: failure.cause,
                    phase: failure.phase,
                    speed: failure.speed,
                }
            }
        }
    }

    pub fn view(&self, index: DependencyIndex) -> DependencyView {
        let tally = &self.tally;
        DependencyView {
            index,
            dependency: Arc::clone(&self.dependency),
            since: self.since,
            state: self.state.clone(),
            up: match (&self.state, self.conclusive && !self.suspended) {
                (_, false) | (State::Unknown, true) => None,
                (State::Up { .. }, true) => Some(true),
                (State::Failing { .. }, true) => Some(false),
            },
            operations: tally.operations,
            attempts_ok: tally.attempts_ok,
            attempts_failed: tally.attempts_failed.clone(),
            duration: tally.duration,
            phases: tally.phases,
            keepalive_resets: tally.keepalive_resets,
            breaker: self.breaker.state(),
            last_status: tally.last_status,
            last_rtt: tally.last_rtt,
            not_after: tally.not_after,
            dns_answers_differ: tally.dns_answers_differ,
        }
    }

    /// Those of the last answer, and of the last survey where the answer says nothing of the kind.
    pub fn all_findings(&self) -> Vec<Finding> {
        let news = |finding: &&Finding| !self.findings.iter().any(|known| known.id == finding.id);
        let surveyed = self.survey_findings.iter().map(|(_, finding)| finding);
        self.findings
            .iter()
            .chain(surveyed.filter(news))
            .cloned()
            .collect()
    }

    /// Takes what a survey of that kind found in place of what the last one did.
    pub fn keep_survey(&mut self, kind: &'static str, found: Vec<Finding>) {
        self.survey_findings.retain(|(known, _)| *known != kind);
        self.survey_findings
            .extend(found.into_iter().map(|finding| (kind, finding)));
    }

    /// Whether that is known from the last answer or a survey.
    pub fn has_finding(&self, id: FindingId) -> bool {
        let surveyed = self.survey_findings.iter().map(|(_, finding)| finding);
        self.findings
            .iter()
            .chain(surveyed)
            .any(|finding| finding.id == id)
    }

    pub fn detail(&self, index: DependencyIndex, host: HostView) -> Detail {
        Detail {
            view: self.view(index),
            host,
            last_success: self.history.last_success().cloned(),
            earlier_successes: self.history.earlier_successes().cloned().collect(),
            last_failures: self.history.failures().cloned().collect(),
            findings: self.all_findings(),
            gaps: self.gaps.clone(),
        }
    }
}
