//! The real daemon in a cluster: what is found there is watched, and what does not change goes on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use whyd::lab::http::{Behaviour, HttpServer};

use crate::api::KubeApi;
use crate::harness::{Daemon, Files, eventually, run};
use crate::watching::asking;

/// Everything that is found is asked at one server on loopback.
fn config(kubeconfig: &Path, server: SocketAddr) -> String {
    format!(
        "defaults: {{interval: 100ms, confirm: off}}
discovery:
- name: cluster
  linger: 0s
  url: 'http://{server}/'
  kubernetes: {{roles: [services, ingresses], kubeconfig: '{}'}}
",
        kubeconfig.display()
    )
}

async fn watched(daemon: &Daemon, names: &[&str]) {
    eventually(&format!("just these are watched: {names:?}"), async || {
        let list = daemon.get("/api/v1/dependencies").await.json();
        let mut found: Vec<String> = list["dependencies"]
            .as_array()?
            .iter()
            .map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect();
        found.sort_unstable();
        (found == names).then_some(())
    })
    .await;
}

async fn source(daemon: &Daemon, what: &str, look: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let view = daemon.get("/api/v1/discovery").await.json();
        let one = view["sources"][0].clone();
        look(&one).then_some(one)
    })
    .await
}

/// Since when its counters run.
async fn since(daemon: &Daemon, name: &str) -> String {
    let counters = daemon.dependency(name).await["counters"].clone();
    counters["since"].as_str().expect("a time").to_owned()
}

const CART: &str = "cart.shop.svc:80";
const DB: &str = "db.shop.svc:80";

#[tokio::test]
async fn services_come_change_and_go_and_the_others_go_on() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let api = KubeApi::start().await;
    let files = Files::new();
    let kubeconfig = api.kubeconfig(&files.path("kubeconfig"), None, None);
    api.put(asking("shop", "cart"));
    let mut wrong = asking("shop", "wrong");
    wrong["metadata"]["annotations"]["whyd.io/port"] = json!("ssh");
    api.put(wrong);
    let mut sneaky = asking("shop", "sneaky");
    sneaky["metadata"]["annotations"]["whyd.io/settings"] =
        json!("headers: {Authorization: {file: /etc/passwd}}");
    api.put(sneaky);
    let daemon = Daemon::start(&files.config(&config(&kubeconfig, server.address()))).await;
    watched(&daemon, &[CART]).await;
    daemon.operations(CART, 3.0).await;
    let begun = since(&daemon, CART).await;
    let one = daemon.dependency(CART).await;
    assert_eq!(
        one["source"],
        json!({"name": "cluster", "place": "service shop/cart"})
    );
    assert_eq!(one["labels"]["namespace"], "shop", "{one}");
    let refused = daemon.get("/api/v1/discovery").await.json()["refused"].to_string();
    for part in [
        "service shop/wrong",
        "it has no port `ssh`",
        "service shop/sneaky",
        "headers",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }

    api.put(asking("shop", "db"));
    watched(&daemon, &[CART, DB]).await;
    // History is lost, and the watch is torn: nobody notices.
    let lists = api.count("list", "services");
    api.expire_watches();
    api.tear_watches();
    eventually("it is listed again", async || {
        (api.count("list", "services") > lists).then_some(())
    })
    .await;
    let mut slower = asking("shop", "db");
    slower["metadata"]["annotations"]["whyd.io/interval"] = json!("7s");
    api.put(slower);
    eventually("the interval has changed", async || {
        (daemon.dependency(DB).await["interval"] == 7.0).then_some(())
    })
    .await;
    api.remove("Service", "shop", "db");
    watched(&daemon, &[CART]).await;
    assert_eq!(since(&daemon, CART).await, begun, "it goes on as it was");
    let log = daemon.stop().await.text();
    let removed: Vec<_> = log.lines().filter(|line| line.contains("removed ")).collect();
    assert_eq!(removed.len(), 1, "{log}");
    assert!(!log.contains("kube_"), "{log}");
}

#[tokio::test]
async fn an_api_that_is_down_or_refuses_us_takes_nothing_away() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let mut api = KubeApi::start_tls().await;
    api.take_tokens(&["first"]);
    let files = Files::new();
    let token = files.write("token", "first");
    let kubeconfig = api.kubeconfig(&files.path("kubeconfig"), None, Some(&token));
    api.put(asking("shop", "cart"));
    let path = files.config(&config(&kubeconfig, server.address()));
    let state = files.path("state");
    let start = || {
        let mut command = run(&path);
        command.arg("--state-dir").arg(&state);
        command
    };
    let daemon = Daemon::of(start()).await;
    watched(&daemon, &[CART]).await;
    daemon.operations(CART, 3.0).await;
    let begun = since(&daemon, CART).await;

    // The token is rotated, and then another is wanted.
    files.write("token", "second");
    api.take_tokens(&["second"]);
    api.put(asking("shop", "db"));
    api.end_watches();
    watched(&daemon, &[CART, DB]).await;
    eventually("two watches", async || (api.watches() == 2).then_some(())).await;
    api.take_tokens(&["third"]);
    api.end_watches();
    let failing = source(&daemon, "it is refused", |one| one["state"] == "failing").await;
    assert!(
        failing["last_error"]["error"]
            .as_str()
            .is_some_and(|why| why.contains("401")),
        "{failing}"
    );
    let before = daemon
        .metrics()
        .await
        .sum("whyd_operations_total", &[("dependency", CART)]);
    daemon.operations(CART, before + 3.0).await;
    files.write("token", "third");
    source(&daemon, "it can look again", |one| one["state"] == "ok").await;

    // The API goes away, and comes back with less.
    api.go_down().await;
    source(&daemon, "it is down", |one| one["state"] == "failing").await;
    api.remove("Service", "shop", "db");
    watched(&daemon, &[CART, DB]).await;
    api.come_back().await;
    watched(&daemon, &[CART]).await;
    assert_eq!(since(&daemon, CART).await, begun);
    source(&daemon, "it can look again", |one| one["state"] == "ok").await;

    // Down at the start: what the last run found is watched.
    let log = daemon.stop().await.text();
    assert!(log.contains("it can be looked at again"), "{log}");
    assert!(!log.contains("second") && !log.contains("third"), "{log}");
    api.go_down().await;
    let daemon = Daemon::of(start()).await;
    watched(&daemon, &[CART]).await;
    let one = source(&daemon, "what is left of the last run", |one| {
        one["from_last_run"] == true
    })
    .await;
    assert_eq!(one["state"], "failing");
    api.put(asking("shop", "db"));
    api.come_back().await;
    watched(&daemon, &[CART, DB]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn five_thousand_services_are_watched_soon_after_the_start() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let api = KubeApi::start().await;
    api.put_all((0..5_000).map(|i| asking(&format!("ns-{}", i % 50), &format!("service-{i:04}"))));
    let files = Files::new();
    let kubeconfig = api.kubeconfig(&files.path("kubeconfig"), None, None);
    let config = config(&kubeconfig, server.address()).replace("100ms", "60s");
    let begun = std::time::Instant::now();
    let mut daemon = Daemon::start(&files.config(&config)).await;
    daemon.process.line("watches 5000 dependencies").await;
    let took = begun.elapsed();
    eprintln!("5,000 Services were watched {took:?} after the start");
    assert!(took < Duration::from_secs(15), "{took:?}");
    // All of them are listed anew, and no plan is made of that.
    eventually("two watches", async || (api.watches() == 2).then_some(())).await;
    api.expire_watches();
    eventually("they are listed again", async || {
        (api.count("list", "services") == 20).then_some(())
    })
    .await;
    let log = daemon.stop().await.text();
    assert!(!log.contains("removed "), "{log}");
}
