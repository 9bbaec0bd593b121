mod alerts;

use super::*;
use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::{Call, CertificateFacts, Confirmation, ConfirmationResult, StaleConnection};
use crate::model::attempt::{StaleKind, TcpFacts, TlsFacts, TlsTrouble, Trouble};
use crate::model::cause::{Cause, FindingId, Speed};
use crate::model::dependency::{DependencyIndex, HostKey, Scheme};
use crate::model::event::BreakerState;
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{RetryDelay, State};
use crate::model::histogram::Histogram;
use crate::model::page::{DependencyView, Detail, FailureKey, HostView, PhaseFigures, WindowFigures};
use crate::model::phase::Phase;
use crate::model::time::Wall;
use crate::report::golden::assert_current;
use crate::report::samples;

/// The example of docs/json.md: an expired certificate, seen on IPv4 after IPv6 was refused.
fn expired() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Https, "api.internal", "/health");
    let mut first = samples::hop(
        &dependency,
        Some("[2001:db8::7]:443"),
        &[(Phase::Resolve, 400), (Phase::Connect, 300)],
    );
    let refused = Trouble::Io {
        call: Call::Connect,
        errno: libc::ECONNREFUSED,
    };
    first.stop = Some(Box::new(samples::stop(
        Phase::Connect,
        refused,
        &["Connection refused (os error 111)"],
    )));
    let mut second = samples::hop(
        &dependency,
        Some("10.0.0.7:443"),
        &[(Phase::Connect, 600), (Phase::Tls, 10_900)],
    );
    second.tls = Some(Box::new(presented_chain()));
    second.tcp = Some(TcpFacts {
        state: 1,
        rtt: samples::micros(540),
        send_mss: 1_448,
        ..TcpFacts::default()
    });
    (second.sent, second.received) = (517, 2_210);
    let mut stop = samples::stop(
        Phase::Tls,
        Trouble::Tls(TlsTrouble::Certificate),
        &["TLS handshake failed", "invalid peer certificate: Expired"],
    );
    stop.hop = Some(1);
    let evidence = Evidence::new()
        .with("not_after", Wall::from_unix_secs(1_795_132_800))
        .with("chain_position", 0_u8);
    let fix = "renew the certificate of api.internal (leaf, expired 3 days ago)";
    let failure = samples::failure(
        Cause::TlsCertExpired,
        &stop,
        samples::micros(12_200),
        fix,
        evidence,
    );
    let attempt = samples::attempt(vec![first, second], Some(stop));
    let record = samples::attempt_record(1, attempt, Some(failure), RetryDecision::NotRetryable);
    let mut record = samples::operation(&dependency, crate::model::failure::Verdict::Failed, vec![record]);
    record.findings.push(Finding {
        id: FindingId::AddressIpv6Broken,
        evidence: Evidence::new()
            .with("address", "[2001:db8::7]:443")
            .with("cause", "tcp.refused.rst"),
        fix: "make the service listen on IPv6, or remove the AAAA record".into(),
    });
    record
}

fn presented_chain() -> TlsFacts {
    TlsFacts {
        server_name: Some("api.internal".into()),
        chain: vec![CertificateFacts {
            subject: "CN=api.internal".into(),
            issuer: "CN=Internal CA".into(),
            serial: "0a1b".into(),
            not_before: Wall::from_unix_secs(1_763_596_800),
            not_after: Wall::from_unix_secs(1_795_132_800),
            names: vec!["api.internal".into()],
            is_ca: false,
            self_issued: false,
            signature_algorithm: "ecdsa-with-SHA256".into(),
            key: "EC P-256".into(),
            fingerprint: "9f86d081884c7d65".into(),
            needed: true,
        }],
        ..TlsFacts::default()
    }
}

#[test]
fn an_operation_holds_what_the_interface_promises() {
    let json = operation(&expired());
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["target"], "https://api.internal/health");
    assert_eq!(json["verdict"], "failed");
    assert_eq!(json["cause"], "tls.cert.date_invalid.expired");
    assert_eq!(json["phase"], "tls");
    assert_eq!(json["speed"], "fast");
    assert_eq!(json["fault"], "config");
    assert_eq!(json["retryable"], "no");
    assert_eq!(json["confidence"], "observed");
    let attempt = &json["attempts"][0];
    assert_eq!(attempt["n"], 1);
    assert_eq!(attempt["status"], Json::Null);
    assert_eq!(
        attempt["phases"],
        json!({"resolve": 0.0004, "connect": 0.0009, "tls": 0.0109})
    );
    assert_eq!(attempt["failed_hop"], 1);
    assert_eq!(
        attempt["hops"][0]["stopped"]["what"],
        "connect failed with ECONNREFUSED"
    );
    assert_eq!(attempt["hops"][1]["address"], "10.0.0.7:443");
    assert_eq!(
        attempt["failure"]["evidence"]["not_after"],
        "2026-11-20T00:00:00Z"
    );
    assert_eq!(
        attempt["failure"]["chain"][1],
        "invalid peer certificate: Expired"
    );
    assert_eq!(attempt["retry"]["decision"], "not_retryable");
    assert_eq!(json["findings"][0]["id"], "address.ipv6_broken");
}

#[test]
fn an_operation_that_went_well_has_no_cause_but_all_keys() {
    let good = operation(&samples::ok());
    let bad = operation(&expired());
    let keys = |json: &Json| -> Vec<String> {
        json.as_object()
            .into_iter()
            .flat_map(|object| object.keys().cloned())
            .collect()
    };
    assert_eq!(keys(&good), keys(&bad));
    assert_eq!(keys(&good["attempts"][0]), keys(&bad["attempts"][0]));
    assert_eq!(
        keys(&good["attempts"][0]["hops"][0]),
        keys(&bad["attempts"][0]["hops"][0])
    );
    assert_eq!(good["cause"], Json::Null);
    assert_eq!(good["alternatives"], json!([]));
    assert_eq!(good["attempts"][0]["failure"], Json::Null);
    assert_eq!(good["attempts"][0]["status"], 200);
}

#[test]
fn a_retry_tells_its_reason_and_a_stale_connection_its_age() {
    let mut record = samples::ok();
    let after = Duration::from_millis(180);
    record.attempts[0].decision = RetryDecision::Retry {
        after,
        because: RetryDelay::Backoff,
    };
    record.attempts[0].attempt.stale_found = Some(StaleConnection {
        kind: StaleKind::Closed,
        address: "10.0.0.7:443".parse().expect("an address"),
        idle: Duration::from_secs(60),
        measured: true,
    });
    let json = operation(&record);
    let expected = json!({
        "decision": "retry", "because": "backoff", "after": 0.18,
        "reason": "retried after 180 ms of backoff",
    });
    assert_eq!(json["attempts"][0]["retry"], expected);
    assert_eq!(json["attempts"][0]["stale_found"]["kind"], "closed");
    assert_eq!(json["attempts"][0]["stale_found"]["idle"], 60.0);
}

#[test]
fn evidence_keeps_the_kind_of_its_values() {
    let nested = Value::List(vec![Value::Map(vec![("rcode", 3.into()), ("late", true.into())])]);
    let shown = evidence(
        &Evidence::new()
            .with("waited", Duration::from_millis(1_500))
            .with("servers", nested)
            .with("ratio", f64::NAN),
    );
    assert_eq!(
        shown.to_string(),
        r#"{"waited":1.5,"servers":[{"rcode":3,"late":true}],"ratio":null}"#
    );
}

#[test]
fn a_second_look_tells_what_it_found() {
    let mut record = samples::ok();
    record.confirmations.push(ConfirmationRecord {
        kind: ConfirmationKind::NotFoundVariants,
        confirmation: Confirmation {
            elapsed: Duration::from_millis(5),
            result: ConfirmationResult::NotFoundVariants(vec![("https://api.internal/health/".into(), 200)]),
            evidence: Evidence::new(),
        },
        ruled_out: vec![Cause::HttpTlsPeer],
    });
    let json = operation(&record);
    let variants = json!([{"url": "https://api.internal/health/", "status": 200}]);
    assert_eq!(json["confirmations"][0]["kind"], "not_found_variants");
    assert_eq!(
        json["confirmations"][0]["ruled_out"],
        json!(["http.protocol.error.tls_peer"])
    );
    assert_eq!(
        json["confirmations"][0]["result"],
        json!({"done": true, "variants": variants})
    );
}

fn view() -> DependencyView {
    let mut duration = Histogram::default();
    duration.record(Duration::from_millis(12));
    let mut phases = [PhaseFigures::default(); 8];
    phases[Phase::Connect.index()] = PhaseFigures {
        count: 3,
        sum: 0.75,
        average: 0.25,
    };
    DependencyView {
        index: DependencyIndex(0),
        dependency: samples::dependency(Scheme::Https, "api.internal", "/health"),
        since: samples::STARTED,
        state: State::Failing {
            since: samples::STARTED,
            cause: Cause::Http503,
            phase: Some(Phase::FirstByte),
            speed: Speed::Fast,
        },
        up: Some(false),
        operations: [7, 1, 2, 0],
        attempts_ok: 8,
        attempts_failed: vec![
            (
                FailureKey::Named {
                    cause: Cause::Http503,
                    phase: Some(Phase::FirstByte),
                    speed: Speed::Fast,
                },
                4,
            ),
            (FailureKey::Other, 1),
        ],
        duration,
        phases,
        keepalive_resets: [[2, 1], [0, 0], [0, 0]],
        breaker: BreakerState::Suppressing,
        last_status: Some(503),
        last_rtt: Some(samples::micros(540)),
        not_after: None,
        dns_answers_differ: Some(false),
    }
}

#[test]
fn a_dependency_shows_its_state_and_counters() {
    let json = dependency(&view());
    assert_eq!(json["state"], "failing");
    assert_eq!(json["since"], "2026-11-23T09:00:00Z");
    assert_eq!(json["cause"], "http.error.503");
    assert_eq!(json["labels"], json!({"team": "checkout"}));
    let counters = &json["counters"];
    assert_eq!(
        counters["operations"],
        json!({"ok": 7, "retried_ok": 1, "failed": 2, "inconclusive": 0})
    );
    assert_eq!(counters["attempts"]["failed"][1]["cause"], "_OTHER");
    assert_eq!(
        counters["keepalive_resets"]["closed"],
        json!({"before_send": 2, "after_send": 1})
    );
    assert_eq!(
        counters["phases"],
        json!({"connect": {"count": 3, "sum": 0.75, "average": 0.25}})
    );
}

#[test]
fn a_detail_adds_the_host_and_the_last_operations() {
    let window = WindowFigures {
        operations: 10,
        succeeded: 8,
        retried: 2,
        retried_then_succeeded: 2,
        attempts: 13,
        stale: [1, 0, 0],
    };
    let host = HostView {
        key: HostKey {
            name: "api.internal".into(),
            port: 443,
            proxy: None,
        },
        since: samples::STARTED,
        windows: [WindowFigures::default(), window, window],
        suppressed: [3, 0],
        retry_budget: 9.5,
        in_flight: 1,
        cap: 4,
        idle_timeout: Some((StaleKind::Closed, Duration::from_secs(60))),
        idle: None,
    };
    let detail_of = |limit| {
        let one = Detail {
            view: view(),
            host: host.clone(),
            last_success: Some(Arc::new(samples::ok())),
            earlier_successes: vec![Arc::new(samples::ok()), Arc::new(samples::ok())],
            last_failures: vec![Arc::new(expired()), Arc::new(expired())],
            findings: Vec::new(),
            gaps: Default::default(),
        };
        detail(&one, limit)
    };
    let limited = detail_of(1);
    assert_eq!(limited["last_success"]["verdict"], "ok");
    for key in ["earlier_successes", "last_failures"] {
        assert_eq!(limited[key].as_array().map(Vec::len), Some(1), "{key}");
    }
    let json = detail_of(10);
    assert_eq!(json["earlier_successes"].as_array().map(Vec::len), Some(2));
    let host = &json["host"];
    assert_eq!(host["windows"]["1m"]["masked_ratio"], Json::Null);
    assert_eq!(host["windows"]["5m"]["masked_ratio"], 0.25);
    assert_eq!(host["windows"]["1h"]["amplification"], 1.3);
    assert_eq!(host["retries_suppressed"], json!({"budget": 3, "breaker": 0}));
    assert_eq!(host["saturation"], 0.25);
    assert_eq!(host["idle_timeout"], json!({"kind": "closed", "after": 60.0}));
    assert_eq!(json["last_success"]["verdict"], "ok");
    assert_eq!(json["last_failures"][0]["cause"], "tls.cert.date_invalid.expired");
}

/// The text of docs/json.md is written by hand; its example is not.
#[test]
fn the_example_in_the_document_is_current() {
    const BEGIN: &str = "<!-- example: made by a test; UPDATE_EXPECT=1 rewrites it -->\n```json\n";
    const END: &str = "\n```\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let document = std::fs::read_to_string(path).expect("docs/json.md is there");
    let (before, rest) = document
        .split_once(BEGIN)
        .expect("the document marks its example");
    let (_, after) = rest.split_once(END).expect("the example ends");
    let example = serde_json::to_string_pretty(&operation(&expired())).expect("it serializes");
    assert_current("docs/json.md", &format!("{before}{BEGIN}{example}{END}{after}"));
}

#[test]
fn the_document_names_every_key() {
    let document =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md"))
            .expect("docs/json.md is there");
    let json = operation(&expired());
    let hop = &json["attempts"][0]["hops"][1];
    let view = dependency(&view());
    for object in [
        &json,
        &json["attempts"][0],
        hop,
        &json["attempts"][0]["retry"],
        &view,
        &view["counters"],
    ] {
        for key in object.as_object().into_iter().flat_map(|object| object.keys()) {
            assert!(document.contains(&format!("`{key}`")), "{key} is not described");
        }
    }
}
