//! Tells the world what happened: the log, traces, and whoever asked to listen. It runs beside the loop, behind a
//! bounded queue, so that a slow terminal or pipe delays nobody's probe.

use tokio::sync::{mpsc, watch};

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
    /// Whether events are logged; `check` prints instead.
    pub logging: bool,
}

impl Teller {
    /// Runs until the loop has gone and everything it said is told.
    pub async fn run(mut self) {
        while let Some(event) = self.events.recv().await {
            if self.logging {
                log::log_event(&event);
            }
            if let (Some(traces), Event::OperationFinished(record)) = (&*self.traces.borrow(), &event) {
                traces.send(record);
            }
            if let Some(listener) = &mut self.listener {
                listener(&event);
            }
        }
    }
}
