//! Asking dependencies once through the configuration and the daemon's loop, and reading what was concluded.

use std::collections::HashMap;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use whyd::config;
use whyd::daemon::run_once;
use whyd::model::cause::Speed;
use whyd::model::failure::{Failure, OperationRecord};
use whyd::model::plan::Plan;
use whyd::report::style::Style;
use whyd::report::{human, json};

#[path = "../harness/examples.rs"]
pub mod examples;

/// Limit of everything that is waited for.
pub const LIMIT: Duration = Duration::from_secs(30);

/// One dependency as its file has it.
#[derive(Clone)]
pub struct Ask {
    name: String,
    url: String,
    keys: Vec<String>,
}

impl Ask {
    pub fn new(url: impl Into<String>) -> Ask {
        Ask {
            name: "it".to_owned(),
            url: url.into(),
            keys: Vec::new(),
        }
    }

    pub fn named(self, name: &str) -> Ask {
        Ask {
            name: name.to_owned(),
            ..self
        }
    }

    /// Adds a key of the dependency, as YAML in flow style: `timeouts: {body: 300ms}`.
    pub fn with(mut self, key: impl Into<String>) -> Ask {
        self.keys.push(key.into());
        self
    }

    fn yaml(&self) -> String {
        let quoted = Json::from(self.url.as_str());
        let keys: String = self.keys.iter().map(|key| format!("    {key}\n")).collect();
        format!("  - name: {}\n    url: {quoted}\n{keys}", self.name)
    }
}

/// What holds for every scenario unless it says otherwise: one attempt, so that a failure concludes at once; and a wide
/// boundary of "fast", so that on a busy machine what is slow is so because it used up a timeout.
const DEFAULTS: &str = "\
defaults:
  interval: 60s
  retry: {attempts: 1}
  fast_below: 5s
dependencies:
";

/// A plan of these dependencies, made by the public configuration.
pub fn plan(asks: &[Ask]) -> Plan {
    let directory = Directory::new();
    let text: String = asks.iter().map(Ask::yaml).collect();
    let path = directory.write("whyd.yaml", &format!("{DEFAULTS}{text}"));
    let loaded = config::load(&path, &HashMap::<&str, &str>::new());
    match loaded {
        Ok(loaded) => loaded.plan,
        Err(wrong) => panic!("the scenario's configuration is wrong:\n{wrong}\n{text}"),
    }
}

/// Asks one dependency once.
pub async fn ask(it: Ask) -> Diagnosis {
    let mut all = ask_all(&[it]).await;
    all.pop().expect("one dependency, one diagnosis")
}

/// Asks `http://address/` or another URL with nothing special.
pub async fn ask_url(url: impl Into<String>) -> Diagnosis {
    ask(Ask::new(url)).await
}

/// Asks all of them in one round, and returns what was concluded in their order.
pub async fn ask_all(asks: &[Ask]) -> Vec<Diagnosis> {
    let mut found = conclude(plan(asks)).await;
    let take = |ask: &Ask| {
        found
            .remove(&ask.name)
            .unwrap_or_else(|| panic!("{} was not concluded", ask.name))
    };
    asks.iter().map(take).collect()
}

/// Runs one round and returns the diagnoses by name.
pub async fn conclude(plan: Plan) -> HashMap<String, Diagnosis> {
    let mut found = HashMap::new();
    let round = run_once(plan, pending(), |record| {
        keep_example(&record);
        found.insert(
            record.dependency.name.to_string(),
            Diagnosis(json::operation(&record)),
        );
    });
    let ended = tokio::time::timeout(LIMIT, round).await;
    ended.expect("a round ends").expect("the daemon starts");
    found
}

/// What `check` would have printed of this operation, as an example of its cause.
pub fn keep_example(record: &OperationRecord) {
    let mut masked = record
        .attempts
        .iter()
        .rev()
        .filter_map(|attempt| attempt.failure.as_ref());
    // The tests draw the line of "fast" wide; where that shows, the example would mislead.
    let shows = |failure: &Failure| failure.speed == Speed::Fast && record.elapsed > Duration::from_secs(1);
    if let Some(failure) = record.failure.as_ref().or_else(|| masked.next())
        && !shows(failure)
    {
        examples::keep(failure.cause.id(), &human::operation(record, &Style::default()));
    }
}

/// A directory for a scenario's files. It goes away with its handle.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("whyd-faults-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the scenario");
        Directory(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a scenario's file");
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays in the temporary directory is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One object of `check --output json`.
#[derive(Clone, Debug)]
pub struct Diagnosis(pub Json);

impl Diagnosis {
    /// The operation failed like this: `cause phase speed fault retryable`, as CAUSES.md has its columns. A phase that
    /// does not exist is `-`.
    #[track_caller]
    pub fn failed(&self, facts: &str) -> &Diagnosis {
        self.concluded("failed", facts)
    }

    #[track_caller]
    pub fn concluded(&self, verdict: &str, facts: &str) -> &Diagnosis {
        let text = |key: &str| self.0[key].as_str().unwrap_or("-").to_owned();
        let found = ["cause", "phase", "speed", "fault", "retryable"]
            .map(text)
            .join(" ");
        assert_eq!(
            (self.verdict(), found.as_str()),
            (verdict, facts),
            "{}",
            self.pretty()
        );
        let fix = self.0["fix"].as_str().unwrap_or_default();
        assert!(
            !fix.is_empty() && !fix.contains('\n'),
            "one line says what to do: {fix:?}"
        );
        self.phases_are_sound();
        self
    }

    /// It answered, and nothing is to be said about it.
    #[track_caller]
    pub fn healthy(&self) -> &Diagnosis {
        assert_eq!(self.verdict(), "ok", "{}", self.pretty());
        assert!(self.0["cause"].is_null(), "{}", self.pretty());
        assert_eq!(self.0["findings"], serde_json::json!([]), "{}", self.pretty());
        self.phases_are_sound();
        self
    }

    /// It answered, and this is worth knowing. Returns the finding's evidence.
    #[track_caller]
    pub fn finding(&self, id: &str) -> &Json {
        assert_eq!(self.verdict(), "ok", "{}", self.pretty());
        let findings = self.0["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["id"] == id);
        &found.unwrap_or_else(|| panic!("no finding {id}: {}", self.pretty()))["evidence"]
    }

    #[track_caller]
    pub fn evidence(&self, key: &str, expected: impl Into<Json>) -> &Diagnosis {
        assert_eq!(self.get(key), &expected.into(), "{key}: {}", self.pretty());
        self
    }

    /// The evidence of that name as text holds these words.
    #[track_caller]
    pub fn says(&self, key: &str, words: &str) -> &Diagnosis {
        let text = match self.get(key) {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert!(
            text.contains(words),
            "{key} = {text:?}, not {words:?}: {}",
            self.pretty()
        );
        self
    }

    #[track_caller]
    pub fn confidence(&self, expected: &str) -> &Diagnosis {
        assert_eq!(self.0["confidence"], expected, "{}", self.pretty());
        self
    }

    #[track_caller]
    pub fn fix(&self, words: &str) -> &Diagnosis {
        let fix = self.0["fix"].as_str().unwrap_or_default();
        assert!(fix.contains(words), "{fix:?} does not say {words:?}");
        self
    }

    #[track_caller]
    pub fn alternative(&self, cause: &str) -> &Diagnosis {
        let alternatives = self.0["alternatives"].as_array().expect("alternatives");
        assert!(
            alternatives.iter().any(|other| other == cause),
            "{}",
            self.pretty()
        );
        self
    }

    /// A figure of the evidence, in its unit.
    #[track_caller]
    pub fn number(&self, key: &str) -> f64 {
        self.get(key)
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {}", self.pretty()))
    }

    #[track_caller]
    pub fn get(&self, key: &str) -> &Json {
        let found = &self.0["evidence"][key];
        assert!(!found.is_null(), "no evidence {key}: {}", self.pretty());
        found
    }

    pub fn lacks(&self, key: &str) -> bool {
        self.0["evidence"][key].is_null()
    }

    pub fn verdict(&self) -> &str {
        self.0["verdict"].as_str().unwrap_or_default()
    }

    pub fn attempts(&self) -> &[Json] {
        self.0["attempts"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Milliseconds that the operation took.
    pub fn elapsed(&self) -> f64 {
        self.0["elapsed"].as_f64().expect("elapsed") * 1_000.0
    }

    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.0).expect("JSON prints")
    }

    /// A phase that was not reached has no timing, and the one that failed has one.
    #[track_caller]
    fn phases_are_sound(&self) {
        const ORDER: [&str; 8] = [
            "resolve",
            "connect",
            "proxy",
            "tls",
            "request",
            "first_byte",
            "body",
            "verify",
        ];
        let place = |name: &str| ORDER.iter().position(|phase| *phase == name);
        for attempt in self.attempts() {
            let phases = attempt["phases"].as_object().expect("phases");
            assert!(
                phases.keys().all(|name| place(name).is_some()),
                "{}",
                self.pretty()
            );
            let Some(failed) = attempt["failure"]["phase"].as_str() else {
                continue;
            };
            assert!(phases.contains_key(failed), "{failed}: {}", self.pretty());
        }
    }
}
