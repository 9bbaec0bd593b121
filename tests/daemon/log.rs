//! What is logged: a change of state is one line that names the cause, a healthy probe is none.

use std::sync::Arc;

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, run};

async fn server() -> HttpServer {
    HttpServer::plain(Behaviour::ok()).await.expect("loopback")
}

fn config(files: &Files, server: &HttpServer) -> std::path::PathBuf {
    files.config(&format!(
        "dependencies: [{{name: api, url: 'http://{}/', interval: 400ms, retry: {{attempts: 1}}}}]\n",
        server.address()
    ))
}

/// Lets it work, fail and work again, ten probes each, and returns the lines that name it.
async fn three_states(mut daemon: Daemon, server: &HttpServer) -> Vec<String> {
    daemon.operations("api", 10.0).await;
    server.set_behaviour(Arc::new(Behaviour::status(503)));
    daemon.process.line("is failing").await;
    let so_far = daemon.metrics().await.sum("whyd_operations_total", &[]);
    daemon.operations("api", so_far + 10.0).await;
    server.set_behaviour(Arc::new(Behaviour::ok()));
    daemon.process.line("works again").await;
    let so_far = daemon.metrics().await.sum("whyd_operations_total", &[]);
    daemon.operations("api", so_far + 10.0).await;
    let lines = daemon.stop().await.lines;
    // The breaker says when it begins and ends to suppress retries: changes of another kind.
    let about_it =
        |line: &String| line.contains("api") && !line.contains("retries") && !line.contains("retry");
    let announced = |line: &String| line.contains("metrics, API");
    lines
        .into_iter()
        .filter(|line| about_it(line) && !announced(line))
        .collect()
}

#[tokio::test]
async fn a_change_of_state_is_one_line_for_people() {
    let server = server().await;
    let files = Files::new();
    let daemon = Daemon::start(&config(&files, &server)).await;
    let lines = three_states(daemon, &server).await;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].contains("api works"), "{lines:#?}");
    assert!(lines[1].contains("api is failing: "), "{lines:#?}");
    assert!(
        lines[1].contains("http.error.503") && lines[1].contains("fix: "),
        "{lines:#?}"
    );
    assert!(lines[2].contains("api works again after "), "{lines:#?}");
    assert!(
        lines[2].contains("http.error.503"),
        "it says what is over: {lines:#?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains('\u{1b}')),
        "colours go to terminals alone"
    );
}

#[tokio::test]
async fn for_machines_every_line_is_an_object() {
    let server = server().await;
    let files = Files::new();
    let mut command = run(&config(&files, &server));
    command.args(["--log-format", "json"]);
    let mut daemon = Daemon::of(command).await;
    daemon.hangup().await;
    let every = daemon.process.written().lines;
    let lines = three_states(daemon, &server).await;
    for line in every.iter().chain(&lines) {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(object[key].is_string(), "{key} is not in {line}");
        }
    }
    let failing: Value = serde_json::from_str(&lines[1]).expect("checked above");
    assert_eq!(
        (&failing["level"], &failing["dependency"]),
        (&"WARN".into(), &"api".into())
    );
    assert_eq!(
        (&failing["state"], &failing["cause"]),
        (&"failing".into(), &"http.error.503".into())
    );
    assert_eq!(failing["attempts"], 1, "{failing}");
    assert!(failing["elapsed"].as_f64().is_some_and(|s| s > 0.0), "{failing}");
}

#[tokio::test]
async fn a_refused_reload_is_one_object_too() {
    let server = server().await;
    let files = Files::new();
    let mut command = run(&config(&files, &server));
    command.args(["--log-format", "json"]);
    let mut daemon = Daemon::of(command).await;
    files.write(
        "whyd.yaml",
        "dependencies:\n  - {name: api, url: 'http://127.0.0.1/', intervall: 1s}\n",
    );
    let line = daemon.hangup().await;
    let object: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(object["level"], "ERROR");
    assert!(
        object["message"].as_str().expect("text").contains("whyd.yaml:2:"),
        "{line}"
    );
}
