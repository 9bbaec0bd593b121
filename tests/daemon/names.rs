//! Names whose sources contradict each other, and addresses that are not alike: in the daemon's metrics and API.

use whyd::lab::dns::{self, Reply};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};

use crate::harness::{Daemon, Files, eventually};

#[tokio::test]
async fn sources_that_contradict_each_other_are_a_metric_and_a_cause() {
    let denies = dns::start([("other.lab.test", Reply::a([127, 0, 0, 1]))])
        .await
        .expect("a port");
    let knows = dns::start([("it.lab.test", Reply::a([127, 0, 0, 1]))])
        .await
        .expect("a port");
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let files = Files::new();
    let path = files.config(&format!(
        "defaults: {{interval: 1s, retry: {{attempts: 1}}, timeouts: {{total: 1s, attempt: 1s, first_byte: 1s, body: 1s, connect: 1s, tls: 1s, resolve: 1s}}}}
dependencies:
  - name: split
    url: http://it.lab.test:{port}/
    resolve: {{servers: ['{denies}', '{knows}']}}
  - name: same
    url: http://nowhere.lab.test:{port}/
    resolve: {{servers: ['{denies}', '{knows}']}}
",
        port = server.address().port(),
        denies = denies.address(),
        knows = knows.address(),
    ));
    let daemon = Daemon::start(&path).await;
    let differ = |name: &'static str| {
        move |metrics: &crate::harness::prometheus::Metrics| {
            metrics.get("whyd_dns_answers_differ", &[("dependency", name)])
        }
    };
    let split = daemon.metrics_show("a comparison", differ("split")).await;
    assert!((split - 1.0).abs() < f64::EPSILON);
    let same = daemon.metrics_show("a comparison", differ("same")).await;
    assert!(same.abs() < f64::EPSILON, "both deny that name");
    let cause = [
        ("dependency", "split"),
        ("error_type", "dns.answer_mismatch.split_horizon"),
    ];
    daemon
        .metrics_show("the cause", |metrics| metrics.get("whyd_failing", &cause))
        .await;
    let shown = daemon.dependency("split").await;
    assert_eq!(shown["dns_answers_differ"], true, "{shown}");
    assert_eq!(shown["cause"], "dns.answer_mismatch.split_horizon", "{shown}");
    assert_eq!(daemon.dependency("same").await["dns_answers_differ"], false);
}

#[tokio::test]
async fn addresses_are_in_the_api_and_never_in_a_label() {
    let first = HttpServer::plain(Behaviour::status(503)).await.expect("a port");
    let port = first.address().port();
    let at = std::net::SocketAddr::from(([127, 0, 0, 2], port));
    let second = HttpServer::start_at(at, Behaviour::ok(), HttpOptions::default()).await;
    let _second = second.expect("the same port");
    let both = Reply::Addresses {
        a: vec![[127, 0, 0, 1].into(), [127, 0, 0, 2].into()],
        aaaa: Vec::new(),
    };
    let names = dns::start([("it.lab.test", both)]).await.expect("a port");
    let files = Files::new();
    let path = files.config(&format!(
        "defaults: {{interval: 1s, retry: {{attempts: 1}}, timeouts: {{total: 1s, attempt: 1s, first_byte: 1s, body: 1s, connect: 1s, tls: 1s, resolve: 1s}}}}
dependencies:
  - name: partial
    url: http://it.lab.test:{port}/
    resolve: {{servers: ['{}']}}
",
        names.address(),
    ));
    let daemon = Daemon::start(&path).await;
    let shown = eventually("the cause", async || {
        let shown = daemon.dependency("partial").await;
        (shown["cause"] == "address.partial").then_some(shown)
    })
    .await;
    assert!(shown.to_string().contains("127.0.0.2"), "{shown}");
    let metrics = daemon.metrics().await;
    let series = metrics.of("partial");
    assert!(
        series.keys().all(|series| !series.contains("127.0.0.")),
        "{series:?}"
    );
}
