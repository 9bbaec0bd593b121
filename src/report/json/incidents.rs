//! Incidents and receivers as the API tells them.

use serde_json::{Value as Json, json};

use crate::model::alert::Subject;
use crate::model::incident::{IncidentView, Member};
use crate::model::notification::ReceiverView;

use super::alerts::{about, text_keys, time};
use super::scalar::text;

/// One incident.
pub fn incident(view: &IncidentView) -> Json {
    let factors = view.factors.iter();
    let factors: Json = factors
        .map(|factor| json!({"kind": factor.kind(), "value": factor.to_string()}))
        .collect();
    let told = view.told.iter();
    let told: Json = told
        .map(|(receiver, at)| json!({"receiver": &**receiver, "at": at.to_string()}))
        .collect();
    let mut object = serde_json::Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("id", view.id.to_string().into());
    put("since", view.since.to_string().into());
    put("severity", view.severity.id().into());
    put("title", text(&view.title));
    put("factors", factors);
    for (key, value) in text_keys(&view.text) {
        put(key, value);
    }
    // The incident's own, where the member that tells most has none or another.
    put("cause", view.cause.map(|cause| cause.id()).into());
    put("members", view.members.iter().map(member).collect());
    put("affected", affected(view));
    put(
        "suppressed",
        view.suppressed.iter().map(|name| Json::from(&**name)).collect(),
    );
    put("told", told);
    Json::Object(object)
}

fn member(member: &Member) -> Json {
    let mut object = about(&member.key);
    object.insert("id".to_owned(), member.key.id().to_string().into());
    object.insert("state".to_owned(), member.state.into());
    object.insert("since".to_owned(), time(Some(member.since)));
    Json::Object(object)
}

/// Dependencies of which no alert of the incident is raised yet.
fn affected(view: &IncidentView) -> Json {
    let of = |raised: bool| {
        let members = view
            .members
            .iter()
            .filter(move |member| (member.state != "pending") == raised);
        members.filter_map(|member| match &member.key.subject {
            Subject::Dependency(name) => Some(name),
            Subject::Host(_) | Subject::Monitor => None,
        })
    };
    let raised: std::collections::BTreeSet<_> = of(true).collect();
    let affected: std::collections::BTreeSet<_> = of(false).filter(|name| !raised.contains(name)).collect();
    affected.into_iter().map(|name| Json::from(&**name)).collect()
}

/// How a receiver does.
pub fn receiver(view: &ReceiverView) -> Json {
    let failing = view.failing.as_ref();
    json!({
        "name": &*view.name,
        "channel": view.channel,
        "waiting": view.waiting,
        "oldest": time(view.oldest),
        "delivered": view.delivered,
        "failed": view.failed,
        "expired": view.expired,
        "failing": failing.map(|(in_a_row, why)| json!({"in_a_row": in_a_row, "why": &**why})),
        "last_delivered": time(view.last_delivered),
    })
}
