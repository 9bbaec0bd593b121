//! What waits for one receiver, in which order it may go, and how the receiver is doing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::AlertId;
use crate::model::incident::IncidentId;
use crate::model::notification::{Notification, OutboxId, ReceiverView};
use crate::model::receiver::{Channel, Receiver};
use crate::model::time::{Moment, Wall};

use super::speakers::tells_people;

/// Deliveries to one receiver at once.
const AT_ONCE: u32 = 4;
/// Failures in a row after which a receiver is asked with one delivery at a time, until one is taken.
const GONE: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// One notification that waits.
#[derive(Debug)]
pub struct Item {
    pub notification: Arc<Notification>,
    pub expires: Moment,
    pub tries: u32,
    /// What carried it is on disk, or could not be written.
    pub released: bool,
    pub in_flight: bool,
    /// Its time was over while it was under way: it is given up unless it is taken.
    pub expired: bool,
    /// When it is tried (again).
    pub due: Moment,
    /// How many before it must have gone.
    blockers: u32,
    /// Those behind it that wait for it.
    blocks: Vec<OutboxId>,
}

/// Failures since the last delivery that was taken.
#[derive(Clone, Debug)]
pub struct Failing {
    pub in_a_row: u32,
    pub why: Box<str>,
}

/// When the receiver is to hear that we are alive.
#[derive(Debug)]
pub struct Beat {
    pub due: Moment,
    pub in_flight: bool,
    pub serial: u64,
}

/// What waits for one receiver.
#[derive(Debug, Default)]
pub struct Queue {
    /// `None` after a restart, before the plan has come.
    pub receiver: Option<Arc<Receiver>>,
    items: BTreeMap<OutboxId, Item>,
    /// Those that nothing but time keeps back.
    ready: BTreeSet<(Moment, OutboxId)>,
    expiries: BTreeSet<(Moment, OutboxId)>,
    last_of_incident: HashMap<IncidentId, OutboxId>,
    last_of_alert: HashMap<AlertId, OutboxId>,
    /// When deliveries began within the last minute.
    begun: VecDeque<Moment>,
    /// The receiver asked to be left alone until then.
    pub closed_until: Moment,
    pub in_flight: u32,
    pub failing: Option<Failing>,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    pub last_delivered: Option<Wall>,
    /// When something was last given up since something was last delivered.
    pub given_up: Option<Wall>,
    pub beat: Option<Beat>,
    /// What is posted again to a receiver that keeps states. It goes before what waits, and alone, so that nothing that is
    /// older than it can arrive after it.
    pub refresh: VecDeque<Arc<Notification>>,
    pub refresh_in_flight: bool,
    /// Nothing may be sent now, since another replica may speak.
    pub held: bool,
}

impl Queue {
    /// Puts a notification at the end. It goes after whatever waits of the same incident or of one of its alerts.
    pub fn put(&mut self, id: OutboxId, item: NewItem) {
        let alerts = item.notification.alerts.iter().map(|alert| alert.id);
        let mut before: BTreeSet<OutboxId> = alerts
            .clone()
            .filter_map(|alert| self.last_of_alert.insert(alert, id))
            .collect();
        before.extend(self.last_of_incident.insert(item.notification.incident, id));
        let mut blockers = 0;
        for other in before {
            if let Some(other) = self.items.get_mut(&other) {
                other.blocks.push(id);
                blockers += 1;
            }
        }
        self.expiries.insert((item.expires, id));
        self.items.insert(
            id,
            Item {
                notification: item.notification,
                expires: item.expires,
                tries: 0,
                released: false,
                in_flight: false,
                expired: false,
                due: item.due,
                blockers,
                blocks: Vec::new(),
            },
        );
    }

    /// What carried it has been answered.
    pub fn release(&mut self, id: OutboxId) {
        if let Some(item) = self.items.get_mut(&id) {
            item.released = true;
            self.line_up(id);
        }
    }

    fn line_up(&mut self, id: OutboxId) {
        if let Some(item) = self.items.get(&id)
            && item.released
            && item.blockers == 0
            && !item.in_flight
        {
            self.ready.insert((item.due, id));
        }
    }

    /// Takes it out, whatever became of it, and lets those go that waited for it.
    pub fn remove(&mut self, id: OutboxId) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.ready.remove(&(item.due, id));
        self.expiries.remove(&(item.expires, id));
        let incident = item.notification.incident;
        if self.last_of_incident.get(&incident) == Some(&id) {
            self.last_of_incident.remove(&incident);
        }
        for alert in &item.notification.alerts {
            if self.last_of_alert.get(&alert.id) == Some(&id) {
                self.last_of_alert.remove(&alert.id);
            }
        }
        for behind in &item.blocks {
            if let Some(other) = self.items.get_mut(behind) {
                other.blockers -= 1;
            }
            self.line_up(*behind);
        }
        Some(item)
    }

    pub fn get(&self, id: OutboxId) -> Option<&Item> {
        self.items.get(&id)
    }

    pub fn get_mut(&mut self, id: OutboxId) -> Option<&mut Item> {
        self.items.get_mut(&id)
    }

    pub fn items(&self) -> impl Iterator<Item = (OutboxId, &Item)> {
        self.items.iter().map(|(id, item)| (*id, item))
    }

    pub fn ids(&self) -> Vec<OutboxId> {
        self.items.keys().copied().collect()
    }

    /// Whether something that tells of the alert has not been taken yet.
    pub fn waits_for_alert(&self, alert: AlertId) -> bool {
        self.last_of_alert.contains_key(&alert)
    }

    pub fn waits_for_incident(&self, incident: IncidentId) -> bool {
        self.last_of_incident.contains_key(&incident)
    }

    /// The next one to be sent, marked as being so; `None` when none may be sent now.
    pub fn take(&mut self, now: Moment) -> Option<OutboxId> {
        if !self.refresh.is_empty() || self.refresh_in_flight || self.may_send_at(now)? > now {
            return None;
        }
        let (_, id) = self.ready.pop_first()?;
        let item = self.items.get_mut(&id)?;
        item.in_flight = true;
        self.in_flight += 1;
        self.begun.push_back(now);
        Some(id)
    }

    /// A refresh, when one is to be sent and nothing is under way that it could overtake.
    pub fn take_refresh(&mut self, now: Moment) -> Option<Arc<Notification>> {
        if self.in_flight > 0 || self.refresh_in_flight || self.closed_until > now {
            return None;
        }
        let refresh = self.refresh.pop_front()?;
        self.refresh_in_flight = true;
        Some(refresh)
    }

    /// When the next one may be sent; `None` when that depends on something else than time.
    fn may_send_at(&mut self, now: Moment) -> Option<Moment> {
        if self.held {
            return None;
        }
        let gone = self.failing.as_ref().is_some_and(|f| f.in_a_row >= GONE);
        let at_once = if gone { 1 } else { AT_ONCE };
        let (due, _) = *self.ready.first()?;
        if self.in_flight >= at_once {
            return None;
        }
        while self.begun.front().is_some_and(|at| *at + MINUTE <= now) {
            self.begun.pop_front();
        }
        let most = self.receiver.as_ref()?.per_minute.max(1) as usize;
        let by_rate = match self.begun.len().checked_sub(most) {
            Some(place) => self.begun.get(place).map_or(now, |at| *at + MINUTE),
            None => Moment::ZERO,
        };
        Some(due.max(self.closed_until).max(by_rate))
    }

    /// When something is to be done for it, if nothing else happens before.
    pub fn next(&mut self, now: Moment, stopping: bool) -> Option<Moment> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let beat = self
            .beat
            .as_ref()
            .filter(|beat| !beat.in_flight && !stopping)
            .map(|beat| beat.due);
        let held_up = !self.refresh.is_empty() || self.refresh_in_flight;
        let send = if held_up {
            let waits = self.in_flight == 0 && !self.refresh_in_flight && !self.refresh.is_empty();
            waits.then_some(self.closed_until)
        } else {
            self.may_send_at(now)
        };
        [expiry, beat, send].into_iter().flatten().min()
    }

    /// Those whose time is over. One that is under way is left to be taken after all.
    pub fn take_expired(&mut self, now: Moment) -> Vec<OutboxId> {
        let mut over = Vec::new();
        while let Some((at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, id));
            match self.items.get_mut(&id) {
                Some(item) if item.in_flight => item.expired = true,
                _ => over.push(id),
            }
        }
        over
    }

    /// It was not taken: it is tried again at that moment.
    pub fn postpone(&mut self, id: OutboxId, due: Moment) {
        if let Some(item) = self.items.get_mut(&id) {
            item.due = due;
            item.in_flight = false;
            self.line_up(id);
        }
    }

    /// The receiver takes something again: what waits after a failure need not wait any longer.
    pub fn hurry(&mut self, now: Moment) {
        let waiting: Vec<(Moment, OutboxId)> =
            self.ready.iter().filter(|(due, _)| *due > now).copied().collect();
        for (due, id) in waiting {
            self.ready.remove(&(due, id));
            if let Some(item) = self.items.get_mut(&id) {
                item.due = now;
                self.ready.insert((now, id));
            }
        }
    }

    /// Whether a stop need not wait for it: nothing is under way or could be sent, or it does not take anything anyway.
    pub fn is_settled(&mut self, now: Moment) -> bool {
        if self.failing.is_some() || self.receiver.is_none() {
            return true;
        }
        self.in_flight == 0 && self.may_send_at(now).is_none_or(|at| at > now)
    }

    /// Whether its receiver would tell people twice what two replicas tell it.
    pub fn is_for_people(&self) -> bool {
        self.receiver.as_deref().is_some_and(tells_people)
    }

    /// When the oldest of what waits was made.
    pub fn oldest(&self) -> Option<Wall> {
        self.items.values().next().map(|item| item.notification.at)
    }

    pub fn view(&self, name: &Arc<str>) -> ReceiverView {
        ReceiverView {
            name: Arc::clone(name),
            channel: self
                .receiver
                .as_ref()
                .map_or("", |receiver| receiver.channel.id()),
            waiting: self.items.len(),
            oldest: self.oldest(),
            delivered: self.delivered,
            failed: self.failed,
            expired: self.expired,
            failing: self.failing.as_ref().map(|f| (f.in_a_row, f.why.clone())),
            last_delivered: self.last_delivered,
        }
    }

    /// The interval of a heartbeat.
    pub fn beats_every(&self) -> Option<Duration> {
        match self.receiver.as_ref()?.channel {
            Channel::Heartbeat { interval, .. } => Some(interval),
            _ => None,
        }
    }
}

/// What is put into a queue.
#[derive(Debug)]
pub struct NewItem {
    pub notification: Arc<Notification>,
    pub expires: Moment,
    pub due: Moment,
}
