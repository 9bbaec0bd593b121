//! A dependency of the running daemon: how it stands, its figures, its host, its last operations.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::model::attempt::StaleKind;
use crate::model::event::SuppressReason;
use crate::model::failure::{OperationRecord, State, Verdict};
use crate::model::idle::{IdleLimit, IdleStage, IdleUnknown, IdleView};
use crate::model::page::{DependencyView, Detail, FailureKey, HostView, Window, WindowFigures};
use crate::model::phase::Phase;

use super::scalar::seconds;
use super::{finding, operation};

/// A row of the list: state, cause and figures of one dependency.
pub fn dependency(view: &DependencyView) -> Json {
    Json::Object(dependency_object(view))
}

/// Everything about one dependency: the row, its host, its findings and its last operations, at most so many of each kind.
pub fn detail(detail: &Detail, limit: usize) -> Json {
    let mut object = dependency_object(&detail.view);
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    let operations = |records: &[Arc<OperationRecord>]| {
        let shown = records.iter().take(limit);
        Json::Array(shown.map(|record| operation(record)).collect())
    };
    put("host", host(&detail.host));
    put("findings", detail.findings.iter().map(finding).collect());
    put("gaps", super::vantage::gaps(&detail.gaps));
    let success: Option<&OperationRecord> = detail.last_success.as_deref();
    put("last_success", success.map_or(Json::Null, operation));
    put("earlier_successes", operations(&detail.earlier_successes));
    put("last_failures", operations(&detail.last_failures));
    Json::Object(object)
}

fn dependency_object(view: &DependencyView) -> Map<String, Json> {
    let dependency = &view.dependency;
    let labels = dependency
        .labels
        .iter()
        .map(|(key, label)| (key.to_string(), Json::from(&**label)));
    let (since, cause, phase, speed) = match &view.state {
        State::Unknown => (None, None, None, None),
        State::Up { since } => (Some(*since), None, None, None),
        State::Failing {
            since,
            cause,
            phase,
            speed,
        } => (Some(*since), Some(*cause), *phase, Some(*speed)),
    };
    let mut object = Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("name", Json::from(&*dependency.name));
    put("target", dependency.probe.target().into());
    put("labels", Json::Object(labels.collect()));
    put("state", view.state.id().into());
    put("since", since.map(|wall| wall.to_string()).into());
    put("up", view.up.into());
    put("cause", cause.map(|cause| cause.id()).into());
    put("phase", phase.map(|phase: Phase| phase.id()).into());
    put("speed", speed.map(|speed| speed.id()).into());
    put("fault", cause.map(|cause| cause.fault().id()).into());
    put("interval", seconds(dependency.interval));
    put("breaker", view.breaker.id().into());
    put("last_status", view.last_status.into());
    put("last_rtt", view.last_rtt.map_or(Json::Null, seconds));
    put(
        "tls_not_after",
        view.not_after.map(|wall| wall.to_string()).into(),
    );
    put("dns_answers_differ", view.dns_answers_differ.into());
    put("counters", counters(view));
    object
}

/// Counters since `since`; they never go back while the dependency stays in the plan.
fn counters(view: &DependencyView) -> Json {
    let operations = Verdict::ALL.iter().zip(view.operations);
    let operations = operations.map(|(verdict, count)| (verdict.id().to_owned(), count.into()));
    let resets = StaleKind::ALL.iter().zip(view.keepalive_resets);
    let resets = resets.map(|(kind, [before, after])| {
        (
            kind.id().to_owned(),
            json!({"before_send": before, "after_send": after}),
        )
    });
    let phases = Phase::ALL
        .iter()
        .zip(&view.phases)
        .filter(|(_, figures)| figures.count > 0);
    let phases = phases.map(|(phase, figures)| {
        let figures = json!({"count": figures.count, "sum": figures.sum, "average": figures.average});
        (phase.id().to_owned(), figures)
    });
    let failed: Json = view
        .attempts_failed
        .iter()
        .map(|(key, count)| failed_attempts(key, *count))
        .collect();
    json!({
        "since": view.since.to_string(),
        "operations": Json::Object(operations.collect()),
        "attempts": {"ok": view.attempts_ok, "failed": failed},
        "duration": {"count": view.duration.count(), "sum": view.duration.sum()},
        "phases": Json::Object(phases.collect()),
        "keepalive_resets": Json::Object(resets.collect()),
    })
}

fn failed_attempts(key: &FailureKey, count: u64) -> Json {
    match key {
        FailureKey::Named { cause, phase, speed } => json!({
            "cause": cause.id(),
            "phase": phase.map(|phase| phase.id()),
            "speed": speed.id(),
            "count": count,
        }),
        FailureKey::Other => json!({"cause": "_OTHER", "phase": null, "speed": null, "count": count}),
    }
}

fn host(view: &HostView) -> Json {
    let windows = Window::ALL.iter().zip(&view.windows);
    let windows = windows.map(|(window, figures)| (window.id().to_owned(), self::window(figures)));
    let suppressed = SuppressReason::ALL.iter().zip(view.suppressed);
    let suppressed = suppressed.map(|(reason, count)| (reason.id().to_owned(), count.into()));
    let idle_timeout = view
        .idle_timeout
        .map(|(kind, after)| json!({"kind": kind.id(), "after": seconds(after)}));
    json!({
        "server": &*view.key.name,
        "port": view.key.port,
        "proxy": view.key.proxy.as_deref(),
        "since": view.since.to_string(),
        "windows": Json::Object(windows.collect()),
        "retries_suppressed": Json::Object(suppressed.collect()),
        "retry_budget": view.retry_budget,
        "in_flight": view.in_flight,
        "cap": view.cap,
        "saturation": view.saturation(),
        "idle_timeout": idle_timeout,
        "idle_measurement": view.idle.as_ref().map(idle),
    })
}

/// How far the measurement of the host's idle timeout has come, and what the last one showed.
fn idle(view: &IdleView) -> Json {
    let known = view.known.map(|known| {
        let (kind, how, low, high) = match known.limit {
            IdleLimit::Ends { how, low, high } => (Some(how.kind().id()), Some(how.id()), low, Some(high)),
            IdleLimit::NoneFound { up_to } => (None, None, up_to, None),
        };
        json!({
            "kind": kind,
            "how": how,
            "good_after": seconds(low),
            "ended_after": high.map(seconds),
            "samples": known.samples,
            "control_uses": known.control_uses,
            "announced": known.announced.map(seconds),
            "measured_at": known.at.to_string(),
            "kept": view.kept,
        })
    });
    let progress = match view.stage {
        IdleStage::Measuring { since, low, high } => json!({
            "since": since.to_string(),
            "good_after": seconds(low),
            "ended_after": high.map(seconds),
        }),
        IdleStage::Waiting | IdleStage::Resting => Json::Null,
    };
    let unknown = view.unknown.as_ref().map(|(why, at)| {
        let (age, text) = match why {
            IdleUnknown::EndsInUse { age } => (Some(seconds(*age)), None),
            IdleUnknown::NotMade(text) => (None, Some(&**text)),
            IdleUnknown::NotKept | IdleUnknown::Contradictory => (None, None),
        };
        json!({"why": why.id(), "age": age, "error": text, "at": at.to_string()})
    });
    json!({"state": view.stage.id(), "measuring": progress, "known": known, "unknown": unknown})
}

fn window(figures: &WindowFigures) -> Json {
    let stale = StaleKind::ALL.iter().zip(figures.stale);
    let stale = stale.map(|(kind, count)| (kind.id().to_owned(), Json::from(count)));
    json!({
        "operations": figures.operations,
        "succeeded": figures.succeeded,
        "retried": figures.retried,
        "retried_then_succeeded": figures.retried_then_succeeded,
        "attempts": figures.attempts,
        "masked_ratio": figures.masked_ratio(),
        "amplification": figures.amplification(),
        "stale": Json::Object(stale.collect()),
    })
}
