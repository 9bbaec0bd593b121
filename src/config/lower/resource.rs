//! The resource of OTLP: who it is that sends. The file first, then the standard variables, then what Kubernetes' downward API
//! put into the environment. What the host itself tells is added where it is sent (`export::resource`).

use std::sync::Arc;

use super::super::raw::RawOtlp;
use super::super::report::{Finding, Part, Place};
use super::super::url_lint;
use super::Context;
use super::otlp::warn;

/// Attributes by the variables that a pod's manifest sets from its own fields (`valueFrom: {fieldRef: …}`), as far as the
/// semantic conventions have a name for them
/// (<https://opentelemetry.io/docs/specs/semconv/resource/k8s/>). The container's name is in no field; the manifest
/// writes it down.
const DOWNWARD: [(&str, &str); 5] = [
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("POD_NAME", "k8s.pod.name"),
    ("POD_UID", "k8s.pod.uid"),
    ("NODE_NAME", "k8s.node.name"),
    ("CONTAINER_NAME", "k8s.container.name"),
];

type Attributes = Vec<(Arc<str>, Arc<str>)>;

/// All that is known of it here, sorted by name, each name once. The first that gives a name wins: the file,
/// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` (`key=value`, percent-encoded), the downward API.
pub fn lower(context: &mut Context<'_>, raw: &RawOtlp, place: &Place) -> Arc<[(Arc<str>, Arc<str>)]> {
    let mut all = Attributes::new();
    for (name, value) in raw.resource.iter().flatten() {
        if name.trim().is_empty() {
            let at = place.key("resource").key(name);
            context
                .report
                .add(Finding::error(&at, "an attribute without a name").at(Part::Key));
        }
        all.push((name.as_str().into(), value.0.as_str().into()));
    }
    if let Some(name) = variable(context, "OTEL_SERVICE_NAME") {
        add(&mut all, "service.name", name);
    }
    standard(context, place, &mut all);
    for (variable_name, attribute) in DOWNWARD {
        if let Some(value) = variable(context, variable_name) {
            add(&mut all, attribute, value);
        }
    }
    derived(&mut all);
    all.sort();
    all.into()
}

fn standard(context: &mut Context<'_>, place: &Place, all: &mut Attributes) {
    let attributes = context.env.var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    for pair in attributes
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                add(all, name.trim(), url_lint::decode_percent(value.trim()));
            }
            _ => warn(
                context,
                place,
                "OTEL_RESOURCE_ATTRIBUTES",
                "has a part that is not `key=value`",
            ),
        }
    }
}

/// What follows for a pod. Its instance is called as the conventions for Kubernetes and the OpenTelemetry operator call it,
/// `NAMESPACE.POD.CONTAINER`: a restarted container goes on under its name. Its host is the node, not the pod, whose name
/// stands in the pod's own host name.
fn derived(all: &mut Attributes) {
    let of = |name: &str| {
        all.iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, value)| &**value)
    };
    let instance = match (
        of("k8s.namespace.name"),
        of("k8s.pod.name"),
        of("k8s.container.name"),
    ) {
        (Some(namespace), Some(pod), Some(container)) => Some(format!("{namespace}.{pod}.{container}")),
        (Some(namespace), Some(pod), None) => Some(format!("{namespace}.{pod}")),
        _ => None,
    };
    let node = of("k8s.node.name").map(str::to_owned);
    if let Some(instance) = instance {
        add(all, "service.instance.id", instance);
    }
    if let Some(node) = node {
        add(all, "host.name", node);
    }
}

fn variable(context: &Context<'_>, name: &str) -> Option<String> {
    context.env.var(name).filter(|value| !value.is_empty())
}

fn add(all: &mut Attributes, name: &str, value: String) {
    if !all.iter().any(|(known, _)| **known == *name) {
        all.push((name.into(), value.into()));
    }
}
