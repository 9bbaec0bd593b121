//! The whole corpus against the reader of client errors, and its score, the held-out versions apart.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use whyd::clients::explain;
use whyd::model::cause::Cause;

/// One client in one version, as tests/client_errors/collect/collect.py wrote it.
#[derive(Deserialize)]
struct Record {
    client: String,
    version: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// What was really running.
    fault: String,
    /// Its cause.
    cause: String,
    /// Causes that may be named before it where a text does not tell them apart; the true one must then be among the
    /// alternatives.
    also: Vec<String>,
    text: String,
}

/// How an entry came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The true cause is the first answer.
    Exact,
    /// The text does not tell; the first answer is one that it may stand for, and the true cause is among the alternatives.
    Listed,
    /// Another answer, with alternatives.
    WrongWithAlternatives,
    /// Another answer and nothing else.
    Wrong,
    NotRecognised,
}

#[derive(Default)]
struct Score(BTreeMap<Outcome, usize>);

impl Score {
    fn of(&self, outcome: Outcome) -> usize {
        self.0.get(&outcome).copied().unwrap_or(0)
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn named(&self) -> f64 {
        (self.of(Outcome::Exact) + self.of(Outcome::Listed)) as f64 / self.total() as f64
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} % of {} texts named: {} by the first answer, {} with the true cause among the alternatives of a text \
             that cannot tell; {} wrong with alternatives, {} wrong without, {} not recognised",
            self.named() * 100.0,
            self.total(),
            self.of(Outcome::Exact),
            self.of(Outcome::Listed),
            self.of(Outcome::WrongWithAlternatives),
            self.of(Outcome::Wrong),
            self.of(Outcome::NotRecognised)
        )
    }
}

fn records(set: &str) -> Vec<Record> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/client_errors")
        .join(set);
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).expect("a readable file");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}

fn judge(entry: &Entry) -> (Outcome, String) {
    let explanation = explain(&entry.text);
    let first = explanation.cause.id();
    let listed = explanation
        .alternatives
        .iter()
        .any(|cause| cause.id() == entry.cause);
    let outcome = if first == entry.cause {
        Outcome::Exact
    } else if explanation.cause == Cause::Unknown {
        Outcome::NotRecognised
    } else if listed && entry.also.iter().any(|id| id == first) {
        Outcome::Listed
    } else if explanation.alternatives.is_empty() {
        Outcome::Wrong
    } else {
        Outcome::WrongWithAlternatives
    };
    let others: Vec<_> = explanation.alternatives.iter().map(|cause| cause.id()).collect();
    (
        outcome,
        format!("{first} [{}] by {:?}", others.join(" "), explanation.words),
    )
}

/// Judges a whole set. What failed is printed, unless its texts are not to be looked at.
fn score(set: &str, show: bool) -> Score {
    let mut score = Score::default();
    for record in records(set) {
        for entry in &record.entries {
            let cause: Result<Cause, ()> = entry.cause.parse();
            assert!(cause.is_ok(), "{} is no cause ({})", entry.cause, entry.fault);
            let (outcome, answer) = judge(entry);
            *score.0.entry(outcome).or_default() += 1;
            if show && outcome > Outcome::Listed {
                println!(
                    "{outcome:?}: {} {} {}: expected {}, got {answer}\n    {}",
                    record.client,
                    record.version,
                    entry.fault,
                    entry.cause,
                    tail(&entry.text)
                );
            }
        }
    }
    println!("{set}: {score}");
    score
}

fn tail(text: &str) -> String {
    let shown: Vec<char> = text.trim().chars().rev().take(300).collect();
    shown.into_iter().rev().collect::<String>().replace('\n', "⏎")
}

const NAMED: f64 = 0.95;

#[test]
fn texts_of_the_versions_that_were_looked_at_are_named() {
    let score = score("seen", true);
    assert!(score.named() >= NAMED, "{score}");
    assert_eq!(score.of(Outcome::Wrong), 0, "{score}");
}

#[test]
fn texts_of_the_held_out_versions_are_named() {
    // Their texts are shown only to somebody who asks, since they are not to be read while patterns are written.
    let score = score("held_out", std::env::var_os("WHYD_SHOW_HELD_OUT").is_some());
    assert!(score.named() >= NAMED, "{score}");
    assert_eq!(score.of(Outcome::Wrong), 0, "{score}");
}

#[test]
fn the_corpus_is_large_enough_and_a_third_of_it_is_held_out() {
    let count = |set| {
        records(set)
            .iter()
            .map(|record| record.entries.len())
            .sum::<usize>()
    };
    let (seen, held_out) = (count("seen"), count("held_out"));
    assert!(seen + held_out >= 120, "{seen} and {held_out}");
    assert!(
        held_out * 10 >= (seen + held_out) * 3,
        "{held_out} of {}",
        seen + held_out
    );
    let versions: std::collections::BTreeSet<_> = records("held_out")
        .into_iter()
        .map(|record| (record.client, record.version))
        .collect();
    for record in records("seen") {
        let both = versions.contains(&(record.client.clone(), record.version.clone()));
        assert!(!both, "{} {} is in both sets", record.client, record.version);
    }
}

#[test]
fn what_explain_shows_of_a_cause_was_heard_from_that_client() {
    let all: Vec<Record> = ["seen", "held_out"].into_iter().flat_map(records).collect();
    for &cause in Cause::ALL {
        for heard in cause.heard() {
            let found = all
                .iter()
                .filter(|record| format!("{} {}", record.client, record.version) == heard.client)
                .any(|record| record.entries.iter().any(|entry| entry.cause == cause.id()));
            assert!(found, "{cause}: {} was not heard", heard.client);
        }
    }
}
