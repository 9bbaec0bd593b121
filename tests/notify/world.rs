//! A world around the engine: dependencies that answer as they are told to, a store, receivers.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use whyd::engine::{Engine, Input, Output};
use whyd::model::alert::{AlertChange, AlertKey, Severity};
use whyd::model::alert_policy::AlertPolicy;
use whyd::model::attempt::*;
use whyd::model::dependency::*;
use whyd::model::event::{DeliveryEvent, Event};
use whyd::model::evidence::Evidence;
use whyd::model::notification::{DeliveryOrder, DeliveryOutcome, Notification, Occasion};
use whyd::model::order::AttemptOrder;
use whyd::model::phase::Phase;
use whyd::model::plan::{Limits, Plan};
use whyd::model::receiver::*;
use whyd::model::record::{Change, PersistSeq, Record, RecordKey};
use whyd::model::silence::{Matcher, Silence, SilenceChange};
use whyd::model::time::{Moment, Now, Wall};
use whyd::model::vantage::{Vantage, VantageFacts};

use crate::asked::http;

/// Civil time at the beginning.
pub const EPOCH: i64 = 1_795_478_400;

/// How a dependency answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Well,
    /// Its port refuses, at 10.0.0.N.
    Refused(u8),
    /// Its port refuses, on loopback.
    RefusedHere(u16),
    /// The proxy refuses.
    ProxyGone,
    /// The resolver is silent.
    ResolverGone,
    /// An HTTP 500.
    Broken,
    /// We are out of descriptors.
    Ours,
}

/// What a receiver does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Takes,
    Fails,
    RetryAfter(u64),
    Refuses,
    /// Says nothing until it is asked to.
    Hangs,
}

pub struct Heard {
    pub at: Moment,
    pub notification: Arc<Notification>,
}

pub struct World {
    pub engine: Engine,
    pub now: Moment,
    /// How far the monotonic clock of this process is behind `now`: a restart begins a new one.
    born: Moment,
    pub natures: HashMap<Arc<str>, Nature>,
    pub manners: HashMap<Arc<str>, Manner>,
    pub plan: Arc<Plan>,
    /// What is on disk.
    pub disk: BTreeMap<RecordKey, Record>,
    /// What was handed out and is not on disk yet. Empty where it is written at once.
    pub unwritten: Vec<(PersistSeq, Vec<Change>)>,
    pub writes_at_once: bool,
    pub hanging: Vec<DeliveryOrder>,
    /// Everything that a receiver took, in order, with what came again.
    pub heard: BTreeMap<Arc<str>, Vec<Heard>>,
    pub tries: BTreeMap<Arc<str>, Vec<Moment>>,
    pub deliveries: Vec<DeliveryEvent>,
    pub changes: Vec<(Moment, AlertKey, AlertChange)>,
    pub drained: bool,
    /// Since when something waits that people are to be told, as the engine says.
    pub untold: Option<Wall>,
    /// Seconds that this host's civil time is ahead.
    pub skew: i64,
    inputs: std::collections::VecDeque<Input>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            engine: Engine::new(7, now_at(Moment::ZERO, Moment::ZERO)),
            now: Moment::ZERO,
            born: Moment::ZERO,
            natures: HashMap::new(),
            manners: HashMap::new(),
            plan: Arc::new(plan),
            disk: BTreeMap::new(),
            unwritten: Vec::new(),
            writes_at_once: true,
            hanging: Vec::new(),
            heard: BTreeMap::new(),
            tries: BTreeMap::new(),
            deliveries: Vec::new(),
            changes: Vec::new(),
            drained: false,
            untold: None,
            skew: 0,
            inputs: Default::default(),
        };
        world.apply(Input::PlanChanged(Arc::clone(&world.plan)));
        world
    }

    fn clock(&self) -> Now {
        let mut now = now_at(self.now, self.born);
        now.wall = Wall::from_unix_nanos(now.wall.unix_nanos() + self.skew * 1_000_000_000);
        now
    }

    pub fn apply(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let mut outputs = Vec::new();
            self.engine.apply(input, self.clock(), &mut outputs);
            for output in outputs {
                self.perform(output);
            }
            let deadline = self.engine.next_deadline();
            let now = self.clock().moment;
            assert!(
                deadline.is_none_or(|at| at > now),
                "an alarm was left behind: {deadline:?} at {now:?}"
            );
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::StartAttempt(order) => {
                let nature = self
                    .natures
                    .get(&order.dependency.name)
                    .copied()
                    .unwrap_or(Nature::Well);
                let attempt = Box::new(attempt(nature, &order));
                self.inputs.push_back(Input::AttemptFinished {
                    index: order.index,
                    operation: order.operation,
                    attempt,
                });
            }
            Output::StartConfirmation(order) => {
                let confirmation = Box::new(Confirmation {
                    elapsed: Duration::ZERO,
                    result: ConfirmationResult::NotDone("a test".into()),
                    evidence: Evidence::new(),
                });
                let (index, operation) = (order.index, order.operation);
                self.inputs.push_back(Input::ConfirmationFinished {
                    index,
                    operation,
                    confirmation,
                });
            }
            Output::CheckVantage(order) => self.inputs.push_back(Input::VantageObserved {
                id: order.id,
                facts: Box::new(VantageFacts::default()),
            }),
            Output::Persist { seq, changes } => {
                assert!(!changes.is_empty(), "nothing to keep");
                if self.writes_at_once {
                    self.write(changes);
                    self.inputs.push_back(Input::Persisted { seq, durable: true });
                } else {
                    self.unwritten.push((seq, changes));
                }
            }
            Output::Deliver(order) => self.deliver(order),
            Output::Untold(since) => self.untold = since,
            Output::Observed(Event::Delivery(event)) => self.deliveries.push(event),
            Output::Observed(Event::AlertChanged { change, view }) => {
                self.changes.push((self.now, view.key.clone(), change));
            }
            Output::Observed(Event::Drained) => self.drained = true,
            _ => {}
        }
    }

    fn write(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                // What the rules remember of operations is kept whatever is told.
                Change::Put(Record::Signals(_)) => {}
                Change::Put(record) => drop(self.disk.insert(record.key(), record)),
                Change::Remove(key) => drop(self.disk.remove(&key)),
            }
        }
    }

    /// Writes the oldest thing that was handed out.
    pub fn write_one(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let (seq, changes) = self.unwritten.remove(0);
        self.write(changes);
        self.apply(Input::Persisted { seq, durable: true });
    }

    pub fn write_all(&mut self) {
        while !self.unwritten.is_empty() {
            self.write_one();
        }
    }

    fn deliver(&mut self, order: Box<DeliveryOrder>) {
        let name = Arc::clone(&order.receiver.name);
        self.tries.entry(Arc::clone(&name)).or_default().push(self.now);
        match self.manners.get(&name).copied().unwrap_or(Manner::Takes) {
            Manner::Hangs => self.hanging.push(*order),
            manner => self.answer(&order, manner, true),
        }
    }

    /// The receiver answers. `heard`: the engine hears that.
    fn answer(&mut self, order: &DeliveryOrder, manner: Manner, heard: bool) {
        let outcome = match manner {
            Manner::Takes => {
                self.take(order);
                DeliveryOutcome::Accepted
            }
            Manner::Fails | Manner::Hangs => DeliveryOutcome::Failed {
                why: "it is not there".into(),
                retry_after: None,
            },
            Manner::RetryAfter(seconds) => DeliveryOutcome::Failed {
                why: "too many".into(),
                retry_after: Some(Duration::from_secs(seconds)),
            },
            Manner::Refuses => DeliveryOutcome::Refused {
                why: "it does not like it".into(),
            },
        };
        if heard {
            self.inputs.push_back(Input::DeliveryFinished {
                delivery: order.delivery,
                outcome,
            });
        }
    }

    fn take(&mut self, order: &DeliveryOrder) {
        let heard = self.heard.entry(Arc::clone(&order.receiver.name)).or_default();
        heard.push(Heard {
            at: self.now,
            notification: Arc::clone(&order.notification),
        });
    }

    /// Ends one delivery that hangs.
    pub fn end_hanging(&mut self, place: usize, manner: Manner) {
        if self.hanging.is_empty() {
            return;
        }
        let order = self.hanging.remove(place % self.hanging.len());
        self.answer(&order, manner, true);
        self.apply(Input::Woke);
    }

    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.apply(Input::Woke);
        }
        self.now = end;
    }

    fn next(&self) -> Option<Moment> {
        let at = self.engine.next_deadline()?;
        Some(self.born + Duration::from_nanos(at.as_nanos()))
    }

    pub fn pass_secs(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// kill -9, and a start from what is on disk. What was on its way arrives, or not, and nobody hears of it.
    pub fn restart(&mut self, arrives: impl Fn(usize) -> bool) {
        let hanging = std::mem::take(&mut self.hanging);
        for (place, order) in hanging.into_iter().enumerate() {
            if arrives(place) {
                self.take(&order);
            }
        }
        self.unwritten.clear();
        self.inputs.clear();
        self.drained = false;
        self.untold = None;
        self.born = self.now;
        let now = self.clock();
        self.engine = Engine::new(self.now.as_nanos(), now);
        self.engine.restore(self.disk.values().cloned().collect(), now);
        self.apply(Input::PlanChanged(Arc::clone(&self.plan)));
    }

    pub fn replan(&mut self, plan: Plan) {
        self.plan = Arc::new(plan);
        self.apply(Input::PlanChanged(Arc::clone(&self.plan)));
    }

    pub fn set(&mut self, names: &[&str], nature: Nature) {
        for name in names {
            self.natures.insert((*name).into(), nature);
        }
    }

    pub fn silence(&mut self, id: &str, label: &str, pattern: &str, seconds: u64) {
        let from = self.clock().wall;
        self.apply(Input::SilenceChanged(SilenceChange::Put(Silence {
            id: id.into(),
            matchers: Arc::from([Matcher {
                label: label.into(),
                pattern: pattern.into(),
                negated: false,
            }]),
            owner: "a test".into(),
            reason: "a test".into(),
            from,
            until: from + Duration::from_secs(seconds),
            created: from,
        })));
    }

    pub fn heard_by(&self, receiver: &str) -> &[Heard] {
        self.heard.get(receiver).map_or(&[], Vec::as_slice)
    }

    /// What a receiver heard, without what came again: occasion and the alerts' states.
    pub fn told(&self, receiver: &str) -> Vec<(Occasion, Vec<(String, bool)>)> {
        let mut seen = std::collections::HashSet::new();
        let new = self
            .heard_by(receiver)
            .iter()
            .filter(|heard| seen.insert(Arc::clone(&heard.notification.id)));
        new.map(|heard| {
            let notes = heard.notification.alerts.iter();
            let notes = notes.map(|note| (note.key.subject.to_string(), note.ended.is_none()));
            (heard.notification.occasion, notes.collect())
        })
        .collect()
    }

    pub fn occasions(&self, receiver: &str) -> Vec<Occasion> {
        self.told(receiver)
            .into_iter()
            .map(|(occasion, _)| occasion)
            .collect()
    }

    pub fn wall(&self) -> Wall {
        self.clock().wall
    }
}

fn now_at(now: Moment, born: Moment) -> Now {
    Now {
        moment: Moment::from_nanos(now.as_nanos() - born.as_nanos()),
        wall: Wall::from_unix_nanos(EPOCH * 1_000_000_000 + now.as_nanos() as i64),
    }
}

/// How many ways a property is tried: always the same ones, unless `PROPTEST_CASES` says how many others.
pub fn cases(unless_said: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let asked: Option<u32> = asked.and_then(|number| number.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(unless_said),
        rng_seed: asked.map_or(RngSeed::Fixed(7), |_| RngSeed::Random),
        ..ProptestConfig::default()
    }
}

pub fn plan(dependencies: Vec<Dependency>, receivers: Vec<Receiver>) -> Plan {
    let mut dependencies: Vec<Arc<Dependency>> = dependencies.into_iter().map(Arc::new).collect();
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    Plan {
        dependencies,
        limits: Limits::default(),
        one_round: false,
        vantage: Vantage::default(),
        otlp: None,
        alerting: Alerting {
            receivers: receivers.into_iter().map(Arc::new).collect(),
            monitor: Arc::new(nothing_of_ourselves()),
            ..Alerting::default()
        },
        listen: None,
        discovery: [].into(),
        scale_out: None,
        location: None,
    }
}

/// That a receiver does not take what it is sent is an alert too, which would be told to the others.
fn nothing_of_ourselves() -> AlertPolicy {
    let mut policy = AlertPolicy::default();
    for rule in &mut policy.rules {
        rule.enabled = false;
    }
    policy
}

pub fn receiver(name: &str, channel: Channel) -> Receiver {
    let keeps_states = channel.keeps_states();
    Receiver {
        name: name.into(),
        channel,
        takes: Takes {
            least: Severity::Info,
            matchers: Arc::from([]),
        },
        send_resolved: true,
        repeat: if keeps_states {
            Receiver::REPEAT_ALERTMANAGER
        } else {
            Receiver::REPEAT
        },
        per_minute: Receiver::PER_MINUTE,
        expire: Receiver::EXPIRE,
        timeout: Receiver::TIMEOUT,
        template: Template::default(),
    }
}

pub fn target() -> WebTarget {
    WebTarget {
        url: whyd::model::secret::Text::Plain("http://127.0.0.1:1/".into()),
        headers: Arc::from([]),
        auth: WebAuth::None,
        tls: TlsSettings::default(),
        proxy: None,
    }
}

pub fn webhook(name: &str) -> Receiver {
    receiver(name, Channel::Webhook(target()))
}

pub fn alertmanager(name: &str) -> Receiver {
    receiver(name, Channel::Alertmanager(target()))
}

/// A dependency at a host of its own, asked every 30 s, with one attempt and no second looks.
pub fn dependency(name: &str) -> Dependency {
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
        interval: Duration::from_secs(30),
        timeouts: Timeouts::default(),
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        breaker: BreakerPolicy::default(),
        confirm: Confirm::Off,
        keepalive: Keepalive::default(),
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    }
}

pub fn behind_proxy(mut dependency: Dependency) -> Dependency {
    let proxy = Proxy {
        endpoint: Endpoint {
            host: "127.0.0.1".into(),
            port: 3128,
        },
        tls: false,
        auth: None,
        inherited_from: None,
    };
    dependency.host.proxy = Some(proxy.to_string().into());
    if let Probe::Http(http) = &mut dependency.probe {
        http.proxy = Some(proxy);
    }
    dependency
}

pub fn needing(mut dependency: Dependency, parents: &[&str]) -> Dependency {
    dependency.depends_on = parents.iter().map(|name| Arc::from(*name)).collect();
    dependency
}

fn attempt(nature: Nature, order: &AttemptOrder) -> Attempt {
    let url: Arc<str> = order.dependency.probe.target().into();
    let mut hop = Hop::new(url, Role::Target);
    hop.phases.add(Phase::Connect, Duration::from_millis(1));
    let refused = Trouble::Io {
        call: Call::Connect,
        errno: 111,
    };
    let at = |ip: [u8; 4], port| Some(SocketAddr::new(IpAddr::from(ip), port));
    let stop = match nature {
        Nature::Well => {
            hop.status = Some(200);
            None
        }
        Nature::Refused(n) => {
            hop.address = at([10, 0, 0, n], 80);
            Some((Phase::Connect, refused))
        }
        Nature::RefusedHere(port) => {
            hop.address = at([127, 0, 0, 1], port);
            Some((Phase::Connect, refused))
        }
        Nature::ProxyGone => {
            hop.role = Role::Proxy;
            hop.address = at([127, 0, 0, 1], 3128);
            Some((Phase::Connect, refused))
        }
        Nature::ResolverGone => {
            hop.phases = Default::default();
            hop.phases.add(Phase::Resolve, Duration::from_secs(2));
            let name: Arc<str> = Arc::clone(&order.dependency.host.name);
            hop.resolution = Some(Box::new(Resolution {
                name: Arc::clone(&name),
                source: AddressSource::Nameserver,
                addresses: Vec::new(),
                ttl: None,
                answers: vec![ServerAnswer {
                    server: SocketAddr::new(IpAddr::from([10, 9, 9, 9]), 53),
                    over_tcp: false,
                    how: Asked::default(),
                    name: (*name).into(),
                    record: RecordType::A,
                    elapsed: Duration::from_secs(2),
                    reply: DnsReply::TimedOut,
                    extended: Vec::new(),
                }],
                system: None,
            }));
            Some((Phase::Resolve, Trouble::TimedOut(Budget::Phase)))
        }
        Nature::Broken => {
            hop.address = at([10, 0, 1, 1], 80);
            hop.status = Some(500);
            let unexpected = Unexpected::Status {
                got: 500,
                wanted: "2xx".into(),
            };
            Some((Phase::Verify, Trouble::Unexpected(unexpected)))
        }
        Nature::Ours => Some((
            Phase::Connect,
            Trouble::Io {
                call: Call::Socket,
                errno: 24,
            },
        )),
    };
    let elapsed = hop.phases.sum();
    let outcome = stop.map_or(Outcome::Answered, |(phase, trouble)| {
        Outcome::Stopped(Box::new(Stop {
            phase: Some(phase),
            hop: Some(0),
            trouble,
            chain: Vec::new(),
        }))
    });
    Attempt {
        started: Wall::default(),
        elapsed,
        hops: vec![hop],
        stale_found: None,
        outcome,
    }
}
