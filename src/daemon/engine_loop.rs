//! The loop that joins deciding and acting: it waits in `select`, decides in the engine's synchronous `apply`, and is the
//! engine's only owner.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::deliver::Deliverer;
use crate::engine::{Engine, Input, Output};
use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Outcome, Stop, Trouble};
use crate::model::event::Event;
use crate::model::evidence::Evidence;
use crate::model::idle::IdleRound;
use crate::model::notification::{DeliveryOrder, DeliveryOutcome};
use crate::model::order::{AttemptOrder, ConfirmationOrder, IdleOrder, IdleRoundId, OperationId};
use crate::model::record::{PersistSeq, Record};
use crate::model::time::Wall;
use crate::model::vantage::VantageOrder;
use crate::net::reader::ReadRequest;
use crate::probe::Prober;
use crate::store::Writer;

use super::clock::Clock;

/// Inputs taken from the queue between two looks at readers and alarms, so that neither starves.
const BATCH: usize = 64;

/// The loop's ends of its channels.
pub struct Channels {
    pub inputs: mpsc::Receiver<Input>,
    /// Given to every probe, to answer with.
    pub answers: mpsc::Sender<Input>,
    pub reads: mpsc::Receiver<ReadRequest>,
    /// To whoever tells the world: logs, traces, `check`.
    pub events: mpsc::Sender<Event>,
    /// Events that found their queue full.
    pub dropped: Arc<AtomicU64>,
    /// To the state directory; `None` where nothing is kept.
    pub store: Option<Writer>,
    /// To the election: since when something waits that people are to be told.
    pub untold: tokio::sync::watch::Sender<Option<Wall>>,
    /// Where deliveries run, beside the probes.
    pub beside: tokio::runtime::Handle,
}

pub struct EngineLoop {
    engine: Engine,
    clock: Clock,
    prober: Arc<Prober>,
    channels: Channels,
    under_way: HashMap<OperationId, AbortHandle>,
    idle_rounds: HashMap<IdleRoundId, AbortHandle>,
    outputs: Vec<Output>,
    deliverer: Arc<Deliverer>,
    /// What nobody keeps, since there is no state directory: the engine hears at once that it is not on disk.
    unkept: Option<PersistSeq>,
}

impl EngineLoop {
    /// `kept` is what another run left.
    pub fn new(seed: u64, clock: Clock, prober: Arc<Prober>, channels: Channels, kept: Vec<Record>) -> Self {
        let mut engine = Engine::new(seed, clock.now());
        let now = clock.now();
        engine.restore(kept, now);
        EngineLoop {
            engine,
            clock,
            prober,
            channels,
            under_way: HashMap::new(),
            idle_rounds: HashMap::new(),
            outputs: Vec::new(),
            deliverer: Arc::new(Deliverer::new()),
            unkept: None,
        }
    }

    /// Runs until every sender of inputs but the loop's own is gone, or `end` is called by dropping the task.
    pub async fn run(mut self) {
        loop {
            let deadline = self
                .engine
                .next_deadline()
                .map(|moment| self.clock.instant(moment));
            tokio::select! {
                biased;
                input = self.channels.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = sleep_until(deadline) => self.apply(Input::Woke),
                read = self.channels.reads.recv() => match read {
                    Some(read) => self.answer(read),
                    None => return,
                },
            }
        }
    }

    /// Takes an input and those that wait behind it, then gives readers a turn, who come last in `select`.
    fn take(&mut self, first: Input) {
        self.apply(first);
        for _ in 1..BATCH {
            match self.channels.inputs.try_recv() {
                Ok(input) => self.apply(input),
                Err(_) => break,
            }
        }
        if let Ok(read) = self.channels.reads.try_recv() {
            self.answer(read);
        }
    }

    fn apply(&mut self, input: Input) {
        self.apply_one(input);
        while let Some(seq) = self.unkept.take() {
            self.apply_one(Input::Persisted { seq, durable: false });
        }
    }

    fn apply_one(&mut self, input: Input) {
        if let Input::AttemptFinished { operation, .. } | Input::ConfirmationFinished { operation, .. } =
            &input
        {
            self.under_way.remove(operation);
        }
        if let Input::IdleRoundFinished { round, .. } = &input {
            self.idle_rounds.remove(round);
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        self.engine.apply(input, self.clock.now(), &mut outputs);
        for output in outputs.drain(..) {
            self.perform(output);
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::StartAttempt(order) => self.start_attempt(order),
            Output::StartConfirmation(order) => self.start_confirmation(order),
            Output::CheckVantage(order) => self.observe(order),
            Output::KeepConnections(keep) => self.prober.keep_connections(keep),
            Output::StartIdleRound(order) => self.start_idle_round(order),
            Output::CancelIdleRound(round) => {
                if let Some(handle) = self.idle_rounds.remove(&round) {
                    handle.abort();
                }
            }
            Output::Cancel(operation) => {
                if let Some(handle) = self.under_way.remove(&operation) {
                    handle.abort();
                }
            }
            Output::Forget(name) => self.prober.forget(&name),
            Output::Persist { seq, changes } => match &self.channels.store {
                Some(store) => store.keep(seq, changes),
                None => self.unkept = Some(seq),
            },
            Output::Deliver(order) => self.deliver(order),
            Output::Untold(since) => drop(self.channels.untold.send_replace(since)),
            Output::Observed(event) => {
                if self.channels.events.try_send(event).is_err() {
                    self.channels.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn start_attempt(&mut self, order: Box<AttemptOrder>) {
        let (prober, answers) = (Arc::clone(&self.prober), self.channels.answers.clone());
        let (index, operation, started) = (order.index, order.operation, self.clock.now().wall);
        let task = tokio::spawn(async move {
            let attempt = match AssertUnwindSafe(prober.attempt(&order)).catch_unwind().await {
                Ok(attempt) => attempt,
                Err(panic) => panicked(&*panic, started),
            };
            // The loop is gone only when the process ends; then nobody wants the answer.
            let _ = answers
                .send(Input::AttemptFinished {
                    index,
                    operation,
                    attempt: Box::new(attempt),
                })
                .await;
        });
        self.under_way.insert(operation, task.abort_handle());
    }

    fn start_confirmation(&mut self, order: Box<ConfirmationOrder>) {
        let (prober, answers) = (Arc::clone(&self.prober), self.channels.answers.clone());
        let (index, operation) = (order.index, order.operation);
        let task = tokio::spawn(async move {
            let look = AssertUnwindSafe(prober.confirm(&order)).catch_unwind().await;
            let confirmation = look.unwrap_or_else(|panic| Confirmation {
                elapsed: Duration::ZERO,
                result: ConfirmationResult::NotDone(panic_text(&*panic).into()),
                evidence: Evidence::new(),
            });
            let confirmation = Box::new(confirmation);
            let _ = answers
                .send(Input::ConfirmationFinished {
                    index,
                    operation,
                    confirmation,
                })
                .await;
        });
        self.under_way.insert(operation, task.abort_handle());
    }

    fn observe(&self, order: Box<VantageOrder>) {
        let (prober, answers) = (Arc::clone(&self.prober), self.channels.answers.clone());
        tokio::spawn(async move {
            // An observation that breaks is one that found nothing: the engine gives it up in time.
            let observing = AssertUnwindSafe(prober.observe(&order)).catch_unwind().await;
            let facts = Box::new(observing.unwrap_or_default());
            let _ = answers.send(Input::VantageObserved { id: order.id, facts }).await;
        });
    }

    fn deliver(&self, order: Box<DeliveryOrder>) {
        let (deliverer, answers) = (Arc::clone(&self.deliverer), self.channels.answers.clone());
        self.channels.beside.spawn(async move {
            let delivering = AssertUnwindSafe(deliverer.deliver(&order)).catch_unwind().await;
            let outcome = delivering.unwrap_or_else(|panic| DeliveryOutcome::Failed {
                why: panic_text(&*panic).into(),
                retry_after: None,
            });
            let delivery = order.delivery;
            let _ = answers.send(Input::DeliveryFinished { delivery, outcome }).await;
        });
    }

    fn start_idle_round(&mut self, order: Box<IdleOrder>) {
        let (prober, answers) = (Arc::clone(&self.prober), self.channels.answers.clone());
        let round = order.round;
        let task = tokio::spawn(async move {
            let done = AssertUnwindSafe(prober.idle_round(&order)).catch_unwind().await;
            let result = done.unwrap_or_else(|panic| IdleRound::NotMade(panic_text(&*panic).into()));
            let result = Box::new(result);
            let _ = answers.send(Input::IdleRoundFinished { round, result }).await;
        });
        self.idle_rounds.insert(round, task.abort_handle());
    }

    fn answer(&mut self, read: ReadRequest) {
        // A reader that went away before its answer came is not our concern.
        match read {
            ReadRequest::Page { from, max, reply } => drop(reply.send(self.engine.page(from, max))),
            ReadRequest::Hosts { from, max, reply } => {
                drop(reply.send(self.engine.hosts(from, max, self.clock.now())));
            }
            ReadRequest::Engine { reply } => drop(reply.send(self.engine.view())),
            ReadRequest::Detail { name, reply } => {
                drop(reply.send(self.engine.detail(&name, self.clock.now()).map(Box::new)));
            }
            ReadRequest::Alerts { from, max, reply } => {
                drop(reply.send(self.engine.alerts(from, max, self.clock.now())));
            }
            ReadRequest::Why { dependency, reply } => {
                drop(reply.send(self.engine.why(dependency.as_deref(), self.clock.now())));
            }
            ReadRequest::Incidents { reply } => drop(reply.send(self.engine.incidents())),
            ReadRequest::Silences { reply } => {
                drop(reply.send(self.engine.silences(self.clock.now().wall)));
            }
            ReadRequest::Receivers { reply } => drop(reply.send(self.engine.receivers())),
            ReadRequest::ChangeSilence { change, reply } => {
                self.apply(Input::SilenceChanged(change));
                let _ = reply.send(());
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A probe's bug is an attempt with an internal failure, not a dead daemon.
fn panicked(panic: &(dyn std::any::Any + Send), started: Wall) -> Attempt {
    Attempt {
        started,
        elapsed: Duration::ZERO,
        hops: Vec::new(),
        stale_found: None,
        outcome: Outcome::Stopped(Box::new(Stop {
            phase: None,
            hop: None,
            trouble: Trouble::Panicked(panic_text(panic).into()),
            chain: vec![panic_text(panic).into()],
        })),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}
