//! What a replica does for the others' sake: it leaves to them what they tell, takes over when they are gone, and takes back
//! what it would tell late.
//!
//! A replica that takes over assumes that the one before told what had been raised for long enough when it last proved that
//! it lived, and tells only its end; everything else it tells.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, Muted, Subject};
use crate::model::notification::{AlertNote, Notification};
use crate::model::page::ScaleOutView;
use crate::model::receiver::Receiver;
use crate::model::share::Peers;
use crate::model::time::{Moment, Now, Wall};

use super::desk::{Desk, World};
use super::incident::{Ends, Member};
use super::speakers::{Speaker, Steady, Watched, tells_people};

/// The first word of an incident waits no longer than this for others (`tell`).
const LONGEST_GATHERING: Duration = Duration::from_secs(60);
/// For how long it may go unnoticed that a replica does not live any more: a Lease's time and that of a look at it.
const UNNOTICED: Duration = Duration::from_secs(30);

impl Desk {
    /// This replica's part of the work, of which it watches so many.
    pub fn scale_out_view(&self, watched: usize) -> Option<ScaleOutView> {
        let place = self.speakers.place.as_ref()?;
        Some(ScaleOutView {
            name: Arc::clone(&place.name),
            share: place.share,
            watched,
            left: place.in_all.saturating_sub(watched),
            election: place.election.clone(),
            elects: place.elects(),
            speaks: self.speakers.may_speak(),
        })
    }

    pub fn peers_observed(&mut self, peers: Peers, now: Now) {
        self.speakers.observe(peers, now);
        // Who may speak again looks first what others told meanwhile.
        if !self.speakers.may_speak() {
            self.outbox.hold(true);
        }
        self.look_again();
    }

    /// `None` where this replica does not watch it (any more), or nobody shares the work.
    fn watched(&self, key: &AlertKey, world: &World<'_>) -> Option<Watched> {
        let share = self.speakers.place.as_ref()?.share;
        let of = |name: &str, interval: Duration| {
            let holders = share.holders(name);
            let is_ours = holders.contains(&share.replica);
            is_ours.then_some(Watched { holders, interval })
        };
        match &key.subject {
            Subject::Monitor => Some(Watched {
                holders: vec![share.replica],
                interval: Duration::ZERO,
            }),
            Subject::Dependency(name) => {
                let slot = world
                    .tables
                    .index_of(name)
                    .and_then(|index| world.tables.slot(index));
                of(name, slot.map_or(Duration::ZERO, |slot| slot.dependency.interval))
            }
            // What is wrong with a host each replica sees by its own dependencies there. It speaks if it speaks for one of them.
            Subject::Host(host) => {
                let place = world.tables.host_of(host)?;
                let there = world.tables.slots.iter().filter(|(_, slot)| slot.host == place);
                let there = there.map(|(_, slot)| &slot.dependency);
                let all = there.filter_map(|dependency| of(&dependency.name, dependency.interval));
                all.min_by_key(|watched| watched.holders.iter().position(|holder| *holder == share.replica))
            }
        }
    }

    /// The replica that speaks first for what an alert is about; incidents are of one such.
    pub(super) fn first_of(&self, key: &AlertKey, world: &World<'_>) -> u32 {
        let watched = self.watched(key, world);
        watched
            .and_then(|watched| watched.holders.first().copied())
            .unwrap_or(0)
    }

    /// Of what another run left it is not known yet.
    pub(super) fn restored_speaker(&self) -> Speaker {
        match self.speakers.may_speak() {
            true => Speaker::Me,
            false => Speaker::Others,
        }
    }

    /// Who tells of an alert whose condition began to hold then; `None` where that stays as it is.
    pub(super) fn speaker_of(
        &self,
        key: &AlertKey,
        began: Steady,
        is_over: bool,
        world: &World<'_>,
    ) -> Option<Speaker> {
        self.speakers.place.as_ref()?;
        let now = (!is_over).then_some(world.now.moment);
        Some(self.speakers.speaker(&self.watched(key, world)?, began, now))
    }

    /// Whether an alert of this dependency that is about to be raised would be told with the incident, by us.
    pub(super) fn would_tell(&self, key: &AlertKey, first: u32, world: &World<'_>) -> bool {
        if self.speakers.place.is_none() {
            return true;
        }
        let began = world
            .alerts
            .get(key)
            .map_or(Wall::default(), |alert| super::pending_since(&alert.state));
        let began = Steady::of(began, world.now);
        self.first_of(key, world) == first && self.speaker_of(key, began, false, world) == Some(Speaker::Me)
    }

    /// Why those are not told by us who would tell people twice.
    pub(super) fn peer_mute(&self, key: &AlertKey, world: &World<'_>) -> Option<Muted> {
        let member = self.member(key)?;
        let speaks = self.speakers.may_speak();
        if member.speaker == Speaker::Me || !self.concerns_people(key, member, world) {
            return None;
        }
        match member.speaker {
            Speaker::Peer(replica) if speaks => Some(Muted::Peer(self.speakers.name_of(replica))),
            _ => Some(Muted::Unproven),
        }
    }

    /// Whether somebody takes it who would tell people twice.
    fn concerns_people(&self, key: &AlertKey, member: &Member, world: &World<'_>) -> bool {
        let mut people = self
            .alerting
            .receivers
            .iter()
            .filter(|receiver| tells_people(receiver));
        people.any(|receiver| Desk::takes_member(receiver, key, member, world))
    }

    /// What is done when a member is over, for a receiver that knows of it.
    pub(super) fn ends(&self, receiver: &Receiver, key: &AlertKey, member: &Member) -> Ends {
        let Some((_, because)) = member.ended.filter(|_| receiver.send_resolved) else {
            return Ends::Untold;
        };
        if !receiver.channel.keeps_states() {
            // What will tell that it fires must be followed by its end.
            let waits = || self.outbox.waits_for_alert(&receiver.name, key.id());
            return match member.speaker == Speaker::Me || waits() {
                true => Ends::Told,
                false => Ends::OfOthers,
            };
        }
        // What is still on its way would be news there when it is over.
        let arrived = !self.outbox.waits_for_alert(&receiver.name, key.id());
        match self.speakers.posts_no_end(key, because) && arrived {
            true => Ends::Untold,
            false => Ends::Told,
        }
    }

    /// Whether what is over is posted again for a while.
    pub(super) fn posts_ends_again(&self) -> bool {
        let place = self.speakers.place.as_ref();
        place.is_none_or(|place| place.share.factor == 1)
    }

    /// A member is over of which another replica tells: it is kept until that one has surely told it.
    pub(super) fn owe(&mut self, key: &AlertKey, world: &World<'_>) {
        let Some(member) = self.member(key) else { return };
        if member.speaker == Speaker::Me || !self.concerns_people(key, member, world) {
            return;
        }
        let until = world.now.moment + self.surely_told();
        self.owed.insert(key.clone(), until);
    }

    /// Within which time a replica that may speak has surely told that an alert is over.
    fn surely_told(&self) -> Duration {
        self.alerting.group_interval + LONGEST_GATHERING + UNNOTICED
    }

    /// When owed ends are forgiven. Who does not know who lives does not know whether anybody tells them.
    pub(super) fn forgives_at(&self) -> Option<Moment> {
        let owed = self.owed.values().copied().min();
        owed.filter(|_| self.speakers.may_speak())
    }

    /// Lets go of what others have told meanwhile.
    pub(super) fn forgive(&mut self, world: &World<'_>) {
        if !self.speakers.may_speak() {
            return;
        }
        let now = world.now.moment;
        let done: Vec<AlertKey> = self
            .owed
            .extract_if(.., |_, until| *until <= now)
            .map(|(key, _)| key)
            .collect();
        for key in done {
            if let Some(id) = self.place.get(&key).copied()
                && self.member(&key).is_some_and(|member| !member.is_raised())
            {
                self.leave(id, &key);
            }
        }
    }

    /// Looks who speaks now, and takes over what was others' to tell.
    pub(super) fn look_at_peers(&mut self, world: &World<'_>) {
        let now = world.now.moment;
        let is_time = self.speakers.next.is_some_and(|at| at <= now);
        let settled = self.speakers.settle(now);
        if !std::mem::take(&mut self.speakers.changed) && !is_time && !settled {
            return;
        }
        let returned = std::mem::take(&mut self.speakers.returned);
        if returned {
            let until = now + self.surely_told();
            self.owed.values_mut().for_each(|at| *at = until);
        }
        let keys: Vec<AlertKey> = self.place.keys().cloned().collect();
        for key in keys {
            let Some((began, is_over)) = self
                .member(&key)
                .map(|member| (member.began, !member.is_raised()))
            else {
                continue;
            };
            let Some(speaker) = self.speaker_of(&key, began, is_over, world) else {
                continue;
            };
            let Some(member) = self.member_mut(&key) else {
                continue;
            };
            let before = std::mem::replace(&mut member.speaker, speaker);
            if before == speaker {
                continue;
            }
            if speaker == Speaker::Me {
                self.take_over(&key, returned, world);
            }
            self.look(&key, world);
            self.release(&key);
        }
        self.speak(world);
        let takeovers = self.place.keys().filter_map(|key| self.takeover(key, world));
        self.speakers.next = takeovers.min();
    }

    /// What is left to another now is looked at again when it is not any more, though nobody comes or goes.
    pub(super) fn await_takeover(&mut self, key: &AlertKey, world: &World<'_>) {
        let next = self.speakers.next.into_iter().chain(self.takeover(key, world));
        self.speakers.next = next.min();
    }

    fn takeover(&self, key: &AlertKey, world: &World<'_>) -> Option<Moment> {
        let watched = self.watched(key, world)?;
        self.speakers.takes_over_at(&watched, world.now.moment)
    }

    /// What waits may go, if this replica may speak; but what others speak for by now they have told.
    fn speak(&mut self, world: &World<'_>) {
        if self.speakers.place.is_none() || !self.speakers.may_speak() {
            return;
        }
        let is_others = |note: &AlertNote| {
            let speaker = match self.member(&note.key) {
                Some(member) => Some(member.speaker),
                None => self.speaker_of(&note.key, Steady::of(note.since, world.now), true, world),
            };
            speaker.is_some_and(|speaker| speaker != Speaker::Me)
        };
        let is_theirs = |notification: &Notification| notification.alerts.iter().all(is_others);
        let theirs = self.outbox.waiting_for_people(is_theirs);
        let withdrawn = self.outbox.withdraw(&theirs);
        self.delivered(withdrawn, world.now.wall);
        for key in std::mem::take(&mut self.unlearned) {
            self.look(&key, world);
        }
        self.outbox.hold(false);
    }

    /// Since when something waits for people that this replica is to tell, when that changed: who takes over from it knows by
    /// that what they do not know.
    pub(super) fn untold(&mut self) -> Option<Option<Wall>> {
        if !self.speakers.elects() {
            return None;
        }
        let since = self.outbox.oldest_for_people();
        let before = std::mem::replace(&mut self.speakers.untold, since);
        (before != since).then_some(since)
    }

    /// A member that is over and of which nobody waits to hear goes.
    fn release(&mut self, key: &AlertKey) {
        let Some(id) = self.place.get(key).copied() else {
            return;
        };
        let is_over = self.member(key).is_some_and(|member| !member.is_raised());
        let known = self
            .incidents
            .get(&id)
            .is_some_and(|incident| incident.is_known(key));
        if is_over && !known && !self.owed.contains_key(key) {
            self.leave(id, key);
        }
    }

    /// The member is ours to tell from now on. `returned`: we could not speak at all until now.
    fn take_over(&mut self, key: &AlertKey, returned: bool, world: &World<'_>) {
        self.owed.remove(key);
        let receivers = Arc::clone(&self.alerting.receivers);
        for receiver in receivers.iter().filter(|receiver| tells_people(receiver)) {
            let (Some(id), Some(member)) = (self.place.get(key).copied(), self.member(key)) else {
                return;
            };
            if !Desk::takes_member(receiver, key, member, world) {
                continue;
            }
            let mut proofs = self.last_proofs(key, world);
            if let Some(muted) = &member.muted {
                // From then on nobody told of it.
                let Some(from) = self.silences.since(muted, world.now.wall) else {
                    continue;
                };
                proofs.iter_mut().for_each(|proof| *proof = (*proof).min(from));
            }
            let word = self.time_to_tell(key, receiver);
            let (since, ended) = (member.since, member.ended);
            let told = |at: Wall, within: Duration| proofs.iter().any(|proof| *proof >= at + within);
            let end_was_told = ended.is_some_and(|(at, _)| told(at, word + self.alerting.group_interval));
            let assumed = told(since, word);
            // What we told ourselves another may have told as over while we were away, and then have gone as well.
            let away = self.speakers.peers.as_ref().and_then(|peers| peers.before);
            let away = away.filter(|_| returned && ended.is_none());
            let in_doubt = away.is_some_and(|at| self.another_lived_after(key, at + UNNOTICED, world));
            let Some(incident) = self.incidents.get_mut(&id) else {
                return;
            };
            let of_it = incident.told.entry(Arc::clone(&receiver.name));
            let of_it = of_it.or_insert_with(|| super::incident::Told::new(world.now));
            if end_was_told || in_doubt {
                of_it.unlearn(key);
            } else if assumed || of_it.firing.contains(key) {
                of_it.assume(key, receiver, world.now);
            } else if ended.is_some() {
                self.tell_late(key, receiver, world);
            }
            self.dirty.insert(id);
        }
    }

    /// It fired and is over, and it may be that nobody was told of either: both are told now, in that order.
    fn tell_late(&mut self, key: &AlertKey, receiver: &Arc<Receiver>, world: &World<'_>) {
        let Some(id) = self.place.get(key).copied() else {
            return;
        };
        let Some(ended) = self.member_mut(key).and_then(|member| member.ended.take()) else {
            return;
        };
        if let Some(incident) = self.incidents.get_mut(&id)
            && let Some(member) = incident.members.get(key)
            && let Some(told) = incident.told.get_mut(&receiver.name)
        {
            told.look_at(key, member, true, Ends::Untold, world.now.moment);
        }
        self.tell(id, &receiver.name, world);
        if let Some(member) = self.member_mut(key) {
            member.ended = Some(ended);
        }
        self.touched.insert(id);
    }

    /// When those last proved that they lived who may have told of a member before us, and do not live any more. One that
    /// does may have left it to us.
    fn last_proofs(&self, key: &AlertKey, world: &World<'_>) -> Vec<Wall> {
        let mut proofs: Vec<Wall> = Vec::new();
        let (Some(watched), Some(place)) = (self.watched(key, world), &self.speakers.place) else {
            return proofs;
        };
        let ahead = watched
            .holders
            .iter()
            .filter(|holder| **holder != place.share.replica);
        for holder in ahead {
            let gone = self.speakers.peers.iter().flat_map(|peers| &peers.gone);
            proofs.extend(gone.filter(|(gone, _)| gone == holder).map(|(_, proof)| *proof));
        }
        proofs
    }

    /// Whether another that watches it proved that it lived then or later, and was gone once.
    fn another_lived_after(&self, key: &AlertKey, at: Wall, world: &World<'_>) -> bool {
        let holders = self.watched(key, world).map(|watched| watched.holders);
        let mut proofs = holders.into_iter().flatten();
        proofs.any(|holder| {
            self.speakers
                .proofs
                .get(&holder)
                .is_some_and(|proof| *proof >= at)
        })
    }

    /// How long after a member was raised here a replica that speaks for it has surely told a receiver.
    fn time_to_tell(&self, key: &AlertKey, receiver: &Receiver) -> Duration {
        let spread = self.speakers.longest.min(LONGEST_GATHERING);
        let mut time = self.alerting.group_wait.max(spread) + spread + receiver.timeout;
        // What joins an incident that was told waits for longer.
        let incident = self.place.get(key).and_then(|id| self.incidents.get(id));
        let joined = incident.is_some_and(|incident| {
            let since = incident.members.get(key).map(|member| member.since);
            let mut others = incident.members.iter().filter(|(other, _)| *other != key);
            others.any(|(_, other)| Some(other.since + self.alerting.group_wait) <= since)
        });
        if joined {
            time += self.alerting.group_interval;
        }
        time
    }
}
