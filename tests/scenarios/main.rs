//! The engine in virtual time: scripts in, golden transitions out.
//!
//! Each `tests/scenarios/NAME.scenario` is run and its transcript compared with `NAME.expected`.
//! `UPDATE_EXPECT=1 cargo test --test scenarios` writes the transcripts anew.

#[path = "../harness/asked.rs"]
mod asked;
mod idle;
mod script;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_scenario_goes_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("the directory of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "scenario"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "only {} scenarios found", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a readable scenario");
        let transcript = world::run(&script::parse(&text, file));
        let golden = file.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&golden, &transcript).expect("a writable golden file");
        } else if fs::read_to_string(&golden).unwrap_or_default() != transcript {
            wrong.push(format!("{}:\n{transcript}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "transcripts differ from their golden files:\n{}",
        wrong.join("\n")
    );
}
