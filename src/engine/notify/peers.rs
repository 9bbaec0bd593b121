//! Who speaks, where several replicas share the work: receivers that would tell people twice are told of each alert by one.
//!
//! The first holder of a dependency that lives speaks for it. One that comes back while another spoke in its place leaves to
//! that one what began before, since it cannot know what was told: both judge by when the alert's condition began to hold,
//! and they overlap, so that what is in doubt is told twice and not never. Who was there first they know from their Leases,
//! of which all read the same times.
//!
//! A replica that takes over assumes that the one before told what had been raised for long enough when it last proved that
//! it lived, and tells only its end; everything else it tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, Muted, ResolvedBecause, Subject};
use crate::model::page::ScaleOutView;
use crate::model::plan::{Election, Plan, ScaleOut};
use crate::model::receiver::{Channel, Receiver};
use crate::model::share::Peers;
use crate::model::time::{Now, Wall};

use super::desk::{Desk, World};
use super::incident::{Ends, Member};

/// How long after a replica came back an alert may have begun to hold for it to be left to the one that spoke before, beside
/// two intervals of the dependency, within which it is seen for the first time.
const IN_DOUBT: Duration = Duration::from_secs(15);
/// The same, for the one that spoke before: longer, so that no alert is left by both. Probes of two replicas are spread over
/// the interval, and that the other is back is seen later than it is.
const IN_DOUBT_BEFORE: Duration = Duration::from_secs(60);
/// The first word of an incident waits no longer than this for others (`tell`).
const LONGEST_GATHERING: Duration = Duration::from_secs(60);
/// For how long it may go unnoticed that a replica does not live any more: a Lease's time and that of a look at it.
const UNNOTICED: Duration = Duration::from_secs(30);

/// Of two that came within this time none was there before: the one had no time to tell of anything. An alert that is raised
/// takes longer.
const SENIOR: Duration = Duration::from_secs(60);

/// Who tells of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaker {
    #[default]
    Me,
    Peer(u32),
    /// Whoever can prove that it lives, which this replica cannot.
    Others,
}

/// What is known of the other replicas.
#[derive(Debug, Default)]
pub struct Speakers {
    place: Option<ScaleOut>,
    peers: Option<Peers>,
    /// When each that lives came, this one among them: by our own clock where that was seen.
    came: BTreeMap<u32, Wall>,
    /// The longest interval of our dependencies, over which the alerts of one outage are spread.
    longest: Duration,
    /// Something here changed since it was last looked at.
    pub(super) changed: bool,
}

impl Speakers {
    pub fn configure(&mut self, plan: &Plan) {
        let elected = |place: &Option<ScaleOut>| place.as_ref().map(|place| place.election.clone());
        if elected(&self.place) != elected(&plan.scale_out) {
            self.peers = None;
            self.came.clear();
        }
        self.place.clone_from(&plan.scale_out);
        let intervals = plan.dependencies.iter().map(|dependency| dependency.interval);
        self.longest = intervals.max().unwrap_or_default();
        self.changed = true;
    }

    pub fn observe(&mut self, peers: Peers, now: Wall) {
        let Some(place) = &self.place else { return };
        let me = place.share.replica;
        let was_there = |replica: u32| {
            self.peers.as_ref().is_some_and(|before| match replica == me {
                true => before.standing,
                false => before.living.contains(&replica),
            })
        };
        let mut came = BTreeMap::new();
        let living = peers.living.iter().copied().chain(peers.standing.then_some(me));
        for replica in living {
            let since = peers.since.iter().find(|(one, _)| *one == replica);
            let since = since.map_or(now, |(_, since)| *since);
            let at = match self.came.get(&replica) {
                Some(at) if was_there(replica) => *at,
                // It was there when we came.
                _ if self.peers.is_none() => since.min(now),
                _ => now,
            };
            came.insert(replica, at);
        }
        self.came = came;
        self.peers = Some(peers);
        self.changed = true;
    }

    /// Whether this replica may tell receivers that would tell people twice.
    pub fn may_speak(&self) -> bool {
        match &self.place {
            Some(place) if place.elects() => self.peers.as_ref().is_some_and(|peers| peers.standing),
            _ => true,
        }
    }

    /// Alertmanager is told no end where another replica may still see the alert fire: of two ends the younger one counts
    /// there, whoever posted it. The alert ends when nobody posts it any more. One that left our share is somebody else's.
    fn posts_no_end(&self, key: &AlertKey, because: ResolvedBecause) -> bool {
        let Some(place) = &self.place else { return false };
        let is_ours = key.subject == Subject::Monitor;
        !is_ours && (place.share.factor > 1 || because == ResolvedBecause::Removed)
    }

    /// What tells the incidents of this replica from those of others; nothing where nobody shares the work.
    pub fn mark(&self, first: u32) -> String {
        let place = self.place.as_ref();
        place.map_or_else(String::new, |_| format!(" of replica {first}"))
    }

    fn name_of(&self, replica: u32) -> Arc<str> {
        let own = self.place.as_ref().map_or("", |place| &*place.name);
        let stem = own.rsplit_once('-').map_or(own, |(stem, _)| stem);
        format!("{stem}-{replica}").into()
    }

    fn lives(&self, replica: u32) -> bool {
        self.came.contains_key(&replica)
    }

    /// Whether one was there before another. Their Leases say when, and everybody reads the same there, so that clocks that
    /// differ decide otherwise than they should, but all alike.
    fn was_before(&self, one: u32, other: u32) -> bool {
        let since = |replica: u32| {
            let known = self.peers.iter().flat_map(|peers| &peers.since);
            let mut of_it = known.filter(|(known, _)| *known == replica);
            of_it.next().map(|(_, since)| *since)
        };
        let (one, other) = (since(one), since(other));
        one.zip(other).is_some_and(|(one, other)| one + SENIOR <= other)
    }

    /// Who speaks for what these watch, of an alert whose condition began to hold at that time.
    fn speaker(&self, watched: &Watched, began: Wall) -> Speaker {
        let Some(place) = &self.place else {
            return Speaker::Me;
        };
        let me = place.share.replica;
        let as_speaker = |replica: u32| match replica == me {
            true => Speaker::Me,
            false => Speaker::Peer(replica),
        };
        let holders = &watched.holders;
        if place.election == Election::None || holders.len() == 1 {
            return holders.first().map_or(Speaker::Me, |first| as_speaker(*first));
        }
        if !self.may_speak() {
            let other = holders
                .iter()
                .find(|holder| **holder != me && self.lives(**holder));
            return other.map_or(Speaker::Others, |other| Speaker::Peer(*other));
        }
        let living: Vec<u32> = holders
            .iter()
            .copied()
            .filter(|holder| self.lives(*holder))
            .collect();
        let Some(mut speaker) = living.first().copied() else {
            return Speaker::Others;
        };
        // Each one of these came later than the one before it, so that this ends.
        while let Some(before) = living.iter().find(|other| self.was_before(**other, speaker)) {
            let in_doubt = match speaker == me {
                true => 2 * watched.interval + IN_DOUBT,
                false => 4 * watched.interval + IN_DOUBT_BEFORE,
            };
            if self
                .came
                .get(&speaker)
                .is_some_and(|came| began >= *came + in_doubt)
            {
                break;
            }
            speaker = *before;
        }
        as_speaker(speaker)
    }
}

/// Who watches what an alert is about.
struct Watched {
    /// The one that speaks first.
    holders: Vec<u32>,
    interval: Duration,
}

/// Whether it would tell people twice what two replicas tell it.
pub fn tells_people(receiver: &Receiver) -> bool {
    !receiver.channel.keeps_states() && !matches!(receiver.channel, Channel::Heartbeat { .. })
}

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
        self.speakers.observe(peers, now.wall);
        self.outbox.hold(!self.speakers.may_speak());
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
    pub(super) fn speaker_of(&self, key: &AlertKey, began: Wall, world: &World<'_>) -> Option<Speaker> {
        self.speakers.place.as_ref()?;
        Some(self.speakers.speaker(&self.watched(key, world)?, began))
    }

    /// Whether an alert of this dependency that is about to be raised would be told with the incident, by us.
    pub(super) fn would_tell(&self, key: &AlertKey, first: u32, world: &World<'_>) -> bool {
        if self.speakers.place.is_none() {
            return true;
        }
        let began = world
            .alerts
            .get(key)
            .map(|alert| super::pending_since(&alert.state));
        self.first_of(key, world) == first
            && self.speaker_of(key, began.unwrap_or_default(), world) == Some(Speaker::Me)
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
            return match member.speaker {
                Speaker::Me => Ends::Told,
                _ => Ends::OfOthers,
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
        let until = world.now.moment + self.alerting.group_interval + LONGEST_GATHERING + UNNOTICED;
        self.owed.insert(key.clone(), until);
    }

    /// Lets go of what others have told meanwhile.
    pub(super) fn forgive(&mut self, world: &World<'_>) {
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
        if !std::mem::take(&mut self.speakers.changed) {
            return;
        }
        let keys: Vec<AlertKey> = self.place.keys().cloned().collect();
        for key in keys {
            let Some(began) = self.member(&key).map(|member| member.began) else {
                continue;
            };
            let Some(speaker) = self.speaker_of(&key, began, world) else {
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
                self.take_over(&key, before, world);
            }
            self.look(&key, world);
            self.release(&key);
        }
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

    /// The member is ours to tell from now on; `before` spoke for it until now.
    fn take_over(&mut self, key: &AlertKey, before: Speaker, world: &World<'_>) {
        self.owed.remove(key);
        let receivers = Arc::clone(&self.alerting.receivers);
        for receiver in receivers.iter().filter(|receiver| tells_people(receiver)) {
            let (Some(id), Some(member)) = (self.place.get(key).copied(), self.member(key)) else {
                return;
            };
            if member.muted.is_some() || !Desk::takes_member(receiver, key, member, world) {
                continue;
            }
            let proofs = self.last_proofs(key, before, world);
            let word = self.time_to_tell(key, receiver);
            let (since, ended) = (member.since, member.ended);
            let told = |at: Wall, within: Duration| proofs.iter().any(|proof| *proof >= at + within);
            let end_was_told = ended.is_some_and(|(at, _)| told(at, word + self.alerting.group_interval));
            let assumed = told(since, word);
            let Some(incident) = self.incidents.get_mut(&id) else {
                return;
            };
            let of_it = incident.told.entry(Arc::clone(&receiver.name));
            let of_it = of_it.or_insert_with(|| super::incident::Told::new(world.now));
            if end_was_told {
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

    /// When those last proved that they lived who may have told of a member before us.
    fn last_proofs(&self, key: &AlertKey, before: Speaker, world: &World<'_>) -> Vec<Wall> {
        let mut proofs: Vec<Wall> = Vec::new();
        let (Some(watched), Some(place)) = (self.watched(key, world), &self.speakers.place) else {
            return proofs;
        };
        if let Speaker::Peer(replica) = before
            && self.speakers.lives(replica)
        {
            proofs.push(world.now.wall);
        }
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
