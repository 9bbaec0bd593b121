//! Alertmanager: every alert by itself. Grouping, repeating and telling people is its work.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::notification::{AlertNote, DeliveryOrder};
use crate::model::receiver::{Receiver, WebTarget};
use crate::model::time::Wall;
use crate::net::wall;

use super::http::{Call, join};
use super::labels::{annotations, generator, labels};
use super::trip::{NotTaken, Trip};

/// Of API v2 (alertmanager/api/v2/openapi.yaml).
const PATH: &str = "/api/v2/alerts";
/// Alerts in one request, as Prometheus sends them (`DefaultMaxBatchSize` of its notifier).
const BATCH: usize = 256;
/// An alert that is not posted again for so many times its repeat interval is over for Alertmanager: Prometheus has it so
/// (rules/manager.go: four times the resend delay), and a whyd that died leaves nothing that fires for ever.
const REPEATS: u32 = 4;
/// And not before this, whatever the interval: below it a slow round of deliveries would resolve what fires.
const LEAST_LIFE: Duration = Duration::from_secs(300);

/// The same where several replicas post it: none of them says that it is over, so that it ends this long after the last post.
const SHARED: (u32, Duration) = (3, Duration::from_secs(60));

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget) -> Result<(), NotTaken> {
    let order = trip.order;
    let base = trip.url(target)?;
    let url = if base.path().ends_with(PATH) {
        base
    } else {
        join(&base, PATH)
    };
    // What was posted before one batch failed is posted again, which changes nothing there.
    for batch in order.notification.alerts.chunks(BATCH) {
        let now = wall::now();
        let alerts: Vec<Value> = batch.iter().map(|note| alert(order, note, now)).collect();
        let body = Value::from(alerts).to_string().into_bytes();
        trip.send(target, Call::post(url.clone(), body)).await?.judged()?;
    }
    Ok(())
}

fn alert(order: &DeliveryOrder, note: &AlertNote, now: Wall) -> Value {
    let ends = match note.ended {
        // An alert that ends before it starts is refused, and clocks are set back at times.
        Some((ended, _)) => ended.max(note.since),
        None => now.max(note.since) + life(&order.receiver, order.links.shared),
    };
    let mut alert = json!({
        "labels": labels(&order.notification, note, order.links.shared),
        "annotations": annotations(note, &order.links),
        "startsAt": note.since.to_string(),
        "endsAt": ends.to_string(),
    });
    if order.links.shared {
        alert["annotations"]["incident"] = order.notification.incident.to_string().into();
    }
    if let Some(url) = generator(order, note) {
        alert["generatorURL"] = url.into();
    }
    alert
}

/// How long an alert goes on firing there without being posted again.
pub fn life(receiver: &Receiver, shared: bool) -> Duration {
    let (repeats, least) = if shared { SHARED } else { (REPEATS, LEAST_LIFE) };
    receiver.repeat.saturating_mul(repeats).max(least)
}
