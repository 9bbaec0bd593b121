//! Alerts that are pending, found by what they may share with an incident: those who fail as its members do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::alert::{AlertKey, AlertState};
use crate::model::failure::OperationRecord;
use crate::model::incident::Factor;

use super::super::alert::Alerts;
use super::factors::{Card, Nature, is_down, shared};
use super::incident::Incident;

#[derive(Debug)]
struct Entry {
    card: Card,
    /// What the card was made of.
    record: Option<Arc<OperationRecord>>,
}

/// Down alerts that are pending.
#[derive(Debug, Default)]
pub struct Pending {
    entries: BTreeMap<AlertKey, Entry>,
    by_factor: HashMap<(Nature, Factor), BTreeSet<AlertKey>>,
}

impl Pending {
    /// Takes the alert as it is now.
    pub fn look_at(&mut self, key: &AlertKey, alerts: &Alerts) {
        self.remove(key);
        let Some(alert) = alerts.get(key) else { return };
        if !is_down(key.rule) || !matches!(alert.state, AlertState::Pending { .. }) {
            return;
        }
        let card = Card::of(key, alert);
        for factor in &card.factors {
            let keys = self.by_factor.entry((card.nature, factor.clone())).or_default();
            keys.insert(key.clone());
        }
        let record = alert.record.clone();
        self.entries.insert(key.clone(), Entry { card, record });
    }

    pub fn remove(&mut self, key: &AlertKey) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        for factor in entry.card.factors {
            let place = (entry.card.nature, factor);
            if let Some(keys) = self.by_factor.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_factor.remove(&place);
                }
            }
        }
    }

    /// Takes those anew that another operation has shown since: the cause may be another one now.
    pub fn refresh(&mut self, alerts: &Alerts) {
        let changed = self.entries.iter().filter(|(key, entry)| {
            let now = alerts.get(key).and_then(|alert| alert.record.as_ref());
            match (now, &entry.record) {
                (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
                (None, None) => false,
                _ => true,
            }
        });
        let changed: Vec<AlertKey> = changed.map(|(key, _)| key.clone()).collect();
        for key in changed {
            self.look_at(&key, alerts);
        }
    }

    /// Those that would join an incident if they fired now.
    pub fn of(&self, incident: &Incident) -> BTreeSet<&AlertKey> {
        let mut found = BTreeSet::new();
        for factor in &incident.factors {
            let keys = self.by_factor.get(&(incident.nature, factor.clone()));
            for key in keys.into_iter().flatten() {
                let fits = self
                    .entries
                    .get(key)
                    .is_some_and(|entry| !shared(&incident.factors, incident.since, &entry.card).is_empty());
                if fits {
                    found.insert(key);
                }
            }
        }
        found
    }
}
