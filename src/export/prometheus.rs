//! Prometheus text exposition 0.0.4 and OpenMetrics 1.0, written family by family and a piece at a time.
//!
//! Both formats want all samples of a family together, while the read model has all samples of a dependency together: a
//! scrape therefore works on a snapshot and goes through it once per family. Only one piece of text is held at a time.

use std::fmt::Write as _;

use crate::model::dependency::Dependency;

use super::catalog::{self, Distribution, Kind, METRICS, Metric, Owner, Sample, Value};
use super::snapshot::Snapshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text exposition 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header prefers (RFC 9110, section 12.5.1). Text where it names neither: a person's
    /// browser or curl should see something.
    pub fn negotiate(accept: Option<&str>) -> Format {
        let mut best = (0.0, Format::Text);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let mut quality = 1.0;
            let mut version = "";
            for parameter in parts {
                match parameter.split_once('=') {
                    Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                        quality = value.trim().parse().unwrap_or(0.0);
                    }
                    Some((name, value)) if name.trim().eq_ignore_ascii_case("version") => {
                        version = value.trim().trim_matches('"');
                    }
                    _ => {}
                }
            }
            let format = match (media.to_ascii_lowercase().as_str(), version) {
                ("application/openmetrics-text", "" | "0.0.1" | "1.0.0") => Format::OpenMetrics,
                ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Format::Text,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// About how much text one piece has, in bytes.
const PIECE: usize = 64 * 1024;

/// A snapshot on its way to becoming text.
#[derive(Debug)]
pub struct Exposition {
    snapshot: Snapshot,
    format: Format,
    /// Written labels of each dependency, host and receiver, without braces.
    dependencies: Vec<Box<str>>,
    hosts: Vec<Box<str>>,
    receivers: Vec<Box<str>>,
    sources: Vec<Box<str>>,
    process: Box<str>,
    metric: usize,
    place: usize,
    /// The family's head is written with its first sample: a family without samples is left out.
    headed: bool,
    finished: bool,
}

impl Exposition {
    pub fn new(snapshot: Snapshot, format: Format) -> Self {
        let dependencies = snapshot
            .dependencies
            .iter()
            .map(|view| dependency_labels(&view.dependency, of_place(&snapshot)));
        let hosts = snapshot.hosts.iter().map(|view| {
            let mut labels = of_place(&snapshot);
            labels.push("server_address", &view.key.name);
            labels.push("server_port", &view.key.port.to_string());
            labels.write()
        });
        let receivers = snapshot.receivers.iter().map(|view| {
            let mut labels = of_place(&snapshot);
            labels.push("receiver", &view.name);
            labels.write()
        });
        let sources = snapshot.discovery.sources.iter().map(|view| {
            let mut labels = of_place(&snapshot);
            labels.push("source", &view.name);
            labels.write()
        });
        Exposition {
            dependencies: dependencies.collect(),
            hosts: hosts.collect(),
            receivers: receivers.collect(),
            sources: sources.collect(),
            process: of_place(&snapshot).write(),
            snapshot,
            format,
            metric: 0,
            place: 0,
            headed: false,
            finished: false,
        }
    }

    /// Appends the next piece; false when all was written before.
    pub fn write_piece(&mut self, out: &mut String) -> bool {
        if self.finished {
            return false;
        }
        let limit = out.len() + PIECE;
        while let Some(metric) = METRICS.get(self.metric) {
            if !self.write_family(metric, out, limit) {
                return true;
            }
            (self.metric, self.place, self.headed) = (self.metric + 1, 0, false);
        }
        if self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        self.finished = true;
        true
    }

    /// False when the piece was full before the family's end.
    fn write_family(&mut self, metric: &Metric, out: &mut String, limit: usize) -> bool {
        while let Some(owner) = catalog::owner(metric, &self.snapshot, self.place) {
            if out.len() >= limit {
                return false;
            }
            let labels: &str = match owner {
                Owner::Dependency(place) => &self.dependencies[place],
                Owner::Host(place) => &self.hosts[place],
                Owner::Receiver(place) => &self.receivers[place],
                Owner::Source(place) => &self.sources[place],
                Owner::Process => &self.process,
            };
            let (format, headed) = (self.format, &mut self.headed);
            catalog::samples(metric.id, &self.snapshot, owner, &mut |sample| {
                if !std::mem::replace(headed, true) {
                    write_head(metric, format, out);
                }
                write_sample(metric, format, labels, &sample, out);
            });
            self.place += 1;
        }
        true
    }
}

/// The whole text at once.
pub fn render(snapshot: Snapshot, format: Format) -> String {
    let mut text = String::new();
    let mut exposition = Exposition::new(snapshot, format);
    while exposition.write_piece(&mut text) {}
    text
}

/// The name of the family: OpenMetrics keeps `_total` for the samples of a counter.
fn family(metric: &Metric, format: Format) -> &'static str {
    match (format, metric.kind) {
        (Format::OpenMetrics, Kind::Counter) => metric
            .prometheus
            .strip_suffix("_total")
            .unwrap_or(metric.prometheus),
        _ => metric.prometheus,
    }
}

fn write_head(metric: &Metric, format: Format, out: &mut String) {
    let name = family(metric, format);
    let kind = match metric.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram | Kind::SumAndCount => "histogram",
    };
    let _ = write!(out, "# HELP {name} ");
    escape(metric.help, format == Format::OpenMetrics, out);
    let _ = write!(out, "\n# TYPE {name} {kind}\n");
    if format == Format::OpenMetrics {
        // The unit must be the end of the family's name.
        for unit in ["seconds", "ratio"] {
            if name.ends_with(unit) {
                let _ = writeln!(out, "# UNIT {name} {unit}");
            }
        }
    }
}

fn write_sample(metric: &Metric, format: Format, owner: &str, sample: &Sample<'_>, out: &mut String) {
    match sample.value {
        Value::Distribution(distribution) => {
            write_distribution(metric, format, owner, sample, &distribution, out);
        }
        Value::Float(value) => {
            write_series(metric.prometheus, "", owner, sample, out);
            let _ = writeln!(out, " {value}");
        }
        Value::Integer(value) => {
            write_series(metric.prometheus, "", owner, sample, out);
            let _ = writeln!(out, " {value}");
        }
    }
}

fn write_distribution(
    metric: &Metric,
    format: Format,
    owner: &str,
    sample: &Sample<'_>,
    distribution: &Distribution<'_>,
    out: &mut String,
) {
    let mut below = 0;
    for (place, count) in distribution.buckets.iter().enumerate() {
        below += count;
        write_series(metric.prometheus, "_bucket", owner, sample, out);
        // The labels end with a brace where there are any; `le` goes before it.
        if out.ends_with('}') {
            out.pop();
            out.push(',');
        } else {
            out.push('{');
        }
        let _ = match (distribution.bounds.get(place), format) {
            (None, _) => write!(out, "le=\"+Inf\""),
            (Some(bound), Format::Text) => write!(out, "le=\"{bound}\""),
            // OpenMetrics wants a float that looks like one.
            (Some(bound), Format::OpenMetrics) => write!(out, "le=\"{bound:?}\""),
        };
        let _ = writeln!(out, "}} {below}");
    }
    write_series(metric.prometheus, "_sum", owner, sample, out);
    let _ = writeln!(out, " {}", distribution.sum);
    write_series(metric.prometheus, "_count", owner, sample, out);
    let _ = writeln!(out, " {}", distribution.count);
}

fn write_series(name: &str, suffix: &str, owner: &str, sample: &Sample<'_>, out: &mut String) {
    out.push_str(name);
    out.push_str(suffix);
    let attributes = sample.extra.attributes();
    if owner.is_empty() && attributes.as_slice().is_empty() {
        return;
    }
    out.push('{');
    out.push_str(owner);
    for (name, value) in attributes.as_slice() {
        if !out.ends_with('{') {
            out.push(',');
        }
        push_label_name(name, out);
        out.push_str("=\"");
        escape(value, true, out);
        out.push('"');
    }
    out.push('}');
}

/// What every series begins with.
fn of_place(snapshot: &Snapshot) -> Labels {
    let mut labels = Labels::default();
    for (name, value) in snapshot.engine.place.iter() {
        labels.push(name, value);
    }
    labels
}

fn dependency_labels(dependency: &Dependency, mut labels: Labels) -> Box<str> {
    let endpoint = dependency.probe.endpoint();
    labels.push("dependency", &dependency.name);
    labels.push("server_address", &endpoint.host);
    labels.push("server_port", &endpoint.port.to_string());
    for (name, value) in dependency.labels.iter() {
        let mut shown = String::new();
        push_label_name(name, &mut shown);
        if is_ours(&shown) {
            // As Prometheus itself does with labels that collide: one such label must not spoil the whole scrape.
            shown.insert_str(0, "exported_");
        }
        labels.push(&shown, value);
    }
    labels.write()
}

fn is_ours(name: &str) -> bool {
    let mut ours = String::new();
    ["dependency", "server_address", "server_port", "le"].contains(&name)
        || METRICS
            .iter()
            .flat_map(|metric| metric.attributes)
            .any(|(attribute, _)| {
                ours.clear();
                push_label_name(attribute, &mut ours);
                ours == name
            })
}

/// Labels of one owner. Two names that become the same are joined with `;`, as the OpenTelemetry specification says.
#[derive(Default)]
struct Labels(Vec<(String, String)>);

impl Labels {
    fn push(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, joined)) => {
                joined.push(';');
                joined.push_str(value);
            }
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn write(&self) -> Box<str> {
        let mut out = String::new();
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(name);
            out.push_str("=\"");
            escape(value, true, &mut out);
            out.push('"');
        }
        out.into()
    }
}

/// A label's name in the old character set: what is not a letter, a digit or an underscore becomes an underscore.
fn push_label_name(name: &str, out: &mut String) {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push_str("key_");
    }
    out.extend(
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
    );
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
