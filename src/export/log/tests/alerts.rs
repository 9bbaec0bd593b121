use std::time::Duration;

use super::super::{LogFormat, alerts, log_event};
use super::logged;
use crate::model::alert::{AlertChange, AlertState, AlertView, ResolvedBecause, Rule, Severity};
use crate::model::event::{Delivered, DeliveryEvent, Event};
use crate::report::samples::alerts as samples;

fn line(level: &str, change: AlertChange, view: &AlertView) -> String {
    let now = samples::raised() + Duration::from_secs(692);
    logged(LogFormat::Journald, level, || alerts::alert(change, view, now))
}

#[test]
fn an_alert_that_fires_says_what_since_when_and_what_to_do_as_loudly_as_it_is_grave() {
    let mut view = samples::alert(Rule::DependencyDownFast, "payments");
    assert_eq!(
        line("info", AlertChange::Fired, &view),
        "<3>alert, critical: payments is down: tls.cert.date_invalid.expired (fast, in tls), since \
         2026-11-24T03:02:11Z (12 min 34 s); fix: renew the certificate of payments.internal\n"
    );
    view.severity = Severity::Warning;
    assert!(line("info", AlertChange::Fired, &view).starts_with("<4>alert, warning: "));
    view.severity = Severity::Info;
    assert!(line("info", AlertChange::Fired, &view).starts_with("<6>alert, info: "));
    let text = line("info", AlertChange::Fired, &samples::muted(view));
    assert!(text.contains("; nobody is told: silence 5f0c6a2e"), "{text}");
}

#[test]
fn a_summary_without_its_cause_is_given_it() {
    let mut view = samples::alert(Rule::DependencyDownFast, "payments");
    let mut text = samples::text("payments");
    text.summary = "payments is down".into();
    view.text = text.into();
    let text = line("info", AlertChange::Fired, &view);
    assert!(
        text.contains("payments is down (tls.cert.date_invalid.expired, fast), since"),
        "{text}"
    );
}

#[test]
fn the_end_of_an_alert_says_how_long_it_lasted_and_why_it_ended() {
    let mut view = samples::alert(Rule::DependencyDownFast, "payments");
    let over = AlertChange::Resolved(ResolvedBecause::Recovered);
    let text = line("info", over, &view);
    assert!(
        text.starts_with("<6>alert over after 11 min 32 s: payments is down"),
        "{text}"
    );
    view.state = AlertState::Recovering {
        since: samples::raised() + Duration::from_secs(600),
        firing: samples::raised(),
        pending: samples::FAILED,
    };
    assert_eq!(line("info", over, &view), text, "as long as since it was raised");
    let removed = line("info", AlertChange::Resolved(ResolvedBecause::Removed), &view);
    assert!(
        removed.contains("11 min 32 s (it left the configuration): "),
        "{removed}"
    );
    view.state = AlertState::Quiet;
    assert!(line("info", over, &view).starts_with("<6>alert over: "));
}

#[test]
fn what_was_not_raised_is_told_at_debug_only() {
    let view = samples::alert(Rule::RetryMasked, "payments");
    for change in [
        AlertChange::Pending,
        AlertChange::Cleared,
        AlertChange::Recovering,
        AlertChange::Relapsed,
    ] {
        assert_eq!(line("info", change, &view), "");
        let text = line("debug", change, &view);
        assert!(
            text.starts_with("<7>alert retry_masked of payments.internal:443 is "),
            "{text}"
        );
    }
}

#[test]
fn machines_have_the_same_in_fields() {
    let view = samples::alert(Rule::DependencyDownFast, "payments");
    let event = Event::AlertChanged {
        change: AlertChange::Fired,
        view: Box::new(view.clone()),
    };
    let text = logged(LogFormat::Json, "info", || log_event(&event));
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (field, value) in [
        ("level", "ERROR"),
        ("alert", "dependency_down_fast"),
        ("alert_id", &view.id.to_string()),
        ("change", "fired"),
        ("severity", "critical"),
        ("dependency", "payments"),
        ("cause", "tls.cert.date_invalid.expired"),
        ("phase", "tls"),
        ("speed", "fast"),
        ("since", "2026-11-24T03:02:11Z"),
        ("incident", "123456789abcdef0"),
        ("fix", "renew the certificate of payments.internal"),
    ] {
        assert_eq!(line[field], value, "{field} in {text}");
    }
    assert_eq!(line.get("host"), None);
    assert_eq!(line.get("muted"), None);
}

#[test]
fn a_receiver_that_takes_nothing_is_loud() {
    let told = |what| {
        let event = Event::Delivery(DeliveryEvent {
            receiver: "pager".into(),
            notification: "n1".into(),
            title: "payments is down".into(),
            what,
        });
        logged(LogFormat::Journald, "info", || log_event(&event))
    };
    assert_eq!(
        told(Delivered::Accepted { tries: 1 }),
        "<6>pager was told: payments is down\n"
    );
    assert!(told(Delivered::Accepted { tries: 4 }).starts_with("<6>pager was told at the 4. try: "));
    let failing = told(Delivered::Failing {
        why: "503 Service Unavailable".into(),
    });
    assert!(
        failing.starts_with("<4>pager does not take notifications"),
        "{failing}"
    );
    assert!(
        failing.contains("503 Service Unavailable; what it should hear: payments is down"),
        "{failing}"
    );
    let lost = told(Delivered::GivenUp {
        why: "not taken within 24 h".into(),
    });
    assert!(
        lost.starts_with("<3>pager was never told and will not be: not taken within 24 h; "),
        "{lost}"
    );
}
