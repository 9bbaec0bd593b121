//! The exporters that push, and their change when a reload brings another collector.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::export::alert_logs::AlertLogSender;
use crate::export::otlp::OtlpExporter;
use crate::export::process::ProcessFigures;
use crate::export::traces::TraceSender;
use crate::model::plan::Otlp;
use crate::net::reader::Reader;

/// A collector that cannot be used as configured (a certificate that cannot be read, say).
#[derive(Debug, thiserror::Error)]
#[error("OTLP export: {0}")]
pub struct ExportError(pub String);

/// What pushes at present, and the runtime on which it runs.
pub struct Exporters {
    runtime: Handle,
    running: Option<RunningExporter>,
    /// Where operations go as traces; whoever has the other end sees a change at once.
    traces: watch::Sender<Option<TraceSender>>,
    /// Where alerts go as log records.
    alert_logs: watch::Sender<Option<AlertLogSender>>,
}

struct RunningExporter {
    settings: Otlp,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
    traces: Option<TraceSender>,
    alert_logs: Option<AlertLogSender>,
}

impl Exporters {
    /// Starts what is configured.
    pub fn start(
        runtime: Handle,
        settings: Option<&Otlp>,
        reader: &Reader,
        process: &Arc<ProcessFigures>,
    ) -> Result<Self, ExportError> {
        let running = settings
            .map(|settings| start(&runtime, settings, reader, process))
            .transpose()?;
        let traces = running.as_ref().and_then(|running| running.traces.clone());
        let alert_logs = running.as_ref().and_then(|running| running.alert_logs.clone());
        Ok(Exporters {
            runtime,
            running,
            traces: watch::channel(traces).0,
            alert_logs: watch::channel(alert_logs).0,
        })
    }

    /// Where operations go as traces, now and after every change.
    pub fn traces(&self) -> watch::Receiver<Option<TraceSender>> {
        self.traces.subscribe()
    }

    /// Where alerts go as log records, now and after every change.
    pub fn alert_logs(&self) -> watch::Receiver<Option<AlertLogSender>> {
        self.alert_logs.subscribe()
    }

    /// After a reload: another collector, another exporter; the same one goes on undisturbed.
    pub async fn change(
        &mut self,
        settings: Option<&Otlp>,
        reader: &Reader,
        process: &Arc<ProcessFigures>,
    ) -> Result<(), ExportError> {
        if self.running.as_ref().map(|running| &running.settings) == settings {
            return Ok(());
        }
        // The new one must be good before the old one goes.
        let next = settings
            .map(|settings| start(&self.runtime, settings, reader, process))
            .transpose()?;
        self.stop().await;
        process.exporters_changed();
        self.traces
            .send_replace(next.as_ref().and_then(|running| running.traces.clone()));
        self.alert_logs
            .send_replace(next.as_ref().and_then(|running| running.alert_logs.clone()));
        self.running = next;
        Ok(())
    }

    /// Exports once more, then ends.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown.send_replace(true);
            let traces = async {
                if let Some(traces) = &running.traces {
                    traces.flush().await;
                }
            };
            let alert_logs = async {
                if let Some(alert_logs) = &running.alert_logs {
                    alert_logs.flush().await;
                }
            };
            // Side by side: a collector that takes metrics slowly must not cost the rest their time. A panic of the
            // exporter has been reported by its own task.
            let _ = tokio::join!(running.task, traces, alert_logs);
        }
    }
}

fn start(
    runtime: &Handle,
    settings: &Otlp,
    reader: &Reader,
    process: &Arc<ProcessFigures>,
) -> Result<RunningExporter, ExportError> {
    let _here = runtime.enter();
    let (shutdown, seen) = watch::channel(false);
    let exporter = OtlpExporter::new(settings, reader.clone(), Arc::clone(process))
        .map_err(|error| ExportError(error.to_string()))?;
    let traces =
        TraceSender::start(settings, Arc::clone(process)).map_err(|error| ExportError(error.to_string()))?;
    let alert_logs = AlertLogSender::start(settings, Arc::clone(process))
        .map_err(|error| ExportError(error.to_string()))?;
    let task = runtime.spawn(exporter.run(seen));
    Ok(RunningExporter {
        settings: settings.clone(),
        shutdown,
        task,
        traces,
        alert_logs,
    })
}
