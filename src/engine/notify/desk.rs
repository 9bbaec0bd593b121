//! The desk: takes what happens to alerts, keeps the incidents, and decides what is told to whom and when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertChange, AlertKey, AlertState, Muted, ResolvedBecause};
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::Notification;
use crate::model::plan::Plan;
use crate::model::receiver::{Alerting, Receiver};
use crate::model::record::{Change, KeptAlert, KeptIncident, RecordKey};
use crate::model::time::{Moment, Now, Wall};

use super::super::alert::Alerts;
use super::super::table::Tables;
use super::factors::{Card, Nature};
use super::incident::{Ends, Incident, Member, Told};
use super::outbox::{Outbox, Results};
use super::parents::Parents;
use super::pending::Pending;
use super::silences::Silences;
use super::speakers::{Speakers, Steady};

/// Between two looks at alerts that are not told although what muted them is over.
const LINGER: Duration = Duration::from_secs(5);
/// The longest pause between two looks at silences: they are bounded by civil time, which may jump.
const SILENCES: Duration = Duration::from_secs(60);

/// What the desk looks at, and does not change.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub alerts: &'a Alerts,
    pub tables: &'a Tables,
    pub now: Now,
}

/// What a receiver that keeps states was told of as over: it is told again for a while.
#[derive(Debug)]
pub(super) struct Over {
    pub receiver: Arc<str>,
    pub until: Moment,
    pub notification: Arc<Notification>,
}

/// Everything that is to be told, and to whom.
#[derive(Debug, Default)]
pub struct Desk {
    pub outbox: Outbox,
    pub(super) silences: Silences,
    pub(super) parents: Parents,
    pub(super) speakers: Speakers,
    /// Members that are over, of which another replica tells: until when they are kept in case it does not.
    pub(super) owed: BTreeMap<AlertKey, Moment>,
    pub(super) alerting: Alerting,
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    /// The incident of each member.
    pub(super) place: HashMap<AlertKey, IncidentId>,
    pub(super) by_factor: HashMap<(Nature, Factor), BTreeSet<IncidentId>>,
    pub(super) pending: Pending,
    pub(super) pending_is_fresh: bool,
    timers: BTreeSet<(Moment, IncidentId)>,
    timer_of: HashMap<IncidentId, Moment>,
    /// Incidents whose members or news changed in this step.
    pub(super) touched: BTreeSet<IncidentId>,
    /// Incidents that are to be written down, and alerts that are beside those that changed.
    pub(super) dirty: BTreeSet<IncidentId>,
    pub(super) rewritten: BTreeSet<AlertKey>,
    /// Alerts whose records say that they are over.
    pub(super) ends_written: BTreeSet<AlertKey>,
    pub(super) changes: Vec<Change>,
    pub(super) in_force: Vec<Muted>,
    /// Alerts that are not told although what muted them is over: it may be that they are, too, and we do not know it yet.
    pub(super) lingering: BTreeSet<AlertKey>,
    /// When a dependency's down alert was over.
    pub(super) down_until: HashMap<Arc<str>, Wall>,
    /// When a dependency that others need ceased to fail.
    pub(super) well_since: HashMap<Arc<str>, Wall>,
    /// Alerts of which a receiver was told and will not hear.
    pub(super) unlearned: Vec<AlertKey>,
    /// Members that left their incident in this step.
    pub(super) left: Vec<(AlertKey, IncidentId)>,
    pub(super) refresh_at: BTreeMap<Arc<str>, Moment>,
    pub(super) over: Vec<Over>,
    /// A plan came, and what it changes is to be looked at.
    replanned: bool,
    /// There was a plan.
    begun: bool,
    /// What another run left, until the first plan comes.
    pub(super) restored_incidents: Vec<KeptIncident>,
    pub(super) restored_alerts: Vec<KeptAlert>,
    pub(super) silences_changed: bool,
    flush: bool,
    wake: Option<Moment>,
    pub(super) alarm: Option<Moment>,
    pub(super) open: usize,
}

impl Desk {
    /// Takes a plan; what follows for the outbox.
    pub fn configure(&mut self, plan: &Plan, now: Now) -> Results {
        self.alerting = plan.alerting.clone();
        self.parents = Parents::of(&plan.dependencies);
        self.silences.configure(&plan.alerting.maintenance);
        self.replanned = true;
        self.wake = None;
        self.speakers.configure(plan);
        let results = self.outbox.configure(plan, now);
        self.outbox.hold(!self.speakers.may_speak());
        results
    }

    pub fn look_at_silences(&mut self, change: Option<Change>) {
        self.changes.extend(change);
        self.silences_changed = true;
        self.wake = None;
    }

    /// What has not been told yet is told now, since the process ends.
    pub fn flush(&mut self) {
        self.flush = true;
        self.wake = None;
    }

    pub fn look_again(&mut self) {
        self.wake = None;
    }

    /// When there is something to do, if nothing else happens before.
    pub fn next(&self) -> Option<Moment> {
        self.wake
    }

    /// Takes what happened to alerts, and what has become due. `kept` has the records of the alerts that changed, and is
    /// given all others that are to be written with them.
    pub fn step(&mut self, changes: &[(AlertKey, AlertChange)], world: &World<'_>, kept: &mut Vec<Change>) {
        self.left.clear();
        let is_early = self.wake.is_some_and(|at| at > world.now.moment);
        if changes.is_empty() && self.changes.is_empty() && is_early {
            self.complete_all(kept);
            return;
        }
        self.pending_is_fresh = false;
        let replanned = std::mem::take(&mut self.replanned);
        let first = replanned && !std::mem::replace(&mut self.begun, replanned);
        if first {
            self.take_restored(world);
        }
        if replanned {
            self.take_receivers(world);
        }
        for (key, change) in changes {
            self.take(key, *change, world);
        }
        for key in std::mem::take(&mut self.unlearned) {
            self.look(&key, world);
        }
        if first {
            self.reconcile(world);
        }
        self.look_at_peers(world);
        self.forgive(world);
        self.look_at_mutes(replanned, world);
        if std::mem::take(&mut self.flush) {
            self.tell_all(world);
        }
        self.settle_touched();
        while let Some((_, id)) = self
            .timers
            .first()
            .copied()
            .filter(|(at, _)| *at <= world.now.moment)
        {
            self.tell_due(id, world);
            self.touched.insert(id);
            self.settle_touched();
        }
        self.refresh(world);
        self.write(changes, world, kept);
        self.wake = Some(self.next_look(world.now));
    }

    fn next_look(&self, now: Now) -> Moment {
        let mut next = Moment::from_nanos(u64::MAX);
        next = next.min(self.timers.first().map_or(next, |(at, _)| *at));
        next = self.refresh_at.values().copied().fold(next, Moment::min);
        next = next.min(self.forgives_at().unwrap_or(next));
        next = next.min(self.speakers.next().unwrap_or(next));
        if !self.lingering.is_empty() {
            next = next.min(now.moment + LINGER);
        }
        if let Some(at) = self.silences.next(now.wall) {
            let wait = u64::try_from(at.unix_nanos() - now.wall.unix_nanos()).unwrap_or(0);
            next = next.min(now.moment + Duration::from_nanos(wait).min(SILENCES));
        }
        next
    }

    pub(super) fn take(&mut self, key: &AlertKey, change: AlertChange, world: &World<'_>) {
        match change {
            AlertChange::Pending => {
                self.pending.look_at(key, world.alerts);
                self.family_changed(key, world);
            }
            AlertChange::Cleared => {
                self.pending.remove(key);
                self.note_end(key, false, world.now.wall);
                self.family_changed(key, world);
            }
            AlertChange::Fired => self.fired(key, world),
            AlertChange::Recovering | AlertChange::Relapsed => {
                self.update_text(key, world);
                self.look_at_mute(key, world);
            }
            AlertChange::Resolved(because) => self.resolved(key, because, world),
        }
    }

    pub(super) fn fired(&mut self, key: &AlertKey, world: &World<'_>) {
        self.pending.remove(key);
        let Some(alert) = world.alerts.get(key) else {
            return;
        };
        if let Some(id) = self.place.get(key).copied() {
            if self.member(key).is_some_and(Member::is_raised) {
                return;
            }
            // Its last end is told before it is told of as firing again.
            self.flush_member(id, key, Told::has_untold_end, world);
            self.leave(id, key);
        }
        let card = Card::of(key, alert);
        let first = self.first_of(key, world);
        let id = match self.find(key, &card, first) {
            Some(id) => id,
            None => self.found(key, &card, first),
        };
        let began = Steady::of(card.pending, world.now);
        let member = Member {
            since: firing_since(&alert.state, world.now.wall),
            ended: None,
            severity: alert.severity,
            labels: Arc::clone(&alert.labels),
            text: Arc::clone(&alert.text),
            muted: None,
            began,
            speaker: self.speaker_of(key, began, false, world).unwrap_or_default(),
        };
        self.enter(id, key, member);
        self.await_takeover(key, world);
        self.narrow(id, &card);
        self.set_mute(key, world);
        self.count_listed(id, key, world);
        self.look(key, world);
        self.siblings_changed(key, world);
        self.family_changed(key, world);
    }

    pub(super) fn resolved(&mut self, key: &AlertKey, because: ResolvedBecause, world: &World<'_>) {
        self.pending.remove(key);
        self.note_end(key, true, world.now.wall);
        if let Some(id) = self.place.get(key).copied() {
            // That it fired is told before that it is over.
            self.flush_member(id, key, Told::has_untold_firing, world);
            if let Some(member) = self.member_mut(key).filter(|member| member.is_raised()) {
                if let Some(alert) = world.alerts.get_or_ended(key) {
                    member.text = Arc::clone(&alert.text);
                }
                member.ended = Some((world.now.wall, because));
                self.recount(id);
            }
            self.lingering.remove(key);
            self.owe(key, world);
            self.look(key, world);
            if !self.owed.contains_key(key)
                && !self
                    .incidents
                    .get(&id)
                    .is_some_and(|incident| incident.is_known(key))
            {
                self.leave(id, key);
            }
        }
        self.siblings_changed(key, world);
        self.family_changed(key, world);
    }

    /// Tells those at once to whom something of the member is untold.
    fn flush_member(
        &mut self,
        id: IncidentId,
        key: &AlertKey,
        untold: fn(&Told, &AlertKey) -> bool,
        world: &World<'_>,
    ) {
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let names = incident.told.iter().filter(|(_, told)| untold(told, key));
        let names: Vec<Arc<str>> = names.map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            self.tell(id, &name, world);
        }
    }

    /// The alert becomes a member.
    pub(super) fn enter(&mut self, id: IncidentId, key: &AlertKey, member: Member) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        incident.severity = incident.severity.max(member.severity);
        incident.members.insert(key.clone(), member);
        self.place.insert(key.clone(), id);
        self.touched.insert(id);
    }

    /// The member is nobody's concern any more.
    pub(super) fn leave(&mut self, id: IncidentId, key: &AlertKey) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        if incident.members.remove(key).is_none() {
            return;
        }
        for told in incident.told.values_mut() {
            told.unlearn(key);
        }
        self.place.remove(key);
        self.owed.remove(key);
        self.lingering.remove(key);
        self.left.push((key.clone(), id));
        self.rewritten.insert(key.clone());
        self.recount(id);
        self.touched.insert(id);
    }

    /// Ends incidents that have no members any more, and sets the timers of the others.
    pub(super) fn settle_touched(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            if let Some(at) = self.timer_of.remove(&id) {
                self.timers.remove(&(at, id));
            }
            let Some(incident) = self.incidents.get(&id) else {
                continue;
            };
            if incident.members.is_empty() {
                self.close(id);
                continue;
            }
            let due = incident.told.iter().filter_map(|(name, told)| {
                let receiver = self
                    .alerting
                    .receivers
                    .iter()
                    .find(|receiver| receiver.name == *name)?;
                told.due(receiver, &self.alerting)
            });
            if let Some(at) = due.min() {
                self.timers.insert((at, id));
                self.timer_of.insert(id, at);
            }
        }
    }

    fn close(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.remove(&id) else {
            return;
        };
        if !incident.is_a_parents() {
            self.open -= 1;
        }
        for factor in incident.factors {
            self.unindex(incident.nature, factor, id);
        }
        self.dirty.remove(&id);
        self.changes.push(Change::Remove(RecordKey::incident(id)));
    }

    /// Notes how many of its members are its own matter.
    pub(super) fn recount(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        let own = |member: &&Member| member.is_raised() && !matches!(member.muted, Some(Muted::Parent(_)));
        let before = incident.is_a_parents();
        incident.own = incident.members.values().filter(own).take(1).count();
        match (before, incident.is_a_parents()) {
            (true, false) => self.open += 1,
            (false, true) => self.open -= 1,
            _ => {}
        }
    }

    pub(super) fn member(&self, key: &AlertKey) -> Option<&Member> {
        self.incidents.get(self.place.get(key)?)?.members.get(key)
    }

    pub(super) fn member_mut(&mut self, key: &AlertKey) -> Option<&mut Member> {
        self.incidents.get_mut(self.place.get(key)?)?.members.get_mut(key)
    }

    fn update_text(&mut self, key: &AlertKey, world: &World<'_>) {
        if let Some(alert) = world.alerts.get(key)
            && let Some(member) = self.member_mut(key)
        {
            member.text = Arc::clone(&alert.text);
        }
    }

    pub(super) fn receiver(&self, name: &str) -> Option<Arc<Receiver>> {
        self.alerting
            .receivers
            .iter()
            .find(|receiver| &*receiver.name == name)
            .cloned()
    }

    /// Notes how a member stands with every receiver.
    pub(super) fn look(&mut self, key: &AlertKey, world: &World<'_>) {
        let Some(id) = self.place.get(key).copied() else {
            return;
        };
        let receivers = Arc::clone(&self.alerting.receivers);
        for receiver in receivers.iter() {
            let wanted = self.is_wanted(receiver, key, world);
            let ends = self
                .member(key)
                .map_or(Ends::Untold, |member| self.ends(receiver, key, member));
            let Some(incident) = self.incidents.get_mut(&id) else {
                return;
            };
            let Some(member) = incident.members.get(key) else {
                return;
            };
            if wanted && !incident.told.contains_key(&receiver.name) {
                incident
                    .told
                    .insert(Arc::clone(&receiver.name), Told::new(world.now));
            }
            if let Some(told) = incident.told.get_mut(&receiver.name)
                && told.look_at(key, member, wanted, ends, world.now.moment)
            {
                self.touched.insert(id);
            }
        }
    }
}

/// When it was raised.
pub(super) fn firing_since(state: &AlertState, now: Wall) -> Wall {
    match state {
        AlertState::Firing { since, .. } => *since,
        AlertState::Recovering { firing, .. } => *firing,
        AlertState::Quiet | AlertState::Pending { .. } => now,
    }
}
