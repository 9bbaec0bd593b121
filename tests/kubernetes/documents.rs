//! docs/kubernetes.md and examples/kubernetes say what is so.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value;
use whyd::config::load;
use whyd::discover::kubernetes::{ANNOTATIONS, modules, needs, rule};
use whyd::model::discovery::{KubernetesRole, News, SourceKind};

use crate::api::KubeApi;
use crate::watching::{Seen, Wish};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/kubernetes.md")).expect("the document")
}

/// The objects of an example.
fn objects(name: &str) -> Vec<Value> {
    let path = root().join("examples/kubernetes").join(name);
    let text = std::fs::read_to_string(&path).expect("the example");
    serde_yaml::Deserializer::from_str(&text)
        .map(|one| Value::deserialize(one).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

#[test]
fn annotations_rights_and_modules_are_documented_as_they_are() {
    let document = document();
    let has = |text: &str| {
        assert!(
            document.contains(text),
            "docs/kubernetes.md does not have\n{text}"
        )
    };
    for (key, what) in ANNOTATIONS {
        has(&format!("\n| `whyd.io/{key}` | {what} |\n"));
    }
    for (role, name) in [
        (KubernetesRole::Services, "services"),
        (KubernetesRole::Ingresses, "ingresses"),
        (KubernetesRole::HttpRoutes, "http_routes"),
        (KubernetesRole::Probes, "probes"),
    ] {
        let start = format!("\n| `{name}` | `{{apiGroups");
        has(&start);
        let row = document
            .split_once(&start)
            .and_then(|(_, rest)| rest.lines().next())
            .expect("a row");
        let row = format!("{{apiGroups{row}");
        for need in needs(role) {
            assert!(row.contains(&rule(&need.kind)), "{name}: {row}");
        }
        assert_eq!(row.matches("apiGroups").count(), needs(role).len(), "{row}");
    }
    for module in modules() {
        has(&format!("`{module}`"));
    }
    // And the other way round: what the table promises is understood.
    let (_, table) = document
        .split_once("| module | what whyd does |")
        .expect("the table");
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let names = row
            .split('|')
            .nth(1)
            .expect("names")
            .split('`')
            .skip(1)
            .step_by(2);
        for name in names {
            assert!(modules().any(|known| known == name), "{name} is not understood");
        }
    }
}

/// What the examples' comments promise.
const PROMISED: &[(&str, &str)] = &[
    ("cart.shop.svc:8080", "http://cart.shop.svc:8080/healthz"),
    ("db.payments.svc:5432", "tcp://db.payments.svc:5432"),
    ("icmp:192.0.2.1", "icmp://192.0.2.1"),
    ("pay.example.com_v1_health", "https://pay.example.com/v1/health"),
    ("shop.example.com", "https://shop.example.com/"),
    ("shop.example.com_cart", "https://shop.example.com/cart"),
    ("status.example.com", "https://status.example.com/"),
    ("www.example.com", "https://www.example.com/"),
];

#[tokio::test]
async fn the_examples_are_watched_as_they_say_with_the_rights_that_they_give() {
    let config: PathBuf = root().join("examples/kubernetes/whyd.yaml");
    let mut loaded = load(&config, &HashMap::<&str, &str>::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let SourceKind::Kubernetes(source) = &loaded.plan.discovery[0].kind else {
        panic!("a source of Kubernetes")
    };
    let source = source.clone();
    let names: Vec<&str> = source.namespaces.iter().map(|name| &**name).collect();
    for (rights, namespaces) in [
        ("rbac-cluster.yaml", &[][..]),
        ("rbac-namespaced.yaml", &names[..]),
    ] {
        let api = KubeApi::start().await;
        api.forbid_everything();
        for object in objects(rights) {
            match object["kind"].as_str() {
                Some("ClusterRole") => api.permit(None, &object),
                Some("Role") => api.permit(object["metadata"]["namespace"].as_str(), &object),
                _ => {}
            }
        }
        for name in ["service.yaml", "ingress.yaml", "httproute.yaml", "probe.yaml"] {
            api.put_all(objects(name));
        }
        let wish = Wish {
            roles: &source.roles,
            namespaces,
            ..Wish::default()
        };
        let mut seen = Seen::of(&api, &wish);
        let News::Found(targets) = seen.next().await else {
            panic!("{rights}: {:?}", seen.told)
        };
        let addresses: BTreeMap<_, _> = targets
            .iter()
            .map(|target| (&*target.labels["__whyd_name__"], &*target.address))
            .collect();
        assert_eq!(addresses, PROMISED.iter().copied().collect(), "{rights}");
        // And each becomes a dependency.
        let found = [(Arc::from("cluster"), targets.into())].into_iter().collect();
        let planned = loaded.finder.plan(&loaded.plan, &found);
        assert!(planned.remarks.is_empty(), "{:?}", planned.remarks);
        let mut planned: Vec<&str> = planned.plan.dependencies.iter().map(|one| &*one.name).collect();
        planned.sort_unstable();
        assert_eq!(
            planned,
            PROMISED.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
    }
}
