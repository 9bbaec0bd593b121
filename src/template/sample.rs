//! Notifications of every kind, to try a template on: one alert and several, a host's and the monitor's, with a cause and
//! without, firing and over.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, AlertText, ResolvedBecause, Rule, Severity, Subject};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::HostKey;
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::{AlertNote, DeliveryId, DeliveryOrder, Links, Notification, Occasion};
use crate::model::phase::Phase;
use crate::model::receiver::{Channel, Receiver, Takes, Template, WebAuth, WebTarget};
use crate::model::secret::Text;
use crate::model::time::Wall;

const SINCE: Wall = Wall::from_unix_secs(1_795_478_400);

/// One order for each thing that a template may meet.
pub fn orders() -> Vec<DeliveryOrder> {
    let dependency = Subject::Dependency("payments".into());
    let many: Vec<AlertNote> = (0..3)
        .map(|n| {
            note(
                Rule::DependencyDownFast,
                Subject::Dependency(format!("d{n}").into()),
                n == 2,
            )
        })
        .collect();
    let host = note(Rule::RetryMasked, Subject::Host(host()), false);
    let monitor = note(Rule::MonitorOffline, Subject::Monitor, true);
    let one = |over| vec![note(Rule::DependencyDownFast, dependency.clone(), over)];
    [
        (Occasion::Opened, one(false)),
        (Occasion::Changed, many),
        (Occasion::Repeated, vec![host]),
        (Occasion::Closed, one(true)),
        (Occasion::Closed, vec![monitor]),
        (Occasion::Test, one(false)),
    ]
    .map(|(occasion, alerts)| order(occasion, alerts))
    .into()
}

fn order(occasion: Occasion, alerts: Vec<AlertNote>) -> DeliveryOrder {
    let several = alerts.len() > 1;
    let text = alerts
        .first()
        .map(|note| Arc::clone(&note.text))
        .unwrap_or_default();
    let notification = Notification {
        id: "0123456789abcdef-1".into(),
        occasion,
        at: SINCE + Duration::from_secs(90),
        incident: IncidentId(1),
        since: SINCE,
        severity: Severity::Critical,
        title: "payments is down".into(),
        cause: text.cause,
        factors: several
            .then(|| Factor::Proxy("192.0.2.1:3128".into()))
            .into_iter()
            .collect(),
        labels: alerts
            .first()
            .map(|note| Arc::clone(&note.labels))
            .unwrap_or_else(|| Arc::from([])),
        text,
        alerts,
        affected: several.then(|| "core-dns".into()).into_iter().collect(),
        suppressed: several.then(|| "checkout".into()).into_iter().collect(),
    };
    DeliveryOrder {
        delivery: DeliveryId(1),
        receiver: Arc::new(receiver()),
        notification: Arc::new(notification),
        tried: 0,
        links: Links {
            external_url: several.then(|| "https://whyd.example".into()),
            runbooks: "https://example.com/causes#".into(),
            shared: false,
        },
    }
}

fn receiver() -> Receiver {
    Receiver {
        name: "on-call".into(),
        channel: Channel::Webhook(WebTarget {
            url: Text::Plain("https://example.com/".into()),
            headers: Arc::from([]),
            auth: WebAuth::None,
            tls: Default::default(),
            proxy: None,
        }),
        takes: Takes {
            least: Severity::Info,
            matchers: Arc::from([]),
        },
        send_resolved: true,
        repeat: Receiver::REPEAT,
        per_minute: Receiver::PER_MINUTE,
        expire: Receiver::EXPIRE,
        timeout: Receiver::TIMEOUT,
        template: Template::default(),
    }
}

fn note(rule: Rule, subject: Subject, over: bool) -> AlertNote {
    let failed = matches!(subject, Subject::Dependency(_));
    let key = AlertKey { rule, subject };
    AlertNote {
        id: key.id(),
        severity: Severity::Critical,
        since: SINCE,
        ended: over.then_some((SINCE + Duration::from_secs(60), ResolvedBecause::Recovered)),
        labels: [("team".into(), "checkout".into())].into(),
        text: Arc::new(AlertText {
            summary: format!("{} is down", key.subject).into(),
            description: "It failed 3 times in a row.".into(),
            fix: "start it".into(),
            cause: failed.then_some(Cause::TcpRefusedRst),
            phase: failed.then_some(Phase::Connect),
            speed: failed.then_some(Speed::Fast),
            evidence: vec![("errno".into(), "ECONNREFUSED".into())],
        }),
        key,
    }
}

fn host() -> HostKey {
    HostKey {
        name: "payments.internal".into(),
        port: 443,
        proxy: None,
    }
}
