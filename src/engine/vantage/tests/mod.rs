//! Outages of our own and of others', in virtual time: a world in which every attempt meets what the script says of its
//! host at that moment.

mod judging;
mod outages;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, Input, Output};
use crate::model::attempt::*;
use crate::model::dependency::*;
use crate::model::event::{Event, VantageChange};
use crate::model::failure::{OperationRecord, Verdict};
use crate::model::order::AttemptOrder;
use crate::model::phase::Phase;
use crate::model::plan::{Limits, Plan};
use crate::model::time::{Moment, Now, Wall};
use crate::model::vantage::*;

const EPOCH: i64 = 1_795_478_400;

/// What an attempt meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    Answer,
    /// Silence, until the connect budget ends.
    Silence,
    NoRoute,
    /// The name does not resolve in time.
    NoResolver,
}

/// The network at a moment: what an attempt at that host meets, and what the kernel says.
pub type Nature = Box<dyn Fn(&str, Moment) -> Meets>;

pub struct World {
    pub engine: Engine,
    pub now: Moment,
    nature: Nature,
    network: Box<dyn Fn(Moment) -> NetworkFacts>,
    coming: BinaryHeap<Reverse<(Moment, u64)>>,
    bodies: BTreeMap<u64, Input>,
    serial: u64,
    pub records: Vec<Arc<OperationRecord>>,
    pub changes: Vec<(Moment, VantageChange)>,
    pub observations: usize,
    pub attempts: usize,
}

pub fn at(secs: f64) -> Moment {
    Moment::from_nanos((secs * 1e9) as u64)
}

/// eth0 with 10.9.0.2/24 and a default route, as long as `up` says so.
pub fn network(up: bool) -> NetworkFacts {
    let interface = |name: &str, loopback, up| Interface {
        name: name.into(),
        loopback,
        adapter: !loopback,
        up,
        running: up,
    };
    let own = |address: &str, prefix, interface: &str| OwnAddress {
        address: address.parse().expect("an address"),
        prefix,
        interface: interface.into(),
    };
    let route = DefaultRoute {
        ipv6: false,
        gateway: Some("10.9.0.1".parse().expect("an address")),
        interface: "eth0".into(),
        neighbour: Some(true),
    };
    NetworkFacts {
        interfaces: vec![interface("lo", true, true), interface("eth0", false, up)],
        addresses: vec![own("127.0.0.1", 8, "lo"), own("10.9.0.2", 24, "eth0")],
        default_routes: if up { vec![route] } else { Vec::new() },
    }
}

impl World {
    /// Dependencies at those hosts (addresses), and anchors at those.
    pub fn new(hosts: &[&str], anchors: &[&str], nature: impl Fn(&str, Moment) -> Meets + 'static) -> World {
        World::with_network(hosts, anchors, nature, |_| network(true))
    }

    pub fn with_network(
        hosts: &[&str],
        anchors: &[&str],
        nature: impl Fn(&str, Moment) -> Meets + 'static,
        network: impl Fn(Moment) -> NetworkFacts + 'static,
    ) -> World {
        let plan = plan(hosts, anchors, false);
        World::of(plan, nature, network)
    }

    pub fn of(
        plan: Plan,
        nature: impl Fn(&str, Moment) -> Meets + 'static,
        network: impl Fn(Moment) -> NetworkFacts + 'static,
    ) -> World {
        let now = Now {
            moment: Moment::ZERO,
            wall: Wall::from_unix_secs(EPOCH),
        };
        let mut world = World {
            engine: Engine::new(7, now),
            now: Moment::ZERO,
            nature: Box::new(nature),
            network: Box::new(network),
            coming: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            serial: 0,
            records: Vec::new(),
            changes: Vec::new(),
            observations: 0,
            attempts: 0,
        };
        world.apply(Input::PlanChanged(Arc::new(plan)));
        world
    }

    pub fn clock(&self) -> Now {
        Now {
            moment: self.now,
            wall: Wall::from_unix_nanos(EPOCH * 1_000_000_000 + self.now.as_nanos() as i64),
        }
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
            Output::StartAttempt(order) => {
                self.attempts += 1;
                let attempt = self.attempt(&order);
                let input = Input::AttemptFinished {
                    index: order.index,
                    operation: order.operation,
                    attempt: Box::new(attempt.clone()),
                };
                self.arrive(attempt.elapsed, input);
            }
            Output::CheckVantage(order) => {
                self.observations += 1;
                let network = (self.network)(self.now);
                let mut took = Duration::from_millis(1);
                let mut anchors = Vec::new();
                for anchor in order.anchors.iter() {
                    let order = AttemptOrder {
                        index: DependencyIndex(u32::MAX),
                        dependency: Arc::clone(anchor),
                        operation: crate::model::order::OperationId(0),
                        number: 1,
                        connection: crate::model::order::Connection::Fresh,
                        budget: order.budget,
                        budget_of: Budget::Attempt,
                        leave_unheard: false,
                    };
                    let attempt = self.attempt(&order);
                    took = took.max(attempt.elapsed);
                    anchors.push(Some(Box::new(attempt)));
                }
                let facts = Box::new(VantageFacts {
                    anchors,
                    network: Some(network),
                });
                self.arrive(took, Input::VantageObserved { id: order.id, facts });
            }
            Output::Observed(Event::OperationFinished(record)) => self.records.push(record),
            Output::Observed(Event::VantageChanged(change)) => self.changes.push((self.now, change)),
            Output::StartConfirmation(order) => panic!("no second look is wanted here: {:?}", order.kind),
            _ => {}
        }
    }

    fn arrive(&mut self, after: Duration, input: Input) {
        self.serial += 1;
        self.coming.push(Reverse((self.now + after, self.serial)));
        self.bodies.insert(self.serial, input);
    }

    /// Time passes until then.
    pub fn run_until(&mut self, end: Moment) {
        loop {
            let answer = self.coming.peek().map(|Reverse((at, _))| *at);
            let deadline = self.engine.next_deadline();
            let next = answer.into_iter().chain(deadline).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if answer == Some(next)
                && let Some(Reverse((_, serial))) = self.coming.pop()
                && let Some(input) = self.bodies.remove(&serial)
            {
                self.apply(input);
            } else {
                self.apply(Input::Woke);
            }
        }
        self.now = end;
    }

    fn attempt(&self, order: &AttemptOrder) -> Attempt {
        let host = Arc::clone(&order.dependency.host.name);
        let meets = (self.nature)(&host, self.now);
        let mut hop = Hop::new(order.dependency.probe.target().into(), Role::Target);
        let address: Option<IpAddr> = host.parse().ok();
        hop.address = address.map(|address| (address, 80).into());
        let silent = order.dependency.timeouts.connect.min(order.budget);
        let (phase, took, trouble) = match meets {
            Meets::Answer => (Phase::Connect, Duration::from_millis(1), None),
            Meets::Silence => (Phase::Connect, silent, Some(Trouble::TimedOut(Budget::Phase))),
            Meets::NoRoute => (
                Phase::Connect,
                Duration::from_micros(50),
                Some(Trouble::Io {
                    call: Call::Connect,
                    errno: 101,
                }),
            ),
            Meets::NoResolver => {
                hop.address = None;
                (
                    Phase::Resolve,
                    Duration::from_secs(2),
                    Some(Trouble::TimedOut(Budget::Phase)),
                )
            }
        };
        hop.phases.add(phase, took);
        let outcome = trouble.map_or(Outcome::Answered, |trouble| {
            Outcome::Stopped(Box::new(Stop {
                phase: Some(phase),
                hop: Some(0),
                trouble,
                chain: Vec::new(),
            }))
        });
        Attempt {
            started: self.clock().wall,
            elapsed: took,
            hops: vec![hop],
            stale_found: None,
            outcome,
        }
    }

    pub fn count(&self, verdict: Verdict) -> usize {
        self.records
            .iter()
            .filter(|record| record.verdict == verdict)
            .count()
    }

    /// The causes of everything that was not well.
    pub fn causes(&self) -> Vec<&'static str> {
        let failures = self.records.iter().filter_map(|record| record.failure.as_ref());
        failures.map(|failure| failure.cause.id()).collect()
    }

    /// When we went offline and came back, in whole seconds.
    pub fn went_and_came(&self) -> (Vec<u64>, Vec<u64>) {
        let mut sights = (Vec::new(), Vec::new());
        for (at, change) in &self.changes {
            let second = at.as_nanos() / 1_000_000_000;
            match change {
                VantageChange::Offline { .. } => sights.0.push(second),
                VantageChange::Online { .. } => sights.1.push(second),
                VantageChange::AnchorsDiscredited { .. } => {}
            }
        }
        sights
    }
}

pub fn plan(hosts: &[&str], anchors: &[&str], one_round: bool) -> Plan {
    let mut dependencies: Vec<Arc<Dependency>> = hosts
        .iter()
        .enumerate()
        .map(|(i, host)| Arc::new(dependency(&format!("dependency-{i:02}"), host)))
        .collect();
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    let vantage = Vantage::default();
    let anchors: Vec<Arc<Dependency>> = anchors
        .iter()
        .map(|host| {
            let mut anchor = dependency(&format!("anchor tcp://{host}:80"), host);
            anchor.timeouts.connect = vantage.timeout;
            Arc::new(anchor)
        })
        .collect();
    Plan {
        dependencies,
        limits: Limits::default(),
        vantage: Vantage {
            anchors: anchors.into(),
            ..vantage
        },
        one_round,
        otlp: None,
        alerting: Default::default(),
        listen: None,
        discovery: [].into(),
        scale_out: None,
        location: None,
    }
}

pub fn dependency(name: &str, host: &str) -> Dependency {
    let endpoint = Endpoint {
        host: host.into(),
        port: 80,
    };
    Dependency {
        name: name.into(),
        labels: Arc::from([]),
        host: HostKey {
            name: endpoint.host.clone(),
            port: 80,
            proxy: None,
        },
        probe: Probe::Tcp(TcpProbe {
            endpoint,
            resolve: ResolveSettings::default(),
            proxy: None,
        }),
        interval: Duration::from_secs(10),
        timeouts: Timeouts {
            attempt: Duration::from_secs(4),
            total: Duration::from_secs(9),
            ..Timeouts::default()
        },
        retry: RetryPolicy::default(),
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
