//! Names in queries against the catalogue of metrics.

use whyd::export::catalog::{Kind, METRICS};

/// Series that others make: Prometheus itself, about a scrape or about its alerts.
const OF_PROMETHEUS: [&str; 4] = [
    "up",
    "ALERTS",
    "scrape_samples_scraped",
    "scrape_duration_seconds",
];

/// Whether a series of that name can exist, and whether it only grows.
pub enum Known {
    No,
    Gauge,
    Counter,
}

pub fn known(name: &str) -> Known {
    if OF_PROMETHEUS.contains(&name) {
        return Known::Gauge;
    }
    for metric in &METRICS {
        let suffixes: &[&str] = match metric.kind {
            Kind::Gauge | Kind::Counter => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::SumAndCount => &["_sum", "_count"],
        };
        if suffixes
            .iter()
            .any(|suffix| name == format!("{}{suffix}", metric.prometheus))
        {
            return match metric.kind {
                Kind::Gauge => Known::Gauge,
                Kind::Counter | Kind::Histogram | Kind::SumAndCount => Known::Counter,
            };
        }
    }
    Known::No
}

/// Whether the metric has that attribute of its own, in Prometheus's spelling.
pub fn has_attribute(name: &str, label: &str) -> bool {
    let metric = METRICS.iter().find(|metric| {
        name.strip_prefix(metric.prometheus)
            .is_some_and(|suffix| ["", "_bucket", "_sum", "_count"].contains(&suffix))
    });
    metric.is_some_and(|metric| {
        metric
            .attributes
            .iter()
            .any(|(attribute, _)| attribute.replace('.', "_") == label)
    })
}
