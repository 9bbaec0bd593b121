//! Heartbeats: a receiver hears at intervals that we live, and raises the alarm when it does not.

use std::sync::Arc;
use std::time::Duration;

use crate::model::incident::IncidentId;
use crate::model::notification::{DeliveryOutcome, Notification, Occasion};
use crate::model::time::{Now, Wall};

use super::queue::Queue;

/// Between two tries of one heartbeat, at most; it is a fourth of the interval where that is shorter.
const BEAT_AGAIN: Duration = Duration::from_secs(15);

/// Takes the answer to one: when the next one is due.
pub fn finished(queue: &mut Queue, outcome: &DeliveryOutcome, now: Now) {
    let Some(every) = queue.beats_every() else { return };
    let Some(beat) = &mut queue.beat else { return };
    beat.in_flight = false;
    let next = beat.due + every;
    beat.due = match outcome {
        DeliveryOutcome::Accepted => {
            queue.delivered += 1;
            // A beat that was late (this process was suspended, say) is not made up for.
            if next > now.moment {
                next
            } else {
                now.moment + every
            }
        }
        // Once more before the next one would be due, and no later than that.
        _ => now.moment + BEAT_AGAIN.min(every / 4).max(Duration::from_secs(1)),
    };
}

/// One that says that we live.
pub fn heartbeat(receiver: &str, serial: u64, at: Wall) -> Notification {
    Notification {
        id: format!(
            "heartbeat-{:016x}",
            crate::model::alert::stable_hash(&[receiver, &serial.to_string(), &at.to_string()])
        )
        .into(),
        occasion: Occasion::Heartbeat,
        at,
        incident: IncidentId(0),
        since: at,
        severity: crate::model::alert::Severity::Info,
        title: "whyd is watching".into(),
        cause: None,
        factors: Vec::new(),
        text: Arc::default(),
        labels: Arc::from([]),
        alerts: Vec::new(),
        affected: Vec::new(),
        suppressed: Vec::new(),
    }
}
