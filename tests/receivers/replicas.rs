//! Three replicas that share the work, one real Alertmanager, and one of them killed while everything is down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::model::share::Share;

use crate::alertmanager::{Alertmanager, hook};
use crate::harness::{Daemon, Files, eventually, eventually_or, only_down, run};

const MANY: usize = 36;
const REPLICAS: u32 = 3;
/// The one that dies.
const KILLED: u32 = 1;
/// For how long what a replica posts holds: three times `repeat`, and not less than this (docs/scale-out.md).
const LIFE: Duration = Duration::from_secs(60);

fn name(number: usize) -> String {
    format!("service-{number:02}")
}

/// Each replica has a server of its own, so that one may see what the others do not.
fn config(alertmanager: &str) -> String {
    let alerts = only_down("{for: 1s, keep_firing_for: 1s, minimum: 2}");
    let mut text = format!(
        "defaults:
  interval: 2s
  timeouts: {{total: 1s}}
  retry: {{attempts: 1}}
  confirm: off
{alerts}scale_out: {{factor: 2}}
alerts: {{group_wait: 1s}}
receivers:
  - {{name: alertmanager, repeat: 5s, alertmanager: {{url: '{alertmanager}'}}}}
dependencies:\n"
    );
    for number in 0..MANY {
        let name = name(number);
        let _ = writeln!(text, "  - {{name: {name}, url: 'http://${{env:SERVER}}/{name}'}}");
    }
    text
}

/// As docs/scale-out.md advises, by `alertname`, and waiting for longer than whyd itself does: what is older than the wait when it
/// comes is passed on at once, and what other replicas post comes after it. And each alert by itself, by all its labels, to count what is passed on.
fn routes(together: &str, each: &str) -> String {
    format!(
        "route:
  receiver: each
  routes:
    - {{receiver: together, group_by: [alertname], group_wait: 20s, group_interval: 1s, repeat_interval: 1h, continue: true}}
    - {{receiver: each, group_by: ['...'], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - {{name: together, webhook_configs: [{{url: '{together}', send_resolved: true}}]}}
  - {{name: each, webhook_configs: [{{url: '{each}', send_resolved: true}}]}}\n"
    )
}

/// Notifications by what they are about and whether that fires. What is about a whyd itself, as where the machine is busy, is
/// left out.
fn passed_on(passed: &Mutex<Vec<Value>>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for one in passed.lock().expect("not poisoned").iter() {
        for alert in one["alerts"].as_array().expect("alerts") {
            if let (Some(name), Some(status)) =
                (alert["labels"]["dependency"].as_str(), alert["status"].as_str())
            {
                *counts.entry((name.to_owned(), status.to_owned())).or_default() += 1;
            }
        }
    }
    counts
}

/// That many of each in each of these states.
fn once(states: &[&str]) -> BTreeMap<(String, String), usize> {
    let names = (0..MANY).map(name);
    let of_it = |name: String| {
        states
            .iter()
            .map(move |state| ((name.clone(), (*state).to_owned()), 1))
    };
    names.flat_map(of_it).collect()
}

/// The alerts of dependencies that Alertmanager has, each once whatever its groups.
async fn held(alertmanager: &Alertmanager) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    for group in alertmanager.groups().await {
        for alert in group["alerts"].as_array().expect("alerts") {
            if alert["labels"]["dependency"].is_string() {
                let fingerprint = alert["fingerprint"].as_str().expect("a fingerprint").to_owned();
                held.insert(fingerprint, alert.clone());
            }
        }
    }
    held
}

/// In how many seconds an alert ends unless it is posted again.
fn ends_in(alert: &Value) -> i64 {
    let ends = alert["endsAt"].as_str().expect("a time");
    let ends: jiff::Timestamp = ends.parse().expect("RFC 3339");
    ends.as_second() - jiff::Timestamp::now().as_second()
}

/// What it has raised and does not take for over.
async fn raised(daemon: &Daemon) -> BTreeSet<String> {
    let alerts = daemon.get("/api/v1/alerts").await.json();
    let alerts = alerts["alerts"].as_array().expect("a list").clone();
    let is_down = alerts
        .iter()
        .filter(|alert| alert["name"] == "WhydDependencyDownFast" && alert["state"] != "pending");
    is_down
        .map(|alert| alert["dependency"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus-alertmanager; run by .ci/run"]
async fn one_of_three_is_killed_and_every_alert_is_passed_on_once() {
    let files = Files::new();
    let (together_url, together) = hook().await;
    let (each_url, each) = hook().await;
    let config_of_it = routes(&together_url, &each_url);
    let Some(alertmanager) = Alertmanager::by(&files, &config_of_it).await else {
        return;
    };
    let path = files.config(&config(&alertmanager.url));
    let mut servers = BTreeMap::new();
    let mut replicas = BTreeMap::new();
    for replica in 0..REPLICAS {
        let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
        let mut command = run(&path);
        command.env("SERVER", server.address().to_string());
        servers.insert(replica, server);
        command.args(["--shard", &format!("{replica}/{REPLICAS}")]);
        command.arg("--state-dir");
        command.arg(files.path(&format!("state-{replica}")));
        replicas.insert(replica, Daemon::of(command).await);
    }
    let share = |replica| Share {
        replica,
        replicas: REPLICAS,
        factor: 2,
    };
    let names_of = |replica: u32| -> BTreeSet<String> {
        (0..MANY)
            .map(name)
            .filter(|name| share(replica).holds(name))
            .collect()
    };
    for (replica, daemon) in &replicas {
        daemon
            .metrics_show("each has answered", |metrics| {
                (metrics.sum("whyd_up", &[]) as usize == names_of(*replica).len()).then_some(())
            })
            .await;
    }

    // All that they watch fails, and each of it is seen by two.
    for server in servers.values() {
        server.set_behaviour(Arc::new(Behaviour::status(503)));
    }
    for (replica, daemon) in &replicas {
        eventually("it sees all of its share fail", async || {
            (raised(daemon).await == names_of(*replica)).then_some(())
        })
        .await;
    }
    eventually_or(
        || format!("each is passed on: {:?}", passed_on(&each)),
        async || (passed_on(&each) == once(&["firing"])).then_some(()),
    )
    .await;
    eventually_or(
        || format!("and all together: {:?}", passed_on(&together)),
        async || (passed_on(&together) == once(&["firing"])).then_some(()),
    )
    .await;
    assert_eq!(
        held(&alertmanager).await.len(),
        MANY,
        "one alert, whoever posts it"
    );

    let killed = replicas.remove(&KILLED).expect("it runs");
    killed.process.signal(libc::SIGKILL);
    drop(killed);
    let dead_since = Instant::now();
    // Every alert is in force at every look, until all that the dead one posted has lapsed.
    let goes_on = async || {
        let held = held(&alertmanager).await;
        let active = held.values().filter(|alert| alert["status"]["state"] == "active");
        assert_eq!(active.count(), MANY, "{held:#?}");
        // What a replica that died has left does not fire for longer.
        let longest = held.values().map(ends_in).max();
        assert!(longest <= Some(LIFE.as_secs() as i64), "{longest:?}");
        held
    };
    // Whether all of these were posted well after that moment.
    let posted_since = |held: &BTreeMap<String, Value>, names: &BTreeSet<String>, since: Instant| {
        let later =
            |alert: &Value| ends_in(alert) + since.elapsed().as_secs() as i64 > LIFE.as_secs() as i64 + 8;
        let named = |alert: &&Value| {
            alert["labels"]["dependency"]
                .as_str()
                .is_some_and(|name| names.contains(name))
        };
        held.values().filter(named).all(later)
    };
    let all: BTreeSet<String> = (0..MANY).map(name).collect();
    eventually("others post what it had posted", async || {
        posted_since(&goes_on().await, &all, dead_since).then_some(())
    })
    .await;
    eventually("what it posted would be over", async || {
        goes_on().await;
        (dead_since.elapsed() > LIFE + Duration::from_secs(2)).then_some(())
    })
    .await;
    assert_eq!(passed_on(&each), once(&["firing"]), "nobody heard of it");
    assert_eq!(passed_on(&together), once(&["firing"]), "nobody heard of it");

    // One sees that it is over, and the other one does not: of what both watch nothing is over.
    servers[&0].set_behaviour(Arc::new(Behaviour::ok()));
    eventually("it is over for one", async || {
        goes_on().await;
        raised(&replicas[&0]).await.is_empty().then_some(())
    })
    .await;
    let over_since = Instant::now();
    eventually("the other one posts it", async || {
        posted_since(&goes_on().await, &names_of(2), over_since).then_some(())
    })
    .await;
    assert_eq!(passed_on(&each), once(&["firing"]), "nobody heard of it");

    servers[&2].set_behaviour(Arc::new(Behaviour::ok()));
    eventually("it is over for the other one", async || {
        raised(&replicas[&2]).await.is_empty().then_some(())
    })
    .await;
    // Nobody says that it is over: it is when the last post lapses.
    eventually("nobody posts any more", async || {
        let held = held(&alertmanager).await;
        let lapses = |alert: &Value| ends_in(alert) < LIFE.as_secs() as i64 - 15;
        held.values().all(lapses).then_some(())
    })
    .await;
    eventually_or(
        || format!("each end is passed on: {:?}", passed_on(&each)),
        async || (passed_on(&each) == once(&["firing", "resolved"])).then_some(()),
    )
    .await;
    eventually("nothing is left there", async || {
        held(&alertmanager).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(passed_on(&each), once(&["firing", "resolved"]));
    // Grouped by `alertname` all are one notification when it begins, and members go from it until none is left.
    let told = together.lock().expect("not poisoned").clone();
    let of_dependencies = |one: &&Value| one["groupLabels"]["alertname"] == "WhydDependencyDownFast";
    let states: Vec<&str> = told
        .iter()
        .filter(of_dependencies)
        .map(|one| one["status"].as_str().expect("a status"))
        .collect();
    assert_eq!(
        states.iter().filter(|state| **state == "resolved").count(),
        1,
        "{states:?}"
    );
    assert_eq!(states.last(), Some(&"resolved"), "{states:?}");
    for daemon in replicas.into_values() {
        daemon.stop().await;
    }
}
