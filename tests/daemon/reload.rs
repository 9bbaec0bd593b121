//! SIGHUP and POST /-/reload: what is unchanged is kept, and a bad file changes nothing.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, run};

fn entry(name: &str, server: &HttpServer) -> String {
    format!(
        "  - {{name: {name}, url: 'http://{}/', interval: 100ms}}\n",
        server.address()
    )
}

#[tokio::test]
async fn what_is_unchanged_keeps_its_figures_and_what_is_gone_is_forgotten() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let other = HttpServer::plain(Behaviour::status(500)).await.expect("loopback");
    let files = Files::new();
    let (kept, goes, comes) = (
        entry("kept", &server),
        entry("goes", &other),
        entry("comes", &server),
    );
    let path = files.config(&format!("dependencies:\n{kept}{goes}"));
    let mut daemon = Daemon::start(&path).await;
    daemon.operations("goes", 2.0).await;
    let before = daemon.operations("kept", 20.0).await.outcome("kept", "ok");

    files.config(&format!("dependencies:\n{kept}{comes}"));
    let outcome = daemon.hangup().await;
    assert!(outcome.contains("reloaded"), "{outcome}");
    daemon
        .process
        .line("1 added, 0 changed, 1 removed, 1 unchanged")
        .await;
    let metrics = daemon.metrics().await;
    assert!(metrics.outcome("kept", "ok") >= before, "its counters go on");
    let gone = metrics.of("goes");
    assert!(gone.is_empty(), "no series of it is left: {gone:?}");
    let host = [("server_port", &*other.server().port().to_string())];
    assert_eq!(metrics.sum("whyd_concurrency_saturation_ratio", &host), 0.0);
    let left: Vec<_> = metrics
        .samples
        .iter()
        .filter(|sample| {
            sample
                .labels
                .get("server_port")
                .is_some_and(|port| *port == host[0].1)
        })
        .collect();
    assert!(left.is_empty(), "nor of its host: {left:?}");
    assert_eq!(daemon.get("/api/v1/dependencies/goes").await.status, 404);
    let list = daemon.get("/api/v1/dependencies").await.text;
    assert!(!list.contains("\"goes\"") && list.contains("\"comes\""), "{list}");
    daemon.operations("comes", 2.0).await;
    assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(1.0));
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_where_it_is_bad() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let good = format!("dependencies:\n{}", entry("kept", &server));
    let path = files.config(&good);
    let mut daemon = Daemon::start(&path).await;
    daemon.operations("kept", 2.0).await;

    // Line 4 has a misspelt key, line 5 a URL without a scheme.
    files.config(&format!("{good}    # below\n  - {{name: new, url: 'http://127.0.0.1:1/', intervall: 5s}}\n  - {{name: bad, url: '127.0.0.1:1'}}\n"));
    let refused = daemon.hangup().await;
    assert!(refused.contains("old configuration stays in force"), "{refused}");
    let key = daemon.process.line("whyd.yaml:5:").await;
    let url = daemon.process.line("whyd.yaml:6:").await;
    for place in [&key, &url] {
        let (_, place) = place.split_once("whyd.yaml:").expect("the place");
        let numbers: Vec<_> = place
            .split(':')
            .take(2)
            .map(|n| n.trim().parse::<u32>())
            .collect();
        assert!(
            matches!(numbers[..], [Ok(_), Ok(column)] if column > 1),
            "line and column: {place}"
        );
    }
    check_refused(
        &daemon,
        &["whyd.yaml:5:", "intervall", "interval", "whyd.yaml:6:"],
    )
    .await;
    assert_eq!(daemon.get("/api/v1/dependencies/new").await.status, 404);

    std::fs::remove_file(&path).expect("it was there");
    let refused = daemon.hangup().await;
    assert!(refused.contains("old configuration stays in force"), "{refused}");
    check_refused(&daemon, &["whyd.yaml"]).await;

    files.config(&good);
    let done = daemon.post("/-/reload").await;
    assert_eq!((done.status, &done.json()["status"]), (200, &"reloaded".into()));
    let metrics = daemon.metrics().await;
    assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(1.0));
}

/// The reload over HTTP is refused with these words, the metric says so, and what is watched is still watched.
async fn check_refused(daemon: &Daemon, words: &[&str]) {
    let refused = daemon.post("/-/reload").await;
    assert_eq!(refused.status, 500, "{}", refused.text);
    for word in words {
        assert!(refused.text.contains(word), "{word} is not in {}", refused.text);
    }
    let metrics = daemon.metrics().await;
    assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(0.0));
    let now = metrics.outcome("kept", "ok");
    daemon.operations("kept", now + 2.0).await;
}

/// Puts a FIFO that nobody writes to in the file's place, at one stroke: whoever opens it is held, as by a dead mount.
fn make_dead(files: &Files, path: &Path) {
    let fifo = files.path("fifo");
    let name = CString::new(fifo.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the name is a C string that lives until after the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "a FIFO");
    fs::rename(fifo, path).expect("in its place");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_file_that_does_not_answer() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let path = files.config(&format!("dependencies:\n{}", entry("kept", &server)));
    for watch in [false, true] {
        files.config(&format!("dependencies:\n{}", entry("kept", &server)));
        let mut command = run(&path);
        command.args(watch.then_some("--watch-config"));
        let mut daemon = Daemon::of(command).await;
        daemon.operations("kept", 1.0).await;
        make_dead(&files, &path);
        // The reload under way is seen by another that has to wait for it.
        daemon.process.signal(libc::SIGHUP);
        let waits = tokio::time::timeout(Duration::from_secs(2), daemon.post("/-/reload"));
        assert!(waits.await.is_err(), "reading does not end");
        daemon.process.signal(libc::SIGTERM);
        let status = daemon.process.exit_within(Duration::from_secs(10)).await;
        let text = daemon.process.written().text();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(text.contains("stopping") && text.ends_with("stopped"), "{text}");
    }
}

/// It takes the whole of the limit: half a minute.
#[tokio::test]
async fn a_file_that_does_not_answer_is_refused_and_the_next_one_is_read() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let good = format!("dependencies:\n{}", entry("kept", &server));
    let path = files.config(&good);
    let mut daemon = Daemon::start(&path).await;
    daemon.operations("kept", 1.0).await;
    make_dead(&files, &path);
    let refused = daemon.hangup().await;
    assert!(refused.contains("old configuration stays in force"), "{refused}");
    daemon
        .process
        .line("whyd.yaml: reading it takes longer than 30s")
        .await;
    let metrics = daemon.metrics().await;
    assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(0.0));
    daemon
        .operations("kept", metrics.outcome("kept", "ok") + 2.0)
        .await;
    files.config(&good);
    let outcome = daemon.hangup().await;
    assert!(outcome.contains("reloaded"), "{outcome}");
    let metrics = daemon.metrics().await;
    assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(1.0));
    daemon.stop().await;
}
