//! What was sent before: the encoded attributes of each owner, and the series that it had.
//!
//! A series that ends (its dependency was removed, it is no longer failing, a window has too few operations) is told to
//! the receiver once, by a point without a value, so that it ends there at once and not after some minutes of silence.

use std::collections::HashMap;
use std::sync::Arc;

use crate::export::catalog::{Extra, MetricId, Owner};
use crate::export::snapshot::Snapshot;
use crate::model::dependency::Dependency;
use crate::model::page::{HostView, PlaceLabels};
use crate::model::time::Wall;

use super::wire::Writer;

/// Owners that are gone and whose end was not acknowledged yet. Beyond this many the oldest are forgotten: the receiver
/// ends their series by itself after its own time.
const GONE_MAX: usize = 20_000;

/// Field numbers of `attributes` (opentelemetry/proto/metrics/v1/metrics.proto).
pub const NUMBER_ATTRIBUTES: u32 = 7;
pub const HISTOGRAM_ATTRIBUTES: u32 = 9;

/// The owners of series, between exports.
#[derive(Debug, Default)]
pub struct Table {
    /// Grows by one with every export.
    generation: u32,
    /// By `DependencyIndex`.
    dependencies: Vec<Option<Entry>>,
    hosts: HashMap<(Arc<str>, u16), Entry>,
    receivers: HashMap<Arc<str>, Entry>,
    sources: HashMap<Arc<str>, Entry>,
    process: Entry,
    gone: Vec<Entry>,
    /// What all series carry.
    place: PlaceLabels,
}

/// One owner.
#[derive(Debug, Default)]
pub struct Entry {
    /// Tells by its address whether the encoded attributes are still right.
    dependency: Option<Arc<Dependency>>,
    /// As attributes of a number's point, and of a histogram's.
    encoded: [Box<[u8]>; 2],
    since: Wall,
    series: Vec<Series>,
    /// Where the next series is expected: they come in the same order every time.
    expected: usize,
    seen: u32,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    metric: MetricId,
    extra: Extra,
    seen: u32,
}

/// A series that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    pub metric: MetricId,
    pub extra: Extra,
    pub entry: &'a Entry,
}

impl Entry {
    /// The owner's attributes as they are written under that field number.
    pub fn attributes(&self, field: u32) -> &[u8] {
        &self.encoded[usize::from(field == HISTOGRAM_ATTRIBUTES)]
    }

    pub fn since(&self) -> Wall {
        self.since
    }

    /// Notes that the series is there in this generation.
    pub fn note(&mut self, metric: MetricId, extra: Extra) {
        let same = |series: &Series| series.metric == metric && series.extra == extra;
        let place = match self.series.get(self.expected) {
            Some(series) if same(series) => self.expected,
            _ => match self.series.iter().position(same) {
                Some(place) => place,
                None => {
                    let place = self.expected.min(self.series.len());
                    let seen = self.seen;
                    self.series.insert(place, Series { metric, extra, seen });
                    place
                }
            },
        };
        self.series[place].seen = self.seen;
        self.expected = place + 1;
    }

    fn begin(&mut self, generation: u32, since: Wall) {
        (self.seen, self.since, self.expected) = (generation, since, 0);
    }
}

impl Table {
    /// Begins an export of that snapshot: every owner in it is known after this, and every other is gone.
    pub fn begin(&mut self, snapshot: &Snapshot) {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        self.move_to(&snapshot.engine.place);
        let place_labels = Arc::clone(&self.place);
        for view in &snapshot.dependencies {
            let place = view.index.0 as usize;
            if self.dependencies.len() <= place {
                self.dependencies.resize_with(place + 1, || None);
            }
            let slot = &mut self.dependencies[place];
            if let Some(replaced) = refresh(slot, &view.dependency, &place_labels) {
                self.gone.push(replaced);
            }
            if let Some(entry) = slot {
                entry.begin(generation, view.since);
            }
        }
        for view in &snapshot.hosts {
            let entry = self.hosts.entry(host_key(view)).or_insert_with(|| Entry {
                encoded: encode_host(view, &place_labels),
                ..Entry::default()
            });
            entry.begin(generation, view.since);
        }
        for view in &snapshot.receivers {
            let entry = self.receivers.entry(view.name.clone()).or_insert_with(|| Entry {
                encoded: encode(&place_labels, |writer, field| {
                    attribute(writer, field, "receiver", &view.name);
                }),
                ..Entry::default()
            });
            entry.begin(generation, snapshot.engine.since);
        }
        for view in &snapshot.discovery.sources {
            let entry = self.sources.entry(view.name.clone()).or_insert_with(|| Entry {
                encoded: encode(&place_labels, |writer, field| {
                    attribute(writer, field, "source", &view.name);
                }),
                ..Entry::default()
            });
            entry.begin(generation, snapshot.engine.since);
        }
        self.process.begin(generation, snapshot.engine.since);
        self.retire();
    }

    /// Every series is another one in another place.
    fn move_to(&mut self, place: &PlaceLabels) {
        if self.place == *place {
            return;
        }
        self.place = Arc::clone(place);
        self.gone
            .extend(self.dependencies.iter_mut().filter_map(Option::take));
        self.gone.extend(self.hosts.drain().map(|(_, entry)| entry));
        self.gone.extend(self.receivers.drain().map(|(_, entry)| entry));
        self.gone.extend(self.sources.drain().map(|(_, entry)| entry));
        let process = Entry {
            encoded: encode(place, |_, _| ()),
            ..Entry::default()
        };
        self.gone.push(std::mem::replace(&mut self.process, process));
    }

    /// The owner's entry; `None` only for an owner that is not in the snapshot last begun.
    pub fn entry_mut(&mut self, snapshot: &Snapshot, owner: Owner) -> Option<&mut Entry> {
        match owner {
            Owner::Dependency(place) => {
                let index = snapshot.dependencies.get(place)?.index;
                self.dependencies.get_mut(index.0 as usize)?.as_mut()
            }
            Owner::Host(place) => self.hosts.get_mut(&host_key(snapshot.hosts.get(place)?)),
            Owner::Receiver(place) => self.receivers.get_mut(&snapshot.receivers.get(place)?.name),
            Owner::Source(place) => self.sources.get_mut(&snapshot.discovery.sources.get(place)?.name),
            Owner::Process => Some(&mut self.process),
        }
    }

    /// The series that were there before and were not noted in this generation, by metric.
    pub fn ended(&self) -> Vec<Ended<'_>> {
        let generation = self.generation;
        let mut ended: Vec<Ended<'_>> = self
            .entries()
            .chain(&self.gone)
            .flat_map(|entry| entry.series.iter().map(move |series| (entry, series)))
            .filter(|(entry, series)| series.seen != generation || entry.seen != generation)
            .map(|(entry, series)| Ended {
                metric: series.metric,
                extra: series.extra,
                entry,
            })
            .collect();
        ended.sort_by_key(|series| series.metric);
        ended
    }

    /// The export has arrived as a whole: what ended is told and can be forgotten.
    pub fn acknowledge(&mut self) {
        let generation = self.generation;
        self.gone.clear();
        let others = self.hosts.values_mut().chain(self.receivers.values_mut());
        let others = others.chain(self.sources.values_mut());
        for entry in self.dependencies.iter_mut().flatten().chain(others) {
            entry.series.retain(|series| series.seen == generation);
        }
        self.process.series.retain(|series| series.seen == generation);
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let dependencies = self.dependencies.iter().flatten();
        dependencies
            .chain(self.hosts.values())
            .chain(self.receivers.values())
            .chain(self.sources.values())
            .chain([&self.process])
    }

    /// Moves the owners that this generation does not have to those that are gone.
    fn retire(&mut self) {
        let generation = self.generation;
        for slot in &mut self.dependencies {
            self.gone.extend(slot.take_if(|entry| entry.seen != generation));
        }
        let hosts = self.hosts.extract_if(|_, entry| entry.seen != generation);
        self.gone.extend(hosts.map(|(_, entry)| entry));
        let receivers = self.receivers.extract_if(|_, entry| entry.seen != generation);
        self.gone.extend(receivers.map(|(_, entry)| entry));
        let sources = self.sources.extract_if(|_, entry| entry.seen != generation);
        self.gone.extend(sources.map(|(_, entry)| entry));
        let surplus = self.gone.len().saturating_sub(GONE_MAX);
        self.gone.drain(..surplus);
        // A series that came back is not gone: its point of this export must not be followed by its end.
        let alive: std::collections::HashSet<&[u8]> = if self.gone.is_empty() {
            Default::default()
        } else {
            let dependencies = self.dependencies.iter().flatten();
            dependencies
                .chain(self.hosts.values())
                .chain(self.receivers.values())
                .chain(self.sources.values())
                .map(|entry| entry.attributes(NUMBER_ATTRIBUTES))
                .collect()
        };
        self.gone
            .retain(|entry| !alive.contains(entry.attributes(NUMBER_ATTRIBUTES)));
    }
}

/// Makes the slot hold that dependency. The entry that was there is given back when its series are other ones: another
/// dependency's, or the same one's with other labels.
fn refresh(slot: &mut Option<Entry>, dependency: &Arc<Dependency>, place: &PlaceLabels) -> Option<Entry> {
    let fresh = |encoded| Entry {
        dependency: Some(dependency.clone()),
        encoded,
        ..Entry::default()
    };
    let Some(entry) = slot else {
        *slot = Some(fresh(encode_dependency(dependency, place)));
        return None;
    };
    if entry
        .dependency
        .as_ref()
        .is_some_and(|known| Arc::ptr_eq(known, dependency))
    {
        return None;
    }
    let encoded = encode_dependency(dependency, place);
    if encoded == entry.encoded {
        entry.dependency = Some(dependency.clone());
        return None;
    }
    slot.replace(fresh(encoded))
}

fn host_key(view: &HostView) -> (Arc<str>, u16) {
    (view.key.name.clone(), view.key.port)
}

fn encode_dependency(dependency: &Dependency, place: &PlaceLabels) -> [Box<[u8]>; 2] {
    let endpoint = dependency.probe.endpoint();
    encode(place, |writer, field| {
        attribute(writer, field, "dependency", &dependency.name);
        attribute(writer, field, "server.address", &endpoint.host);
        int_attribute(writer, field, "server.port", endpoint.port.into());
        for (name, value) in dependency.labels.iter() {
            attribute(writer, field, name, value);
        }
    })
}

fn encode_host(view: &HostView, place: &PlaceLabels) -> [Box<[u8]>; 2] {
    encode(place, |writer, field| {
        attribute(writer, field, "server.address", &view.key.name);
        int_attribute(writer, field, "server.port", view.key.port.into());
    })
}

fn encode(place: &PlaceLabels, write: impl Fn(&mut Writer, u32)) -> [Box<[u8]>; 2] {
    [NUMBER_ATTRIBUTES, HISTOGRAM_ATTRIBUTES].map(|field| {
        let mut writer = Writer::default();
        for (name, value) in place.iter() {
            attribute(&mut writer, field, name, value);
        }
        write(&mut writer, field);
        writer.into_bytes().into()
    })
}

/// A `KeyValue` with a string.
pub fn attribute(writer: &mut Writer, field: u32, name: &str, value: &str) {
    key_value(writer, field, name, |writer| writer.string(1, value));
}

fn int_attribute(writer: &mut Writer, field: u32, name: &str, value: u64) {
    key_value(writer, field, name, |writer| writer.uint(3, value));
}

fn key_value(writer: &mut Writer, field: u32, name: &str, value: impl FnOnce(&mut Writer)) {
    let pair = writer.open(field);
    writer.string(1, name);
    let any = writer.open(2);
    value(writer);
    writer.close(any);
    writer.close(pair);
}
