//! A real Alertmanager: alerts arrive, are grouped by their incident, are passed on, and resolve.

use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use whyd::deliver::Deliverer;
use whyd::model::notification::DeliveryOutcome;
use whyd::model::receiver::{Channel, WebAuth, WebTarget};
use whyd::model::secret::Text;

use crate::Incident;
use crate::harness::tools::find;
use crate::harness::{Files, Process, client, eventually, send};

pub struct Alertmanager {
    pub url: String,
    _process: Process,
}

impl Alertmanager {
    pub async fn start(files: &Files, hook: &str) -> Option<Alertmanager> {
        let config = format!(
            "route: {{receiver: hook, group_by: [incident], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', send_resolved: true}}]}}]\n"
        );
        Alertmanager::by(files, &config).await
    }

    /// One with that configuration.
    pub async fn by(files: &Files, config: &str) -> Option<Alertmanager> {
        let program = find("prometheus-alertmanager", "WHYD_ALERTMANAGER")?;
        let config = files.write("alertmanager.yaml", config);
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", files.path("alertmanager").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--cluster.listen-address=");
        let mut process = Process::start(command);
        let line = process.line("msg=\"Listening on\"").await;
        let (_, address) = line.rsplit_once("address=").expect("an address");
        Some(Alertmanager {
            url: format!("http://{}", address.trim_matches('"')),
            _process: process,
        })
    }

    fn channel(&self) -> Channel {
        Channel::Alertmanager(WebTarget {
            url: Text::Plain(self.url.as_str().into()),
            headers: Arc::from([]),
            auth: WebAuth::None,
            tls: Default::default(),
            proxy: None,
        })
    }

    pub async fn groups(&self) -> Vec<Value> {
        let asked = client()
            .build()
            .expect("a client")
            .get(format!("{}/api/v2/alerts/groups", self.url));
        let answer = send(asked).await.json();
        answer.as_array().expect("a list").clone()
    }
}

/// What an Alertmanager passes on to, with what it was passed.
pub async fn hook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let passed: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&passed);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let take = move |body: axum::Json<Value>| {
        kept.lock().expect("not poisoned").push(body.0);
        async {}
    };
    let router = axum::Router::new()
        .route("/", axum::routing::post(take))
        .layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, passed)
}

fn members(range: std::ops::Range<usize>, over: bool) -> Vec<(String, bool)> {
    range.map(|n| (format!("dependency {n}"), over)).collect()
}

/// Notifications of that status with so many alerts.
pub fn count(passed: &Mutex<Vec<Value>>, status: &str, alerts: usize) -> usize {
    let passed = passed.lock().expect("not poisoned");
    let is = |one: &&Value| {
        one["status"] == status && one["alerts"].as_array().is_some_and(|all| all.len() == alerts)
    };
    passed.iter().filter(is).count()
}

#[tokio::test]
#[ignore = "needs prometheus-alertmanager; run by .ci/run"]
async fn alerts_arrive_are_grouped_by_incident_and_resolve() {
    let files = Files::new();
    let (url, passed) = hook().await;
    let Some(alertmanager) = Alertmanager::start(&files, &url).await else {
        return;
    };
    let deliverer = Deliverer::new();
    // One of a thousand members, which is told in several requests, and one of its own.
    let large = Incident {
        id: 1,
        serial: 1,
        members: members(0..1_000, false),
    };
    let small = Incident {
        id: 2,
        serial: 1,
        members: members(2_000..2_001, false),
    };
    for incident in [&large, &small] {
        let outcome = deliverer.deliver(&incident.order(alertmanager.channel())).await;
        assert_eq!(outcome, DeliveryOutcome::Accepted);
    }
    let groups = alertmanager.groups().await;
    assert_eq!(groups.len(), 2, "{groups:#?}");
    let group = groups
        .iter()
        .find(|group| group["labels"]["incident"] == "0000000000000001")
        .expect("the large one");
    assert_eq!(group["alerts"].as_array().expect("alerts").len(), 1_000);
    let alert = &group["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "WhydDependencyDownFast");
    assert_eq!(alert["labels"]["app_kubernetes_io_name"], "über");
    assert_eq!(alert["annotations"]["cause"], "tcp.refused.rst");
    assert_eq!(alert["annotations"]["explain"], "whyd explain tcp.refused.rst");
    assert!(
        alert["generatorURL"]
            .as_str()
            .expect("a URL")
            .starts_with("https://whyd.example/api/v1/")
    );

    // One notification for each incident.
    eventually("both are passed on", async || {
        (count(&passed, "firing", 1_000) == 1 && count(&passed, "firing", 1) == 1).then_some(())
    })
    .await;
    // What is told again changes nothing.
    let again = deliverer.deliver(&large.order(alertmanager.channel())).await;
    assert_eq!(again, DeliveryOutcome::Accepted);

    let over = Incident {
        id: 1,
        serial: 2,
        members: members(0..1_000, true),
    };
    let outcome = deliverer.deliver(&over.order(alertmanager.channel())).await;
    assert_eq!(outcome, DeliveryOutcome::Accepted);
    eventually("it is over there", async || {
        (count(&passed, "resolved", 1_000) == 1).then_some(())
    })
    .await;
    eventually("the other one is left", async || {
        let groups = alertmanager.groups().await;
        (groups.len() == 1 && groups[0]["labels"]["incident"] == "0000000000000002").then_some(())
    })
    .await;
    assert_eq!(count(&passed, "firing", 1_000), 1, "told once");
    assert_eq!(count(&passed, "resolved", 1), 0);
}
