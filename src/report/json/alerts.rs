//! Alerts as the API tells them: how each stands, what it says, and the numbers that its rule compared.

use serde_json::{Map, Value as Json, json};

use crate::model::alert::{AlertKey, AlertState, AlertText, AlertView, Comparison, Muted, Subject};
use crate::model::time::Wall;

use super::scalar::text;

/// One alert.
pub fn alert(view: &AlertView) -> Json {
    let mut object = about(&view.key);
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("id", view.id.to_string().into());
    put("severity", view.severity.id().into());
    put("state", view.state.id().into());
    let times = Times::of(view.state);
    put("since", time(times.since));
    put("pending_since", time(times.pending));
    put("raised_since", time(times.raised));
    put("labels", labels(&view.labels));
    for (key, value) in text_keys(&view.text) {
        put(key, value);
    }
    put("holds", view.evaluation.holds.id().into());
    put("why", text(&view.evaluation.text));
    put(
        "compared",
        view.evaluation.compared.iter().map(comparison).collect(),
    );
    put("incident", view.incident.map(|id| id.to_string()).into());
    put("muted", view.muted.as_ref().map_or(Json::Null, muted));
    put(
        "told",
        view.told.iter().map(|receiver| Json::from(&**receiver)).collect(),
    );
    Json::Object(object)
}

/// Which rule, and about whom: `dependency`, `host` or (both `null`) the monitor.
pub(super) fn about(key: &AlertKey) -> Map<String, Json> {
    let (dependency, host) = match &key.subject {
        Subject::Dependency(name) => (Json::from(&**name), Json::Null),
        Subject::Host(host) => (
            Json::Null,
            json!({"server": &*host.name, "port": host.port, "proxy": host.proxy.as_deref()}),
        ),
        Subject::Monitor => (Json::Null, Json::Null),
    };
    let pairs = [
        ("alert", Json::from(key.rule.id())),
        ("name", key.rule.name().into()),
        ("dependency", dependency),
        ("host", host),
    ];
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// What it says to people.
pub(super) fn text_keys(said: &AlertText) -> [(&'static str, Json); 7] {
    let evidence = said.evidence.iter();
    let evidence = evidence.map(|(key, value)| (key.to_string(), Json::from(&**value)));
    [
        ("summary", text(&said.summary)),
        ("description", text(&said.description)),
        ("fix", text(&said.fix)),
        ("cause", said.cause.map(|cause| cause.id()).into()),
        ("phase", said.phase.map(|phase| phase.id()).into()),
        ("speed", said.speed.map(|speed| speed.id()).into()),
        ("evidence", Json::Object(evidence.collect())),
    ]
}

/// When it came to stand as it does.
struct Times {
    since: Option<Wall>,
    pending: Option<Wall>,
    raised: Option<Wall>,
}

impl Times {
    fn of(state: AlertState) -> Times {
        let (since, pending, raised) = match state {
            AlertState::Quiet => (None, None, None),
            AlertState::Pending { since } => (Some(since), Some(since), None),
            AlertState::Firing { since, pending } => (Some(since), Some(pending), Some(since)),
            AlertState::Recovering {
                since,
                firing,
                pending,
            } => (Some(since), Some(pending), Some(firing)),
        };
        Times {
            since,
            pending,
            raised,
        }
    }
}

pub(super) fn time(at: Option<Wall>) -> Json {
    at.map(|at| at.to_string()).into()
}

pub(super) fn labels(labels: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> Json {
    let labels = labels.iter();
    Json::Object(
        labels
            .map(|(name, value)| (name.to_string(), Json::from(&**value)))
            .collect(),
    )
}

/// A number that is none (a ratio of nothing) is `null`.
fn comparison(compared: &Comparison) -> Json {
    json!({
        "what": compared.what,
        "value": compared.value,
        "threshold": compared.threshold,
        "unit": compared.unit,
        "met": compared.met,
    })
}

fn muted(muted: &Muted) -> Json {
    let which = match muted {
        Muted::Silence(which) | Muted::Maintenance(which) | Muted::Parent(which) | Muted::Peer(which) => {
            &**which
        }
        Muted::Unproven => "election",
        Muted::Overshadowed(rule) => rule.id(),
    };
    json!({"by": muted.id(), "which": which})
}
