use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::export::log::kinds::Kind;
use crate::export::log::log_event;
use crate::export::samples;
use crate::model::event::Event;
use crate::model::failure::State;

/// What was written, entry by entry.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no test panics with it")
            .push(bytes.to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The entries that it makes, through the queue and its thread.
fn entries(act: impl FnOnce()) -> Vec<BTreeMap<String, String>> {
    let kept = Kept::default();
    let queue = writer::Queue::start(kept.clone(), |_| Vec::new()).expect("a thread");
    let subscriber = tracing_subscriber::registry().with(Entries::new(queue.clone()));
    tracing::subscriber::with_default(subscriber, act);
    drop(writer::Logging::new(queue));
    let all = kept.0.lock().expect("no test panics with it").clone();
    let decoded = |entry: &Vec<u8>| {
        fields(entry)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    all.iter().map(decoded).collect()
}

fn fails() -> Event {
    let dependency = Arc::new(samples::dependency("payments"));
    let failure = samples::expired();
    Event::StateChanged {
        from: State::Unknown,
        to: State::Failing {
            since: samples::SINCE,
            cause: failure.cause,
            phase: failure.phase,
            speed: failure.speed,
        },
        record: Arc::new(samples::failed_operation(dependency)),
    }
}

#[test]
fn a_failure_is_an_entry_with_its_fields_and_its_kind() {
    let all = entries(|| log_event(&fails()));
    assert_eq!(all.len(), 1, "{all:#?}");
    let entry = &all[0];
    let expected = [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "whyd"),
        ("MESSAGE_ID", Kind::DependencyFailing.message_id()),
        ("DEPENDENCY", "payments"),
        ("CAUSE", "tls.cert.date_invalid.expired"),
        ("PHASE", "tls"),
        ("SPEED", "fast"),
    ];
    for (name, value) in expected {
        assert_eq!(
            entry.get(name).map(String::as_str),
            Some(value),
            "{name} of {entry:#?}"
        );
    }
    assert!(
        entry["MESSAGE"].starts_with("payments is failing: "),
        "{entry:#?}"
    );
    assert!(!entry.keys().any(|name| name.starts_with("CODE_")), "{entry:#?}");
}

#[test]
fn a_message_of_several_lines_stays_whole() {
    let whole = "a.yaml:3:5\n  |\n3 | intervall: 10s\n";
    let all =
        entries(|| super::super::reload_refused(std::path::Path::new("/etc/whyd"), "a.yaml:3:5", whole));
    assert!(all[0]["MESSAGE"].ends_with(whole), "{all:#?}");
    assert_eq!(all[0]["REASON"], "a.yaml:3:5");
    assert_eq!(all[0]["PRIORITY"], "3");
}

#[test]
fn fields_of_other_crates_stay_in_the_text() {
    let all = entries(|| {
        tracing::warn!(target: "h2::codec", message_id = "x", priority = 0, _pid = 1, "connection reset");
        tracing::warn!(dropped = 3, "3 events were lost");
    });
    assert_eq!(
        all[0]["MESSAGE"],
        "connection reset message_id=x priority=0 _pid=1"
    );
    assert_eq!(all[0]["PRIORITY"], "4");
    assert!(
        !all[0].contains_key("MESSAGE_ID") && !all[0].contains_key("_PID"),
        "{all:#?}"
    );
    assert_eq!(all[1]["DROPPED"], "3", "our own are fields: {all:#?}");
}

#[test]
fn names_are_what_the_journal_takes() {
    assert_eq!(field_name("target_url").as_deref(), Some("TARGET_URL"));
    assert_eq!(field_name("otel.name").as_deref(), Some("OTEL_NAME"));
    for bad in ["_pid", "1st", "", "message", "priority", "syslog_identifier"] {
        assert_eq!(field_name(bad), None, "{bad}");
    }
    assert_eq!(field_name(&"x".repeat(100)).map(|name| name.len()), Some(NAME));
}

#[test]
fn a_value_is_bounded_and_stays_text() {
    let mut entry = Vec::new();
    put(&mut entry, "MESSAGE", &"é\n".repeat(VALUE));
    let all: Vec<_> = fields(&entry).collect();
    assert_eq!(all.len(), 1);
    assert!(all[0].1.len() <= VALUE && all[0].1.len() > VALUE - 4);
}

#[test]
fn entries_arrive_and_without_a_journal_they_are_lines() {
    let path: &'static str = Box::leak(
        format!(
            "{}/whyd-journal-{}",
            std::env::temp_dir().display(),
            std::process::id()
        )
        .into_boxed_str(),
    );
    let _ = std::fs::remove_file(path);
    let instead = Kept::default();
    assert!(Sink::new(path, instead.clone()).is_err(), "there is none");
    let journal = UnixDatagram::bind(path).expect("a socket");
    journal
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a limit");
    let mut sink = Sink::new(path, instead.clone()).expect("there is one");
    sink.write_all(&plain(6, "first\nof two lines")).expect("taken");
    let mut buffer = [0; 1024];
    let length = journal.recv(&mut buffer).expect("an entry");
    let all: Vec<_> = fields(&buffer[..length]).collect();
    assert_eq!(all[..2], [("PRIORITY", "6"), ("MESSAGE", "first\nof two lines")]);

    // It restarts: first there is none, then another one at the same place.
    drop(journal);
    sink.write_all(&plain(3, "in\nbetween"))
        .expect("written elsewhere");
    std::fs::remove_file(path).expect("it was there");
    let journal = UnixDatagram::bind(path).expect("a socket");
    sink.write_all(&plain(6, "third")).expect("taken");
    let length = journal.recv(&mut buffer).expect("an entry");
    assert_eq!(fields(&buffer[..length]).nth(1), Some(("MESSAGE", "third")));
    let written = instead.0.lock().expect("no test panics with it").concat();
    assert_eq!(String::from_utf8_lossy(&written), "<3>in between\n");
    let _ = std::fs::remove_file(path);
}
