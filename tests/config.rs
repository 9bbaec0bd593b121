//! Wrong configurations give the expected diagnostics; examples load; what is generated is current.
//!
//! `UPDATE_EXPECT=1 cargo test --test config` writes the expected files again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use whyd::config::{self, Severity};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1")
}

fn environment() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("SECRET", "hunter2"),
        ("WORD", "hunter2"),
        ("ATTEMPTS", "4"),
        ("URL", "https://host/?k=hunter2"),
    ])
}

/// Holds a text against a file, or writes the file.
fn expect(path: &Path, text: &str) {
    if update() {
        fs::write(path, text).expect("can be written");
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == text,
        "{} is not current; UPDATE_EXPECT=1 writes it again.\n--- expected\n{expected}\n--- got\n{text}",
        path.display()
    );
}

fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(directory))
        .expect("is there")
        .map(|entry| entry.expect("can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// What a build without Kubernetes says of each source that looks there, and of an election by Leases.
const WITHOUT_KUBERNETES: [&str; 2] = [
    "this whyd was built without Kubernetes",
    "this whyd was built without Kubernetes, and knows no Leases",
];

/// The examples that this build can load. Without Kubernetes some are refused, for that alone and with its place, and the
/// rest of the tests goes without them.
fn examples() -> Vec<PathBuf> {
    let all = files("examples", "yaml");
    assert!(all.len() >= 3);
    if cfg!(feature = "kubernetes") {
        return all;
    }
    let count = all.len();
    let loadable: Vec<PathBuf> = all.into_iter().filter(|file| !needs_kubernetes(file)).collect();
    assert!(!loadable.is_empty() && loadable.len() < count, "{loadable:?}");
    loadable
}

fn needs_kubernetes(file: &Path) -> bool {
    let text = fs::read_to_string(file).expect("can be read");
    let Err(wrong) = config::load(file, &environment()) else {
        return false;
    };
    let errors = wrong.0.iter().filter(|one| one.severity == Severity::Error);
    for error in errors {
        assert!(WITHOUT_KUBERNETES.contains(&&*error.problem), "{error}");
        let line = error.position.expect("has a place").line;
        let said = text.lines().nth(line - 1).expect("is there");
        let key = error.key.rsplit('.').next().expect("one at least");
        assert!(said.contains(&format!("{key}:")), "{error}: {said}");
    }
    eprintln!("SKIPPED, since this build has no Kubernetes: {}", file.display());
    true
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let files = files("tests/config_bad", "yaml");
    assert!(files.len() >= 25, "only {} files", files.len());
    for file in files {
        let directory = format!("{}/", file.parent().expect("has one").display());
        let wrong =
            config::load(&file, &environment()).expect_err(&format!("{} has a mistake", file.display()));
        let lines = wrong.to_string().replace(&directory, "");
        // The expected files are those of a build with everything.
        let of_all_builds = |line: &&str| {
            cfg!(feature = "kubernetes") || !WITHOUT_KUBERNETES.iter().any(|told| line.contains(told))
        };
        let lines: Vec<&str> = lines.lines().filter(of_all_builds).collect();
        let lines = lines.join("\n");
        expect(&file.with_extension("expected"), &format!("{lines}\n"));
        for shown in [
            lines,
            wrong.render(false),
            wrong.render(true),
            format!("{wrong:?}"),
        ] {
            assert!(
                !shown.contains("hunter2"),
                "{} shows a secret:\n{shown}",
                file.display()
            );
        }
    }
}

#[test]
fn five_mistakes_are_five_errors() {
    let wrong = config::load(
        &root().join("tests/config_bad/five_mistakes.yaml"),
        &environment(),
    )
    .expect_err("is bad");
    assert_eq!(wrong.errors(), 5, "{wrong}");
    for one in &wrong.0 {
        let at = one.position.expect("has a place");
        assert!(at.line > 0 && at.column > 0);
        assert!(one.source_line.is_some());
    }
    let shown = wrong.render(false);
    assert!(shown.contains("intervall: 10s"), "{shown}");
    assert!(shown.contains("did you mean `interval`?"), "{shown}");
    assert!(shown.ends_with("5 errors\n"), "{shown}");
}

#[test]
fn examples_load_without_errors() {
    for file in examples() {
        let loaded = config::load(&file, &environment()).unwrap_or_else(|wrong| panic!("{wrong}"));
        // Their certificates and secrets are not there; nothing else may be suspicious.
        for warning in &loaded.warnings {
            assert_eq!(warning.severity, Severity::Warning);
            let expected = [
                "there is no such file here",
                "there is no such credential here",
                "this is accepted, and does nothing in this version",
            ];
            assert!(expected.contains(&warning.problem.as_str()), "{warning}");
        }
        let first = fs::read_to_string(&file).expect("can be read");
        assert!(
            first.starts_with("# yaml-language-server: $schema=./whyd.schema.json\n"),
            "{}",
            file.display()
        );
        let dumped = config::dump(&file, &environment()).expect("is good");
        assert!(!dumped.contains("hunter2"), "{dumped}");
    }
}

/// Every key of the schema stands in the annotated example.
#[test]
fn the_reference_example_has_every_key() {
    let text = fs::read_to_string(root().join("examples/reference.yaml")).expect("is there");
    let schema = config::schema();
    let definitions = schema["definitions"].as_object().expect("is there");
    for (name, definition) in definitions {
        for (key, _) in definition["properties"].as_object().into_iter().flatten() {
            let stands = text.lines().any(|line| {
                line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .zip(line.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
                    .any(|(word, whole)| word == key && whole.ends_with(':'))
            });
            assert!(stands, "{name}.{key} is not in examples/reference.yaml");
        }
    }
}

#[test]
fn the_schema_is_current() {
    let text = serde_json::to_string_pretty(&config::schema()).expect("is JSON");
    expect(&root().join("examples/whyd.schema.json"), &format!("{text}\n"));
}

#[test]
fn the_reference_is_current() {
    expect(&root().join("docs/configuration.md"), &config::reference());
}

/// What `dump` writes can be loaded, and dumps the same again.
#[test]
fn a_dump_loads_and_dumps_the_same() {
    let directory = std::env::temp_dir().join(format!("whyd-dump-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("can be made");
    for file in examples() {
        let copy = directory.join("dumped.yaml");
        fs::write(&copy, config::dump(&file, &environment()).expect("is good")).expect("can be written");
        let once = config::dump(&copy, &environment()).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(
            once,
            fs::read_to_string(&copy).expect("can be read"),
            "{}",
            file.display()
        );
    }
    let _ = fs::remove_dir_all(&directory);
}

/// What the README and the documents show as a configuration is one.
#[test]
fn what_the_documents_show_loads() {
    let directory = std::env::temp_dir().join(format!("whyd-documents-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("can be made");
    let mut loaded = 0;
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "docs/configuration.md",
        "docs/cli.md",
        "docs/discovery.md",
    ] {
        let text = fs::read_to_string(root().join(document)).expect("is there");
        for block in text
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            // Values of the chart are tried in tests/chart.
            .filter(|block| !block.starts_with("# values.yaml"))
        {
            let path = directory.join("shown.yaml");
            fs::write(&path, block).expect("can be written");
            config::load(&path, &environment()).unwrap_or_else(|wrong| panic!("{document}: {wrong}"));
            loaded += 1;
        }
    }
    assert!(loaded > 0, "no document shows a configuration");
    let _ = fs::remove_dir_all(&directory);
}

/// As it is installed there is nothing to watch, which is said; and all that it proposes is good.
#[test]
fn the_configuration_that_packages_install_is_refused_as_it_is_and_good_when_it_is_uncommented() {
    let path = root().join("systemd/whyd.yaml");
    let wrong = config::load(&path, &environment()).expect_err("nothing is named");
    assert!(wrong.to_string().contains("`dependencies` is missing"), "{wrong}");
    let text = fs::read_to_string(&path).expect("is there");
    // Prose has a blank after the `#`; keys have none, or two and more.
    let is_prose = |rest: &str| rest.is_empty() || (rest.starts_with(' ') && !rest.starts_with("  "));
    let keys = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|rest| !is_prose(rest) && !rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .filter(|rest| !rest.starts_with("   After"));
    let uncommented: String = keys.map(|line| format!("{line}\n")).collect();
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaged.yaml");
    fs::write(&made, uncommented).expect("can be written");
    let loaded = config::load(&made, &environment()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(loaded.plan.dependencies.len(), 3);
    for warning in &loaded.warnings {
        assert_eq!(warning.problem, "there is no such credential here", "{warning}");
    }
    let _ = fs::remove_file(made);
}
