//! Opsgenie's alert API (docs.opsgenie.com/docs/alert-api), which Jira Service Management speaks too. One incident of ours
//! is one alert there, found by its alias.

use std::time::Duration;

use ::http::Method;
use ::http::header::AUTHORIZATION;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::model::alert::Severity;
use crate::model::notification::{DeliveryOrder, Occasion};
use crate::model::receiver::WebTarget;
use crate::model::secret::SecretRef;

use super::fit;
use super::http::{Answer, Call, join, sensitive};
use super::story::{self, Style, evidence_line};
use super::trip::{NotTaken, Trip};

/// Where alerts are below a host that is given alone.
const PATH: &str = "/v2/alerts";
// "Create Alert", JSON body fields: characters, but for tags, of which there may be 20 of 50 each.
const MESSAGE: usize = 130;
const DESCRIPTION: usize = 15_000;
const ENTITY: usize = 512;
const TAGS: usize = 20;
const TAG: usize = 50;
/// Of all details together, names and values.
const DETAILS: usize = 8_000;
const NOTE: usize = 1_000;

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget, api_key: &SecretRef) -> Result<(), NotTaken> {
    let base = trip.url(target)?;
    let alerts = if base.path().ends_with("/alerts") {
        base
    } else {
        join(&base, PATH)
    };
    let key = trip.secret(api_key)?;
    let authorization = sensitive("Authorization", &format!("GenieKey {}", key.expose()))?;
    let order = trip.order;
    for (method, url, body) in calls(order, &alerts) {
        let mut call = Call::post(url, body.to_string().into_bytes());
        call.method = method;
        call.headers.insert(AUTHORIZATION, authorization.clone());
        judged(&trip.send(target, call).await?)?;
    }
    Ok(())
}

/// The same as long as the incident is open, and at every retry.
fn alias(order: &DeliveryOrder) -> String {
    format!("whyd-{}", order.notification.incident)
}

/// The requests that tell it. An alert that is there already is only counted again by another creation, so that what has
/// changed of it is told by itself.
fn calls(order: &DeliveryOrder, alerts: &Url) -> Vec<(Method, Url, Value)> {
    let of_alert = |what: &str| {
        let mut url = join(alerts, &format!("/{}/{what}", alias(order)));
        url.query_pairs_mut().append_pair("identifierType", "alias");
        url
    };
    if !order.notification.is_firing() {
        let note = story::text(order, Style::Plain, NOTE);
        let close = json!({"source": "whyd", "user": "whyd", "note": note});
        return vec![(Method::POST, of_alert("close"), close)];
    }
    let created = alert(order);
    let mut calls = Vec::new();
    if order.notification.occasion == Occasion::Changed {
        for what in ["message", "description"] {
            let changed = json!({what: created[what]});
            calls.push((Method::PUT, of_alert(what), changed));
        }
    }
    calls.insert(0, (Method::POST, alerts.clone(), created));
    calls
}

pub fn alert(order: &DeliveryOrder) -> Value {
    let notification = &order.notification;
    let labels = notification
        .labels
        .iter()
        .map(|(name, value)| format!("{name}:{value}"));
    let tags = [notification.severity.id().to_owned()].into_iter().chain(labels);
    json!({
        "message": fit::chars(&story::title(order, Style::Plain), MESSAGE),
        "alias": alias(order),
        "description": story::text(order, Style::Plain, DESCRIPTION),
        "entity": fit::one_line(&entity(order), ENTITY),
        "source": "whyd",
        "priority": priority(notification.severity),
        "tags": tags.map(|tag| fit::one_line(&tag, TAG)).take(TAGS).collect::<Vec<_>>(),
        "details": details(order),
    })
}

fn entity(order: &DeliveryOrder) -> String {
    let notification = &order.notification;
    match (&*notification.alerts, notification.factors.first()) {
        ([first], _) | ([first, ..], None) => first.key.subject.to_string(),
        (_, Some(factor)) => factor.to_string(),
        ([], None) => "whyd".to_owned(),
    }
}

const fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::Warning => "P3",
        Severity::Info => "P5",
    }
}

/// Names and values, the most telling first, as long as there is room.
fn details(order: &DeliveryOrder) -> Value {
    let notification = &order.notification;
    let text = &notification.text;
    let runbook = notification.cause.map(|cause| order.links.runbook(cause));
    let own = [
        (
            "cause",
            notification.cause.map_or("", |cause| cause.id()).to_owned(),
        ),
        ("speed", text.speed.map_or("", |speed| speed.id()).to_owned()),
        ("phase", text.phase.map_or("", |phase| phase.id()).to_owned()),
        ("fix", text.fix.to_string()),
        ("runbook_url", runbook.unwrap_or_default()),
        ("since", notification.since.to_string()),
        ("incident", notification.incident.to_string()),
        ("notification", notification.id.to_string()),
        ("evidence", evidence_line(&text.evidence)),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let labels = notification
        .labels
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    let (mut details, mut room) = (Map::new(), DETAILS);
    for (name, value) in own
        .into_iter()
        .chain(labels)
        .filter(|(_, value)| !value.is_empty())
    {
        let value = fit::chars(&value, DETAILS / 4);
        let length = name.chars().count() + value.chars().count();
        if length <= room && !details.contains_key(&name) {
            room -= length;
            details.insert(name, value.into());
        }
    }
    details.into()
}

/// One that is throttled is told when the window ends (docs.opsgenie.com/docs/api-rate-limiting).
fn judged(answer: &Answer) -> Result<(), NotTaken> {
    answer.judged().map_err(|error| match error {
        NotTaken::Later {
            why,
            retry_after: None,
        } => NotTaken::Later {
            why,
            retry_after: period(answer),
        },
        error => error,
    })
}

fn period(answer: &Answer) -> Option<Duration> {
    let period = answer.headers.get("x-ratelimit-period-in-sec")?.to_str().ok()?;
    Some(Duration::from_secs(period.trim().parse().ok()?))
}
