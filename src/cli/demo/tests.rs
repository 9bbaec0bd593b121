use super::*;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::model::attempt::{Attempt, Outcome};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::{
    BreakerPolicy, Confirm, Dependency, Endpoint, HostKey, Keepalive, Probe, ResolveSettings, RetryPolicy,
    TcpProbe, Timeouts,
};
use crate::model::event::BreakerState;
use crate::model::evidence::Evidence;
use crate::model::failure::{
    AttemptRecord, Confidence, Failure, OperationRecord, RetryDecision, State, Verdict,
};
use crate::model::histogram::Histogram;
use crate::model::order::OperationId;
use crate::model::page::{DependencyView, Detail, HostView, Page, PhaseFigures, WindowFigures};
use crate::model::phase::Phase;
use crate::model::time::{Moment, Wall};
use crate::net::reader::ReadRequest;

fn dependency(name: &str) -> Arc<Dependency> {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: 1,
    };
    Arc::new(Dependency {
        name: name.into(),
        labels: Arc::from([]),
        probe: Probe::Tcp(TcpProbe {
            endpoint,
            resolve: ResolveSettings::default(),
            proxy: None,
        }),
        host: host(),
        interval: Duration::from_secs(1),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
        confirm: Confirm::default(),
        keepalive: Keepalive::default(),
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    })
}

fn host() -> HostKey {
    HostKey {
        name: "127.0.0.1".into(),
        port: 1,
        proxy: None,
    }
}

fn failure(cause: Cause) -> Failure {
    Failure {
        cause,
        phase: Some(Phase::FirstByte),
        speed: Speed::Fast,
        confidence: Confidence::Observed,
        alternatives: Vec::new(),
        evidence: Evidence::new(),
        fix: format!("mend {cause}").into(),
        elapsed: Duration::from_millis(2),
        chain: Vec::new(),
    }
}

/// A concluded operation whose first attempts failed of those causes.
fn record(name: &str, at: u64, verdict: Verdict, causes: &[Cause]) -> Arc<OperationRecord> {
    let attempt = Attempt {
        started: Wall::default(),
        elapsed: Duration::from_millis(1),
        hops: Vec::new(),
        stale_found: None,
        outcome: Outcome::Answered,
    };
    let attempts = causes.iter().enumerate().map(|(i, cause)| AttemptRecord {
        number: i as u8 + 1,
        at: Moment::from_secs(at),
        attempt: attempt.clone(),
        failure: Some(failure(*cause)),
        decision: RetryDecision::NotNeeded,
    });
    let failed = matches!(verdict, Verdict::Failed | Verdict::Inconclusive);
    Arc::new(OperationRecord {
        id: OperationId(at),
        dependency: dependency(name),
        started: Wall::default(),
        started_at: Moment::from_secs(at),
        lag: Duration::ZERO,
        elapsed: Duration::from_millis(at),
        verdict,
        failure: causes.last().filter(|_| failed).map(|cause| failure(*cause)),
        attempts: attempts.collect(),
        confirmations: Vec::new(),
        findings: Vec::new(),
    })
}

fn detail(name: &str, state: State) -> Detail {
    let view = DependencyView {
        index: DependencyIndex(0),
        dependency: dependency(name),
        since: Wall::default(),
        state,
        up: None,
        operations: [0; 4],
        attempts_ok: 0,
        attempts_failed: Vec::new(),
        duration: Histogram::default(),
        phases: [PhaseFigures::default(); 8],
        keepalive_resets: [[0; 2]; 3],
        breaker: BreakerState::Admitting,
        last_status: None,
        last_rtt: None,
        not_after: None,
        dns_answers_differ: None,
    };
    Detail {
        view,
        host: HostView {
            key: host(),
            since: Wall::default(),
            windows: [WindowFigures::default(); 3],
            suppressed: [0; 2],
            retry_budget: 10.0,
            in_flight: 0,
            cap: 0,
            idle_timeout: None,
            idle: None,
        },
        last_success: None,
        earlier_successes: Vec::new(),
        last_failures: Vec::new(),
        findings: Vec::new(),
        gaps: Default::default(),
    }
}

const UP: State = State::Up {
    since: Wall::from_unix_secs(0),
};

fn failing(cause: Cause) -> State {
    State::Failing {
        since: Wall::from_unix_secs(0),
        cause,
        phase: Some(Phase::Connect),
        speed: Speed::Fast,
    }
}

#[test]
fn a_failing_dependency_shows_its_cause_and_the_fix_for_it() {
    let mut detail = detail("d", failing(Cause::TcpRefusedRst));
    // A later gap of ours does not take the verdict away.
    detail.last_failures = vec![
        record("d", 3, Verdict::Inconclusive, &[Cause::LocalFdExhaustedProcess]),
        record("d", 2, Verdict::Failed, &[Cause::TcpRefusedRst]),
    ];
    detail.last_success = Some(record("d", 1, Verdict::Ok, &[]));
    let row = Row::of(&detail);
    assert_eq!(row.standing, Standing::Is(Verdict::Failed));
    assert_eq!(
        (row.cause, row.phase),
        (Some(Cause::TcpRefusedRst), Some(Phase::Connect))
    );
    assert_eq!(row.fix.as_deref(), Some("mend tcp.refused.rst"));
    assert_eq!(row.took, Some(Duration::from_millis(3)));
}

#[test]
fn what_a_retry_masked_is_shown_for_a_minute() {
    let mut detail = detail("d", UP);
    detail.view.operations[1] = 4;
    detail.host.windows[0].retried_then_succeeded = 1;
    detail.last_success = Some(record(
        "d",
        1,
        Verdict::RetriedOk,
        &[Cause::Http503, Cause::Http503],
    ));
    let row = Row::of(&detail);
    assert_eq!(row.standing, Standing::Is(Verdict::RetriedOk));
    assert_eq!((row.cause, row.retried), (Some(Cause::Http503), 4));

    // The next operation needed no retry: what failed is then known from the counters.
    detail.last_success = Some(record("d", 2, Verdict::Ok, &[]));
    let key = crate::model::page::FailureKey::Named {
        cause: Cause::Http503,
        phase: None,
        speed: Speed::Fast,
    };
    detail.view.attempts_failed = vec![(key, 8)];
    assert_eq!(Row::of(&detail).cause, Some(Cause::Http503));

    detail.host.windows[0].retried_then_succeeded = 0;
    let row = Row::of(&detail);
    assert_eq!((row.standing, row.cause), (Standing::Is(Verdict::Ok), None));
}

#[test]
fn stale_connections_are_counted_and_named_by_kind() {
    let mut detail = detail("d", UP);
    detail.view.keepalive_resets = [[1, 0], [5, 2], [0, 0]];
    let row = Row::of(&detail);
    assert_eq!((row.stale, row.cause), (8, Some(Cause::TcpResetStale)));
}

#[test]
fn the_unknown_waits_or_is_inconclusive() {
    let mut detail = detail("d", State::Unknown);
    assert_eq!(Row::of(&detail).standing, Standing::Waiting);
    detail.last_failures = vec![record(
        "d",
        1,
        Verdict::Inconclusive,
        &[Cause::LocalFdExhaustedProcess],
    )];
    let row = Row::of(&detail);
    assert_eq!(row.standing, Standing::Is(Verdict::Inconclusive));
    assert_eq!(row.cause, Some(Cause::LocalFdExhaustedProcess));
}

/// Answers like the engine's loop, one dependency a page.
async fn answer(mut requests: mpsc::Receiver<ReadRequest>, details: Vec<Detail>) {
    while let Some(request) = requests.recv().await {
        match request {
            ReadRequest::Page { from, reply, .. } => {
                let at = from.0 as usize;
                let next = (at + 1 < details.len()).then_some(DependencyIndex(from.0 + 1));
                let dependencies = details
                    .get(at)
                    .map(|detail| detail.view.clone())
                    .into_iter()
                    .collect();
                let _ = reply.send(Page { dependencies, next });
            }
            ReadRequest::Detail { name, reply } => {
                let found = details
                    .iter()
                    .find(|detail| *detail.view.dependency.name == *name);
                let _ = reply.send(found.cloned().map(Box::new));
            }
            other => panic!("not asked for: {other:?}"),
        }
    }
}

fn two_dependencies() -> Vec<Detail> {
    let mut failing = detail("broken", failing(Cause::Http503));
    failing.last_failures = vec![record("broken", 1, Verdict::Failed, &[Cause::Http503])];
    vec![failing, detail("new", State::Unknown)]
}

#[tokio::test]
async fn without_a_terminal_the_table_comes_once_with_what_to_do() {
    let (reader, requests) = Reader::new(4);
    tokio::spawn(answer(requests, two_dependencies()));
    let mut screen = Screen::new(Vec::new(), false, || None);
    let address = "127.0.0.1:9".parse().unwrap();
    watch(&reader, Some(address), &mut screen, async {})
        .await
        .unwrap();
    let text = String::from_utf8(screen.into_inner()).unwrap();
    assert_eq!(text.matches("dependency ").count(), 1, "{text}");
    assert!(
        text.contains("http.error.503") && text.contains("\nnew "),
        "{text}"
    );
    assert!(text.contains("http://127.0.0.1:9/metrics") && text.contains("/api/v1/dependencies"));
    assert!(
        text.ends_with("what to do\nbroken: mend http.error.503\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'));
}

#[tokio::test]
async fn on_a_terminal_it_is_drawn_before_the_end() {
    let (reader, requests) = Reader::new(4);
    let (drawn, first_drawing) = oneshot::channel();
    // The engine's stand-in tells when the last detail of the first drawing was asked for.
    let (forward, forwarded) = mpsc::channel(4);
    tokio::spawn(answer(forwarded, two_dependencies()));
    tokio::spawn(async move {
        let mut requests = requests;
        let mut drawn = Some(drawn);
        let mut pages = 0;
        while let Some(request) = requests.recv().await {
            pages += u32::from(matches!(request, ReadRequest::Page { .. }));
            if pages == 3 {
                // The second drawing has begun, so that the first is on the screen.
                drawn.take().map(|drawn| drawn.send(()));
            }
            if forward.send(request).await.is_err() {
                break;
            }
        }
    });
    let mut screen = Screen::new(Vec::new(), true, || None);
    watch(&reader, None, &mut screen, async {
        let _ = first_drawing.await;
    })
    .await
    .unwrap();
    let text = String::from_utf8(screen.into_inner()).unwrap();
    assert!(text.matches("dependency ").count() >= 2, "{text}");
    assert!(text.contains("\x1b[J"), "redrawn in place: {text}");
}

#[tokio::test]
async fn a_stopped_engine_ends_it() {
    let (reader, requests) = Reader::new(1);
    drop(requests);
    let mut screen = Screen::new(Vec::new(), false, || None);
    let error = watch(&reader, None, &mut screen, async {}).await.unwrap_err();
    assert!(matches!(error, DemoError::Stopped(_)));
}
