//! Maintenance windows of the configuration: open from the start, over reloads, and gone with the configuration.

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, eventually};

/// A window that is always open: each minute for two.
fn window(name: &str) -> String {
    format!(
        "  - name: {name}
    match: {{team: checkout, alert: dependency_down_*}}
    schedule: '* * * * *'
    lasts: 2m
    timezone: Europe/Berlin
    owner: dba
    reason: backup
"
    )
}

fn config(down: &HttpServer, windows: &str) -> String {
    format!(
        "defaults:
  interval: 100ms
  retry: {{attempts: 1}}
  alerts: {{rules: {{dependency_down_fast: {{for: 300ms, keep_firing_for: 300ms}}}}}}
dependencies:
  - {{name: bad, url: 'http://{}/', labels: {{team: checkout}}}}
{windows}",
        down.address()
    )
}

async fn muted_by(daemon: &Daemon, by: Option<&str>) -> Value {
    eventually("the alert to be muted, or not", async || {
        let alerts = daemon.get("/api/v1/alerts?state=firing").await.json();
        let alert = alerts["alerts"].get(0)?;
        let found = alert["muted"]["which"].as_str();
        (found == by).then(|| alert.clone())
    })
    .await
}

#[tokio::test]
async fn a_window_mutes_what_it_matches_until_it_is_taken_out() {
    let bad = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    let files = Files::new();
    let windows = format!("maintenance:\n{}", window("nightly"));
    let path = files.config(&config(&bad, &windows));
    let mut daemon = Daemon::start(&path).await;

    let alert = muted_by(&daemon, Some("nightly")).await;
    assert_eq!(alert["muted"]["by"], "maintenance", "{alert}");
    let silences = daemon.get("/api/v1/silences").await.json();
    let silence = &silences["silences"][0];
    assert_eq!(silence["id"], "nightly", "{silences}");
    assert_eq!(silence["configured"], true);
    assert_eq!(silence["active"], true);
    assert_eq!(silence["owner"], "dba");
    assert_eq!(silence["muting"], 1);

    // Under another name it is another window, and takes over.
    files.config(&config(&bad, &format!("maintenance:\n{}", window("renamed"))));
    daemon.hangup().await;
    muted_by(&daemon, Some("renamed")).await;
    let silences = daemon.get("/api/v1/silences").await.json();
    assert_eq!(
        silences["silences"].as_array().map(Vec::len),
        Some(1),
        "{silences}"
    );

    files.config(&config(&bad, ""));
    daemon.hangup().await;
    muted_by(&daemon, None).await;
    let silences = daemon.get("/api/v1/silences").await.json();
    assert_eq!(
        silences["silences"].as_array().map(Vec::len),
        Some(0),
        "{silences}"
    );
    daemon.stop().await;
}
