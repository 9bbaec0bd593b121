use super::super::{decode, encode};
use super::*;
use crate::model::silence::{Matcher, Silence};

fn text() -> Arc<AlertText> {
    Arc::new(AlertText {
        summary: "payments is down".into(),
        description: "since noon".into(),
        fix: "renew it".into(),
        cause: Some(Cause::TlsCertExpired),
        phase: Some(Phase::Tls),
        speed: Some(Speed::Fast),
        evidence: vec![("not_after".into(), "yesterday".into())],
    })
}

fn key(rule: Rule) -> AlertKey {
    AlertKey {
        rule,
        subject: Subject::Dependency("payments".into()),
    }
}

fn host_key() -> AlertKey {
    AlertKey {
        rule: Rule::RetryMasked,
        subject: Subject::Host(HostKey {
            name: "2001:db8::1".into(),
            port: 443,
            proxy: Some("http://proxy:3128".into()),
        }),
    }
}

fn labels() -> Labels {
    Arc::from([("team".into(), "checkout".into())])
}

fn wall(secs: i64) -> Wall {
    Wall::from_unix_nanos(secs * 1_000_000_000 + 7)
}

fn survives(record: &Record) {
    let bytes = encode(record).expect("it can be written");
    assert_eq!(decode(record.key().kind, &bytes).as_ref(), Ok(record));
}

#[test]
fn alerts_in_every_state() {
    let (since, firing, pending) = (wall(30), wall(20), wall(10));
    for state in [
        AlertState::Quiet,
        AlertState::Pending { since },
        AlertState::Firing { since, pending },
        AlertState::Recovering {
            since,
            firing,
            pending,
        },
    ] {
        for key in [key(Rule::DependencyDownFast), host_key()] {
            survives(&Record::Alert(Box::new(KeptAlert {
                key,
                state,
                held: Duration::from_nanos(1_234_567_891),
                severity: Severity::Critical,
                labels: labels(),
                text: text(),
                incident: Some(IncidentId(u64::MAX)),
                ended: Some(Box::new(note(
                    Rule::Flapping,
                    Some((wall(4), ResolvedBecause::Recovered)),
                ))),
            })));
        }
    }
}

fn all_factors() -> Vec<Factor> {
    let address: IpAddr = "2001:db8::5".parse().expect("an address");
    vec![
        Factor::Monitor,
        Factor::Parent("dns".into()),
        Factor::Proxy("http://p:3128".into()),
        Factor::Resolver("10.0.0.2:53".into()),
        Factor::Certificate("ab".into()),
        Factor::Issuer("CN=x".into()),
        Factor::Offender(address),
        Factor::Address(address),
        Factor::Network(address, 48),
        Factor::HostName("h".into()),
        Factor::Host("h:1".into()),
        Factor::Dependency("payments".into()),
    ]
}

#[test]
fn incidents_with_every_factor() {
    survives(&Record::Incident(Box::new(KeptIncident {
        id: IncidentId(u64::MAX),
        since: wall(5),
        cause: Some(Cause::ProxyRefused),
        factors: all_factors(),
        serial: 3,
        founder: Rule::DependencyDownFast,
        severity: Severity::Critical,
        told: vec![KeptTold {
            receiver: "oncall".into(),
            last: wall(9),
            firing: vec![key(Rule::Flapping), host_key()],
            listed: vec!["orders".into()],
        }],
    })));
}

fn note(rule: Rule, ended: Option<(Wall, ResolvedBecause)>) -> AlertNote {
    AlertNote {
        key: key(rule),
        id: key(rule).id(),
        severity: Severity::Warning,
        since: wall(1),
        ended,
        labels: labels(),
        text: text(),
    }
}

#[test]
fn notifications() {
    for occasion in Occasion::ALL {
        survives(&Record::Outbox(Box::new(KeptNotification {
            id: OutboxId(42),
            receiver: "oncall".into(),
            expires: wall(99),
            notification: Arc::new(Notification {
                id: "abc-1".into(),
                occasion,
                at: wall(3),
                incident: IncidentId(7),
                since: wall(2),
                severity: Severity::Info,
                title: "it is down".into(),
                cause: None,
                factors: all_factors(),
                text: text(),
                labels: labels(),
                alerts: vec![
                    note(Rule::DependencyDownSlow, None),
                    note(Rule::AddressBroken, Some((wall(2), ResolvedBecause::Removed))),
                ],
                affected: vec!["a".into()],
                suppressed: vec!["b".into()],
            }),
        })));
    }
}

#[test]
fn silences() {
    survives(&Record::Silence(Box::new(Silence {
        id: "s1".into(),
        matchers: Arc::from([Matcher {
            label: "team".into(),
            pattern: "check*".into(),
            negated: true,
        }]),
        owner: "me".into(),
        reason: "because".into(),
        from: wall(1),
        until: wall(2),
        created: wall(0),
    })));
}

#[test]
fn what_is_not_known_is_said() {
    let bytes = encode(&Record::Alert(Box::new(KeptAlert {
        key: key(Rule::Flapping),
        state: AlertState::Quiet,
        held: Duration::ZERO,
        severity: Severity::Info,
        labels: labels(),
        text: text(),
        incident: None,
        ended: None,
    })))
    .expect("it can be written");
    let other = String::from_utf8(bytes)
        .expect("JSON")
        .replace("flapping", "floating");
    let kind = crate::model::record::RecordKind::Alert;
    assert!(matches!(
        decode(kind, other.as_bytes()),
        Err(Unreadable::Malformed(_))
    ));
    let newer = other.replace("\"version\":1", "\"version\":2");
    assert_eq!(decode(kind, newer.as_bytes()), Err(Unreadable::Version(2)));
}
