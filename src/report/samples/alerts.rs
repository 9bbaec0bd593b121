//! Alerts, incidents, silences and receivers for tests: with everything that they can have.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{
    AlertKey, AlertState, AlertText, AlertView, Comparison, Evaluation, Holds, Muted, Rule, RuleScope,
    Severity, Subject,
};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::HostKey;
use crate::model::incident::{Factor, IncidentId, IncidentView, Member};
use crate::model::notification::ReceiverView;
use crate::model::phase::Phase;
use crate::model::silence::{Matcher, Silence, SilenceView};
use crate::model::time::Wall;

/// When the samples begin to fail: 2026-11-24T03:02:11Z.
pub(crate) const FAILED: Wall = Wall::from_unix_secs(1_795_489_331);
/// When they are raised.
pub(crate) fn raised() -> Wall {
    FAILED + Duration::from_secs(62)
}

/// An alert that fires, about that dependency or, by its rule's scope, about its host or the monitor.
pub(crate) fn alert(rule: Rule, dependency: &str) -> AlertView {
    let subject = match rule.scope() {
        RuleScope::Dependency => Subject::Dependency(dependency.into()),
        RuleScope::Host => Subject::Host(HostKey {
            name: format!("{dependency}.internal").into(),
            port: 443,
            proxy: None,
        }),
        RuleScope::Monitor => Subject::Monitor,
    };
    let key = AlertKey { rule, subject };
    AlertView {
        id: key.id(),
        state: AlertState::Firing {
            since: raised(),
            pending: FAILED,
        },
        severity: Severity::Critical,
        labels: Arc::from([("team".into(), "checkout".into())]),
        text: Arc::new(text(&key.subject.to_string())),
        evaluation: Evaluation {
            holds: Holds::Yes,
            compared: vec![
                Comparison {
                    what: "failed operations in a row",
                    value: 7.0,
                    threshold: 3.0,
                    unit: "",
                    met: true,
                },
                Comparison {
                    what: "for as long as",
                    value: 62.0,
                    threshold: 60.0,
                    unit: "s",
                    met: true,
                },
            ],
            text: "the last 7 operations failed, the first 62 s ago".into(),
        },
        incident: Some(IncidentId(0x1234_5678_9abc_def0)),
        muted: None,
        told: vec!["pager".into(), "chat".into()],
        key,
    }
}

pub(crate) fn text(subject: &str) -> AlertText {
    AlertText {
        summary: format!("{subject} is down: tls.cert.date_invalid.expired (fast, in tls)").into(),
        description: "7 operations in a row failed since 2026-11-24T03:02:11Z.".into(),
        fix: format!("renew the certificate of {subject}.internal").into(),
        cause: Some(Cause::TlsCertExpired),
        phase: Some(Phase::Tls),
        speed: Some(Speed::Fast),
        evidence: vec![("not_after".into(), "2026-11-24T03:02:10Z".into())],
    }
}

/// One that is quiet, of those that `why` gives.
pub(crate) fn quiet(rule: Rule, dependency: &str) -> AlertView {
    AlertView {
        state: AlertState::Quiet,
        severity: Severity::Warning,
        text: Arc::default(),
        evaluation: Evaluation {
            holds: Holds::No,
            compared: vec![Comparison {
                what: "lower bound of the share of operations that succeed only after a retry, in 1 h",
                value: 0.0123,
                threshold: 0.05,
                unit: "1",
                met: false,
            }],
            text: "4 of 120 operations succeeded only after a retry".into(),
        },
        incident: None,
        told: Vec::new(),
        ..alert(rule, dependency)
    }
}

/// An incident of two dependencies behind one proxy, with one that is about to join and one that needs them.
pub(crate) fn incident() -> IncidentView {
    let member = |name: &str, state| Member {
        key: AlertKey {
            rule: Rule::DependencyDownFast,
            subject: Subject::Dependency(name.into()),
        },
        state,
        since: raised(),
    };
    IncidentView {
        id: IncidentId(0x1234_5678_9abc_def0),
        since: FAILED,
        severity: Severity::Critical,
        cause: Some(Cause::ProxyRefused),
        factors: vec![
            Factor::Proxy("http://proxy.internal:3128".into()),
            Factor::Network([10, 0, 0, 0].into(), 24),
        ],
        title: "3 dependencies fail behind http://proxy.internal:3128: proxy.refused".into(),
        text: Arc::new(text("payments")),
        members: vec![
            member("payments", "firing"),
            member("orders", "recovering"),
            member("ledger", "pending"),
        ],
        suppressed: vec!["checkout".into()],
        told: vec![("pager".into(), raised() + Duration::from_secs(11))],
    }
}

/// A silence that a person made.
pub(crate) fn silence() -> SilenceView {
    SilenceView {
        silence: Silence {
            id: "5f0c6a2e".into(),
            matchers: Arc::from([matcher("dependency", "pay*", false), matcher("env", "prod", true)]),
            owner: "jo".into(),
            reason: "the certificate is being renewed".into(),
            from: FAILED,
            until: FAILED + Duration::from_secs(7200),
            created: FAILED,
        },
        configured: false,
        active: true,
        muting: 2,
    }
}

fn matcher(label: &str, pattern: &str, negated: bool) -> Matcher {
    Matcher {
        label: label.into(),
        pattern: pattern.into(),
        negated,
    }
}

/// A receiver that takes nothing at present.
pub(crate) fn receiver(name: &str) -> ReceiverView {
    ReceiverView {
        name: name.into(),
        channel: "webhook",
        waiting: 2,
        oldest: Some(raised()),
        delivered: 5,
        failed: 3,
        expired: 1,
        failing: Some((3, "503 Service Unavailable".into())),
        last_delivered: Some(FAILED),
    }
}

/// The same alert, told of by nobody because of a silence.
pub(crate) fn muted(view: AlertView) -> AlertView {
    AlertView {
        muted: Some(Muted::Silence("5f0c6a2e".into())),
        told: Vec::new(),
        ..view
    }
}
