//! Records as the engine makes them, for the tests of this room.

pub(crate) mod alerts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::{Attempt, Hop, Outcome, Protocol, Role, Stop, Trouble};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::{
    Auth, BreakerPolicy, Confirm, Dependency, Endpoint, Expect, HostKey, HttpProbe, HttpUrl, HttpVersion,
    Keepalive, Probe, Redirects, ResolveSettings, RetryPolicy, Scheme, Timeouts, TlsSettings,
};
use crate::model::evidence::Evidence;
use crate::model::failure::{AttemptRecord, Confidence, Failure, OperationRecord, RetryDecision, Verdict};
use crate::model::order::OperationId;
use crate::model::phase::Phase;
use crate::model::time::{Moment, Wall};

/// 2026-11-23T09:00:00Z.
pub const STARTED: Wall = Wall::from_unix_secs(1_795_424_400);

pub fn micros(value: u64) -> Duration {
    Duration::from_micros(value)
}

/// A GET of `https://host/path`, or of `http://…` on port 80.
pub fn dependency(scheme: Scheme, host: &str, path: &str) -> Arc<Dependency> {
    let endpoint = Endpoint {
        host: host.into(),
        port: scheme.default_port(),
    };
    let host = HostKey {
        name: host.into(),
        port: endpoint.port,
        proxy: None,
    };
    let url = HttpUrl {
        scheme,
        endpoint,
        path: path.into(),
        query: None,
    };
    Arc::new(Dependency {
        name: url.to_string().into(),
        labels: Arc::from([("team".into(), "checkout".into())]),
        probe: Probe::Http(Box::new(HttpProbe {
            url,
            method: "GET".into(),
            headers: Arc::from([]),
            body: None,
            auth: Auth::None,
            version: HttpVersion::Auto,
            redirects: Redirects::default(),
            proxy: None,
            tls: TlsSettings::default(),
            resolve: ResolveSettings::default(),
            expect: Expect::default(),
            max_body: 1 << 20,
            user_agent: "whyd/test".into(),
        })),
        host,
        interval: Duration::from_secs(30),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
        confirm: Confirm::Gentle,
        keepalive: Keepalive::default(),
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    })
}

/// A hop to the dependency's own URL with these phases, in microseconds.
pub fn hop(dependency: &Dependency, address: Option<&str>, phases: &[(Phase, u64)]) -> Hop {
    let mut hop = Hop::new(dependency.probe.target().into(), Role::Target);
    hop.address = address.map(|text| text.parse::<SocketAddr>().expect("a socket address"));
    for (phase, elapsed) in phases {
        hop.phases.add(*phase, micros(*elapsed));
    }
    hop
}

/// A hop that answered 200 over HTTP/1.1.
pub fn answered_hop(dependency: &Dependency, phases: &[(Phase, u64)]) -> Hop {
    let mut hop = hop(dependency, Some("10.0.0.7:443"), phases);
    hop.status = Some(200);
    hop.protocol = Some(Protocol::Http11);
    hop.sent = 212;
    hop.received = 1_024;
    hop
}

pub const ANSWER_PHASES: [(Phase, u64); 6] = [
    (Phase::Resolve, 400),
    (Phase::Connect, 600),
    (Phase::Tls, 4_100),
    (Phase::Request, 40),
    (Phase::FirstByte, 6_200),
    (Phase::Body, 160),
];

pub fn attempt(hops: Vec<Hop>, stop: Option<Stop>) -> Attempt {
    let elapsed = hops.iter().map(|hop| hop.phases.sum()).sum();
    let outcome = stop.map_or(Outcome::Answered, |stop| Outcome::Stopped(Box::new(stop)));
    Attempt {
        started: STARTED,
        elapsed,
        hops,
        stale_found: None,
        outcome,
    }
}

pub fn stop(phase: Phase, trouble: Trouble, chain: &[&str]) -> Stop {
    Stop {
        phase: Some(phase),
        hop: Some(0),
        trouble,
        chain: chain.iter().map(|text| (*text).into()).collect(),
    }
}

pub fn failure(cause: Cause, stop: &Stop, elapsed: Duration, fix: &str, evidence: Evidence) -> Failure {
    let speed = if matches!(stop.trouble, Trouble::TimedOut(_)) {
        Speed::Slow
    } else {
        Speed::Fast
    };
    Failure {
        cause,
        phase: stop.phase,
        speed,
        confidence: Confidence::Observed,
        alternatives: Vec::new(),
        evidence,
        fix: fix.into(),
        elapsed,
        chain: stop.chain.clone(),
    }
}

pub fn attempt_record(
    number: u8,
    attempt: Attempt,
    failure: Option<Failure>,
    decision: RetryDecision,
) -> AttemptRecord {
    AttemptRecord {
        number,
        at: Moment::from_secs(1),
        attempt,
        failure,
        decision,
    }
}

/// The operation's failure is that of its last attempt.
pub fn operation(
    dependency: &Arc<Dependency>,
    verdict: Verdict,
    attempts: Vec<AttemptRecord>,
) -> OperationRecord {
    OperationRecord {
        id: OperationId(1),
        dependency: dependency.clone(),
        started: STARTED,
        started_at: Moment::from_secs(1),
        lag: Duration::ZERO,
        elapsed: attempts
            .iter()
            .map(|record| record.attempt.elapsed)
            .sum::<Duration>()
            + micros(100),
        verdict,
        failure: attempts.last().and_then(|record| record.failure.clone()),
        attempts,
        confirmations: Vec::new(),
        findings: Vec::new(),
    }
}

pub fn ok() -> OperationRecord {
    let dependency = dependency(Scheme::Https, "api.internal", "/health");
    let hop = answered_hop(&dependency, &ANSWER_PHASES);
    let record = attempt_record(1, attempt(vec![hop], None), None, RetryDecision::NotNeeded);
    operation(&dependency, Verdict::Ok, vec![record])
}

/// One failed attempt of one hop, not retried.
pub fn failed(
    dependency: &Arc<Dependency>,
    hop: Hop,
    stop: Stop,
    explain: (Cause, &str, Evidence),
) -> OperationRecord {
    let (cause, fix, evidence) = explain;
    let elapsed = hop.phases.sum();
    let failure = failure(cause, &stop, elapsed, fix, evidence);
    let record = attempt_record(
        1,
        attempt(vec![hop], Some(stop)),
        Some(failure),
        RetryDecision::NotRetryable,
    );
    operation(dependency, Verdict::Failed, vec![record])
}
