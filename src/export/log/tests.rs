mod alerts;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::export::samples;
use crate::model::attempt::{StaleConnection, StaleKind};
use crate::model::event::{BreakerState, SkipReason};
use crate::model::time::Wall;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panics with it").clone()).expect("UTF-8")
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no test panics with it")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Written;

    fn make_writer(&self) -> Written {
        self.clone()
    }
}

fn logged(format: LogFormat, level: &str, act: impl FnOnce()) -> String {
    let lines = Written::default();
    let filter = filter(None, level).expect("a level");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone());
    match format {
        LogFormat::Text => {
            let subscriber = builder
                .with_ansi(false)
                .event_format(Lines { journald: false })
                .finish();
            tracing::subscriber::with_default(subscriber, act);
        }
        LogFormat::Json => {
            tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), act)
        }
        LogFormat::Journald => {
            tracing::subscriber::with_default(
                builder
                    .with_ansi(false)
                    .event_format(Lines { journald: true })
                    .finish(),
                act,
            );
        }
    }
    lines.text()
}

fn record() -> Arc<OperationRecord> {
    Arc::new(samples::failed_operation(Arc::new(samples::dependency(
        "payments",
    ))))
}

fn failing() -> State {
    let failure = samples::expired();
    State::Failing {
        since: samples::SINCE,
        cause: failure.cause,
        phase: failure.phase,
        speed: failure.speed,
    }
}

fn begins_to_fail() -> Event {
    Event::StateChanged {
        from: State::Unknown,
        to: failing(),
        record: record(),
    }
}

#[test]
fn a_failure_is_one_line_that_names_cause_and_fix() {
    let text = logged(LogFormat::Journald, "info", || log_event(&begins_to_fail()));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("<4>payments is failing: "), "{text}");
    assert!(
        text.contains("(tls.cert.date_invalid.expired), fast after 220 ms"),
        "{text}"
    );
    assert!(
        text.contains("fix: renew the certificate of payments.internal"),
        "{text}"
    );
}

#[test]
fn json_has_the_fields() {
    let text = logged(LogFormat::Json, "info", || log_event(&begins_to_fail()));
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["dependency"], "payments");
    assert_eq!(line["cause"], "tls.cert.date_invalid.expired");
    assert_eq!(line["phase"], "tls");
    assert_eq!(line["speed"], "fast");
    assert_eq!(line["fault"], "config");
    assert_eq!(line["attempts"], 2);
    assert_eq!(line["elapsed"], 0.22);
}

#[test]
fn recovery_says_what_it_was_and_how_long() {
    let mut record = samples::failed_operation(Arc::new(samples::dependency("payments")));
    record.failure = None;
    record.started = samples::SINCE + Duration::from_secs(754);
    let event = Event::StateChanged {
        from: failing(),
        to: State::Up {
            since: record.started,
        },
        record: Arc::new(record),
    };
    let text = logged(LogFormat::Text, "info", || log_event(&event));
    let wanted = "payments works again after 12 min 34 s (tls.cert.date_invalid.expired)";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn single_operations_are_told_at_debug_only() {
    let event = Event::OperationFinished(record());
    assert_eq!(logged(LogFormat::Text, "info", || log_event(&event)), "");
    let text = logged(LogFormat::Text, "debug", || log_event(&event));
    assert!(
        text.contains("payments: failed (tls.cert.date_invalid.expired) in 220 ms"),
        "{text}"
    );
}

#[test]
fn the_other_events_are_plain_sentences() {
    let dependency = Arc::new(samples::dependency("payments"));
    let events = [
        Event::BreakerChanged {
            dependency: dependency.clone(),
            from: BreakerState::Admitting,
            to: BreakerState::Suppressing,
        },
        Event::ProbesSkipped {
            dependency: dependency.clone(),
            count: 3,
            reason: SkipReason::Late,
        },
        Event::KeepaliveReset {
            dependency,
            stale: StaleConnection {
                kind: StaleKind::Closed,
                address: ([10, 0, 0, 7], 443).into(),
                idle: Duration::from_secs(60),
                measured: true,
            },
        },
        Event::PlanApplied {
            added: 2,
            changed: 1,
            removed: 0,
            unchanged: 5,
        },
        Event::Drained,
    ];
    let text = logged(LogFormat::Journald, "debug", || events.iter().for_each(log_event));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("<6>payments: it keeps failing, so retries"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("<4>payments: 3 scheduled operations left out (this process"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("<7>payments had closed a kept connection (closed) after 60.0 s"),
        "{text}"
    );
    assert!(
        lines[3].starts_with("<6>configuration in force: dependencies: 2 added"),
        "{text}"
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_line_break_cannot_forge_an_entry() {
    let mut dependency = samples::dependency("payments");
    dependency.name = "pay\n<0>forged".into();
    let mut record = samples::failed_operation(Arc::new(dependency));
    record.started = Wall::default();
    let event = Event::StateChanged {
        from: State::Unknown,
        to: failing(),
        record: Arc::new(record),
    };
    let text = logged(LogFormat::Journald, "info", || log_event(&event));
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn chatter_of_other_crates_is_left_out_unless_asked_for() {
    let chatter = || tracing::info!(target: "h2", "frame");
    assert_eq!(logged(LogFormat::Text, "info", chatter), "");
    assert!(logged(LogFormat::Text, "info,h2=debug", chatter).contains("frame"));
    let fields = || tracing::warn!(target: "h2", frame = 7, "odd");
    assert!(
        logged(LogFormat::Text, "info", fields).ends_with("odd frame=7\n"),
        "others keep their fields"
    );
    assert!(filter(Some("whyd=nonsense=1"), "info").is_err());
    assert!(
        filter(Some(""), "debug")
            .expect("the level")
            .to_string()
            .contains("debug")
    );
}
