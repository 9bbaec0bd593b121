//! The architecture's rules, held by tests: who may import whom, how long files may be, and that what the documents
//! mention exists.

use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import of the others (ARCHITECTURE.md, the tree). Nothing else may.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("net", &["model"]),
    ("clients", &["model", "net"]),
    ("engine", &["model"]),
    ("template", &["model"]),
    ("config", &["model", "template"]),
    ("probe", &["model", "net"]),
    ("discover", &["model", "net"]),
    ("elect", &["model", "net"]),
    ("report", &["model"]),
    ("export", &["model", "net", "report"]),
    ("store", &["model", "net"]),
    ("deliver", &["model", "net", "template"]),
    ("web", &["model", "net", "report", "export"]),
    ("lab", &[]),
    (
        "daemon",
        &[
            "model", "net", "engine", "config", "probe", "report", "export", "store", "deliver", "web",
            "template", "discover", "elect",
        ],
    ),
    (
        "cli",
        &[
            "model", "net", "engine", "config", "probe", "report", "export", "store", "deliver", "web",
            "lab", "daemon", "clients", "discover", "elect",
        ],
    ),
];

/// Lines of a source file without its tests. A guide in DESIGN.md, a rule here, with a little room.
const LONGEST_FILE: usize = 560;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The program's own sources of a room. Tests in files of their own may use the lab, and may be long.
fn product_sources(room: &Path) -> Vec<PathBuf> {
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests")
            || path
                .file_stem()
                .is_some_and(|stem| stem == "tests" || stem == "samples" || stem == "golden")
    };
    let inside = |path: &PathBuf| path.strip_prefix(root()).is_ok_and(|inner| !is_test(inner));
    sources(room).into_iter().filter(inside).collect()
}

/// The file's text up to its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        for file in product_sources(&root().join("src").join(room)) {
            let text = fs::read_to_string(&file).expect("a readable file");
            for (number, line) in without_tests(&text).lines().enumerate() {
                for other in imported(line) {
                    if other != *room
                        && !allowed.contains(&other)
                        && MAY_IMPORT.iter().any(|(r, _)| *r == other)
                    {
                        wrong.push(format!(
                            "{}:{}: {room} imports {other}",
                            file.display(),
                            number + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The top-level modules that a line names by `crate::`.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or("");
    code.split("crate::")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

#[test]
fn every_room_is_in_the_table() {
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let known = MAY_IMPORT.iter().any(|(room, _)| *room == name);
        assert!(!path.is_dir() || known, "{name} has no row in the import table");
    }
}

#[test]
fn model_and_engine_use_the_standard_library_alone() {
    let outside = [
        "tokio", "hyper", "rustls", "serde", "tracing", "reqwest", "regex", "jiff",
    ];
    let clocks = [
        "Instant::now",
        "SystemTime::now",
        "thread::sleep",
        "thread::spawn",
        "println!",
        "eprintln!",
    ];
    for room in ["model", "engine"] {
        for file in product_sources(&root().join("src").join(room)) {
            let text = fs::read_to_string(&file).expect("a readable file");
            for (number, line) in without_tests(&text).lines().enumerate() {
                let code = line.split("//").next().unwrap_or("");
                let place = format!("{}:{}", file.display(), number + 1);
                for name in outside {
                    assert!(
                        !code.contains(&format!("{name}::")),
                        "{place}: {room} uses {name}"
                    );
                }
                for name in clocks {
                    assert!(!code.contains(name), "{place}: {room} uses {name}");
                }
            }
        }
    }
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = product_sources(&root().join("src"))
        .into_iter()
        .filter_map(|file| {
            let text = fs::read_to_string(&file).expect("a readable file");
            let lines = without_tests(&text).lines().count();
            (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(
        long.is_empty(),
        "longer than {LONGEST_FILE} lines without tests:\n{}",
        long.join("\n")
    );
}

#[test]
fn what_the_documents_name_exists() {
    let mut missing = Vec::new();
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/operations.md",
    ] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        for name in text.split('`').skip(1).step_by(2) {
            let looks_like_a_path = ["src/", "tests/", "docs/", "examples/", "benches/", ".ci/"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            let concrete = !name.contains(['*', '{', ' ', '<']) && !name.contains("NAME");
            if looks_like_a_path && concrete && !root().join(name.trim_end_matches('/')).exists() {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "named but not there:\n{}", missing.join("\n"));
}

/// The words of a document that could be names: all that stands between other characters than those of names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .map(|word| word.trim_matches(['.', '-']))
}

#[test]
fn metrics_alerts_causes_and_commands_that_operators_are_told_of_exist() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let (metrics, cli, causes) = (
        read("docs/metrics.md"),
        read("docs/cli.md"),
        read("docs/causes.md"),
    );
    let rules = read("helm/whyd/files/rules/whyd.rules.yaml");
    let first_of_causes = ["local.", "tcp.", "tls.", "dns.", "http.", "proxy."];
    for document in [
        "docs/operations.md",
        "README.md",
        "examples/prometheus/prometheus.yaml",
    ] {
        let text = read(document);
        for word in words(&text) {
            let known = if word.starts_with("whyd_") {
                metrics.contains(&format!("`{word}`"))
            } else if word.starts_with("Whyd") {
                rules.contains(&format!("alert: {word}\n"))
            } else if first_of_causes.iter().any(|first| word.starts_with(first)) {
                // Lines that are wrapped show only the beginning of one.
                causes.contains(&format!("## {word}"))
            } else {
                continue;
            };
            assert!(known, "{document}: {word} does not exist");
        }
        // In code, `whyd WORD` is a command.
        let code = text
            .split('`')
            .skip(1)
            .step_by(2)
            .chain(text.lines().filter_map(|line| line.strip_prefix("$ ")));
        for piece in code {
            let Some(rest) = piece.strip_prefix("whyd ") else {
                continue;
            };
            let command = rest.split_whitespace().next().unwrap_or_default();
            let is_word = command.chars().all(|c| c.is_ascii_lowercase()) && !command.is_empty();
            let known = cli.contains(&format!("## whyd {command}\n"));
            assert!(!is_word || known, "{document}: whyd {command} does not exist");
        }
    }
}
