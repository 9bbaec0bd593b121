//! The PrometheusRule and the dashboards: the repository's own files, changed where values say so and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::tools;
use crate::helm::{Rendered, need_helm};
use crate::{chart, read};

/// Alerts by name, of groups.
fn alerts(groups: &Value) -> BTreeMap<String, Value> {
    let groups = groups.as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    rules
        .filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule.clone())))
        .collect()
}

fn rendered_groups(rendered: &Rendered) -> &Value {
    &rendered.one("PrometheusRule")["spec"]["groups"]
}

/// The groups of all files, without those about places or with them.
pub fn own_groups(locations: bool) -> Value {
    let mut files: Vec<_> = fs::read_dir(chart().join("files/rules"))
        .expect("rules")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let mut groups = Vec::new();
    for name in files {
        let file: Value = serde_yaml::from_str(&read(&format!("files/rules/{name}"))).expect("YAML");
        let all = file["groups"].as_array().expect("groups").clone();
        let is_of_places = |group: &Value| format!("{name} {}", group["name"]).contains("location");
        groups.extend(all.into_iter().filter(|group| locations || !is_of_places(group)));
    }
    groups.into()
}

/// Prometheus's own templates arrive as they are, and so does everything else.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn the_rules_are_the_repositorys_own() {
    let helm = need_helm!();
    let rendered = helm.render("prometheusRule: {enabled: true}");
    assert_eq!(*rendered_groups(&rendered), own_groups(false));
    let placed = helm.render("prometheusRule: {enabled: true, locations: true}");
    assert_eq!(*rendered_groups(&placed), own_groups(true));
    assert!(rendered.text.contains("{{ $labels.dependency }}"));
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn alerts_are_changed_left_out_and_labelled() {
    let helm = need_helm!();
    let rendered = helm.render(
        "prometheusRule:
  enabled: true
  labels: {release: p}
  alertLabels: {team: a, severity: low}
  disabled: [WhydFlapping, WhydMonitorAbsent]
  overrides:
    WhydDependencyDownSlow: {severity: page, for: 10m, keepFiringFor: 7m, labels: {team: b}, annotations: {extra: '{{ $value }}'}}
  extraGroups: [{name: mine, rules: [{alert: Mine, expr: vector(1)}]}]",
    );
    let (own, changed) = (alerts(&own_groups(false)), alerts(rendered_groups(&rendered)));
    assert_eq!(
        rendered.one("PrometheusRule")["metadata"]["labels"]["release"],
        "p"
    );
    for (name, rule) in &own {
        let Some(now) = changed.get(name) else {
            assert!(
                ["WhydFlapping", "WhydMonitorAbsent"].contains(&name.as_str()),
                "{name} is gone"
            );
            continue;
        };
        let mut expected = rule.clone();
        expected["labels"]["team"] = json!("a");
        expected["labels"]["severity"] = json!("low");
        if name == "WhydDependencyDownSlow" {
            expected["labels"] = json!({"team": "b", "severity": "page"});
            expected["for"] = json!("10m");
            expected["keep_firing_for"] = json!("7m");
            expected["annotations"]["extra"] = json!("{{ $value }}");
        }
        assert_eq!(*now, expected, "{name}");
    }
    assert_eq!(changed.len(), own.len() - 2 + 1);
    assert_eq!(changed["Mine"]["expr"], "vector(1)");
    // What records is not touched.
    let records = |groups: &Value| {
        let groups = groups.as_array().expect("groups").clone();
        let rules = groups
            .into_iter()
            .flat_map(|group| group["rules"].as_array().expect("rules").clone());
        rules
            .filter(|rule| rule["record"].is_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(records(rendered_groups(&rendered)), records(&own_groups(false)));
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm) and promtool"]
fn prometheus_takes_the_rules() {
    let helm = need_helm!();
    let Some(promtool) = tools::find("promtool", "WHYD_PROMTOOL") else {
        return;
    };
    for values in [
        "prometheusRule: {enabled: true}",
        "prometheusRule: {enabled: true, locations: true, disabled: [WhydFlapping], overrides: {WhydSloBurnFast: {severity: page, for: 1m}}}",
    ] {
        let rendered = helm.render(values);
        let text = json!({"groups": rendered_groups(&rendered)}).to_string();
        let file = helm.files().write("rules.yaml", &text);
        let output = Command::new(&promtool)
            .args(["check", "rules"])
            .arg(file)
            .output()
            .expect("promtool");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn the_dashboards_are_the_repositorys_own() {
    let helm = need_helm!();
    let rendered = helm.render("dashboards: {enabled: true}");
    let maps: Vec<_> = rendered
        .of("ConfigMap")
        .into_iter()
        .filter(|map| !map["metadata"]["labels"]["grafana_dashboard"].is_null())
        .collect();
    assert_eq!(maps.len(), 3);
    for map in maps {
        for (file, text) in map["data"].as_object().expect("files") {
            let own: Value = serde_json::from_str(&read(&format!("files/dashboards/{file}"))).expect("JSON");
            let text = text.as_str().expect("text");
            assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), own, "{file}");
            // A kubectl that applies it keeps it in an annotation, for which there are 256 KiB.
            assert!(text.len() < 200_000, "{file}: {}", text.len());
        }
    }
}
