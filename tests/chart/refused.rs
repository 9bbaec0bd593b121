//! What the chart refuses: keys that nobody reads, at every level, and what cannot work together.

use serde_json::{Value, json};

use crate::helm::need_helm;
use crate::schema::{schema, walk};
use crate::values::set;

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn an_unknown_key_is_refused_at_every_level() {
    let helm = need_helm!();
    let schema = schema();
    let mut places = Vec::new();
    walk(&schema, "", &mut |path, schema| {
        if schema["additionalProperties"] == false {
            places.push((path.to_owned(), schema.clone()));
        }
    });
    assert!(places.len() > 25, "{}", places.len());
    for (path, schema) in places {
        let mut inner = json!({"surprise": 1});
        // What must be there is, so that nothing else is refused.
        for key in schema["required"].as_array().into_iter().flatten() {
            let key = key.as_str().expect("a name");
            inner[key] = match key {
                "roles" => json!(["services"]),
                _ => json!("a"),
            };
        }
        let values = place(&path, inner);
        let said = helm.try_render(&values.to_string()).expect_err("it is refused");
        assert!(said.contains("'surprise' not allowed"), "{path}: {said}");
    }
}

/// The values with something at a place of the schema.
fn place(path: &str, inner: Value) -> Value {
    let mut inner = inner;
    let mut rest = path;
    while let Some(at) = rest.rfind(['[', '{']) {
        let wrapped = match &rest[at..=at] {
            "[" => json!([inner]),
            _ => json!({"WhydFlapping": inner}),
        };
        let (above, below) = (&rest[..at], rest[at + 2..].trim_start_matches('.'));
        if !below.is_empty() {
            unreachable!("only items and values of mappings are looked at: {path}");
        }
        // `secrets[].items[]`: the part between is a key of the item.
        match above.rfind("[].") {
            Some(end) => {
                inner = json!({"name": "a", &above[end + 3..]: wrapped});
                rest = &above[..end + 2];
            }
            None => {
                inner = wrapped;
                rest = above;
            }
        }
    }
    let mut values = json!({});
    match rest {
        "" => values = inner,
        _ => set(&mut values, rest, inner),
    }
    values
}

/// Values of the wrong kind, and the word by which it is said.
const WRONG: &[(&str, &str)] = &[
    ("replicas: three", "/replicas"),
    ("replicas: -1", "/replicas"),
    ("replicas: 1001", "/replicas"),
    ("image: {digest: 'sha256:abc'}", "/image/digest"),
    ("image: {tag: 'a b'}", "/image/tag"),
    ("image: {pullPolicy: Sometimes}", "/image/pullPolicy"),
    ("reload: often", "/reload"),
    ("configKind: Text", "/configKind"),
    ("config: []", "/config"),
    ("existingConfigMap: Upper_Case", "/existingConfigMap"),
    // helm names another place with it.
    ("configFiles: {a/b: x}", "'a/b' does not match pattern"),
    ("configFiles: {a.yaml: {x: 1}}", "/configFiles/a.yaml"),
    ("secrets: [{}]", "/secrets/0"),
    (
        "secrets: [{name: a, mountPath: relative}]",
        "/secrets/0/mountPath",
    ),
    ("scaleOut: {factor: 0}", "/scaleOut/factor"),
    ("scaleOut: {election: votes}", "/scaleOut/election"),
    (
        "discovery: {kubernetes: {roles: [pods]}}",
        "/discovery/kubernetes/roles/0",
    ),
    (
        "discovery: {kubernetes: {roles: []}}",
        "/discovery/kubernetes/roles",
    ),
    (
        "discovery: {kubernetes: {namespaces: [Upper]}}",
        "/discovery/kubernetes/namespaces/0",
    ),
    ("serviceAccount: {create: maybe}", "/serviceAccount/create"),
    ("persistence: {size: big}", "/persistence/size"),
    (
        "persistence: {accessModes: [Everything]}",
        "/persistence/accessModes/0",
    ),
    (
        "persistence: {retentionPolicy: {whenScaled: Keep}}",
        "/persistence/retentionPolicy/whenScaled",
    ),
    ("listen: {address: localhost}", "/listen/address"),
    ("listen: {port: 80}", "/listen/port"),
    ("listen: {scheme: TCP}", "/listen/scheme"),
    ("service: {type: ExternalName}", "/service/type"),
    (
        "livenessProbe: {periodSeconds: 0}",
        "/livenessProbe/periodSeconds",
    ),
    ("serviceMonitor: {interval: often}", "/serviceMonitor/interval"),
    (
        "serviceMonitor: {labels: {release: 1}}",
        "/serviceMonitor/labels/release",
    ),
    (
        "prometheusRule: {overrides: {WhydFlapping: {for: soon}}}",
        "/prometheusRule/overrides/WhydFlapping/for",
    ),
    ("dashboards: {label: ''}", "/dashboards/label"),
    ("podAntiAffinity: strict", "/podAntiAffinity"),
    ("dnsPolicy: Mine", "/dnsPolicy"),
    (
        "terminationGracePeriodSeconds: 0",
        "/terminationGracePeriodSeconds",
    ),
    ("log: {format: xml}", "/log/format"),
    ("location: 1", "/location"),
];

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn a_value_of_the_wrong_kind_is_refused_with_its_place() {
    let helm = need_helm!();
    for (values, place) in WRONG {
        let said = helm.try_render(values).expect_err(values);
        let place = match place.starts_with('/') {
            true => format!("at '{place}'"),
            false => (*place).to_owned(),
        };
        assert!(said.contains(&place), "{values}: {said}");
    }
}

/// What the schema cannot say.
const CONTRARY: &[(&str, &str)] = &[
    (
        "{existingConfigMap: a, existingSecret: b}",
        "existingConfigMap and existingSecret are both given",
    ),
    (
        "{replicas: 2, persistence: {enabled: true, existingClaim: a}}",
        "persistence.existingClaim is for one replica",
    ),
    (
        "{hostNetwork: true, ping: {sysctl: true}}",
        "ping.sysctl cannot be set on the node's network",
    ),
    (
        "configFiles: {whyd.yaml: ''}",
        "the chart itself writes whyd.yaml",
    ),
    (
        "{location: here, config: {location: there}}",
        "location is given twice",
    ),
    (
        "{serviceMonitor: {enabled: true}, service: {enabled: false}}",
        "serviceMonitor needs the Service",
    ),
    (
        "prometheusRule: {enabled: true, disabled: [WhydFlaping]}",
        "there is no alert \"WhydFlaping\": there are WhydAddressBroken, ",
    ),
    (
        "prometheusRule: {enabled: true, overrides: {Other: {severity: info}}}",
        "there is no alert \"Other\"",
    ),
    (
        "config: {discovery: [{name: a, kubernetes: {roles: pods}}]}",
        "there is no role \"pods\": there are http_routes, ingresses, probes, services",
    ),
    (
        "podDisruptionBudget: {maxUnavailable: ''}",
        "podDisruptionBudget needs maxUnavailable or minAvailable",
    ),
];

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn what_cannot_work_together_is_refused_with_its_reason() {
    let helm = need_helm!();
    for (values, reason) in CONTRARY {
        let said = helm.try_render(values).expect_err(values);
        assert!(said.contains(reason), "{values}: {said}");
    }
}
