//! Operations as OTLP traces: one span per operation, one per attempt, and the phases of each as their children.
//!
//! Spans are made from finished records, so nothing of the SDK's context or runtime is involved: its exporter is handed
//! finished spans by a task of our own, on our runtime.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::attempt::Hop;
use crate::model::failure::{AttemptRecord, Failure, OperationRecord, Verdict};
use crate::model::plan::Otlp;
use crate::model::time::Wall;
use crate::net::sanitize::error_chain;
use crate::net::secret::Secrets;

use super::otlp::{BuildError, FLUSH, Headers, resolve_headers};
use super::process::{Exporter, ProcessFigures, SCOPE, VERSION};
use super::sdk::{Destination, Transport};

/// Operations that may wait to be sent; more are dropped and counted.
const QUEUE: usize = 1024;
/// Operations in one request, and how long the first of them waits for others.
const BATCH: (usize, Duration) = (256, Duration::from_secs(1));

/// A handle to send operations with. Cheap to clone; when the last is gone, what waits is sent and the task ends.
#[derive(Clone, Debug)]
pub struct TraceSender {
    queue: mpsc::Sender<Item>,
    process: Arc<ProcessFigures>,
}

#[derive(Debug)]
enum Item {
    Operation(Arc<OperationRecord>),
    Flush(oneshot::Sender<()>),
}

impl TraceSender {
    /// Starts the task that sends; `None` where the plan sends no traces. Must be called on a runtime.
    pub fn start(plan: &Otlp, process: Arc<ProcessFigures>) -> Result<Option<TraceSender>, BuildError> {
        let Some(endpoint) = plan.traces_endpoint.clone() else {
            return Ok(None);
        };
        let sender = Sender {
            transport: Transport::new(&endpoint, plan)?,
            endpoint,
            plan: plan.clone(),
            process: process.clone(),
            secrets: Secrets::new(),
            built: None,
            failing: false,
        };
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(sender.run(items));
        Ok(Some(TraceSender { queue, process }))
    }

    /// Sends an operation when it comes to it; never waits.
    pub fn send(&self, record: &Arc<OperationRecord>) {
        if self.queue.try_send(Item::Operation(record.clone())).is_err() {
            self.process.traces_dropped(1);
        }
    }

    /// Waits until what was handed in before is sent, for as long as a flush may take.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Item::Flush(done)).await.is_ok() {
                // An error means that the task has ended, and with it all that could be waited for.
                let _ = finished.await;
            }
        };
        let _ = timeout(FLUSH, flushed).await;
    }
}

struct Sender {
    transport: Transport,
    endpoint: Arc<str>,
    plan: Otlp,
    process: Arc<ProcessFigures>,
    secrets: Secrets,
    /// The exporter and the headers that it was built with.
    built: Option<(Headers, SpanExporter)>,
    /// The last request failed; it was said then and is not said again.
    failing: bool,
}

impl Sender {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        while let Some(first) = items.recv().await {
            let mut batch = Vec::new();
            let mut flushed = match first {
                Item::Operation(record) => {
                    batch.push(record);
                    None
                }
                Item::Flush(done) => Some(done),
            };
            let until = Instant::now() + BATCH.1;
            while flushed.is_none() && batch.len() < BATCH.0 {
                match timeout_at(until, items.recv()).await {
                    Ok(Some(Item::Operation(record))) => batch.push(record),
                    Ok(Some(Item::Flush(done))) => flushed = Some(done),
                    Ok(None) | Err(_) => break,
                }
            }
            if !batch.is_empty() {
                self.send(&batch).await;
            }
            if let Some(done) = flushed {
                // Whoever waited may have given up.
                let _ = done.send(());
            }
        }
    }

    async fn send(&mut self, batch: &[Arc<OperationRecord>]) {
        match self.try_send(batch).await {
            Ok(()) => {
                self.process.export_arrived(Exporter::OtlpTraces);
                self.failing = false;
            }
            Err(why) => {
                self.process.traces_dropped(batch.len() as u64);
                self.process.export_failed(Exporter::OtlpTraces);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!("otlp: traces did not arrive and are lost: {why}");
                }
            }
        }
    }

    async fn try_send(&mut self, batch: &[Arc<OperationRecord>]) -> Result<(), String> {
        let headers =
            resolve_headers(&self.secrets, &self.plan.headers).map_err(|error| error.to_string())?;
        let (_, exporter) = match self.built.take_if(|(known, _)| *known == headers) {
            Some(built) => self.built.insert(built),
            None => {
                let exporter = self.transport.spans(&Destination {
                    endpoint: &self.endpoint,
                    headers: &headers,
                    plan: &self.plan,
                    identity: self.process.identity(),
                })?;
                self.built.insert((headers, exporter))
            }
        };
        let mut spans = Vec::new();
        for record in batch {
            Spans::new().operation(record, &mut spans);
        }
        // The exporter's own retries are within this time.
        match timeout(self.plan.timeout, exporter.export(spans)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error_chain(&error).join(": ")),
            Err(_) => Err(format!("no answer within {:?}", self.plan.timeout)),
        }
    }
}

/// Makes the spans of one operation.
struct Spans {
    ids: RandomIdGenerator,
    trace: TraceId,
    scope: InstrumentationScope,
}

impl Spans {
    fn new() -> Self {
        let ids = RandomIdGenerator::default();
        Spans {
            trace: ids.new_trace_id(),
            ids,
            scope: InstrumentationScope::builder(SCOPE).with_version(VERSION).build(),
        }
    }

    fn operation(&self, record: &OperationRecord, spans: &mut Vec<SpanData>) {
        let dependency = &record.dependency;
        let endpoint = dependency.probe.endpoint();
        let end = record.started + record.elapsed;
        let name = format!("probe {}", dependency.name);
        let mut span = self.span(name, SpanId::INVALID, (record.started, end));
        span.attributes = vec![
            KeyValue::new("dependency", dependency.name.clone()),
            KeyValue::new("server.address", endpoint.host.clone()),
            KeyValue::new("server.port", i64::from(endpoint.port)),
            KeyValue::new("whyd.target", dependency.probe.target()),
            KeyValue::new("whyd.verdict", record.verdict.id()),
        ];
        let labels = dependency.labels.iter();
        span.attributes
            .extend(labels.map(|(name, value)| KeyValue::new(name.to_string(), value.clone())));
        fail(
            &mut span,
            record.failure.as_ref(),
            record.verdict == Verdict::Failed,
        );
        let id = span.span_context.span_id();
        spans.push(span);
        for attempt in &record.attempts {
            self.attempt(record, attempt, id, spans);
        }
    }

    fn attempt(
        &self,
        record: &OperationRecord,
        attempt: &AttemptRecord,
        parent: SpanId,
        spans: &mut Vec<SpanData>,
    ) {
        // By the monotonic clock: the wall clock may have been set within the operation.
        let start = record.started + attempt.at.since(record.started_at);
        let facts = &attempt.attempt;
        let name = format!("attempt {}", attempt.number);
        let mut span = self.span(name, parent, (start, start + facts.elapsed));
        span.span_kind = SpanKind::Client;
        if attempt.number > 1 {
            span.attributes.push(KeyValue::new(
                "http.request.resend_count",
                i64::from(attempt.number - 1),
            ));
        }
        if let Some(status) = facts.status() {
            span.attributes
                .push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        span.attributes
            .push(KeyValue::new("whyd.retry", attempt.decision.id()));
        fail(&mut span, attempt.failure.as_ref(), attempt.failure.is_some());
        let id = span.span_context.span_id();
        spans.push(span);
        // The phases of a hop follow one another, and so do the hops.
        let mut at = start;
        for hop in &facts.hops {
            for (phase, elapsed) in hop.phases.iter() {
                let mut span = self.span(phase.id().to_owned(), id, (at, at + elapsed));
                span.attributes = hop_attributes(hop);
                at = at + elapsed;
                spans.push(span);
            }
        }
    }

    fn span(&self, name: String, parent: SpanId, (start, end): (Wall, Wall)) -> SpanData {
        let id = self.ids.new_span_id();
        SpanData {
            span_context: SpanContext::new(self.trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: system_time(start),
            end_time: system_time(end),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn fail(span: &mut SpanData, failure: Option<&Failure>, is_error: bool) {
    let Some(failure) = failure else {
        return;
    };
    span.attributes.extend([
        KeyValue::new("error.type", failure.cause.id()),
        KeyValue::new("speed", failure.speed.id()),
        KeyValue::new("whyd.confidence", failure.confidence.id()),
        KeyValue::new("whyd.fix", failure.fix.to_string()),
    ]);
    if let Some(phase) = failure.phase {
        span.attributes.push(KeyValue::new("phase", phase.id()));
    }
    if is_error {
        let title = failure.cause.doc().title;
        span.status = Status::error(if title.is_empty() {
            failure.cause.id()
        } else {
            title
        });
    }
}

fn hop_attributes(hop: &Hop) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("url.full", hop.url.clone()),
        KeyValue::new("whyd.hop.role", hop.role.id()),
        KeyValue::new("whyd.hop.reused", hop.reused),
    ];
    if let Some(address) = hop.address {
        attributes.push(KeyValue::new("network.peer.address", address.ip().to_string()));
        attributes.push(KeyValue::new("network.peer.port", i64::from(address.port())));
    }
    attributes
}

fn system_time(wall: Wall) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(wall.unix_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
