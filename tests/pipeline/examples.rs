//! The examples for a Collector and for Prometheus: whole, consistent with each other, and at work.
//!
//! An OpenTelemetry Collector is not to be had from where `.ci/run` gets its tools. Its files are held to what can be
//! known of them without one (every component is defined and used, ports are those that whyd sends to, what is Prometheus's
//! in them passes promtool), and rotel stands in for it where whyd's own side is run.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::tools::{self, Prometheus, Rotel};
use crate::harness::{Daemon, Files, eventually, run, whyd};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The example with these texts in place of those, each of which must be there.
fn changed(name: &str, changes: &[(&str, String)]) -> String {
    changes.iter().fold(example(name), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {name}");
        text.replacen(from, to, 1)
    })
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

fn names(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |name: &Value| name.as_str().expect("a name").to_owned();
    list.iter().map(name).collect()
}

fn keys(section: &Value) -> BTreeSet<String> {
    let section = section
        .as_object()
        .map(|section| section.keys().cloned().collect());
    section.unwrap_or_default()
}

#[test]
fn a_collectors_pipelines_use_what_is_defined_and_all_of_it() {
    for name in ["otlp/collector.yaml", "otlp/collector-scrape.yaml"] {
        let config = yaml(&example(name));
        let pipelines = config["service"]["pipelines"].as_object().expect("pipelines");
        for kind in ["receivers", "processors", "exporters"] {
            let used: BTreeSet<String> = pipelines.values().flat_map(|one| names(&one[kind])).collect();
            assert_eq!(used, keys(&config[kind]), "{name}: {kind}");
        }
        let extensions: BTreeSet<String> = names(&config["service"]["extensions"]).into_iter().collect();
        assert_eq!(extensions, keys(&config["extensions"]), "{name}");
        for (signal, pipeline) in pipelines {
            // The order that their documentation asks for.
            let processors = names(&pipeline["processors"]);
            let ends = (processors.first(), processors.last());
            let ends = (ends.0.map(String::as_str), ends.1.map(String::as_str));
            assert_eq!(ends, (Some("memory_limiter"), Some("batch")), "{name}: {signal}");
        }
    }
}

#[test]
fn whyd_sends_each_signal_to_where_the_collector_takes_it() {
    let collector = yaml(&example("otlp/collector.yaml"));
    let ours = &yaml(&example("otlp/whyd.yaml"))["otlp"];
    let port = |address: &Value| {
        let address = address.as_str().expect("an address");
        address.rsplit_once(':').expect("a port").1.to_owned()
    };
    assert_eq!(ours["protocol"], "grpc");
    let takes = &collector["receivers"]["otlp"]["protocols"]["grpc"];
    assert_eq!(port(&ours["endpoint"]), port(&takes["endpoint"]));
    let signals = ["logs", "metrics", "traces"].map(str::to_owned);
    assert_eq!(keys(&collector["service"]["pipelines"]), BTreeSet::from(signals));
    assert!(ours["traces"] == true && ours["logs"] == true);
}

#[tokio::test]
#[ignore = "needs rotel; run by .ci/run"]
async fn the_example_for_a_collector_sends_metrics_alerts_and_traces_of_a_pod() {
    let Some(program) = tools::find("rotel-agent", "WHYD_ROTEL") else {
        return;
    };
    let server = HttpServer::plain(Behaviour::status(404)).await.expect("loopback");
    let signals = [
        ("metrics", "-> Name: whyd.up"),
        ("logs", "state: Str(firing)"),
        ("traces", "probe payments"),
    ];
    for (signal, own) in signals {
        let rotel = Rotel::printing(&program, signal).await;
        let files = Files::new();
        let often = "defaults:\n  interval: 100ms\n  retry: {attempts: 1}\n  alerts: {rules: {dependency_down_fast: {for: 200ms}}}";
        let text = changed(
            "otlp/whyd.yaml",
            &[
                ("http://collector:4317", format!("http://{}", rotel.grpc)),
                (
                    "https://payments.example.com/health",
                    format!("http://{}/", server.address()),
                ),
                (
                    "  interval: 30s\n  traces",
                    "  interval: 1s\n  timeout: 1s\n  traces".to_owned(),
                ),
                ("defaults:\n  interval: 30s", often.to_owned()),
            ],
        );
        let mut command = run(&files.config(&text));
        command.envs([
            ("POD_NAME", "whyd-0"),
            ("POD_NAMESPACE", "watch"),
            ("POD_UID", "2f1c"),
            ("NODE_NAME", "node-a"),
            ("CONTAINER_NAME", "whyd"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=eu-1"),
        ]);
        let daemon = Daemon::of(command).await;
        let expected = [
            own,
            "service.name: Str(whyd)",
            "service.instance.id: Str(watch.whyd-0.whyd)",
            concat!("service.version: Str(", env!("CARGO_PKG_VERSION"), ")"),
            "deployment.environment.name: Str(production)",
            "host.name: Str(node-a)",
            "k8s.pod.name: Str(whyd-0)",
            "k8s.namespace.name: Str(watch)",
            "k8s.pod.uid: Str(2f1c)",
            "k8s.node.name: Str(node-a)",
            "k8s.container.name: Str(whyd)",
            "k8s.cluster.name: Str(eu-1)",
        ];
        for text in expected {
            let what = format!("{text} with the {signal}");
            eventually(&what, async || rotel.printed().contains(text).then_some(())).await;
        }
        daemon.stop().await;
    }
}

#[tokio::test]
#[ignore = "needs prometheus and promtool; run by .ci/run"]
async fn the_examples_for_prometheus_pass_promtool_and_scrape() {
    let Some(prometheus) = tools::find("prometheus", "WHYD_PROMETHEUS") else {
        return;
    };
    let Some(promtool) = tools::find("promtool", "WHYD_PROMTOOL") else {
        return;
    };
    let files = Files::new();
    let rules = whyd(&["rules"]).output().expect("it runs");
    files.write("whyd.rules.yaml", &String::from_utf8_lossy(&rules.stdout));

    // Debian builds Prometheus without the discovery of Kubernetes: a target stands in its place.
    let discovery = "    kubernetes_sd_configs:\n      - role: pod\n        selectors: [{role: pod, label: app.kubernetes.io/name=whyd}]\n";
    let target = "    static_configs: [{targets: ['127.0.0.1:9477']}]\n".to_owned();
    // What the Collector's receiver takes is a configuration of Prometheus with `$` written twice.
    let scrape = yaml(&example("otlp/collector-scrape.yaml"));
    let scrape = scrape["receivers"]["prometheus"]["config"].to_string();
    for (name, text) in [
        ("prometheus.yaml", example("prometheus/prometheus.yaml")),
        (
            "kubernetes.yaml",
            changed("prometheus/kubernetes.yaml", &[(discovery, target)]),
        ),
        ("scrape.yaml", scrape.replace("$$", "$")),
    ] {
        let path = files.write(name, &text);
        let output = Command::new(&promtool)
            .args(["check", "config"])
            .arg(path)
            .output();
        let output = output.expect("promtool runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
    }

    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let config = files.config(&format!(
        "defaults: {{interval: 100ms}}\ndependencies: [{{name: payments, url: 'http://{}/'}}]\n",
        server.address()
    ));
    let daemon = Daemon::start(&config).await;
    let prometheus = Prometheus::by(&prometheus, &files, &scraping(daemon.address)).await;
    let query = "whyd_up{job=\"whyd\", instance=\"127.0.0.1\", dependency=\"payments\"}";
    eventually("the series under the names of the rules", async || {
        let data = prometheus.ask("query", &[("query", query)]).await;
        let found = data["result"].as_array().expect("a vector");
        (!found.is_empty()).then_some(())
    })
    .await;
    daemon.stop().await;
}

/// The example for Prometheus with that target and shorter times.
fn scraping(target: SocketAddr) -> String {
    let changes = [
        (
            "[\"whyd-1.example.com:9477\", \"whyd-2.example.com:9477\"]",
            format!("[\"{target}\"]"),
        ),
        (
            "    scrape_interval: 15s",
            "    scrape_interval: 1s\n    scrape_timeout: 1s".to_owned(),
        ),
        (
            "[{targets: [\"alertmanager.example.com:9093\"]}]",
            "[]".to_owned(),
        ),
    ];
    changed("prometheus/prometheus.yaml", &changes)
}
