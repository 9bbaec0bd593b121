//! The Prometheus operator's objects, of which kubernetes-validate knows nothing: the keys that its API has
//! (github.com/prometheus-operator/prometheus-operator, Documentation/api-reference/api.md, monitoring.coreos.com/v1).

use serde_json::Value;

const METADATA: &[&str] = &["name", "namespace", "labels", "annotations"];
const ENDPOINT: &[&str] = &[
    "port",
    "path",
    "scheme",
    "honorLabels",
    "interval",
    "scrapeTimeout",
    "tlsConfig",
    "authorization",
    "basicAuth",
    "relabelings",
    "metricRelabelings",
];
const RELABELING: &[&str] = &[
    "action",
    "sourceLabels",
    "separator",
    "targetLabel",
    "regex",
    "modulus",
    "replacement",
];
const RULE: &[&str] = &[
    "alert",
    "record",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
];

/// Whether it is one of the operator's, and then whether it has nothing but what the operator knows, and what it needs.
pub fn check(object: &Value) -> bool {
    if object["apiVersion"] != "monitoring.coreos.com/v1" {
        return false;
    }
    keys(object, &["apiVersion", "kind", "metadata", "spec"]);
    keys(&object["metadata"], METADATA);
    let spec = &object["spec"];
    match object["kind"].as_str().expect("a kind") {
        "ServiceMonitor" => monitor(spec, "endpoints", "targetLabels"),
        "PodMonitor" => monitor(spec, "podMetricsEndpoints", "podTargetLabels"),
        "PrometheusRule" => rule(spec),
        other => panic!("{other} is not known here"),
    }
    true
}

#[track_caller]
fn keys(object: &Value, known: &[&str]) {
    for key in object.as_object().unwrap_or_else(|| panic!("{object}")).keys() {
        assert!(known.contains(&key.as_str()), "{key} is not one of {known:?}");
    }
}

fn monitor(spec: &Value, endpoints: &str, labels: &str) {
    keys(
        spec,
        &[
            "jobLabel",
            "namespaceSelector",
            "selector",
            "sampleLimit",
            endpoints,
            labels,
        ],
    );
    keys(&spec["namespaceSelector"], &["matchNames"]);
    keys(&spec["selector"], &["matchLabels"]);
    let all = spec[endpoints].as_array().expect("endpoints");
    assert_eq!(all.len(), 1);
    for endpoint in all {
        keys(endpoint, ENDPOINT);
        assert!(["http", "https"].contains(&endpoint["scheme"].as_str().expect("a scheme")));
        for list in ["relabelings", "metricRelabelings"] {
            for relabeling in endpoint[list].as_array().into_iter().flatten() {
                keys(relabeling, RELABELING);
            }
        }
    }
}

fn rule(spec: &Value) {
    keys(spec, &["groups"]);
    for group in spec["groups"].as_array().expect("groups") {
        keys(group, &["name", "interval", "limit", "rules"]);
        assert!(group["name"].is_string());
        for rule in group["rules"].as_array().expect("rules") {
            keys(rule, RULE);
            assert!(rule["alert"].is_string() != rule["record"].is_string(), "{rule}");
            assert!(rule["expr"].is_string());
            for map in ["labels", "annotations"] {
                for value in rule[map]
                    .as_object()
                    .into_iter()
                    .flat_map(serde_json::Map::values)
                {
                    assert!(value.is_string(), "{rule}");
                }
            }
        }
    }
}
