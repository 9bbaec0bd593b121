//! docs/proofs.md: every id has a row, every test that a row names exists, and a row that claims a real server or network
//! names a test against one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use whyd::model::cause::{Cause, FindingId};

/// Where tests run against servers and networks that were not written for them.
const REAL: [&str; 3] = ["tests/servers/", "tests/netlab/", "tests/pipeline.rs"];

/// What the second column may say.
const HOW: [&str; 5] = ["real", "lab", "engine", "none", "impossible"];

/// Where the place of a test begins.
const PLACES: [&str; 3] = ["tests/", "src/", "benches/"];

struct Row {
    id: String,
    how: String,
    /// `file::function`, as written.
    tests: Vec<String>,
    against: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/proofs.md")).expect("docs/proofs.md");
    let table = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, how, tests, against] = cells.as_slice() else {
            panic!("four columns: {line}");
        };
        Row {
            id: id.trim_matches('`').to_owned(),
            how: (*how).to_owned(),
            tests: tests.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            against: (*against).to_owned(),
        }
    };
    table.map(row).collect()
}

fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = Cause::ALL.iter().map(|cause| cause.id()).collect();
    for finding in FindingId::ALL {
        if !ids.contains(&finding.id()) {
            ids.push(finding.id());
        }
    }
    ids
}

#[test]
fn every_id_has_one_row_in_the_order_of_the_vocabulary() {
    let rows: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let known: BTreeSet<&str> = ids().into_iter().collect();
    let unknown: Vec<&String> = rows.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(unknown.is_empty(), "these are no ids: {unknown:?}");
    let listed: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let missing: Vec<&&str> = known.iter().filter(|id| !listed.contains(**id)).collect();
    assert!(missing.is_empty(), "docs/proofs.md has no row for {missing:?}");
    assert_eq!(rows, ids(), "in the order of the vocabulary, findings at the end");
}

#[test]
fn every_test_that_is_named_exists() {
    let mut wrong = Vec::new();
    for row in rows() {
        for test in &row.tests {
            let Some((file, function)) = test.split_once("::") else {
                wrong.push(format!("{}: {test} is not file::function", row.id));
                continue;
            };
            let source = fs::read_to_string(root().join(file)).unwrap_or_default();
            let scenario = file.ends_with(".scenario") && !source.is_empty();
            let named = source.contains(&format!("fn {function}("));
            if !PLACES.iter().any(|place| file.starts_with(place)) || !(named || scenario) {
                wrong.push(format!("{}: there is no {test}", row.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_row_claims_no_more_than_its_tests_show() {
    let mut wrong = Vec::new();
    for row in rows() {
        let is_real = |test: &String| REAL.iter().any(|place| test.starts_with(place));
        let complaint = match row.how.as_str() {
            "real" if !row.tests.iter().any(is_real) => "no test against a real server or network",
            "lab" | "engine" if row.tests.is_empty() => "no test",
            "lab" | "engine" if row.tests.iter().any(is_real) => {
                "it is proved against the real thing: say so"
            }
            "impossible" if row.against.len() < 20 => "no reason why it is impossible",
            how if !HOW.contains(&how) => "one of real, lab, engine, none, impossible",
            _ if row.against.is_empty() => "no word on the server or network, or on what is missing",
            _ => continue,
        };
        wrong.push(format!("{} ({}): {complaint}", row.id, row.how));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A test that is run nowhere proves nothing.
#[test]
fn the_suites_of_real_servers_and_networks_are_run() {
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    for suite in ["servers", "netlab", "pipeline"] {
        let command = format!("--test {suite} -- --ignored");
        assert!(ci.contains(&command), ".ci/run does not run {suite}");
    }
    assert!(
        ci.contains("WHYD_REQUIRE_TOOLS=1"),
        "a missing tool is an error there"
    );
}
