//! Alerts: rules look at what operations showed, a state machine makes firing and resolved of it.
//!
//! Nothing here tells anybody. What happened is left in [`Alerts::take_changes`], and `notify` makes incidents and
//! notifications of it.

mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alert::{AlertChange, AlertKey, AlertState, AlertText, Severity};
use crate::model::failure::OperationRecord;
use crate::model::record::KeptAlert;

/// One alert that is not quiet.
#[derive(Clone, Debug)]
pub struct Alert {
    pub state: AlertState,
    pub severity: Severity,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub text: Arc<AlertText>,
    /// The operation that showed it last; none after a restart, and of rules that look at no operation.
    pub record: Option<Arc<OperationRecord>>,
}

/// All alerts that are not quiet, and what happened to them since it was last asked.
#[derive(Debug, Default)]
pub struct Alerts {
    book: BTreeMap<AlertKey, Alert>,
    changes: Vec<(AlertKey, AlertChange)>,
}

impl Alerts {
    pub fn get(&self, key: &AlertKey) -> Option<&Alert> {
        self.book.get(key)
    }

    /// Those that are not quiet.
    pub fn iter(&self) -> impl Iterator<Item = (&AlertKey, &Alert)> {
        self.book.iter()
    }

    /// What happened since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<(AlertKey, AlertChange)> {
        std::mem::take(&mut self.changes)
    }

    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// As it is to be kept; `None` when it is quiet.
    pub fn kept(&self, key: &AlertKey) -> Option<KeptAlert> {
        let alert = self.book.get(key)?;
        Some(KeptAlert {
            key: key.clone(),
            state: alert.state,
            held: std::time::Duration::ZERO,
            severity: alert.severity,
            labels: Arc::clone(&alert.labels),
            text: Arc::clone(&alert.text),
            // Added by `notify`.
            incident: None,
            ended: None,
        })
    }
}
