//! Who speaks, where several replicas share the work: receivers that would tell people twice are told of each alert by one.
//!
//! The first holder of a dependency that lives speaks for it. One that comes back while another spoke in its place leaves to
//! that one what began before, since it cannot know what was told: both judge by when the alert's condition began to hold,
//! and they overlap, so that what is in doubt is told twice and not never. Where the two saw it begin at very different times
//! each may leave it to the other; hence the first holder takes over whatever still fires in the end. Who was there first they
//! know from their Leases, of which all read the same times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, ResolvedBecause, Subject};
use crate::model::plan::{Election, Plan, ScaleOut};
use crate::model::receiver::{Channel, Receiver};
use crate::model::share::Peers;
use crate::model::time::{Moment, Now, Wall, nanos};

/// How long after a replica came back an alert may have begun to hold for it to be left to the one that spoke before, beside
/// two intervals of the dependency, within which it is seen for the first time.
const IN_DOUBT: Duration = Duration::from_secs(15);
/// The same, for the one that spoke before: longer, so that no alert is left by both. Probes of two replicas are spread over
/// the interval, and that the other is back is seen later than it is.
const IN_DOUBT_BEFORE: Duration = Duration::from_secs(60);
/// For how long after the doubt one that came back leaves what still fires to the one that spoke before. That one may have seen
/// it begin so much later that it left it to us: nobody has told it then. Where it was told it is told once more.
const LEFT_AT_MOST: Duration = Duration::from_secs(3_600);
/// For how long one that can prove that it lives is silent at first: by then it has seen all others that live (a Lease lasts as
/// long, and they are looked at three times in it), and they have seen it.
const SETTLES: Duration = Duration::from_secs(15);

/// Of two that came within this time none was there before: the one had no time to tell of anything but for what exceeds its
/// silence.
const SENIOR: Duration = Duration::from_secs(20);

/// A time by this process's monotonic clock, in nanoseconds; negative before it began. Ages are compared by it, since civil time
/// may be set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steady(i64);

impl Steady {
    /// That civil time, as far back from now as it seems now.
    pub fn of(wall: Wall, now: Now) -> Steady {
        let ago = now.wall.unix_nanos().saturating_sub(wall.unix_nanos());
        Steady(Steady::at(now.moment).0.saturating_sub(ago))
    }

    fn at(moment: Moment) -> Steady {
        Steady(i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX))
    }

    fn after(self, span: Duration) -> Steady {
        Steady(
            self.0
                .saturating_add(i64::try_from(nanos(span)).unwrap_or(i64::MAX)),
        )
    }

    /// `None` for what was before this process began.
    fn moment(self) -> Option<Moment> {
        u64::try_from(self.0).ok().map(Moment::from_nanos)
    }
}

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
    pub(super) place: Option<ScaleOut>,
    pub(super) peers: Option<Peers>,
    /// When each that lives came, this one among them: by our own clock where that was seen.
    came: BTreeMap<u32, Steady>,
    /// The longest interval of our dependencies, over which the alerts of one outage are spread.
    pub(super) longest: Duration,
    /// Something here changed since it was last looked at.
    pub(super) changed: bool,
    /// Until when each had told what it had to, of those that were there before us or were seen to be gone.
    pub(super) proofs: BTreeMap<u32, Wall>,
    /// When this replica may speak, which can prove now that it lives and could not before.
    settles: Option<Moment>,
    /// It may speak now, and could not before.
    pub(super) returned: bool,
    /// Since when something that this replica is to tell people waits, as it was said last.
    pub(super) untold: Option<Wall>,
    /// When somebody takes over what was left to another, though nobody comes or goes.
    pub(super) next: Option<Moment>,
}

impl Speakers {
    pub fn configure(&mut self, plan: &Plan) {
        let elected = |place: &Option<ScaleOut>| place.as_ref().map(|place| place.election.clone());
        if elected(&self.place) != elected(&plan.scale_out) {
            self.peers = None;
            self.came.clear();
            self.proofs.clear();
            self.settles = None;
        }
        self.place.clone_from(&plan.scale_out);
        let intervals = plan.dependencies.iter().map(|dependency| dependency.interval);
        self.longest = intervals.max().unwrap_or_default();
        self.changed = true;
    }

    pub fn observe(&mut self, peers: Peers, now: Now) {
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
            let since = since.map_or(now.wall, |(_, since)| *since);
            let at = match self.came.get(&replica) {
                Some(at) if was_there(replica) => *at,
                // It was there when we came.
                _ if self.peers.is_none() => Steady::of(since.min(now.wall), now),
                _ => Steady::at(now.moment),
            };
            came.insert(replica, at);
        }
        if !peers.standing {
            self.settles = None;
        } else if !was_there(me) {
            self.settles = Some(now.moment + SETTLES);
        }
        for (replica, proof) in &peers.gone {
            let latest = self.proofs.entry(*replica).or_default();
            *latest = (*latest).max(*proof);
        }
        self.came = came;
        let living = peers.living.clone();
        self.peers = Some(peers);
        // One that was there before us speaks, even if we see it break a moment later.
        let before_us = living.into_iter().filter(|replica| self.was_before(*replica, me));
        let before_us: Vec<u32> = before_us.collect();
        self.proofs
            .extend(before_us.into_iter().map(|replica| (replica, now.wall)));
        self.changed = true;
    }

    /// Whether who tells people is elected.
    pub fn elects(&self) -> bool {
        self.place.as_ref().is_some_and(ScaleOut::elects)
    }

    /// Whether this replica may tell receivers that would tell people twice.
    pub fn may_speak(&self) -> bool {
        let stands = self.peers.as_ref().is_some_and(|peers| peers.standing);
        !self.elects() || (stands && self.settles.is_none())
    }

    /// Lets this replica speak once it has been silent for long enough. Says whether it may from now on.
    pub fn settle(&mut self, now: Moment) -> bool {
        let over = self.settles.is_some_and(|at| at <= now);
        if over {
            self.settles = None;
            self.returned = true;
        }
        over
    }

    /// When something follows although nobody comes or goes.
    pub fn next(&self) -> Option<Moment> {
        self.next.into_iter().chain(self.settles).min()
    }

    /// Alertmanager is told no end where another replica may still see the alert fire: of two ends the younger one counts
    /// there, whoever posted it. The alert ends when nobody posts it any more. One that left our share is somebody else's.
    pub fn posts_no_end(&self, key: &AlertKey, because: ResolvedBecause) -> bool {
        let Some(place) = &self.place else { return false };
        let is_ours = key.subject == Subject::Monitor;
        !is_ours && (place.share.factor > 1 || because == ResolvedBecause::Removed)
    }

    /// What tells the incidents of this replica from those of others; nothing where nobody shares the work.
    pub fn mark(&self, first: u32) -> String {
        let place = self.place.as_ref();
        place.map_or_else(String::new, |_| format!(" of replica {first}"))
    }

    pub fn name_of(&self, replica: u32) -> Arc<str> {
        let own = self.place.as_ref().map_or("", |place| &*place.name);
        let stem = own.rsplit_once('-').map_or(own, |(stem, _)| stem);
        format!("{stem}-{replica}").into()
    }

    pub fn lives(&self, replica: u32) -> bool {
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

    /// Who speaks for what these watch, of an alert whose condition began to hold at that time. Of one that is over nobody
    /// takes over what was left to another: without `now`.
    pub fn speaker(&self, watched: &Watched, began: Steady, now: Option<Moment>) -> Speaker {
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
            let Some(came) = self.came.get(&speaker) else {
                break;
            };
            let leaves = Watched::leaves(watched.interval, speaker == me);
            let is_late = now.is_some_and(|now| Steady::at(now) >= came.after(leaves.at_most));
            if began >= came.after(leaves.in_doubt) || is_late {
                break;
            }
            speaker = *before;
        }
        as_speaker(speaker)
    }

    /// When somebody takes over, of those that watch this, what was left to another, after now.
    pub fn takes_over_at(&self, watched: &Watched, now: Moment) -> Option<Moment> {
        let me = self.place.as_ref()?.share.replica;
        let at = watched.holders.iter().filter_map(|holder| {
            let leaves = Watched::leaves(watched.interval, *holder == me);
            self.came.get(holder)?.after(leaves.at_most).moment()
        });
        at.filter(|at| *at > now).min()
    }
}

/// Who watches what an alert is about.
pub struct Watched {
    /// The one that speaks first.
    pub holders: Vec<u32>,
    pub interval: Duration,
}

/// For how long one that came back leaves alerts to the one that spoke before.
struct Leaves {
    /// Those whose condition began to hold by then, counted from its coming.
    in_doubt: Duration,
    /// By then it takes over what still fires.
    at_most: Duration,
}

impl Watched {
    /// As it sees that itself, and as others do.
    fn leaves(interval: Duration, itself: bool) -> Leaves {
        let doubt_of_others = 4 * interval + IN_DOUBT_BEFORE;
        match itself {
            true => Leaves {
                in_doubt: 2 * interval + IN_DOUBT,
                at_most: doubt_of_others + LEFT_AT_MOST,
            },
            false => Leaves {
                in_doubt: doubt_of_others,
                at_most: doubt_of_others + LEFT_AT_MOST + IN_DOUBT_BEFORE,
            },
        }
    }
}

/// Whether it would tell people twice what two replicas tell it.
pub fn tells_people(receiver: &Receiver) -> bool {
    !receiver.channel.keeps_states() && !matches!(receiver.channel, Channel::Heartbeat { .. })
}
