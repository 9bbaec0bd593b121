//! Alerts: rules look at what operations showed, a state machine makes firing and resolved of it.
//!
//! Nothing here tells anybody. What happened is left in [`Alerts::take_changes`], and `notify` makes incidents and
//! notifications of it.

mod judge;
mod keep;
mod latency;
mod machine;
pub mod ourselves;
mod rings;
mod rules;
mod settle;
mod signals;
mod stats;
mod subject;
mod view;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertChange, AlertKey, AlertState, AlertText, Rule, Severity, Subject};
use crate::model::failure::OperationRecord;
use crate::model::receiver::Alerting;
use crate::model::record::{Change, KeptAlert};
use crate::model::signals::KeptSignals;
use crate::model::time::Moment;

pub use signals::Signals;
pub use subject::HostTerms;

/// The user's labels of an alert, sorted by name.
pub type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// One alert that is not quiet.
#[derive(Clone, Debug)]
pub struct Alert {
    pub state: AlertState,
    pub severity: Severity,
    pub labels: Labels,
    pub text: Arc<AlertText>,
    /// The operation that showed it last; none after a restart, and of rules that look at no operation.
    pub record: Option<Arc<OperationRecord>>,
    /// What has been counted of the time that it has to stand as it does.
    held: Duration,
    /// Since when time counts that is not in `held` yet; `None` while it does not.
    counting: Option<Moment>,
    /// Samples suffice to go on to the next state.
    enough: bool,
    /// The timer that is set for it, and its serial.
    timer: Option<(Moment, u64)>,
}

impl Alert {
    fn new(state: AlertState) -> Self {
        Alert {
            state,
            severity: Severity::Info,
            labels: Arc::from([]),
            text: Arc::default(),
            record: None,
            held: Duration::ZERO,
            counting: None,
            enough: false,
            timer: None,
        }
    }
}

/// All alerts that are not quiet, and what happened to them since it was last asked.
#[derive(Debug, Default)]
pub struct Alerts {
    book: BTreeMap<AlertKey, Alert>,
    changes: Vec<(AlertKey, AlertChange)>,
    /// Those that left the book in this step, as they stood.
    ended: BTreeMap<AlertKey, Alert>,
    /// Those whose records are not what they should be; some may be in it twice.
    dirty: Vec<AlertKey>,
    /// Those of which there is a record.
    written: BTreeSet<AlertKey>,
    timers: HashMap<u64, AlertKey>,
    serial: u64,
    /// Of the monitor's own alerts.
    marks: Marks,
    /// What the plan says of the monitor's alerts, and of the labels of all.
    terms: Alerting,
    /// What this process is called among several replicas.
    replica: Option<Arc<str>>,
    ourselves: ourselves::Ourselves,
    /// Records of what the rules remember, on their way out.
    unsaved: Vec<Change>,
    /// What another process remembered, until the first plan.
    remembered: HashMap<Subject, KeptSignals>,
}

impl Alerts {
    pub fn get(&self, key: &AlertKey) -> Option<&Alert> {
        self.book.get(key)
    }

    /// The same, and those that were over or cleared in this very step as they stood before that.
    pub fn get_or_ended(&self, key: &AlertKey) -> Option<&Alert> {
        self.book.get(key).or_else(|| self.ended.get(key))
    }

    /// Those that are not quiet.
    pub fn iter(&self) -> impl Iterator<Item = (&AlertKey, &Alert)> {
        self.book.iter()
    }

    /// What happened since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<(AlertKey, AlertChange)> {
        std::mem::take(&mut self.changes)
    }

    /// As it is to be kept; `None` when it is quiet, or pending without anything counted, which is as good as quiet to
    /// another process.
    pub fn kept(&self, key: &AlertKey, now: Moment) -> Option<KeptAlert> {
        let alert = self.book.get(key)?;
        if !alert.state.is_raised() && !alert.enough && alert.held.is_zero() {
            return None;
        }
        Some(KeptAlert {
            key: key.clone(),
            state: alert.state,
            held: alert.held(now),
            severity: alert.severity,
            labels: Arc::clone(&alert.labels),
            text: Arc::clone(&alert.text),
            // Added by `notify`.
            incident: None,
            ended: None,
        })
    }
}

/// Some of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(u32);

impl RuleSet {
    pub const fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule.index()) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn set(&mut self, rule: Rule, is_in: bool) {
        let bit = 1 << rule.index();
        self.0 = if is_in { self.0 | bit } else { self.0 & !bit };
    }

    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.contains(*rule))
    }
}

/// How the alerts of one subject stand, so that nobody looks into the book where all is quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Not quiet.
    pub active: RuleSet,
    /// Firing or recovering.
    pub raised: RuleSet,
}

#[cfg(test)]
mod tests;
