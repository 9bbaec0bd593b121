//! What is told: notifications of an incident for one receiver, when they are due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, Severity, stable_hash};
use crate::model::event::Event;
use crate::model::incident::IncidentId;
use crate::model::notification::{AlertNote, Notification, Occasion};
use crate::model::receiver::Receiver;
use crate::model::time::Wall;

use super::desk::{Desk, Over, World};
use super::factors::dependency_of;
use super::incident::{Due, Incident, Member};
use super::outbox::{GivenUp, Results};
use super::speakers::Speaker;

/// For how long what is over is posted again to a receiver that keeps states (Alertmanager's `resolve_timeout`).
const OVER: Duration = Duration::from_secs(300);

/// The first word of an incident waits no longer than this for others that are about to be raised.
const LONGEST_GATHERING: Duration = Duration::from_secs(60);
/// Between two looks whether there are such.
const GLANCE: Duration = Duration::from_secs(1);

/// What a notification is made of, besides the incident.
struct Content {
    occasion: Occasion,
    notes: Vec<AlertNote>,
    affected: Vec<Arc<str>>,
}

impl Desk {
    /// Tells every receiver of an incident what is due.
    pub(super) fn tell_due(&mut self, id: IncidentId, world: &World<'_>) {
        let now = world.now.moment;
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let names: Vec<Arc<str>> = incident.told.keys().cloned().collect();
        for name in names {
            let Some(receiver) = self.receiver(&name) else {
                continue;
            };
            let Some(told) = self
                .incidents
                .get(&id)
                .and_then(|incident| incident.told.get(&name))
            else {
                continue;
            };
            if told.due(&receiver, &self.alerting).is_none_or(|at| at > now) {
                continue;
            }
            let has_news = told.has_news();
            if self.waits_for_others(id, &receiver, world) {
                continue;
            }
            if has_news {
                self.tell(id, &name, world);
            } else {
                self.repeat(id, &receiver, world);
            }
        }
    }

    /// Whether the first word of an incident waits a little longer, since others that fail in the same way are about to be
    /// raised: probes are spread over the interval, and so are the alerts of what failed at one moment.
    fn waits_for_others(&mut self, id: IncidentId, receiver: &Arc<Receiver>, world: &World<'_>) -> bool {
        let now = world.now.moment;
        let told = self
            .incidents
            .get(&id)
            .and_then(|incident| incident.told.get(&receiver.name));
        let Some(since) = told.and_then(super::incident::Told::first_word_since) else {
            return false;
        };
        let wait = self.alerting.group_wait;
        if receiver.channel.keeps_states() || wait.is_zero() || now >= since + LONGEST_GATHERING {
            return false;
        }
        self.refresh_pending(world);
        let about_to = self.affected(id, receiver, world);
        let interval = |name: &Arc<str>| {
            let slot = world.tables.slot(world.tables.index_of(name)?)?;
            Some(slot.dependency.interval)
        };
        let Some(longest) = about_to.iter().filter_map(interval).max() else {
            return false;
        };
        let until = since + longest.max(wait).min(LONGEST_GATHERING);
        if now >= until {
            return false;
        }
        if let Some(told) = self.told_mut(id, receiver) {
            told.wait_until(until.min(now + GLANCE));
        }
        true
    }

    /// Tells everything that has not been told.
    pub(super) fn tell_all(&mut self, world: &World<'_>) {
        let ids: Vec<IncidentId> = self.incidents.keys().copied().collect();
        for id in ids {
            let Some(incident) = self.incidents.get(&id) else {
                continue;
            };
            let names = incident.told.iter().filter(|(_, told)| told.has_news());
            let names: Vec<Arc<str>> = names.map(|(name, _)| Arc::clone(name)).collect();
            for name in names {
                self.tell(id, &name, world);
            }
        }
    }

    /// Tells a receiver what is news to it of an incident.
    pub(super) fn tell(&mut self, id: IncidentId, name: &Arc<str>, world: &World<'_>) {
        let Some(receiver) = self.receiver(name) else {
            return;
        };
        self.refresh_pending(world);
        let Some(told) = self
            .incidents
            .get_mut(&id)
            .and_then(|incident| incident.told.get_mut(name))
        else {
            return;
        };
        let due = told.take();
        if due.fired.is_empty() && due.ended.is_empty() {
            return;
        }
        let content = self.content(id, &receiver, &due, world);
        let listed: Vec<Arc<str>> = content.affected.clone();
        let firing = content.notes.iter().filter(|note| note.ended.is_none());
        let severity = firing.map(|note| note.severity).max();
        self.put(id, &receiver, content, world);
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        if let Some(told) = incident.told.get_mut(name) {
            // Who is not listed any more became well, and is news when it fails again.
            if !receiver.channel.keeps_states() {
                told.listed = listed.into_iter().collect();
            }
            told.severity = told.severity.max(severity.unwrap_or(Severity::Info));
            told.was_told(&due, &receiver, &self.alerting, world.now);
        }
        let over: Vec<AlertKey> = due
            .ended
            .iter()
            .filter(|key| !incident.is_known(key))
            .cloned()
            .collect();
        for key in over {
            if self.member(&key).is_some_and(|member| !member.is_raised()) {
                self.leave(id, &key);
            }
        }
        self.touched.insert(id);
        self.dirty.insert(id);
    }

    /// Tells again what fires, where it has been long ago.
    fn repeat(&mut self, id: IncidentId, receiver: &Arc<Receiver>, world: &World<'_>) {
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let Some(told) = incident.told.get(&receiver.name) else {
            return;
        };
        let notes: Vec<AlertNote> = told
            .firing
            .iter()
            .filter_map(|key| Some((key, incident.members.get(key)?)))
            .filter(|(_, member)| {
                member.is_raised() && member.muted.is_none() && member.speaker == Speaker::Me
            })
            .map(|(key, member)| note(key, member, world))
            .collect();
        // What was told before has to arrive first; and nothing is repeated of what is silenced.
        let waits = self.outbox.waits_for_incident(&receiver.name, id);
        if !notes.is_empty() && !waits {
            self.refresh_pending(world);
            let affected = self.affected(id, receiver, world);
            let content = Content {
                occasion: Occasion::Repeated,
                notes: sorted(notes),
                affected: affected.clone(),
            };
            self.put(id, receiver, content, world);
            self.dirty.insert(id);
            if let Some(told) = self.told_mut(id, receiver) {
                told.listed = affected.into_iter().collect();
                told.last = world.now.wall;
            }
        }
        if let Some(told) = self.told_mut(id, receiver) {
            told.repeat_from = world.now.moment + receiver.repeat;
        }
    }

    /// Takes pending alerts as they are now, once in a step.
    fn refresh_pending(&mut self, world: &World<'_>) {
        if !std::mem::replace(&mut self.pending_is_fresh, true) {
            self.pending.refresh(world.alerts);
        }
    }

    fn told_mut(&mut self, id: IncidentId, receiver: &Receiver) -> Option<&mut super::incident::Told> {
        self.incidents.get_mut(&id)?.told.get_mut(&receiver.name)
    }

    fn content(&self, id: IncidentId, receiver: &Receiver, due: &Due, world: &World<'_>) -> Content {
        let Some(incident) = self.incidents.get(&id) else {
            return Content {
                occasion: Occasion::Changed,
                notes: Vec::new(),
                affected: Vec::new(),
            };
        };
        let known = incident.told.get(&receiver.name).map(|told| &told.firing);
        let still: BTreeSet<&AlertKey> = known
            .into_iter()
            .flatten()
            .filter(|key| !due.ended.contains(*key))
            .collect();
        let mut keys: BTreeSet<&AlertKey> = due.fired.iter().chain(&due.ended).collect();
        if !receiver.channel.keeps_states() {
            let is_ours = |key: &&AlertKey| {
                let member = incident.members.get(*key);
                member.is_some_and(|member| member.speaker == Speaker::Me)
            };
            keys.extend(still.iter().copied().filter(is_ours));
        }
        let notes = keys
            .into_iter()
            .filter_map(|key| Some(note(key, incident.members.get(key)?, world)))
            .collect();
        let occasion = if still.is_empty() && due.fired.is_empty() {
            Occasion::Closed
        } else if due.known {
            Occasion::Changed
        } else {
            Occasion::Opened
        };
        Content {
            occasion,
            notes: sorted(notes),
            affected: if occasion == Occasion::Closed {
                Vec::new()
            } else {
                self.affected(id, receiver, world)
            },
        }
    }

    /// Dependencies that fail as an incident's members do and are not raised themselves.
    pub(super) fn affected(&self, id: IncidentId, receiver: &Receiver, world: &World<'_>) -> Vec<Arc<str>> {
        let Some(incident) = self.incidents.get(&id) else {
            return Vec::new();
        };
        let raised: BTreeSet<&Arc<str>> = incident
            .raised()
            .filter_map(|(key, _)| dependency_of(key))
            .collect();
        let pending = self.pending.of(incident);
        let listed: BTreeSet<Arc<str>> = pending
            .into_iter()
            .filter(|key| self.may_list(receiver, key, world) && self.would_tell(key, incident.first, world))
            .filter_map(dependency_of)
            .filter(|name| !raised.contains(name))
            .cloned()
            .collect();
        listed.into_iter().collect()
    }

    /// Dependencies that fail because a member does.
    pub(super) fn suppressed(&self, incident: &Incident, world: &World<'_>) -> Vec<Arc<str>> {
        if self.parents.is_empty() {
            return Vec::new();
        }
        let raised: BTreeSet<&Arc<str>> = incident
            .raised()
            .filter_map(|(key, _)| dependency_of(key))
            .collect();
        let below = raised.iter().flat_map(|name| self.parents.descendants(name));
        let failing: BTreeSet<Arc<str>> = below
            .filter(|name| super::parents::is_failing(name, world.alerts))
            .collect();
        failing.into_iter().collect()
    }

    /// Makes the notification and puts it into the receiver's outbox.
    fn put(&mut self, id: IncidentId, receiver: &Arc<Receiver>, content: Content, world: &World<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        incident.serial += 1;
        let serial = incident.serial.to_string();
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let notification = Arc::new(self.notification(incident, receiver, (content, &serial), world));
        if receiver.channel.keeps_states() && self.posts_ends_again() {
            self.remember_over(receiver, &notification, world);
        }
        let change = self.outbox.put(receiver, notification, world.now);
        self.changes.push(change);
    }

    fn notification(
        &self,
        incident: &Incident,
        receiver: &Receiver,
        (content, serial): (Content, &str),
        world: &World<'_>,
    ) -> Notification {
        let Content {
            occasion,
            notes,
            affected,
        } = content;
        let firing = notes.iter().filter(|note| note.ended.is_none());
        let severity = firing
            .map(|note| note.severity)
            .max()
            .unwrap_or(incident.severity);
        let leader = notes.first();
        let text = leader.map_or_else(Arc::default, |note| Arc::clone(&note.text));
        Notification {
            id: notification_id(incident.id, receiver, (occasion, serial), &notes),
            occasion,
            at: world.now.wall,
            incident: incident.id,
            since: incident.since,
            severity,
            title: super::words::title(incident, &notes, &affected),
            cause: incident.cause,
            factors: incident.factors.clone(),
            text,
            labels: super::words::common_labels(&notes),
            alerts: notes,
            affected,
            suppressed: self.suppressed(incident, world),
        }
    }

    /// What is over is told to a receiver that keeps states a few times more, since it may lose what it heard.
    fn remember_over(&mut self, receiver: &Receiver, notification: &Arc<Notification>, world: &World<'_>) {
        // What fires again is not over any more.
        let fires = |key: &AlertKey| {
            notification
                .alerts
                .iter()
                .any(|note| note.ended.is_none() && note.key == *key)
        };
        self.over.retain(|over| {
            over.receiver != receiver.name || !over.notification.alerts.iter().any(|note| fires(&note.key))
        });
        let mut only_over = (**notification).clone();
        only_over.alerts.retain(|note| note.ended.is_some());
        if only_over.alerts.is_empty() {
            return;
        }
        let notification = if only_over.alerts.len() == notification.alerts.len() {
            Arc::clone(notification)
        } else {
            only_over.id = format!("{}-over", only_over.id).into();
            Arc::new(only_over)
        };
        self.over.push(Over {
            receiver: Arc::clone(&receiver.name),
            until: world.now.moment + OVER,
            notification,
        });
    }

    /// Posts all that fires again to receivers that keep states, and what was over lately.
    pub(super) fn refresh(&mut self, world: &World<'_>) {
        let now = world.now.moment;
        let due: Vec<Arc<str>> = self
            .refresh_at
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in due {
            let Some(receiver) = self.receiver(&name) else {
                self.refresh_at.remove(&name);
                continue;
            };
            self.refresh_at.insert(Arc::clone(&name), now + receiver.repeat);
            self.over.retain(|over| over.until > now);
            let mut posts: Vec<Arc<Notification>> = Vec::new();
            for incident in self.incidents.values() {
                posts.extend(self.firing_at(incident, &receiver, world).map(Arc::new));
            }
            let over = self.over.iter().filter(|over| over.receiver == name);
            let arrived = over.filter(|over| {
                let mut alerts = over.notification.alerts.iter();
                !alerts.any(|note| self.outbox.waits_for_alert(&name, note.id))
            });
            posts.extend(arrived.map(|over| Arc::clone(&over.notification)));
            self.outbox.refresh(&name, posts);
        }
    }

    /// What of an incident a receiver that keeps states was told of as firing, all of which has arrived.
    fn firing_at(&self, incident: &Incident, receiver: &Receiver, world: &World<'_>) -> Option<Notification> {
        let told = incident.told.get(&receiver.name)?;
        let notes: Vec<AlertNote> = told
            .firing
            .iter()
            .filter_map(|key| Some((key, incident.members.get(key)?)))
            .filter(|(key, member)| {
                member.is_raised() && !self.outbox.waits_for_alert(&receiver.name, key.id())
            })
            .map(|(key, member)| note(key, member, world))
            .collect();
        if notes.is_empty() {
            return None;
        }
        let content = Content {
            occasion: Occasion::Repeated,
            notes: sorted(notes),
            affected: self.affected(incident.id, receiver, world),
        };
        let serial = format!("refresh {}", world.now.wall.unix_nanos());
        Some(self.notification(incident, receiver, (content, &serial), world))
    }

    /// Takes what became of deliveries: what is to be kept of it; events are the caller's.
    pub(super) fn delivered(&mut self, results: Results, now: Wall) -> Vec<Event> {
        for (receiver, notification) in results.accepted {
            let incident = self.incidents.get_mut(&notification.incident);
            if let Some(told) = incident.and_then(|incident| incident.told.get_mut(&receiver)) {
                told.acknowledged = Some(now);
            }
        }
        for gone in results.given_up {
            self.unlearn(&gone);
        }
        self.changes.extend(results.changes);
        results.events
    }

    /// The receiver will not hear what was given up. What of it still fires is news to it again.
    fn unlearn(&mut self, gone: &GivenUp) {
        let id = gone.notification.incident;
        let keys = gone
            .notification
            .alerts
            .iter()
            .filter(|note| note.ended.is_none());
        for note in keys {
            // Something later tells of it.
            if self.outbox.waits_for_alert(&gone.receiver, note.id) {
                continue;
            }
            let Some(incident) = self.incidents.get_mut(&id) else {
                return;
            };
            let Some(told) = incident.told.get_mut(&gone.receiver) else {
                return;
            };
            told.unlearn(&note.key);
            self.unlearned.push(note.key.clone());
            self.dirty.insert(id);
        }
        if let Some(told) = self
            .incidents
            .get_mut(&id)
            .and_then(|incident| incident.told.get_mut(&gone.receiver))
        {
            for name in &gone.notification.affected {
                told.listed.remove(name);
            }
        }
        self.look_again();
    }
}

fn note(key: &AlertKey, member: &Member, world: &World<'_>) -> AlertNote {
    let mut note = member.note(key);
    if let Some(alert) = world
        .alerts
        .get(key)
        .filter(|alert| member.is_raised() && alert.state.is_raised())
    {
        note.text = Arc::clone(&alert.text);
    }
    note
}

/// Those that fire first, and of these the one that tells most.
fn sorted(mut notes: Vec<AlertNote>) -> Vec<AlertNote> {
    notes.sort_by_cached_key(|note| {
        (
            note.ended.is_some(),
            std::cmp::Reverse(note.severity),
            !super::factors::is_down(note.key.rule),
            note.since,
            note.key.clone(),
        )
    });
    notes
}

/// The same on every retry, and for the same content in every process; another one for anything else.
fn notification_id(
    incident: IncidentId,
    receiver: &Receiver,
    (occasion, serial): (Occasion, &str),
    notes: &[AlertNote],
) -> Arc<str> {
    let mut parts: Vec<String> = vec![
        receiver.name.to_string(),
        occasion.id().to_owned(),
        serial.to_owned(),
    ];
    for note in notes {
        let ended = note.ended.map_or(0, |(at, _)| at.unix_nanos());
        parts.push(format!("{} {} {ended}", note.id, note.since.unix_nanos()));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    format!("{incident}-{:016x}", stable_hash(&parts)).into()
}
