//! http_sd: a server that is away at the start, with what was found before and without.

use crate::harness::{Daemon, Files, run};
use crate::stand_ins::Inventory;
use crate::{source, watched};

#[tokio::test]
async fn what_was_found_before_is_watched_while_the_server_is_away() {
    let (files, inventory) = (Files::new(), Inventory::default());
    inventory.say(Some(
        r#"[{"targets":["127.0.0.1:1","127.0.0.1:2"],"labels":{"env":"prod"}}]"#,
    ));
    let address = inventory.start("127.0.0.1:0").await;
    let path = files.config(&format!(
        "discovery:\n- name: inventory\n  http_sd: {{url: 'http://{address}/t?key=hunter2', refresh: 1s}}\n  linger: 0s\n  \
         dependency: {{interval: 1h}}\n"
    ));
    let state = files.path("state");
    let start = async || {
        let mut command = run(&path);
        command.arg("--state-dir").arg(&state);
        Daemon::of(command).await
    };
    let daemon = start().await;
    watched(&daemon, &["127.0.0.1:1", "127.0.0.1:2"]).await;
    let kept = crate::harness::eventually("it is kept", async || {
        std::fs::read_to_string(state.join("discovery.json"))
            .ok()
            .filter(|text| text.contains("127.0.0.1:2"))
    })
    .await;
    assert!(!kept.contains("hunter2"), "{kept}");
    daemon.stop().await;

    inventory.say(None);
    let mut daemon = start().await;
    watched(&daemon, &["127.0.0.1:1", "127.0.0.1:2"]).await;
    let down = source(&daemon, "inventory", |one| one["state"] == "failing").await;
    assert_eq!(down["from_last_run"], true, "{down}");
    assert!(down["failing_since"].is_string(), "{down}");
    daemon.process.line("2 targets of the last run are watched").await;

    inventory.say(Some(
        r#"[{"targets":["127.0.0.1:2","127.0.0.1:3"],"labels":{"env":"prod"}}]"#,
    ));
    watched(&daemon, &["127.0.0.1:2", "127.0.0.1:3"]).await;
    let up = source(&daemon, "inventory", |one| one["state"] == "ok").await;
    assert_eq!(up["from_last_run"], false, "{up}");
    assert!(up["failing_since"].is_null(), "{up}");
    let written = daemon.stop().await.text();
    assert!(
        written.contains("discovery inventory: it can be looked at again"),
        "{written}"
    );
    assert!(!written.contains("hunter2"), "{written}");
}

#[tokio::test]
async fn a_server_that_stays_away_is_told_and_that_it_is_back_too() {
    let (files, inventory) = (Files::new(), Inventory::default());
    inventory.say(Some(r#"[{"targets":["127.0.0.1:1","127.0.0.1:2"]}]"#));
    let address = inventory.start("127.0.0.1:0").await;
    let path = files.config(&format!(
        "discovery:\n- name: inventory\n  http_sd: {{url: 'http://{address}/t?key=hunter2', refresh: 1s}}\n  \
         dependency: {{interval: 1h}}\n\
         alerts:\n  monitor:\n    rules:\n      monitor_discovery_failing: {{for: 1s, keep_firing_for: 0s}}\n"
    ));
    let daemon = Daemon::start(&path).await;
    watched(&daemon, &["127.0.0.1:1", "127.0.0.1:2"]).await;
    let alert = async |is_there: bool| {
        crate::harness::eventually("the alert", async || {
            let all = daemon.get("/api/v1/alerts").await.json();
            let all = all["alerts"].as_array()?.clone();
            let one = all
                .into_iter()
                .find(|one| one["alert"] == "monitor_discovery_failing" && one["state"] == "firing");
            (one.is_some() == is_there).then_some(one)
        })
        .await
    };
    inventory.say(None);
    let told = alert(true).await.expect("it is there").to_string();
    for part in [
        "discovery cannot look at inventory",
        "expected 200",
        "The 2 targets that it found last are still watched",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    let metrics = daemon.metrics().await;
    let of_source = [("source", "inventory")];
    assert_eq!(metrics.get("whyd_discovery_failing", &of_source), Some(1.0));
    inventory.say(Some(r#"[{"targets":["127.0.0.1:1","127.0.0.1:2"]}]"#));
    alert(false).await;
    daemon.stop().await;
}

#[tokio::test]
async fn without_anything_found_before_the_rest_is_watched_at_once() {
    let (files, inventory) = (Files::new(), Inventory::default());
    let address = inventory.start("127.0.0.1:0").await;
    let path = files.config(&format!(
        "dependencies:\n- {{name: own, url: 'tcp://127.0.0.1:9', interval: 1h}}\n\
         discovery:\n- {{name: inventory, http_sd: {{url: 'http://{address}/', refresh: 1s}}}}\n"
    ));
    let daemon = Daemon::start(&path).await;
    watched(&daemon, &["own"]).await;
    inventory.say(Some(r#"[{"targets":["127.0.0.1:1"]}]"#));
    watched(&daemon, &["127.0.0.1:1", "own"]).await;
    daemon.stop().await;
}
