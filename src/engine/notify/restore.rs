//! What another run left, and what a plan changes.

use std::sync::Arc;

use crate::model::alert::{AlertChange, AlertKey, ResolvedBecause};
use crate::model::record::KeptAlert;

use super::desk::{Desk, World};
use super::factors::{dependency_of, is_down};
use super::incident::{Incident, Member};
use super::speakers::Steady;

impl Desk {
    /// Takes the incidents of another run with their members.
    pub(super) fn take_restored(&mut self, world: &World<'_>) {
        for kept in std::mem::take(&mut self.restored_incidents) {
            let incident = Incident::restored(&kept, world.now);
            for factor in &incident.factors {
                let ids = self
                    .by_factor
                    .entry((incident.nature, factor.clone()))
                    .or_default();
                ids.insert(incident.id);
            }
            self.touched.insert(incident.id);
            self.incidents.insert(incident.id, incident);
        }
        for kept in std::mem::take(&mut self.restored_alerts) {
            self.take_member(kept, world);
        }
        // What does not wait any more was acknowledged, as far as is known.
        for incident in self.incidents.values_mut() {
            let id = incident.id;
            for (name, told) in &mut incident.told {
                told.acknowledged = (!self.outbox.waits_for_incident(name, id)).then_some(told.last);
            }
        }
        self.supply_lost_members(world);
        self.settle_first(world);
        self.count_affected();
        let keys: Vec<AlertKey> = world.alerts.iter().map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.pending.look_at(&key, world.alerts);
        }
        // What is raised and was told to nobody was muted, or had just been raised. Whether an outage is just over is not
        // known any more, so that it is taken for so until failures show otherwise.
        let untold: Vec<Arc<str>> = self
            .place
            .iter()
            .filter(|(key, id)| {
                super::join::SIGNS.contains(&key.rule)
                    && !self.incidents.get(id).is_some_and(|i| i.is_known(key))
            })
            .filter_map(|(key, _)| dependency_of(key).cloned())
            .collect();
        for name in untold {
            self.down_until.insert(name, world.now.wall);
        }
    }

    fn take_member(&mut self, kept: KeptAlert, world: &World<'_>) {
        let known = kept.incident.filter(|id| self.incidents.contains_key(id));
        let Some(id) = known else {
            if kept.ended.is_some() {
                // Nobody knows any more who was to be told.
                self.ends_written.insert(kept.key.clone());
                self.rewritten.insert(kept.key);
            }
            return;
        };
        if kept.ended.is_some() {
            self.ends_written.insert(kept.key.clone());
        }
        let member = match kept.ended {
            Some(note) => Member {
                since: note.since,
                ended: note.ended,
                severity: note.severity,
                labels: note.labels,
                text: note.text,
                muted: None,
                began: Steady::of(note.since, world.now),
                speaker: self.restored_speaker(),
            },
            None if kept.state.is_raised() => Member {
                since: super::desk::firing_since(&kept.state, world.now.wall),
                ended: None,
                severity: kept.severity,
                labels: kept.labels,
                text: kept.text,
                muted: None,
                began: Steady::of(super::pending_since(&kept.state), world.now),
                speaker: self.restored_speaker(),
            },
            None => return,
        };
        self.enter(id, &kept.key, member);
    }

    /// A receiver was told of an alert whose record is lost: it is told that it is over, and may be told anew.
    fn supply_lost_members(&mut self, world: &World<'_>) {
        let mut lost: Vec<(crate::model::incident::IncidentId, AlertKey)> = Vec::new();
        for incident in self.incidents.values() {
            for told in incident.told.values() {
                let missing = told
                    .firing
                    .iter()
                    .filter(|key| !incident.members.contains_key(*key));
                lost.extend(missing.map(|key| (incident.id, key.clone())));
            }
        }
        for (id, key) in lost {
            let Some(incident) = self.incidents.get_mut(&id) else {
                continue;
            };
            // Several receivers know of it: it is supplied already.
            if incident.members.contains_key(&key) {
                continue;
            }
            if self.place.contains_key(&key) {
                // It fires in another incident now, of which it is told in its own right.
                for told in incident.told.values_mut() {
                    told.unlearn(&key);
                }
                continue;
            }
            let alert = world.alerts.get(&key);
            let raised = alert.filter(|alert| alert.state.is_raised());
            let member = Member {
                since: raised.map_or(incident.since, |alert| {
                    super::desk::firing_since(&alert.state, incident.since)
                }),
                ended: match raised {
                    Some(_) => None,
                    None => Some((world.now.wall, ResolvedBecause::Recovered)),
                },
                severity: alert.map_or(incident.severity, |alert| alert.severity),
                labels: alert.map_or_else(|| Arc::from([]), |alert| Arc::clone(&alert.labels)),
                text: alert.map_or_else(Arc::default, |alert| Arc::clone(&alert.text)),
                muted: None,
                began: Steady::of(
                    raised.map_or(incident.since, |alert| super::pending_since(&alert.state)),
                    world.now,
                ),
                speaker: Default::default(),
            };
            self.enter(id, &key, member);
        }
    }

    /// Members that fired after a receiver had been told of them as affected are known to it.
    fn count_affected(&mut self) {
        for incident in self.incidents.values_mut() {
            let raised = incident
                .members
                .iter()
                .filter(|(key, member)| member.is_raised() && is_down(key.rule));
            let raised: Vec<(AlertKey, Arc<str>)> = raised
                .filter_map(|(key, _)| Some((key.clone(), Arc::clone(dependency_of(key)?))))
                .collect();
            for told in incident.told.values_mut().filter(|told| !told.firing.is_empty()) {
                let listed = raised.iter().filter(|(_, name)| told.listed.contains(name));
                let keys: Vec<AlertKey> = listed.map(|(key, _)| key.clone()).collect();
                told.firing.extend(keys);
            }
        }
    }

    /// Of which replica's matters each incident is.
    pub(super) fn settle_first(&mut self, world: &World<'_>) {
        let first_of = |incident: &Incident| {
            let key = incident.members.keys().next()?;
            Some((incident.id, self.first_of(key, world)))
        };
        let all: Vec<_> = self.incidents.values().filter_map(first_of).collect();
        for (id, first) in all {
            if let Some(incident) = self.incidents.get_mut(&id) {
                incident.first = first;
            }
        }
    }

    /// Takes the receivers of a plan: those that left know nothing any more, new ones are told of what fires.
    pub(super) fn take_receivers(&mut self, world: &World<'_>) {
        self.settle_first(world);
        let receivers = Arc::clone(&self.alerting.receivers);
        for incident in self.incidents.values_mut() {
            let before = incident.told.len();
            incident
                .told
                .retain(|name, _| receivers.iter().any(|receiver| receiver.name == *name));
            if incident.told.len() != before {
                self.dirty.insert(incident.id);
            }
            for receiver in receivers.iter() {
                if let Some(told) = incident.told.get_mut(&receiver.name) {
                    told.count_from_last(receiver, &self.alerting, world.now);
                }
            }
            self.touched.insert(incident.id);
        }
        self.over
            .retain(|over| receivers.iter().any(|receiver| receiver.name == over.receiver));
        let keep = |name: &Arc<str>| {
            receivers
                .iter()
                .any(|r| r.name == *name && r.channel.keeps_states())
        };
        self.refresh_at.retain(|name, _| keep(name));
        for receiver in receivers
            .iter()
            .filter(|receiver| receiver.channel.keeps_states())
        {
            let first = world.now.moment + receiver.repeat;
            let at = self.refresh_at.entry(Arc::clone(&receiver.name)).or_insert(first);
            *at = (*at).min(first);
        }
        // Members whose end nobody waits for any more.
        let over: Vec<AlertKey> = self.place.keys().cloned().collect();
        for key in over {
            let Some(id) = self.place.get(&key).copied() else {
                continue;
            };
            let ended = self.member(&key).is_some_and(|member| !member.is_raised());
            if ended
                && !self
                    .incidents
                    .get(&id)
                    .is_some_and(|incident| incident.is_known(&key))
            {
                self.leave(id, &key);
            }
        }
    }

    /// Compares the incidents with the alerts that there are: what is raised belongs to one, and what is not is over.
    pub(super) fn reconcile(&mut self, world: &World<'_>) {
        let alone = world.alerts.iter().filter(|(_, alert)| alert.state.is_raised());
        let alone: Vec<AlertKey> = alone
            .filter(|(key, _)| !self.member(key).is_some_and(Member::is_raised))
            .map(|(key, _)| key.clone())
            .collect();
        for key in alone {
            self.fired(&key, world);
        }
        let members = self
            .place
            .keys()
            .filter(|key| self.member(key).is_some_and(Member::is_raised));
        let gone = members.filter(|key| !world.alerts.get(key).is_some_and(|alert| alert.state.is_raised()));
        let gone: Vec<AlertKey> = gone.cloned().collect();
        for key in gone {
            self.take(&key, AlertChange::Resolved(ResolvedBecause::Recovered), world);
        }
    }
}
