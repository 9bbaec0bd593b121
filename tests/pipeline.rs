//! The figures where they are used: a real Prometheus that scrapes and a real receiver of OTLP hold what /metrics says,
//! and end a dependency's series when it is removed.

mod harness;

#[path = "pipeline/examples.rs"]
mod examples;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use whyd::lab::Ending;
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};

use harness::tools::{self, Points, Prometheus, Rotel};
use harness::{Daemon, Files, LIMIT};

/// Waits until the other side has it too, and shows the difference when it never does.
async fn agrees<T: PartialEq + Debug>(who: &str, wanted: &T, look: impl AsyncFn() -> T) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let held = look().await;
        if held == *wanted || Instant::now() > deadline {
            assert_eq!(held, *wanted, "{who} holds something else");
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// A dependency with retries and stale connections, and one that fails.
async fn servers() -> [(&'static str, HttpServer); 2] {
    let flaky = Behaviour::FlakyThenOk {
        failures: 1,
        status: 503,
        successes: 5,
    };
    let idle = IdleClose {
        after: Duration::from_millis(50),
        ending: Ending::Fin,
    };
    let options = HttpOptions {
        idle: Some(idle),
        ..HttpOptions::default()
    };
    let flaky = HttpServer::start(flaky, options).await.expect("loopback");
    let absent = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    [("flaky", flaky), ("absent", absent)]
}

fn config(files: &Files, receiver: &Rotel, servers: &[(&str, HttpServer)], interval: &str) -> PathBuf {
    let mut text = format!(
        "otlp: {{endpoint: 'http://{}', protocol: grpc, interval: 1s}}
defaults: {{interval: {interval}, retry: {{backoff: {{initial: 5ms, max: 10ms}}}}, keepalive: {{reuse: true}}, labels: {{team: checkout}}}}
dependencies:\n",
        receiver.grpc
    );
    for (name, server) in servers {
        text += &format!("  - {{name: {name}, url: 'http://{}/'}}\n", server.address());
    }
    files.config(&text)
}

/// What the receiver should hold: it prints histograms in another form, so that buckets are left to Prometheus.
fn as_points(scraped: &BTreeMap<String, f64>) -> Points {
    let numbers = scraped.iter().filter(|(series, _)| !series.contains("_bucket{"));
    numbers
        .map(|(series, value)| (series.clone(), Some(*value)))
        .collect()
}

#[tokio::test]
#[ignore = "needs prometheus and rotel; run by .ci/run"]
async fn prometheus_and_an_otlp_receiver_hold_the_same_figures() {
    let Some(prometheus) = tools::find("prometheus", "WHYD_PROMETHEUS") else {
        return;
    };
    let Some(rotel) = tools::find("rotel-agent", "WHYD_ROTEL") else {
        return;
    };
    let servers = servers().await;
    let files = Files::new();
    let rotel = Rotel::start(&rotel).await;
    let mut daemon = Daemon::start(&config(&files, &rotel, &servers, "150ms")).await;
    let prometheus = Prometheus::start(&prometheus, &files, daemon.address).await;
    daemon.operations("flaky", 12.0).await;
    daemon.operations("absent", 3.0).await;

    // Figures that stand still can be compared: the same dependencies, asked once a day, keep their state.
    config(&files, &rotel, &servers, "24h");
    daemon.hangup().await;
    daemon.process.line("2 changed").await;
    let still = daemon.metrics().await;
    for (name, _) in &servers {
        let wanted = still.of(name);
        agrees("Prometheus", &wanted, async || prometheus.of(name).await).await;
        let last = async || rotel.exports_of(name).pop().unwrap_or_default();
        agrees("the receiver", &as_points(&wanted), last).await;
    }
    assert_eq!(
        daemon.metrics().await.of("flaky"),
        still.of("flaky"),
        "they stood still"
    );
    check_that_there_is_something_to_compare(&still);

    let before = rotel.exports_of("flaky").len();
    config(&files, &rotel, &servers[1..], "24h");
    daemon.hangup().await;
    daemon.process.line("1 removed").await;
    // By itself Prometheus would show them for five minutes more.
    agrees("Prometheus", &BTreeMap::new(), async || {
        prometheus.of("flaky").await
    })
    .await;
    let last = async || rotel.exports_of("flaky").pop().unwrap_or_default();
    agrees("the receiver", &Points::new(), last).await;
    let since = &rotel.exports_of("flaky")[before..];
    let ended = since.iter().filter(|points| points.values().any(Option::is_none));
    assert_eq!(
        ended.clone().count(),
        1,
        "it is told once that they ended: {since:#?}"
    );
    for points in ended {
        assert!(points.iter().all(has_ended), "{points:#?}");
        assert!(
            points.keys().eq(as_points(&still.of("flaky")).keys()),
            "all of them: {points:#?}"
        );
    }
    agrees("Prometheus", &still.of("absent"), async || {
        prometheus.of("absent").await
    })
    .await;
    daemon.stop().await;
}

/// rotel prints no flags: a number without a value has no line for it, a histogram without one is printed as empty.
fn has_ended((series, value): (&String, &Option<f64>)) -> bool {
    let of_histogram = ["_count{", "_sum{"].iter().any(|suffix| series.contains(suffix));
    value.is_none() || of_histogram && *value == Some(0.0)
}

fn check_that_there_is_something_to_compare(metrics: &harness::prometheus::Metrics) {
    assert!(metrics.outcome("flaky", "ok") >= 5.0 && metrics.outcome("flaky", "retried_ok") >= 1.0);
    assert!(metrics.outcome("absent", "failed") >= 3.0);
    let failed = [("dependency", "flaky"), ("error_type", "http.error.503")];
    assert!(metrics.get("whyd_attempts_total", &failed) >= Some(1.0));
    let stale = [
        ("dependency", "flaky"),
        ("kind", "closed"),
        ("seen", "before_send"),
    ];
    assert!(metrics.get("whyd_keepalive_resets_total", &stale) >= Some(5.0));
    assert_eq!(metrics.get("whyd_up", &[("dependency", "flaky")]), Some(1.0));
    assert_eq!(metrics.get("whyd_up", &[("dependency", "absent")]), Some(0.0));
}

#[tokio::test]
#[ignore = "needs promtool, which comes with prometheus; run by .ci/run"]
async fn promtool_finds_nothing_to_blame() {
    let Some(promtool) = tools::find("promtool", "WHYD_PROMTOOL") else {
        return;
    };
    let servers = servers().await;
    let files = Files::new();
    let mut text = "defaults: {interval: 100ms, retry: {backoff: {initial: 5ms, max: 10ms}}, keepalive: {reuse: true}}\ndependencies:\n".to_owned();
    for (name, server) in &servers {
        text += &format!("  - {{name: {name}, url: 'http://{}/'}}\n", server.address());
    }
    let daemon = Daemon::start(&files.config(&text)).await;
    daemon.operations("flaky", 12.0).await;
    daemon.operations("absent", 12.0).await;
    let scrape = daemon.get("/metrics").await.text;
    assert_eq!(tools::lint(&promtool, &files, &scrape), Ok(()));
}

#[tokio::test]
#[ignore = "needs rotel; run by .ci/run"]
async fn an_alert_arrives_as_a_log_record_when_it_is_raised_and_when_it_is_over() {
    let Some(rotel) = tools::find("rotel-agent", "WHYD_ROTEL") else {
        return;
    };
    let server = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    let files = Files::new();
    let rotel = Rotel::printing(&rotel, "logs").await;
    let config = files.config(&format!(
        "otlp: {{endpoint: 'http://{}', protocol: grpc, interval: 1s}}
defaults: {{interval: 100ms, retry: {{attempts: 1}}, alerts: {{rules: {{dependency_down_fast: {{for: 200ms, keep_firing_for: 200ms}}}}}}}}
dependencies: [{{name: payments, url: 'http://{}/'}}]
",
        rotel.grpc,
        server.address()
    ));
    let mut daemon = Daemon::start(&config).await;
    daemon.process.line("alert, critical: ").await;
    let printed = async |what: &str| {
        harness::eventually(what, async || rotel.printed().contains(what).then_some(())).await;
    };
    printed("state: Str(firing)").await;
    server.set_behaviour(Behaviour::ok().into());
    daemon.process.line("alert over").await;
    printed("state: Str(resolved)").await;
    daemon.stop().await;
}
