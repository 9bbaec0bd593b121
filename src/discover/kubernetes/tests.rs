//! What becomes of the objects of each role.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::announce::{Context, Found};
use super::follow::{Scope, Told, What};
use super::http_routes::{self, Gateway, GatewaySpec};
use super::ingresses::{self, IngressSpec};
use super::object::{Key, Lenient, Seen};
use super::probes::Probe;
use super::store::{Kept, Store};
use super::{probes, services};
use crate::model::discovery::{News, Target};

fn context() -> Context {
    Context::new("whyd.io".into())
}

fn object<S: DeserializeOwned>(value: Value) -> Seen<S> {
    serde_json::from_value(value).expect("an object")
}

/// `name address`, of each target.
fn addresses(found: &Found) -> Vec<String> {
    let name = |target: &Target| target.labels["__whyd_name__"].to_string();
    found
        .targets
        .iter()
        .map(|target| format!("{} {}", name(target), target.address))
        .collect()
}

fn reasons(found: &Found) -> String {
    let told = found
        .refused
        .iter()
        .map(|one| format!("{}: {}", one.place, one.why));
    told.collect::<Vec<_>>().join("\n")
}

fn metadata(name: &str, annotations: Value) -> Value {
    json!({"namespace": "shop", "name": name, "annotations": annotations, "labels": {"app.kubernetes.io/name": "cart"}})
}

fn service(annotations: Value, spec: Value) -> Found {
    let service = object(json!({"metadata": metadata("cart", annotations), "spec": spec}));
    services::found(&context(), &service)
}

fn ports(ports: Value) -> Value {
    json!({"type": "ClusterIP", "clusterIP": "10.0.0.7", "ports": ports})
}

#[test]
fn services_are_asked_by_their_names_in_the_cluster() {
    let http = ports(json!([{"name": "http", "port": 8080}]));
    let found = service(json!({"whyd.io/probe": "true"}), http.clone());
    assert_eq!(
        addresses(&found),
        ["cart.shop.svc:8080 http://cart.shop.svc:8080/"]
    );
    let target = &found.targets[0];
    assert_eq!(
        (&*target.id, &*target.place),
        ("service/shop/cart:8080", "service shop/cart")
    );
    for (name, value) in [
        ("namespace", "shop"),
        ("__meta_kubernetes_namespace", "shop"),
        ("__meta_kubernetes_service_name", "cart"),
        ("__meta_kubernetes_service_label_app_kubernetes_io_name", "cart"),
        (
            "__meta_kubernetes_service_labelpresent_app_kubernetes_io_name",
            "true",
        ),
        ("__meta_kubernetes_service_annotation_whyd_io_probe", "true"),
        ("__meta_kubernetes_service_port_name", "http"),
        ("__meta_kubernetes_service_port_number", "8080"),
        ("__meta_kubernetes_service_port_protocol", "TCP"),
        ("__meta_kubernetes_service_type", "ClusterIP"),
        ("__meta_kubernetes_service_cluster_ip", "10.0.0.7"),
    ] {
        assert_eq!(target.labels.get(name).map(|own| &**own), Some(value), "{name}");
    }
    let path = json!({"whyd.io/probe": "true", "whyd.io/path": "/health?deep=1", "whyd.io/name": "cart"});
    assert_eq!(
        addresses(&service(path, http)),
        ["cart http://cart.shop.svc:8080/health?deep=1"]
    );
}

#[test]
fn only_what_asks_for_it_is_watched() {
    let spec = ports(json!([{"port": 80}]));
    for (annotations, watched) in [
        (json!({}), 0),
        (json!({"whyd.io/path": "/x"}), 0),
        (
            json!({"whyd.io/probe": "false", "prometheus.io/probe": "true"}),
            0,
        ),
        (json!({"prometheus.io/probe": "true"}), 1),
        (json!({"prometheus.io/probe": "slow"}), 0),
        (json!({"other.io/probe": "true"}), 0),
        (json!({"whyd.io/probe": " true "}), 1),
    ] {
        let found = service(annotations.clone(), spec.clone());
        assert_eq!(
            (found.targets.len(), reasons(&found)),
            (watched, String::new()),
            "{annotations}"
        );
    }
}

#[test]
fn what_a_port_speaks_is_what_is_said_of_it() {
    for (port, annotations, address) in [
        (json!({"port": 5432}), json!({}), "tcp://cart.shop.svc:5432"),
        (json!({"port": 80}), json!({}), "http://cart.shop.svc:80/"),
        (json!({"port": 443}), json!({}), "https://cart.shop.svc:443/"),
        (
            json!({"port": 1, "name": "https-web"}),
            json!({}),
            "https://cart.shop.svc:1/",
        ),
        (
            json!({"port": 1, "name": "tls"}),
            json!({}),
            "tls://cart.shop.svc:1",
        ),
        (
            json!({"port": 80, "appProtocol": "redis"}),
            json!({}),
            "tcp://cart.shop.svc:80",
        ),
        (
            json!({"port": 1, "appProtocol": "HTTPS", "name": "http"}),
            json!({}),
            "https://cart.shop.svc:1/",
        ),
        (
            json!({"port": 1, "appProtocol": "kubernetes.io/ws"}),
            json!({}),
            "ws://cart.shop.svc:1/",
        ),
        (
            json!({"port": 9000}),
            json!({"whyd.io/path": "/ok"}),
            "http://cart.shop.svc:9000/ok",
        ),
        (
            json!({"port": 80}),
            json!({"whyd.io/scheme": "grpc"}),
            "grpc://cart.shop.svc:80",
        ),
        (
            json!({"port": 53, "protocol": "UDP"}),
            json!({"whyd.io/scheme": "dns", "whyd.io/path": "/a.b?type=A"}),
            "dns://cart.shop.svc:53/a.b?type=A",
        ),
    ] {
        let mut all = annotations.clone();
        all["whyd.io/probe"] = json!("true");
        let found = service(all, ports(json!([port])));
        assert_eq!(
            found.targets.first().map(|target| &*target.address),
            Some(address),
            "{port} {annotations}"
        );
    }
    // Who uses the convention of Prometheus means HTTP.
    let found = service(
        json!({"prometheus.io/probe": "true"}),
        ports(json!([{"port": 9000}])),
    );
    assert_eq!(&*found.targets[0].address, "http://cart.shop.svc:9000/");
}

#[test]
fn an_annotation_chooses_among_the_ports_of_its_service_and_no_other_host() {
    let spec = ports(
        json!([{"name": "http", "port": 80}, {"name": "db", "port": 5432}, {"name": "syslog", "port": 514, "protocol": "UDP"}]),
    );
    let with = |key: &str, value: &str| {
        service(
            json!({"whyd.io/probe": "true", (format!("whyd.io/{key}")): value}),
            spec.clone(),
        )
    };
    assert_eq!(
        addresses(&with("name", "cart")),
        [
            "cart:80 http://cart.shop.svc:80/",
            "cart:5432 tcp://cart.shop.svc:5432"
        ]
    );
    assert_eq!(
        addresses(&with("port", "db")),
        ["cart.shop.svc:5432 tcp://cart.shop.svc:5432"]
    );
    assert_eq!(with("port", "80, db").targets.len(), 2);
    for (key, value, why) in [
        ("port", "22", "it has no port `22`"),
        ("port", "syslog", "its port `syslog` is UDP, and whyd watches TCP"),
        ("path", "//evil.example/", ""),
        (
            "path",
            "evil.example",
            "`whyd.io/path` is not the path of a URL, such as `/health`",
        ),
        (
            "path",
            "/a b",
            "`whyd.io/path` is not the path of a URL, such as `/health`",
        ),
        (
            "path",
            "/a#b",
            "`whyd.io/path` is not the path of a URL, such as `/health`",
        ),
        (
            "scheme",
            "http://evil.example/?",
            "`whyd.io/scheme` is not the scheme of a URL, such as `https`",
        ),
        (
            "scheme",
            "HTTP",
            "`whyd.io/scheme` is not the scheme of a URL, such as `https`",
        ),
        (
            "probe",
            "yes",
            "`whyd.io/probe` is neither \"true\" nor \"false\"",
        ),
        ("host", "evil.example", "there is no annotation `whyd.io/host`"),
    ] {
        let found = with(key, value);
        let told = reasons(&found);
        assert!(told.contains(why), "{key}={value}: {told}");
        assert_eq!(told.is_empty(), why.is_empty(), "{key}={value}: {told}");
        for target in &found.targets {
            let url = url::Url::parse(&target.address).expect("a URL");
            assert_eq!(url.host_str(), Some("cart.shop.svc"), "{key}={value}");
        }
    }
    let external = json!({"type": "ExternalName", "externalName": "evil.example", "ports": [{"port": 80}]});
    let found = service(json!({"whyd.io/probe": "true"}), external);
    assert!(
        found.targets.is_empty() && reasons(&found).contains("ExternalName"),
        "{}",
        reasons(&found)
    );
}

#[test]
fn a_headless_service_is_asked_at_its_pods_ports() {
    let spec = json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "web"}]});
    let found = service(json!({"whyd.io/probe": "true"}), spec);
    let addresses: Vec<_> = found.targets.iter().map(|target| &*target.address).collect();
    assert_eq!(
        addresses,
        ["http://cart.shop.svc:8080/", "tcp://cart.shop.svc:81"]
    );
}

#[test]
fn settings_are_handed_on_and_the_interval_is_one_of_them() {
    let with = |annotations: Value| {
        let mut all = annotations;
        all["whyd.io/probe"] = json!("true");
        service(all, ports(json!([{"port": 80}])))
    };
    let settings = |found: &Found| found.targets[0].settings.as_deref().map(str::to_owned);
    let own = "expect: {status: 204}";
    assert_eq!(
        settings(&with(json!({"whyd.io/settings": own}))).as_deref(),
        Some(own)
    );
    let both =
        settings(&with(json!({"whyd.io/settings": own, "whyd.io/interval": "10s"}))).expect("settings");
    let both: Value = serde_yaml::from_str(&both).expect("YAML");
    assert_eq!(both, json!({"expect": {"status": 204}, "interval": "10s"}));
    let found = with(json!({"whyd.io/settings": "- a", "whyd.io/interval": "10s"}));
    assert!(
        reasons(&found).contains("not keys of a dependency"),
        "{}",
        reasons(&found)
    );
}

#[test]
fn settings_that_would_grow_are_refused_before_they_are_read() {
    // 250 KB that would be gigabytes, and the same within the length that settings may have.
    let bomb = |long: usize, many: usize| {
        let (long, many) = ("x".repeat(long), vec!["*a"; many].join(","));
        format!("expect: {{a: [&a {long},{many}]}}")
    };
    let (long, aliases) = (
        "the settings are longer than 16384 bytes",
        "the settings repeat a part of themselves (`*a`): write it out",
    );
    for (settings, interval, why) in [
        (bomb(125_000, 40_000), "10s".to_owned(), long),
        (bomb(8_000, 2_000), "10s".to_owned(), aliases),
        (bomb(8_000, 2_000), String::new(), aliases),
        // What is written anew is no longer either.
        ("expect: {status: 204}".to_owned(), "1".repeat(20_000), long),
        ("x: y # ".to_owned() + &"z".repeat(20_000), String::new(), long),
    ] {
        let annotations =
            json!({"whyd.io/settings": settings, "whyd.io/interval": interval, "whyd.io/probe": "true"});
        let found = service(annotations.clone(), ports(json!([{"port": 80}])));
        assert_eq!(reasons(&found), format!("service shop/cart: {why}"));
        let mut spec = fixed("http_2xx", "a");
        spec["interval"] = json!("30s");
        let found = probe(annotations, spec);
        assert_eq!(reasons(&found), format!("probe shop/sites: {why}"));
    }
}

fn ingress(annotations: Value, spec: Value) -> Seen<IngressSpec> {
    object(json!({"metadata": metadata("web", annotations), "spec": spec}))
}

#[test]
fn ingresses_are_asked_by_each_host_and_path() {
    let spec = json!({
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["*.example.com"], "secretName": "x"}],
        "rules": [
            {"host": "Shop.example.com", "http": {"paths": [{"path": "/cart", "pathType": "Prefix"}, {"path": "/api/*"}, {}]}},
            {"host": "a.b.example.com"},
            {"host": "*.wild.example.com", "http": {"paths": [{"path": "/"}]}},
            {"host": "re.example.com", "http": {"paths": [{"path": "/x(/|$)(.*)", "pathType": "ImplementationSpecific"}]}},
            {"http": {"paths": [{"path": "/"}]}},
        ],
    });
    let found = ingresses::found(
        &context(),
        &ingress(json!({"whyd.io/probe": "true"}), spec.clone()),
    );
    assert_eq!(
        addresses(&found),
        [
            "a.b.example.com http://a.b.example.com/",
            "shop.example.com https://shop.example.com/",
            "shop.example.com_api https://shop.example.com/api",
            "shop.example.com_cart https://shop.example.com/cart",
        ]
    );
    assert_eq!(&*found.targets[3].id, "ingress/shop/web:shop.example.com/cart");
    assert_eq!(
        &*found.targets[3].labels["__meta_kubernetes_ingress_class_name"],
        "nginx"
    );
    assert_eq!(
        &*found.targets[3].labels["__meta_kubernetes_ingress_path"],
        "/cart"
    );
    let told = reasons(&found);
    for why in [
        "`*.wild.example.com` is a pattern",
        "`/x(/|$)(.*)` of re.example.com is a pattern",
        "is for every host",
    ] {
        assert!(told.contains(why), "{told}");
    }
    let annotations = json!({"whyd.io/probe": "true", "whyd.io/path": "/health", "whyd.io/scheme": "https", "whyd.io/port": "8443"});
    let found = ingresses::found(&context(), &ingress(annotations, spec));
    assert_eq!(
        addresses(&found),
        [
            "a.b.example.com:8443_health https://a.b.example.com:8443/health",
            "re.example.com:8443_health https://re.example.com:8443/health",
            "shop.example.com:8443_health https://shop.example.com:8443/health",
        ]
    );
}

fn route(annotations: Value, spec: Value, gateway: Option<Value>) -> Found {
    let route = object(json!({"metadata": metadata("web", annotations), "spec": spec}));
    let gateway: Option<Gateway> = gateway
        .map(|spec| object(json!({"metadata": {"namespace": "infra", "name": "public"}, "spec": spec})));
    let spec: Option<GatewaySpec> = gateway.and_then(|gateway| match gateway.spec {
        Some(Lenient(Ok(spec))) => Some(spec),
        _ => None,
    });
    http_routes::found(&context(), &route, |key: &Key| {
        assert_eq!(key.to_string(), "infra/public");
        spec.as_ref()
    })
}

#[test]
fn routes_are_asked_by_the_scheme_of_their_gateways_listener() {
    let asks = json!({"whyd.io/probe": "true"});
    let spec = json!({
        "parentRefs": [{"name": "public", "namespace": "infra"}],
        "hostnames": ["shop.example.com", "plain.example.org"],
        "rules": [
            {"matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}, {"path": {"type": "Exact", "value": "/ok"}, "method": "POST"}]},
            {"matches": [{"path": {"value": "/v2"}, "headers": [{"name": "x", "value": "y"}]}]},
            {},
        ],
    });
    let gateway = json!({"listeners": [
        {"name": "plain", "port": 8080, "protocol": "HTTP"},
        {"name": "secure", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com"},
        {"name": "raw", "port": 9, "protocol": "TLS"},
    ]});
    let found = route(asks.clone(), spec.clone(), Some(gateway));
    assert_eq!(
        addresses(&found),
        [
            "plain.example.org:8080 http://plain.example.org:8080/",
            "plain.example.org:8080_cart http://plain.example.org:8080/cart",
            "shop.example.com https://shop.example.com/",
            "shop.example.com_cart https://shop.example.com/cart",
        ]
    );
    assert_eq!(&*found.targets[3].id, "httproute/shop/web:shop.example.com/cart");
    let unseen = route(asks.clone(), spec.clone(), None);
    assert!(unseen.targets.is_empty());
    assert!(
        reasons(&unseen).contains("its Gateway infra/public, which whyd cannot see"),
        "{}",
        reasons(&unseen)
    );
    let said = route(
        json!({"whyd.io/probe": "true", "whyd.io/scheme": "https", "whyd.io/path": "/h"}),
        spec,
        None,
    );
    assert_eq!(
        addresses(&said),
        [
            "plain.example.org_h https://plain.example.org/h",
            "shop.example.com_h https://shop.example.com/h"
        ]
    );
    let broken = route(asks, json!({"hostnames": "x"}), None);
    assert!(
        reasons(&broken).contains("it cannot be understood: spec.hostnames: "),
        "{}",
        reasons(&broken)
    );
}

fn probe(annotations: Value, spec: Value) -> Found {
    let probe = object(json!({"metadata": metadata("sites", annotations), "spec": spec}));
    let web = ingress(
        json!({}),
        json!({"tls": [{}], "rules": [{"host": "shop.example.com", "http": {"paths": [{"path": "/cart"}]}}]}),
    );
    probes::found(&context(), &probe, Ok([&web].into_iter()))
}

fn fixed(module: &str, target: &str) -> Value {
    json!({"module": module, "prober": {"url": "blackbox:9115"}, "targets": {"staticConfig": {"static": [target]}}})
}

#[test]
fn modules_mean_what_they_commonly_mean() {
    for (module, target, name, address) in [
        (
            "",
            "shop.example.com",
            "shop.example.com",
            "http://shop.example.com",
        ),
        (
            "http_2xx",
            "https://shop.example.com/a?b=c",
            "shop.example.com_a",
            "https://shop.example.com/a?b=c",
        ),
        (
            "tcp_connect",
            "db.example.com:5432",
            "tcp:db.example.com:5432",
            "tcp://db.example.com:5432",
        ),
        ("tcp_connect_tls", "db:443", "tls:db:443", "tls://db:443"),
        ("icmp", "10.0.0.1", "icmp:10.0.0.1", "icmp://10.0.0.1"),
        ("grpc", "api:443", "grpcs:api:443", "grpcs://api:443"),
        ("ssh_banner", "git:22", "ssh:git:22", "ssh://git:22"),
    ] {
        let found = probe(json!({}), fixed(module, target));
        assert_eq!(
            addresses(&found),
            [format!("{name} {address}")],
            "{module}: {}",
            reasons(&found)
        );
    }
    let found = probe(json!({}), fixed("http_401", "https://x/"));
    assert!(
        found.targets[0]
            .settings
            .as_deref()
            .is_some_and(|text| text.contains("401"))
    );
    for (module, target, why) in [
        ("dns_udp", "10.0.0.10", "hides which name it asks for"),
        ("http_post_2xx", "http://x", "sends a body"),
        (
            "our_own",
            "http://x",
            "its module `our_own` is none of the usual ones",
        ),
        (
            "icmp",
            "https://x/",
            "its target `https://x/` is no target of its module",
        ),
        (
            "http_2xx",
            "ftp://x/",
            "its target `ftp://x/` is no target of its module",
        ),
        ("http_2xx", "a b", "has blanks in it"),
    ] {
        let found = probe(json!({}), fixed(module, target));
        assert!(
            found.targets.is_empty() && reasons(&found).contains(why),
            "{module}: {}",
            reasons(&found)
        );
    }
    let said = json!({"whyd.io/scheme": "https", "whyd.io/path": "/health"});
    assert_eq!(
        addresses(&probe(said, fixed("our_own", "x:8443"))),
        ["x:8443_health https://x:8443/health"]
    );
    assert_eq!(
        probe(json!({"whyd.io/probe": "false"}), fixed("icmp", "x")),
        Found::default()
    );
}

#[test]
fn a_probe_gives_its_labels_interval_and_timeout() {
    let spec = json!({
        "jobName": "sites", "interval": "1m30s", "scrapeTimeout": "500ms",
        "targets": {"staticConfig": {"static": ["a", "b", "a"], "labels": {
            "team": "checkout", "namespace": "other", "__meta_kubernetes_namespace": "other", "__scheme__": "file",
        }}},
    });
    let found = probe(json!({}), spec.clone());
    assert_eq!(addresses(&found), ["a http://a", "b http://b"]);
    let target = &found.targets[1];
    assert_eq!(
        (&*target.id, &*target.place),
        ("probe/shop/sites:b", "probe shop/sites")
    );
    assert_eq!(&*target.labels["team"], "checkout");
    // It cannot say that it is of another namespace.
    assert_eq!(&*target.labels["namespace"], "shop");
    assert_eq!(&*target.labels["__meta_kubernetes_namespace"], "shop");
    assert!(!target.labels.contains_key("__scheme__"), "{:?}", target.labels);
    assert_eq!(&*target.labels["__meta_kubernetes_probe_job_name"], "sites");
    let settings: Value = serde_yaml::from_str(target.settings.as_deref().expect("settings")).expect("YAML");
    assert_eq!(
        settings,
        json!({"interval": "90s", "timeouts": {"total": "500ms"}})
    );
    for (key, value, why) in [
        (
            "interval",
            json!("soon"),
            "its `interval` is not a duration, such as `30s`",
        ),
        (
            "params",
            json!([{"name": "hostname", "values": ["x"]}]),
            "its `params` give the exporter `hostname`",
        ),
        (
            "targets",
            json!({}),
            "it has neither `targets.staticConfig` nor `targets.ingress`",
        ),
        (
            "targets",
            json!({"staticConfig": {"static": 5}}),
            "it cannot be understood: spec.targets.staticConfig.static: ",
        ),
        (
            "targets",
            json!({"staticConfig": {"static": ["a"], "relabelingConfigs": [{"action": "Drop"}]}}),
            "`Drop` there changes",
        ),
        (
            "targets",
            json!({"staticConfig": {"static": ["a"], "relabelingConfigs": [{"targetLabel": "__param_target"}]}}),
            "`replace` there changes what is probed",
        ),
    ] {
        let mut changed = spec.clone();
        changed[key] = value;
        let found = probe(json!({}), changed);
        assert!(
            found.targets.is_empty() && reasons(&found).contains(why),
            "{key}: {}",
            reasons(&found)
        );
    }
}

#[test]
fn a_probe_takes_its_targets_from_ingresses() {
    let with = |selector: Value, namespaces: Value| {
        let ingress = json!({"selector": selector, "namespaceSelector": namespaces});
        probe(
            json!({}),
            json!({"module": "http_2xx", "targets": {"ingress": ingress}}),
        )
    };
    let cart = json!({"matchLabels": {"app.kubernetes.io/name": "cart"}});
    let found = with(cart.clone(), json!({}));
    assert_eq!(
        addresses(&found),
        ["shop.example.com_cart https://shop.example.com/cart"]
    );
    assert_eq!(
        &*found.targets[0].id,
        "probe/shop/sites:https://shop.example.com/cart"
    );
    assert_eq!(&*found.targets[0].labels["__meta_kubernetes_ingress_name"], "web");
    let expression = |operator: &str| json!({"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": operator, "values": ["cart"]}]});
    for (selector, namespaces, count) in [
        (json!({}), json!({"any": true}), 1),
        (json!({}), json!({"matchNames": ["shop"]}), 1),
        (json!({}), json!({"matchNames": ["other"]}), 0),
        (json!({"matchLabels": {"app": "x"}}), json!({}), 0),
        (expression("In"), json!({}), 1),
        (expression("NotIn"), json!({}), 0),
        (expression("Exists"), json!({}), 1),
        (expression("DoesNotExist"), json!({}), 0),
    ] {
        let found = with(selector.clone(), namespaces.clone());
        assert_eq!(
            found.targets.len(),
            count,
            "{selector} {namespaces}: {}",
            reasons(&found)
        );
    }
    let probe = object(
        json!({"metadata": metadata("sites", json!({})), "spec": {"targets": {"ingress": {"selector": cart}}}}),
    );
    let found = probes::found::<std::slice::Iter<'_, Seen<IngressSpec>>>(
        &context(),
        &probe,
        Err("whyd may not list them"),
    );
    assert!(reasons(&found).contains("its targets are Ingresses, and whyd may not list them"));
}

#[test]
fn ids_and_names_do_not_change_with_what_is_asked() {
    let spec = ports(json!([{"port": 80}]));
    let plain = service(json!({"whyd.io/probe": "true"}), spec.clone());
    let path = service(
        json!({"whyd.io/probe": "true", "whyd.io/path": "/x", "whyd.io/scheme": "https"}),
        spec,
    );
    let same = |found: &Found| {
        let target = &found.targets[0];
        (
            Arc::clone(&target.id),
            Arc::clone(&target.labels["__whyd_name__"]),
        )
    };
    assert_eq!(same(&plain), same(&path));
}

#[test]
fn what_an_object_holds_is_not_multiplied_without_bound() {
    let probe = |targets: usize, annotations: usize, longest: usize, labels: usize| {
        let targets: Vec<String> = (0..targets).map(|i| format!("h{i}:1")).collect();
        let map = |name: &str, count: usize, longest: usize| -> Value {
            let one = |i: usize| (format!("{name}{i}"), Value::from("x".repeat(longest)));
            Value::Object((0..count).map(one).collect())
        };
        let spec = json!({"module": "tcp_connect", "targets": {"staticConfig": {"static": targets, "labels": map("__l", labels, 1)}}});
        let found = probe(map("a", annotations, longest), spec);
        (found.targets.len(), reasons(&found))
    };
    for (targets, annotations, longest, labels, told) in [
        (4_000, 20_000, 1, 0, "it has more than 256 labels and annotations"),
        (4_000, 0, 1, 20_000, "its `staticConfig.labels` are more than 512"),
        (
            4_000,
            100,
            200,
            0,
            "its targets, each with all its labels, hold more than 64 MiB",
        ),
        (5_001, 0, 1, 0, "it has more than 5000 targets"),
    ] {
        let got = probe(targets, annotations, longest, labels);
        assert_eq!(got, (0, format!("probe shop/sites: {told}")));
    }
    assert_eq!(probe(5_000, 20, 50, 10), (5_000, String::new()));
    // An annotation that is no label for its length is in nobody's way.
    assert_eq!(probe(4_000, 1, 200_000, 0), (4_000, String::new()));
    let named = service(
        json!({"whyd.io/probe": "true", "whyd.io/port": vec!["1"; 300].join(",")}),
        ports(json!([{"port": 1}])),
    );
    assert_eq!(
        reasons(&named),
        "service shop/cart: `whyd.io/port` names more than 256 ports"
    );
}

#[test]
fn a_source_has_so_many_targets_and_who_has_few_comes_first() {
    let scope = Scope {
        index: 0,
        kind: super::object::PROBE,
        namespace: None,
        selector: None,
    };
    let mut store = Store::new(Arc::new(context()), Arc::from([]));
    store.expect(scope, false);
    let kept = |i: usize, targets: usize| {
        let targets: Vec<String> = (0..targets).map(|t| format!("h{i}-{t}:1")).collect();
        let spec = json!({"module": "tcp_connect", "targets": {"staticConfig": {"static": targets}}});
        let metadata = metadata(&format!("p{i:02}"), json!({}));
        let probe: Probe = object(json!({"metadata": metadata, "spec": spec}));
        (probe.key(), Kept::Probe(Box::new(probe)))
    };
    // The last one is the only one with few.
    let all = (0..11).map(|i| kept(i, 4_999)).chain([kept(99, 3)]).collect();
    store.take(Told {
        scope: 0,
        what: What::Listed(all),
    });
    let (mut found, mut refused) = (Arc::from([]), Arc::from([]));
    for news in store.news(tokio::time::Instant::now()) {
        match news {
            News::Found(targets) => found = targets,
            News::Refused(all) => refused = all,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found.len(), 10 * 4_999 + 3);
    assert!(found.iter().any(|target| &*target.place == "probe shop/p99"));
    let told: Vec<_> = refused.iter().map(|one| (&*one.place, &*one.why)).collect();
    let why = "the source has more than 50000 targets; those of others are fewer, and go first";
    assert_eq!(told, [("probe shop/p10", why)]);
}
