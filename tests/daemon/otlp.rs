//! A receiver of OTLP over HTTP, and what it must hold: the same figures as /metrics.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    DataPointFlags, HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use whyd::lab::Ending;
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};

use crate::harness::prometheus::series;
use crate::harness::{Daemon, Files, LIMIT};

/// The exports that arrived, oldest first, as sent and decoded.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    pub exports: Vec<ExportMetricsServiceRequest>,
    pub bytes: Vec<Bytes>,
    /// `name: value` of every request's headers.
    pub headers: Vec<String>,
}

pub struct Collector {
    pub address: SocketAddr,
    arrived: watch::Receiver<Arrived>,
}

impl Collector {
    pub async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (sender, arrived) = watch::channel(Arrived::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = hyper::service::service_fn(move |request| take(request, sender.clone()));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
            }
        });
        Collector { address, arrived }
    }

    /// The configuration's section for it.
    pub fn section(&self, interval: &str) -> String {
        format!(
            "otlp: {{endpoint: 'http://{}/v1/metrics', protocol: http/protobuf, interval: {interval}}}\n",
            self.address
        )
    }

    pub fn arrived(&self) -> Arrived {
        self.arrived.borrow().clone()
    }

    /// Waits until one more export than those has arrived, and returns all of them.
    pub async fn after(&mut self, exports: usize) -> Arrived {
        let more = self.arrived.wait_for(|arrived| arrived.exports.len() > exports);
        let arrived = timeout(LIMIT, more).await.expect("an export in time");
        arrived.expect("the collector runs").clone()
    }
}

async fn take(
    request: Request<Incoming>,
    arrived: watch::Sender<Arrived>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    if let Ok(body) = request.into_body().collect().await {
        let body = body.to_bytes();
        let export = ExportMetricsServiceRequest::decode(body.clone()).expect("protobuf");
        arrived.send_modify(|arrived| {
            arrived.exports.push(export);
            arrived.bytes.push(body);
            arrived.headers.extend(headers);
        });
    }
    Ok(Response::new(Empty::new()))
}

/// What a point says of one series: its value, or that it has none any more.
type Points = BTreeMap<String, Option<f64>>;

/// The series of a dependency in an export, under the names that the usual translation to Prometheus gives them
/// (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
fn points(export: &ExportMetricsServiceRequest, dependency: &str) -> Points {
    let scopes = export
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let mut points = Points::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let name = translated(metric);
        match metric.data.as_ref().expect("data") {
            Data::Gauge(gauge) => numbers(&mut points, &name, &gauge.data_points),
            Data::Sum(sum) => {
                assert!(
                    sum.is_monotonic && sum.aggregation_temporality == 2,
                    "{name} is cumulative"
                );
                numbers(&mut points, &name, &sum.data_points);
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, 2, "{name} is cumulative");
                for point in &histogram.data_points {
                    distribution(&mut points, &name, point);
                }
            }
            other => panic!("{name} is of another kind: {other:?}"),
        }
    }
    let own = format!("dependency={dependency:?}");
    points.retain(|series, _| series.contains(&own));
    points
}

fn translated(metric: &Metric) -> String {
    let mut name = metric.name.replace('.', "_");
    let sum = matches!(metric.data, Some(Data::Sum(_)));
    match metric.unit.as_str() {
        "s" => name += "_seconds",
        "1" if !sum => name += "_ratio",
        unit => assert!(
            unit.is_empty() || unit.starts_with('{'),
            "the unit {unit} has no translation"
        ),
    }
    if sum { name + "_total" } else { name }
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{} is {other:?}", pair.key),
    };
    let pairs = attributes
        .iter()
        .map(|pair| (pair.key.replace('.', "_"), text(pair)));
    pairs.collect()
}

fn has_value(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 == 0
}

fn put(points: &mut Points, name: &str, labels: &BTreeMap<String, String>, value: Option<f64>) {
    let series = series(name, labels);
    assert_eq!(points.insert(series.clone(), value), None, "{series} comes twice");
}

fn numbers(points: &mut Points, name: &str, numbers: &[NumberDataPoint]) {
    for point in numbers {
        let value = has_value(point.flags).then(|| match point.value.expect("a value") {
            number_data_point::Value::AsDouble(value) => value,
            number_data_point::Value::AsInt(value) => value as f64,
        });
        put(points, name, &labels(&point.attributes), value);
    }
}

fn distribution(points: &mut Points, name: &str, point: &HistogramDataPoint) {
    let value = |value: f64| has_value(point.flags).then_some(value);
    let mut labels = labels(&point.attributes);
    put(
        points,
        &format!("{name}_count"),
        &labels,
        value(point.count as f64),
    );
    put(
        points,
        &format!("{name}_sum"),
        &labels,
        value(point.sum.expect("a sum")),
    );
    let bounds = point.explicit_bounds.iter().map(f64::to_string);
    let mut below = 0;
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
        below += count;
        labels.insert("le".to_owned(), bound);
        put(points, &format!("{name}_bucket"), &labels, value(below as f64));
    }
}

/// When the counting began, by the points of a dependency's operations.
fn starts(export: &ExportMetricsServiceRequest) -> Vec<u64> {
    let scopes = export
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let mut starts = Vec::new();
    for metric in metrics.filter(|metric| metric.name == "whyd.operations") {
        if let Some(Data::Sum(sum)) = &metric.data {
            for point in &sum.data_points {
                assert!(point.start_time_unix_nano <= point.time_unix_nano);
                starts.push(point.start_time_unix_nano);
            }
        }
    }
    starts
}

/// Two dependencies with something of every kind to tell: retries, failures, stale connections.
async fn servers() -> (HttpServer, HttpServer) {
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
    (
        flaky,
        HttpServer::plain(Behaviour::status(404)).await.expect("loopback"),
    )
}

#[tokio::test]
async fn a_receiver_holds_the_same_figures_until_the_dependency_is_removed() {
    let (flaky, absent) = servers().await;
    let mut collector = Collector::start().await;
    let files = Files::new();
    let otlp = collector.section("200ms");
    let write = |names: &[(&str, &HttpServer)], interval: &str| {
        let mut text = format!(
            "{otlp}defaults: {{retry: {{backoff: {{initial: 5ms, max: 10ms}}}}, keepalive: {{reuse: true}}, labels: {{team: a}}}}\ndependencies:\n"
        );
        for (name, server) in names {
            let address = server.address();
            text += &format!("  - {{name: {name}, url: 'http://{address}/', interval: {interval}}}\n");
        }
        files.config(&text)
    };
    let both = [("flaky", &flaky), ("absent", &absent)];
    let mut daemon = Daemon::start(&write(&both, "150ms")).await;
    daemon.operations("flaky", 12.0).await;
    daemon.operations("absent", 3.0).await;
    let first = collector.after(0).await.exports[0].clone();

    // Figures that stand still can be compared: the same dependencies, asked once a day, keep their state.
    write(&both, "24h");
    daemon.hangup().await;
    daemon.process.line("2 changed").await;
    // The export after the next was begun after the reload.
    let seen = collector.arrived().exports.len();
    let last = collector
        .after(seen + 1)
        .await
        .exports
        .last()
        .expect("arrived")
        .clone();
    let scraped = daemon.metrics().await;
    for name in ["flaky", "absent"] {
        let own: Points = scraped
            .of(name)
            .into_iter()
            .map(|(series, value)| (series, Some(value)))
            .collect();
        assert!(own.len() > 20, "there is something to compare: {own:?}");
        assert_eq!(points(&last, name), own, "{name}");
    }
    assert!(scraped.outcome("flaky", "retried_ok") >= 1.0 && scraped.outcome("absent", "failed") >= 3.0);
    assert!(scraped.sum("whyd_keepalive_resets_total", &[("dependency", "flaky")]) >= 1.0);
    let began = starts(&last);
    assert!(
        began
            .iter()
            .all(|start| *start > 0 && starts(&first).contains(start)),
        "the start stays"
    );

    let before = points(&last, "flaky");
    write(&both[1..], "24h");
    daemon.hangup().await;
    daemon.process.line("1 removed").await;
    ends_once(&mut collector, seen, &before).await;
    assert!(daemon.metrics().await.of("flaky").is_empty());
    daemon.stop().await;
}

/// The series are told to have ended, every one of them and once, and then nothing is told any more.
async fn ends_once(collector: &mut Collector, from: usize, before: &Points) {
    let mut at = from;
    let ended = loop {
        let export = collector.after(at).await.exports[at].clone();
        at += 1;
        let points = points(&export, "flaky");
        if points.values().any(Option::is_none) {
            break points;
        }
        assert!(!points.is_empty(), "it went without a word");
    };
    assert!(ended.values().all(Option::is_none), "all end together: {ended:?}");
    assert_eq!(
        ended.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    for _ in 0..2 {
        let export = collector.after(at).await.exports[at].clone();
        at += 1;
        assert_eq!(points(&export, "flaky"), Points::new());
        assert_ne!(points(&export, "absent"), Points::new(), "the other goes on");
    }
}

#[tokio::test]
async fn the_last_figures_leave_at_the_stop() {
    let (flaky, _) = servers().await;
    let mut collector = Collector::start().await;
    let files = Files::new();
    let path = files.config(&format!(
        "{}dependencies: [{{name: flaky, url: 'http://{}/', interval: 100ms, retry: {{backoff: {{initial: 5ms, max: 10ms}}}}}}]\n",
        collector.section("1h"),
        flaky.address()
    ));
    let daemon = Daemon::start(&path).await;
    let seen = daemon
        .operations("flaky", 5.0)
        .await
        .sum("whyd_operations_total", &[]);
    let before = collector.arrived().exports.len();
    daemon.stop().await;
    let last = collector
        .after(before)
        .await
        .exports
        .last()
        .expect("arrived")
        .clone();
    let points = points(&last, "flaky");
    let operations = points
        .iter()
        .filter(|(series, _)| series.starts_with("whyd_operations_total"));
    let told: f64 = operations.filter_map(|(_, value)| *value).sum();
    assert!(told >= seen, "{told} of {seen}");
    // One request may have been under way when it stopped; what had concluded is all told.
    let asked = flaky.server().requests() as f64;
    assert!(told <= asked, "{told} of {asked}");
}
