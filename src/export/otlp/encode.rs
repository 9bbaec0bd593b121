//! A snapshot as OTLP metrics requests (opentelemetry/proto/collector/metrics/v1), one at a time.
//!
//! Receivers refuse requests of more than 4 MiB by default, and an export of ten thousand dependencies is larger than
//! that: so an export is several requests, each made when the one before has arrived.

use crate::export::catalog::{self, Distribution, Extra, Kind, METRICS, Metric, Owner, Sample, Value};
use crate::export::process::{SCOPE, VERSION};
use crate::export::snapshot::Snapshot;
use crate::model::histogram::LATENCY_BOUNDS;
use crate::model::time::Wall;

use super::table::{Entry, HISTOGRAM_ATTRIBUTES, NUMBER_ATTRIBUTES, Table, attribute};
use super::wire::{Open, Writer};

/// A request is closed when it has grown to this many bytes.
pub const REQUEST_BYTES: usize = 1024 * 1024;

const CUMULATIVE: u64 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

/// An encoded `Resource` message, the same in every request.
#[derive(Clone, Debug)]
pub struct Resource(Box<[u8]>);

impl Resource {
    pub fn new<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut writer = Writer::default();
        let resource = writer.open(1);
        for (name, value) in attributes {
            attribute(&mut writer, 1, name, value);
        }
        writer.close(resource);
        Resource(writer.into_bytes().into())
    }
}

/// An export under way.
pub struct Encoder<'a> {
    table: &'a mut Table,
    snapshot: &'a Snapshot,
    resource: &'a Resource,
    metric: usize,
    place: usize,
    /// How many of the ended series were written; they come after everything else.
    ended: usize,
}

impl<'a> Encoder<'a> {
    /// Begins an export.
    pub fn new(table: &'a mut Table, snapshot: &'a Snapshot, resource: &'a Resource) -> Self {
        table.begin(snapshot);
        Encoder {
            table,
            snapshot,
            resource,
            metric: 0,
            place: 0,
            ended: 0,
        }
    }

    /// The next `ExportMetricsServiceRequest`; `None` after the last.
    pub fn next_request(&mut self) -> Option<Vec<u8>> {
        let mut request = Request::new(self.resource);
        self.write_present(&mut request);
        if !request.is_full() {
            self.write_ended(&mut request);
        }
        request.finish()
    }

    fn write_present(&mut self, request: &mut Request) {
        let snapshot = self.snapshot;
        while let Some(metric) = METRICS.get(self.metric) {
            while let Some(owner) = catalog::owner(metric, snapshot, self.place) {
                if request.is_full() {
                    return;
                }
                self.write_owner(metric, owner, request);
                self.place += 1;
            }
            (self.metric, self.place) = (self.metric + 1, 0);
        }
    }

    fn write_owner(&mut self, metric: &'static Metric, owner: Owner, request: &mut Request) {
        let Some(entry) = self.table.entry_mut(self.snapshot, owner) else {
            return;
        };
        let taken = self.snapshot.taken;
        catalog::samples(metric.id, self.snapshot, owner, &mut |sample| {
            entry.note(metric.id, sample.extra);
            request.point(metric, entry, &sample, taken);
        });
    }

    fn write_ended(&mut self, request: &mut Request) {
        for series in self.table.ended().into_iter().skip(self.ended) {
            if request.is_full() {
                return;
            }
            request.end(
                series.metric.metric(),
                series.entry,
                series.extra,
                self.snapshot.taken,
            );
            self.ended += 1;
        }
    }
}

/// A request that grows.
struct Request {
    writer: Writer,
    resource_metrics: Open,
    scope_metrics: Open,
    metric: Option<(&'static Metric, Open, Open)>,
    points: u64,
}

impl Request {
    fn new(resource: &Resource) -> Self {
        let mut writer = Writer::default();
        let resource_metrics = writer.open(1);
        writer.raw(&resource.0);
        let scope_metrics = writer.open(2);
        let scope = writer.open(1);
        writer.string(1, SCOPE);
        writer.string(2, VERSION);
        writer.close(scope);
        Request {
            writer,
            resource_metrics,
            scope_metrics,
            metric: None,
            points: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.writer.len() >= REQUEST_BYTES
    }

    /// The bytes; `None` when there are no points in it.
    fn finish(mut self) -> Option<Vec<u8>> {
        self.close_metric();
        self.writer.close(self.scope_metrics);
        self.writer.close(self.resource_metrics);
        (self.points > 0).then(|| self.writer.into_bytes())
    }

    fn point(&mut self, metric: &'static Metric, entry: &Entry, sample: &Sample<'_>, taken: Wall) {
        let open = self.open_point(metric);
        match &sample.value {
            Value::Distribution(distribution) => {
                self.times(Some(sample.since), taken);
                self.distribution(distribution);
                self.attributes(HISTOGRAM_ATTRIBUTES, entry, sample.extra);
            }
            number => {
                let start = (metric.kind == Kind::Counter).then_some(sample.since);
                self.times(start, taken);
                match number {
                    Value::Float(value) => self.writer.double(4, *value),
                    Value::Integer(value) => self.writer.fixed64(6, *value),
                    // Taken by the arm above.
                    Value::Distribution(_) => {}
                }
                self.attributes(NUMBER_ATTRIBUTES, entry, sample.extra);
            }
        }
        self.writer.close(open);
    }

    /// A point that says that the series has no value any more.
    fn end(&mut self, metric: &'static Metric, entry: &Entry, extra: Extra, taken: Wall) {
        let open = self.open_point(metric);
        match metric.kind {
            Kind::Gauge => self.times(None, taken),
            _ => self.times(Some(entry.since()), taken),
        }
        match metric.kind {
            Kind::Gauge | Kind::Counter => {
                self.attributes(NUMBER_ATTRIBUTES, entry, extra);
                self.writer.uint(8, NO_RECORDED_VALUE);
            }
            Kind::Histogram | Kind::SumAndCount => {
                // The bounds are given, because receivers that keep a series per bucket end those they are told of.
                let (bounds, zeros): (&'static [f64], &[u64]) = match metric.kind {
                    Kind::Histogram => (&LATENCY_BOUNDS, &[0; LATENCY_BOUNDS.len() + 1]),
                    _ => (&[], &[0]),
                };
                self.distribution(&Distribution {
                    bounds,
                    buckets: zeros,
                    count: 0,
                    sum: 0.0,
                });
                self.attributes(HISTOGRAM_ATTRIBUTES, entry, extra);
                self.writer.uint(10, NO_RECORDED_VALUE);
            }
        }
        self.writer.close(open);
    }

    fn times(&mut self, start: Option<Wall>, taken: Wall) {
        let nanos = |wall: Wall| u64::try_from(wall.unix_nanos()).unwrap_or(0);
        if let Some(start) = start {
            self.writer.fixed64(2, nanos(start));
        }
        self.writer.fixed64(3, nanos(taken));
    }

    fn distribution(&mut self, distribution: &Distribution<'_>) {
        self.writer.fixed64(4, distribution.count);
        self.writer.double(5, distribution.sum);
        self.writer.packed64(6, distribution.buckets.iter().copied());
        if !distribution.bounds.is_empty() {
            self.writer
                .packed64(7, distribution.bounds.iter().map(|bound| bound.to_bits()));
        }
    }

    fn attributes(&mut self, field: u32, entry: &Entry, extra: Extra) {
        self.writer.raw(entry.attributes(field));
        for (name, value) in extra.attributes().as_slice() {
            attribute(&mut self.writer, field, name, value);
        }
    }

    fn open_point(&mut self, metric: &'static Metric) -> Open {
        self.points += 1;
        if self.metric.is_none_or(|(open, ..)| open.id != metric.id) {
            self.close_metric();
            let outer = self.writer.open(2);
            self.writer.string(1, metric.name);
            self.writer.string(2, metric.help);
            self.writer.string(3, metric.unit);
            let data = self.writer.open(match metric.kind {
                Kind::Gauge => 5,
                Kind::Counter => 7,
                Kind::Histogram | Kind::SumAndCount => 9,
            });
            self.metric = Some((metric, outer, data));
        }
        self.writer.open(1)
    }

    fn close_metric(&mut self) {
        let Some((metric, outer, data)) = self.metric.take() else {
            return;
        };
        if metric.kind != Kind::Gauge {
            self.writer.uint(2, CUMULATIVE);
        }
        if metric.kind == Kind::Counter {
            self.writer.uint(3, 1);
        }
        self.writer.close(data);
        self.writer.close(outer);
    }
}

#[cfg(test)]
mod tests;
