//! What the templates make of values.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::helm::{Rendered, need_helm, texts};
use crate::values::notes;

/// Values, an object (`KIND` or `KIND/NAME`), a JSON pointer into it, and what stands there; `null` for nothing.
type Case = (&'static str, &'static str, &'static str, Value);

fn cases() -> Vec<Case> {
    let pod = "/spec/template/spec";
    let at = |path: &str| -> &'static str { format!("{pod}{path}").leak() };
    let set = "StatefulSet";
    let mut cases = vec![
        // Names.
        ("{}", set, "/metadata/name", json!("demo-whyd")),
        ("{}", set, "/metadata/namespace", json!("watch")),
        ("nameOverride: other", set, "/metadata/name", json!("demo-other")),
        ("fullnameOverride: other", set, "/metadata/name", json!("other")),
        (
            "namespaceOverride: other",
            set,
            "/metadata/namespace",
            json!("other"),
        ),
        ("commonLabels: {a: b}", set, "/metadata/labels/a", json!("b")),
        (
            "commonLabels: {a: b}",
            set,
            "/spec/template/metadata/labels/a",
            json!("b"),
        ),
        (
            "commonAnnotations: {a: b}",
            "Service/demo-whyd",
            "/metadata/annotations/a",
            json!("b"),
        ),
        ("{}", set, "/metadata/annotations", Value::Null),
        (
            "{}",
            set,
            "/metadata/labels/app.kubernetes.io~1version",
            json!(env!("CARGO_PKG_VERSION")),
        ),
        // A new chart replaces no pods by a label alone.
        (
            "{}",
            set,
            "/spec/template/metadata/labels/helm.sh~1chart",
            Value::Null,
        ),
        // Image.
        (
            "{}",
            set,
            at("/containers/0/image"),
            json!(concat!("ghcr.io/whyd-project/whyd:", env!("CARGO_PKG_VERSION"))),
        ),
        (
            "image: {tag: main}",
            set,
            at("/containers/0/image"),
            json!("ghcr.io/whyd-project/whyd:main"),
        ),
        (
            "image: {registry: ''}",
            set,
            at("/containers/0/image"),
            json!(concat!("whyd-project/whyd:", env!("CARGO_PKG_VERSION"))),
        ),
        (
            "image: {registry: 'r:5000', repository: w, tag: main, digest: 'sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae'}",
            set,
            at("/containers/0/image"),
            json!("r:5000/w@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
        ),
        (
            "image: {pullPolicy: Always}",
            set,
            at("/containers/0/imagePullPolicy"),
            json!("Always"),
        ),
        (
            "imagePullSecrets: [{name: a}]",
            set,
            at("/imagePullSecrets"),
            json!([{"name": "a"}]),
        ),
        // Left to Kubernetes unless given.
        ("{}", set, at("/containers/0/resources"), Value::Null),
        (
            "resources: {limits: {memory: 1Gi}}",
            set,
            at("/containers/0/resources/limits/memory"),
            json!("1Gi"),
        ),
        ("{}", set, at("/containers/0/command"), Value::Null),
        (
            "command: [/whyd]",
            set,
            at("/containers/0/command"),
            json!(["/whyd"]),
        ),
        ("{}", set, at("/dnsPolicy"), Value::Null),
        (
            "hostNetwork: true",
            set,
            at("/dnsPolicy"),
            json!("ClusterFirstWithHostNet"),
        ),
        (
            "{hostNetwork: true, dnsPolicy: Default}",
            set,
            at("/dnsPolicy"),
            json!("Default"),
        ),
        ("hostNetwork: true", set, at("/hostNetwork"), json!(true)),
        (
            "dnsConfig: {nameservers: [10.0.0.2]}",
            set,
            at("/dnsConfig/nameservers/0"),
            json!("10.0.0.2"),
        ),
        (
            "hostAliases: [{ip: 10.0.0.7, hostnames: [a]}]",
            set,
            at("/hostAliases/0/hostnames/0"),
            json!("a"),
        ),
        (
            "priorityClassName: high",
            set,
            at("/priorityClassName"),
            json!("high"),
        ),
        (
            "runtimeClassName: gvisor",
            set,
            at("/runtimeClassName"),
            json!("gvisor"),
        ),
        (
            "nodeSelector: {a: b}",
            set,
            at("/nodeSelector"),
            json!({"a": "b"}),
        ),
        (
            "tolerations: [{key: a, operator: Exists}]",
            set,
            at("/tolerations/0/key"),
            json!("a"),
        ),
        // whyd drains for 10 s.
        ("{}", set, at("/terminationGracePeriodSeconds"), json!(30)),
        // Probes.
        (
            "{}",
            set,
            at("/containers/0/livenessProbe/httpGet"),
            json!({"path": "/-/healthy", "port": "http", "scheme": "HTTP"}),
        ),
        (
            "{}",
            set,
            at("/containers/0/readinessProbe/httpGet/path"),
            json!("/-/ready"),
        ),
        (
            "{}",
            set,
            at("/containers/0/startupProbe/httpGet/path"),
            json!("/-/healthy"),
        ),
        ("{}", set, at("/containers/0/livenessProbe/enabled"), Value::Null),
        (
            "livenessProbe: {enabled: false}",
            set,
            at("/containers/0/livenessProbe"),
            Value::Null,
        ),
        (
            "readinessProbe: {enabled: false}",
            set,
            at("/containers/0/readinessProbe"),
            Value::Null,
        ),
        (
            "startupProbe: {enabled: false}",
            set,
            at("/containers/0/startupProbe"),
            Value::Null,
        ),
        (
            "readinessProbe: {initialDelaySeconds: 7}",
            set,
            at("/containers/0/readinessProbe/initialDelaySeconds"),
            json!(7),
        ),
        (
            "config: {listen: {tls: {cert: a, key: b}}}",
            set,
            at("/containers/0/livenessProbe/httpGet/scheme"),
            json!("HTTPS"),
        ),
        (
            "{existingConfigMap: a, listen: {scheme: HTTPS}}",
            set,
            at("/containers/0/livenessProbe/httpGet/scheme"),
            json!("HTTPS"),
        ),
        (
            "listen: {port: 1234}",
            set,
            at("/containers/0/ports/0/containerPort"),
            json!(1234),
        ),
        // Security.
        (
            "ping: {sysctl: true}",
            set,
            at("/securityContext/sysctls"),
            json!([{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]),
        ),
        (
            "ping: {rawSocket: true}",
            set,
            at("/containers/0/securityContext/capabilities"),
            json!({"add": ["NET_RAW"], "drop": ["ALL"]}),
        ),
        (
            "ping: {rawSocket: true}",
            set,
            at("/containers/0/securityContext/runAsUser"),
            json!(0),
        ),
        (
            "podSecurityContext: {runAsUser: null}",
            set,
            at("/securityContext/runAsUser"),
            Value::Null,
        ),
        (
            "securityContext: {runAsUser: 1000}",
            set,
            at("/containers/0/securityContext/runAsUser"),
            json!(1000),
        ),
        // Configuration.
        (
            "{}",
            set,
            at("/volumes/0/projected/sources"),
            json!([{"configMap": {"name": "demo-whyd"}}]),
        ),
        (
            "existingConfigMap: mine",
            set,
            at("/volumes/0/projected/sources"),
            json!([{"configMap": {"name": "mine"}}]),
        ),
        (
            "existingSecret: mine",
            set,
            at("/volumes/0/projected/sources"),
            json!([{"secret": {"name": "mine"}}]),
        ),
        (
            "{existingConfigMap: mine, location: a}",
            set,
            at("/volumes/0/projected/sources"),
            json!([{"configMap": {"name": "mine"}}, {"configMap": {"name": "demo-whyd"}}]),
        ),
        (
            "configKind: Secret",
            set,
            at("/volumes/0/projected/sources"),
            json!([{"secret": {"name": "demo-whyd"}}]),
        ),
        (
            "configFiles: {a.pem: text}",
            "ConfigMap",
            "/data/a.pem",
            json!("text"),
        ),
        // Secrets.
        (
            "secrets: [{name: a}]",
            set,
            at("/containers/0/volumeMounts/1"),
            json!({"name": "secret-0", "mountPath": "/run/secrets/a", "readOnly": true}),
        ),
        (
            "secrets: [{name: a, mountPath: /b}]",
            set,
            at("/containers/0/volumeMounts/1/mountPath"),
            json!("/b"),
        ),
        (
            "secrets: [{name: a, defaultMode: 288, optional: true}]",
            set,
            at("/volumes/1/secret"),
            json!({"secretName": "a", "defaultMode": 288, "optional": true}),
        ),
        // More of everything.
        (
            "extraVolumes: [{name: v, emptyDir: {}}]",
            set,
            at("/volumes/1/name"),
            json!("v"),
        ),
        (
            "extraVolumeMounts: [{name: v, mountPath: /v}]",
            set,
            at("/containers/0/volumeMounts/1/mountPath"),
            json!("/v"),
        ),
        (
            "extraContainers: [{name: c, image: i}]",
            set,
            at("/containers/1/name"),
            json!("c"),
        ),
        (
            "initContainers: [{name: c, image: i}]",
            set,
            at("/initContainers/0/name"),
            json!("c"),
        ),
        (
            "extraEnvFrom: [{secretRef: {name: s}}]",
            set,
            at("/containers/0/envFrom/0/secretRef/name"),
            json!("s"),
        ),
        (
            "podAnnotations: {a: b}",
            set,
            "/spec/template/metadata/annotations/a",
            json!("b"),
        ),
        (
            "podLabels: {a: b}",
            set,
            "/spec/template/metadata/labels/a",
            json!("b"),
        ),
        (
            "updateStrategy: {type: OnDelete}",
            set,
            "/spec/updateStrategy/type",
            json!("OnDelete"),
        ),
        // State.
        ("{}", set, "/spec/volumeClaimTemplates", Value::Null),
        (
            "{}",
            set,
            at("/volumes/1"),
            json!({"name": "state", "emptyDir": {"sizeLimit": "256Mi"}}),
        ),
        ("persistence: {enabled: true}", set, at("/volumes/1"), Value::Null),
        (
            "persistence: {enabled: true}",
            set,
            "/spec/volumeClaimTemplates/0/spec",
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
        ),
        (
            "persistence: {enabled: true, storageClass: fast}",
            set,
            "/spec/volumeClaimTemplates/0/spec/storageClassName",
            json!("fast"),
        ),
        (
            "persistence: {enabled: true, storageClass: '-'}",
            set,
            "/spec/volumeClaimTemplates/0/spec/storageClassName",
            json!(""),
        ),
        (
            "persistence: {enabled: true, existingClaim: mine}",
            set,
            at("/volumes/1"),
            json!({"name": "state", "persistentVolumeClaim": {"claimName": "mine"}}),
        ),
        (
            "persistence: {enabled: true, existingClaim: mine}",
            set,
            "/spec/volumeClaimTemplates",
            Value::Null,
        ),
        (
            "persistence: {enabled: true, retentionPolicy: {whenDeleted: Delete}}",
            set,
            "/spec/persistentVolumeClaimRetentionPolicy",
            json!({"whenDeleted": "Delete", "whenScaled": "Retain"}),
        ),
        // Services.
        (
            "{}",
            "Service/demo-whyd-headless",
            "/spec/clusterIP",
            json!("None"),
        ),
        ("{}", set, "/spec/serviceName", json!("demo-whyd-headless")),
        (
            "service: {port: 80, type: NodePort, nodePort: 30477}",
            "Service/demo-whyd",
            "/spec/ports/0",
            json!({"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30477}),
        ),
        (
            "service: {annotations: {a: b}, labels: {c: d}}",
            "Service/demo-whyd",
            "/metadata/labels/c",
            json!("d"),
        ),
        (
            "service: {ipFamilyPolicy: PreferDualStack}",
            "Service/demo-whyd",
            "/spec/ipFamilyPolicy",
            json!("PreferDualStack"),
        ),
        // Network policy.
        (
            "networkPolicy: {enabled: true}",
            "NetworkPolicy",
            "/spec/ingress",
            json!([{"ports": [{"port": "http", "protocol": "TCP"}]}]),
        ),
        (
            "networkPolicy: {enabled: true}",
            "NetworkPolicy",
            "/spec/policyTypes",
            json!(["Ingress"]),
        ),
        (
            "networkPolicy: {enabled: true}",
            "NetworkPolicy",
            "/spec/egress",
            Value::Null,
        ),
        (
            "networkPolicy: {enabled: true, from: [{podSelector: {}}]}",
            "NetworkPolicy",
            "/spec/ingress/0/from/0",
            json!({"podSelector": {}}),
        ),
        (
            "networkPolicy: {enabled: true, restrictEgress: true}",
            "NetworkPolicy",
            "/spec/egress",
            json!([{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}]),
        ),
        (
            "networkPolicy: {enabled: true, restrictEgress: true, egress: [{}]}",
            "NetworkPolicy",
            "/spec/egress/1",
            json!({}),
        ),
        // Monitors.
        (
            "serviceMonitor: {enabled: true}",
            "ServiceMonitor",
            "/spec/endpoints",
            json!([{"port": "http", "path": "/metrics", "scheme": "http", "honorLabels": false, "relabelings": [
                {"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "instance"}
            ]}]),
        ),
        (
            "serviceMonitor: {enabled: true}",
            "ServiceMonitor",
            "/spec/namespaceSelector/matchNames",
            json!(["watch"]),
        ),
        (
            "serviceMonitor: {enabled: true, namespace: m, labels: {release: p}}",
            "ServiceMonitor",
            "/metadata/namespace",
            json!("m"),
        ),
        (
            "serviceMonitor: {enabled: true, labels: {release: p}}",
            "ServiceMonitor",
            "/metadata/labels/release",
            json!("p"),
        ),
        (
            "serviceMonitor: {enabled: true, honorLabels: true, interval: 30s}",
            "ServiceMonitor",
            "/spec/endpoints/0/interval",
            json!("30s"),
        ),
        (
            "{serviceMonitor: {enabled: true}, listen: {scheme: HTTPS}}",
            "ServiceMonitor",
            "/spec/endpoints/0/scheme",
            json!("https"),
        ),
        (
            "podMonitor: {enabled: true, podTargetLabels: [a]}",
            "PodMonitor",
            "/spec/podTargetLabels",
            json!(["a"]),
        ),
        (
            "podMonitor: {enabled: true, relabelings: [{action: drop}]}",
            "PodMonitor",
            "/spec/podMetricsEndpoints/0/relabelings/0/action",
            json!("drop"),
        ),
        // Dashboards.
        (
            "dashboards: {enabled: true}",
            "ConfigMap/demo-whyd-dashboard-fleet",
            "/metadata/labels/grafana_dashboard",
            json!("1"),
        ),
        (
            "dashboards: {enabled: true}",
            "ConfigMap/demo-whyd-dashboard-fleet",
            "/metadata/annotations",
            Value::Null,
        ),
        (
            "dashboards: {enabled: true, folder: Ours}",
            "ConfigMap/demo-whyd-dashboard-whyd",
            "/metadata/annotations/grafana_folder",
            json!("Ours"),
        ),
        (
            "dashboards: {enabled: true, label: find, labelValue: me}",
            "ConfigMap/demo-whyd-dashboard-whyd",
            "/metadata/labels/find",
            json!("me"),
        ),
        (
            "dashboards: {enabled: true, namespace: g}",
            "ConfigMap/demo-whyd-dashboard-dependency",
            "/metadata/namespace",
            json!("g"),
        ),
        // More objects.
        (
            "extraManifests: [{kind: A, metadata: {name: '{{ .Release.Name }}'}}]",
            "A",
            "/metadata/name",
            json!("demo"),
        ),
        (
            "extraManifests: ['{kind: B, metadata: {name: {{ include \"whyd.fullname\" . }}}}']",
            "B",
            "/metadata/name",
            json!("demo-whyd"),
        ),
        // The pod of `helm test`.
        (
            "{}",
            "Pod",
            "/spec/containers/0/args",
            json!(["check", "http://demo-whyd.watch.svc:9477/-/ready"]),
        ),
        (
            "service: {port: 80}",
            "Pod",
            "/spec/containers/0/args/1",
            json!("http://demo-whyd.watch.svc:80/-/ready"),
        ),
        (
            "service: {enabled: false}",
            "Pod",
            "/spec/containers/0/args/1",
            json!("http://demo-whyd-headless.watch.svc:9477/-/ready"),
        ),
        (
            "{listen: {scheme: HTTPS}, tests: {extraArgs: [--ca, /a]}}",
            "Pod",
            "/spec/containers/0/args",
            json!(["check", "https://demo-whyd.watch.svc:9477/-/ready", "--ca", "/a"]),
        ),
        (
            "{}",
            "Pod",
            "/spec/containers/1/args",
            json!(["validate", "/etc/whyd"]),
        ),
        ("{}", "Pod", "/metadata/annotations/helm.sh~1hook", json!("test")),
    ];
    // A replica each, away from each other.
    cases.extend([
        ("{}", set, at("/affinity"), Value::Null),
        ("replicas: 2", set, at("/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm/topologyKey"), json!("kubernetes.io/hostname")),
        ("{replicas: 2, podAntiAffinity: hard}", set, at("/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/topologyKey"), json!("kubernetes.io/hostname")),
        ("{replicas: 2, podAntiAffinity: none}", set, at("/affinity"), Value::Null),
        ("{replicas: 2, affinity: {nodeAffinity: {}}}", set, at("/affinity"), json!({"nodeAffinity": {}})),
        ("replicas: 3", "PodDisruptionBudget", "/spec/maxUnavailable", json!(1)),
        ("{replicas: 3, podDisruptionBudget: {minAvailable: 50%}}", "PodDisruptionBudget", "/spec/minAvailable", json!("50%")),
        ("{replicas: 3, podDisruptionBudget: {minAvailable: 50%}}", "PodDisruptionBudget", "/spec/maxUnavailable", Value::Null),
        ("replicas: 3", set, "/spec/podManagementPolicy", json!("Parallel")),
    ]);
    cases
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn each_template_makes_of_values_what_is_expected() {
    let helm = need_helm!();
    let mut seen = HashMap::new();
    for (values, object, pointer, expected) in cases() {
        let rendered = seen.entry(values).or_insert_with(|| helm.render(values));
        let found = rendered.one(object).pointer(pointer);
        let found = found.cloned().unwrap_or_default();
        assert_eq!(found, expected, "{values}: {object} {pointer}");
    }
}

fn kinds(rendered: &Rendered) -> Vec<&str> {
    let mut kinds: Vec<_> = rendered
        .objects
        .iter()
        .map(|object| object["kind"].as_str().expect("a kind"))
        .collect();
    kinds.sort_unstable();
    kinds
}

/// What is not asked for is not there, and what has to do with several replicas is there where there are several.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn only_what_is_asked_for_is_there() {
    let helm = need_helm!();
    let plain = ["ConfigMap", "Pod", "Service", "Service", "StatefulSet"];
    assert_eq!(kinds(&helm.render("{}")), plain);
    let none = helm.render("{service: {enabled: false}, tests: {enabled: false}, existingConfigMap: a}");
    assert_eq!(kinds(&none), ["Service", "StatefulSet"]);
    let several =
        helm.render("{replicas: 2, scaleOut: {election: none}, podDisruptionBudget: {enabled: false}}");
    assert_eq!(kinds(&several), plain);
    let secret = helm.render("configKind: Secret");
    assert!(secret.one("Secret")["stringData"]["whyd.yaml"].is_string());
    assert!(secret.of("ConfigMap").is_empty());
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn a_change_of_the_configuration_is_noticed_in_the_way_that_was_chosen() {
    let helm = need_helm!();
    let other = "{dependencies: [{name: a, url: 'tcp://a:1'}]}";
    let checksum = |rendered: &Rendered| rendered.pod()["metadata"]["annotations"]["checksum/config"].clone();
    let watch = helm.render("{}");
    assert!(watch.arguments().contains(&"--watch-config"));
    assert_eq!(checksum(&watch), Value::Null);
    let pod = |values: &str| helm.render(values).pod().clone();
    assert_eq!(pod("{}"), pod(&format!("config: {other}")), "no pod is replaced");
    let restart = helm.render("reload: restart");
    assert!(!restart.arguments().contains(&"--watch-config"));
    assert!(checksum(&restart).is_string());
    let changed = helm.render(&format!("{{reload: restart, config: {other}}}"));
    assert_ne!(checksum(&restart), checksum(&changed));
    let beside = helm.render("{reload: restart, configFiles: {a.pem: b}}");
    assert_ne!(checksum(&restart), checksum(&beside));
    let none = helm.render("reload: none");
    assert!(!none.arguments().contains(&"--watch-config"));
    assert_eq!(checksum(&none), Value::Null);
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn arguments_and_environment_are_what_the_program_takes() {
    let helm = need_helm!();
    let rendered = helm.render("extraArgs: [--log-level=debug]");
    assert_eq!(
        rendered.arguments(),
        [
            "run",
            "--config=/etc/whyd",
            "--listen=0.0.0.0:9477",
            "--state-dir=/var/lib/whyd",
            "--watch-config",
            "--log-format=json",
            "--log-level=info",
            "--log-level=debug",
        ]
    );
    let fields = [
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_UID", "metadata.uid"),
        ("NODE_NAME", "spec.nodeName"),
    ];
    for (name, field) in fields {
        let variable = rendered.variable(name).expect(name);
        assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], field);
    }
    assert_eq!(rendered.variable("CONTAINER_NAME").expect("it")["value"], "whyd");
    assert!(rendered.variable("WHYD_REPLICAS").is_none());
    let six = helm.render("listen: {address: '::', port: 1234}");
    assert!(
        six.arguments().contains(&"--listen=[::]:1234"),
        "{:?}",
        six.arguments()
    );
    let own = helm.render("extraEnv: [{name: TENANT, value: main}]");
    assert_eq!(own.variable("TENANT").expect("it")["value"], "main");
    // The state directory is the only one that is written.
    let mounts = rendered.container()["volumeMounts"].as_array().expect("mounts");
    let writable: Vec<_> = mounts
        .iter()
        .filter(|mount| mount["readOnly"] != true)
        .map(|mount| &mount["mountPath"])
        .collect();
    assert_eq!(writable, ["/var/lib/whyd"]);
}

/// One replica shares with nobody; several find their shares by their names and the count.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn replicas_share_the_work() {
    let helm = need_helm!();
    let one = helm.render("{}");
    assert!(!one.arguments().contains(&"--shard=auto"));
    let three = helm.render("replicas: 3");
    assert!(three.arguments().contains(&"--shard=auto"));
    assert_eq!(three.variable("WHYD_REPLICAS").expect("it")["value"], "3");
    let added = three.config("helm-chart.yaml");
    let expected = json!({"scale_out": {"factor": 2, "election": {"leases": {"name": "demo-whyd"}}}});
    assert_eq!(added, expected);
    let all = helm.render("{replicas: 2, scaleOut: {factor: 5, election: none, leaseName: x}}");
    assert_eq!(
        all.config("helm-chart.yaml"),
        json!({"scale_out": {"factor": 2, "election": "none"}})
    );
    let named = helm.render("{replicas: 2, scaleOut: {leaseName: x}}");
    assert_eq!(
        named.config("helm-chart.yaml")["scale_out"]["election"]["leases"]["name"],
        "x"
    );
    // What the configuration says itself is not said again.
    let own = helm.render("{replicas: 2, config: {scale_out: {factor: 1}, dependencies: []}}");
    assert!(own.one("ConfigMap")["data"]["helm-chart.yaml"].is_null());
    assert!(own.of("Role").is_empty(), "it elects nobody");
    let configured = helm.render("{replicas: 2, existingSecret: mine, scaleOut: {configured: true}}");
    assert!(configured.of("ConfigMap").is_empty());
    assert_eq!(configured.of("Role").len(), 1);
    let spread = helm.render(
        "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]",
    );
    let selector = &spread.pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert_eq!(
        *selector,
        spread.one("StatefulSet")["spec"]["selector"]["matchLabels"]
    );
    let placed = helm.render("location: eu-1");
    assert_eq!(placed.config("helm-chart.yaml"), json!({"location": "eu-1"}));
}

/// Rules of a role, each as `group/resources: verbs`.
fn permissions(role: &Value) -> Vec<String> {
    let rules = role["rules"].as_array().expect("rules");
    let text = |rule: &Value| {
        let of = |key: &str| texts(&rule[key]).join(",");
        format!("{}/{}: {}", of("apiGroups"), of("resources"), of("verbs"))
    };
    rules.iter().map(text).collect()
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn nothing_is_allowed_that_is_not_needed() {
    let helm = need_helm!();
    let off = helm.render("{}");
    for kind in [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    ] {
        assert!(off.of(kind).is_empty(), "{kind}");
    }
    assert_eq!(off.pod()["spec"]["automountServiceAccountToken"], false);
    assert_eq!(off.pod()["spec"]["serviceAccountName"], "default");

    let cluster = helm.render(
        "discovery: {kubernetes: {enabled: true, roles: [services, ingresses, http_routes, probes]}}",
    );
    let role = cluster.one("ClusterRole");
    assert_eq!(role["metadata"]["name"], "watch-demo-whyd-discovery");
    assert!(role["metadata"]["namespace"].is_null());
    assert_eq!(
        permissions(role),
        [
            "/services: list,watch",
            "gateway.networking.k8s.io/gateways: list,watch",
            "gateway.networking.k8s.io/httproutes: list,watch",
            "monitoring.coreos.com/probes: list,watch",
            "networking.k8s.io/ingresses: list,watch",
        ]
    );
    assert!(cluster.of("Role").is_empty());
    assert_eq!(cluster.pod()["spec"]["automountServiceAccountToken"], true);
    assert_eq!(cluster.pod()["spec"]["serviceAccountName"], "demo-whyd");
    let source = &cluster.config("helm-chart.yaml")["discovery"][0];
    assert_eq!(
        *source,
        json!({"name": "kubernetes", "kubernetes": {"roles": ["services", "ingresses", "http_routes", "probes"]}})
    );
    let binding = cluster.one("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], "demo-whyd");
    assert_eq!(binding["subjects"][0]["namespace"], "watch");

    let namespaced = helm.render("discovery: {kubernetes: {enabled: true, namespaces: [shop, cart]}}");
    assert!(namespaced.of("ClusterRole").is_empty());
    let places: Vec<_> = namespaced
        .of("Role")
        .iter()
        .map(|role| role["metadata"]["namespace"].clone())
        .collect();
    assert_eq!(places, ["cart", "shop"]);
    for role in namespaced.of("Role") {
        assert_eq!(permissions(role), ["/services: list,watch"]);
    }
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn roles_follow_from_the_configuration() {
    let helm = need_helm!();
    // Sources in the configuration are seen, in both ways of writing; one with a kubeconfig is somebody else.
    let inline = helm.render(
        "config: {dependencies: [], discovery: [{name: a, kubernetes: {namespaces: shop, roles: ingresses}}, {name: b, kubernetes: {namespaces: [shop]}}, \
         {name: c, kubernetes: {kubeconfig: /x}}, {name: d, dns_srv: {names: [a]}}]}",
    );
    assert!(inline.of("ClusterRole").is_empty());
    let role = inline.one("Role");
    assert_eq!(
        permissions(role),
        ["/services: list,watch", "networking.k8s.io/ingresses: list,watch"]
    );
    let outside = helm.render("{existingSecret: mine, rbac: {sources: [{roles: [services]}]}}");
    assert_eq!(outside.of("ClusterRole").len(), 1);

    let leases = helm.render("{replicas: 2}");
    let role = leases.one("Role");
    assert_eq!(role["metadata"]["namespace"], "watch");
    assert_eq!(
        permissions(role),
        ["coordination.k8s.io/leases: get,list,create,update"]
    );
    assert_eq!(leases.pod()["spec"]["automountServiceAccountToken"], true);

    // The configuration may put them into another namespace, in which we are still who we are.
    for (election, namespace) in [
        ("{leases: {namespace: other}}", "other"),
        ("{leases: {name: x}}", "watch"),
        ("{leases: }", "watch"),
        ("leases", "watch"),
    ] {
        let leases = helm.render(&format!(
            "{{replicas: 2, config: {{dependencies: [], scale_out: {{factor: 2, election: {election}}}}}}}"
        ));
        for kind in ["Role", "RoleBinding"] {
            assert_eq!(
                leases.one(kind)["metadata"]["namespace"],
                namespace,
                "{kind} of {election}"
            );
        }
        let subject = &leases.one("RoleBinding")["subjects"][0];
        assert_eq!(subject["namespace"], "watch", "{subject}");
    }

    let by_hand = helm.render("{replicas: 2, rbac: {create: false}, serviceAccount: {create: false, name: theirs, automount: false}}");
    assert!(by_hand.of("Role").is_empty() && by_hand.of("ServiceAccount").is_empty());
    assert_eq!(by_hand.pod()["spec"]["serviceAccountName"], "theirs");
    assert_eq!(by_hand.pod()["spec"]["automountServiceAccountToken"], false);
    let anyway = helm.render("serviceAccount: {create: true, annotations: {a: b}}");
    assert_eq!(anyway.one("ServiceAccount")["metadata"]["annotations"]["a"], "b");
    // The API server must be reached then.
    let egress = helm.render("{replicas: 2, networkPolicy: {enabled: true, restrictEgress: true}}");
    let ports = egress
        .one("NetworkPolicy")
        .pointer("/spec/egress/1/ports")
        .expect("ports")
        .clone();
    assert_eq!(
        ports,
        json!([{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}])
    );
}

/// What selects pods selects the daemon's, and not the pod of `helm test`; a monitor finds one Service.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn what_selects_finds_what_it_should() {
    let helm = need_helm!();
    let rendered = helm.render("{replicas: 2, nameOverride: other, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}, networkPolicy: {enabled: true}, commonLabels: {a: b}, podLabels: {c: d}}");
    let fits = |selector: &Value, object: &Value| {
        let wanted = selector.as_object().expect("labels");
        wanted
            .iter()
            .all(|(key, value)| object["metadata"]["labels"][key] == *value)
    };
    let set = rendered.one("StatefulSet");
    let (daemon, test) = (rendered.pod(), rendered.one("Pod"));
    let selectors = [
        &set["spec"]["selector"]["matchLabels"],
        &rendered.of("Service")[0]["spec"]["selector"],
        &rendered.of("Service")[1]["spec"]["selector"],
        &rendered.one("PodMonitor")["spec"]["selector"]["matchLabels"],
        &rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ];
    for selector in selectors {
        assert!(fits(selector, daemon), "{selector}");
        assert!(!fits(selector, test), "{selector}");
    }
    let monitor = &rendered.one("ServiceMonitor")["spec"]["selector"]["matchLabels"];
    let found: Vec<_> = rendered
        .of("Service")
        .into_iter()
        .filter(|service| fits(monitor, service))
        .collect();
    assert_eq!(found.len(), 1, "or each replica is scraped twice");
    assert_eq!(found[0]["metadata"]["name"], "demo-other");
    // Who restricts the listener must not shut out the test.
    let restricted = helm.render("networkPolicy: {enabled: true, from: [{podSelector: {}}]}");
    let peer = restricted
        .one("NetworkPolicy")
        .pointer("/spec/ingress/0/from/1/podSelector/matchLabels")
        .expect("the test")
        .clone();
    assert!(fits(&peer, restricted.one("Pod")));
}

/// Names are labels of DNS, and a pod's labels hold its StatefulSet's name with `-` and a hash of ten characters behind it.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn long_names_are_cut() {
    let helm = need_helm!();
    let long = "a".repeat(63);
    let rendered = helm.render(&format!("{{fullnameOverride: {long}, replicas: 1000}}"));
    let length = |object: &Value| object["metadata"]["name"].as_str().expect("a name").len();
    assert!(
        rendered
            .of("Service")
            .into_iter()
            .all(|service| length(service) <= 63)
    );
    assert!(length(rendered.one("StatefulSet")) + "-".len() + 10 <= 63);
    assert!(length(rendered.one("ServiceAccount")) <= 63);
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn what_is_off_is_said() {
    let helm = need_helm!();
    let said = notes(&helm, "{}");
    for words in [
        "`config.receivers` is empty",
        "Nothing survives a pod",
        "Only the cluster's own API",
        "`serviceMonitor`",
        "helm -n watch test demo",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("icmp"), "{said}");
    let ping = "{config: {dependencies: [{name: a, url: 'icmp://a'}]}}";
    assert!(notes(&helm, ping).contains("ping.sysctl"));
    let all = notes(
        &helm,
        "{config: {dependencies: [{name: a, url: 'icmp://a'}], receivers: [{name: b, webhook: {url: 'http://c'}}]}, persistence: {enabled: true}, \
         serviceMonitor: {enabled: true}, ping: {sysctl: true}, resources: {requests: {cpu: 10m}}}",
    );
    assert!(!all.contains("What to know"), "{all}");
    assert!(notes(&helm, "{replicas: 2, scaleOut: {election: none}}").contains("scaleOut.election"));
    assert!(
        notes(&helm, "{replicas: 2, rbac: {create: false}}").contains("demo-whyd must be given the roles")
    );
    assert!(
        notes(
            &helm,
            "{serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"
        )
        .contains("scraped twice")
    );
    for line in said.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
