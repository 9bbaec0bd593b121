//! Tells the world what happened: the log, traces, and whoever asked to listen. It runs beside the loop, behind a
//! bounded queue, so that a slow terminal or pipe delays nobody's probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use crate::export::alert_logs::AlertLogSender;
use crate::export::log;
use crate::export::traces::TraceSender;
use crate::model::event::Event;

/// Called with every event, in order.
pub type Listener = Box<dyn FnMut(&Event) + Send>;

pub struct Teller {
    pub events: mpsc::Receiver<Event>,
    pub listener: Option<Listener>,
    /// Where operations go as traces, if anywhere.
    pub traces: watch::Receiver<Option<TraceSender>>,
    /// Where alerts go as log records, if anywhere.
    pub alert_logs: watch::Receiver<Option<AlertLogSender>>,
    /// Whether events are logged; `check` prints instead.
    pub logging: bool,
    /// Events that found the queue full; said with the next one that did not.
    pub dropped: Arc<AtomicU64>,
}

impl Teller {
    /// Runs until the loop has gone and everything it said is told.
    pub async fn run(mut self) {
        while let Some(event) = self.events.recv().await {
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "{dropped} events were lost for the log and for traces: more came than could be told"
                );
            }
            if self.logging {
                log::log_event(&event);
            }
            if let (Some(traces), Event::OperationFinished(record)) = (&*self.traces.borrow(), &event) {
                traces.send(record);
            }
            if let (Some(logs), Event::AlertChanged { change, view }) = (&*self.alert_logs.borrow(), &event) {
                logs.send(*change, view);
            }
            if let Some(listener) = &mut self.listener {
                listener(&event);
            }
        }
    }
}
