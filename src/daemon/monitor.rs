//! Tells the engine how the edges of this process do, for the rules about the monitor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::Input;
use crate::export::process::ProcessFigures;

/// Time between two looks; the rules wait for a minute and more.
const EVERY: Duration = Duration::from_secs(5);

/// Tells the engine at once and whenever something has changed, until it has gone.
pub async fn watch(process: Arc<ProcessFigures>, inputs: mpsc::Sender<Input>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        tick.tick().await;
        let facts = process.facts();
        if last.as_ref() == Some(&facts) {
            continue;
        }
        last = Some(facts.clone());
        if inputs.send(Input::SelfObserved(facts)).await.is_err() {
            return;
        }
    }
}
