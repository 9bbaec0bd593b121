//! values.schema.json: that it refuses whatever nobody reads.

use serde_json::Value;

use crate::read;

pub fn schema() -> Value {
    serde_json::from_str(&read("values.schema.json")).expect("JSON")
}

/// Mappings that are handed through: to whyd, which checks its configuration itself, or to Kubernetes and the Prometheus operator.
const HANDED_THROUGH: &[&str] = &[
    "affinity",
    "config",
    "discovery.kubernetes.settings",
    "dnsConfig",
    "extraContainers[]",
    "extraEnvFrom[]",
    "extraEnv[]",
    "extraManifests[]",
    "extraVolumeMounts[]",
    "extraVolumes[]",
    "global",
    "hostAliases[]",
    "initContainers[]",
    "networkPolicy.egress[]",
    "networkPolicy.from[]",
    "persistence.emptyDir",
    "podMonitor.authorization",
    "podMonitor.basicAuth",
    "podMonitor.metricRelabelings[]",
    "podMonitor.relabelings[]",
    "podMonitor.tlsConfig",
    "podSecurityContext",
    "prometheusRule.extraGroups[]",
    "resources",
    "securityContext",
    "serviceMonitor.authorization",
    "serviceMonitor.basicAuth",
    "serviceMonitor.metricRelabelings[]",
    "serviceMonitor.relabelings[]",
    "serviceMonitor.tlsConfig",
    "tolerations[]",
    "topologySpreadConstraints[]",
    "updateStrategy",
];

/// Calls back with every place in the values and its schema; items of lists are `NAME[]`, values of mappings `NAME{}`.
pub fn walk<'s>(schema: &'s Value, path: &str, see: &mut impl FnMut(&str, &'s Value)) {
    see(path, schema);
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let inside = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        walk(inner, &inside, see);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), see);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{path}{{}}"), see);
    }
}

/// The schema of a place, or of the nearest one above it that is handed through.
pub fn of<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let mut at = schema;
    for key in path.split('.') {
        let inner = &at["properties"][key];
        if inner.is_null() {
            return is_open(at).then_some(at);
        }
        at = inner;
    }
    Some(at)
}

/// A mapping of which the chart does not know the keys.
pub fn is_open(schema: &Value) -> bool {
    schema["type"] == "object" && schema["properties"].is_null()
}

#[test]
fn every_mapping_is_closed_unless_it_is_handed_through() {
    let schema = schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let mut open = Vec::new();
    walk(&schema, "", &mut |path, schema| {
        let types = match &schema["type"] {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        };
        let mapping = types.iter().any(|kind| kind == "object");
        let closed = schema["additionalProperties"] == false || schema["additionalProperties"].is_object();
        if mapping && !closed {
            open.push(path.to_owned());
        }
    });
    open.sort();
    let mut known: Vec<String> = HANDED_THROUGH.iter().map(|path| (*path).to_owned()).collect();
    known.sort();
    assert_eq!(open, known);
}

/// Every place says of what type it is.
#[test]
fn every_place_has_a_type() {
    let schema = schema();
    walk(&schema, "", &mut |path, schema| {
        let says = ["type", "enum", "anyOf"].iter().any(|key| !schema[key].is_null());
        assert!(says, "{path} may be anything");
    });
}
