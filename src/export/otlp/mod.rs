//! Metrics pushed as OTLP, over gRPC or HTTP, at an interval.
//!
//! The values are cumulative: an export that does not arrive is not kept, the next one says everything again. So memory
//! stays bounded while a collector is away, and nothing but this task waits for it.

mod encode;
pub mod grpc;
pub mod http;
mod table;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::model::plan::Otlp;
use crate::net::reader::Reader;

use super::process::{Exporter, ProcessFigures};
use super::resource;
use super::snapshot::snapshot;
use encode::{Encoder, Resource};
use table::Table;
pub use transport::BuildError;
use transport::Transport;
pub(super) use transport::{Headers, resolve as resolve_headers};

/// How long the last export may take when the process stops, which as a whole is given 10 s.
pub const FLUSH: Duration = Duration::from_millis(2500);

/// Exports the metrics at the plan's interval.
#[derive(Debug)]
pub struct OtlpExporter {
    transport: Transport,
    reader: Reader,
    process: Arc<ProcessFigures>,
    resource: Resource,
    table: Table,
    interval: Duration,
    /// Exports that failed since the last one that arrived.
    failures: u64,
    /// What was last said about a partial success, so that it is not said again at every export.
    complaint: String,
}

/// Why an export as a whole did not arrive.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ExportError(String);

impl OtlpExporter {
    /// Nothing is sent yet. Must be called on a runtime.
    pub fn new(plan: &Otlp, reader: Reader, process: Arc<ProcessFigures>) -> Result<Self, BuildError> {
        if plan.exponential_histograms {
            tracing::warn!(
                "otlp: exponential histograms are not made by this version; durations leave with explicit buckets"
            );
        }
        Ok(OtlpExporter {
            transport: Transport::new(plan)?,
            reader,
            resource: Resource::new(resource::attributes(plan, process.identity())),
            process,
            table: Table::default(),
            interval: plan.interval,
            failures: 0,
            complaint: String::new(),
        })
    }

    /// Exports at every interval until `shutdown` turns true (or its sender is gone), and then once more, within [`FLUSH`].
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            // An error means that nobody can ask for the stop any more, which is a stop.
            let work = async {
                ticks.tick().await;
                // An export that takes longer than this is overtaken by the next one.
                self.export(Instant::now() + self.interval).await;
            };
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                () = work => {}
            }
        }
        self.export(Instant::now() + FLUSH).await;
    }

    async fn export(&mut self, deadline: Instant) {
        match self.try_export(deadline).await {
            Ok(rejected) => {
                if rejected == 0 {
                    self.process.export_arrived(Exporter::OtlpMetrics);
                }
                if self.failures > 0 {
                    tracing::info!(
                        "otlp: metrics arrive again, after {} failed exports",
                        self.failures
                    );
                }
                self.failures = 0;
            }
            Err(error) => {
                self.process.export_failed(Exporter::OtlpMetrics);
                self.failures += 1;
                if self.failures == 1 {
                    tracing::warn!(
                        "otlp: metrics did not arrive: {error}; the next export has everything again"
                    );
                } else {
                    tracing::debug!("otlp: metrics did not arrive ({} times): {error}", self.failures);
                }
            }
        }
    }

    /// How many points the collector refused of what arrived.
    async fn try_export(&mut self, deadline: Instant) -> Result<u64, ExportError> {
        let snapshot = snapshot(&self.reader, &self.process).await;
        let snapshot = snapshot.map_err(|stopped| ExportError(stopped.to_string()))?;
        let mut encoder = Encoder::new(&mut self.table, &snapshot, &self.resource);
        let mut rejected = 0;
        let mut message = String::new();
        while let Some(request) = encoder.next_request() {
            let delivered = self.transport.deliver(Bytes::from(request), deadline).await;
            let partial = delivered.map_err(ExportError)?;
            rejected += partial.rejected;
            if message.is_empty() {
                message = partial.message;
            }
        }
        self.table.acknowledge();
        self.note_partial(rejected, message);
        Ok(rejected)
    }

    /// The specification forbids to send rejected points again; they are counted and told.
    fn note_partial(&mut self, rejected: u64, message: String) {
        if rejected > 0 {
            self.process.points_rejected(rejected);
            self.process.export_failed(Exporter::OtlpMetrics);
        }
        if self.complaint != message {
            if rejected > 0 {
                tracing::warn!("otlp: the collector refused {rejected} points: {message}");
            } else if !message.is_empty() {
                tracing::warn!("otlp: the collector says: {message}");
            }
            self.complaint = message;
        }
    }
}

#[cfg(test)]
mod tests;
