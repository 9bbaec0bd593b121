//! Many dependencies in one engine, each with answers of its own, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use whyd::engine::{Engine, Input, Output};
use whyd::model::alert::*;
use whyd::model::alert_policy::AlertPolicy;
use whyd::model::attempt::*;
use whyd::model::dependency::*;
use whyd::model::event::Event;
use whyd::model::evidence::Evidence;
use whyd::model::headroom::Resources;
use whyd::model::notification::{DeliveryOrder, DeliveryOutcome};
use whyd::model::order::{AttemptOrder, ConfirmationOrder, Connection};
use whyd::model::phase::Phase;
use whyd::model::plan::{Limits, Plan};
use whyd::model::receiver::Alerting;
use whyd::model::record::{Change, Record, RecordKey};
use whyd::model::resolution::{AddressSource, Resolution};
use whyd::model::time::{Moment, Now, Wall};
use whyd::model::tls::{CertificateFacts, TlsFacts};
use whyd::model::vantage::{DefaultRoute, Interface, NetworkFacts, VantageFacts};

use crate::asked::http;

/// 2026-11-24T00:00:00Z.
const EPOCH: i64 = 1_795_478_400;

/// What one attempt meets.
#[derive(Clone, Debug)]
pub enum Meets {
    Ok(Duration),
    /// Refused after that time.
    Refused(Duration),
    /// Nothing comes until the budget ends.
    Silence,
    /// Answers, after a parked connection was found dead before anything was sent.
    StaleOk(StaleKind),
    /// A parked connection ends after the request was sent.
    StaleAfterSend,
    /// Answers over TLS with a certificate that is valid from and to those days from the start.
    Certificate {
        from: i64,
        to: i64,
    },
    /// Answers at the address of that place among the name's two, after those before it refused.
    OfTwo(usize),
}

/// Of a name that has two.
pub const TWO: [&str; 2] = ["[2001:db8::1]:80", "192.0.2.1:80"];

pub const OK: Meets = Meets::Ok(Duration::from_millis(20));
pub const REFUSED: Meets = Meets::Refused(Duration::from_millis(1));

/// Says what the attempt of the dependency with that place meets: the number of its operation (from 0), the number of the
/// attempt (from 1), and the time.
pub type Answers = Box<dyn FnMut(usize, u64, u8, Duration) -> Meets>;

/// Says what a second look finds.
pub type Looks = Box<dyn FnMut(&ConfirmationOrder, Wall) -> ConfirmationResult>;

/// Says what becomes of a delivery.
pub type Deliveries = Box<dyn FnMut(&DeliveryOrder, Duration) -> DeliveryOutcome>;

/// SplitMix64, for what happens at random.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Something that happened to an alert.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Duration,
    pub key: AlertKey,
    pub change: AlertChange,
    pub severity: Severity,
    pub text: Arc<AlertText>,
}

pub struct Fleet {
    pub engine: Engine,
    now: Moment,
    /// Of the wall clock against the monotonic one, at the start of this process.
    wall: i64,
    answers: Answers,
    /// Without it nothing is to be looked at twice, and nobody is to be told.
    pub looks: Option<Looks>,
    pub deliveries: Option<Deliveries>,
    pub limits: Limits,
    pub alerting: Alerting,
    asked: BTreeMap<Arc<str>, (usize, u64, u64)>,
    coming: BinaryHeap<Reverse<(Moment, u64)>>,
    bodies: BTreeMap<u64, Input>,
    serial: u64,
    /// Our own network has no link.
    pub is_offline: bool,
    pub told: Vec<Told>,
    pub kept: BTreeMap<RecordKey, Record>,
    pub plan: Vec<Arc<Dependency>>,
}

impl Fleet {
    pub fn new(plan: Vec<Dependency>, answers: Answers) -> Fleet {
        let mut fleet = Fleet {
            engine: Engine::new(1, Fleet::at(EPOCH, Moment::ZERO)),
            now: Moment::ZERO,
            wall: EPOCH,
            answers,
            looks: None,
            deliveries: None,
            limits: Limits {
                concurrency: 100_000,
                concurrency_per_host: 1_000,
                confirmations_per_host: 30,
            },
            alerting: Alerting::default(),
            asked: BTreeMap::new(),
            coming: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            serial: 0,
            is_offline: false,
            told: Vec::new(),
            kept: BTreeMap::new(),
            plan: plan.into_iter().map(Arc::new).collect(),
        };
        fleet.apply_plan();
        fleet
    }

    fn at(wall: i64, moment: Moment) -> Now {
        Now {
            moment,
            wall: Wall::from_unix_nanos(wall * 1_000_000_000 + moment.as_nanos() as i64),
        }
    }

    pub fn clock(&self) -> Now {
        Fleet::at(self.wall, self.now)
    }

    /// Time since the start of the first process.
    pub fn elapsed(&self) -> Duration {
        Duration::from_secs((self.wall - EPOCH) as u64) + self.now.since(Moment::ZERO)
    }

    pub fn apply_plan(&mut self) {
        self.plan.sort_by(|one, other| one.name.cmp(&other.name));
        for (place, dependency) in self.plan.iter().enumerate() {
            self.asked
                .entry(Arc::clone(&dependency.name))
                .or_insert((place, 0, 0));
        }
        let plan = Plan {
            dependencies: self.plan.clone(),
            limits: self.limits,
            one_round: false,
            vantage: Default::default(),
            otlp: None,
            alerting: self.alerting.clone(),
            listen: None,
            discovery: [].into(),
            scale_out: None,
            location: None,
        };
        self.apply(Input::PlanChanged(Arc::new(plan)));
    }

    /// The process ends and another one begins after that time, with what was kept.
    pub fn restart(&mut self, down: Duration) {
        self.apply(Input::Stop);
        self.restart_killed(down);
    }

    /// The same without a stop.
    pub fn restart_killed(&mut self, down: Duration) {
        self.wall += (self.now.since(Moment::ZERO) + down).as_secs() as i64;
        self.now = Moment::ZERO;
        self.coming.clear();
        self.bodies.clear();
        self.engine = Engine::new(1, self.clock());
        let now = self.clock();
        self.engine.restore(self.kept.values().cloned().collect(), now);
        self.apply_plan();
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.coming.peek().map(|Reverse((at, _))| *at);
            let wake = self.engine.next_deadline();
            let next = match (arrival, wake) {
                (Some(one), Some(other)) => one.min(other),
                (one, other) => match one.or(other) {
                    Some(at) => at,
                    None => break,
                },
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Reverse((_, serial)) = self.coming.pop().expect("just peeked");
                let input = self.bodies.remove(&serial).expect("its body");
                self.apply(input);
            } else {
                self.apply(Input::Woke);
            }
        }
        self.now = self.now.max(end);
    }

    /// Time passes in which nothing of ours runs.
    pub fn sleep(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    pub fn apply(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.engine.apply(input, self.clock(), &mut outputs);
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::StartAttempt(order) => self.attempt(&order),
            Output::StartConfirmation(order) => {
                let wall = self.clock().wall;
                let looks = self.looks.as_mut().expect("nothing is looked at twice");
                let confirmation = Box::new(Confirmation {
                    elapsed: Duration::from_millis(5),
                    result: looks(&order, wall),
                    evidence: Evidence::new(),
                });
                let (index, operation) = (order.index, order.operation);
                let input = Input::ConfirmationFinished {
                    index,
                    operation,
                    confirmation,
                };
                self.arrive(Duration::from_millis(5), input);
            }
            Output::Deliver(order) => {
                let elapsed = self.elapsed();
                let deliveries = self.deliveries.as_mut().expect("nobody is told");
                let input = Input::DeliveryFinished {
                    delivery: order.delivery,
                    outcome: deliveries(&order, elapsed),
                };
                self.arrive(Duration::from_millis(5), input);
            }
            Output::CheckVantage(order) => {
                let route = DefaultRoute {
                    ipv6: false,
                    gateway: "192.0.2.254".parse().ok(),
                    interface: "eth0".into(),
                    neighbour: None,
                };
                let network = Some(NetworkFacts {
                    interfaces: vec![Interface {
                        name: "eth0".into(),
                        loopback: false,
                        adapter: true,
                        up: true,
                        running: !self.is_offline,
                    }],
                    default_routes: if self.is_offline { vec![] } else { vec![route] },
                    ..NetworkFacts::default()
                });
                let facts = Box::new(VantageFacts {
                    network,
                    ..VantageFacts::default()
                });
                self.arrive(Duration::ZERO, Input::VantageObserved { id: order.id, facts });
            }
            Output::Persist { seq, changes } => {
                for change in changes {
                    let key = change.key();
                    match change {
                        Change::Put(record) => self.kept.insert(key, record),
                        Change::Remove(key) => self.kept.remove(&key),
                    };
                }
                self.arrive(Duration::ZERO, Input::Persisted { seq, durable: true });
            }
            Output::Observed(Event::AlertChanged { change, view }) => self.told.push(Told {
                at: self.elapsed(),
                key: view.key,
                change,
                severity: view.severity,
                text: view.text,
            }),
            _ => {}
        }
    }

    fn arrive(&mut self, after: Duration, input: Input) {
        self.serial += 1;
        self.coming.push(Reverse((self.now + after, self.serial)));
        self.bodies.insert(self.serial, input);
    }

    fn attempt(&mut self, order: &AttemptOrder) {
        let elapsed = self.elapsed();
        let (place, count, last) = self.asked.get_mut(&order.dependency.name).expect("in the plan");
        if *last != order.operation.0 {
            *count += u64::from(*last != 0);
            *last = order.operation.0;
        }
        let meets = (self.answers)(*place, *count, order.number, elapsed);
        let attempt = facts(&meets, order, self.clock().wall);
        let input = Input::AttemptFinished {
            index: order.index,
            operation: order.operation,
            attempt: Box::new(attempt),
        };
        let after = match meets {
            Meets::Ok(after) | Meets::Refused(after) => after.min(order.budget),
            Meets::Silence => order.budget,
            _ => Duration::from_millis(5),
        };
        self.arrive(after, input);
    }

    /// Descriptors that are open, of a thousand.
    pub fn open_files(&mut self, open_files: u64) {
        self.apply(Input::ResourcesChanged(Resources {
            open_files,
            open_files_limit: 1_000,
            ports: None,
        }));
    }

    /// What was raised, with the time.
    pub fn fired(&self) -> Vec<(Rule, String, Duration)> {
        let fired = self.told.iter().filter(|told| told.change == AlertChange::Fired);
        fired
            .map(|told| (told.key.rule, told.key.subject.to_string(), told.at))
            .collect()
    }

    pub fn state(&self, rule: Rule, name: &str) -> AlertState {
        let views = self.engine.why(Some(name), self.clock()).expect("in the plan");
        views
            .iter()
            .find(|view| view.key.rule == rule)
            .map(|view| view.state)
            .expect("a rule")
    }

    pub fn why(&self, rule: Rule, name: &str) -> String {
        let views = self.engine.why(Some(name), self.clock()).expect("in the plan");
        let found = views.iter().find(|view| view.key.rule == rule);
        found
            .map(|view| view.evaluation.text.to_string())
            .expect("a rule")
    }
}

/// A dependency on a host of its own, asked by one attempt.
pub fn dependency(name: &str, interval: Duration) -> Dependency {
    let host: Arc<str> = format!("{name}.example").into();
    let endpoint = Endpoint {
        host: Arc::clone(&host),
        port: 80,
    };
    Dependency {
        name: name.into(),
        labels: Arc::from([]),
        probe: Probe::Http(Box::new(http(endpoint))),
        host: HostKey {
            name: host,
            port: 80,
            proxy: None,
        },
        interval,
        timeouts: Timeouts {
            attempt: (interval / 2).min(Duration::from_secs(4)),
            total: interval.min(Duration::from_secs(9)),
            ..Timeouts::default()
        },
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        breaker: BreakerPolicy::default(),
        confirm: Confirm::Off,
        keepalive: Keepalive {
            reuse: false,
            discover: None,
        },
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::new(AlertPolicy::default()),
    }
}

pub fn many(count: usize, interval: Duration) -> Vec<Dependency> {
    (0..count)
        .map(|place| dependency(&format!("d{place:04}"), interval))
        .collect()
}

fn facts(meets: &Meets, order: &AttemptOrder, started: Wall) -> Attempt {
    let mut hop = Hop::new("http://fleet/".into(), Role::Target);
    let mut before = Vec::new();
    hop.address = "192.0.2.1:80".parse().ok();
    hop.reused = order.connection == Connection::Reuse && order.number == 1;
    let mut stale_found = None;
    let (phase, elapsed, trouble) = match meets {
        Meets::Ok(elapsed) => (Phase::Body, (*elapsed).min(order.budget), None),
        Meets::Refused(elapsed) => (
            Phase::Connect,
            (*elapsed).min(order.budget),
            Some(Trouble::Io {
                call: Call::Connect,
                errno: 111,
            }),
        ),
        Meets::Silence => (
            Phase::FirstByte,
            order.budget,
            Some(Trouble::TimedOut(order.budget_of)),
        ),
        Meets::StaleOk(kind) => {
            hop.reused = false;
            stale_found = Some(StaleConnection {
                kind: *kind,
                address: "192.0.2.1:80".parse().expect("an address"),
                idle: Duration::from_secs(20),
                measured: true,
            });
            (Phase::Body, Duration::from_millis(5), None)
        }
        Meets::StaleAfterSend => (Phase::FirstByte, Duration::from_millis(5), Some(Trouble::Closed)),
        Meets::Certificate { from, to } => {
            let day = |day: i64| Wall::from_unix_secs(EPOCH + day * 86_400);
            hop.tls = Some(Box::new(TlsFacts {
                chain: vec![CertificateFacts {
                    subject: "CN=fleet.example".into(),
                    issuer: "CN=Fleet CA".into(),
                    serial: "01".into(),
                    not_before: day(*from),
                    not_after: day(*to),
                    names: vec!["fleet.example".into()],
                    is_ca: false,
                    self_issued: false,
                    signature_algorithm: "ECDSA".into(),
                    key: "EC P-256".into(),
                    fingerprint: "ab12".into(),
                    needed: true,
                }],
                ..TlsFacts::default()
            }));
            (Phase::Body, Duration::from_millis(5), None)
        }
        Meets::OfTwo(place) => {
            before = TWO[..*place].iter().map(|address| refused_hop(address)).collect();
            hop.address = TWO[*place].parse().ok();
            let addresses = TWO.iter().map(|address| socket(address).ip());
            hop.resolution = Some(Box::new(Resolution {
                name: "fleet".into(),
                source: AddressSource::Nameserver,
                addresses: addresses.collect(),
                ttl: None,
                answers: vec![],
                system: None,
            }));
            (Phase::Body, Duration::from_millis(5), None)
        }
    };
    hop.phases.add(phase, elapsed);
    hop.sent = if phase == Phase::Connect { 0 } else { 100 };
    hop.received = if trouble.is_none() { 200 } else { 0 };
    let outcome = match trouble {
        None => Outcome::Answered,
        Some(trouble) => Outcome::Stopped(Box::new(Stop {
            phase: Some(phase),
            hop: Some(0),
            trouble,
            chain: vec![],
        })),
    };
    Attempt {
        started,
        elapsed,
        hops: before.into_iter().chain([hop]).collect(),
        stale_found,
        outcome,
    }
}

fn socket(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

fn refused_stop() -> Stop {
    Stop {
        phase: Some(Phase::Connect),
        hop: Some(0),
        trouble: Trouble::Io {
            call: Call::Connect,
            errno: 111,
        },
        chain: vec![],
    }
}

fn refused_hop(address: &str) -> Hop {
    let mut hop = Hop::new("http://fleet/".into(), Role::Target);
    hop.address = Some(socket(address));
    hop.phases.add(Phase::Connect, Duration::from_millis(1));
    hop.stop = Some(Box::new(refused_stop()));
    hop
}

/// An attempt at that address alone, which refuses.
pub fn refused_at(address: &str, started: Wall) -> Attempt {
    Attempt {
        started,
        elapsed: Duration::from_millis(1),
        hops: vec![refused_hop(address)],
        stale_found: None,
        outcome: Outcome::Stopped(Box::new(refused_stop())),
    }
}
