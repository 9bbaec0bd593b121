//! What is written down of incidents and of alerts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertChange, AlertKey, AlertState};
use crate::model::record::{Change, KeptAlert, Record, RecordKey};

use super::desk::{Desk, World};

impl Desk {
    /// Completes the alerts' records with what is known of them here, and adds what else is to be written down.
    pub(super) fn write(
        &mut self,
        changes: &[(AlertKey, AlertChange)],
        world: &World<'_>,
        kept: &mut Vec<Change>,
    ) {
        let mut keys: BTreeSet<AlertKey> = std::mem::take(&mut self.rewritten);
        keys.extend(changes.iter().map(|(key, _)| key.clone()));
        let mut by_record: HashMap<RecordKey, AlertKey> = HashMap::with_capacity(keys.len());
        by_record.extend(keys.into_iter().map(|key| (RecordKey::alert(&key), key)));
        for change in kept.iter_mut() {
            let record = change.key();
            if let Some(key) = by_record.remove(&record) {
                *change = self.record(&key, record, world);
            } else if let Change::Put(Record::Alert(alert)) = change {
                self.complete(alert);
            }
        }
        // What else is known of an alert here than its rule knows is in its record only for as long as it is to be told.
        for (record, key) in by_record {
            let untold = self.member(&key).is_some_and(|member| !member.is_raised());
            if untold || self.ends_written.contains(&key) {
                kept.push(self.record(&key, record, world));
            }
        }
        kept.append(&mut self.changes);
        for id in std::mem::take(&mut self.dirty) {
            if let Some(incident) = self.incidents.get(&id) {
                kept.push(Change::Put(Record::Incident(Box::new(incident.kept()))));
            }
        }
    }

    /// What is to be kept of an alert.
    fn record(&mut self, key: &AlertKey, record: RecordKey, world: &World<'_>) -> Change {
        let over = self.member(key).filter(|member| !member.is_raised());
        let mut alert = match (world.alerts.kept(key, world.now.moment), over) {
            (Some(alert), _) => alert,
            // It is over, and somebody does not know it yet.
            (None, Some(member)) => KeptAlert {
                key: key.clone(),
                state: AlertState::Quiet,
                held: Duration::ZERO,
                severity: member.severity,
                labels: Arc::clone(&member.labels),
                text: Arc::clone(&member.text),
                incident: None,
                ended: None,
            },
            (None, None) => {
                self.ends_written.remove(key);
                return Change::Remove(record);
            }
        };
        self.complete(&mut alert);
        if alert.ended.is_some() {
            self.ends_written.insert(key.clone());
        } else {
            self.ends_written.remove(key);
        }
        Change::Put(Record::Alert(Box::new(alert)))
    }

    /// Completes records of alerts to which nothing has happened.
    pub(super) fn complete_all(&self, kept: &mut [Change]) {
        for change in kept {
            if let Change::Put(Record::Alert(alert)) = change {
                self.complete(alert);
            }
        }
    }

    fn complete(&self, alert: &mut KeptAlert) {
        alert.incident = self.place.get(&alert.key).copied();
        let ended = self.member(&alert.key).filter(|member| !member.is_raised());
        alert.ended = ended.map(|member| Box::new(member.note(&alert.key)));
    }
}
