//! PagerDuty: Events API v2 (developer.pagerduty.com/docs/events-api-v2/trigger-events/). One incident of ours is one alert
//! there, found by its `dedup_key`.

use serde_json::{Map, Value, json};

use crate::model::alert::Severity;
use crate::model::notification::{DeliveryOrder, Notification};
use crate::model::receiver::WebTarget;
use crate::model::secret::SecretRef;

use super::fit;
use super::http::{Call, join};
use super::story::{self, Style, evidence_line};
use super::trip::{NotTaken, Trip};

/// Where events go below a host that is given alone.
const PATH: &str = "/v2/enqueue";
/// Characters of `summary` ("The maximum permitted length of this property is 1024 characters").
const SUMMARY: usize = 1_024;
/// Bytes of an event ("The maximum size is 512 KB"), and a little less.
const EVENT: usize = 500_000;
/// Characters of the other fields. Their limits are not documented; longer ones are not read either.
const FIELD: usize = 255;
/// Characters of the text in `custom_details`.
const TEXT: usize = 8_000;
/// Names of members that are listed; halved until the event fits.
const NAMES: usize = 2_000;

pub async fn deliver(
    trip: &mut Trip<'_>,
    target: &WebTarget,
    routing_key: &SecretRef,
) -> Result<(), NotTaken> {
    let base = trip.url(target)?;
    let url = if base.path() == "/" {
        join(&base, PATH)
    } else {
        base
    };
    let key = trip.secret(routing_key)?;
    let body = body(trip.order, key.expose());
    trip.send(target, Call::post(url, body)).await?.judged()
}

/// The event, with as many names as fit.
pub fn body(order: &DeliveryOrder, routing_key: &str) -> Vec<u8> {
    let mut names = NAMES;
    loop {
        let body = event(order, routing_key, names).to_string().into_bytes();
        if body.len() <= EVENT || names == 0 {
            return body;
        }
        names /= 2;
    }
}

fn event(order: &DeliveryOrder, routing_key: &str, names: usize) -> Value {
    let notification = &order.notification;
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": if notification.is_firing() { "trigger" } else { "resolve" },
        // The same as long as the incident is open, and at every retry.
        "dedup_key": format!("whyd/{}", notification.incident),
    });
    if !notification.is_firing() {
        return event;
    }
    event["client"] = "whyd".into();
    if let Some(url) = &order.links.external_url {
        event["client_url"] = (&**url).into();
    }
    if let Some(cause) = notification.cause {
        event["links"] =
            json!([{"href": order.links.runbook(cause), "text": format!("Runbook: {}", cause.id())}]);
    }
    let mut payload = json!({
        "summary": fit::chars(&story::title(order, Style::Plain), SUMMARY),
        "source": fit::one_line(&source(notification), FIELD),
        "severity": severity(notification.severity),
        "timestamp": notification.since.to_string(),
        "custom_details": details(order, names),
    });
    if let Some(factor) = notification.factors.first() {
        payload["group"] = fit::one_line(&format!("{} {factor}", factor.kind()), FIELD).into();
    }
    if let Some(cause) = notification.cause {
        payload["class"] = cause.id().into();
    }
    event["payload"] = payload;
    event
}

/// What is affected: the one subject, or what its alerts share.
fn source(notification: &Notification) -> String {
    match (&*notification.alerts, notification.factors.first()) {
        ([only], _) => only.key.subject.to_string(),
        (_, Some(factor)) => factor.to_string(),
        ([first, ..], None) => first.key.subject.to_string(),
        ([], None) => "whyd".to_owned(),
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn details(order: &DeliveryOrder, names: usize) -> Value {
    let notification = &order.notification;
    let text = &notification.text;
    let mut details = Map::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            details.insert(name.to_owned(), value.into());
        }
    };
    put("text", story::text(order, Style::Plain, TEXT));
    put(
        "cause",
        notification.cause.map_or("", |cause| cause.id()).to_owned(),
    );
    put("speed", text.speed.map_or("", |speed| speed.id()).to_owned());
    put("phase", text.phase.map_or("", |phase| phase.id()).to_owned());
    put("fix", text.fix.to_string());
    put("evidence", evidence_line(&text.evidence));
    put("since", notification.since.to_string());
    let firing: Vec<String> = notification
        .alerts
        .iter()
        .filter(|note| note.ended.is_none())
        .map(|note| note.key.subject.to_string())
        .collect();
    put("firing", fit::names(firing.iter().map(String::as_str), names));
    put(
        "affected",
        fit::names(notification.affected.iter().map(|name| &**name), names),
    );
    put(
        "suppressed",
        fit::names(notification.suppressed.iter().map(|name| &**name), names),
    );
    put("notification", notification.id.to_string());
    for (name, value) in notification.labels.iter() {
        put(&format!("label_{name}"), fit::one_line(value, FIELD));
    }
    details.into()
}
