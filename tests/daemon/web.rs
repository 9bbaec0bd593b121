//! What the listener tells about the dependencies.

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::prometheus::Metrics;
use crate::harness::{Answer, Daemon, Files, eventually};

/// A day is long enough that a dependency is not due by chance while the test runs.
fn config(files: &Files, interval: &str, good: &HttpServer, bad: &HttpServer) -> std::path::PathBuf {
    let (good, bad) = (good.address(), bad.address());
    files.config(&format!(
        "defaults: {{interval: {interval}}}
dependencies:
  - {{name: good, url: 'http://{good}/', labels: {{team: 'a \"quoted\" \\ one'}}}}
  - {{name: bad, url: 'http://{bad}/health', retry: {{attempts: 1}}}}
"
    ))
}

#[tokio::test]
async fn health_metrics_and_the_api() {
    let good = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let bad = HttpServer::plain(Behaviour::status(503)).await.expect("loopback");
    let files = Files::new();
    let mut daemon = Daemon::start(&config(&files, "24h", &good, &bad)).await;

    let ready = daemon.get("/-/ready").await;
    assert_eq!(ready.status, 503, "no round was begun: {}", ready.text);
    assert!(ready.json()["error"].as_str().expect("why").contains("round"));
    assert_eq!(daemon.get("/-/healthy").await.status, 200);
    let unknown = daemon.dependency("bad").await;
    assert_eq!(unknown["state"], "unknown", "{unknown}");

    config(&files, "100ms", &good, &bad);
    daemon.hangup().await;
    eventually("readiness", async || {
        (daemon.get("/-/ready").await.status == 200).then_some(())
    })
    .await;
    daemon.operations("good", 3.0).await;
    let metrics = daemon.operations("bad", 3.0).await;
    check_metrics(&metrics);
    check_openmetrics(&daemon).await;
    check_api(&daemon).await;
    check_refusals(&daemon).await;
}

#[tokio::test]
async fn what_a_reload_adds_does_not_take_readiness_back() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let address = server.address();
    let first = format!("dependencies:\n  - {{name: first, url: 'http://{address}/', interval: 100ms}}\n");
    let mut daemon = Daemon::start(&files.config(&first)).await;
    daemon.operations("first", 1.0).await;
    let mut more = first.clone();
    for number in 0..30 {
        more += &format!("  - {{name: rare-{number}, url: 'http://{address}/', interval: 24h}}\n");
    }
    files.config(&more);
    daemon.hangup().await;
    daemon.process.line("30 added").await;
    let unknown = "/api/v1/dependencies?state=unknown";
    let rare = daemon.get(unknown).await.json();
    let rare = rare["dependencies"].as_array().map_or(0, Vec::len);
    assert!(rare > 0, "they are due within a minute, not at once");
    let ready = daemon.get("/-/ready").await;
    assert_eq!(
        ready.status, 200,
        "what serves must not be taken out of service: {}",
        ready.text
    );
}

fn check_metrics(metrics: &Metrics) {
    assert_eq!(metrics.get("whyd_up", &[("dependency", "good")]), Some(1.0));
    assert_eq!(metrics.get("whyd_up", &[("dependency", "bad")]), Some(0.0));
    let failing = [
        ("dependency", "bad"),
        ("error_type", "http.error.503"),
        ("speed", "fast"),
    ];
    assert_eq!(metrics.get("whyd_failing", &failing), Some(1.0));
    assert_eq!(metrics.get("whyd_failing", &[("dependency", "good")]), None);
    assert!(metrics.outcome("bad", "failed") >= 3.0);
    assert_eq!(metrics.outcome("good", "failed"), 0.0);
    let team = [("dependency", "good"), ("team", "a \"quoted\" \\ one")];
    assert_eq!(
        metrics.get("whyd_up", &team),
        Some(1.0),
        "labels are quoted as they must be"
    );
    assert_eq!(metrics.sum("whyd_build_info", &[]), 1.0);
}

async fn check_openmetrics(daemon: &Daemon) {
    let plain = daemon.get("/metrics").await;
    assert!(
        plain.content_type.starts_with("text/plain; version=0.0.4"),
        "{}",
        plain.content_type
    );
    let open = daemon
        .get_as("/metrics", "application/openmetrics-text; version=1.0.0")
        .await;
    assert!(
        open.content_type.starts_with("application/openmetrics-text"),
        "{}",
        open.content_type
    );
    assert!(open.text.ends_with("\n# EOF\n"), "it has an end");
    assert_eq!(open.text.matches("# EOF").count(), 1);
    assert!(!plain.text.contains("# EOF"));
    // OpenMetrics names a counter's family without the suffix that its samples have.
    assert!(
        open.text.contains("# TYPE whyd_operations counter\n"),
        "{}",
        open.text
    );
}

async fn check_api(daemon: &Daemon) {
    let list = daemon.get("/api/v1/dependencies").await.json();
    let of = |name: &str| -> Value {
        let all = list["dependencies"].as_array().expect("a list");
        all.iter().find(|d| d["name"] == name).cloned().expect("listed")
    };
    assert_eq!(
        (&of("good")["state"], &of("bad")["state"]),
        (&"up".into(), &"failing".into())
    );
    assert_eq!(of("bad")["cause"], "http.error.503");
    let one = daemon.get("/api/v1/dependencies?limit=1").await.json();
    assert_eq!(one["dependencies"].as_array().map(Vec::len), Some(1));
    let rest = format!("/api/v1/dependencies?limit=1&cursor={}", one["next_cursor"]);
    let rest = daemon.get(&rest).await.json();
    assert_ne!(rest["dependencies"][0]["name"], one["dependencies"][0]["name"]);
    assert_eq!(rest["next_cursor"], Value::Null);

    let bad = daemon.dependency("bad").await;
    let last = &bad["last_failures"][0];
    assert_eq!(last["cause"], "http.error.503", "{bad}");
    let attempt = &last["attempts"][0];
    assert_eq!(attempt["status"], 503, "{attempt}");
    assert_eq!(attempt["failure"]["evidence"]["status"], 503, "{attempt}");
    let phases = attempt["phases"].as_object().expect("phases");
    assert!(phases["connect"].as_f64().is_some_and(|s| s > 0.0), "{attempt}");
    assert!(
        !phases.contains_key("tls"),
        "a phase that was not reached has no timing: {attempt}"
    );
    assert_ne!(last["fix"], "", "{last}");
    assert_eq!(bad["last_success"], Value::Null, "it never answered well");
}

async fn check_refusals(daemon: &Daemon) {
    let is_json = |answer: &Answer| {
        assert!(answer.content_type.starts_with("application/json"), "{answer:?}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
        answer.status
    };
    for path in ["/nothing", "/api/v1/dependencies/nobody", "/api/v1"] {
        assert_eq!(is_json(&daemon.get(path).await), 404, "{path}");
    }
    for path in ["/metrics", "/api/v1/dependencies", "/-/ready", "/-/healthy"] {
        assert_eq!(is_json(&daemon.post(path).await), 405, "{path}");
    }
    assert_eq!(is_json(&daemon.get("/-/reload").await), 405);
    assert_eq!(is_json(&daemon.get("/api/v1/dependencies?limit=0").await), 400);
    assert_eq!(is_json(&daemon.get("/api/v1/dependencies?colour=red").await), 400);
}
