//! The end of each step: what happened to alerts becomes events, records and notifications.

use crate::model::alert::{AlertKey, AlertState};
use crate::model::event::Event;
use crate::model::record::{Change, KeptAlert, Record, RecordKey};
use crate::model::time::Now;

use super::super::{Engine, Output};
use super::Alert;

impl Engine {
    /// Makes events, records and notifications of what happened. An alert's new state and the notifications of it are
    /// handed over to be kept together, so that a crash leaves both or neither.
    pub(in super::super) fn settle_alerts(&mut self, now: Now, out: &mut Vec<Output>) {
        let changes = self.alerts.take_changes();
        let mut kept = self.alert_records(now);
        kept.append(&mut self.alerts.unsaved);
        self.notify(&changes, now, &mut kept);
        self.name_incidents(&mut kept);
        for (key, change) in &changes {
            if let Some(view) = self.changed_view(key, now) {
                let (change, view) = (*change, Box::new(view));
                out.push(Output::Observed(Event::AlertChanged { change, view }));
            }
        }
        self.alerts.ended.clear();
        if !kept.is_empty() {
            let seq = self.persist(kept, out);
            self.outbox_handed_over(seq);
        }
        self.dispatch(now, out);
    }

    /// Each alert's record names the incident that it belongs to.
    fn name_incidents(&self, kept: &mut [Change]) {
        for change in kept {
            if let Change::Put(Record::Alert(alert)) = change
                && alert.incident.is_none()
            {
                alert.incident = self.incident_of(&alert.key);
            }
        }
    }

    /// The records that are not what they should be.
    fn alert_records(&mut self, now: Now) -> Vec<Change> {
        let mut keys: Vec<AlertKey> = std::mem::take(&mut self.alerts.dirty);
        if keys.is_empty() {
            return Vec::new();
        }
        keys.sort();
        keys.dedup();
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            match self.alerts.kept(&key, now.moment) {
                Some(alert) => {
                    records.push(Change::Put(Record::Alert(Box::new(alert))));
                    self.alerts.written.insert(key);
                }
                None if self.alerts.written.remove(&key) => {
                    records.push(Change::Remove(RecordKey::alert(&key)));
                }
                None => {}
            }
        }
        records
    }

    /// The process ends: how long each alert has stood as it does must be right for the next one.
    pub(in super::super) fn keep_alerts(&mut self, now: Now) {
        let keys: Vec<AlertKey> = self.alerts.book.keys().cloned().collect();
        self.alerts.dirty.extend(keys);
        self.keep_all_signals(now);
    }

    /// An alert of another run. It goes on where it was when its subject is looked at again: the time in between counts
    /// for nothing. What the first plan does not contain is over then.
    pub(in super::super) fn restore_alert(&mut self, kept: KeptAlert, _now: Now) {
        if kept.state == AlertState::Quiet {
            return;
        }
        let alert = Alert {
            severity: kept.severity,
            labels: kept.labels,
            text: kept.text,
            held: kept.held,
            ..Alert::new(kept.state)
        };
        self.alerts.written.insert(kept.key.clone());
        self.alerts.book.insert(kept.key, alert);
    }
}
