//! What `whyd alerts test` sends: a notification that is as real as any, and says that it is none.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, AlertText, ResolvedBecause, Rule, Severity, Subject, stable_hash};
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::{AlertNote, Notification, Occasion};
use crate::model::receiver::{Channel, Receiver};
use crate::model::time::Wall;

use super::alertmanager;

/// A test that fires; and its end, where the receiver would go on to show it as firing.
pub fn notifications(receiver: &Receiver, labels: &[(Arc<str>, Arc<str>)], now: Wall) -> Vec<Notification> {
    let firing = notification(receiver, labels, now, false);
    match receiver.channel {
        Channel::PagerDuty { .. } | Channel::Opsgenie { .. } => {
            vec![firing, notification(receiver, labels, now, true)]
        }
        Channel::Webhook(_) if receiver.send_resolved => {
            vec![firing, notification(receiver, labels, now, true)]
        }
        // Alertmanager tells nobody of an alert that is over before its `group_wait` is; the others keep no states.
        _ => vec![firing],
    }
}

/// What is to be known of the test beside its outcome.
pub fn note(receiver: &Receiver) -> Option<String> {
    matches!(receiver.channel, Channel::Alertmanager(_)).then(|| {
        let minutes = alertmanager::life(receiver, false).as_secs().div_ceil(60);
        format!("the test is over there by itself in {minutes} minutes")
    })
}

fn notification(receiver: &Receiver, labels: &[(Arc<str>, Arc<str>)], now: Wall, over: bool) -> Notification {
    // As severe as it must be to pass what the receiver takes, and no more.
    let severity = Severity::Info.max(receiver.takes.least);
    let text = Arc::new(AlertText {
        summary: format!("this is a test of the receiver {}", receiver.name).into(),
        description: format!(
            "Somebody ran `whyd alerts test {}`. Nothing has failed, and nothing is to be done.",
            receiver.name
        )
        .into(),
        fix: "nothing: that you read this is the result".into(),
        evidence: vec![("version".into(), env!("CARGO_PKG_VERSION").into())],
        ..AlertText::default()
    });
    let key = AlertKey {
        rule: Rule::MonitorDeliveriesFailing,
        subject: Subject::Monitor,
    };
    let when = now.to_string();
    let incident = IncidentId(stable_hash(&["test", &receiver.name, &when]));
    let labels: Arc<[_]> = labels.into();
    let ended = over.then_some((now + Duration::from_secs(1), ResolvedBecause::Recovered));
    Notification {
        id: format!("test-{incident}-{}", if over { "over" } else { "firing" }).into(),
        occasion: Occasion::Test,
        at: now,
        incident,
        since: now,
        severity,
        title: text.summary.clone(),
        cause: None,
        factors: vec![Factor::Monitor],
        text: Arc::clone(&text),
        labels: Arc::clone(&labels),
        alerts: vec![AlertNote {
            id: key.id(),
            key,
            severity,
            since: now,
            ended,
            labels,
            text,
        }],
        affected: Vec::new(),
        suppressed: Vec::new(),
    }
}
