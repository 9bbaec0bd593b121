//! The whole way: many dependencies behind one dead proxy, a daemon, a real Alertmanager and a webhook beside it.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Mutex;

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};

use crate::alertmanager::{Alertmanager, count, hook};
use crate::harness::{Daemon, Files, eventually, run};

/// Dependencies behind the proxy.
const MANY: usize = 500;

fn config(proxy: &str, alertmanager: &str, hook: &str) -> String {
    let mut text = format!(
        "defaults:
  interval: 3s
  timeouts: {{total: 2s}}
  retry: {{attempts: 1}}
  confirm: off
  proxy: 'http://{proxy}'
  alerts: {{rules: {{dependency_down_fast: {{for: 1s, keep_firing_for: 1s}}}}}}
alerts: {{group_wait: 2s}}
receivers:
  - {{name: alertmanager, repeat: 2s, alertmanager: {{url: '{alertmanager}'}}}}
  - {{name: hook, webhook: {{url: '{hook}'}}}}
dependencies:\n"
    );
    for i in 0..MANY {
        let _ = writeln!(
            text,
            "  - {{name: service-{i:03}, url: 'http://service-{i:03}.internal/'}}"
        );
    }
    text
}

/// What the webhook was told by whyd itself, by its occasion.
fn occasions(told: &Mutex<Vec<Value>>) -> Vec<String> {
    let occasion = |one: &Value| one["whyd"]["occasion"].as_str().expect("an occasion").to_owned();
    heard(told).iter().map(occasion).collect()
}

fn heard(told: &Mutex<Vec<Value>>) -> Vec<Value> {
    told.lock().expect("not poisoned").clone()
}

#[tokio::test]
#[ignore = "needs prometheus-alertmanager; run by .ci/run"]
async fn five_hundred_behind_one_dead_proxy_are_one_notification() {
    let files = Files::new();
    let (passed_url, passed) = hook().await;
    let (hook_url, told) = hook().await;
    let Some(alertmanager) = Alertmanager::start(&files, &passed_url).await else {
        return;
    };
    // A port on which nobody listens, until the proxy comes back.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = port.local_addr().expect("an address");
    drop(port);
    let path = files.config(&config(&proxy.to_string(), &alertmanager.url, &hook_url));
    let mut command = run(&path);
    command.arg("--state-dir").arg(files.path("state"));
    let daemon = Daemon::of(command).await;

    eventually("the webhook is told", async || {
        (!occasions(&told).is_empty()).then_some(())
    })
    .await;
    eventually("Alertmanager passes them on together", async || {
        (count(&passed, "firing", MANY) == 1).then_some(())
    })
    .await;
    let groups = alertmanager.groups().await;
    assert_eq!(groups.len(), 1, "{groups:#?}");
    let incidents = daemon.get("/api/v1/incidents").await.json();
    let open = incidents["incidents"].as_array().expect("incidents");
    assert_eq!(open.len(), 1, "{incidents:#}");
    assert_eq!(open[0]["cause"], "proxy.refused", "{incidents:#}");
    assert_eq!(open[0]["members"].as_array().expect("members").len(), MANY);

    // An HTTP server understands what is asked of a proxy in plain HTTP.
    let server = HttpServer::start_at(proxy, Behaviour::ok(), HttpOptions::default()).await;
    let _server = server.expect("the port is still free");
    eventually("the webhook is told that it is over", async || {
        occasions(&told).iter().any(|said| said == "closed").then_some(())
    })
    .await;
    // It hears of each by itself, so that it may pass their ends on in several parts.
    eventually("Alertmanager as well", async || {
        let nothing_left = alertmanager.groups().await.is_empty();
        let last_is_over = heard(&passed).last().expect("some")["status"] == "resolved";
        (nothing_left && last_is_over).then_some(())
    })
    .await;

    assert_eq!(occasions(&told), ["opened", "closed"]);
    for (one, status) in heard(&told).iter().zip(["firing", "resolved"]) {
        let alerts = one["alerts"].as_array().expect("alerts");
        assert_eq!(one["status"], status);
        let named = |name: &str| alerts.iter().any(|alert| alert["labels"]["dependency"] == name);
        assert!(alerts.len() == MANY && (0..MANY).all(|i| named(&format!("service-{i:03}"))));
    }
    daemon.stop().await;
}
