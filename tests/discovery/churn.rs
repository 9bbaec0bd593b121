//! What does not change keeps its state, whatever its source does.

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, eventually, run};
use crate::{source, watched};

/// Since when its counters run, and how many operations it had.
async fn figures(daemon: &Daemon, name: &str) -> (String, u64) {
    let counters = daemon.dependency(name).await["counters"].clone();
    let operations = counters["operations"].as_object().expect("are there");
    let operations = operations.values().filter_map(Value::as_u64).sum();
    (counters["since"].as_str().expect("a time").to_owned(), operations)
}

#[tokio::test]
async fn only_what_changes_begins_anew() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let group = |name: &str, env: &str| {
        format!(
            r#"{{"targets":["{}"],"labels":{{"__whyd_name__":"{name}","env":"{env}"}}}}"#,
            server.address()
        )
    };
    let list = |groups: &[String]| format!("[{}]", groups.join(","));
    let (a, b) = (group("a", "prod"), group("b", "prod"));
    files.write("t.json", &list(&[a.clone(), b.clone()]));
    let config = |interval: &str| {
        format!(
            "discovery:\n- name: s\n  file_sd: {{files: [t.json]}}\n  url: 'http://{{{{ target }}}}/'\n  linger: 1h\n  \
             dependency: {{interval: {interval}}}\n"
        )
    };
    let path = files.config(&config("100ms"));
    let mut daemon = Daemon::start(&path).await;
    watched(&daemon, &["a", "b"]).await;
    daemon.operations("a", 3.0).await;
    daemon.operations("b", 3.0).await;
    let (first_a, first_b) = (figures(&daemon, "a").await, figures(&daemon, "b").await);

    // The source fails and returns with the same in another order, beside something new.
    files.write("t.json", "[");
    source(&daemon, "s", |one| one["state"] == "failing").await;
    files.write("t.json", &list(&[group("c", "prod"), b.clone(), a.clone()]));
    watched(&daemon, &["a", "b", "c"]).await;
    // One vanishes, and returns before its time is over.
    files.write("t.json", &list(&[a.clone(), group("c", "prod")]));
    source(&daemon, "s", |one| one["lingering"] == 1).await;
    files.write("t.json", &list(&[a.clone(), b.clone(), group("c", "prod")]));
    source(&daemon, "s", |one| one["lingering"] == 0).await;
    for (name, first) in [("a", &first_a), ("b", &first_b)] {
        let now = figures(&daemon, name).await;
        assert_eq!(now.0, first.0, "{name} goes on");
        assert!(now.1 >= first.1, "{name}: {now:?} after {first:?}");
    }

    // A label changes: that one begins anew, and no other.
    files.write(
        "t.json",
        &list(&[a.clone(), group("b", "test"), group("c", "prod")]),
    );
    crate::harness::eventually("b has its new label", async || {
        let b = daemon.dependency("b").await;
        (b["labels"]["env"] == "test").then_some(())
    })
    .await;
    assert_ne!(figures(&daemon, "b").await.0, first_b.0);
    assert_eq!(figures(&daemon, "a").await.0, first_a.0);

    // A reload that changes how often they are asked keeps what was found and counted.
    files.config(&config("150ms"));
    let outcome = daemon.hangup().await;
    assert!(outcome.contains("3 dependencies"), "{outcome}");
    watched(&daemon, &["a", "b", "c"]).await;
    assert_eq!(figures(&daemon, "a").await.0, first_a.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_put_in_force_is_not_what_later_findings_meet() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let files = Files::new();
    let group = |name: &str| {
        format!(
            r#"[{{"targets":["{}"],"labels":{{"__whyd_name__":"{name}"}}}}]"#,
            server.address()
        )
    };
    files.write("t.json", &group("a"));
    let sources = |more: &str| {
        format!(
            "discovery:\n- name: s\n  file_sd: {{files: ['*.json']}}\n  url: 'http://{{{{ target }}}}/'\n  linger: 0s\n{more}"
        )
    };
    let path = files.config(&sources(""));
    let mut daemon = Daemon::start(&path).await;
    watched(&daemon, &["a"]).await;
    // It reads well, and its collector's authorities cannot be read: the old one stays in force, what is found with it.
    files.config(&sources(
        "dependencies: [{name: own, url: 'tcp://127.0.0.1:9'}]\notlp: {endpoint: 'https://127.0.0.1:1', tls: {ca: none.pem}}\n",
    ));
    let outcome = daemon.hangup().await;
    assert!(outcome.contains("refused"), "{outcome}");
    files.write("more.json", &group("b"));
    watched(&daemon, &["a", "b"]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_refused_configuration_takes_nothing_from_what_was_found() {
    let files = Files::new();
    files.write("t.json", r#"[{"targets":["127.0.0.1:1"]}]"#);
    let sources = |name: &str, more: &str| {
        format!(
            "discovery:\n- name: {name}\n  file_sd: {{files: ['*.json']}}\n  linger: 0s\n  dependency: {{interval: 1h}}\n{more}"
        )
    };
    let path = files.config(&sources("s", ""));
    let state = files.path("state");
    let mut command = run(&path);
    command.arg("--state-dir").arg(&state);
    let mut daemon = Daemon::of(command).await;
    watched(&daemon, &["127.0.0.1:1"]).await;
    let kept = async |is_so: &dyn Fn(&Value) -> bool| {
        eventually("what is kept", async || {
            let text = std::fs::read_to_string(state.join("discovery.json")).ok()?;
            let kept: Value = serde_json::from_str(&text).ok()?;
            is_so(&kept["sources"]).then_some(())
        })
        .await;
    };
    kept(&|sources| sources["s"]["targets"][0]["id"] == "127.0.0.1:1").await;
    // From here on nothing would find it anew.
    files.write("t.json", "[");
    source(&daemon, "s", |one| one["state"] == "failing").await;

    // Of the same name and another, and of another name: neither can be put in force.
    let otlp = "otlp: {endpoint: 'https://127.0.0.1:1', tls: {ca: none.pem}}\n";
    for name in ["other", "s"] {
        files.config(&sources(
            name,
            &format!("  url: 'tcp://{{{{ target }}}}'\n{otlp}"),
        ));
        let outcome = daemon.hangup().await;
        assert!(outcome.contains("refused"), "{outcome}");
        let text = std::fs::read_to_string(state.join("discovery.json")).expect("is there");
        let now: Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(now["sources"]["s"]["targets"][0]["id"], "127.0.0.1:1", "{now}");
        let view = source(&daemon, "s", |_| true).await;
        assert_eq!(
            (&view["state"], &view["watched"]),
            (&"failing".into(), &1.into()),
            "{view}"
        );
    }
    files.write("more.json", r#"[{"targets":["127.0.0.1:2"]}]"#);
    watched(&daemon, &["127.0.0.1:1", "127.0.0.1:2"]).await;
    let written = daemon.stop().await.text();
    assert!(!written.contains("removed 1"), "{written}");
}
