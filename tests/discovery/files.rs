//! file_sd: adds, changes, removals, a broken file, thousands of targets.

use std::time::{Duration, Instant};

use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files};
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
    let daemon = Daemon::start(&path).await;
    watched(&daemon, &["127.0.0.1:1"]).await;
    let targets: Vec<String> = (0..5_000)
        .map(|i| format!("\"127.0.{}.{}:1\"", i / 250, i % 250))
        .collect();
    let begun = Instant::now();
    files.write("t.json", &format!("[{{\"targets\":[{}]}}]", targets.join(",")));
    source(&daemon, "s", |one| {
        one["watched"] == 5_001 || one["watched"] == 5_000
    })
    .await;
    let took = begun.elapsed();
    eprintln!("5,000 targets: {took:?} from the file to the plan");
    // Twice what is asked of a release build: this one is not optimised, and the machine may be busy.
    assert!(took < Duration::from_secs(4), "{took:?}");
    daemon.stop().await;
}
