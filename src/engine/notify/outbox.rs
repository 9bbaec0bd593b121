//! The outbox: what is to be told, until its receiver has acknowledged it or its time is over.
//!
//! Whatever is put into it is handed out to be kept in the same step, and sent only when that is answered. It leaves when
//! the receiver has acknowledged it; until then it is tried again and again, in order: nothing of an incident or of an
//! alert overtakes what was to be told of it before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::AlertId;
use crate::model::event::{Delivered, DeliveryEvent, Event};
use crate::model::incident::IncidentId;
use crate::model::notification::{
    DeliveryId, DeliveryOrder, DeliveryOutcome, Links, Notification, OutboxId, ReceiverView,
};
use crate::model::plan::Plan;
use crate::model::receiver::Receiver;
use crate::model::record::{Change, KeptNotification, PersistSeq, Record, RecordKey};
use crate::model::time::{Moment, Now, Wall};

use super::super::Output;
use super::super::random::Random;
use super::DeliveryTrouble;
use super::beat;
use super::queue::{Beat, Failing, NewItem, Queue};

/// Between two tries after a failure: the first pause, which doubles, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Between two tries of what the receiver refuses: somebody has to set it right.
const REFUSED: Duration = Duration::from_secs(300);
/// The longest that a receiver may ask to be left alone (`Retry-After`): beyond that it is asked all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Where a notification waits: at that receiver, under that number.
pub type Place = (Arc<str>, OutboxId);

/// What a delivery that is under way carries.
#[derive(Debug)]
enum UnderWay {
    Item(Arc<str>, OutboxId),
    Refresh(Arc<str>),
    Beat(Arc<str>),
}

/// A notification that will not be delivered any more.
#[derive(Debug)]
pub struct GivenUp {
    pub receiver: Arc<str>,
    pub notification: Arc<Notification>,
}

/// What an answer, or the passing of time, leads to.
#[derive(Debug, Default)]
pub struct Results {
    pub changes: Vec<Change>,
    pub events: Vec<Event>,
    pub given_up: Vec<GivenUp>,
    /// What was acknowledged, and by whom.
    pub accepted: Vec<(Arc<str>, Arc<Notification>)>,
}

#[derive(Debug, Default)]
pub struct Outbox {
    queues: BTreeMap<Arc<str>, Queue>,
    links: Links,
    /// What another run left, until the first plan says to whom it goes.
    restored: Vec<KeptNotification>,
    last: OutboxId,
    last_delivery: u64,
    under_way: HashMap<DeliveryId, UnderWay>,
    /// Put since the last hand-over.
    fresh: Vec<Place>,
    handed: VecDeque<(PersistSeq, Vec<Place>)>,
    stopping: bool,
    /// When there is something to do; `None` when nobody knows and it has to be looked.
    wake: Option<Moment>,
}

const NEVER: Moment = Moment::from_nanos(u64::MAX);

impl Outbox {
    pub fn restore(&mut self, kept: KeptNotification) {
        self.last = self.last.max(kept.id);
        self.restored.push(kept);
    }

    /// Takes the receivers of a plan. What waits for one that is gone is given up.
    pub fn configure(&mut self, plan: &Plan, now: Now) -> Results {
        let alerting = &plan.alerting;
        self.wake = None;
        self.links = Links {
            external_url: alerting.external_url.clone(),
            runbooks: Arc::clone(&alerting.runbooks),
            shared: plan.scale_out.is_some(),
        };
        for receiver in alerting.receivers.iter() {
            let queue = self.queues.entry(Arc::clone(&receiver.name)).or_default();
            let every = |receiver: &Receiver| match receiver.channel {
                crate::model::receiver::Channel::Heartbeat { interval, .. } => Some(interval),
                _ => None,
            };
            let before = queue.receiver.as_deref().and_then(every);
            if every(receiver) != before {
                let beat = Beat {
                    due: now.moment,
                    in_flight: false,
                    serial: 0,
                };
                queue.beat = every(receiver).map(|_| beat);
            }
            queue.receiver = Some(Arc::clone(receiver));
        }
        self.restored.sort_by_key(|kept| kept.id);
        for kept in std::mem::take(&mut self.restored) {
            let queue = self.queues.entry(Arc::clone(&kept.receiver)).or_default();
            let left = Duration::from_nanos(
                u64::try_from(kept.expires.unix_nanos() - now.wall.unix_nanos()).unwrap_or(0),
            );
            let item = NewItem {
                notification: kept.notification,
                expires: now.moment + left,
                due: now.moment,
            };
            queue.put(kept.id, item);
            // It is on disk: that is where it came from.
            queue.release(kept.id);
        }
        let mut results = Results::default();
        let is_there = |name: &Arc<str>| alerting.receivers.iter().any(|receiver| receiver.name == *name);
        let gone: Vec<Arc<str>> = self
            .queues
            .keys()
            .filter(|name| !is_there(name))
            .cloned()
            .collect();
        for name in gone {
            let ids = self.queues.get(&name).map(Queue::ids).unwrap_or_default();
            for id in ids {
                self.give_up(
                    &name,
                    id,
                    "its receiver left the configuration",
                    now,
                    &mut results,
                );
            }
            self.queues.remove(&name);
        }
        results
    }

    /// Whether nothing goes to those that would tell people twice: another replica may speak in our place. What is on its way
    /// cannot be called back.
    pub fn hold(&mut self, held: bool) {
        self.wake = None;
        for queue in self.queues.values_mut() {
            queue.held = held && queue.is_for_people();
        }
    }

    /// When the oldest was made of those that wait for people.
    pub fn oldest_for_people(&self) -> Option<Wall> {
        let people = self.queues.values().filter(|queue| queue.is_for_people());
        people.filter_map(Queue::oldest).min()
    }

    /// What waits for receivers of people, is not on its way and is such a one.
    pub fn waiting_for_people(&self, is_one: impl Fn(&Notification) -> bool) -> Vec<Place> {
        let mut found = Vec::new();
        for (name, queue) in self.queues.iter().filter(|(_, queue)| queue.is_for_people()) {
            let items = queue
                .items()
                .filter(|(_, item)| !item.in_flight && is_one(&item.notification));
            found.extend(items.map(|(id, _)| (Arc::clone(name), id)));
        }
        found
    }

    /// Takes these out: nobody need hear them any more.
    pub fn withdraw(&mut self, places: &[Place]) -> Results {
        let mut results = Results::default();
        self.wake = None;
        for (receiver, id) in places {
            let item = self.queues.get_mut(receiver).and_then(|queue| queue.remove(*id));
            let Some(item) = item else { continue };
            results.changes.push(Change::Remove(RecordKey::outbox(*id)));
            results.given_up.push(GivenUp {
                receiver: Arc::clone(receiver),
                notification: item.notification,
            });
        }
        results
    }

    /// Puts a notification into a receiver's queue; what is to be kept of it.
    pub fn put(&mut self, receiver: &Receiver, notification: Arc<Notification>, now: Now) -> Change {
        // Numbers begin with the microseconds of civil time, so that they grow over restarts with an empty outbox too.
        let least = u64::try_from(now.wall.unix_nanos() / 1_000).unwrap_or(0);
        self.last = OutboxId(self.last.0.max(least).saturating_add(1));
        let id = self.last;
        let item = NewItem {
            notification: Arc::clone(&notification),
            expires: now.moment + receiver.expire,
            due: now.moment,
        };
        let kept = KeptNotification {
            id,
            receiver: Arc::clone(&receiver.name),
            expires: now.wall + receiver.expire,
            notification,
        };
        self.queues
            .entry(Arc::clone(&receiver.name))
            .or_default()
            .put(id, item);
        self.fresh.push((Arc::clone(&receiver.name), id));
        self.wake = None;
        Change::Put(Record::Outbox(Box::new(kept)))
    }

    /// What was put since the last call goes when that number is answered.
    pub fn handed_over(&mut self, seq: PersistSeq) {
        if !self.fresh.is_empty() {
            self.handed.push_back((seq, std::mem::take(&mut self.fresh)));
        }
    }

    /// Posts these to a receiver that keeps states, in place of what an earlier call left.
    pub fn refresh(&mut self, receiver: &str, notifications: Vec<Arc<Notification>>) {
        if let Some(queue) = self.queues.get_mut(receiver)
            && !self.stopping
        {
            queue.refresh = notifications.into();
            self.wake = None;
        }
    }

    pub fn stop(&mut self) {
        self.stopping = true;
        self.wake = None;
        for queue in self.queues.values_mut() {
            queue.refresh.clear();
        }
    }

    /// Whether something that tells a receiver of the alert has not been taken yet.
    pub fn waits_for_alert(&self, receiver: &str, alert: AlertId) -> bool {
        self.queues
            .get(receiver)
            .is_some_and(|queue| queue.waits_for_alert(alert))
    }

    pub fn waits_for_incident(&self, receiver: &str, incident: IncidentId) -> bool {
        self.queues
            .get(receiver)
            .is_some_and(|queue| queue.waits_for_incident(incident))
    }

    /// Whether a stop has nothing to wait for.
    pub fn is_settled(&mut self, now: Moment) -> bool {
        let nothing_handed = self.fresh.is_empty() && self.handed.is_empty();
        nothing_handed && self.queues.values_mut().all(|queue| queue.is_settled(now))
    }

    /// When there is something to do, if nothing else happens before.
    pub fn next(&self) -> Option<Moment> {
        self.wake.filter(|at| *at < NEVER)
    }

    /// Sends what may be sent, and gives up what is too old. `answered` tells how far what was to be kept has come.
    pub fn run(&mut self, now: Now, answered: impl Fn(PersistSeq) -> bool, out: &mut Vec<Output>) -> Results {
        let mut results = Results::default();
        let news = self.handed.front().is_some_and(|(seq, _)| answered(*seq));
        if !news && self.wake.is_some_and(|at| at > now.moment) {
            return results;
        }
        while let Some((_, ids)) = self.handed.pop_front_if(|(seq, _)| answered(*seq)) {
            for (receiver, id) in ids {
                if let Some(queue) = self.queues.get_mut(&receiver) {
                    queue.release(id);
                }
            }
        }
        let names: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        let mut wake = NEVER;
        for name in names {
            let over = self
                .queues
                .get_mut(&name)
                .map(|queue| queue.take_expired(now.moment));
            for id in over.unwrap_or_default() {
                self.give_up(&name, id, "nobody took it before it expired", now, &mut results);
            }
            self.send(&name, now, out);
            if let Some(queue) = self.queues.get_mut(&name) {
                wake = wake.min(queue.next(now.moment, self.stopping).unwrap_or(NEVER));
            }
        }
        self.wake = Some(wake);
        results
    }

    fn send(&mut self, name: &Arc<str>, now: Now, out: &mut Vec<Output>) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        let Some(receiver) = queue.receiver.clone() else {
            return;
        };
        if let Some(beat) = &mut queue.beat
            && !self.stopping
            && !beat.in_flight
            && beat.due <= now.moment
        {
            beat.in_flight = true;
            beat.serial += 1;
            let notification = Arc::new(beat::heartbeat(&receiver.name, beat.serial, now.wall));
            let what = UnderWay::Beat(Arc::clone(name));
            out.push(self.order(what, &receiver, notification, 0));
        }
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        if let Some(notification) = queue.take_refresh(now.moment) {
            let what = UnderWay::Refresh(Arc::clone(name));
            out.push(self.order(what, &receiver, notification, 0));
        }
        loop {
            let Some(queue) = self.queues.get_mut(name) else {
                return;
            };
            let Some(id) = queue.take(now.moment) else { return };
            let Some((notification, tries)) = queue
                .get(id)
                .map(|item| (Arc::clone(&item.notification), item.tries))
            else {
                return;
            };
            let what = UnderWay::Item(Arc::clone(name), id);
            out.push(self.order(what, &receiver, notification, tries));
        }
    }

    fn order(
        &mut self,
        what: UnderWay,
        receiver: &Arc<Receiver>,
        notification: Arc<Notification>,
        tried: u32,
    ) -> Output {
        self.last_delivery += 1;
        let delivery = DeliveryId(self.last_delivery);
        self.under_way.insert(delivery, what);
        Output::Deliver(Box::new(DeliveryOrder {
            delivery,
            receiver: Arc::clone(receiver),
            notification,
            tried,
            links: self.links.clone(),
        }))
    }

    /// Takes the answer to a delivery.
    pub fn finished(
        &mut self,
        delivery: DeliveryId,
        outcome: DeliveryOutcome,
        random: &mut Random,
        now: Now,
    ) -> Results {
        let mut results = Results::default();
        self.wake = None;
        match self.under_way.remove(&delivery) {
            Some(UnderWay::Item(name, id)) => {
                self.item_finished(&name, id, outcome, (random, now), &mut results)
            }
            Some(UnderWay::Refresh(name)) => {
                if let Some(queue) = self.queues.get_mut(&name) {
                    queue.refresh_in_flight = false;
                    let accepted = outcome == DeliveryOutcome::Accepted;
                    if !accepted {
                        // The next round is soon enough.
                        queue.refresh.clear();
                    }
                    let about = ("refresh".into(), Box::from("all that fires"));
                    results.events.extend(note(queue, &name, outcome, about, now));
                }
            }
            Some(UnderWay::Beat(name)) => {
                if let Some(queue) = self.queues.get_mut(&name) {
                    beat::finished(queue, &outcome, now);
                    let about = ("heartbeat".into(), Box::from("heartbeat"));
                    results.events.extend(note(queue, &name, outcome, about, now));
                }
            }
            None => {}
        }
        results
    }

    fn item_finished(
        &mut self,
        name: &Arc<str>,
        id: OutboxId,
        outcome: DeliveryOutcome,
        (random, now): (&mut Random, Now),
        results: &mut Results,
    ) {
        // The receiver left the configuration meanwhile, and came back perhaps.
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        let Some(item) = queue.get_mut(id) else { return };
        item.tries += 1;
        let (tries, expired) = (item.tries, item.expired);
        let notification = Arc::clone(&item.notification);
        queue.in_flight -= 1;
        let about = (Arc::clone(&notification.id), notification.title.clone());
        let pause = match &outcome {
            DeliveryOutcome::Accepted => {
                queue.delivered += 1;
                queue.remove(id);
                results.changes.push(Change::Remove(RecordKey::outbox(id)));
                let event = delivery_event(name, &about, Delivered::Accepted { tries });
                results.events.push(event);
                results.accepted.push((Arc::clone(name), notification));
                results.events.extend(note(queue, name, outcome, about, now));
                return;
            }
            DeliveryOutcome::Failed { retry_after, .. } => {
                let asked = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
                if !asked.is_zero() {
                    queue.closed_until = queue.closed_until.max(now.moment + asked);
                }
                backoff(tries, random).max(asked)
            }
            DeliveryOutcome::Refused { .. } => REFUSED,
        };
        queue.postpone(id, now.moment + pause);
        results.events.extend(note(queue, name, outcome, about, now));
        if expired {
            self.give_up(name, id, "nobody took it before it expired", now, results);
        }
    }

    fn give_up(&mut self, name: &Arc<str>, id: OutboxId, why: &str, now: Now, results: &mut Results) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        let Some(item) = queue.remove(id) else { return };
        queue.expired += 1;
        queue.given_up = Some(now.wall);
        let why = match &queue.failing {
            Some(failing) => format!("{why}; the last try ended so: {}", failing.why),
            None => why.to_owned(),
        };
        let about = (Arc::clone(&item.notification.id), item.notification.title.clone());
        results.changes.push(Change::Remove(RecordKey::outbox(id)));
        let why = why.into();
        results
            .events
            .push(delivery_event(name, &about, Delivered::GivenUp { why }));
        results.given_up.push(GivenUp {
            receiver: Arc::clone(name),
            notification: item.notification,
        });
    }

    pub fn views(&self) -> Vec<ReceiverView> {
        let configured = self.queues.iter().filter(|(_, queue)| queue.receiver.is_some());
        configured.map(|(name, queue)| queue.view(name)).collect()
    }

    /// Receivers that do not take what they are sent. A heartbeat's receiver is not among them: that it is not reached is
    /// what its other end raises the alarm for.
    pub fn troubles(&self) -> Vec<DeliveryTrouble> {
        let mut troubles = Vec::new();
        for (name, queue) in &self.queues {
            if queue.beat.is_some() || (queue.failing.is_none() && queue.given_up.is_none()) {
                continue;
            }
            let failing = queue.failing.as_ref();
            troubles.push(DeliveryTrouble {
                receiver: Arc::clone(name),
                failed_in_a_row: failing.map_or(0, |failing| failing.in_a_row),
                why: failing.map_or_else(Box::default, |failing| failing.why.clone()),
                given_up: queue.given_up,
            });
        }
        troubles
    }
}

/// Notes how the receiver is doing. Says when it begins to fail, and when it fails in another way.
fn note(
    queue: &mut Queue,
    name: &Arc<str>,
    outcome: DeliveryOutcome,
    about: (Arc<str>, Box<str>),
    now: Now,
) -> Option<Event> {
    let why = match outcome {
        DeliveryOutcome::Accepted => {
            queue.last_delivered = Some(now.wall);
            queue.given_up = None;
            // After a single failure it may have been that notification's own; after more it was the receiver's.
            if queue.failing.take().is_some_and(|failing| failing.in_a_row > 1) {
                queue.hurry(now.moment);
            }
            return None;
        }
        DeliveryOutcome::Failed { why, .. } | DeliveryOutcome::Refused { why } => why,
    };
    queue.failed += 1;
    let (before, in_a_row) = match queue.failing.take() {
        Some(failing) => (Some(failing.why), failing.in_a_row),
        None => (None, 0),
    };
    let is_news = before.as_ref() != Some(&why);
    queue.failing = Some(Failing {
        in_a_row: in_a_row.saturating_add(1),
        why: why.clone(),
    });
    is_news.then(|| delivery_event(name, &about, Delivered::Failing { why }))
}

/// Half of the pause is certain and half is drawn, so that many that failed together do not come again together.
fn backoff(tries: u32, random: &mut Random) -> Duration {
    let (first, longest) = BACKOFF;
    let full = first
        .saturating_mul(1 << tries.saturating_sub(1).min(20))
        .min(longest);
    full / 2 + random.duration_up_to(full / 2)
}

fn delivery_event(receiver: &Arc<str>, (id, title): &(Arc<str>, Box<str>), what: Delivered) -> Event {
    Event::Delivery(DeliveryEvent {
        receiver: Arc::clone(receiver),
        notification: Arc::clone(id),
        title: title.clone(),
        what,
    })
}
