//! Several daemons share the work of one configuration, for real: three of them over a thousand dependencies on loopback, a fourth
//! that joins, one that is killed while something is down, and a stand-in of Kubernetes where their Leases are.

#![cfg(feature = "kubernetes")]

#[path = "../harness/kubernetes.rs"]
mod api;
#[path = "../harness/mod.rs"]
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use api::KubeApi;
use harness::prometheus::Metrics;
use harness::{Daemon, Files, eventually, only_down, run};
use whyd::model::share::Share;

const DEPENDENCIES: usize = 1_000;
/// Those that fail on demand; asked more often than the others.
const WATCHED_CLOSELY: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Answers all dependencies, and hears what is told.
#[derive(Default)]
struct World {
    /// Who asked for each path since this was emptied.
    asked: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// With which status.
    failing: Mutex<BTreeMap<String, StatusCode>>,
    /// Webhooks: the alert's dependency, and whether it fires. What is listed again is in it once.
    heard: Mutex<Vec<(String, String, bool)>>,
    /// Webhooks are refused.
    deaf: AtomicBool,
    address: Mutex<Option<SocketAddr>>,
}

impl World {
    async fn start() -> Arc<World> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let world = Arc::new(World::default());
        *world.address.lock().expect("a lock") = listener.local_addr().ok();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await });
        world
    }

    fn address(&self) -> SocketAddr {
        self.address.lock().expect("a lock").expect("it listens")
    }

    fn fail(&self, name: &str, status: StatusCode) {
        let mut failing = self.failing.lock().expect("a lock");
        failing.insert(format!("/{name}"), status);
    }

    fn heal(&self) {
        self.failing.lock().expect("a lock").clear();
    }

    /// How often it was told that the dependency fails, and that it does not.
    fn told(&self, name: &str) -> (usize, usize) {
        let heard = self.heard.lock().expect("a lock");
        let of_it: BTreeSet<_> = heard
            .iter()
            .filter(|(dependency, ..)| dependency == name)
            .collect();
        let fired = of_it.iter().filter(|(.., fires)| *fires).count();
        (fired, of_it.len() - fired)
    }
}

async fn answer(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    if uri.path() == "/hook" && world.deaf.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if uri.path() == "/hook" {
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        for alert in told["alerts"].as_array().into_iter().flatten() {
            let name = alert["labels"]["dependency"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let fires = alert["status"] == "firing";
            // Which alert of the dependency, and which time it fired; and who tells.
            let agent = headers["user-agent"].to_str().unwrap_or_default();
            let which = format!("{} {} {agent}", alert["labels"]["alertname"], alert["startsAt"]);
            world.heard.lock().expect("a lock").push((name, which, fires));
        }
        return StatusCode::OK;
    }
    let who = headers["x-replica"].to_str().expect("text").to_owned();
    let mut asked = world.asked.lock().expect("a lock");
    asked.entry(uri.path().to_owned()).or_default().insert(who);
    let failing = world.failing.lock().expect("a lock");
    failing.get(uri.path()).copied().unwrap_or(StatusCode::OK)
}

fn config(world: &World) -> String {
    let address = world.address();
    let alerts = only_down("{for: 1s, keep_firing_for: 1s, minimum: 2}");
    let mut text = format!(
        "listen: {{address: '127.0.0.1:0'}}
defaults:
  interval: 8s
  timeouts: {{total: 4s}}
  retry: {{attempts: 1}}
  confirm: off
  headers: {{X-Replica: '${{env:WHO}}'}}
{alerts}scale_out: {{factor: 2, election: {{leases: {{namespace: watch, name: whyd}}}}}}
alerts: {{group_wait: 0s, group_interval: 1s}}
receivers:
  - {{name: hook, severity: info, repeat: 4h, timeout: 1s, rate_limit: 6000, webhook: {{url: 'http://{address}/hook'}}}}
dependencies:\n"
    );
    for name in WATCHED_CLOSELY {
        let _ = writeln!(
            text,
            "  - {{name: {name}, url: 'http://{address}/{name}', interval: 500ms, timeouts: {{total: 400ms}}}}"
        );
    }
    for i in WATCHED_CLOSELY.len()..DEPENDENCIES {
        let _ = writeln!(text, "  - {{name: d{i}, url: 'http://{address}/d{i}'}}");
    }
    text
}

fn names() -> Vec<String> {
    let close = WATCHED_CLOSELY.iter().map(ToString::to_string);
    let others = (WATCHED_CLOSELY.len()..DEPENDENCIES).map(|i| format!("d{i}"));
    close.chain(others).collect()
}

/// What each replica is started from.
struct Setting {
    config: PathBuf,
    kubeconfig: PathBuf,
}

impl Setting {
    async fn start(&self, replica: u32, replicas: u32) -> Daemon {
        let mut command = run(&self.config);
        command.env("POD_NAME", format!("whyd-{replica}"));
        command.env("WHYD_REPLICAS", replicas.to_string());
        command.env("WHO", replica.to_string());
        command.env("KUBECONFIG", &self.kubeconfig);
        command.args(["--shard", "auto"]);
        Daemon::of(command).await
    }
}

/// What a daemon watches, by its API.
async fn watched(daemon: &Daemon) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut path = "/api/v1/dependencies?limit=1000".to_owned();
    loop {
        let answer = daemon.get(&path).await.json();
        for one in answer["dependencies"].as_array().expect("a list") {
            found.insert(one["name"].as_str().expect("a name").to_owned());
        }
        match answer["next_cursor"].as_u64() {
            Some(next) => path = format!("/api/v1/dependencies?limit=1000&cursor={next}"),
            None => return found,
        }
    }
}

/// The dependency and replica of each place.
async fn places(daemons: &BTreeMap<u32, Daemon>) -> BTreeSet<(String, u32)> {
    let mut places = BTreeSet::new();
    for (replica, daemon) in daemons {
        places.extend(watched(daemon).await.into_iter().map(|name| (name, *replica)));
    }
    places
}

/// Waits until every dependency has been asked, since now, by those whom the places name and by nobody else.
async fn each_is_asked(world: &World, places: &BTreeSet<(String, u32)>) {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, replica) in places {
        let who = wanted.entry(format!("/{name}")).or_default();
        who.insert(replica.to_string());
    }
    world.asked.lock().expect("a lock").clear();
    eventually("every dependency is asked by its two", async || {
        (*world.asked.lock().expect("a lock") == wanted).then_some(())
    })
    .await;
}

/// As its metrics and its API say it.
async fn shares_add_up(daemons: &BTreeMap<u32, Daemon>, replicas: u32) {
    let mut all = 0.0;
    for (replica, daemon) in daemons {
        let name = format!("whyd-{replica}");
        let own = ("replica", &*name);
        let metrics = daemon.metrics().await;
        let of_state = |state| {
            let series = metrics.get("whyd_scale_out_dependencies", &[own, ("state", state)]);
            series.expect("the work is shared")
        };
        let (watched, left) = (of_state("watched"), of_state("left"));
        assert_eq!(watched + left, DEPENDENCIES as f64, "{name}");
        assert_eq!(
            metrics.get("whyd_scale_out_replicas", &[own]),
            Some(f64::from(replicas))
        );
        assert_eq!(metrics.get("whyd_scale_out_factor", &[own]), Some(2.0));
        let status = daemon.get("/api/v1/status").await.json();
        let said = &status["scale_out"];
        assert_eq!(
            (&said["replica"], &said["replicas"]),
            (&json!(name), &json!(replicas))
        );
        assert_eq!(said["watched"].as_f64(), Some(watched), "{status}");
        all += watched;
    }
    assert_eq!(all, 2.0 * DEPENDENCIES as f64);
}

fn holder(api: &KubeApi, replica: u32) -> Option<(String, String)> {
    let lease = api.get("Lease", "watch", &format!("whyd-{replica}"))?;
    let text = |key: &str| Some(lease["spec"][key].as_str()?.to_owned());
    Some((
        text("holderIdentity").filter(|holder| !holder.is_empty())?,
        text("renewTime")?,
    ))
}

/// Since when something waits that the replica is to tell people, as its Lease says.
fn untold_since(api: &KubeApi, replica: u32) -> Option<String> {
    let lease = api.get("Lease", "watch", &format!("whyd-{replica}"))?;
    Some(
        lease["metadata"]["annotations"]["whyd/untold-since"]
            .as_str()?
            .to_owned(),
    )
}

async fn begin() -> (Arc<World>, KubeApi, Files, Setting) {
    let world = World::start().await;
    let api = KubeApi::start().await;
    let files = Files::new();
    let setting = Setting {
        config: files.write("whyd.yaml", &config(&world)),
        kubeconfig: api.kubeconfig(&files.path("kubeconfig"), None, None),
    };
    (world, api, files, setting)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_watched_twice_and_a_fourth_replica_takes_a_quarter() {
    let (world, _api, _files, setting) = begin().await;
    let mut daemons = BTreeMap::new();
    for replica in 0..3 {
        daemons.insert(replica, setting.start(replica, 3).await);
    }
    let before = places(&daemons).await;
    assert_eq!(before.len(), 2 * DEPENDENCIES);
    let share = |replica, replicas| Share {
        replica,
        replicas,
        factor: 2,
    };
    for name in names() {
        let holders: BTreeSet<u32> = share(0, 3).holders(&name).into_iter().collect();
        let watching = (0..3).filter(|replica| before.contains(&(name.clone(), *replica)));
        assert_eq!(watching.collect::<BTreeSet<u32>>(), holders, "{name}");
    }
    each_is_asked(&world, &before).await;
    let metrics = daemons[&1].metrics().await;
    assert_eq!(
        metrics.sum("whyd_up", &[]),
        metrics.sum("whyd_up", &[("replica", "whyd-1")])
    );
    assert!(metrics.sum("whyd_up", &[]) > 600.0);
    shares_add_up(&daemons, 3).await;

    // As a StatefulSet does it: the new one first, then the others from the last to the first.
    daemons.insert(3, setting.start(3, 4).await);
    for replica in [2, 1, 0] {
        daemons.remove(&replica).expect("it runs").stop().await;
        let others: BTreeSet<String> = places(&daemons).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            others.len(),
            DEPENDENCIES,
            "somebody watches each while {replica} restarts"
        );
        daemons.insert(replica, setting.start(replica, 4).await);
    }
    let after = places(&daemons).await;
    assert_eq!(after.len(), 2 * DEPENDENCIES);
    let moved = after.difference(&before).count();
    let share_moved = moved as f64 / before.len() as f64;
    assert!((0.2..=0.3).contains(&share_moved), "{moved} places moved");
    assert!(
        after.difference(&before).all(|(_, replica)| *replica == 3),
        "only to the new one"
    );
    each_is_asked(&world, &after).await;
    shares_add_up(&daemons, 4).await;
    eprintln!("{moved} of {} places moved", before.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_killed_while_something_is_down_and_it_is_told_once() {
    let (world, api, _files, setting) = begin().await;
    let mut daemons = BTreeMap::new();
    for replica in 0..3 {
        daemons.insert(replica, setting.start(replica, 3).await);
    }
    let share = Share {
        replica: 0,
        replicas: 3,
        factor: 2,
    };
    for replica in 0..3 {
        eventually("each holds its Lease", async || holder(&api, replica)).await;
    }
    for (replica, daemon) in &daemons {
        let name = format!("whyd-{replica}");
        let speaks = |metrics: &Metrics| metrics.get("whyd_scale_out_speaks", &[("replica", &name)]);
        daemon
            .metrics_show("it may speak", |metrics| {
                (speaks(metrics) == Some(1.0)).then_some(())
            })
            .await;
        let status = daemon.get("/api/v1/status").await.json();
        let wanted = json!({"mode": "leases", "speaks": true});
        assert_eq!(status["scale_out"]["election"], wanted);
    }
    // What it cannot deliver its Lease says, for whoever takes over from it.
    let speaker = share.holders("f")[0];
    world.deaf.store(true, Ordering::Relaxed);
    world.fail("f", StatusCode::BAD_GATEWAY);
    let since = eventually("its Lease says that something waits", async || {
        untold_since(&api, speaker)
    })
    .await;
    since.parse::<jiff::Timestamp>().expect("a time");
    world.deaf.store(false, Ordering::Relaxed);
    eventually("it is told, and nothing waits", async || {
        (world.told("f").0 > 0 && untold_since(&api, speaker).is_none()).then_some(())
    })
    .await;
    world.heal();
    eventually("the end is told", async || (world.told("f").1 > 0).then_some(())).await;
    // Two whose first holder is the same one, which will die.
    let first = share.holders("a")[0];
    let second = WATCHED_CLOSELY[1..5]
        .iter()
        .find(|name| share.holders(name)[0] == first);
    let second = *second.expect("five names have two of one first holder");
    world.fail("a", StatusCode::SERVICE_UNAVAILABLE);
    eventually("it is told", async || (world.told("a").0 > 0).then_some(())).await;
    // Its Lease is renewed well after that, so that whoever takes over may take it for told.
    let (_, at) = holder(&api, first).expect("it lives");
    let later = |renewed: &str, than: &str, seconds: i64| {
        let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_second();
        time(renewed) >= time(than) + seconds
    };
    eventually("its Lease is renewed", async || {
        holder(&api, first).filter(|(_, renewed)| later(renewed, &at, 25))
    })
    .await;

    let killed = daemons.remove(&first).expect("it runs");
    killed.process.signal(libc::SIGKILL);
    drop(killed);
    // Something else breaks before anybody knows, in another way: what fails in the same way is one incident, whose
    // notifications list all of it.
    world.fail(second, StatusCode::NOT_FOUND);
    eventually("the next one tells of it", async || {
        (world.told(second).0 > 0).then_some(())
    })
    .await;
    for (name, daemon) in ["a", second]
        .iter()
        .zip([share.holders("a")[1], share.holders(second)[1]])
    {
        let alerts = daemons[&daemon].get("/api/v1/alerts").await.json();
        let all = alerts["alerts"].as_array().expect("a list");
        let of_it = all
            .iter()
            .find(|alert| alert["dependency"] == *name)
            .expect("it fires there");
        assert!(of_it["muted"].is_null(), "{of_it}");
    }
    assert_eq!((world.told("a"), world.told(second)), ((1, 0), (1, 0)));

    world.heal();
    eventually("the ends are told", async || {
        (world.told("a").1 > 0 && world.told(second).1 > 0).then_some(())
    })
    .await;
    // All that waited is out when they have stopped.
    for (_, daemon) in daemons {
        daemon.stop().await;
    }
    assert_eq!((world.told("a"), world.told(second)), ((1, 1), (1, 1)));
    // On a clean stop Leases are given up.
    let left = (0..3).filter(|replica| *replica != first && holder(&api, *replica).is_some());
    assert_eq!(left.count(), 0);
}
