//! What receivers are sent, and what becomes of it.

mod goldens;
mod limits;
mod mail;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, AlertText, ResolvedBecause, Rule, Severity, Subject};
use crate::model::cause::{Cause, Speed};
use crate::model::incident::{Factor, IncidentId};
use crate::model::notification::{AlertNote, DeliveryId, DeliveryOrder, Links, Notification, Occasion};
use crate::model::phase::Phase;
use crate::model::receiver::{Channel, Email, MailSecurity, Receiver, Takes, Template, WebAuth, WebTarget};
use crate::model::secret::{Secret, SecretRef, Text};
use crate::model::time::Wall;

/// 2026-11-24T03:12:00Z.
const SINCE: Wall = Wall::from_unix_secs(1_795_489_920);

/// A notification that is changed where a test needs it.
pub struct Sample {
    pub occasion: Occasion,
    pub severity: Severity,
    pub alerts: Vec<AlertNote>,
    pub affected: Vec<Arc<str>>,
    pub template: Template,
    pub repeat: Duration,
    pub timeout: Duration,
    pub tried: u32,
}

impl Default for Sample {
    fn default() -> Self {
        Sample {
            occasion: Occasion::Opened,
            severity: Severity::Critical,
            alerts: vec![note("payments", None)],
            affected: Vec::new(),
            template: Template::default(),
            repeat: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            tried: 0,
        }
    }
}

impl Sample {
    /// Several members behind one proxy: one over, others on their way.
    pub fn several() -> Sample {
        Sample {
            occasion: Occasion::Changed,
            alerts: vec![
                note("payments", None),
                note("ledger <eu>", None),
                note("search", Some(600)),
            ],
            affected: vec!["mail".into(), "maps".into()],
            ..Sample::default()
        }
    }

    pub fn over() -> Sample {
        Sample {
            occasion: Occasion::Closed,
            alerts: vec![note("payments", Some(600))],
            ..Sample::default()
        }
    }

    /// With that many that fire and as many on their way.
    pub fn many(count: usize) -> Sample {
        Sample {
            alerts: (0..count)
                .map(|n| note(&format!("dependency-{n:04}"), None))
                .collect(),
            affected: (0..count).map(|n| format!("pending-{n:04}").into()).collect(),
            ..Sample::default()
        }
    }

    pub fn notification(&self) -> Notification {
        let several = self.alerts.len() > 1;
        let text = Arc::clone(&self.alerts[0].text);
        Notification {
            id: "00000000000000aa-7-on-call".into(),
            occasion: self.occasion,
            at: SINCE + Duration::from_secs(750),
            incident: IncidentId(0xaa),
            since: SINCE,
            severity: self.severity,
            title: if several {
                format!(
                    "{} dependencies fail at the proxy 192.0.2.1:3128",
                    self.alerts.len()
                )
                .into()
            } else {
                text.summary.clone()
            },
            cause: text.cause,
            factors: if several {
                vec![Factor::Proxy("192.0.2.1:3128".into())]
            } else {
                vec![Factor::Dependency("payments".into())]
            },
            labels: Arc::clone(&self.alerts[0].labels),
            text,
            alerts: self.alerts.clone(),
            affected: self.affected.clone(),
            suppressed: several.then(|| "checkout".into()).into_iter().collect(),
        }
    }

    pub fn order(self, channel: Channel) -> DeliveryOrder {
        let notification = Arc::new(self.notification());
        DeliveryOrder {
            delivery: DeliveryId(1),
            receiver: Arc::new(Receiver {
                name: "on-call".into(),
                channel,
                takes: Takes {
                    least: Severity::Info,
                    matchers: Arc::from([]),
                },
                send_resolved: true,
                repeat: self.repeat,
                per_minute: Receiver::PER_MINUTE,
                expire: Receiver::EXPIRE,
                timeout: self.timeout,
                template: self.template,
            }),
            notification,
            tried: self.tried,
            links: Links {
                external_url: Some("https://whyd.example".into()),
                runbooks: "https://docs.example/causes.md#".into(),
                shared: false,
            },
        }
    }
}

/// An alert of a dependency whose certificate is no good, which is over after so many seconds, if at all.
pub fn note(dependency: &str, over: Option<u64>) -> AlertNote {
    let key = AlertKey {
        rule: Rule::DependencyDownFast,
        subject: Subject::Dependency(dependency.into()),
    };
    let cause = Cause::TlsCertExpired;
    AlertNote {
        id: key.id(),
        severity: Severity::Critical,
        since: SINCE + Duration::from_secs(60),
        ended: over.map(|after| {
            let ended = SINCE + Duration::from_secs(after);
            (ended, ResolvedBecause::Recovered)
        }),
        labels: [("team".into(), "checkout".into()), ("tier".into(), "1".into())].into(),
        text: Arc::new(AlertText {
            summary: format!("{dependency} is down: {} (fast, in tls)", cause.id()).into(),
            description: format!("{dependency} failed 5 times in a row since 03:12, each time within 12 ms.")
                .into(),
            fix: "renew the certificate of api.internal (leaf, expired 3 days ago)".into(),
            cause: Some(cause),
            phase: Some(Phase::Tls),
            speed: Some(Speed::Fast),
            evidence: vec![
                ("not_after".into(), "2026-11-21T00:00:00Z".into()),
                ("chain_position".into(), "0".into()),
            ],
        }),
        key,
    }
}

pub fn target(url: &str) -> WebTarget {
    WebTarget {
        url: Text::Secret(secret(url)),
        headers: Arc::from([]),
        auth: WebAuth::None,
        tls: Default::default(),
        proxy: None,
    }
}

pub fn secret(text: &str) -> SecretRef {
    SecretRef::Inline(Secret::new(text))
}

pub fn email(port: u16, security: MailSecurity) -> Email {
    Email {
        host: "127.0.0.1".into(),
        port,
        security,
        tls: Default::default(),
        login: None,
        from: "whyd <whyd@example.org>".into(),
        to: ["On Call <oncall@example.org>".into(), "boss@example.org".into()].into(),
        hello: None,
    }
}
