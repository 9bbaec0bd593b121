//! Properties of the engine under any order of inputs, in virtual time.
//!
//! Whatever plans come and go, whatever the probes answer and however late: one operation per dependency at a time,
//! the caps hold, every attempt ordered is concluded or cancelled once, counters never go back, and nothing is left over
//! after a stop.

#[path = "harness/asked.rs"]
mod asked;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use asked::http;

use whyd::engine::{Engine, Input, Output};
use whyd::model::attempt::*;
use whyd::model::cause::Cause;
use whyd::model::dependency::*;
use whyd::model::event::Event;
use whyd::model::evidence::Evidence;
use whyd::model::headroom::Resources;
use whyd::model::idle::{ControlFacts, IdleEnd, IdleFacts, IdleRound, RungOutcome};
use whyd::model::order::{AttemptOrder, ConfirmationOrder, IdleOrder, OperationId};
use whyd::model::phase::Phase;
use whyd::model::plan::{Limits, Plan};
use whyd::model::time::{Moment, Now, Wall};
use whyd::model::vantage::{Vantage, VantageFacts, VantageOrder};

#[derive(Clone, Debug)]
enum Action {
    /// A plan with the dependencies whose bits are set, in one of three variants each.
    Plan {
        members: u8,
        variant: u8,
        concurrency: u32,
        per_host: u32,
    },
    /// The oldest (or the newest) thing under way answers in this way.
    Answer { newest: bool, kind: u8 },
    /// Time passes, and the engine is woken at each of its deadlines.
    Pass { millis: u32 },
    /// Time passes unnoticed.
    Suspend { millis: u32 },
    /// An answer that nobody waits for.
    Stray,
    /// The oldest observation comes back: every anchor is silent, or one answers.
    Observe { silent: bool },
    /// A sample of descriptors.
    Resources { open: u64 },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        1 => (any::<u8>(), 0..3_u8, 1..6_u32, 1..4_u32).prop_map(|(members, variant, concurrency, per_host)| {
            Action::Plan { members, variant, concurrency, per_host }
        }),
        6 => (any::<bool>(), 0..6_u8).prop_map(|(newest, kind)| Action::Answer { newest, kind }),
        6 => (0..8_000_u32).prop_map(|millis| Action::Pass { millis }),
        1 => (0..40_000_u32).prop_map(|millis| Action::Suspend { millis }),
        1 => Just(Action::Stray),
        3 => any::<bool>().prop_map(|silent| Action::Observe { silent }),
        1 => (0..1024_u64).prop_map(|open| Action::Resources { open }),
    ];
    prop::collection::vec(action, 1..120)
}

enum Order {
    Attempt(Box<AttemptOrder>),
    Confirmation(Box<ConfirmationOrder>),
}

impl Order {
    fn operation(&self) -> OperationId {
        match self {
            Order::Attempt(order) => order.operation,
            Order::Confirmation(order) => order.operation,
        }
    }
}

struct World {
    engine: Engine,
    now: Moment,
    limits: Limits,
    under_way: Vec<Order>,
    observations: Vec<VantageOrder>,
    operation_of: HashMap<Arc<str>, OperationId>,
    finished: HashSet<OperationId>,
    forgotten: HashSet<OperationId>,
    drained: bool,
    idle: Vec<IdleOrder>,
}

impl World {
    fn new() -> Self {
        let engine = Engine::new(7, Now::default());
        World {
            engine,
            now: Moment::ZERO,
            limits: Limits::default(),
            under_way: Vec::new(),
            observations: Vec::new(),
            operation_of: HashMap::new(),
            finished: HashSet::new(),
            forgotten: HashSet::new(),
            drained: false,
            idle: Vec::new(),
        }
    }

    fn clock(&self) -> Now {
        Now {
            moment: self.now,
            wall: Wall::from_unix_nanos(self.now.as_nanos() as i64),
        }
    }

    fn apply(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.engine.apply(input, self.clock(), &mut outputs);
        for output in outputs {
            self.perform(output);
        }
        let view = self.engine.view();
        // A smaller cap takes effect as what is under way ends; until then it may be exceeded, but not by a new start.
        assert!(view.in_flight as usize >= self.under_way.len());
        assert!(
            view.in_flight > 0 || view.waiting == 0,
            "{} wait although every place is free",
            view.waiting
        );
        let deadline = self.engine.next_deadline();
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "an alarm was left behind: {deadline:?} at {:?}",
            self.now
        );
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::StartAttempt(order) => {
                if order.number == 1 {
                    let host = |order: &Order| match order {
                        Order::Attempt(order) => order.dependency.host.clone(),
                        Order::Confirmation(order) => order.dependency.host.clone(),
                    };
                    let same_host = self
                        .under_way
                        .iter()
                        .filter(|o| host(o) == order.dependency.host)
                        .count();
                    assert!(
                        same_host < self.limits.concurrency_per_host as usize,
                        "the host's cap was passed"
                    );
                    assert!(
                        self.under_way.len() < self.limits.concurrency as usize,
                        "the global cap was passed"
                    );
                }
                assert!(!order.budget.is_zero(), "an attempt without time");
                assert!(order.budget <= order.dependency.timeouts.attempt);
                assert!(
                    order.number <= order.dependency.retry.attempts,
                    "more attempts than allowed"
                );
                let name = Arc::clone(&order.dependency.name);
                let before = self.operation_of.insert(name, order.operation);
                if let Some(before) = before.filter(|before| *before != order.operation) {
                    let over = self.finished.contains(&before) || self.forgotten.contains(&before);
                    assert!(over, "two operations of one dependency at once");
                }
                assert!(
                    !self.finished.contains(&order.operation),
                    "an attempt after the conclusion"
                );
                self.under_way.push(Order::Attempt(order));
            }
            Output::StartConfirmation(order) => self.under_way.push(Order::Confirmation(order)),
            Output::Cancel(operation) => {
                self.forgotten.insert(operation);
                self.under_way.retain(|order| order.operation() != operation);
            }
            Output::CheckVantage(order) => {
                assert!(self.observations.iter().all(|other| other.id != order.id));
                self.observations.push(*order);
            }
            Output::KeepConnections(_) => {}
            Output::StartIdleRound(order) => {
                let place = order.round.place;
                assert!(
                    self.idle.iter().all(|other| other.round.place != place),
                    "two idle rounds of one host at once"
                );
                assert!((1..=5).contains(&order.rungs.len()), "{:?}", order.rungs);
                assert!(order.rungs.is_sorted() && !order.control_every.is_zero());
                self.idle.push(*order);
            }
            Output::CancelIdleRound(round) => self.idle.retain(|order| order.round != round),
            Output::Forget(_) | Output::Deliver(_) | Output::Untold(_) => {}
            Output::Persist { changes, .. } => assert!(!changes.is_empty(), "nothing to keep"),
            Output::Observed(Event::OperationFinished(record)) => {
                assert!(self.finished.insert(record.id), "concluded twice");
                assert!(
                    !self.forgotten.contains(&record.id),
                    "concluded after it was cancelled"
                );
                assert!(!record.attempts.is_empty() || record.failure.is_some());
                let silent = record
                    .failure
                    .as_ref()
                    .is_some_and(|failure| failure.cause == Cause::TcpTimedOut);
                assert!(
                    !(silent && self.engine.view().vantage.sight.is_offline()),
                    "blamed for silence while we are offline"
                );
                assert_eq!(
                    record.failure.is_some(),
                    !matches!(record.verdict.id(), "ok" | "retried_ok")
                );
            }
            Output::Observed(Event::Drained) => {
                assert!(!self.drained, "drained twice");
                self.drained = true;
            }
            Output::Observed(_) => {}
        }
    }

    /// Ends the oldest idle round in one way or another.
    fn end_idle_round(&mut self, kind: u8) {
        if self.idle.is_empty() {
            return;
        }
        let order = self.idle.remove(0);
        let after = order.rungs[0];
        let first = match kind {
            0 => RungOutcome::Survived { after },
            1 => RungOutcome::Ended {
                how: IdleEnd::Fin,
                after: after / 2,
            },
            2 => RungOutcome::Lost {
                how: IdleEnd::Silence,
                after,
            },
            _ => RungOutcome::Unclear("property".into()),
        };
        let mut rungs = vec![RungOutcome::Unfinished; order.rungs.len()];
        rungs[0] = first;
        let control = ControlFacts {
            uses: 1,
            alive: kind != 3,
            ..ControlFacts::default()
        };
        let announced = None;
        let facts = IdleFacts {
            rungs,
            control,
            announced,
        };
        self.apply(Input::IdleRoundFinished {
            round: order.round,
            result: Box::new(IdleRound::Done(facts)),
        });
    }

    fn answer(&mut self, newest: bool, kind: u8) {
        self.end_idle_round(kind % 5);
        if self.under_way.is_empty() {
            return;
        }
        let place = if newest { self.under_way.len() - 1 } else { 0 };
        match self.under_way.remove(place) {
            Order::Attempt(order) => {
                let attempt = Box::new(attempt(kind, &order));
                self.apply(Input::AttemptFinished {
                    index: order.index,
                    operation: order.operation,
                    attempt,
                });
            }
            Order::Confirmation(order) => {
                let confirmation = Box::new(Confirmation {
                    elapsed: Duration::ZERO,
                    result: ConfirmationResult::NotDone("property".into()),
                    evidence: Evidence::new(),
                });
                let (index, operation) = (order.index, order.operation);
                self.apply(Input::ConfirmationFinished {
                    index,
                    operation,
                    confirmation,
                });
            }
        }
    }

    fn observe(&mut self, silent: bool) {
        if self.observations.is_empty() {
            return;
        }
        let order = self.observations.remove(0);
        let anchors = order.anchors.iter().enumerate().map(|(i, anchor)| {
            let order = AttemptOrder {
                index: DependencyIndex(0),
                dependency: Arc::clone(anchor),
                operation: OperationId(0),
                number: 1,
                connection: whyd::model::order::Connection::Fresh,
                budget: order.budget,
                budget_of: Budget::Attempt,
                leave_unheard: false,
            };
            Some(Box::new(attempt(if silent || i > 0 { 4 } else { 0 }, &order)))
        });
        let facts = Box::new(VantageFacts {
            anchors: anchors.collect(),
            network: None,
        });
        self.apply(Input::VantageObserved { id: order.id, facts });
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.apply(Input::Woke);
        }
        self.now = end;
    }
}

fn plan(members: u8, variant: u8, limits: Limits) -> Plan {
    let dependencies = (0..8_u8)
        .filter(|i| members & (1 << i) != 0)
        .map(|i| Arc::new(dependency(i, variant)))
        .collect();
    Plan {
        dependencies,
        limits,
        one_round: false,
        vantage: Vantage {
            // Of one variant there are none.
            anchors: (0..if variant == 2 { 0 } else { 3 })
                .map(|i| {
                    let mut anchor = dependency(3 * i, 0);
                    anchor.name = format!("anchor {i}").into();
                    anchor.host.name = format!("anchor-{i}").into();
                    Arc::new(anchor)
                })
                .collect(),
            ..Vantage::default()
        },
        otlp: None,
        alerting: Default::default(),
        listen: None,
        discovery: [].into(),
        scale_out: None,
        location: None,
    }
}

fn dependency(i: u8, variant: u8) -> Dependency {
    // Three share a host; the variant changes the interval, the labels or the breaker of some.
    let host: Arc<str> = format!("host-{}", i / 3).into();
    let endpoint = Endpoint {
        host: Arc::clone(&host),
        port: 80,
    };
    let label: Arc<str> = if variant == 1 && i.is_multiple_of(2) {
        "b".into()
    } else {
        "a".into()
    };
    Dependency {
        name: format!("dependency-{i}").into(),
        labels: Arc::from([(Arc::from("team"), label)]),
        probe: if i.is_multiple_of(3) {
            Probe::Http(Box::new(http(endpoint)))
        } else {
            Probe::Tcp(TcpProbe {
                endpoint,
                resolve: ResolveSettings::default(),
                proxy: None,
            })
        },
        host: HostKey {
            name: host,
            port: 80,
            proxy: None,
        },
        interval: Duration::from_secs(if variant == 2 { 7 } else { 10 }),
        timeouts: Timeouts {
            attempt: Duration::from_secs(2),
            total: Duration::from_secs(5),
            ..Timeouts::default()
        },
        retry: RetryPolicy {
            attempts: 1 + i % 3,
            ..RetryPolicy::default()
        },
        breaker: BreakerPolicy {
            refuse: i.is_multiple_of(4),
            ..BreakerPolicy::default()
        },
        confirm: Confirm::Gentle,
        keepalive: Keepalive {
            reuse: i.is_multiple_of(2),
            discover: i.is_multiple_of(3).then(Arc::default),
        },
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: variant != 1 && i % 4 < 2,
        alerts: Arc::default(),
    }
}

fn attempt(kind: u8, order: &AttemptOrder) -> Attempt {
    let mut hop = Hop::new("tcp://property".into(), Role::Target);
    hop.reused = kind == 3;
    hop.phases.add(Phase::Connect, Duration::from_millis(1));
    let trouble = match kind {
        0 | 1 => None,
        2 => Some(Trouble::Io {
            call: Call::Connect,
            errno: 111,
        }),
        3 => Some(Trouble::Closed),
        4 => Some(Trouble::TimedOut(order.budget_of)),
        _ => Some(Trouble::Io {
            call: Call::Socket,
            errno: 24,
        }),
    };
    let outcome = trouble.map_or(Outcome::Answered, |trouble| {
        let stop = Stop {
            phase: Some(Phase::Connect),
            hop: Some(0),
            trouble,
            chain: Vec::new(),
        };
        Outcome::Stopped(Box::new(stop))
    });
    Attempt {
        started: Wall::default(),
        elapsed: Duration::from_millis(1),
        hops: vec![hop],
        stale_found: None,
        outcome,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_inputs_keeps_the_engine_whole(actions in actions()) {
        let mut world = World::new();
        for action in actions {
            match action {
                Action::Plan { members, variant, concurrency, per_host } => {
                    world.limits = Limits { concurrency, concurrency_per_host: per_host, ..Limits::default() };
                    let plan = plan(members, variant, world.limits);
                    world.apply(Input::PlanChanged(Arc::new(plan)));
                    prop_assert_eq!(world.engine.view().dependencies, members.count_ones() as usize);
                }
                Action::Answer { newest, kind } => world.answer(newest, kind),
                Action::Observe { silent } => world.observe(silent),
                Action::Resources { open } => world.apply(Input::ResourcesChanged(Resources {
                    open_files: open,
                    open_files_limit: 1024,
                    ports: None,
                })),
                Action::Pass { millis } => world.pass(Duration::from_millis(millis.into())),
                Action::Suspend { millis } => world.now = world.now + Duration::from_millis(millis.into()),
                Action::Stray => {
                    let order = AttemptOrder {
                        index: DependencyIndex(0),
                        dependency: Arc::new(dependency(0, 0)),
                        operation: OperationId(u64::MAX),
                        number: 1,
                        connection: whyd::model::order::Connection::Fresh,
                        leave_unheard: false,
                        budget: Duration::from_secs(1),
                        budget_of: Budget::Attempt,
                    };
                    let attempt = Box::new(attempt(0, &order));
                    world.apply(Input::AttemptFinished { index: order.index, operation: order.operation, attempt });
                }
            }
        }
        // Every operation that is counted is one that was concluded, once.
        world.apply(Input::Stop);
        while !world.under_way.is_empty() {
            world.answer(false, 2);
        }
        // What waits for an observation goes on with it, or without it after a while.
        world.observe(true);
        while !world.under_way.is_empty() {
            world.answer(false, 2);
        }
        world.pass(Duration::from_secs(10));
        while !world.under_way.is_empty() {
            world.answer(false, 2);
        }
        let view = world.engine.view();
        prop_assert_eq!(view.in_flight, 0);
        prop_assert_eq!(view.waiting, 0);
        prop_assert!(world.drained);
        prop_assert!(world.idle.is_empty(), "an idle round outlives the stop");
    }
}
