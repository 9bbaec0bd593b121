//! The Helm chart: that its values, their schema, its templates and its README agree; and, with `helm` at hand, what it renders.
//! `tests/chart/fetch-helm target/helm` puts helm there.

#[path = "../harness/mod.rs"]
mod harness;

mod helm;
mod installed;
mod operator;
mod readme;
mod refused;
mod render;
mod restricted;
mod rules;
mod schema;
mod values;

use std::path::{Path, PathBuf};

/// The chart's directory.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/whyd")
}

pub fn read(file: &str) -> String {
    let path = chart().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The chart's version of the program is the program's.
#[test]
fn the_chart_is_for_this_version() {
    let chart: serde_json::Value = serde_yaml::from_str(&read("Chart.yaml")).expect("YAML");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let upgrading = read("UPGRADING.md");
    let version = chart["version"].as_str().expect("a version");
    assert!(
        upgrading.contains(&format!("## {version}")),
        "UPGRADING.md says nothing of {version}"
    );
}
