//! Notifications to receivers that other people wrote: Alertmanager, and aiosmtpd as a mail server.
//!
//! Not run by `cargo test`, since they must be installed; `.ci/run` installs them and runs
//! `cargo test --test receivers -- --ignored`.

#[path = "../harness/mod.rs"]
mod harness;

mod alertmanager;
mod daemon;
mod mail;
mod replicas;

use std::sync::Arc;
use std::time::Duration;

use whyd::model::alert::{AlertKey, AlertText, ResolvedBecause, Rule, Severity, Subject};
use whyd::model::cause::{Cause, Speed};
use whyd::model::incident::{Factor, IncidentId};
use whyd::model::notification::{AlertNote, DeliveryId, DeliveryOrder, Links, Notification, Occasion};
use whyd::model::phase::Phase;
use whyd::model::receiver::{Channel, Receiver, Takes, Template};
use whyd::model::time::Wall;
use whyd::net::wall;

/// An incident with these members, each of which fires or is over.
pub struct Incident {
    pub id: u64,
    pub serial: u32,
    pub members: Vec<(String, bool)>,
}

impl Incident {
    pub fn order(&self, channel: Channel) -> DeliveryOrder {
        let now = wall::now();
        let since = Wall::from_unix_secs(now.unix_secs() - 120);
        let alerts: Vec<AlertNote> = self
            .members
            .iter()
            .map(|(name, over)| note(name, since, over.then_some(now)))
            .collect();
        let over = self.members.iter().all(|(_, over)| *over);
        let notification = Notification {
            id: format!("{:016x}-{}", self.id, self.serial).into(),
            occasion: if over { Occasion::Closed } else { Occasion::Opened },
            at: now,
            incident: IncidentId(self.id),
            since,
            severity: Severity::Critical,
            title: format!("{} dependencies fail für Straße €", alerts.len()).into(),
            cause: Some(Cause::TcpRefusedRst),
            factors: vec![Factor::Proxy("192.0.2.1:3128".into())],
            text: Arc::clone(&alerts[0].text),
            labels: Arc::clone(&alerts[0].labels),
            alerts,
            affected: Vec::new(),
            suppressed: Vec::new(),
        };
        DeliveryOrder {
            delivery: DeliveryId(1),
            receiver: Arc::new(Receiver {
                name: "tried".into(),
                channel,
                takes: Takes {
                    least: Severity::Info,
                    matchers: Arc::from([]),
                },
                send_resolved: true,
                repeat: Receiver::REPEAT_ALERTMANAGER,
                per_minute: Receiver::PER_MINUTE,
                expire: Receiver::EXPIRE,
                timeout: Duration::from_secs(30),
                template: Template::default(),
            }),
            notification: Arc::new(notification),
            tried: 0,
            links: Links {
                external_url: Some("https://whyd.example".into()),
                runbooks: "https://docs.example/causes.md#".into(),
                shared: false,
            },
        }
    }
}

fn note(dependency: &str, since: Wall, ended: Option<Wall>) -> AlertNote {
    let key = AlertKey {
        rule: Rule::DependencyDownFast,
        subject: Subject::Dependency(dependency.into()),
    };
    AlertNote {
        id: key.id(),
        key,
        severity: Severity::Critical,
        since,
        ended: ended.map(|ended| (ended, ResolvedBecause::Recovered)),
        // A name that older Alertmanagers refuse, and an empty value, which is no label.
        labels: [
            ("team".into(), "checkout".into()),
            ("app.kubernetes.io/name".into(), "über".into()),
            ("none".into(), "".into()),
        ]
        .into(),
        text: Arc::new(AlertText {
            summary: format!("{dependency} is down: tcp.refused.rst (fast, in connect)").into(),
            description: "It failed 5 times in a row.\n.\nThat was a line with a dot.".into(),
            fix: "start the process that listens there".into(),
            cause: Some(Cause::TcpRefusedRst),
            phase: Some(Phase::Connect),
            speed: Some(Speed::Fast),
            evidence: vec![("errno".into(), "ECONNREFUSED".into())],
        }),
    }
}
