//! What a text lowers to, by way of the same reading as files.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::config::{Diagnostics, Loaded, load};
use crate::model::dependency::{Auth, HttpProbe, Probe};
use crate::model::plan::OtlpProtocol;
use crate::model::secret::{SecretRef, Text};

fn loaded(name: &str, text: &str, env: &[(&str, &str)]) -> Result<Loaded, Diagnostics> {
    let env: HashMap<&str, &str> = env.iter().copied().collect();
    let file: PathBuf = std::env::temp_dir().join(format!("whyd-lower-{}-{name}.yaml", std::process::id()));
    std::fs::write(&file, text).expect("can be written");
    let loaded = load(&file, &env);
    let _ = std::fs::remove_file(&file);
    loaded
}

fn http(loaded: &Loaded) -> &HttpProbe {
    match &loaded.plan.dependencies[0].probe {
        Probe::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

const ONE: &str = "dependencies: [{name: a, url: 'https://a.example/'}]\n";

#[test]
fn otlp_is_off_unless_asked_for() {
    assert_eq!(loaded("off", ONE, &[]).expect("is good").plan.otlp, None);
}

#[test]
fn alerts_leave_as_log_records_unless_that_is_switched_off() {
    let logs = |otlp: &str, env: &[(&str, &str)]| {
        let text = format!("otlp: {{{otlp}}}\n{ONE}");
        let plan = loaded("logs", &text, env).expect("is good").plan;
        let logs = plan.otlp.expect("is on").alert_logs;
        logs.map(|logs| (logs.endpoint.to_string(), logs.asked_for))
    };
    let to = |endpoint: &str, asked_for| Some((endpoint.to_owned(), asked_for));
    let http = "endpoint: 'http://collector:4318/base/v1/metrics'";
    assert_eq!(
        logs("endpoint: 'http://collector:4317'", &[]),
        to("http://collector:4317", false)
    );
    assert_eq!(logs(http, &[]), to("http://collector:4318/base/v1/logs", false));
    assert_eq!(
        logs(&format!("{http}, logs: true"), &[]),
        to("http://collector:4318/base/v1/logs", true)
    );
    assert_eq!(logs(&format!("{http}, logs: false"), &[]), None);
    assert_eq!(
        logs(&format!("{http}, logs: 'http://other:4318'"), &[]),
        to("http://other:4318/v1/logs", true)
    );
    let variable = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://env:4318/logs")];
    assert_eq!(logs(http, &variable), to("http://env:4318/logs", false));
}

#[test]
fn the_standard_variables_turn_otlp_on() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20hunter2,x-a=b",
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/client.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/client.key"),
        ("OTEL_SERVICE_NAME", "probe"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=a%20b"),
    ];
    let loaded = loaded("env", ONE, &env).expect("is good");
    let otlp = loaded.plan.otlp.as_ref().expect("is on");
    assert_eq!(&*otlp.endpoint, "http://collector:4318/base/v1/metrics");
    assert_eq!(otlp.protocol, OtlpProtocol::HttpProtobuf);
    assert!(otlp.gzip);
    assert_eq!((otlp.timeout.as_millis(), otlp.interval.as_secs()), (2_500, 60));
    let resource: Vec<(&str, &str)> = otlp
        .resource
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(resource, [("service.name", "probe"), ("team", "a b")]);
    let (name, Text::Secret(SecretRef::Inline(value))) = &otlp.headers[0] else {
        panic!("{:?}", otlp.headers)
    };
    assert_eq!((&**name, value.expose()), ("authorization", "Bearer hunter2"));
    let cert = otlp.tls.client_cert.as_ref().expect("is there");
    assert_eq!(
        (cert.chain.to_str(), cert.key.to_str()),
        (Some("/client.pem"), Some("/client.key"))
    );
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

/// The resource that the section and the environment give, without what exports add.
fn resource(section: &str, env: &[(&str, &str)]) -> Vec<(String, String)> {
    let section = format!("{ONE}otlp: {{endpoint: 'http://c:4317'{section}}}\n");
    let loaded = loaded("resource", &section, env).expect("is good");
    let otlp = loaded.plan.otlp.expect("is on");
    let attributes = otlp.resource.iter();
    attributes
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn a_pod_is_known_by_what_the_downward_api_says() {
    let pod = [
        ("POD_NAME", "whyd-1"),
        ("POD_NAMESPACE", "watch"),
        ("POD_UID", "6d1c"),
        ("NODE_NAME", "node-a"),
        ("CONTAINER_NAME", "whyd"),
    ];
    let of = |text: &str, env: &[(&str, &str)], name: &str| {
        let found = resource(text, env).into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    };
    let names: Vec<String> = resource("", &pod).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "host.name",
            "k8s.container.name",
            "k8s.namespace.name",
            "k8s.node.name",
            "k8s.pod.name",
            "k8s.pod.uid",
            "service.instance.id"
        ]
    );
    let instance = |text: &str, env: &[(&str, &str)]| of(text, env, "service.instance.id");
    assert_eq!(instance("", &pod).as_deref(), Some("watch.whyd-1.whyd"));
    assert_eq!(instance("", &pod[..4]).as_deref(), Some("watch.whyd-1"));
    assert_eq!(instance("", &pod[..1]), None);
    assert_eq!(of("", &pod, "host.name").as_deref(), Some("node-a"));
    assert_eq!(of("", &[("POD_NAME", "")], "k8s.pod.name"), None);

    // The standard variable wins over the downward API, and the file over both.
    let standard = [
        pod[0],
        pod[1],
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "k8s.pod.name=other,service.instance.id=seven",
        ),
    ];
    assert_eq!(of("", &standard, "k8s.pod.name").as_deref(), Some("other"));
    assert_eq!(instance("", &standard).as_deref(), Some("seven"));
    let file = ", resource: {service.instance.id: mine, k8s.pod.name: filed}";
    assert_eq!(instance(file, &standard).as_deref(), Some("mine"));
    assert_eq!(of(file, &standard, "k8s.pod.name").as_deref(), Some("filed"));
}

#[test]
fn otlp_endpoints_follow_the_specification() {
    let endpoint = |section: &str, env: &[(&str, &str)]| {
        let loaded = loaded("endpoint", &format!("{ONE}{section}"), env).expect("is good");
        let otlp = loaded.plan.otlp.expect("is on");
        (otlp.endpoint.to_string(), otlp.protocol)
    };
    let own = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://c/x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://other/"),
    ];
    assert_eq!(
        endpoint("", &own),
        ("https://c:443/x".into(), OtlpProtocol::HttpProtobuf)
    );
    assert_eq!(
        endpoint("otlp:\n", &[]),
        (
            "http://localhost:4318/v1/metrics".into(),
            OtlpProtocol::HttpProtobuf
        )
    );
    assert_eq!(
        endpoint("otlp: {protocol: grpc}", &[]),
        ("http://localhost:4317".into(), OtlpProtocol::Grpc)
    );
    assert_eq!(
        endpoint("otlp: {endpoint: 'http://c:4317'}", &own),
        ("http://c:4317".into(), OtlpProtocol::Grpc)
    );
    let bare = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ];
    assert_eq!(endpoint("", &bare), ("http://c:4317".into(), OtlpProtocol::Grpc));
}

#[test]
fn a_bad_variable_is_an_error_without_its_value() {
    let wrong = loaded(
        "bad-env",
        ONE,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@-x-/")],
    )
    .expect_err("is bad");
    assert!(wrong.to_string().contains("otlp.endpoint"), "{wrong}");
    assert!(
        !wrong.render(false).contains("hunter2") && !wrong.render(false).contains("-x-"),
        "{wrong}"
    );
}

#[test]
fn user_info_becomes_basic_authentication_with_a_warning() {
    let text = "dependencies: [{name: a, url: 'https://me:hunter2@a.example/x?k=hunter2'}]\n";
    let loaded = loaded("user-info", text, &[]).expect("is good");
    let Auth::Basic {
        user,
        password: SecretRef::Inline(password),
    } = &http(&loaded).auth
    else {
        panic!("{:?}", http(&loaded).auth)
    };
    assert_eq!((&**user, password.expose()), ("me", "hunter2"));
    assert_eq!(loaded.warnings.len(), 1);
    let shown = loaded.warnings[0].render(false);
    assert!(
        shown.contains("the URL holds a password") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(!http(&loaded).url.to_string().contains("hunter2"));
}

#[test]
fn headers_from_the_environment_or_with_telling_names_are_secret() {
    let text = "defaults: {headers: {X-A: plain, Accept: text/plain}}\n\
        dependencies: [{name: a, url: 'https://a.example/', headers: {x-a: 'x ${env:A}', Authorization: b}}]\n";
    let loaded = loaded("headers", text, &[("A", "hunter2")]).expect("is good");
    let headers: Vec<(&str, bool)> = http(&loaded)
        .headers
        .iter()
        .map(|(name, value)| (&**name, matches!(value, Text::Secret(_))))
        .collect();
    assert_eq!(
        headers,
        [("Accept", false), ("Authorization", true), ("x-a", true)]
    );
}

#[test]
fn a_proxy_from_the_environment_is_asked_for_and_said() {
    let text = "defaults: {proxy: environment}\n\
        dependencies: [{name: a, url: 'https://a.example/'}, {name: b, url: 'https://b.example/', proxy: none}, \
        {name: c, url: 'https://c.internal/'}]\n";
    let env = [
        ("HTTPS_PROXY", "http://me:hunter2@proxy:3128"),
        ("NO_PROXY", "localhost, .internal"),
    ];
    let loaded = loaded("proxy", text, &env).expect("is good");
    let proxy = http(&loaded).proxy.as_ref().expect("is there");
    assert_eq!(
        (proxy.to_string().as_str(), proxy.inherited_from.as_deref()),
        ("http://proxy:3128", Some("HTTPS_PROXY"))
    );
    assert_eq!(
        loaded.plan.dependencies[0].host.proxy.as_deref(),
        Some("http://proxy:3128")
    );
    for other in &loaded.plan.dependencies[1..] {
        assert_eq!(other.host.proxy, None, "{}", other.name);
    }
    let warnings: Vec<&str> = loaded.warnings.iter().map(|one| one.problem.as_str()).collect();
    assert_eq!(
        warnings,
        ["the proxy is the one that `HTTPS_PROXY` in the environment names"]
    );
    // Without being asked for, the environment's proxy is not used.
    let without = super::tests::loaded("no-proxy", ONE, &env).expect("is good");
    assert_eq!(http(&without).proxy, None);
}

#[test]
fn a_numeric_reference_reaches_a_number_and_a_text() {
    let text = "dependencies: [{name: a, url: 'https://a.example/', retry: {attempts: '${env:N}'}, labels: {n: '${env:N}'}}]\n";
    let loaded = loaded("number", text, &[("N", "4")]).expect("is good");
    let one = &loaded.plan.dependencies[0];
    assert_eq!(one.retry.attempts, 4);
    assert_eq!(
        one.labels.iter().map(|(_, value)| &**value).collect::<Vec<_>>(),
        ["4"]
    );
}

#[test]
fn many_dependencies_load_in_reasonable_time_and_order() {
    let mut text = String::from("dependencies:\n");
    for i in (0..2_000).rev() {
        text.push_str(&format!(
            "  - {{name: d{i:05}, url: 'https://h{i}.example/', depends_on: [d{:05}]}}\n",
            (i + 1).min(2_000)
        ));
    }
    text.push_str("  - {name: d02000, url: 'https://last.example/'}\n");
    let loaded = loaded("many", &text, &[]).expect("is good");
    assert_eq!(loaded.plan.dependencies.len(), 2_001);
    assert!(loaded.plan.dependencies.is_sorted_by(|a, b| a.name < b.name));
}
