//! Alertmanager: every alert by itself. Grouping, repeating and telling people is its work.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::notification::{AlertNote, DeliveryOrder};
use crate::model::receiver::{Receiver, WebTarget};
use crate::model::time::Wall;
use crate::net::wall;

use super::http::{Call, join};
use super::labels::{annotations, generator, labels};
use super::story::{self, Style};
use super::trip::{NotTaken, Trip};

/// Of API v2 (alertmanager/api/v2/openapi.yaml).
const PATH: &str = "/api/v2/alerts";
/// Alerts in one request, as Prometheus sends them (`DefaultMaxBatchSize` of its notifier).
const BATCH: usize = 256;
/// Characters of a text of the user's. Alertmanager has no limit; every alert of a notification carries it.
const LONGEST_TEXT: usize = 4_096;
/// An alert that is not posted again for so many times its repeat interval is over for Alertmanager: Prometheus has it so
/// (rules/manager.go: four times the resend delay), and a whyd that died leaves nothing that fires for ever.
const REPEATS: u32 = 4;
/// And not before this, whatever the interval: below it a slow round of deliveries would resolve what fires.
const LEAST_LIFE: Duration = Duration::from_secs(300);

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget) -> Result<(), NotTaken> {
    let order = trip.order;
    let base = trip.url(target)?;
    let url = if base.path().ends_with(PATH) {
        base
    } else {
        join(&base, PATH)
    };
    let texts = own_texts(order);
    // What was posted before one batch failed is posted again, which changes nothing there.
    for batch in order.notification.alerts.chunks(BATCH) {
        let now = wall::now();
        let alerts: Vec<Value> = batch.iter().map(|note| alert(order, note, &texts, now)).collect();
        let body = Value::from(alerts).to_string().into_bytes();
        trip.send(target, Call::post(url.clone(), body)).await?.judged()?;
    }
    Ok(())
}

/// Texts of the user's, as annotations beside ours.
fn own_texts(order: &DeliveryOrder) -> Vec<(&'static str, String)> {
    let template = &order.receiver.template;
    let title = template
        .title
        .as_ref()
        .map(|_| ("title", story::title(order, Style::Plain)));
    let text = template
        .text
        .as_ref()
        .map(|_| ("text", story::text(order, Style::Plain, LONGEST_TEXT)));
    title.into_iter().chain(text).collect()
}

fn alert(order: &DeliveryOrder, note: &AlertNote, texts: &[(&'static str, String)], now: Wall) -> Value {
    let ends = match note.ended {
        // An alert that ends before it starts is refused, and clocks are set back at times.
        Some((ended, _)) => ended.max(note.since),
        None => now.max(note.since) + life(&order.receiver),
    };
    let mut annotations = annotations(note, &order.links);
    annotations.extend(texts.iter().map(|(name, text)| (*name, text.clone())));
    let mut alert = json!({
        "labels": labels(&order.notification, note),
        "annotations": annotations,
        "startsAt": note.since.to_string(),
        "endsAt": ends.to_string(),
    });
    if let Some(url) = generator(order, note) {
        alert["generatorURL"] = url.into();
    }
    alert
}

/// How long an alert goes on firing there without being posted again.
pub fn life(receiver: &Receiver) -> Duration {
    receiver.repeat.saturating_mul(REPEATS).max(LEAST_LIFE)
}
