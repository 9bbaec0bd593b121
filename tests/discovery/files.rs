//! file_sd: adds, changes, removals, a broken file, thousands of targets.

use std::time::{Duration, Instant};

use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, eventually, run};
use crate::{source, watched};

#[tokio::test]
async fn files_are_followed_and_a_broken_one_spoils_nothing() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let address = server.address();
    let files = Files::new();
    files.write(
        "shop.json",
        &format!(r#"[{{"targets":["{address}"],"labels":{{"team":"shop","job":"x"}}}}]"#),
    );
    let path = files.config(
        "dependencies:\n- {name: own, url: 'tcp://127.0.0.1:9', interval: 1h}\n\
         discovery:\n- name: shop\n  file_sd: {files: ['*.json']}\n  linger: 0s\n  url: 'http://{{ target }}/'\n  \
         dependency_name: '{{ labels.called or \"cart\" }}'\n  dependency: {interval: 100ms}\n",
    );
    let mut daemon = Daemon::start(&path).await;
    watched(&daemon, &["cart", "own"]).await;
    daemon.operations("cart", 2.0).await;
    let cart = daemon.dependency("cart").await;
    assert_eq!(cart["source"]["name"], "shop", "{cart}");
    assert!(
        cart["source"]["place"]
            .as_str()
            .expect("a text")
            .ends_with("shop.json: [0].targets[0]"),
        "{cart}"
    );
    assert_eq!(cart["labels"]["exported_job"], "x", "{cart}");
    assert_eq!(daemon.dependency("own").await["source"], serde_json::Value::Null);

    // A second file adds; a target in it that cannot be is refused, with its place.
    files.write(
        "more.json",
        &format!(r#"[{{"targets":["{address}","no host:1"],"labels":{{"called":"pay"}}}}]"#),
    );
    watched(&daemon, &["cart", "own", "pay"]).await;
    let all = daemon.get("/api/v1/discovery").await.json();
    assert_eq!(all["refused"][0]["target"], "no host:1", "{all}");
    assert!(
        all["refused"][0]["place"]
            .as_str()
            .expect("a text")
            .ends_with("more.json: [0].targets[1]"),
        "{all}"
    );
    daemon
        .process
        .line("discovery shop: added 1 (pay); 2 watched")
        .await;

    // A broken file keeps what it said, and is named with the place.
    files.write("more.json", r#"[{"targets":["127.0.0.1:1""#);
    let broken = source(&daemon, "shop", |one| one["state"] == "failing").await;
    let error = broken["last_error"]["error"].as_str().expect("a text");
    assert!(error.contains("more.json:1:26: "), "{error}");
    watched(&daemon, &["cart", "own", "pay"]).await;
    daemon
        .metrics_show("a failure is counted", |metrics| {
            let failures = metrics.sum("whyd_discovery_failures_total", &[("source", "shop")]);
            let targets = metrics.sum("whyd_discovery_targets", &[("source", "shop")]);
            let refused = metrics.sum("whyd_discovery_refused", &[("source", "shop")]);
            let success = metrics.sum(
                "whyd_discovery_last_success_timestamp_seconds",
                &[("source", "shop")],
            );
            (failures >= 1.0 && targets == 3.0 && refused == 1.0 && success > 1e9).then_some(())
        })
        .await;

    // What is removed is forgotten.
    std::fs::remove_file(files.path("more.json")).expect("is there");
    watched(&daemon, &["cart", "own"]).await;
    source(&daemon, "shop", |one| one["state"] == "ok" && one["watched"] == 1).await;
    let metrics = daemon.metrics().await;
    assert!(metrics.of("pay").is_empty(), "no series of it is left");
    daemon.stop().await;
}

#[tokio::test]
async fn thousands_of_targets_are_a_plan_at_once() {
    let files = Files::new();
    files.write("t.json", r#"[{"targets":["127.0.0.1:1"]}]"#);
    let path =
        files.config("discovery:\n- {name: s, file_sd: {files: [t.json]}, dependency: {interval: 1h}}\n");
    let mut daemon = Daemon::start(&path).await;
    watched(&daemon, &["127.0.0.1:1"]).await;
    let targets: Vec<String> = (0..5_000)
        .map(|i| format!("\"127.0.{}.{}:1\"", i / 250, i % 250))
        .collect();
    let begun = Instant::now();
    files.write("t.json", &format!("[{{\"targets\":[{}]}}]", targets.join(",")));
    daemon
        .process
        .line("4999 added, 0 changed, 0 removed, 1 unchanged")
        .await;
    let took = begun.elapsed();
    eprintln!("5,000 targets: {took:?} from the file to the plan");
    // Two seconds are asked of a build that is optimised, on a machine that does nothing else.
    assert!(took < Duration::from_secs(10), "{took:?}");
    source(&daemon, "s", |one| one["watched"] == 5_000).await;
    daemon.stop().await;
}

/// A broken file says nothing of what it held, whether whyd has just begun to look or looks since long.
#[tokio::test]
async fn a_file_that_is_broken_at_a_restart_or_a_reload_keeps_what_it_said() {
    let files = Files::new();
    files.write("a.json", r#"[{"targets":["127.0.0.1:1"]}]"#);
    files.write("b.json", r#"[{"targets":["127.0.0.1:2","127.0.0.1:3"]}]"#);
    let config = |refresh: &str| {
        files.config(&format!(
            "discovery:\n- name: s\n  file_sd: {{files: ['*.json'], refresh: {refresh}}}\n  linger: 0s\n  \
             dependency: {{interval: 1h}}\n"
        ))
    };
    let path = config("1h");
    let state = files.path("state");
    let start = async || {
        let mut command = run(&path);
        command.arg("--state-dir").arg(&state);
        Daemon::of(command).await
    };
    let kept = || std::fs::read_to_string(state.join("discovery.json")).unwrap_or_default();
    let daemon = start().await;
    watched(&daemon, &["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]).await;
    eventually("it is kept", async || {
        kept().contains("127.0.0.1:3").then_some(())
    })
    .await;
    daemon.stop().await;

    files.write("b.json", r#"[{"targets":["127.0.0.1:2""#);
    files.write("a.json", r#"[{"targets":["127.0.0.1:4"]}]"#);
    let mut daemon = start().await;
    source(&daemon, "s", |one| one["state"] == "failing").await;
    watched(&daemon, &["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"]).await;
    eventually("it is kept", async || {
        kept().contains("127.0.0.1:4").then_some(())
    })
    .await;
    assert!(kept().contains("127.0.0.1:3"), "{}", kept());

    config("2h");
    daemon.hangup().await;
    files.write("a.json", r#"[{"targets":["127.0.0.1:5"]}]"#);
    watched(&daemon, &["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:5"]).await;
    assert!(kept().contains("127.0.0.1:3"), "{}", kept());

    // Only its file says that it is gone.
    files.write("b.json", r#"[{"targets":["127.0.0.1:2"]}]"#);
    watched(&daemon, &["127.0.0.1:2", "127.0.0.1:5"]).await;
    source(&daemon, "s", |one| one["state"] == "ok").await;
    daemon.stop().await;
}

/// Whoever writes a target file writes no line of whyd's log.
#[tokio::test]
async fn what_stands_in_a_file_makes_no_line_of_the_log() {
    let files = Files::new();
    let forged = "x\\n2026-01-01T00:00:00Z  INFO stopped";
    let path =
        files.config("discovery:\n- {name: s, file_sd: {files: ['*.json']}, dependency: {interval: 1h}}\n");
    files.write("a.json", r#"[{"targets":["127.0.0.1:1"]}]"#);
    let daemon = Daemon::start(&path).await;
    watched(&daemon, &["127.0.0.1:1"]).await;
    for (i, text) in [
        format!(r#"[{{"targets":["127.0.0.1:2"],"labels":{{"{forged}":"y"}}}}]"#),
        format!(r#"[{{"targets":["127.0.0.1:2"],"{forged}":"y"}}]"#),
        format!(r#"[{{"targets":["127.0.0.1:2"],"labels":{{"__whyd_name__":"{forged}"}}}}]"#),
        format!(r#"[{{"targets":["127.0.0.1:2"],"labels":{{"__scheme__":"{forged}"}}}}]"#),
    ]
    .iter()
    .enumerate()
    {
        files.write(&format!("b{i}.json"), text);
        // What is beside it says that this has been read.
        let beside = format!("127.0.0.1:{}", 10 + i);
        files.write(&format!("c{i}.json"), &format!(r#"[{{"targets":["{beside}"]}}]"#));
        eventually("it is watched", async || {
            let answer = daemon.get(&format!("/api/v1/dependencies/{beside}")).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let written = daemon.stop().await.text();
    let lines: Vec<&str> = written
        .lines()
        .filter(|line| line.starts_with("2026-01-01"))
        .collect();
    assert!(lines.is_empty(), "{lines:?}");
}

/// git-sync makes a directory for each revision and puts a link in place of the last one's.
#[tokio::test]
async fn a_link_that_is_replaced_on_the_way_to_the_files_is_seen() {
    let files = Files::new();
    let revision = |name: &str, target: &str| {
        std::fs::create_dir_all(files.path(name).join("t")).expect("can be made");
        files.write(
            &format!("{name}/t/a.json"),
            &format!(r#"[{{"targets":["{target}"]}}]"#),
        );
        std::os::unix::fs::symlink(name, files.path("next")).expect("can be made");
        std::fs::rename(files.path("next"), files.path("current")).expect("is replaced");
    };
    revision("rev1", "127.0.0.1:1");
    let path = files.config(
        "discovery:\n- name: s\n  file_sd: {files: ['current/t/*.json'], refresh: 1h}\n  linger: 0s\n  \
         dependency: {interval: 1h}\n",
    );
    let daemon = Daemon::start(&path).await;
    watched(&daemon, &["127.0.0.1:1"]).await;
    revision("rev2", "127.0.0.1:2");
    watched(&daemon, &["127.0.0.1:2"]).await;
    // And a file in the new directory, which is another than the one that was there at the start.
    files.write("rev2/t/b.json", r#"[{"targets":["127.0.0.1:3"]}]"#);
    watched(&daemon, &["127.0.0.1:2", "127.0.0.1:3"]).await;
    daemon.stop().await;
}
