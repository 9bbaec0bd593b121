//! Every metric, once: its name, unit, kind, meaning and attributes, and how its samples follow from the read model.
//!
//! [`METRICS`] is the table; [`samples`] is the projection. Encoders go through the table metric by metric and through a
//! snapshot owner by owner, and may stop and go on between any two owners.

mod kinds;
mod table;

use crate::model::attempt::StaleKind;
use crate::model::discovery::SourceView;
use crate::model::failure::State;
use crate::model::headroom::HeadroomView;
use crate::model::histogram::{Histogram, LATENCY_BOUNDS};
use crate::model::notification::ReceiverView;
use crate::model::page::{DependencyView, FailureKey, HostView, PhaseFigures, ScaleOutView, saturation};
use crate::model::phase::Phase;
use crate::model::time::Wall;

pub use super::labels::{Attributes, Delivery, Extra};
use super::process::Exporter;
use super::snapshot::Snapshot;
pub use kinds::{Kind, Scope};
pub use table::{METRICS, Metric, MetricId};

/// Whose series a sample belongs to; numbers are places in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Dependency(usize),
    Host(usize),
    Receiver(usize),
    Source(usize),
    Process,
}

/// One point of one series.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub extra: Extra,
    /// When a cumulative series began; gauges ignore it.
    pub since: Wall,
    pub value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Float(f64),
    Integer(u64),
    Distribution(Distribution<'a>),
}

/// A histogram's point: `buckets` is one longer than `bounds`, and counts are not accumulated.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    pub bounds: &'static [f64],
    pub buckets: &'a [u64],
    pub count: u64,
    pub sum: f64,
}

/// The owner at that place among those that may have series of a metric, in the order in which encoders visit them; `None`
/// past the last.
pub fn owner(metric: &Metric, snapshot: &Snapshot, place: usize) -> Option<Owner> {
    match metric.scope {
        Scope::Dependency => (place < snapshot.dependencies.len()).then_some(Owner::Dependency(place)),
        Scope::Host => (place < snapshot.hosts.len()).then_some(Owner::Host(place)),
        Scope::HostAndProcess if place < snapshot.hosts.len() => Some(Owner::Host(place)),
        Scope::HostAndProcess => (place == snapshot.hosts.len()).then_some(Owner::Process),
        Scope::Process => (place == 0).then_some(Owner::Process),
        Scope::Receiver => (place < snapshot.receivers.len()).then_some(Owner::Receiver(place)),
        Scope::Source => (place < snapshot.discovery.sources.len()).then_some(Owner::Source(place)),
        // Only those that have any: most of the time there are none at all.
        Scope::Raised => snapshot.raised.get(place).map(|raised| raised.owner),
    }
}

/// Gives `sink` every sample that one owner has of one metric: the projection itself.
pub fn samples<'a>(id: MetricId, snapshot: &'a Snapshot, owner: Owner, sink: &mut impl FnMut(Sample<'a>)) {
    if id == MetricId::AlertActive {
        return alert_samples(snapshot, owner, sink);
    }
    match owner {
        Owner::Dependency(place) => {
            if let Some(view) = snapshot.dependencies.get(place) {
                dependency_samples(id, view, sink);
            }
        }
        Owner::Host(place) => {
            if let Some(view) = snapshot.hosts.get(place) {
                host_samples(id, view, sink);
            }
        }
        Owner::Receiver(place) => {
            if let Some(view) = snapshot.receivers.get(place) {
                receiver_samples(id, view, snapshot.engine.since, sink);
            }
        }
        Owner::Source(place) => {
            if let Some(view) = snapshot.discovery.sources.get(place) {
                source_samples(id, view, snapshot.engine.since, sink);
            }
        }
        Owner::Process => process_samples(id, snapshot, sink),
    }
}

fn source_samples<'a>(id: MetricId, view: &SourceView, since: Wall, sink: &mut impl FnMut(Sample<'a>)) {
    let mut points = Points { since, sink };
    match id {
        MetricId::DiscoveryTargets => points.integer(Extra::None, count(view.targets)),
        MetricId::DiscoveryFailing => {
            points.integer(Extra::None, u64::from(view.failing.is_some()));
        }
        MetricId::DiscoveryLastSuccess => {
            if let Some(at) = view.last_success {
                points.float(Extra::None, at.unix_nanos() as f64 / 1e9);
            }
        }
        MetricId::DiscoveryFailures => points.integer(Extra::None, view.failures),
        MetricId::DiscoveryRefused => points.integer(Extra::None, count(view.refused)),
        _ => {}
    }
}

/// Gauges need no start time.
fn alert_samples<'a>(snapshot: &'a Snapshot, owner: Owner, sink: &mut impl FnMut(Sample<'a>)) {
    let mut points = Points {
        since: snapshot.engine.since,
        sink,
    };
    for (rule, severity) in snapshot.raised_of(owner) {
        points.integer(Extra::Alert(*rule, *severity), 1_u64);
    }
}

fn receiver_samples<'a>(id: MetricId, view: &ReceiverView, since: Wall, sink: &mut impl FnMut(Sample<'a>)) {
    let mut points = Points { since, sink };
    match id {
        MetricId::Deliveries => {
            for (what, count) in [
                (Delivery::Accepted, view.delivered),
                (Delivery::Failed, view.failed),
                (Delivery::Expired, view.expired),
            ] {
                points.integer(Extra::Delivery(what), count);
            }
        }
        MetricId::OutboxWaiting => points.integer(Extra::None, count(view.waiting)),
        _ => {}
    }
}

/// A number of things that are in memory.
fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Puts points of one owner into a sink, with the owner's start time.
struct Points<'s, S> {
    since: Wall,
    sink: &'s mut S,
}

impl<'a, S: FnMut(Sample<'a>)> Points<'_, S> {
    fn put(&mut self, extra: Extra, value: Value<'a>) {
        (self.sink)(Sample {
            extra,
            since: self.since,
            value,
        });
    }

    fn float(&mut self, extra: Extra, value: f64) {
        self.put(extra, Value::Float(value));
    }

    fn integer(&mut self, extra: Extra, value: impl Into<u64>) {
        self.put(extra, Value::Integer(value.into()));
    }
}

fn dependency_samples<'a>(id: MetricId, view: &'a DependencyView, sink: &mut impl FnMut(Sample<'a>)) {
    let since = view.since;
    let mut points = Points { since, sink };
    match id {
        MetricId::Up => {
            if let Some(up) = view.up {
                points.integer(Extra::None, up);
            }
        }
        MetricId::Failing => {
            if let State::Failing {
                cause, phase, speed, ..
            } = view.state
            {
                points.integer(failing(view, FailureKey::Named { cause, phase, speed }), 1_u64);
            }
        }
        MetricId::Operations => {
            for (place, count) in (0..).zip(view.operations) {
                points.integer(Extra::outcome(place), count);
            }
        }
        MetricId::Attempts => {
            points.integer(Extra::None, view.attempts_ok);
            for (key, count) in &view.attempts_failed {
                points.integer(Extra::from(*key), *count);
            }
        }
        MetricId::ProbeDuration => points.put(Extra::None, distribution(&view.duration)),
        MetricId::PhaseDuration => {
            for (phase, figures) in Phase::ALL.into_iter().zip(&view.phases) {
                if figures.count > 0 {
                    points.put(Extra::Phase(phase), sum_and_count(figures));
                }
            }
        }
        MetricId::KeepaliveResets => keepalive_resets(view, &mut points),
        MetricId::TlsNotAfter => {
            if let Some(not_after) = view.not_after {
                points.float(Extra::None, not_after.unix_secs() as f64);
            }
        }
        MetricId::DnsAnswersDiffer => {
            if let Some(differ) = view.dns_answers_differ {
                points.integer(Extra::None, differ);
            }
        }
        MetricId::BreakerState => points.integer(Extra::None, view.breaker.number()),
        MetricId::SloObjective => points.float(Extra::None, view.dependency.alerts.objective),
        MetricId::HttpStatusCode => {
            if let Some(status) = view.last_status {
                points.integer(Extra::None, status);
            }
        }
        MetricId::TcpRtt => {
            // The kernel says zero of a connection on which it has measured nothing.
            if let Some(rtt) = view.last_rtt.filter(|rtt| !rtt.is_zero()) {
                points.float(Extra::None, rtt.as_secs_f64());
            }
        }
        _ => {}
    }
}

/// The failing series has the attributes of the attempts' series, and their bound.
fn failing(view: &DependencyView, key: FailureKey) -> Extra {
    let shown = |wanted: FailureKey| view.attempts_failed.iter().any(|(known, _)| *known == wanted);
    if shown(FailureKey::Other) && !shown(key) {
        Extra::OtherFailure
    } else {
        Extra::from(key)
    }
}

fn keepalive_resets<'a, S: FnMut(Sample<'a>)>(view: &DependencyView, points: &mut Points<'_, S>) {
    let any = view.keepalive_resets.iter().flatten().any(|count| *count > 0);
    if !any && !view.dependency.keepalive.reuse {
        return;
    }
    for (kind, [before, after]) in StaleKind::ALL.into_iter().zip(view.keepalive_resets) {
        for (before_send, count) in [(true, before), (false, after)] {
            points.integer(Extra::KeepaliveReset { kind, before_send }, count);
        }
    }
}

fn host_samples<'a>(id: MetricId, view: &'a HostView, sink: &mut impl FnMut(Sample<'a>)) {
    let since = view.since;
    let mut points = Points { since, sink };
    match id {
        MetricId::RetryMasked => {
            for (place, window) in (0..).zip(&view.windows) {
                if let Some(ratio) = window.masked_ratio() {
                    points.float(Extra::Window(place), ratio);
                }
            }
        }
        MetricId::RetryAmplification => {
            for (place, window) in (0..).zip(&view.windows) {
                if let Some(amplification) = window.amplification() {
                    points.float(Extra::Window(place), amplification);
                }
            }
        }
        MetricId::RetrySuppressed => {
            for (place, count) in (0..).zip(view.suppressed) {
                points.integer(Extra::Suppressed(place), count);
            }
        }
        MetricId::KeepaliveIdleTimeout => {
            if let Some((kind, after)) = view.idle_timeout {
                points.float(Extra::IdleTimeout(kind), after.as_secs_f64());
            }
        }
        MetricId::ConcurrencySaturation => points.float(Extra::ScopeHost, view.saturation()),
        _ => {}
    }
}

fn process_samples<'a>(id: MetricId, snapshot: &'a Snapshot, sink: &mut impl FnMut(Sample<'a>)) {
    let engine = &snapshot.engine;
    let process = &snapshot.process;
    let since = match id {
        MetricId::ExportFailures => process.since,
        _ => engine.since,
    };
    let mut points = Points { since, sink };
    match id {
        MetricId::ConcurrencySaturation => {
            points.float(Extra::ScopeGlobal, saturation(engine.in_flight, engine.cap));
        }
        MetricId::ScheduleLag => points.put(Extra::None, distribution(&engine.lag)),
        MetricId::ProbesInFlight => points.integer(Extra::None, engine.in_flight),
        MetricId::ProbesSkipped => {
            for (place, count) in (0..).zip(engine.skipped) {
                points.integer(Extra::Skipped(place), count);
            }
        }
        MetricId::VantageOffline => points.integer(Extra::None, engine.vantage.sight.is_offline()),
        MetricId::VantageGaps => points.integer(Extra::None, engine.vantage.gaps_total),
        MetricId::DependenciesSuspended => {
            points.integer(Extra::None, count(engine.vantage.suspended));
        }
        MetricId::Incidents => points.integer(Extra::None, count(engine.incidents)),
        MetricId::OpenFiles
        | MetricId::OpenFilesLimit
        | MetricId::PortsInUse
        | MetricId::PortRange
        | MetricId::HeadroomLow => headroom_samples(id, &engine.headroom, &mut points),
        MetricId::ScaleOutReplicas
        | MetricId::ScaleOutFactor
        | MetricId::ScaleOutDependencies
        | MetricId::ScaleOutSpeaks => {
            if let Some(view) = &engine.scale_out {
                scale_out_samples(id, view, &mut points);
            }
        }
        MetricId::ExportFailures => {
            for (exporter, count) in Exporter::ALL.into_iter().zip(process.export_failures) {
                points.integer(Extra::Exporter(exporter), count);
            }
        }
        MetricId::ConfigReloadSuccess => {
            if let Some(reload) = process.reload {
                points.integer(Extra::None, reload.success);
            }
        }
        MetricId::ConfigReloadTimestamp => {
            if let Some(applied) = process.reload.and_then(|reload| reload.applied) {
                points.float(Extra::None, applied.unix_nanos() as f64 / 1e9);
            }
        }
        MetricId::StateWritable => {
            if let Some(writable) = process.state_writable {
                points.integer(Extra::None, writable);
            }
        }
        MetricId::BuildInfo => points.integer(Extra::Build, 1_u64),
        _ => {}
    }
}

fn headroom_samples<'a, S: FnMut(Sample<'a>)>(id: MetricId, view: &HeadroomView, points: &mut Points<'_, S>) {
    let ports = view.resources.and_then(|resources| resources.ports);
    let value = match id {
        MetricId::OpenFiles => view.resources.map(|resources| resources.open_files),
        MetricId::OpenFilesLimit => view
            .resources
            .map(|resources| resources.open_files_limit)
            .filter(|limit| *limit < u64::MAX),
        MetricId::PortsInUse => ports.map(|ports| ports.in_use),
        MetricId::PortRange => ports.map(|ports| ports.range),
        _ => Some(u64::from(view.scarce.is_some())),
    };
    if let Some(value) = value {
        points.integer(Extra::None, value);
    }
}

fn scale_out_samples<'a, S: FnMut(Sample<'a>)>(
    id: MetricId,
    view: &ScaleOutView,
    points: &mut Points<'_, S>,
) {
    match id {
        MetricId::ScaleOutReplicas => points.integer(Extra::None, view.share.replicas),
        MetricId::ScaleOutFactor => points.integer(Extra::None, view.share.factor),
        MetricId::ScaleOutDependencies => {
            points.integer(Extra::Watched(true), count(view.watched));
            points.integer(Extra::Watched(false), count(view.left));
        }
        _ if view.elects => points.integer(Extra::None, view.speaks),
        _ => {}
    }
}

fn distribution(histogram: &Histogram) -> Value<'_> {
    Value::Distribution(Distribution {
        bounds: &LATENCY_BOUNDS,
        buckets: histogram.buckets(),
        count: histogram.count(),
        sum: histogram.sum(),
    })
}

fn sum_and_count(figures: &PhaseFigures) -> Value<'_> {
    Value::Distribution(Distribution {
        bounds: &[],
        buckets: std::slice::from_ref(&figures.count),
        count: figures.count,
        sum: figures.sum,
    })
}

#[cfg(test)]
mod tests;
