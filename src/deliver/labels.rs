//! An alert as Alertmanager speaks of one: labels, annotations, the page that shows it.

use std::collections::BTreeMap;

use url::Url;

use crate::model::alert::Subject;
use crate::model::notification::{AlertNote, DeliveryOrder, Links, Notification, Occasion};

use super::story::evidence_line;

/// The `alertname` of what a person sent to try a receiver.
const TEST: &str = "WhydTest";

/// What identifies the alert: the same each time it is told, also when it is over. Names are valid for Prometheus
/// (`[a-zA-Z_][a-zA-Z0-9_]*`; older Alertmanagers refuse others), and no value is empty, since an empty label is none.
/// Where several replicas tell of the same alert (`shared`), its labels must be the same whoever does: the incident, which each
/// makes of what it watches, is an annotation then.
pub fn labels(notification: &Notification, note: &AlertNote, shared: bool) -> BTreeMap<String, String> {
    let name = match notification.occasion {
        Occasion::Test => TEST,
        _ => note.key.rule.name(),
    };
    let mut labels = BTreeMap::from([
        ("alertname".to_owned(), name.to_owned()),
        ("severity".to_owned(), note.severity.id().to_owned()),
    ]);
    if !shared {
        labels.insert("incident".to_owned(), notification.incident.to_string());
    }
    match &note.key.subject {
        Subject::Dependency(name) => drop(labels.insert("dependency".to_owned(), name.to_string())),
        Subject::Host(host) => drop(labels.insert("host".to_owned(), host.to_string())),
        Subject::Monitor => {}
    }
    for (name, value) in note.labels.iter().filter(|(_, value)| !value.is_empty()) {
        let mut valid = valid_name(name);
        if is_ours(&valid) {
            continue;
        }
        // Two names may be the same once they are valid: neither is lost.
        while labels.get(&valid).is_some_and(|known| **known != **value) {
            valid.push('_');
        }
        labels.insert(valid, value.to_string());
    }
    labels
}

fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "alertname" | "severity" | "incident" | "dependency" | "host"
    )
}

/// The name with `_` in place of what may not be in it.
fn valid_name(name: &str) -> String {
    let mut valid: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if valid.is_empty() || valid.starts_with(|c: char| c.is_ascii_digit()) {
        valid.insert(0, '_');
    }
    valid
}

/// What the alert says, apart from who it is.
pub fn annotations(note: &AlertNote, links: &Links) -> BTreeMap<&'static str, String> {
    let text = &note.text;
    let mut annotations = BTreeMap::new();
    let mut put = |name, value: String| {
        if !value.is_empty() {
            annotations.insert(name, value);
        }
    };
    put("summary", text.summary.to_string());
    put("description", text.description.to_string());
    put("fix", text.fix.to_string());
    put("speed", text.speed.map_or("", |speed| speed.id()).to_owned());
    put("phase", text.phase.map_or("", |phase| phase.id()).to_owned());
    put("evidence", evidence_line(&text.evidence));
    if let Some(cause) = text.cause {
        put("cause", cause.id().to_owned());
        put("runbook_url", links.runbook(cause));
        put("explain", format!("whyd explain {}", cause.id()));
    }
    if let Some((_, because)) = note.ended {
        put("resolved_because", because.id().to_owned());
    }
    annotations
}

/// Where this daemon shows the alert's subject; `None` where nobody said how it is reached.
pub fn generator(order: &DeliveryOrder, note: &AlertNote) -> Option<String> {
    let mut url = Url::parse(order.links.external_url.as_deref()?).ok()?;
    let path: &[&str] = match &note.key.subject {
        Subject::Dependency(name) => &["api", "v1", "dependencies", name],
        Subject::Host(_) | Subject::Monitor => &["api", "v1", "alerts"],
    };
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::{Sample, note};

    #[test]
    fn names_become_valid_and_nothing_is_lost() {
        assert_eq!(valid_name("team"), "team");
        assert_eq!(valid_name("k8s.io/app"), "k8s_io_app");
        assert_eq!(valid_name("2nd"), "_2nd");
        assert_eq!(valid_name("ümlaut"), "_mlaut");
        assert_eq!(valid_name(""), "_");

        let mut alert = note("payments", None);
        alert.labels = [
            ("a.b", "1"),
            ("a-b", "2"),
            ("a_b", "3"),
            ("severity", "mine"),
            ("none", ""),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        let labels = labels(&Sample::default().notification(), &alert, false);
        assert_eq!(labels["a_b"], "1");
        assert_eq!(labels["a_b_"], "2");
        assert_eq!(labels["a_b__"], "3");
        assert_eq!(labels["severity"], "critical");
        assert!(!labels.contains_key("none"));
    }
}
