//! Alerts as people meet them: in the log, as metrics, over the API, and on the command line.

use std::process::{Output, Stdio};

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, eventually, whyd};

/// Runs a command against a daemon, as another user of the machine would.
async fn asked(daemon: &Daemon, args: &[&str]) -> Output {
    let mut command = whyd(args);
    command
        .env("WHYD_URL", daemon.url(""))
        .env("USER", "jo")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    output.expect("no panic").expect("the binary runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// Alerts are raised within a second here.
const DEFAULTS: &str = "defaults:
  interval: 100ms
  retry: {attempts: 1}
  alerts: {rules: {dependency_down_fast: {for: 300ms, keep_firing_for: 300ms}}}
";

async fn failing(files: &Files, auth: &str) -> (HttpServer, HttpServer, Daemon) {
    let good = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let bad = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    let (up, down) = (good.address(), bad.address());
    let config = files.write(
        "whyd.yaml",
        &format!(
            "listen: {{address: '127.0.0.1:0'{auth}}}\n{DEFAULTS}dependencies:
  - {{name: good, url: 'http://{up}/'}}
  - {{name: bad, url: 'http://{down}/', labels: {{team: checkout}}}}
"
        ),
    );
    let daemon = Daemon::start(&config).await;
    (good, bad, daemon)
}

#[tokio::test]
async fn an_alert_is_in_the_log_in_the_metrics_and_in_the_api_until_it_is_over() {
    let files = Files::new();
    let (_good, bad, mut daemon) = failing(&files, "").await;
    let line = daemon.process.line("alert, critical: ").await;
    assert!(
        line.contains("ERROR") && line.contains("bad") && line.contains("http.error.4xx"),
        "{line}"
    );
    assert!(line.contains("; fix: "), "{line}");
    let labels = [
        ("alert", "dependency_down_fast"),
        ("dependency", "bad"),
        ("severity", "critical"),
        ("team", "checkout"),
    ];
    let active = daemon
        .metrics_show("the alert's series", |metrics| {
            metrics.get("whyd_alert_active", &labels)
        })
        .await;
    assert_eq!(active, 1.0);
    let raised = daemon.get("/api/v1/alerts?state=firing").await.json();
    assert_eq!(raised["alerts"][0]["dependency"], "bad", "{raised}");
    assert_eq!(raised["alerts"][0]["cause"], "http.error.4xx");
    assert_eq!(raised["alerts"].as_array().map(Vec::len), Some(1));
    bad.set_behaviour(Behaviour::ok().into());
    let over = daemon.process.line("alert over after ").await;
    assert!(over.contains("bad"), "{over}");
    daemon
        .metrics_show("the end of the alert's series", |metrics| {
            metrics.get("whyd_alert_active", &labels).is_none().then_some(())
        })
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_command_line_says_what_is_raised_and_why_or_why_not() {
    let files = Files::new();
    let (_good, _bad, mut daemon) = failing(&files, "").await;
    daemon.process.line("alert, critical: ").await;
    let listed = asked(&daemon, &["alerts"]).await;
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed));
    let shown = text(&listed);
    assert!(
        shown.starts_with("✗ critical: ") && shown.contains("http.error.4xx"),
        "{shown}"
    );
    assert!(shown.ends_with("1 alert raised\n"), "{shown}");
    for (name, raised) in [("bad", true), ("good", false)] {
        let why = asked(&daemon, &["alerts", name]).await;
        let shown = text(&why);
        assert_eq!(why.status.code(), Some(0), "{shown}");
        assert!(
            shown.starts_with(&format!("{name}: {} of ", u8::from(raised))),
            "{shown}"
        );
        for rule in ["dependency_down_fast", "dependency_down_slow"] {
            assert!(shown.contains(rule), "{shown}");
        }
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let machine = json(&asked(&daemon, &["alerts", name, "--output", "json"]).await);
        let fast = machine["alerts"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|one| one["alert"] == "dependency_down_fast");
        let fast = fast.expect("every rule is there");
        assert_eq!(fast["state"], if raised { "firing" } else { "quiet" }, "{fast}");
        assert!(
            fast["compared"]
                .as_array()
                .is_some_and(|compared| !compared.is_empty()),
            "{fast}"
        );
    }
    let monitor = asked(&daemon, &["alerts", "--monitor"]).await;
    assert!(text(&monitor).contains("monitor_offline"), "{}", text(&monitor));
    let unknown = asked(&daemon, &["alerts", "nobody"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown), "error: there is no dependency of that name\n");
}

/// Behind a Service whoever asks does not know which replica answers.
#[tokio::test]
async fn a_silence_says_that_it_is_on_one_replica_only() {
    let files = Files::new();
    let config = files.config(
        "scale_out: {replicas: 3, replica: 2, factor: 3, election: none}\n\
         dependencies: [{name: bad, url: 'http://127.0.0.1:1/'}]\n",
    );
    let daemon = Daemon::start(&config).await;
    let add = [
        "silence",
        "add",
        "dependency=bad",
        "--for",
        "2h",
        "--reason",
        "renewal",
    ];
    let made = asked(&daemon, &add).await;
    let shown = text(&made);
    assert_eq!(made.status.code(), Some(0), "{shown}");
    assert!(
        shown.contains("warning: this silence is on this replica only"),
        "{shown}"
    );
    assert!(shown.contains("number 2 of 3 from 0"), "{shown}");
    assert!(shown.contains("(bad: number 0 and 1 and 2)"), "{shown}");
}

#[tokio::test]
async fn a_silence_is_made_listed_and_ended_on_the_command_line() {
    let files = Files::new();
    let (_good, _bad, mut daemon) = failing(&files, "").await;
    daemon.process.line("alert, critical: ").await;
    let add = [
        "silence",
        "add",
        "dependency=bad",
        "team=checkout",
        "--for",
        "2h",
        "--reason",
        "renewal",
    ];
    let made = asked(&daemon, &add).await;
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let shown = text(&made);
    let id = shown
        .strip_prefix("silence ")
        .and_then(|rest| rest.split_whitespace().next())
        .expect("its id")
        .to_owned();
    assert!(
        shown.contains("  dependency=bad team=checkout\n  jo: renewal\n"),
        "{shown}"
    );
    eventually("the alert to be muted", async || {
        let alerts = daemon
            .get("/api/v1/alerts?dependency=bad&state=firing")
            .await
            .json();
        (alerts["alerts"][0]["muted"]["which"] == *id).then_some(())
    })
    .await;
    let listed = json(&asked(&daemon, &["silence", "list", "-o", "json"]).await);
    assert_eq!(listed["silences"][0]["id"], *id);
    assert_eq!(listed["silences"][0]["muting"], 1, "{listed}");
    let ended = asked(&daemon, &["silence", "end", "nothing", &id]).await;
    assert_eq!(ended.status.code(), Some(1), "one of the two was none");
    assert!(
        text(&ended).contains(&format!("{id} is ended")),
        "{}",
        text(&ended)
    );
    let listed = asked(&daemon, &["silence", "list"]).await;
    assert_eq!(text(&listed), "there is no silence\n");
    let bad = asked(
        &daemon,
        &[
            "silence",
            "add",
            "alert=dependency_dwn",
            "--for",
            "2x",
            "--reason",
            "r",
        ],
    )
    .await;
    assert_eq!(bad.status.code(), Some(1));
    let complaint = text(&bad);
    assert!(
        complaint.contains("matchers[0]: ") && complaint.contains("for: \"x\" is not a unit"),
        "{complaint}"
    );
}

#[tokio::test]
async fn credentials_come_from_files() {
    let files = Files::new();
    let token = files.write("token", "s3cret\n");
    let wrong = files.write("wrong", "other");
    let auth = format!(", auth: {{bearer: {{file: '{}'}}}}", token.display());
    let (_good, _bad, daemon) = failing(&files, &auth).await;
    let without = asked(&daemon, &["alerts"]).await;
    assert_eq!(without.status.code(), Some(1));
    assert!(
        text(&without).contains("wants credentials, and none were given"),
        "{}",
        text(&without)
    );
    let other = asked(&daemon, &["alerts", "--token-file", &wrong.to_string_lossy()]).await;
    assert!(text(&other).contains("does not take those"), "{}", text(&other));
    assert!(!text(&other).contains("other\n"), "it is not shown");
    let with = asked(&daemon, &["incidents", "--token-file", &token.to_string_lossy()]).await;
    assert_eq!(with.status.code(), Some(0), "{}", text(&with));
}

#[test]
fn rules_and_dashboards_come_out_of_the_binary() {
    let rules = whyd(&["rules"]).output().expect("the binary runs");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/whyd/files");
    let kept = std::fs::read_to_string(root.join("rules/whyd.rules.yaml")).expect("it is there");
    assert!(rules.status.success() && text(&rules) == kept);
    let locations = whyd(&["rules", "--locations"]).output().expect("the binary runs");
    let kept = std::fs::read_to_string(root.join("rules/locations.rules.yaml")).expect("it is there");
    assert!(locations.status.success() && text(&locations) == kept);
    let both = whyd(&["rules", "--locations", "--dashboards", "/proc/nowhere"])
        .output()
        .expect("the binary runs");
    assert_eq!(both.status.code(), Some(2), "{}", text(&both));
    let files = Files::new();
    let directory = files.path("dashboards");
    let written = whyd(&["rules", "--dashboards", &directory.to_string_lossy()])
        .output()
        .expect("the binary runs");
    assert!(written.status.success(), "{}", text(&written));
    let fleet = std::fs::read_to_string(directory.join("whyd-fleet.json")).expect("it is written");
    assert_eq!(
        fleet,
        std::fs::read_to_string(root.join("dashboards/fleet.json")).expect("it is there")
    );
    assert_eq!(text(&written).lines().count(), 3);
    let denied = whyd(&["rules", "--dashboards", "/proc/nowhere"])
        .output()
        .expect("the binary runs");
    assert_eq!(denied.status.code(), Some(74), "{}", text(&denied));
}

#[tokio::test]
async fn where_no_daemon_answers_that_is_said() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = closed.local_addr().expect("bound");
    drop(closed);
    let url = format!("http://{address}");
    let other = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    let other = format!("http://{}", other.address());
    for (url, wanted) in [(&url, "no whyd answers at"), (&other, "is no whyd: 404")] {
        for args in [&["alerts"] as &[&str], &["incidents"], &["silence", "list"]] {
            let mut command = whyd(args);
            command.args(["--url", url]);
            let output = tokio::task::spawn_blocking(move || command.output()).await;
            let output = output.expect("no panic").expect("the binary runs");
            assert_eq!(output.status.code(), Some(69), "{}", text(&output));
            assert!(
                output.stdout.is_empty() && text(&output).contains(wanted),
                "{}",
                text(&output)
            );
        }
    }
}
