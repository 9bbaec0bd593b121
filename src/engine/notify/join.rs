//! Which incident an alert belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alert::{AlertKey, Rule, Severity, Subject, stable_hash};
use crate::model::incident::{Factor, IncidentId};

use super::desk::{Desk, World};
use super::factors::{Card, Nature, dependency_of, is_down, shared};
use super::incident::Incident;

/// Rules that show the same trouble of a dependency in another way.
pub(super) const SIGNS: [Rule; 6] = [
    Rule::DependencyFailingOften,
    Rule::SloBurnFast,
    Rule::SloBurnMedium,
    Rule::SloBurnSlow,
    Rule::LatencyRegression,
    Rule::Flapping,
];

impl Desk {
    /// The open incident that an alert belongs to.
    pub(super) fn find(&self, key: &AlertKey, card: &Card, first: u32) -> Option<IncidentId> {
        // What else is wrong with a dependency that is down belongs to that.
        if let Some(name) = dependency_of(key)
            && let Some(id) =
                self.place_of_raised(name, &[Rule::DependencyDownFast, Rule::DependencyDownSlow])
        {
            return Some(id);
        }
        let fits = |id: &&IncidentId| {
            let incident = self.incidents.get(id);
            let incident = incident.filter(|incident| incident.first == first);
            incident.is_some_and(|incident| !shared(&incident.factors, incident.since, card).is_empty())
        };
        for factor in &card.factors {
            let candidates = self.by_factor.get(&(card.nature, factor.clone()));
            let oldest = candidates
                .into_iter()
                .flatten()
                .filter(fits)
                .min_by_key(|id| self.incidents.get(id).map(|incident| incident.since));
            if let Some(id) = oldest {
                return Some(*id);
            }
        }
        // One that began with another sign of the same trouble.
        let name = dependency_of(key).filter(|_| SIGNS.contains(&key.rule))?;
        self.place_of_raised(name, &SIGNS)
    }

    fn place_of_raised(&self, name: &Arc<str>, rules: &[Rule]) -> Option<IncidentId> {
        rules.iter().find_map(|rule| {
            let key = AlertKey {
                rule: *rule,
                subject: Subject::Dependency(Arc::clone(name)),
            };
            let id = self.place.get(&key)?;
            self.incidents
                .get(id)?
                .members
                .get(&key)?
                .is_raised()
                .then_some(*id)
        })
    }

    /// Begins an incident. Its id follows from what it is about; one that is open is never used again.
    pub(super) fn found(&mut self, key: &AlertKey, card: &Card, first: u32) -> IncidentId {
        let factor = card.factors.first();
        let about = factor.map_or_else(String::new, |factor| format!("{} {factor}", factor.kind()));
        let about = about + &self.speakers.mark(first);
        let mut id = IncidentId(0);
        for number in 1_u32.. {
            let more = if number == 1 {
                String::new()
            } else {
                number.to_string()
            };
            id = IncidentId(stable_hash(&[card.nature.id(), &about, &more]));
            // 0 stands for what belongs to no incident.
            if id.0 != 0 && !self.incidents.contains_key(&id) {
                break;
            }
        }
        self.incidents.insert(
            id,
            Incident {
                id,
                since: card.pending,
                founder: key.rule,
                nature: card.nature,
                cause: card.cause,
                factors: card.factors.clone(),
                severity: Severity::Info,
                serial: 0,
                members: BTreeMap::new(),
                told: BTreeMap::new(),
                own: 0,
                first,
            },
        );
        for factor in &card.factors {
            self.by_factor
                .entry((card.nature, factor.clone()))
                .or_default()
                .insert(id);
        }
        self.dirty.insert(id);
        id
    }

    /// The incident's factors shrink to what all share.
    pub(super) fn narrow(&mut self, id: IncidentId, card: &Card) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        if incident.nature != card.nature {
            return;
        }
        let common = shared(&incident.factors, incident.since, card);
        if common.is_empty() || common.len() == incident.factors.len() {
            return;
        }
        let nature = incident.nature;
        for factor in std::mem::replace(&mut incident.factors, common.clone()) {
            if !common.contains(&factor) {
                self.unindex(nature, factor, id);
            }
        }
        self.dirty.insert(id);
    }

    pub(super) fn unindex(&mut self, nature: Nature, factor: Factor, id: IncidentId) {
        if let std::collections::hash_map::Entry::Occupied(mut entry) = self.by_factor.entry((nature, factor))
        {
            entry.get_mut().remove(&id);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// What is a member of an incident, and was told of as affected to a receiver, is no news to it when it fires.
    pub(super) fn count_listed(&mut self, id: IncidentId, key: &AlertKey, world: &World<'_>) {
        let Some(name) = dependency_of(key).filter(|_| is_down(key.rule)) else {
            return;
        };
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let listing: Vec<Arc<str>> = incident
            .told
            .iter()
            .filter(|(_, told)| told.listed.contains(name))
            .map(|(receiver, _)| Arc::clone(receiver))
            .collect();
        for name_of_receiver in listing {
            let Some(receiver) = self.receiver(&name_of_receiver) else {
                continue;
            };
            let wanted = self.is_wanted(&receiver, key, world);
            let severity = self.member(key).map(|member| member.severity);
            let Some(told) = self
                .incidents
                .get_mut(&id)
                .and_then(|i| i.told.get_mut(&receiver.name))
            else {
                continue;
            };
            if wanted && !told.firing.is_empty() && severity <= Some(told.severity) {
                told.firing.insert(key.clone());
            } else {
                told.listed.remove(name);
                self.dirty.insert(id);
            }
        }
    }
}
