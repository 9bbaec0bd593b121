//! Requests as they arrive, and what follows from what is answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

use crate::deliver::Deliverer;
use crate::lab::certs::{Authority, CertSpec};
use crate::lab::http::{Behaviour, HttpOptions, HttpServer};
use crate::lab::tls::{ServerTls, TlsOptions};
use crate::model::notification::DeliveryOutcome;
use crate::model::receiver::{Channel, Ping, WebAuth, WebTarget};
use crate::model::secret::{SecretRef, Text};

use super::{Sample, secret, target};

/// What arrived.
#[derive(Clone, Debug)]
struct Arrived {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Arrived {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

type Answers = VecDeque<(u16, &'static str)>;

/// Keeps what it is sent, and answers as it was told, then 200.
#[derive(Clone)]
struct Recorder {
    url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    answers: Arc<Mutex<Answers>>,
}

impl Recorder {
    async fn start(answers: impl IntoIterator<Item = (u16, &'static str)>) -> Recorder {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let recorder = Recorder {
            url: format!("http://{}", listener.local_addr().expect("bound")),
            arrived: Arc::default(),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        };
        let router = Router::new().fallback(record).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        recorder
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("not poisoned").clone()
    }

    fn target(&self, path: &str) -> WebTarget {
        target(&format!("{}{path}", self.url))
    }
}

async fn record(
    State(recorder): State<Recorder>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    recorder.arrived.lock().expect("not poisoned").push(Arrived {
        method,
        uri: uri.to_string(),
        headers,
        body,
    });
    let (status, text) = recorder
        .answers
        .lock()
        .expect("not poisoned")
        .pop_front()
        .unwrap_or((200, "ok"));
    (StatusCode::from_u16(status).expect("a status"), text)
}

async fn deliver(sample: Sample, channel: Channel) -> DeliveryOutcome {
    Deliverer::new().deliver(&sample.order(channel)).await
}

fn why(outcome: &DeliveryOutcome) -> &str {
    match outcome {
        DeliveryOutcome::Accepted => "",
        DeliveryOutcome::Failed { why, .. } | DeliveryOutcome::Refused { why } => why,
    }
}

fn is_failed(outcome: &DeliveryOutcome) -> bool {
    matches!(outcome, DeliveryOutcome::Failed { .. })
}

fn is_refused(outcome: &DeliveryOutcome) -> bool {
    matches!(outcome, DeliveryOutcome::Refused { .. })
}

#[tokio::test]
async fn alertmanager_gets_every_alert_in_batches() {
    let recorder = Recorder::start([]).await;
    let outcome = deliver(Sample::many(600), Channel::Alertmanager(recorder.target("/am/"))).await;
    assert_eq!(outcome, DeliveryOutcome::Accepted);
    let arrived = recorder.arrived();
    let sizes: Vec<usize> = arrived
        .iter()
        .map(|one| one.json().as_array().expect("a list").len())
        .collect();
    assert_eq!(sizes, [256, 256, 88]);
    assert_eq!(arrived[0].uri, "/am/api/v2/alerts");
    let first = &arrived[0].json()[0];
    assert_eq!(first["labels"]["alertname"], "WhydDependencyDownFast");
    assert_eq!(first["labels"]["incident"], "00000000000000aa");
    assert_eq!(first["labels"]["dependency"], "dependency-0000");
    assert_eq!(first["labels"]["team"], "checkout");
    assert_eq!(
        first["annotations"]["runbook_url"],
        "https://docs.example/causes.md#tls-cert-date_invalid-expired"
    );
    assert_eq!(first["startsAt"], "2026-11-24T03:13:00Z");
    assert_eq!(
        first["generatorURL"],
        "https://whyd.example/api/v1/dependencies/dependency-0000"
    );
    // It fires for a while without being posted again, from now on and not from when it began.
    let ends: jiff::Timestamp = first["endsAt"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("RFC 3339");
    let left = ends.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((280..=300).contains(&left), "{left}");
}

#[tokio::test]
async fn alertmanager_is_told_when_it_was_over() {
    let recorder = Recorder::start([]).await;
    let at = recorder.target("/api/v2/alerts");
    assert_eq!(
        deliver(Sample::over(), Channel::Alertmanager(at)).await,
        DeliveryOutcome::Accepted
    );
    let arrived = recorder.arrived();
    assert_eq!(arrived[0].uri, "/api/v2/alerts");
    assert_eq!(arrived[0].json()[0]["endsAt"], "2026-11-24T03:22:00Z");
}

#[tokio::test]
async fn a_webhook_carries_who_asks_and_the_id() {
    let recorder = Recorder::start([]).await;
    let mut at = recorder.target("/hook?token=1");
    at.auth = WebAuth::Basic {
        user: "whyd".into(),
        password: secret("pass word"),
    };
    at.headers = [("X-Extra".into(), Text::Plain("yes".into()))].into();
    assert_eq!(
        deliver(Sample::several(), Channel::Webhook(at)).await,
        DeliveryOutcome::Accepted
    );
    let arrived = &recorder.arrived()[0];
    assert_eq!(
        (arrived.method.as_str(), &*arrived.uri),
        ("POST", "/hook?token=1")
    );
    assert_eq!(arrived.header("idempotency-key"), "00000000000000aa-7-on-call");
    assert_eq!(arrived.header("authorization"), "Basic d2h5ZDpwYXNzIHdvcmQ=");
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(arrived.header("x-extra"), "yes");
    let agent = arrived.header("user-agent");
    assert!(
        agent.starts_with("whyd/") && agent.contains(" (+https://"),
        "{agent}"
    );
    assert_eq!(arrived.json()["alerts"].as_array().expect("alerts").len(), 3);
}

#[tokio::test]
async fn pagerduty_is_triggered_and_resolved_under_one_key() {
    let recorder = Recorder::start([(202, "{\"status\":\"success\"}"), (202, "")]).await;
    for sample in [Sample::default(), Sample::over()] {
        let channel = Channel::PagerDuty {
            target: recorder.target(""),
            routing_key: secret("R0UT1NGKEY"),
        };
        assert_eq!(deliver(sample, channel).await, DeliveryOutcome::Accepted);
    }
    let arrived = recorder.arrived();
    assert_eq!(arrived[0].uri, "/v2/enqueue");
    let (trigger, resolve) = (arrived[0].json(), arrived[1].json());
    assert_eq!(
        (&trigger["event_action"], &resolve["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(trigger["dedup_key"], "whyd/00000000000000aa");
    assert_eq!(trigger["dedup_key"], resolve["dedup_key"]);
    assert_eq!(trigger["routing_key"], "R0UT1NGKEY");
}

#[tokio::test]
async fn opsgenie_creates_changes_and_closes_by_alias() {
    let recorder = Recorder::start([(202, ""); 5]).await;
    for sample in [Sample::default(), Sample::several(), Sample::over()] {
        let channel = Channel::Opsgenie {
            target: recorder.target("/jsm/ops/integration"),
            api_key: secret("K3YK3Y"),
        };
        assert_eq!(deliver(sample, channel).await, DeliveryOutcome::Accepted);
    }
    let arrived = recorder.arrived();
    let asked: Vec<String> = arrived
        .iter()
        .map(|one| format!("{} {}", one.method, one.uri))
        .collect();
    let alias = "/jsm/ops/integration/v2/alerts/whyd-00000000000000aa";
    assert_eq!(
        asked,
        [
            "POST /jsm/ops/integration/v2/alerts".to_owned(),
            "POST /jsm/ops/integration/v2/alerts".to_owned(),
            format!("PUT {alias}/message?identifierType=alias"),
            format!("PUT {alias}/description?identifierType=alias"),
            format!("POST {alias}/close?identifierType=alias"),
        ]
    );
    assert!(
        arrived
            .iter()
            .all(|one| one.header("authorization") == "GenieKey K3YK3Y")
    );
    assert_eq!(arrived[0].json()["priority"], "P1");
}

#[tokio::test]
async fn slack_says_in_words_why_it_does_not_take_a_message() {
    let outcomes = [
        ((200, "ok"), ""),
        ((400, "invalid_payload"), "refused"),
        ((404, "channel_not_found"), "refused"),
        ((410, "channel_is_archived"), "refused"),
        ((429, "rate_limited"), "failed"),
        ((500, "rollup_error"), "failed"),
        ((200, r#"{"ok":true,"ts":"1"}"#), ""),
        ((200, r#"{"ok":false,"error":"not_in_channel"}"#), "refused"),
        ((200, r#"{"ok":false,"error":"ratelimited"}"#), "failed"),
    ];
    for ((status, text), expected) in outcomes {
        let recorder = Recorder::start([(status, text)]).await;
        let channel = Channel::Slack {
            target: recorder.target("/services/T0000/B0000/XXXXXXXXXXXXXXXXXXXX"),
            channel: None,
        };
        let outcome = deliver(Sample::default(), channel).await;
        assert_eq!(is_failed(&outcome), expected == "failed", "{text}: {outcome:?}");
        assert_eq!(is_refused(&outcome), expected == "refused", "{text}: {outcome:?}");
        if !expected.is_empty() {
            let word = text.split('"').nth_back(1).unwrap_or(text);
            assert!(why(&outcome).contains(word), "{outcome:?}");
            assert!(
                !why(&outcome).contains("XXXX") && !why(&outcome).contains("T0000"),
                "{outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_heartbeat_is_a_get_or_a_post() {
    let recorder = Recorder::start([]).await;
    for method in [Ping::Get, Ping::Post] {
        let channel = Channel::Heartbeat {
            target: recorder.target("/ping/uuid"),
            interval: Duration::from_secs(60),
            method,
        };
        assert_eq!(
            deliver(Sample::default(), channel).await,
            DeliveryOutcome::Accepted
        );
    }
    let methods: Vec<_> = recorder.arrived().iter().map(|one| one.method.clone()).collect();
    assert_eq!(methods, [Method::GET, Method::POST]);
    assert!(recorder.arrived()[1].body.is_empty());
}

#[tokio::test]
async fn statuses_are_told_apart() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let recorder = Recorder::start([(status, "<html><head><title>Oh no</title></head>")]).await;
        let outcome = deliver(Sample::default(), Channel::Webhook(recorder.target("/"))).await;
        assert!(is_failed(&outcome), "{status}: {outcome:?}");
        assert!(
            why(&outcome).contains(&status.to_string()) && why(&outcome).ends_with(": Oh no"),
            "{outcome:?}"
        );
    }
    for status in [400, 401, 403, 404, 409, 413, 422] {
        let recorder = Recorder::start([(status, "no\r\nway")]).await;
        let outcome = deliver(Sample::default(), Channel::Webhook(recorder.target("/"))).await;
        assert!(is_refused(&outcome), "{status}: {outcome:?}");
        assert!(why(&outcome).ends_with(": no way"), "{outcome:?}");
    }
    for status in [200, 201, 202, 204] {
        let recorder = Recorder::start([(status, "")]).await;
        let outcome = deliver(Sample::default(), Channel::Webhook(recorder.target("/"))).await;
        assert_eq!(outcome, DeliveryOutcome::Accepted, "{status}");
    }
}

async fn lab(behaviour: Behaviour) -> (HttpServer, Channel) {
    let server = HttpServer::plain(behaviour).await.expect("loopback");
    let at = target(&format!("http://{}/hook-0123456789", server.address()));
    (server, Channel::Webhook(at))
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let (_server, channel) = lab(Behaviour::TooMany {
        retry_after: "17".into(),
    })
    .await;
    let DeliveryOutcome::Failed { retry_after, why } = deliver(Sample::default(), channel).await else {
        panic!("it is not taken");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(17)));
    assert!(why.contains("429"), "{why}");
}

#[tokio::test]
async fn what_hangs_ends_with_the_timeout() {
    let (_server, channel) = lab(Behaviour::Silent).await;
    let sample = Sample {
        timeout: Duration::from_millis(300),
        ..Sample::default()
    };
    let outcome = deliver(sample, channel).await;
    assert!(is_failed(&outcome), "{outcome:?}");
    assert_eq!(why(&outcome), "no answer within 0.3 s");
}

#[tokio::test]
async fn broken_answers_are_failures_and_a_broken_body_is_none() {
    for behaviour in [
        Behaviour::Empty,
        Behaviour::TruncatedHead,
        Behaviour::Malformed,
        Behaviour::HugeHeaders { bytes: 1_000_000 },
    ] {
        let (_server, channel) = lab(behaviour.clone()).await;
        let outcome = deliver(Sample::default(), channel).await;
        assert!(is_failed(&outcome), "{behaviour:?}: {outcome:?}");
        assert!(!why(&outcome).contains("0123456789"), "{outcome:?}");
    }
    // The status was said: the receiver has it.
    for behaviour in [
        Behaviour::Truncated {
            content_length: 100,
            sent: 10,
        },
        Behaviour::ResetMidResponse { sent: 10 },
        Behaviour::BrokenGzip,
        Behaviour::Ok {
            body: vec![b'x'; 3_000_000],
        },
        Behaviour::BodyStall { sent: 10 },
    ] {
        let (_server, channel) = lab(behaviour.clone()).await;
        let outcome = deliver(Sample::default(), channel).await;
        assert_eq!(outcome, DeliveryOutcome::Accepted, "{behaviour:?}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Recorder::start([]).await;
    let to = format!("{}/elsewhere?token=s3cr3t", other.url);
    let (_server, channel) = lab(Behaviour::Downgrade { to }).await;
    let outcome = deliver(Sample::default(), channel).await;
    assert!(is_refused(&outcome), "{outcome:?}");
    assert!(
        why(&outcome).ends_with(&format!("it points to {}", other.url)),
        "{outcome:?}"
    );
    assert!(other.arrived().is_empty());
}

#[tokio::test]
async fn nobody_listening_is_a_failure_and_shows_no_secret() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let channel = Channel::Slack {
        target: target(&format!("http://{address}/services/T0/B0/secretsecretsecret")),
        channel: None,
    };
    let outcome = deliver(Sample::default(), channel).await;
    assert!(is_failed(&outcome), "{outcome:?}");
    assert!(
        why(&outcome).starts_with(&format!("http://{address}: ")),
        "{outcome:?}"
    );
    assert!(why(&outcome).to_lowercase().contains("refused"), "{outcome:?}");
    assert!(!why(&outcome).contains("secret"), "{outcome:?}");
}

#[tokio::test]
async fn what_a_receiver_repeats_of_a_secret_is_not_shown() {
    let recorder = Recorder::start([(
        400,
        "no service for tok-abcdefghijkl, key R0UT1NG and /hook/tok-abcdefghijkl",
    )])
    .await;
    let channel = Channel::PagerDuty {
        target: recorder.target("/hook/tok-abcdefghijkl"),
        routing_key: secret("R0UT1NG"),
    };
    let outcome = deliver(Sample::default(), channel).await;
    assert!(is_refused(&outcome), "{outcome:?}");
    for hidden in ["tok-", "R0UT1NG"] {
        assert!(!why(&outcome).contains(hidden), "{outcome:?}");
    }
    assert!(why(&outcome).contains("no service for [redacted]"), "{outcome:?}");
}

#[tokio::test]
async fn secrets_are_read_at_each_try() {
    let recorder = Recorder::start([]).await;
    let path = std::env::temp_dir().join(format!("whyd-deliver-token-{}", std::process::id()));
    let mut at = recorder.target("/");
    at.auth = WebAuth::Bearer(SecretRef::File(path.clone()));
    let order = Sample::default().order(Channel::Webhook(at));
    let deliverer = Deliverer::new();
    let missing = deliverer.deliver(&order).await;
    assert!(
        is_failed(&missing) && why(&missing).contains("whyd-deliver-token"),
        "{missing:?}"
    );
    for token in ["first-token", "another-token"] {
        std::fs::write(&path, format!("{token}\n")).expect("it can be written");
        assert_eq!(deliverer.deliver(&order).await, DeliveryOutcome::Accepted);
        let arrived = recorder.arrived();
        assert_eq!(
            arrived.last().expect("one").header("authorization"),
            format!("Bearer {token}")
        );
    }
    std::fs::remove_file(&path).expect("it was written");
}

#[tokio::test]
async fn urls_that_are_none_are_refused_without_showing_them() {
    for url in [
        "",
        "hooks.slack.com/services/T0",
        "ftp://host/secretpath",
        "http://",
    ] {
        let outcome = deliver(Sample::default(), Channel::Webhook(target(url))).await;
        assert!(is_refused(&outcome), "{url:?}: {outcome:?}");
        assert!(
            !why(&outcome).contains("secretpath") && !why(&outcome).contains("T0"),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn connections_are_kept_between_deliveries() {
    let (server, channel) = lab(Behaviour::ok()).await;
    let order = Sample::default().order(channel);
    let deliverer = Deliverer::new();
    for _ in 0..5 {
        assert_eq!(deliverer.deliver(&order).await, DeliveryOutcome::Accepted);
    }
    assert_eq!(server.server().connections(), 1);
}

#[tokio::test]
async fn tls_is_verified_against_what_is_configured() {
    let authority = Authority::new("Receivers").expect("an authority");
    let issued = authority
        .issue(CertSpec::named(["hooks.example"]))
        .expect("a certificate");
    let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, TlsOptions::default()).expect("TLS");
    let options = HttpOptions {
        tls: Some(tls),
        ..HttpOptions::default()
    };
    let server = HttpServer::start(Behaviour::ok(), options)
        .await
        .expect("loopback");
    let ca = std::env::temp_dir().join(format!("whyd-deliver-ca-{}.pem", std::process::id()));
    std::fs::write(&ca, authority.pem()).expect("it can be written");
    let mut at = target(&format!("https://{}/", server.address()));

    let untrusted = deliver(Sample::default(), Channel::Webhook(at.clone())).await;
    assert!(
        is_failed(&untrusted) && why(&untrusted).contains("UnknownIssuer"),
        "{untrusted:?}"
    );
    at.tls.ca = [ca.clone()].into();
    let other_name = deliver(Sample::default(), Channel::Webhook(at.clone())).await;
    assert!(
        is_failed(&other_name) && why(&other_name).contains("not valid for name"),
        "{other_name:?}"
    );
    at.tls.server_name = Some("hooks.example".into());
    assert_eq!(
        deliver(Sample::default(), Channel::Webhook(at)).await,
        DeliveryOutcome::Accepted
    );
    std::fs::remove_file(ca).expect("it was written");
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_configured_and_only_there() {
    let proxy = Recorder::start([]).await;
    let mut at = target("http://hooks.invalid/path");
    at.proxy = Some(proxy.url.as_str().into());
    assert_eq!(
        deliver(Sample::default(), Channel::Webhook(at)).await,
        DeliveryOutcome::Accepted
    );
    assert_eq!(proxy.arrived()[0].uri, "http://hooks.invalid/path");
}
