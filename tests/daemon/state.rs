//! The state directory, from outside.

use crate::harness::{Daemon, Files, LIMIT, Process, eventually, run};

const NOBODY: &str = "dependencies: [{name: a, url: 'http://127.0.0.1:1/'}]\n";

#[tokio::test]
async fn two_daemons_do_not_share_a_state_directory() {
    let files = Files::new();
    let state = files.path("state");
    let config = files.config(NOBODY);
    let with_state = || {
        let mut command = run(&config);
        command.env("STATE_DIRECTORY", &state);
        command
    };
    let mut first = Daemon::of(with_state()).await;
    let mut second = Process::start(with_state());
    let status = second.exit_within(LIMIT).await;
    let text = second.written().text();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("is in use by another whyd (process "), "{text}");
    first.process.signal(libc::SIGTERM);
    assert_eq!(first.process.exit_within(LIMIT).await.code(), Some(0));
    // And a daemon that is gone holds nothing.
    let mut third = Daemon::of(with_state()).await;
    third.process.signal(libc::SIGTERM);
    assert_eq!(third.process.exit_within(LIMIT).await.code(), Some(0));
}

#[tokio::test]
async fn a_damaged_state_is_said_and_does_not_stop_the_daemon() {
    let files = Files::new();
    let state = files.path("state");
    std::fs::create_dir(&state).expect("a directory");
    std::fs::write(state.join("whyd.redb"), "not what it should be").expect("written");
    let mut command = run(&files.config(NOBODY));
    command.arg("--state-dir").arg(&state);
    let mut daemon = Daemon::of(command).await;
    daemon.process.line("is damaged").await;
    let metrics = daemon.get("/metrics").await.text;
    assert!(metrics.contains("whyd_state_writable 1"), "{metrics}");
    let aside = std::fs::read_dir(&state).expect("it is there").any(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().starts_with("whyd.redb.damaged-")
    });
    assert!(aside, "the damaged file was not kept");
    // Who trusts its silences and baselines must hear of it.
    let alerts = eventually("an alert", async || {
        let alerts = daemon.get("/api/v1/alerts").await.text;
        alerts.contains("monitor_state_unwritable").then_some(alerts)
    })
    .await;
    assert!(alerts.contains("whyd lost its state"), "{alerts}");
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_is_an_error() {
    let files = Files::new();
    let in_the_way = files.write("file", "a file");
    let mut command = run(&files.config(NOBODY));
    command.arg("--state-dir").arg(in_the_way.join("state"));
    let mut process = Process::start(command);
    let status = process.exit_within(LIMIT).await;
    let text = process.written().text();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("the state directory"), "{text}");
}
