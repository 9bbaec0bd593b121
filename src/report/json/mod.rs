//! Operations and dependencies as JSON: `check --output json` and the HTTP API. docs/json.md describes the schema.
//!
//! Keys come in a stable order; what is not known is `null`. Durations are seconds (floating point), times RFC 3339.

mod alerts;
mod dependency;
mod discovery;
mod hop;
mod incidents;
mod scalar;
mod silences;
mod status;
mod vantage;

pub use alerts::alert;
pub use dependency::{dependency, detail};
pub use discovery::{discovery, origin};
pub use incidents::{incident, receiver};
pub use silences::silence;
pub use status::status;
pub use vantage::vantage;

use serde_json::{Map, Value as Json, json};

use crate::model::attempt::StaleConnection;
use crate::model::cause::{Cause, Speed};
use crate::model::failure::{AttemptRecord, ConfirmationRecord, Failure, Finding};
use crate::model::failure::{Confidence, OperationRecord, RetryDecision, Verdict};
use crate::model::order::ConfirmationKind;
use scalar::{evidence, option_id, phases, seconds, text};

use super::words;

/// The version of the objects made here. It grows when a key goes away or changes its meaning, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// A concluded operation: one object of `check --output json`.
pub fn operation(record: &OperationRecord) -> Json {
    let failure = record.failure.as_ref();
    let mut object = Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("schema_version", SCHEMA_VERSION.into());
    put("target", record.dependency.probe.target().into());
    put("verdict", record.verdict.id().into());
    put("cause", option_id(failure.map(|f| f.cause.id())));
    put("phase", option_id(failure.and_then(|f| f.phase).map(|p| p.id())));
    put("speed", option_id(failure.map(|f| f.speed.id())));
    put("fault", option_id(failure.map(|f| f.cause.fault().id())));
    put("retryable", option_id(failure.map(|f| f.cause.retryable().id())));
    put("confidence", option_id(failure.map(|f| f.confidence.id())));
    put("alternatives", failure.map_or_else(|| json!([]), alternatives));
    put("fix", failure.map_or(Json::Null, |f| text(&f.fix)));
    put(
        "evidence",
        failure.map_or_else(|| json!({}), |f| evidence(&f.evidence)),
    );
    put("chain", failure.map_or_else(|| json!([]), |f| chain(&f.chain)));
    put("started", record.started.to_string().into());
    put("elapsed", seconds(record.elapsed));
    put("attempts", record.attempts.iter().map(attempt).collect());
    put(
        "confirmations",
        record.confirmations.iter().map(confirmation).collect(),
    );
    put("findings", record.findings.iter().map(finding).collect());
    Json::Object(object)
}

/// The object of a target that could not be asked at all, because its URL is none: `config.url_invalid`, with no attempt.
pub fn url_invalid(target: &str, reason: &str, fix: &str) -> Json {
    let cause = Cause::ConfigUrlInvalid;
    json!({
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "verdict": Verdict::Failed.id(),
        "cause": cause.id(),
        "phase": null,
        "speed": Speed::Fast.id(),
        "fault": cause.fault().id(),
        "retryable": cause.retryable().id(),
        "confidence": Confidence::Observed.id(),
        "alternatives": [],
        "fix": fix,
        "evidence": {"reason": reason},
        "chain": [],
        "started": null,
        "elapsed": 0.0,
        "attempts": [],
        "confirmations": [],
        "findings": [],
    })
}

fn alternatives(failure: &Failure) -> Json {
    failure
        .alternatives
        .iter()
        .map(|cause| Json::from(cause.id()))
        .collect()
}

fn chain(texts: &[Box<str>]) -> Json {
    texts.iter().map(|link| text(link)).collect()
}

fn attempt(record: &AttemptRecord) -> Json {
    let facts = &record.attempt;
    let decisive = facts.stop().and_then(|stop| stop.hop);
    let hops: Json = facts.hops.iter().map(hop::hop).collect();
    json!({
        "n": record.number,
        "started": facts.started.to_string(),
        "elapsed": seconds(facts.elapsed),
        "status": facts.status(),
        "phases": phases(&facts.phases()),
        "hops": hops,
        "failed_hop": decisive,
        "stale_found": facts.stale_found.as_ref().map(stale),
        "failure": record.failure.as_ref().map(attempt_failure),
        "retry": retry(&record.decision),
    })
}

/// An attempt's own failure. What follows from the cause alone stands at the operation.
fn attempt_failure(failure: &Failure) -> Json {
    json!({
        "cause": failure.cause.id(),
        "phase": failure.phase.map(|phase| phase.id()),
        "speed": failure.speed.id(),
        "confidence": failure.confidence.id(),
        "alternatives": alternatives(failure),
        "fix": text(&failure.fix),
        "evidence": evidence(&failure.evidence),
        "chain": chain(&failure.chain),
    })
}

fn stale(found: &StaleConnection) -> Json {
    json!({
        "kind": found.kind.id(),
        "address": found.address.to_string(),
        "idle": seconds(found.idle),
        "measured": found.measured,
    })
}

fn retry(decision: &RetryDecision) -> Json {
    let (after, because) = match decision {
        RetryDecision::Retry { after, because } => (Some(*after), Some(because.id())),
        RetryDecision::RetryAfterTooLong { asked } => (Some(*asked), None),
        _ => (None, None),
    };
    json!({
        "decision": decision.id(),
        "because": because,
        "after": after.map(seconds),
        "reason": words::retry_reason(decision),
    })
}

fn confirmation(record: &ConfirmationRecord) -> Json {
    let address = match &record.kind {
        ConfirmationKind::NotFoundVariants
        | ConfirmationKind::PlainHttp { .. }
        | ConfirmationKind::AsBrowser { .. }
        | ConfirmationKind::EveryAddress(_)
        | ConfirmationKind::CompareNames => None,
        ConfirmationKind::ClientHello(address)
        | ConfirmationKind::FreshConnection(address)
        | ConfirmationKind::SignsOfLife { address, .. }
        | ConfirmationKind::MssClamp { address, .. }
        | ConfirmationKind::FetchIssuer { address, .. }
        | ConfirmationKind::LateAlert(address) => Some(address),
    };
    json!({
        "kind": record.kind.id(),
        "address": address.map(ToString::to_string),
        "elapsed": seconds(record.confirmation.elapsed),
        "result": scalar::confirmation_result(&record.confirmation.result),
        "evidence": evidence(&record.confirmation.evidence),
        "ruled_out": record.ruled_out.iter().map(|cause| cause.id()).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Json {
    json!({
        "id": finding.id.id(),
        "evidence": evidence(&finding.evidence),
        "fix": text(&finding.fix),
    })
}

#[cfg(test)]
mod tests;
