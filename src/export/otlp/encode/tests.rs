//! The encoder is checked with an independent decoder: prost with the generated types of opentelemetry-proto.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};
use prost::Message;

use super::*;
use crate::export::samples::{self, World};
use crate::model::alert::Rule;
use crate::report::samples::alerts;

fn export(table: &mut Table, snapshot: &Snapshot) -> Vec<ExportMetricsServiceRequest> {
    let resource = Resource::new([("service.name", "whyd"), ("service.instance.id", "7")]);
    let mut encoder = Encoder::new(table, snapshot, &resource);
    let mut requests = Vec::new();
    while let Some(bytes) = encoder.next_request() {
        assert!(bytes.len() < REQUEST_BYTES + 64 * 1024, "{}", bytes.len());
        requests.push(ExportMetricsServiceRequest::decode(&*bytes).expect("valid protobuf"));
    }
    requests
}

/// Exports and has it acknowledged.
fn deliver(table: &mut Table, snapshot: &Snapshot) -> Series {
    let series = read(&export(table, snapshot));
    table.acknowledge();
    series
}

#[derive(Clone, Debug, PartialEq)]
enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
}

impl Point {
    fn flags(&self) -> u32 {
        match self {
            Point::Number(point) => point.flags,
            Point::Histogram(point) => point.flags,
        }
    }

    fn value(&self) -> f64 {
        match self {
            Point::Number(point) => match point.value {
                Some(Number::AsDouble(value)) => value,
                Some(Number::AsInt(value)) => value as f64,
                None => f64::NAN,
            },
            Point::Histogram(point) => point.count as f64,
        }
    }
}

/// Points by `name{attributes}`; none may come twice.
type Series = BTreeMap<String, Point>;

fn read(requests: &[ExportMetricsServiceRequest]) -> Series {
    let mut series = Series::new();
    for request in requests {
        for resource in &request.resource_metrics {
            let attributes = &resource.resource.as_ref().expect("a resource").attributes;
            assert_eq!(shown(attributes), "service.instance.id=7,service.name=whyd");
            for scope in &resource.scope_metrics {
                assert_eq!(scope.scope.as_ref().expect("a scope").name, "whyd");
                for metric in &scope.metrics {
                    let mut put = |attributes: &[KeyValue], point: Point| {
                        let name = format!("{}{{{}}}", metric.name, shown(attributes));
                        assert!(series.insert(name.clone(), point).is_none(), "{name} twice");
                    };
                    match metric.data.as_ref().expect("data") {
                        Data::Gauge(gauge) => {
                            gauge
                                .data_points
                                .iter()
                                .for_each(|p| put(&p.attributes, Point::Number(p.clone())));
                        }
                        Data::Sum(sum) => {
                            assert!(
                                sum.is_monotonic && sum.aggregation_temporality == 2,
                                "{}",
                                metric.name
                            );
                            sum.data_points
                                .iter()
                                .for_each(|p| put(&p.attributes, Point::Number(p.clone())));
                        }
                        Data::Histogram(histogram) => {
                            assert_eq!(histogram.aggregation_temporality, 2);
                            let points = &histogram.data_points;
                            points
                                .iter()
                                .for_each(|p| put(&p.attributes, Point::Histogram(p.clone())));
                        }
                        other => panic!("unexpected {other:?}"),
                    }
                }
            }
        }
    }
    series
}

fn shown(attributes: &[KeyValue]) -> String {
    let one = |pair: &KeyValue| match &pair.value {
        Some(AnyValue {
            value: Some(Any::StringValue(text)),
        }) => format!("{}={text}", pair.key),
        Some(AnyValue {
            value: Some(Any::IntValue(number)),
        }) => format!("{}={number}", pair.key),
        other => panic!("unexpected {other:?}"),
    };
    let all: BTreeSet<String> = attributes.iter().map(one).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

fn one_dependency() -> World {
    let mut world = World::of(1);
    let view = samples::worst_view(0, Arc::new(samples::dependency("payments")));
    world.views.insert(0, view);
    world.alerts = vec![alerts::alert(Rule::DependencyDownFast, "payments")];
    world.receivers = vec![alerts::receiver("pager")];
    world.discovery = samples::discovery();
    world.scale_out = Some(samples::scale_out());
    world
}

const PAYMENTS: &str = "dependency=payments";

#[test]
fn what_is_decoded_is_what_the_catalogue_says() {
    let snapshot = one_dependency().snapshot();
    let requests = export(&mut Table::default(), &snapshot);
    assert_eq!(requests.len(), 1);
    let series = read(&requests);
    assert_eq!(series.values().filter(|point| point.flags() != 0).count(), 0);
    let own = "dependency=payments,server.address=payments.internal,server.port=443,team=checkout,tier=1";
    let operations = &series["whyd.operations{dependency=payments,outcome=failed,server.address=payments.internal,server.port=443,\
         team=checkout,tier=1}"];
    let Point::Number(operations) = operations else {
        panic!("not a number")
    };
    assert_eq!(operations.value, Some(Number::AsInt(2)));
    assert_eq!(operations.start_time_unix_nano, 1_790_000_000_000_000_000);
    assert_eq!(operations.time_unix_nano, 1_790_000_600_000_000_000);
    let Point::Histogram(duration) = &series[&format!("whyd.probe.duration{{{own}}}")] else {
        panic!("not a histogram")
    };
    assert_eq!(
        (duration.count, duration.explicit_bounds.len()),
        (6, LATENCY_BOUNDS.len())
    );
    assert_eq!(duration.bucket_counts, [1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    assert!((duration.sum.expect("a sum") - 29.018).abs() < 1e-9);
    let rtt = &series[&format!("whyd.tcp.rtt{{{own}}}")];
    assert_eq!(rtt.value(), 0.00042);
    let masked = "whyd.retry.masked{server.address=d0.internal,server.port=443,window=5m}";
    assert_eq!(series[masked].value(), 0.25);
    let phases = series
        .iter()
        .filter(|(name, _)| name.starts_with("whyd.phase.duration{"));
    for (_, point) in phases {
        let Point::Histogram(point) = point else {
            panic!("not a histogram")
        };
        assert!(point.explicit_bounds.is_empty());
        assert_eq!(point.bucket_counts, [point.count]);
    }
    let names: BTreeSet<&str> = series.keys().filter_map(|name| name.split('{').next()).collect();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn an_export_is_split_and_loses_nothing() {
    let snapshot = World::of(3000).snapshot();
    let requests = export(&mut Table::default(), &snapshot);
    assert!(requests.len() > 3, "{}", requests.len());
    let series = read(&requests);
    let of = |name: &str| series.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(of("whyd.up{"), 3000);
    assert_eq!(of("whyd.operations{"), 12_000);
    assert_eq!(of("whyd.probe.duration{"), 3000);
    assert_eq!(of("whyd.retry.masked{"), 9000);
}

#[test]
fn a_removed_dependency_ends_once_and_is_gone() {
    let mut world = one_dependency();
    let mut table = Table::default();
    let before = deliver(&mut table, &world.snapshot());
    let own: Vec<&String> = before.keys().filter(|name| name.contains(PAYMENTS)).collect();
    assert_eq!(own.len(), 42);
    world.views.clear();
    let after = deliver(&mut table, &world.snapshot());
    for name in own {
        let point = &after[name];
        assert_eq!(point.flags(), 1, "{name}");
        if let Point::Number(point) = point {
            assert_eq!(point.value, None);
        }
    }
    let later = deliver(&mut table, &world.snapshot());
    assert!(!later.keys().any(|name| name.contains(PAYMENTS)));
    assert!(later.contains_key("whyd.probes.in_flight{}"), "the rest goes on");
}

#[test]
fn an_end_is_told_again_until_it_arrives() {
    let mut world = one_dependency();
    let mut table = Table::default();
    deliver(&mut table, &world.snapshot());
    world.views.clear();
    for _ in 0..2 {
        let lost = read(&export(&mut table, &world.snapshot()));
        assert!(
            lost.iter()
                .any(|(name, point)| name.contains(PAYMENTS) && point.flags() == 1)
        );
    }
    deliver(&mut table, &world.snapshot());
    let later = deliver(&mut table, &world.snapshot());
    assert!(!later.keys().any(|name| name.contains(PAYMENTS)));
}

#[test]
fn a_dependency_that_comes_back_is_not_ended() {
    let mut world = one_dependency();
    let mut table = Table::default();
    deliver(&mut table, &world.snapshot());
    let views = std::mem::take(&mut world.views);
    export(&mut table, &world.snapshot());
    // The end was not acknowledged; meanwhile the dependency is there again, at another place.
    for (index, mut view) in views {
        view.index.0 = index + 5;
        world.views.insert(index + 5, view);
    }
    let back = deliver(&mut table, &world.snapshot());
    assert!(back.iter().all(|(_, point)| point.flags() == 0));
}

#[test]
fn a_series_that_stops_holding_ends_while_its_owner_stays() {
    let mut world = one_dependency();
    let mut table = Table::default();
    deliver(&mut table, &world.snapshot());
    let view = world.views.get_mut(&0).expect("it is there");
    view.state = crate::model::failure::State::Up {
        since: samples::SINCE,
    };
    view.up = Some(true);
    let after = deliver(&mut table, &world.snapshot());
    let ended: Vec<_> = after
        .iter()
        .filter(|(_, point)| point.flags() == 1)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert!(ended[0].starts_with("whyd.failing{dependency=payments,error.type=dns.timed_out"));
    let later = deliver(&mut table, &world.snapshot());
    assert!(!later.keys().any(|name| name.starts_with("whyd.failing{")));
}

#[test]
fn new_labels_end_the_old_series_and_a_new_interval_does_not() {
    let mut world = one_dependency();
    let mut table = Table::default();
    deliver(&mut table, &world.snapshot());
    let mut changed = samples::dependency("payments");
    changed.interval *= 2;
    world.views.get_mut(&0).expect("it is there").dependency = Arc::new(changed.clone());
    let after = deliver(&mut table, &world.snapshot());
    assert!(after.values().all(|point| point.flags() == 0));
    changed.labels = Arc::from([("team".into(), "platform".into())]);
    world.views.get_mut(&0).expect("it is there").dependency = Arc::new(changed);
    let after = deliver(&mut table, &world.snapshot());
    let ended = after.iter().filter(|(_, point)| point.flags() == 1);
    assert!(ended.clone().all(|(name, _)| name.contains("team=checkout")));
    assert_eq!(ended.count(), 42);
}

#[test]
fn a_removed_dependency_whose_place_is_taken_ends_too() {
    let mut world = one_dependency();
    let mut table = Table::default();
    deliver(&mut table, &world.snapshot());
    let view = samples::plain_view(0, Arc::new(samples::dependency("search")));
    world.views.insert(0, view);
    let after = deliver(&mut table, &world.snapshot());
    assert!(
        after
            .iter()
            .filter(|(name, _)| name.contains(PAYMENTS))
            .all(|(_, point)| point.flags() == 1)
    );
    assert!(
        after
            .iter()
            .filter(|(name, _)| name.contains("=search,"))
            .all(|(_, point)| point.flags() == 0)
    );
}

#[test]
fn an_alert_that_is_over_and_a_receiver_that_is_gone_end() {
    let mut world = one_dependency();
    let mut table = Table::default();
    let before = deliver(&mut table, &world.snapshot());
    let alert = before
        .keys()
        .find(|name| name.starts_with("whyd.alert.active{"))
        .expect("it is raised")
        .clone();
    assert!(
        alert.contains("alert=dependency_down_fast,dependency=payments")
            && alert.contains("severity=critical"),
        "{alert}"
    );
    let deliveries = &before["whyd.deliveries{outcome=accepted,receiver=pager}"];
    let Point::Number(deliveries) = deliveries else {
        panic!("not a number")
    };
    assert_eq!(deliveries.value, Some(Number::AsInt(5)));
    world.alerts.clear();
    world.receivers.clear();
    let after = deliver(&mut table, &world.snapshot());
    let ended = after.iter().filter(|(_, point)| point.flags() == 1);
    let ended: Vec<&str> = ended.filter_map(|(name, _)| name.split('{').next()).collect();
    assert_eq!(
        ended,
        [
            "whyd.alert.active",
            "whyd.deliveries",
            "whyd.deliveries",
            "whyd.deliveries",
            "whyd.outbox.waiting"
        ]
    );
    let later = deliver(&mut table, &world.snapshot());
    assert!(later.values().all(|point| point.flags() == 0));
    assert!(!later.contains_key(&alert));
}
