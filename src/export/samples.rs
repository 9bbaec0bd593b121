//! Worlds for tests: dependencies with everything that they can have, and a loop that serves them to readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::export::process::ProcessFigures;
use crate::export::snapshot::Snapshot;
use crate::model::alert::{AlertPage, AlertView};
use crate::model::attempt::{Attempt, Hop, Outcome, Role, StaleKind};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::{
    BreakerPolicy, Confirm, Dependency, DependencyIndex, Endpoint, HostKey, Keepalive, Probe, RetryPolicy,
    TcpProbe, Timeouts,
};
use crate::model::discovery::{DiscoveryView, SourceView};
use crate::model::event::BreakerState;
use crate::model::evidence::Evidence;
use crate::model::failure::{
    AttemptRecord, Confidence, Failure, OperationRecord, RetryDecision, State, Verdict,
};
use crate::model::headroom::{HeadroomView, Ports, Resources};
use crate::model::histogram::Histogram;
use crate::model::incident::IncidentView;
use crate::model::notification::ReceiverView;
use crate::model::order::OperationId;
use crate::model::page::{
    DependencyView, Detail, EngineView, FAILURE_KEYS_MAX, FailureKey, HostPage, HostView, Page, PhaseFigures,
    PlaceLabels, ScaleOutView, WindowFigures,
};
use crate::model::phase::Phase;
use crate::model::plan::Election;
use crate::model::share::Share;
use crate::model::silence::{SilenceChange, SilenceView};
use crate::model::time::{Moment, Wall};
use crate::net::reader::{ReadRequest, Reader};

pub(crate) const SINCE: Wall = Wall::from_unix_secs(1_790_000_000);

pub(crate) fn dependency(name: &str) -> Dependency {
    let endpoint = Endpoint {
        host: format!("{name}.internal").into(),
        port: 443,
    };
    Dependency {
        name: name.into(),
        labels: Arc::from([("team".into(), "checkout".into()), ("tier".into(), "1".into())]),
        host: HostKey {
            name: endpoint.host.clone(),
            port: endpoint.port,
            proxy: None,
        },
        probe: Probe::Tcp(TcpProbe {
            endpoint,
            resolve: Default::default(),
            proxy: None,
        }),
        interval: Duration::from_secs(10),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
        confirm: Confirm::Gentle,
        keepalive: Keepalive {
            reuse: true,
            discover: None,
        },
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    }
}

/// Everything present, as many series as there can be.
pub(crate) fn worst_view(index: u32, dependency: Arc<Dependency>) -> DependencyView {
    let mut view = plain_view(index, dependency);
    view.state = State::Failing {
        since: SINCE,
        cause: Cause::DnsTimedOut,
        phase: Some(Phase::Resolve),
        speed: Speed::Fast,
    };
    view.up = Some(false);
    view.attempts_failed = Cause::ALL
        .iter()
        .take(FAILURE_KEYS_MAX)
        .map(|cause| {
            let key = FailureKey::Named {
                cause: *cause,
                phase: Some(Phase::Resolve),
                speed: Speed::Fast,
            };
            (key, 3)
        })
        .chain([(FailureKey::Other, 2)])
        .collect();
    view.phases = [PhaseFigures {
        count: 4,
        sum: 0.5,
        average: 0.1,
    }; 8];
    view.keepalive_resets = [[1, 2], [3, 4], [5, 6]];
    view.breaker = BreakerState::Suppressing;
    view.not_after = Some(Wall::from_unix_secs(1_800_000_000));
    view.dns_answers_differ = Some(true);
    view
}

/// A dependency that is up, as most are.
pub(crate) fn plain_view(index: u32, dependency: Arc<Dependency>) -> DependencyView {
    let mut duration = Histogram::default();
    for millis in [1, 3, 7, 7, 9000, 20_000] {
        duration.record(Duration::from_millis(millis));
    }
    let mut phases = [PhaseFigures::default(); 8];
    for phase in [Phase::Resolve, Phase::Connect, Phase::FirstByte] {
        phases[phase.index()] = PhaseFigures {
            count: 11,
            sum: 0.25,
            average: 0.02,
        };
    }
    DependencyView {
        index: DependencyIndex(index),
        dependency,
        since: SINCE,
        state: State::Up { since: SINCE },
        up: Some(true),
        operations: [7, 1, 2, 0],
        attempts_ok: 8,
        attempts_failed: Vec::new(),
        duration,
        phases,
        keepalive_resets: [[0; 2]; 3],
        breaker: BreakerState::Admitting,
        last_status: Some(200),
        last_rtt: Some(Duration::from_micros(420)),
        not_after: None,
        dns_answers_differ: None,
    }
}

pub(crate) fn host(name: &str, port: u16) -> HostView {
    HostView {
        key: HostKey {
            name: name.into(),
            port,
            proxy: None,
        },
        since: SINCE,
        windows: [WindowFigures {
            operations: 20,
            succeeded: 16,
            retried: 8,
            retried_then_succeeded: 4,
            attempts: 30,
            stale: [1, 0, 0],
        }; 3],
        suppressed: [2, 3],
        retry_budget: 8.0,
        in_flight: 1,
        cap: 32,
        idle_timeout: Some((StaleKind::Closed, Duration::from_secs(60))),
        idle: None,
    }
}

/// One source that has told something.
pub(crate) fn discovery() -> DiscoveryView {
    DiscoveryView {
        sources: vec![SourceView {
            name: "shop".into(),
            kind: "file_sd",
            targets: 7,
            lingering: 1,
            watched: 6,
            refused: 2,
            kept: false,
            last_success: Some(SINCE),
            last_failure: None,
            failing: None,
            failures: 3,
        }],
        ..DiscoveryView::default()
    }
}

/// The second of three replicas, which may speak.
pub(crate) fn scale_out() -> ScaleOutView {
    ScaleOutView {
        name: "whyd-1".into(),
        share: Share {
            replica: 1,
            replicas: 3,
            factor: 2,
        },
        watched: 667,
        left: 333,
        election: Election::Leases {
            namespace: None,
            name: "whyd".into(),
        },
        elects: true,
        speaks: true,
    }
}

/// What a test's loop serves.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub views: BTreeMap<u32, DependencyView>,
    pub hosts: Vec<HostView>,
    pub first_round_begun: bool,
    pub alerts: Vec<AlertView>,
    /// What `why` answers for every dependency, and for the monitor.
    pub why: Vec<AlertView>,
    pub incidents: Vec<IncidentView>,
    pub silences: Vec<SilenceView>,
    pub receivers: Vec<ReceiverView>,
    pub discovery: DiscoveryView,
    pub scale_out: Option<ScaleOutView>,
    pub place: PlaceLabels,
    /// What was asked of the silences.
    pub changes: Vec<SilenceChange>,
}

impl World {
    /// That many plain dependencies named `d0`, `d1` and so on, each with its host.
    pub(crate) fn of(count: u32) -> World {
        World {
            views: (0..count)
                .map(|i| (i, plain_view(i, Arc::new(dependency(&format!("d{i}"))))))
                .collect(),
            hosts: (0..count).map(|i| host(&format!("d{i}.internal"), 443)).collect(),
            first_round_begun: true,
            ..World::default()
        }
    }

    pub(crate) fn engine(&self) -> EngineView {
        let mut lag = Histogram::default();
        lag.record(Duration::from_micros(300));
        EngineView {
            since: SINCE,
            dependencies: self.views.len(),
            hosts: self.hosts.len(),
            in_flight: 5,
            cap: 2000,
            waiting: 0,
            skipped: [1, 2, 3],
            lag,
            first_round_begun: self.first_round_begun,
            vantage: Default::default(),
            headroom: HeadroomView {
                resources: Some(Resources {
                    open_files: 120,
                    open_files_limit: 1024,
                    ports: Some(Ports {
                        in_use: 60,
                        range: 28_232,
                    }),
                }),
                scarce: None,
                cap: Some(290),
            },
            place: Arc::clone(&self.place),
            incidents: self.incidents.len(),
            scale_out: self.scale_out.clone(),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let process = ProcessFigures::new(SINCE);
        process.reloaded(true, SINCE);
        process.state_written(None);
        let mut snapshot = Snapshot {
            taken: Wall::from_unix_secs(1_790_000_600),
            dependencies: self.views.values().cloned().collect(),
            hosts: self.hosts.clone(),
            engine: self.engine(),
            process: process.snapshot(),
            receivers: self.receivers.clone(),
            discovery: Arc::new(self.discovery.clone()),
            raised: Vec::new(),
        };
        snapshot.set_raised(&self.alerts);
        snapshot
    }

    pub(crate) fn answer(&mut self, request: ReadRequest) {
        match request {
            ReadRequest::Page { from, max, reply } => {
                let mut rest = self.views.range(from.0..);
                let dependencies = rest.by_ref().take(max).map(|(_, view)| view.clone()).collect();
                let next = rest.next().map(|(index, _)| DependencyIndex(*index));
                let _ = reply.send(Page { dependencies, next });
            }
            ReadRequest::Hosts { from, max, reply } => {
                let end = (from as usize + max).min(self.hosts.len());
                let hosts = self.hosts[from as usize..end].to_vec();
                let next = (end < self.hosts.len()).then_some(end as u32);
                let _ = reply.send(HostPage { hosts, next });
            }
            ReadRequest::Engine { reply } => {
                let _ = reply.send(self.engine());
            }
            ReadRequest::Detail { name, reply } => {
                let view = self.views.values().find(|view| *view.dependency.name == *name);
                let _ = reply.send(view.map(|view| {
                    Box::new(Detail {
                        view: view.clone(),
                        host: host(&view.dependency.host.name, view.dependency.host.port),
                        last_success: None,
                        earlier_successes: Vec::new(),
                        last_failures: Vec::new(),
                        findings: Vec::new(),
                        gaps: Default::default(),
                    })
                }));
            }
            ReadRequest::Alerts { from, max, reply } => {
                let end = (from + max).min(self.alerts.len());
                let alerts = self.alerts[from..end].to_vec();
                let next = (end < self.alerts.len()).then_some(end);
                let _ = reply.send(AlertPage { alerts, next });
            }
            ReadRequest::Why { dependency, reply } => {
                let known = |name: String| self.views.values().any(|view| *view.dependency.name == *name);
                let _ = reply.send(dependency.is_none_or(known).then(|| self.why.clone()));
            }
            ReadRequest::Incidents { reply } => drop(reply.send(self.incidents.clone())),
            ReadRequest::Silences { reply } => drop(reply.send(self.silences.clone())),
            ReadRequest::Receivers { reply } => drop(reply.send(self.receivers.clone())),
            ReadRequest::ChangeSilence { change, reply } => {
                match &change {
                    SilenceChange::Put(silence) => self.silences.push(SilenceView {
                        silence: silence.clone(),
                        configured: false,
                        active: true,
                        muting: 1,
                    }),
                    SilenceChange::End { id } => self.silences.retain(|view| view.silence.id != *id),
                }
                self.changes.push(change);
                let _ = reply.send(());
            }
        }
    }
}

/// A loop that answers from a world that does not change.
pub(crate) fn serve(world: World) -> Reader {
    serve_shared(Arc::new(std::sync::Mutex::new(world)))
}

/// A loop that answers from a world that the test may change.
pub(crate) fn serve_shared(world: Arc<std::sync::Mutex<World>>) -> Reader {
    let (reader, mut requests): (Reader, mpsc::Receiver<ReadRequest>) = Reader::new(4);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            world.lock().expect("no test panics with it").answer(request);
        }
    });
    reader
}

/// One operation that failed twice and then gave up: two attempts, the second by another address after one refused.
pub(crate) fn failed_operation(dependency: Arc<Dependency>) -> OperationRecord {
    let started = SINCE;
    let attempt = |number: u8, offset: u64| {
        let mut refused = Hop::new("https://payments.internal/health".into(), Role::Target);
        refused.address = Some(([10, 0, 0, 6], 443).into());
        refused.phases.add(Phase::Resolve, Duration::from_millis(2));
        refused.phases.add(Phase::Connect, Duration::from_millis(1));
        let mut hop = Hop::new("https://payments.internal/health".into(), Role::Target);
        hop.address = Some(([10, 0, 0, 7], 443).into());
        hop.phases.add(Phase::Connect, Duration::from_millis(3));
        hop.phases.add(Phase::Tls, Duration::from_millis(4));
        AttemptRecord {
            number,
            at: Moment::from_nanos(offset * 1_000_000),
            attempt: Attempt {
                started: started + Duration::from_millis(offset),
                elapsed: Duration::from_millis(10),
                hops: vec![refused, hop],
                stale_found: None,
                outcome: Outcome::Answered,
            },
            failure: Some(expired()),
            decision: RetryDecision::NotRetryable,
        }
    };
    OperationRecord {
        id: OperationId(9),
        dependency,
        started,
        started_at: Moment::ZERO,
        lag: Duration::ZERO,
        elapsed: Duration::from_millis(220),
        verdict: Verdict::Failed,
        failure: Some(expired()),
        attempts: vec![attempt(1, 0), attempt(2, 200)],
        confirmations: Vec::new(),
        findings: Vec::new(),
    }
}

pub(crate) fn expired() -> Failure {
    Failure {
        cause: Cause::TlsCertExpired,
        phase: Some(Phase::Tls),
        speed: Speed::Fast,
        confidence: Confidence::Observed,
        alternatives: Vec::new(),
        evidence: Evidence::new(),
        fix: "renew the certificate of payments.internal".into(),
        elapsed: Duration::from_millis(10),
        chain: vec!["TLS handshake failed".into()],
    }
}

/// A name that no other test uses.
pub(crate) fn unique_name() -> String {
    format!("whyd-test-{}", super::random::uuid())
}
