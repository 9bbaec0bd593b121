//! The variables of a template. There are always all of them: what a notification does not have is empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};

use crate::model::alert::Subject;
use crate::model::notification::{AlertNote, DeliveryOrder};

/// Each variable and what it holds: the reference is made of this.
pub const VARIABLES: &[(&str, &str)] = &[
    ("receiver", "the receiver's name"),
    (
        "occasion",
        "why it is sent: opened, changed, repeated, closed, test or heartbeat",
    ),
    ("status", "firing or resolved"),
    ("severity", "info, warning or critical"),
    (
        "title",
        "one line that says what is the matter, without severity and occasion",
    ),
    ("text", "the text that is sent without a template"),
    (
        "description",
        "some sentences: since when, the numbers, the evidence",
    ),
    (
        "cause",
        "the cause's id; empty where there is no failure, as of a certificate that expires",
    ),
    ("speed", "fast or slow; may be empty"),
    ("phase", "the phase in which it failed; may be empty"),
    (
        "factors",
        "what the members share, the most telling first, each with kind and name",
    ),
    ("since", "when the incident began, in RFC 3339"),
    ("at", "when the notification was made, in RFC 3339"),
    (
        "alerts",
        "the alerts that fire and those that are over since the last notification, each with name, rule, subject, \
         dependency (empty where it is about a host), severity, status, since, ended, because, summary, description, fix, \
         cause, speed, phase, evidence, labels and id",
    ),
    ("firing", "how many of the alerts fire"),
    ("resolved", "how many of them are over"),
    (
        "affected",
        "names of dependencies that fail in the same way and are not raised yet",
    ),
    (
        "suppressed",
        "names of dependencies that fail because a member does",
    ),
    ("fix", "what to do; may be empty"),
    (
        "evidence",
        "the evidence by its names; a name that is not there is empty",
    ),
    (
        "labels",
        "the labels that all alerts share, by name; a name that is not there is empty",
    ),
    ("runbook_url", "the page of the cause; may be empty"),
    ("external_url", "where this daemon's API is; may be empty"),
    ("incident", "the incident's id"),
    ("id", "the notification's id, the same on every retry"),
];

/// Of what a template speaks.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub order: &'a DeliveryOrder,
    /// The text that would be sent without a template.
    pub text: &'a str,
}

impl Facts<'_> {
    /// The variables, by name.
    pub(super) fn values(&self) -> Value {
        map(VARIABLES.iter().map(|(name, _)| (*name, self.value(name))))
    }

    fn value(&self, name: &str) -> Value {
        let DeliveryOrder {
            receiver,
            notification,
            links,
            ..
        } = self.order;
        let told = &notification.text;
        let firing = notification
            .alerts
            .iter()
            .filter(|note| note.ended.is_none())
            .count();
        match name {
            "receiver" => (&*receiver.name).into(),
            "occasion" => notification.occasion.id().into(),
            "status" => status(notification.is_firing()),
            "severity" => notification.severity.id().into(),
            "title" => (&*notification.title).into(),
            "text" => self.text.into(),
            "description" => (&*told.description).into(),
            "cause" => notification.cause.map_or("", |cause| cause.id()).into(),
            "speed" => told.speed.map_or("", |speed| speed.id()).into(),
            "phase" => told.phase.map_or("", |phase| phase.id()).into(),
            "factors" => notification
                .factors
                .iter()
                .map(|factor| {
                    let (kind, name) = (factor.kind().into(), factor.to_string().into());
                    map([("kind", kind), ("name", name)])
                })
                .collect(),
            "since" => notification.since.to_string().into(),
            "at" => notification.at.to_string().into(),
            "alerts" => notification.alerts.iter().map(alert).collect(),
            "firing" => firing.into(),
            "resolved" => (notification.alerts.len() - firing).into(),
            "affected" => notification.affected.iter().map(|name| &**name).collect(),
            "suppressed" => notification.suppressed.iter().map(|name| &**name).collect(),
            "fix" => (&*told.fix).into(),
            "evidence" => named(&told.evidence),
            "labels" => named(&notification.labels),
            "runbook_url" => notification
                .cause
                .map(|cause| links.runbook(cause))
                .unwrap_or_default()
                .into(),
            "external_url" => links.external_url.as_deref().unwrap_or_default().into(),
            "incident" => notification.incident.to_string().into(),
            "id" => (&*notification.id).into(),
            _ => Value::UNDEFINED,
        }
    }
}

fn status(firing: bool) -> Value {
    if firing { "firing" } else { "resolved" }.into()
}

fn alert(note: &AlertNote) -> Value {
    let text = &note.text;
    let dependency = match &note.key.subject {
        Subject::Dependency(name) => name,
        Subject::Host(_) | Subject::Monitor => "",
    };
    let ended = note.ended.map(|(ended, _)| ended.to_string());
    let pairs: [(&str, Value); 17] = [
        ("name", note.key.rule.name().into()),
        ("rule", note.key.rule.id().into()),
        ("subject", note.key.subject.to_string().into()),
        ("dependency", dependency.into()),
        ("severity", note.severity.id().into()),
        ("status", status(note.ended.is_none())),
        ("since", note.since.to_string().into()),
        ("ended", ended.unwrap_or_default().into()),
        (
            "because",
            note.ended.map_or("", |(_, because)| because.id()).into(),
        ),
        ("summary", (&*text.summary).into()),
        ("description", (&*text.description).into()),
        ("fix", (&*text.fix).into()),
        ("cause", text.cause.map_or("", |cause| cause.id()).into()),
        ("speed", text.speed.map_or("", |speed| speed.id()).into()),
        ("phase", text.phase.map_or("", |phase| phase.id()).into()),
        ("evidence", named(&text.evidence)),
        ("labels", named(&note.labels)),
    ];
    let id = ("id", Value::from(note.id.to_string()));
    map(pairs.into_iter().chain([id]))
}

fn map(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    pairs.into_iter().collect::<BTreeMap<_, _>>().into()
}

fn named<T: AsRef<str>>(pairs: &[(T, T)]) -> Value {
    by_name(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
}

/// Texts by their names.
pub(super) fn by_name<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Value::from_object(Named(pairs.collect()))
}

/// Values by names that are the user's or a cause's: what is not there is empty, so that a template may ask for it.
#[derive(Debug)]
struct Named(Vec<(String, String)>);

impl Object for Named {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let found = self.0.iter().find(|(name, _)| name == key);
        Some(found.map_or("", |(_, value)| value).into())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.0
                .iter()
                .map(|(name, _)| Value::from(name.as_str()))
                .collect(),
        )
    }
}
