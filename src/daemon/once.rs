//! One round over a plan: the same loop, engine and probes as the service, for `check`.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::event::Event;
use crate::model::failure::OperationRecord;
use crate::model::plan::Plan;

use super::assemble::{Daemon, Options, StartError};

/// Asks every dependency of the plan once, and hands out each operation as it concludes. When `interrupted` completes
/// first, what is under way concludes as abandoned, and what was not begun is left out.
pub async fn run_once(
    mut plan: Plan,
    interrupted: impl Future<Output = ()>,
    mut on: impl FnMut(Arc<OperationRecord>),
) -> Result<(), StartError> {
    plan.one_round = true;
    plan.listen = None;
    plan.otlp = None;
    let (records, mut incoming) = mpsc::unbounded_channel();
    let listener = move |event: &Event| {
        if let Event::OperationFinished(record) = event {
            // The receiver lives as long as this function does.
            let _ = records.send(Arc::clone(record));
        }
    };
    let options = Options {
        listener: Some(Box::new(listener)),
        ..Options::default()
    };
    let mut running = Daemon::start(plan, options).await?;
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            biased;
            Some(record) = incoming.recv() => on(record),
            () = running.drained() => break,
            () = &mut interrupted => {
                running.abandon().await;
                break;
            }
        }
    }
    while let Ok(record) = incoming.try_recv() {
        on(record);
    }
    Ok(())
}
