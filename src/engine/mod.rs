//! Everything that decides. Pure and synchronous: no clock, no socket, no log, no lock. Time enters as an argument;
//! the engine says when to wake it.
//!
//! The whole conversation with the world is [`Input`] and [`Output`]; what readers see are pages of the read model.

mod admission;
mod alert;
mod breaker;
pub mod classify;
mod clock;
mod conduct;
mod headroom;
mod history;
mod host;
mod idle;
mod looks;
mod names;
mod notify;
mod operation;
mod persist;
mod places;
mod random;
mod read;
mod replan;
mod retry;
mod schedule;
mod slot;
mod table;
mod tally;
mod vantage;
mod window;

use std::sync::Arc;

use crate::model::attempt::{Attempt, Confirmation};
use crate::model::dependency::DependencyIndex;
use crate::model::event::Event;
use crate::model::headroom::Resources;
use crate::model::histogram::Histogram;
use crate::model::idle::IdleRound;
use crate::model::monitor::SelfFacts;
use crate::model::notification::{DeliveryId, DeliveryOrder, DeliveryOutcome};
use crate::model::order::{AttemptOrder, ConfirmationOrder, IdleOrder, IdleRoundId, OperationId};
use crate::model::page::PlaceLabels;
use crate::model::plan::{Limits, Plan};
use crate::model::record::{Change, PersistSeq};
use crate::model::share::Peers;
use crate::model::silence::{Opening, SilenceChange};
use crate::model::time::{Moment, Now, Wall};
use crate::model::vantage::{ObservationId, VantageFacts, VantageOrder};

pub use idle::{AT_ONCE as IDLE_HOSTS, CONNECTIONS as IDLE_CONNECTIONS};

use clock::Clock;
use headroom::Headroom;
use places::{Places, Queue};
use random::Random;
use schedule::{Alarm, Alarms};
use table::Tables;
use vantage::Watch;

/// What the world tells the engine.
#[derive(Debug)]
pub enum Input {
    /// A plan is in force from now on: the first one, or another after a reload.
    PlanChanged(Arc<Plan>),
    AttemptFinished {
        index: DependencyIndex,
        operation: OperationId,
        attempt: Box<Attempt>,
    },
    ConfirmationFinished {
        index: DependencyIndex,
        operation: OperationId,
        confirmation: Box<Confirmation>,
    },
    /// What an observation of our own network and of the anchors found.
    VantageObserved {
        id: ObservationId,
        facts: Box<VantageFacts>,
    },
    IdleRoundFinished {
        round: IdleRoundId,
        result: Box<IdleRound>,
    },
    /// What was handed out to be kept up to that number is on disk; or it is not, and goes on waiting to be written.
    Persisted { seq: PersistSeq, durable: bool },
    /// What became of a delivery.
    DeliveryFinished {
        delivery: DeliveryId,
        outcome: DeliveryOutcome,
    },
    /// A person made or ended a silence.
    SilenceChanged(SilenceChange),
    /// When maintenance windows are open, as far ahead as the calendar looks; in place of what it said before.
    CalendarChanged(Vec<Opening>),
    /// How the edges of this process do.
    SelfObserved(SelfFacts),
    /// Which replicas live, where several share the work.
    PeersObserved(Peers),
    /// How much is left of what sockets are made of.
    ResourcesChanged(Resources),
    /// A deadline that the engine named has come.
    Woke,
    /// Begin nothing more; what is under way may end, without retries.
    Stop,
    /// The same, and what is under way ends now: with what is known of it, or as abandoned.
    Abandon,
}

/// What the engine wants of the world.
#[derive(Debug)]
pub enum Output {
    StartAttempt(Box<AttemptOrder>),
    StartConfirmation(Box<ConfirmationOrder>),
    /// Look at our own network, and ask the anchors.
    CheckVantage(Box<VantageOrder>),
    /// Whether connections are kept between operations at all; `false` closes those that are.
    KeepConnections(bool),
    /// The operation is of no more interest: end its attempt, its result will not be looked at.
    Cancel(OperationId),
    StartIdleRound(Box<IdleOrder>),
    /// The round is of no more interest: close its connections.
    CancelIdleRound(IdleRoundId),
    /// The dependency left the plan, or asks something else now: what is kept for it can go.
    Forget(Arc<str>),
    /// This must survive a restart; [`Input::Persisted`] answers.
    Persist {
        seq: PersistSeq,
        changes: Vec<Change>,
    },
    /// Tell a receiver; [`Input::DeliveryFinished`] answers.
    Deliver(Box<DeliveryOrder>),
    /// Other replicas are to know how far people have been told by this one: all but what waits since then. `None`: all.
    Untold(Option<Wall>),
    Observed(Event),
}

/// The state of everything that is watched.
#[derive(Debug)]
pub struct Engine {
    tables: Tables,
    alarms: Alarms,
    random: Random,
    vantage: Watch,
    headroom: Headroom,
    clock: Clock,
    limits: Limits,
    one_round: bool,
    stopping: bool,
    /// Dependencies that are due and wait for a place under the global cap.
    waiting: Queue,
    waiting_count: u32,
    places: Places,
    next_operation: u64,
    generation: u32,
    /// Dependencies that were not started yet since they came into the plan.
    not_begun: usize,
    /// Every dependency of a plan was begun once. What a later plan adds does not take that back.
    first_round_begun: bool,
    skipped: [u64; 3],
    lag: Histogram,
    since: Wall,
    /// A plan of one round, or a stop, has been reported as done.
    drained: bool,
    planned: bool,
    persist: persist::Persist,
    idle: idle::Desk,
    names_kept: names::NamesKept,
    alerts: alert::Alerts,
    desk: notify::Desk,
    /// What all series carry.
    place: PlaceLabels,
}

impl Engine {
    /// An engine that watches nothing yet. The seed decides the jitter of all its backoffs.
    pub fn new(seed: u64, now: Now) -> Self {
        Engine {
            tables: Tables::default(),
            alarms: Alarms::default(),
            random: Random::new(seed),
            vantage: Watch::default(),
            headroom: Headroom::default(),
            clock: Clock::default(),
            limits: Limits::default(),
            one_round: false,
            stopping: false,
            waiting: Queue::default(),
            waiting_count: 0,
            places: Places::default(),
            next_operation: 1,
            generation: 0,
            not_begun: 0,
            first_round_begun: false,
            skipped: [0; 3],
            lag: Histogram::default(),
            since: now.wall,
            drained: false,
            planned: false,
            persist: persist::Persist::default(),
            idle: idle::Desk::default(),
            names_kept: names::NamesKept::default(),
            alerts: alert::Alerts::default(),
            desk: notify::Desk::default(),
            place: Arc::default(),
        }
    }

    /// Takes an input and appends what follows from it to `out`.
    pub fn apply(&mut self, input: Input, now: Now, out: &mut Vec<Output>) {
        match input {
            Input::PlanChanged(plan) => self.replan(&plan, now, out),
            Input::AttemptFinished {
                index,
                operation,
                attempt,
            } => {
                self.attempt_finished(index, operation, *attempt, now, out);
            }
            Input::ConfirmationFinished {
                index,
                operation,
                confirmation,
            } => {
                self.confirmation_finished(index, operation, *confirmation, now, out);
            }
            Input::VantageObserved { id, facts } => self.vantage_observed(id, *facts, now, out),
            Input::IdleRoundFinished { round, result } => {
                self.idle_round_finished(round, &result, now, out);
            }
            Input::Persisted { seq, durable } => self.persist.answered(seq, durable),
            Input::DeliveryFinished { delivery, outcome } => {
                self.delivery_finished(delivery, outcome, now, out);
            }
            Input::SilenceChanged(change) => self.silence_changed(change, now),
            Input::CalendarChanged(openings) => self.calendar_changed(openings, now),
            Input::SelfObserved(facts) => self.self_observed(facts, now),
            Input::PeersObserved(peers) => self.desk.peers_observed(peers, now),
            Input::ResourcesChanged(resources) => self.resources_changed(resources, now, out),
            Input::Woke => {}
            Input::Stop => self.stop(now, out),
            Input::Abandon => {
                self.stop(now, out);
                self.abandon_operations(now, out);
            }
        }
        while let Some((due, alarm)) = self.alarms.take_due(now.moment) {
            match alarm {
                Alarm::Due { index, generation } => self.dependency_due(index, generation, due, now, out),
                Alarm::BackoffEnds { index, operation } => self.backoff_ended(index, operation, now, out),
                Alarm::Vantage => self.vantage_alarm(now, out),
                Alarm::PatienceEnds { index, operation } => self.patience_ended(index, operation, now, out),
                Alarm::Desk => self.desk_alarm(),
                Alarm::IdleDue { place, serial } => self.idle_due(place, serial, now, out),
                Alarm::AlertDue { serial } => self.alert_due(serial, due, now),
                Alarm::Ourselves => self.look_at_ourselves(now),
            }
        }
        self.release_clock_waiting(now, out);
        self.settle_alerts(now, out);
        self.first_round_begun |= self.planned && self.not_begun == 0;
        self.report_when_drained(now, out);
    }

    /// When the engine wants to be woken, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.alarms.next()
    }

    fn stop(&mut self, now: Now, out: &mut Vec<Output>) {
        self.stopping = true;
        self.leave_queues();
        self.abandon_backoffs(now, out);
        self.stop_idle(out);
        self.keep_alerts(now);
        self.stop_desk();
    }

    fn report_when_drained(&mut self, now: Now, out: &mut Vec<Output>) {
        let rounds_done = self.one_round && self.planned && self.not_begun == 0;
        let done = self.places.in_flight == 0 && (self.stopping || rounds_done);
        if !self.drained && done && (!self.stopping || self.desk_is_settled(now)) {
            self.drained = true;
            out.push(Output::Observed(Event::Drained));
        }
    }
}
