//! A world of scripted answers around the engine, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use whyd::engine::{Engine, Input, Output};
use whyd::model::alert::{AlertChange, Rule};
use whyd::model::alert_policy::AlertPolicy;
use whyd::model::attempt::*;
use whyd::model::dependency::*;
use whyd::model::event::Event;
use whyd::model::evidence::Evidence;
use whyd::model::failure::{OperationRecord, RetryDecision, State};
use whyd::model::idle::{IdleLimit, IdleMeasurement};
use whyd::model::order::{AttemptOrder, Connection, IdleOrder, IdleRoundId};
use whyd::model::page::FailureKey;
use whyd::model::phase::Phase;
use whyd::model::plan::{Limits, Plan};
use whyd::model::record::{Change, Record, RecordKey, RecordKind};
use whyd::model::time::{Moment, Now, Wall};

use crate::idle::IdleHost;
use crate::script::{Answer, Step, duration};

use crate::asked::http;

/// 2026-11-24T00:00:00Z.
const EPOCH: i64 = 1_795_478_400;

pub fn run(steps: &[Step]) -> String {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.transcript
}

struct World {
    engine: Engine,
    now: Moment,
    dependencies: BTreeMap<String, Arc<Dependency>>,
    limits: Limits,
    answers: BTreeMap<String, (Vec<Answer>, bool, usize)>,
    /// Answers on their way, by the moment of their arrival.
    coming: BinaryHeap<Reverse<(Moment, u64)>>,
    bodies: BTreeMap<u64, Input>,
    idle_hosts: BTreeMap<String, IdleHost>,
    idle_rounds: BTreeSet<IdleRoundId>,
    kept: BTreeMap<RecordKey, Record>,
    serial: u64,
    transcript: String,
}

impl World {
    fn new() -> Self {
        let now = Now {
            moment: Moment::ZERO,
            wall: Wall::from_unix_secs(EPOCH),
        };
        World {
            engine: Engine::new(42, now),
            now: Moment::ZERO,
            dependencies: BTreeMap::new(),
            limits: Limits::default(),
            answers: BTreeMap::new(),
            coming: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            idle_hosts: BTreeMap::new(),
            idle_rounds: BTreeSet::new(),
            kept: BTreeMap::new(),
            serial: 0,
            transcript: String::new(),
        }
    }

    fn clock(&self) -> Now {
        Now {
            moment: self.now,
            wall: Wall::from_unix_nanos(EPOCH * 1_000_000_000 + self.now.as_nanos() as i64),
        }
    }

    fn say(&mut self, text: impl AsRef<str>) {
        let seconds = self.now.as_nanos() as f64 / 1e9;
        writeln!(self.transcript, "{seconds:>9.3}  {}", text.as_ref()).expect("writing to a string");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Limits {
                concurrency,
                per_host,
            } => {
                self.limits.concurrency = *concurrency;
                self.limits.concurrency_per_host = *per_host;
            }
            Step::Dependency { name, options } => {
                self.dependencies
                    .insert(name.clone(), Arc::new(dependency(name, options)));
            }
            Step::Answers { name, answers, cycle } => {
                self.answers.insert(name.clone(), (answers.clone(), *cycle, 0));
            }
            Step::Drop(name) => {
                self.dependencies.remove(name).expect("a dependency of that name");
            }
            Step::Apply => self.apply_plan(),
            Step::Run(span) => self.run(*span),
            Step::Suspend(span) => self.now = self.now + *span,
            Step::Figures(name) => self.figures(name),
            Step::Idle { host, becomes } => {
                self.idle_hosts.insert(host.clone(), *becomes);
            }
            Step::Restart => {
                self.say("restart");
                self.engine = Engine::new(42, self.clock());
                let now = self.clock();
                self.engine.restore(self.kept.values().cloned().collect(), now);
                self.coming.clear();
                self.idle_rounds.clear();
                self.apply_plan();
            }
            Step::History(name) => self.history(name),
            Step::Alerts => self.alerts(),
            Step::Why { name, rule } => self.why(name.as_deref(), rule),
            Step::Stop => self.apply(Input::Stop),
            Step::Abandon => self.apply(Input::Abandon),
        }
    }

    fn apply_plan(&mut self) {
        let plan = Plan {
            dependencies: self.dependencies.values().cloned().collect(),
            limits: self.limits,
            one_round: false,
            vantage: Default::default(),
            otlp: None,
            alerting: Default::default(),
            listen: None,
            discovery: [].into(),
            scale_out: None,
            location: None,
        };
        self.apply(Input::PlanChanged(Arc::new(plan)));
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.coming.peek().map(|Reverse((at, _))| *at);
            let wake = self.engine.next_deadline();
            let next = match (arrival, wake) {
                (Some(a), Some(w)) => a.min(w),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => break,
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Reverse((_, serial)) = self.coming.pop().expect("just peeked");
                if let Some(input) = self.bodies.remove(&serial) {
                    if let Input::IdleRoundFinished { round, .. } = &input {
                        self.idle_rounds.remove(round);
                    }
                    self.apply(input);
                }
            } else {
                self.apply(Input::Woke);
            }
        }
        self.now = self.now.max(end);
    }

    fn apply(&mut self, input: Input) {
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
                self.say(format!(
                    "{} looks twice: {}",
                    order.dependency.name,
                    order.kind.id()
                ));
                let confirmation = Confirmation {
                    elapsed: Duration::from_millis(1),
                    result: ConfirmationResult::FreshConnection { worked: true },
                    evidence: Evidence::new(),
                };
                let input = Input::ConfirmationFinished {
                    index: order.index,
                    operation: order.operation,
                    confirmation: Box::new(confirmation),
                };
                self.arrive(Duration::from_millis(1), input);
            }
            Output::KeepConnections(keep) => self.say(format!("connections are kept: {keep}")),
            Output::CheckVantage(order) => {
                let facts = Box::default();
                self.arrive(Duration::ZERO, Input::VantageObserved { id: order.id, facts });
            }
            Output::Cancel(operation) => self.say(format!("operation {} is cancelled", operation.0)),
            Output::Forget(name) => self.say(format!("{name} is forgotten")),
            Output::StartIdleRound(order) => self.idle_round(&order),
            Output::CancelIdleRound(round) => {
                self.say("an idle round is cancelled");
                self.idle_rounds.remove(&round);
            }
            Output::Persist { seq, changes } => {
                for change in changes {
                    let key = change.key();
                    // What alerts leave behind is told by their own lines.
                    if matches!(key.kind, RecordKind::IdleTimeout | RecordKind::Names) {
                        self.say(format!("kept: {key}"));
                    }
                    match change {
                        Change::Put(record) => self.kept.insert(key, record),
                        Change::Remove(key) => self.kept.remove(&key),
                    };
                }
                self.arrive(Duration::from_millis(1), Input::Persisted { seq, durable: true });
            }
            // Only where replicas elect who speaks: tests/notify.
            Output::Untold(_) => {}
            Output::Deliver(order) => self.say(format!(
                "{} is told: {}",
                order.receiver.name, order.notification.title
            )),
            Output::Observed(event) => self.observed(&event),
        }
    }

    fn arrive(&mut self, after: Duration, input: Input) {
        self.serial += 1;
        self.coming.push(Reverse((self.now + after, self.serial)));
        self.bodies.insert(self.serial, input);
    }

    fn idle_round(&mut self, order: &IdleOrder) {
        let name = &order.dependency.name;
        let rungs: Vec<String> = order.rungs.iter().map(|rung| format!("{rung:.1?}")).collect();
        self.say(format!("{name} parks for {}", rungs.join(", ")));
        let host = self.idle_hosts.get(&*order.dependency.host.name);
        let (result, took) = host.copied().unwrap_or_default().round(order);
        let round = order.round;
        self.idle_rounds.insert(round);
        let under_way = self.idle_rounds.iter().filter(|other| other.place == round.place);
        assert_eq!(under_way.count(), 1, "one round of a host at a time");
        let result = Box::new(result);
        self.arrive(took, Input::IdleRoundFinished { round, result });
    }

    fn attempt(&mut self, order: &AttemptOrder) {
        let name = order.dependency.name.to_string();
        let (answers, cycle, place) = self.answers.get_mut(&name).expect("answers for every dependency");
        let answer = if *cycle {
            &answers[*place % answers.len()]
        } else {
            &answers[(*place).min(answers.len() - 1)]
        };
        let answer = answer.clone();
        *place += 1;
        let taken = answer.after.min(order.budget);
        let attempt = facts(&answer, order, taken, self.clock().wall);
        let input = Input::AttemptFinished {
            index: order.index,
            operation: order.operation,
            attempt: Box::new(attempt),
        };
        self.arrive(taken, input);
    }

    fn observed(&mut self, event: &Event) {
        match event {
            Event::OperationFinished(record) => {
                let line = operation(record);
                self.say(line);
            }
            Event::StateChanged { from, to, record } => {
                let line = format!(
                    "{} goes from {} to {}",
                    record.dependency.name,
                    state(from),
                    state(to)
                );
                self.say(line);
            }
            Event::KeepaliveReset { dependency, stale } => {
                let line = format!(
                    "{} had a stale connection: {} after {:?} idle",
                    dependency.name,
                    stale.kind.id(),
                    stale.idle
                );
                self.say(line);
            }
            Event::BreakerChanged { dependency, from, to } => {
                let line = format!(
                    "{}'s breaker goes from {} to {}",
                    dependency.name,
                    from.id(),
                    to.id()
                );
                self.say(line);
            }
            Event::ProbesSkipped {
                dependency,
                count,
                reason,
            } => {
                let line = format!("{} skips {count}: {}", dependency.name, reason.id());
                self.say(line);
            }
            Event::PlanApplied {
                added,
                changed,
                removed,
                unchanged,
            } => {
                let line = format!(
                    "plan: {added} added, {changed} changed, {removed} removed, {unchanged} unchanged"
                );
                self.say(line);
            }
            Event::HeadroomChanged { scarce, .. } => {
                self.say(format!("scarce: {}", scarce.map_or("nothing", |what| what.id())));
            }
            Event::VantageChanged(change) => self.say(format!("{change:?}")),
            Event::AlertChanged { change, view } => {
                let how = match change {
                    AlertChange::Resolved(because) => format!("resolved ({})", because.id()),
                    other => other.id().to_owned(),
                };
                self.say(format!("{} is {how}", view.key));
            }
            Event::Delivery(delivery) => self.say(format!("{}: {:?}", delivery.receiver, delivery.what)),
            Event::IdleTimeoutMeasured {
                dependency,
                measurement,
                ..
            } => self.say(format!("{}: {}", dependency.name, measured(measurement))),
            Event::IdleTimeoutUnknown { dependency, why } => {
                self.say(format!("{}: idle timeout unknown: {why:?}", dependency.name));
            }
            Event::Drained => self.say("drained"),
        }
    }

    fn alerts(&mut self) {
        let page = self.engine.alerts(0, 100, self.clock());
        if page.alerts.is_empty() {
            self.say("no alerts");
        }
        for view in page.alerts {
            self.say(format!(
                "{} {} ({}): {}",
                view.key,
                view.state.id(),
                view.severity.id(),
                view.text.summary
            ));
            self.say(format!("  {}", view.text.description));
            self.say(format!("  fix: {}", view.text.fix));
        }
    }

    fn why(&mut self, name: Option<&str>, rule: &str) {
        let views = self
            .engine
            .why(name, self.clock())
            .expect("a dependency of that name");
        let found = views.iter().find(|view| view.key.rule.id() == rule);
        let view = found.expect("a rule of that name");
        self.say(format!("{}: {}", view.key, view.evaluation.text));
    }

    fn history(&mut self, name: &str) {
        let Some(detail) = self.engine.detail(name, self.clock()) else {
            self.say(format!("{name}: unknown"));
            return;
        };
        let cause = |record: &OperationRecord| {
            let failure = record.failure.as_ref().or(record.attempts[0].failure.as_ref());
            format!("#{} {}", record.id.0, failure.expect("it failed").cause)
        };
        let successes = detail.last_success.iter().chain(&detail.earlier_successes);
        let successes: Vec<String> = successes.map(|record| format!("#{}", record.id.0)).collect();
        let failures: Vec<String> = detail.last_failures.iter().map(|record| cause(record)).collect();
        self.say(format!(
            "{name} keeps ok: {} | not ok: {}",
            successes.join(", "),
            failures.join(", ")
        ));
    }

    fn figures(&mut self, name: &str) {
        let Some(detail) = self.engine.detail(name, self.clock()) else {
            self.say(format!("{name}: unknown"));
            return;
        };
        let view = &detail.view;
        let mut failed: Vec<String> = view
            .attempts_failed
            .iter()
            .map(|(key, count)| match key {
                FailureKey::Named { cause, speed, .. } => format!("{cause}/{}={count}", speed.id()),
                FailureKey::Other => format!("_OTHER={count}"),
            })
            .collect();
        failed.sort();
        let [ok, retried_ok, failed_operations, inconclusive] = view.operations;
        let minute = detail.host.windows[0];
        let line = format!(
            "{name}: up={:?} ok={ok} retried_ok={retried_ok} failed={failed_operations} \
             inconclusive={inconclusive} attempts_ok={} attempts_failed=[{}] resets={:?} masked_1m={:?} \
             amplification_1m={:?} suppressed={:?} breaker={}",
            view.up,
            view.attempts_ok,
            failed.join(" "),
            view.keepalive_resets,
            minute.masked_ratio(),
            minute.amplification(),
            detail.host.suppressed,
            view.breaker.id(),
        );
        self.say(line);
        if let Some(idle) = &detail.host.idle {
            let known = idle.known.map(|known| measured(&known));
            self.say(format!(
                "idle timeout: {} known={known:?} kept={} unknown={:?} metric={:?}",
                idle.stage.id(),
                idle.kept,
                idle.unknown.as_ref().map(|(why, _)| why.id()),
                detail.host.idle_timeout,
            ));
            for finding in &detail.findings {
                self.say(format!("{}: {}", finding.id.id(), finding.fix));
            }
        }
        let engine = self.engine.view();
        let line = format!(
            "engine: in_flight={} waiting={} skipped={:?} lag_max<={:?}",
            engine.in_flight,
            engine.waiting,
            engine.skipped,
            engine.lag.quantile_bound(1.0)
        );
        self.say(line);
    }
}

fn operation(record: &OperationRecord) -> String {
    let mut line = format!("{} {}", record.dependency.name, record.verdict.id());
    for attempt in &record.attempts {
        let what = attempt
            .failure
            .as_ref()
            .map_or("ok", |failure| failure.cause.id());
        let confidence = attempt
            .failure
            .as_ref()
            .map_or("", |failure| failure.confidence.id());
        write!(line, " | #{} {what} {confidence}", attempt.number).expect("writing to a string");
        match attempt.decision {
            RetryDecision::NotNeeded => {}
            RetryDecision::Retry { after, because } => {
                write!(line, "→ again in {after:?} ({})", because.id()).expect("writing to a string");
            }
            other => write!(line, "→ {}", other.id()).expect("writing to a string"),
        }
    }
    if record.attempts.is_empty() {
        let cause = record.failure.as_ref().map_or("?", |failure| failure.cause.id());
        write!(line, " | {cause}").expect("writing to a string");
    }
    line
}

fn measured(measurement: &IdleMeasurement) -> String {
    let samples = measurement.samples;
    match measurement.limit {
        IdleLimit::Ends { how, low, high } => format!(
            "idle connections end by {} between {low:.1?} and {high:.1?} ({samples} samples)",
            how.id()
        ),
        IdleLimit::NoneFound { up_to } => format!("no idle timeout up to {up_to:?}"),
    }
}

fn state(state: &State) -> String {
    match state {
        State::Failing { cause, .. } => format!("failing ({cause})"),
        State::Unknown | State::Up { .. } => state.id().into(),
    }
}

fn dependency(name: &str, options: &BTreeMap<String, String>) -> Dependency {
    let get = |key: &str| options.get(key).map(String::as_str);
    let span = |key: &str, default: u64| {
        get(key).map_or(Duration::from_secs(default), |text| {
            duration(text).expect("a duration")
        })
    };
    let host: Arc<str> = get("host").unwrap_or(name).into();
    let endpoint = Endpoint {
        host: Arc::clone(&host),
        port: 80,
    };
    let total = span("total", 9);
    Dependency {
        name: name.into(),
        labels: get("labels").map_or_else(
            || Arc::from([]),
            |text| {
                text.split(',')
                    .filter_map(|p| p.split_once(':'))
                    .map(|(k, v)| (k.into(), v.into()))
                    .collect()
            },
        ),
        probe: Probe::Http(Box::new(HttpProbe {
            method: get("method").unwrap_or("GET").into(),
            ..http(endpoint)
        })),
        host: HostKey {
            name: host,
            port: 80,
            proxy: None,
        },
        interval: span("interval", 10),
        timeouts: Timeouts {
            attempt: span("attempt", 4),
            total,
            ..Timeouts::default()
        },
        retry: RetryPolicy {
            attempts: get("attempts").map_or(3, |text| text.parse().expect("a number")),
            ..RetryPolicy::default()
        },
        breaker: BreakerPolicy {
            refuse: get("refuse") == Some("true"),
            ..BreakerPolicy::default()
        },
        confirm: match get("confirm") {
            Some("off") => Confirm::Off,
            _ => Confirm::Gentle,
        },
        keepalive: Keepalive {
            reuse: get("reuse") == Some("true"),
            discover: (get("discover") == Some("true")).then(|| {
                Arc::new(IdleSearch {
                    remeasure: span("remeasure", 86_400),
                    ..IdleSearch::default()
                })
            }),
        },
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: policy(options),
    }
}

/// `objective=0.999`, `alert.RULE.for=30s`, `alert.RULE.recover=30s`, `alert.RULE.minimum=3`, `alert.RULE.threshold=2`,
/// `alert.RULE.enabled=false`.
fn policy(options: &BTreeMap<String, String>) -> Arc<AlertPolicy> {
    let mut policy = AlertPolicy::default();
    if let Some(objective) = options.get("objective") {
        policy.objective = objective.parse().expect("a share");
    }
    for (key, value) in options {
        let Some((rule, what)) = key.strip_prefix("alert.").and_then(|key| key.split_once('.')) else {
            continue;
        };
        let rule = Rule::from_id(rule).expect("a rule");
        let policy = &mut policy.rules[rule.index()];
        match what {
            "for" => policy.hold = duration(value).expect("a duration"),
            "recover" => policy.recover = duration(value).expect("a duration"),
            "minimum" => policy.minimum = value.parse().expect("a number"),
            "threshold" => policy.threshold = value.parse().expect("a number"),
            "enabled" => policy.enabled = value == "true",
            other => panic!("{other} is nothing of a rule"),
        }
    }
    Arc::new(policy)
}

/// The facts of an attempt that met this answer.
fn facts(answer: &Answer, order: &AttemptOrder, taken: Duration, started: Wall) -> Attempt {
    let address: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let mut hop = Hop::new("http://scenario/".into(), Role::Target);
    hop.address = Some(address);
    hop.reused = order.connection == Connection::Reuse && order.number == 1;
    hop.idle_before = hop.reused.then_some(order.dependency.interval);
    let mut stale_found = None;
    let (phase, trouble) = match answer.kind.as_str() {
        "ok" => (Phase::Body, None),
        "stale-ok" => {
            hop.reused = false;
            let idle = Duration::from_secs(2);
            stale_found = Some(StaleConnection {
                kind: StaleKind::Closed,
                address,
                idle,
                measured: true,
            });
            (Phase::Body, None)
        }
        "200" => {
            hop.status = Some(200);
            (Phase::Body, None)
        }
        "refused" => (
            Phase::Connect,
            Some(Trouble::Io {
                call: Call::Connect,
                errno: 111,
            }),
        ),
        "emfile" => (
            Phase::Connect,
            Some(Trouble::Io {
                call: Call::Socket,
                errno: 24,
            }),
        ),
        "closed" => (Phase::FirstByte, Some(Trouble::Closed)),
        "timeout" => (Phase::FirstByte, Some(Trouble::TimedOut(order.budget_of))),
        "expired" => {
            let fault = CertificateFault {
                position: Some(0),
                kind: CertificateFaultKind::Expired,
                detail: "".into(),
                issuer_url: None,
                completes_with: Box::default(),
            };
            hop.tls = Some(Box::new(TlsFacts {
                faults: vec![fault],
                ..TlsFacts::default()
            }));
            (Phase::Tls, Some(Trouble::Tls(TlsTrouble::Certificate)))
        }
        status => {
            let (status, retry_after) = status.split_once("-after-").unwrap_or((status, ""));
            let got: u16 = status
                .parse()
                .unwrap_or_else(|_| panic!("no such answer: {status}"));
            hop.status = Some(got);
            let retry_after = duration(retry_after).map(|d| RetryAfter::Seconds(d.as_secs()));
            hop.response = Some(Box::new(ResponseFacts {
                retry_after,
                ..ResponseFacts::default()
            }));
            (
                Phase::FirstByte,
                Some(Trouble::Unexpected(Unexpected::Status {
                    got,
                    wanted: "2xx".into(),
                })),
            )
        }
    };
    hop.phases.add(phase, taken);
    hop.sent = if phase == Phase::Connect { 0 } else { 100 };
    hop.received = if trouble.is_none() || hop.status.is_some() {
        200
    } else {
        0
    };
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
        elapsed: taken,
        hops: vec![hop],
        stale_found,
        outcome,
    }
}
