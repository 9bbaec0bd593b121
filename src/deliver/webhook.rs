//! A webhook: the payload of Alertmanager's, version 4 (prometheus.io/docs/alerting/latest/configuration/#webhook_config),
//! so that whatever understands those understands ours. What that has no place for stands beside it under `whyd`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::incident::Factor;
use crate::model::notification::{AlertNote, DeliveryOrder};
use crate::model::receiver::WebTarget;

use super::http::Call;
use super::labels::{annotations, generator, labels};
use super::story::{self, Style};
use super::trip::{NotTaken, Trip};

/// Bytes of a request. Nginx takes no more by default (`client_max_body_size 1m`), and so do many receivers behind it.
const LONGEST: usize = 1_000_000;
/// Of those, what is kept free for the numbers that are put in last.
const RESERVE: usize = 64;
/// Alerts that are looked at; so many do not fit.
const MOST_ALERTS: usize = 5_000;
/// Bytes of the names in `affected`, and in `suppressed`.
const NAMES: usize = 100_000;
/// Characters of the text for people.
const LONGEST_TEXT: usize = 8_000;
/// The end of an alert that has none: the zero of Go's time, as Alertmanager writes it.
const NO_END: &str = "0001-01-01T00:00:00Z";

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget) -> Result<(), NotTaken> {
    let url = trip.url(target)?;
    let call = Call::post(url, body(trip.order)).header("idempotency-key", &trip.order.notification.id);
    trip.send(target, call).await?.judged()
}

/// The payload: whole, or as much as fits. Details of the last alerts go first, then alerts, which are counted in
/// `truncatedAlerts`.
pub fn body(order: &DeliveryOrder) -> Vec<u8> {
    let notification = &order.notification;
    let considered = &notification.alerts[..notification.alerts.len().min(MOST_ALERTS)];
    let all_labels: Vec<_> = considered
        .iter()
        .map(|note| labels(notification, note, false))
        .collect();
    let all_annotations: Vec<_> = considered
        .iter()
        .map(|note| annotations(note, &order.links))
        .collect();
    let mut payload = frame(order, common(&all_labels), common(&all_annotations));
    let mut room = LONGEST.saturating_sub(payload.to_string().len() + RESERVE);

    // First each with its summary alone, as many as there is room for; then the first ones with all that they say.
    let mut alerts: Vec<Value> = Vec::new();
    for ((note, labels), annotations) in considered.iter().zip(&all_labels).zip(&all_annotations) {
        let summary = json!({"summary": annotations.get("summary")});
        let short = alert(order, note, json!(labels), summary);
        let size = short.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        alerts.push(short);
    }
    for (alert, annotations) in alerts.iter_mut().zip(&all_annotations) {
        let annotations = json!(annotations);
        let size = annotations.to_string().len();
        if size > room {
            break;
        }
        room -= size;
        alert["annotations"] = annotations;
    }
    payload["truncatedAlerts"] = (notification.alerts.len() - alerts.len()).into();
    payload["alerts"] = alerts.into();
    payload.to_string().into_bytes()
}

/// All but the alerts.
fn frame(
    order: &DeliveryOrder,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
) -> Value {
    let notification = &order.notification;
    let incident = notification.incident.to_string();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{incident=\"{incident}\"}}"),
        "truncatedAlerts": 0,
        "status": status(notification.is_firing()),
        "receiver": &*order.receiver.name,
        "groupLabels": {"incident": incident},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": order.links.external_url.as_deref().unwrap_or_default(),
        "alerts": [],
        "whyd": ours(order),
    })
}

fn alert(order: &DeliveryOrder, note: &AlertNote, labels: Value, annotations: Value) -> Value {
    let ended = note.ended.map(|(ended, _)| ended.to_string());
    json!({
        "status": status(note.ended.is_none()),
        "labels": labels,
        "annotations": annotations,
        "startsAt": note.since.to_string(),
        "endsAt": ended.as_deref().unwrap_or(NO_END),
        "generatorURL": generator(order, note).unwrap_or_default(),
        "fingerprint": note.id.to_string(),
    })
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// What all have alike.
fn common<K: Ord + Clone, V: PartialEq + Clone>(all: &[BTreeMap<K, V>]) -> BTreeMap<K, V> {
    let Some((first, others)) = all.split_first() else {
        return BTreeMap::new();
    };
    let mut common = first.clone();
    common.retain(|name, value| others.iter().all(|other| other.get(name) == Some(value)));
    common
}

fn ours(order: &DeliveryOrder) -> Value {
    let notification = &order.notification;
    json!({
        "notification": &*notification.id,
        "incident": notification.incident.to_string(),
        "occasion": notification.occasion.id(),
        "at": notification.at.to_string(),
        "since": notification.since.to_string(),
        "severity": notification.severity.id(),
        "title": story::title(order, Style::Plain),
        "text": story::text(order, Style::Plain, LONGEST_TEXT),
        "cause": notification.cause.map(|cause| cause.id()),
        "factors": notification.factors.iter().map(factor).collect::<Vec<_>>(),
        "affected": some(&notification.affected),
        "affectedCount": notification.affected.len(),
        "suppressed": some(&notification.suppressed),
        "suppressedCount": notification.suppressed.len(),
    })
}

/// Names, as long as there is room for them.
fn some(names: &[Arc<str>]) -> Value {
    let mut room = NAMES;
    let mut some = Vec::new();
    for name in names {
        let size = name.len() + 3;
        if size > room {
            break;
        }
        room -= size;
        some.push(Value::from(&**name));
    }
    some.into()
}

fn factor(factor: &Factor) -> Value {
    json!({"kind": factor.kind(), "name": factor.to_string()})
}
