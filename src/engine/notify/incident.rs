//! One incident: its members, and what each receiver knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, AlertText, Muted, ResolvedBecause, Rule, Severity};
use crate::model::cause::Cause;
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::AlertNote;
use crate::model::receiver::{Alerting, Receiver};
use crate::model::record::{KeptIncident, KeptTold};
use crate::model::time::{Moment, Now, Wall};

use super::factors::Nature;
use super::speakers::{Speaker, Steady};

#[derive(Debug)]
pub struct Incident {
    pub id: IncidentId,
    /// When its first alert became pending.
    pub since: Wall,
    pub founder: Rule,
    pub nature: Nature,
    pub cause: Option<Cause>,
    /// What all that joined share, the most telling first.
    pub factors: Vec<Factor>,
    /// The highest that it had.
    pub severity: Severity,
    /// Counts its notifications.
    pub serial: u64,
    pub members: BTreeMap<AlertKey, Member>,
    /// By the receiver's name.
    pub told: BTreeMap<Arc<str>, Told>,
    /// How many members are raised and not muted because a parent fails: without any it is the parent's matter.
    pub own: usize,
    /// The replica that speaks first for its members; what has another first speaker is told in another incident.
    pub first: u32,
}

/// An alert that was raised. It stays until everybody who was told of it has been told of its end.
#[derive(Debug)]
pub struct Member {
    /// When it was raised.
    pub since: Wall,
    pub ended: Option<(Wall, ResolvedBecause)>,
    /// As it was raised: receivers find an alert by its labels, so that they must not change while it fires.
    pub severity: Severity,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub text: Arc<AlertText>,
    pub muted: Option<Muted>,
    /// When its condition began to hold.
    pub began: Steady,
    /// Which replica tells those who would be told twice.
    pub speaker: Speaker,
}

/// What is done for one receiver when an alert is over of which it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Told,
    /// It wants no ends, or finds out by itself.
    Untold,
    /// Another replica tells it.
    OfOthers,
}

impl Member {
    pub fn is_raised(&self) -> bool {
        self.ended.is_none()
    }

    pub fn note(&self, key: &AlertKey) -> AlertNote {
        AlertNote {
            key: key.clone(),
            id: key.id(),
            severity: self.severity,
            since: self.since,
            ended: self.ended,
            labels: Arc::clone(&self.labels),
            text: Arc::clone(&self.text),
        }
    }
}

/// What one receiver knows of an incident, and what is news to it.
#[derive(Debug)]
pub struct Told {
    /// When something of it was last put into the receiver's outbox.
    pub last: Wall,
    /// Before which nothing but the end is told.
    changes_from: Moment,
    pub repeat_from: Moment,
    /// The alerts that it was told of as firing and not yet as over.
    pub firing: BTreeSet<AlertKey>,
    /// The dependencies that its last word named as affected.
    pub listed: BTreeSet<Arc<str>>,
    /// The highest severity that it was told of while anything fires.
    pub severity: Severity,
    fired: News,
    ended: News,
    /// Until then the first word waits for others that are about to be raised.
    waits_until: Moment,
    /// When it last acknowledged a notification of it.
    pub acknowledged: Option<Wall>,
}

/// Members of which something is to be told.
#[derive(Debug, Default)]
struct News {
    keys: BTreeSet<AlertKey>,
    /// When there came to be some.
    since: Moment,
}

impl News {
    fn add(&mut self, key: &AlertKey, now: Moment) -> bool {
        if self.keys.is_empty() {
            self.since = now;
        }
        self.keys.insert(key.clone())
    }

    fn since(&self) -> Option<Moment> {
        (!self.keys.is_empty()).then_some(self.since)
    }
}

/// What is to be told, taken out of a [`Told`].
#[derive(Debug)]
pub struct Due {
    pub fired: BTreeSet<AlertKey>,
    pub ended: BTreeSet<AlertKey>,
    /// Whether the receiver was told of anything that fires before.
    pub known: bool,
}

impl Told {
    pub fn new(now: Now) -> Told {
        Told {
            last: now.wall,
            changes_from: now.moment,
            repeat_from: now.moment,
            firing: BTreeSet::new(),
            listed: BTreeSet::new(),
            severity: Severity::Info,
            fired: News::default(),
            ended: News::default(),
            waits_until: Moment::ZERO,
            acknowledged: None,
        }
    }

    /// As another run left it.
    pub fn restored(kept: &KeptTold, severity: Severity, now: Now) -> Told {
        Told {
            last: kept.last,
            firing: kept.firing.iter().cloned().collect(),
            listed: kept.listed.iter().cloned().collect(),
            severity,
            ..Told::new(now)
        }
    }

    /// Sets when the next word may be said, by when the last one was.
    pub fn count_from_last(&mut self, receiver: &Receiver, alerting: &Alerting, now: Now) {
        let ago = u64::try_from(now.wall.unix_nanos().saturating_sub(self.last.unix_nanos())).unwrap_or(0);
        let left = |span: Duration| now.moment + span.saturating_sub(Duration::from_nanos(ago));
        self.changes_from = left(alerting.group_interval);
        self.repeat_from = left(receiver.repeat);
    }

    /// Notes how a member stands with the receiver. `wanted`: it fires, and the receiver is to know that. Says whether
    /// anything changed.
    pub fn look_at(
        &mut self,
        key: &AlertKey,
        member: &Member,
        wanted: bool,
        ends: Ends,
        now: Moment,
    ) -> bool {
        let known = self.firing.contains(key);
        if member.is_raised() {
            let ended = self.ended.keys.remove(key);
            if wanted && !known {
                return self.fired.add(key, now) || ended;
            }
            return self.fired.keys.remove(key) || ended;
        }
        let fired = self.fired.keys.remove(key);
        if known && ends == Ends::Told {
            return self.ended.add(key, now) || fired;
        }
        if ends == Ends::OfOthers {
            return self.ended.keys.remove(key) || fired;
        }
        if known {
            self.forget(key);
        }
        known || fired
    }

    fn forget(&mut self, key: &AlertKey) {
        self.firing.remove(key);
        self.ended.keys.remove(key);
        if let Some(name) = super::factors::dependency_of(key) {
            self.listed.remove(name);
        }
    }

    pub fn has_untold_firing(&self, key: &AlertKey) -> bool {
        self.fired.keys.contains(key)
    }

    pub fn has_untold_end(&self, key: &AlertKey) -> bool {
        self.ended.keys.contains(key)
    }

    pub fn has_news(&self) -> bool {
        !self.fired.keys.is_empty() || !self.ended.keys.is_empty()
    }

    /// Another replica told of it, as far as can be known: it is no news, and its end is ours to tell.
    pub fn assume(&mut self, key: &AlertKey, receiver: &Receiver, now: Now) {
        if self.firing.insert(key.clone()) {
            self.fired.keys.remove(key);
            self.last = self.last.max(now.wall);
            self.repeat_from = now.moment + receiver.repeat;
        }
    }

    /// The receiver does not know of this one any more: what told of it was given up.
    pub fn unlearn(&mut self, key: &AlertKey) {
        self.forget(key);
    }

    /// Whether all that the receiver knows of is over.
    fn is_over(&self) -> bool {
        self.fired.keys.is_empty() && !self.firing.is_empty() && self.ended.keys.len() == self.firing.len()
    }

    /// When something is to be told, if nothing else happens before. A repetition counts; whether there is anything to
    /// repeat is seen then.
    pub fn due(&self, receiver: &Receiver, alerting: &Alerting) -> Option<Moment> {
        let fired = self.fired.since().map(|at| at + alerting.group_wait);
        let ended = self.ended.since();
        if receiver.channel.keeps_states() {
            let over = ended.map(|at| {
                if self.is_over() {
                    at
                } else {
                    at + alerting.group_wait
                }
            });
            return [fired, over].into_iter().flatten().min();
        }
        if self.is_over() {
            return ended;
        }
        if self.firing.is_empty() {
            return fired.map(|at| at.max(self.waits_until));
        }
        // That some are over is told together with what follows, within the interval: the end of all may be near.
        let ended = ended.map(|at| at + alerting.group_interval);
        let change = [fired, ended].into_iter().flatten().min();
        let change = change.map(|at| at.max(self.changes_from));
        let some_fire = self.ended.keys.len() < self.firing.len();
        let repeat = some_fire.then_some(self.repeat_from);
        [change, repeat].into_iter().flatten().min()
    }

    /// Since when there is a first word to be said of it, if that is what is due.
    pub fn first_word_since(&self) -> Option<Moment> {
        self.fired.since().filter(|_| self.firing.is_empty())
    }

    /// Lets the first word wait.
    pub fn wait_until(&mut self, at: Moment) {
        self.waits_until = at;
    }

    /// Takes what is to be told now.
    pub fn take(&mut self) -> Due {
        Due {
            known: !self.firing.is_empty(),
            fired: std::mem::take(&mut self.fired.keys),
            ended: std::mem::take(&mut self.ended.keys),
        }
    }

    /// Notes that it was told.
    pub fn was_told(&mut self, due: &Due, receiver: &Receiver, alerting: &Alerting, now: Now) {
        for key in &due.ended {
            self.forget(key);
        }
        self.firing.extend(due.fired.iter().cloned());
        if self.firing.is_empty() {
            self.listed.clear();
            self.severity = Severity::Info;
        }
        self.last = now.wall;
        self.changes_from = now.moment + alerting.group_interval;
        self.repeat_from = now.moment + receiver.repeat;
    }

    pub fn kept(&self, receiver: &Arc<str>) -> KeptTold {
        KeptTold {
            receiver: Arc::clone(receiver),
            last: self.last,
            firing: self.firing.iter().cloned().collect(),
            listed: self.listed.iter().cloned().collect(),
        }
    }
}

impl Incident {
    pub fn restored(kept: &KeptIncident, now: Now) -> Incident {
        let told = kept.told.iter().map(|told| {
            (
                Arc::clone(&told.receiver),
                Told::restored(told, kept.severity, now),
            )
        });
        Incident {
            id: kept.id,
            since: kept.since,
            founder: kept.founder,
            nature: Nature::of(kept.founder, kept.cause),
            cause: kept.cause,
            factors: kept.factors.clone(),
            severity: kept.severity,
            serial: kept.serial,
            members: BTreeMap::new(),
            told: told.collect(),
            own: 0,
            first: 0,
        }
    }

    pub fn kept(&self) -> KeptIncident {
        let told = self
            .told
            .iter()
            .filter(|(_, told)| !told.firing.is_empty() || !told.listed.is_empty());
        KeptIncident {
            id: self.id,
            since: self.since,
            founder: self.founder,
            cause: self.cause,
            factors: self.factors.clone(),
            severity: self.severity,
            serial: self.serial,
            told: told.map(|(receiver, told)| told.kept(receiver)).collect(),
        }
    }

    pub fn raised(&self) -> impl Iterator<Item = (&AlertKey, &Member)> {
        self.members.iter().filter(|(_, member)| member.is_raised())
    }

    /// Whether a receiver was told of the alert and not of its end.
    pub fn is_known(&self, key: &AlertKey) -> bool {
        self.told.values().any(|told| told.firing.contains(key))
    }

    /// Whether its present state is somebody else's matter: its members fail because a parent does.
    pub fn is_a_parents(&self) -> bool {
        self.own == 0
    }

    /// The member that tells most: the most severe, of these that a dependency is down, of these the first.
    pub fn leader<'a>(
        keys: impl Iterator<Item = (&'a AlertKey, &'a Member)>,
    ) -> Option<(&'a AlertKey, &'a Member)> {
        keys.min_by_key(|(key, member)| {
            (
                std::cmp::Reverse(member.severity),
                !super::factors::is_down(key.rule),
                member.since,
            )
        })
    }
}
