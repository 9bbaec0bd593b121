//! Receivers of the configuration: their secrets go to them and nowhere else, also where every delivery fails.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, eventually, run};

/// Every secret of the configuration contains this, and nothing else does.
const MARK: &str = "S3CR3T";

/// Receivers that refuse what they are told, so that failures are there to be seen.
struct World {
    files: Files,
    receivers: Vec<(&'static str, HttpServer)>,
    down: HttpServer,
}

impl World {
    async fn new() -> World {
        let mut receivers = Vec::new();
        for name in [
            "hook",
            "basic",
            "bearer",
            "slack",
            "pagerduty",
            "opsgenie",
            "beat",
        ] {
            let refusing = HttpServer::plain(Behaviour::status(503)).await.expect("loopback");
            receivers.push((name, refusing));
        }
        World {
            files: Files::new(),
            receivers,
            down: HttpServer::plain(Behaviour::status(404)).await.expect("loopback"),
        }
    }

    fn at(&self, name: &str) -> &HttpServer {
        let found = self.receivers.iter().find(|(own, _)| *own == name);
        &found.expect("a receiver").1
    }

    fn config(&self) -> std::path::PathBuf {
        let file = |name: &str, text: &str| {
            let path = self.files.write(name, &format!("{text}\n"));
            format!("{{file: '{}'}}", path.display())
        };
        let address = |name: &str| self.at(name).address();
        let slack = file(
            "slack",
            &format!("http://{}/services/S3CR3T-slack", address("slack")),
        );
        let (bearer, key) = (file("bearer", "S3CR3T-bearer"), file("key", "S3CR3T-genie"));
        self.files.config(&format!(
            "defaults:
  interval: 100ms
  retry: {{attempts: 1}}
  alerts: {{rules: {{dependency_down_fast: {{for: 200ms}}}}}}
alerts: {{group_wait: 0s}}
dependencies:
  - {{name: down, url: 'http://{}/'}}
receivers:
  - {{name: hook, webhook: {{url: 'http://{}/S3CR3T-path?k=S3CR3T-query', headers: {{X-Api-Key: S3CR3T-header}}}}}}
  - {{name: basic, webhook: {{url: 'http://me:S3CR3T-url@{}/'}}}}
  - {{name: bearer, webhook: {{url: 'http://{}/', auth: {{bearer: {bearer}}}}}}}
  - {{name: slack, slack: {{url: {slack}}}}}
  - {{name: pagerduty, pagerduty: {{routing_key: S3CR3T-routing, url: 'http://{}/'}}}}
  - {{name: opsgenie, opsgenie: {{api_key: {key}, url: 'http://{}/'}}}}
  - {{name: beat, heartbeat: {{url: '${{env:BEAT}}', interval: 1s}}}}
",
            self.down.address(),
            address("hook"),
            address("basic"),
            address("bearer"),
            address("pagerduty"),
            address("opsgenie"),
        ))
    }

    fn beat(&self) -> String {
        format!("http://{}/S3CR3T-beat", self.at("beat").address())
    }
}

#[track_caller]
fn clean(place: &str, text: &str) {
    for secret in [MARK.to_owned(), BASE64_STANDARD.encode("me:S3CR3T-url")] {
        assert!(!text.contains(&secret), "{secret} is in {place}: {text}");
    }
}

fn clean_files(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("is there") {
        let path = entry.expect("can be read").path();
        if path.is_dir() {
            clean_files(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            assert!(
                !bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes()),
                "{MARK} is in {}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn secrets_of_receivers_reach_them_and_show_nowhere() {
    let world = World::new().await;
    let path = world.config();
    let state = tempfile_directory();
    let mut command = run(&path);
    command
        .args(["--log-level", "debug", "--state-dir"])
        .arg(&state)
        .env("BEAT", world.beat());
    let daemon = Daemon::of(command).await;
    // They did go where they belong: otherwise their absence elsewhere would prove nothing.
    for (name, secret) in [
        ("hook", "POST /S3CR3T-path?k=S3CR3T-query "),
        ("hook", "S3CR3T-header"),
        ("basic", &BASE64_STANDARD.encode("me:S3CR3T-url")),
        ("bearer", "Bearer S3CR3T-bearer"),
        ("slack", "POST /services/S3CR3T-slack "),
        ("opsgenie", "GenieKey S3CR3T-genie"),
        ("beat", "GET /S3CR3T-beat "),
    ] {
        eventually(&format!("{name} to be told"), async || {
            let head = world.at(name).server().last_head()?;
            head.contains(secret).then_some(())
        })
        .await;
    }
    eventually("pagerduty to be told", async || {
        world.at("pagerduty").server().last_head()
    })
    .await;
    eventually("failures to be known", async || {
        let receivers = daemon.get("/api/v1/receivers").await.json();
        let failing = receivers["receivers"].as_array()?.iter();
        let failing = failing.filter(|one| !one["failing"].is_null()).count();
        (failing >= 6).then_some(())
    })
    .await;
    for path in [
        "/metrics",
        "/api/v1/receivers",
        "/api/v1/incidents",
        "/api/v1/alerts",
        "/api/v1/alerts?monitor=true",
        "/-/ready",
    ] {
        clean(path, &daemon.get(path).await.text);
    }
    clean_files(&state);
    clean("the log", &daemon.stop().await.text());
    clean_files(&state);
    let _ = std::fs::remove_dir_all(&state);
}

fn tempfile_directory() -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("whyd-receivers-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("can be made");
    directory
}
