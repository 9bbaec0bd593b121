//! What readers see of incidents, silences and what was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alert::{AlertKey, AlertState, Muted, Subject};
use crate::model::incident::{IncidentId, IncidentView, Member as MemberView};
use crate::model::silence::SilenceView;
use crate::model::time::Wall;

use super::desk::{Desk, World};
use super::factors::{dependency_of, is_down};
use super::incident::{Incident, Member};

impl Desk {
    /// Those that are open. One whose members all fail because a parent does is told of with the parent's.
    pub fn incident_views(&self, world: &World<'_>) -> Vec<IncidentView> {
        let open = self
            .incidents
            .values()
            .filter(|incident| !incident.is_a_parents());
        open.map(|incident| self.incident_view(incident, world)).collect()
    }

    fn incident_view(&self, incident: &Incident, world: &World<'_>) -> IncidentView {
        let mut members: Vec<MemberView> = Vec::new();
        for (key, member) in incident.raised() {
            members.push(MemberView {
                key: key.clone(),
                state: world.alerts.get(key).map_or("firing", |alert| alert.state.id()),
                since: member.since,
            });
        }
        let mut waiting: Vec<Arc<str>> = Vec::new();
        for key in self.pending.of(incident) {
            let Some(alert) = world.alerts.get(key) else {
                continue;
            };
            if let AlertState::Pending { since } = alert.state {
                let state = alert.state.id();
                let key = key.clone();
                waiting.extend(dependency_of(&key).cloned());
                members.push(MemberView { key, state, since });
            }
        }
        let leader = Incident::leader(incident.raised());
        let text = leader.map_or_else(Arc::default, |(key, member)| {
            let now = world.alerts.get(key).map(|alert| &alert.text);
            Arc::clone(now.unwrap_or(&member.text))
        });
        let keys: Vec<&AlertKey> = incident.raised().map(|(key, _)| key).collect();
        waiting.retain(|name| !keys.iter().any(|key| dependency_of(key) == Some(name)));
        waiting.sort();
        waiting.dedup();
        let told = incident.told.iter();
        IncidentView {
            id: incident.id,
            since: incident.since,
            severity: leader.map_or(incident.severity, |(_, member)| member.severity),
            cause: incident.cause,
            factors: incident.factors.clone(),
            title: super::words::title_of(incident, &keys, &waiting, &text.summary),
            text,
            members,
            suppressed: self.suppressed(incident, world),
            told: told
                .filter_map(|(name, told)| Some((Arc::clone(name), told.acknowledged?)))
                .collect(),
        }
    }

    /// The incident that an alert belongs to, or has just left. What fails because a parent does belongs to the parent's.
    pub fn incident_of(&self, key: &AlertKey) -> Option<IncidentId> {
        let Some(id) = self.place.get(key).copied() else {
            return self.left.iter().find(|(left, _)| left == key).map(|(_, id)| *id);
        };
        let of_parent = match self.member(key).and_then(|member| member.muted.as_ref()) {
            Some(Muted::Parent(parent)) => self.down_incident(parent),
            _ => None,
        };
        of_parent.or(Some(id))
    }

    fn down_incident(&self, name: &Arc<str>) -> Option<IncidentId> {
        let rules = crate::model::alert::Rule::ALL
            .iter()
            .filter(|rule| is_down(**rule));
        rules.into_iter().find_map(|rule| {
            let subject = Subject::Dependency(Arc::clone(name));
            self.place.get(&AlertKey { rule: *rule, subject }).copied()
        })
    }

    /// Receivers that acknowledged that the alert fires.
    pub fn told(&self, key: &AlertKey) -> Vec<Arc<str>> {
        let Some(incident) = self.place.get(key).and_then(|id| self.incidents.get(id)) else {
            return Vec::new();
        };
        let knows = incident.told.iter().filter(|(name, told)| {
            told.firing.contains(key)
                && told.acknowledged.is_some()
                && !self.outbox.waits_for_alert(name, key.id())
        });
        knows.map(|(name, _)| Arc::clone(name)).collect()
    }

    pub fn silence_views(&self, now: Wall) -> Vec<SilenceView> {
        let mut muting: BTreeMap<(&'static str, &str), usize> = BTreeMap::new();
        let members = self
            .incidents
            .values()
            .flat_map(|incident| incident.members.values());
        for muted in members
            .filter(|member| Member::is_raised(member))
            .filter_map(|member| member.muted.as_ref())
        {
            if let Some(name) = name_of(muted) {
                *muting.entry((muted.id(), name)).or_default() += 1;
            }
        }
        self.silences.views(now, |muted| {
            let name = name_of(muted).unwrap_or("");
            muting.get(&(muted.id(), name)).copied().unwrap_or(0)
        })
    }
}

fn name_of(muted: &Muted) -> Option<&str> {
    match muted {
        Muted::Silence(name) | Muted::Maintenance(name) => Some(name),
        Muted::Parent(_) | Muted::Overshadowed(_) | Muted::Peer(_) | Muted::Unproven => None,
    }
}
