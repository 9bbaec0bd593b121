//! Connections that are kept between operations, ended by nginx and haproxy: by their idle timeouts, their limit of
//! requests, a reload, or on the request itself.

use std::time::Duration;

use crate::ask::examples;
use crate::harness::{Daemon, Files, Process, eventually, whyd};
use crate::need;
use crate::recipes::{haproxy, nginx};
use crate::serve::Server;

/// A daemon that asks that server every so often over a kept connection.
async fn watching(server: &Server, interval: &str, more: &str) -> (Daemon, Files) {
    let files = Files::new();
    let config = files.config(&format!(
        "defaults: {{interval: {interval}, keepalive: {{reuse: true}}, retry: {{backoff: {{initial: 5ms, max: 10ms}}}}}}
dependencies: [{{name: it, url: '{}'{more}}}]\n",
        server.url("/")
    ));
    (Daemon::start(&config).await, files)
}

/// Resets of that kind, seen at that moment, over so many operations of which all succeeded.
async fn resets(daemon: &Daemon, operations: f64, kind: &str, seen: &str) -> f64 {
    let figures = daemon.operations("it", operations).await;
    for outcome in ["failed", "inconclusive"] {
        let wrong = figures.sum("whyd_operations_total", &[("outcome", outcome)]);
        assert!(wrong == 0.0, "{outcome}: {}", daemon.dependency("it").await);
    }
    figures.sum("whyd_keepalive_resets_total", &[("kind", kind), ("seen", seen)])
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn kept_and_used_again() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let (daemon, _files) = watching(&server, "1s", "").await;
    daemon.operations("it", 3.0).await;
    let hop = daemon.dependency("it").await["last_success"]["attempts"][0]["hops"][0].clone();
    assert_eq!(hop["reused"], true, "{hop}");
    for kind in ["closed", "reset", "silent"] {
        assert!(resets(&daemon, 3.0, kind, "before_send").await == 0.0);
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn closed_while_idle() {
    let nginx = need!(nginx(
        "keepalive_timeout 1s; server { listen 127.0.0.1:{0}; return 200 ok; }"
    ));
    let haproxy = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0}\n timeout http-keep-alive 1s\n http-request return status 200"
    ));
    for server in [&nginx, &haproxy] {
        let (daemon, _files) = watching(server, "2s", "").await;
        let found = resets(&daemon, 3.0, "closed", "before_send").await;
        assert!(found >= 1.0, "{found}");
        let one = daemon.dependency("it").await;
        let stale = &one["last_success"]["attempts"][0]["stale_found"];
        assert_eq!(stale["kind"], "closed", "{one}");
        let idle = stale["idle"].as_f64().expect("a time");
        assert!((0.9..1.9).contains(&idle), "{idle}");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn ended_on_the_next_request() {
    // The second request of a connection is not answered: nginx closes, or with the other option resets.
    for (option, kind, cause) in [
        ("", "closed", "tcp.closed.stale"),
        ("reset_timedout_connection on;", "reset", "tcp.reset.stale"),
    ] {
        let server = need!(nginx(&format!(
            "{option} server {{ listen 127.0.0.1:{{0}};
  if ($connection_requests = 2) {{ return 444; }}
  return 200 ok;
}}"
        )));
        let (daemon, _files) = watching(&server, "1s", "").await;
        let found = resets(&daemon, 2.0, kind, "after_send").await;
        assert!(found == 1.0, "{kind}: {found}");
        let figures = daemon.metrics().await;
        assert!(
            figures.sum("whyd_operations_total", &[("outcome", "retried_ok")]) == 1.0,
            "{option}"
        );
        let one = daemon.dependency("it").await;
        let masked = &one["last_failures"][0]["findings"][0];
        assert_eq!(masked["id"], "retry.masked", "{one:#}");
        assert_eq!(masked["evidence"]["causes"][0], cause, "{one:#}");
        assert!(
            figures.sum(
                "whyd_attempts_total",
                &[("error_type", cause), ("phase", "first_byte")]
            ) == 1.0,
            "{option}: {}",
            daemon.dependency("it").await
        );
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_reload_harms_nobody() {
    for version in ["", ", http_version: '2'"] {
        let listen = if version.is_empty() { "" } else { " http2" };
        let server = need!(nginx(&format!(
            "server {{ listen 127.0.0.1:{{0}}{listen}; return 200 ok; }}"
        )));
        let (daemon, _files) = watching(&server, "1s", version).await;
        daemon.operations("it", 2.0).await;
        server.signal(libc::SIGHUP);
        server.logged("gracefully shutting down").await;
        let found = resets(&daemon, 5.0, "closed", "before_send").await;
        assert!(found == 1.0, "the parked connection was closed: {found}");
        let figures = daemon.metrics().await;
        assert!(figures.sum("whyd_operations_total", &[("outcome", "retried_ok")]) == 0.0);
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn no_more_than_so_many_requests() {
    let server = need!(nginx(
        "keepalive_requests 2; server { listen 127.0.0.1:{0}; location / { return 200 ok; } }"
    ));
    let (daemon, _files) = watching(&server, "1s", "").await;
    // nginx says so with the last answer, so that nothing is found stale.
    let found = resets(&daemon, 5.0, "closed", "before_send").await;
    assert!(found == 0.0, "{found}");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn asking_is_refused_while_it_keeps_failing() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 503; }"));
    let breaker = ", retry: {attempts: 1}, breaker: {refuse: true, window: 2, minimum: 2, pause: 5m}";
    let (daemon, _files) = watching(&server, "1s", breaker).await;
    daemon
        .metrics_show("an operation that was left out", |figures| {
            let left_out = figures.sum("whyd_operations_total", &[("outcome", "inconclusive")]);
            (left_out >= 1.0).then_some(())
        })
        .await;
    let one = daemon.dependency("it").await;
    assert_eq!(one["breaker"], "suppressing", "{one:#}");
    assert_eq!(one["cause"], "http.error.503", "the last verdict stays: {one:#}");
    assert_eq!(one["last_failures"][0]["cause"], "http.error.503", "{one:#}");
}

/// Runs `check` on a server that is frozen and interrupts it; its exit status and what it wrote.
async fn interrupted(server: &Server, output: &str) -> (Option<i32>, String) {
    let url = server.url("/");
    let mut process = Process::start(whyd(&["check", "--output", output, &url]));
    // The kernel takes the connection for the frozen server.
    eventually("the check is connected", async || connected_to(server.port(0))).await;
    process.signal(libc::SIGINT);
    let status = process.exit_within(Duration::from_secs(10)).await;
    (status.code(), format!("{}\n", process.written().text()))
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn an_interrupted_check() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    server.signal_all(libc::SIGSTOP);
    let (status, text) = interrupted(&server, "json").await;
    let line = text
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a diagnosis");
    let found: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(status, Some(3), "{found:#}");
    assert_eq!(found["verdict"], "inconclusive", "{found:#}");
    assert_eq!(found["cause"], "abandoned", "{found:#}");
    let (status, text) = interrupted(&server, "human").await;
    assert_eq!(status, Some(3), "{text}");
    examples::keep_among("abandoned", &text);
}

/// Whether somebody of this machine has a connection to that port (proc(5), `/proc/net/tcp`: 01 is ESTABLISHED).
fn connected_to(port: u16) -> Option<()> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let remote = format!(":{port:04X}");
    let row = table.lines().skip(1).find(|row| {
        let mut fields = row.split_whitespace().skip(2);
        fields.next().is_some_and(|peer| peer.ends_with(&remote)) && fields.next() == Some("01")
    });
    row.map(drop)
}
