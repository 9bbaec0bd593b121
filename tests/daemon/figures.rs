//! Retries that mask failures, and kept connections that went stale: what the metrics of a running daemon make of them.

use std::time::Duration;

use whyd::lab::Ending;
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};

use crate::harness::prometheus::Metrics;
use crate::harness::{Daemon, Files};

/// The masked ratio of the server's host over a window.
fn masked(metrics: &Metrics, server: &HttpServer, window: &str) -> Option<f64> {
    let port = server.server().port().to_string();
    let labels = [("server_port", &*port), ("window", window)];
    metrics.get("whyd_retry_masked_ratio", &labels)
}

#[tokio::test]
async fn an_answer_at_the_second_try_is_masked_and_not_failed() {
    // A host earns 0.2 retries an operation: one failure in six requests is one retry in five operations.
    let flaky = Behaviour::FlakyThenOk {
        failures: 1,
        status: 503,
        successes: 5,
    };
    let server = HttpServer::plain(flaky).await.expect("loopback");
    let files = Files::new();
    let path = files.config(&format!(
        "dependencies:
  - name: flaky
    url: http://{}/
    interval: 200ms
    retry: {{attempts: 3, backoff: {{initial: 10ms, max: 20ms}}}}
",
        server.address()
    ));
    let mut daemon = Daemon::start(&path).await;
    let early = daemon.operations("flaky", 1.0).await;
    if early.sum("whyd_operations_total", &[]) < 10.0 {
        assert_eq!(masked(&early, &server, "1m"), None, "absent below 10 operations");
    }
    let metrics = daemon.operations("flaky", 16.0).await;
    let (ok, retried) = (
        metrics.outcome("flaky", "ok"),
        metrics.outcome("flaky", "retried_ok"),
    );
    assert!(
        retried >= 3.0,
        "every fifth operation needs a retry: {retried} of {ok}"
    );
    assert_eq!(metrics.outcome("flaky", "failed"), 0.0);
    assert_eq!(metrics.outcome("flaky", "inconclusive"), 0.0);
    for window in ["1m", "5m", "1h"] {
        let ratio = masked(&metrics, &server, window).expect("there are enough operations");
        assert!(
            (ratio - retried / (ok + retried)).abs() < 1e-9,
            "{window}: {ratio}"
        );
    }
    let failed = [("dependency", "flaky"), ("error_type", "http.error.503")];
    assert_eq!(metrics.get("whyd_attempts_total", &failed), Some(retried));
    let attempts = metrics.sum("whyd_attempts_total", &[("dependency", "flaky")]);
    assert_eq!(attempts, ok + 2.0 * retried);
    assert_eq!(metrics.get("whyd_up", &[("dependency", "flaky")]), Some(1.0));
    assert_eq!(metrics.get("whyd_failing", &[("dependency", "flaky")]), None);
    daemon.process.line("flaky works").await;
    let text = daemon.stop().await.text();
    assert!(
        !text.contains("is failing"),
        "a masked failure is no change of state: {text}"
    );
}

async fn closing(ending: Ending) -> HttpServer {
    let idle = IdleClose {
        after: Duration::from_millis(300),
        ending,
    };
    let options = HttpOptions {
        idle: Some(idle),
        ..HttpOptions::default()
    };
    HttpServer::start(Behaviour::ok(), options)
        .await
        .expect("loopback")
}

#[tokio::test]
async fn connections_closed_while_idle_are_counted_once_a_probe_and_are_no_failures() {
    let closed = closing(Ending::Fin).await;
    let reset = closing(Ending::Reset).await;
    let files = Files::new();
    let path = files.config(&format!(
        "defaults: {{interval: 600ms, keepalive: {{reuse: true}}}}
dependencies:
  - {{name: closed, url: 'http://{}/'}}
  - {{name: reset, url: 'http://{}/'}}
",
        closed.address(),
        reset.address()
    ));
    let daemon = Daemon::start(&path).await;
    for (kind, server) in [("closed", &closed), ("reset", &reset)] {
        let metrics = daemon.operations(kind, 12.0).await;
        let ok = metrics.outcome(kind, "ok");
        for outcome in ["retried_ok", "failed", "inconclusive"] {
            assert_eq!(metrics.outcome(kind, outcome), 0.0, "{kind}: {outcome}");
        }
        let seen = [("dependency", kind), ("kind", kind), ("seen", "before_send")];
        let resets = metrics.get("whyd_keepalive_resets_total", &seen);
        assert_eq!(
            resets,
            Some(ok - 1.0),
            "{kind}: every probe but the first finds one"
        );
        let all = metrics.sum("whyd_keepalive_resets_total", &[("dependency", kind)]);
        assert_eq!(
            Some(all),
            resets,
            "{kind}: and none of another kind, nor after bytes were sent"
        );
        assert_eq!(masked(&metrics, server, "1m"), Some(0.0), "{kind}");
        let attempts = metrics.sum("whyd_attempts_total", &[("dependency", kind)]);
        assert_eq!(attempts, ok, "{kind}: the replacement is the first attempt");
        assert_eq!(metrics.get("whyd_up", &[("dependency", kind)]), Some(1.0));
        let own = [("server_port", &*server.server().port().to_string())];
        assert_eq!(
            metrics.sum("whyd_retry_suppressed_total", &own),
            0.0,
            "it costs no retry"
        );
    }
    // What was asked on each connection was asked once: nothing was sent twice.
    assert_eq!(closed.server().connections(), closed.server().requests());
    assert_eq!(reset.server().connections(), reset.server().requests());
}
