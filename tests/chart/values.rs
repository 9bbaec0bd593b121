//! values.yaml: that every value is in the schema, that every value that a template reads is there, and that each of them
//! changes something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::helm::{Helm, need_helm};
use crate::rules::own_groups;
use crate::schema::{is_open, of, schema};
use crate::{chart, read};

pub fn defaults() -> Value {
    serde_yaml::from_str(&read("values.yaml")).expect("YAML")
}

/// The values that can be set one by one: whatever is no mapping of which the chart knows the keys.
pub fn leaves() -> BTreeMap<String, Value> {
    let (schema, mut found) = (schema(), BTreeMap::new());
    collect(&schema, &defaults(), "", &mut found);
    found
}

fn collect(schema: &Value, value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    let inside = |key: &str| match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    };
    match value.as_object() {
        Some(entries) if !is_open(schema) => {
            for (key, inner) in entries {
                let path = inside(key);
                assert!(
                    !schema["properties"][key].is_null(),
                    "{path} is not in the schema"
                );
                collect(&schema["properties"][key], inner, &path, found);
            }
        }
        _ => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

/// Places that are in the schema and have no default: nobody would read one.
const WITHOUT_DEFAULT: &[&str] = &["global", "enabled"];

#[test]
fn what_the_schema_knows_is_in_the_values() {
    let (schema, defaults) = (schema(), defaults());
    let mut missing = Vec::new();
    crate::schema::walk(&schema, "", &mut |path, _| {
        let optional = path.contains(['[', '{']) || path.is_empty() || WITHOUT_DEFAULT.contains(&path);
        let probe = path.split_once("Probe.").map(|(_, key)| key);
        let pointer = format!("/{}", path.replace('.', "/"));
        if !optional && defaults.pointer(&pointer).is_none() && !probe.is_some_and(is_kubernetes_own) {
            missing.push(path.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

/// Keys of a probe for which Kubernetes's own default holds.
fn is_kubernetes_own(key: &str) -> bool {
    [
        "initialDelaySeconds",
        "successThreshold",
        "terminationGracePeriodSeconds",
    ]
    .contains(&key)
}

fn templates(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(templates(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn what_the_templates_read_is_in_the_values() {
    let schema = schema();
    let pattern = Regex::new(r"\.Values\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)").expect("a pattern");
    let mut read = BTreeSet::new();
    for file in templates(&chart().join("templates")) {
        let text = fs::read_to_string(&file).expect("text");
        for found in pattern.captures_iter(&text) {
            let path = &found[1];
            assert!(of(&schema, path).is_some(), "{}: .Values.{path}", file.display());
            read.insert(path.to_owned());
        }
    }
    // What hands a whole section to a template is looked into by the test that sets each value.
    for path in leaves().keys() {
        let mut above = path.as_str();
        while !read.contains(above) {
            above = above
                .rsplit_once('.')
                .unwrap_or_else(|| panic!("no template reads {path}"))
                .0;
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    to: Value,
    #[serde(default)]
    with: Map<String, Value>,
}

/// Sets the value at a path with dots.
pub fn set(values: &mut Value, path: &str, to: Value) {
    let mut at = values;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = to;
}

fn values(settings: &Map<String, Value>) -> Value {
    let mut values = json!({});
    for (path, to) in settings {
        set(&mut values, path, to.clone());
    }
    values
}

/// tests/chart/samples.yaml has for each value another one, and what must be set besides for it to matter.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn every_value_changes_what_is_rendered() {
    let helm = need_helm!();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/samples.yaml");
    let text = fs::read_to_string(path).expect("samples");
    let mut samples: BTreeMap<String, Sample> = serde_yaml::from_str(&text).expect("YAML");
    let mut without = HashMap::new();
    for (path, default) in leaves() {
        let sample = samples
            .remove(&path)
            .unwrap_or_else(|| panic!("no sample of {path}"));
        assert_ne!(sample.to, default, "the sample of {path} is its default");
        let base = values(&sample.with);
        let before = without
            .entry(base.to_string())
            .or_insert_with(|| helm.render(&base.to_string()).text);
        if path == "prometheusRule.locations" && own_groups(true) == own_groups(false) {
            // It waits for rules about places.
            continue;
        }
        let mut changed = base;
        set(&mut changed, &path, sample.to);
        let after = helm.render(&changed.to_string()).text;
        assert!(*before != after, "{path} changes nothing: {changed}");
    }
    assert!(samples.is_empty(), "samples of nothing: {:?}", samples.keys());
}

/// Every file of values in `ci/` is linted and rendered; see also installed.rs.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn the_chart_lints_with_all_values() {
    let helm = need_helm!();
    for file in ci() {
        let (chart, values) = (chart(), file.to_string_lossy().into_owned());
        let output = helm.run(&["lint", "--strict", "--values", &values, &chart.to_string_lossy()]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{values}:\n{said}");
        assert!(!said.contains("[WARNING]") && !said.contains("[INFO]"), "{said}");
    }
}

pub fn ci() -> Vec<PathBuf> {
    let mut files = templates(&chart().join("ci"));
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    for file in &files {
        let name = file.to_string_lossy();
        assert!(name.ends_with("-values.yaml"), "{name}");
    }
    files
}

/// What a rendered text is without its comments, for those who look for words in it.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn what_is_packaged_has_the_rules_and_the_dashboards() {
    let helm = need_helm!();
    let target = helm.files().path("package");
    let output = helm.run(&[
        "package",
        &chart().to_string_lossy(),
        "--destination",
        &target.to_string_lossy(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let packages: Vec<_> = fs::read_dir(&target).expect("made by helm").collect();
    let [Ok(package)] = &packages[..] else {
        panic!("{packages:?}")
    };
    let list = std::process::Command::new("tar")
        .arg("tzf")
        .arg(package.path())
        .output()
        .expect("tar");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    for file in [
        "files/rules/whyd.rules.yaml",
        "files/dashboards/fleet.json",
        "files/dashboards/dependency.json",
        "files/dashboards/whyd.json",
        "values.schema.json",
        "README.md",
        "UPGRADING.md",
        "templates/NOTES.txt",
    ] {
        assert!(
            list.lines().any(|line| line == format!("whyd/{file}")),
            "{file} is not in\n{list}"
        );
    }
    assert!(!list.contains("/ci/"), "{list}");
}

/// What is said after an installation.
#[track_caller]
pub fn notes(helm: &Helm, values: &str) -> String {
    let file = helm.files().write("notes.yaml", values);
    let output = helm.run(&[
        "install",
        "demo",
        &chart().to_string_lossy(),
        "--namespace",
        "watch",
        "--dry-run=client",
        "--values",
        &file.to_string_lossy(),
    ]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.split_once("NOTES:\n").expect("notes").1.to_owned()
}
