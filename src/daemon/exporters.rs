//! The exporters that push, and their change when a reload brings another collector.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::export::otlp::OtlpExporter;
use crate::export::process::ProcessFigures;
use crate::export::traces::TraceSender;
use crate::model::plan::Otlp;
use crate::net::reader::Reader;

/// A collector that cannot be used as configured (a certificate that cannot be read, say).
#[derive(Debug, thiserror::Error)]
#[error("OTLP export: {0}")]
pub struct ExportError(pub String);

#[derive(Default)]
pub struct Exporters {
    running: Option<RunningExporter>,
}

struct RunningExporter {
    settings: Otlp,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
    traces: Option<TraceSender>,
}

impl Exporters {
    pub fn start(
        settings: Option<&Otlp>,
        reader: &Reader,
        process: &Arc<ProcessFigures>,
    ) -> Result<Self, ExportError> {
        let Some(settings) = settings else {
            return Ok(Exporters::default());
        };
        let (shutdown, seen) = watch::channel(false);
        let exporter = OtlpExporter::new(settings, reader.clone(), Arc::clone(process))
            .map_err(|error| ExportError(error.to_string()))?;
        let traces = TraceSender::start(settings, Arc::clone(process))
            .map_err(|error| ExportError(error.to_string()))?;
        let task = tokio::spawn(exporter.run(seen));
        let running = RunningExporter {
            settings: settings.clone(),
            shutdown,
            task,
            traces,
        };
        Ok(Exporters {
            running: Some(running),
        })
    }

    pub fn traces(&self) -> Option<TraceSender> {
        self.running.as_ref()?.traces.clone()
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
        let next = Exporters::start(settings, reader, process)?;
        self.stop().await;
        *self = next;
        Ok(())
    }

    /// Exports once more, then ends.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown.send_replace(true);
            // A panic of the exporter has been reported by its own task.
            let _ = running.task.await;
            if let Some(traces) = running.traces {
                traces.flush().await;
            }
        }
    }
}
