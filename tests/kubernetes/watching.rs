//! The edge against the stand-in: what it tells, when, and with which rights.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use whyd::discover::kubernetes::{VERBS, needs};
use whyd::discover::{Watching, watch};
use whyd::model::discovery::{
    KubernetesRole, KubernetesSource, News, Refused, Source, SourceKind, Target, Update,
};

use crate::api::{Asked, KubeApi};
use crate::harness::{Files, LIMIT, eventually};
use crate::stand_in::service;

const ALL: [KubernetesRole; 4] = [
    KubernetesRole::Services,
    KubernetesRole::Ingresses,
    KubernetesRole::HttpRoutes,
    KubernetesRole::Probes,
];

pub fn asking(namespace: &str, name: &str) -> Value {
    service(namespace, name, json!({"whyd.io/probe": "true"}))
}

fn ingress(namespace: &str, name: &str, annotations: Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations, "labels": {"app": name}},
        "spec": {"tls": [{"hosts": [format!("{name}.example.com")]}],
                 "rules": [{"host": format!("{name}.example.com"), "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]},
    })
}

fn route(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"namespace": namespace, "name": name, "annotations": {"whyd.io/probe": "true"}},
        "spec": {"parentRefs": [{"name": "public"}], "hostnames": [format!("{name}.example.com")]},
    })
}

fn gateway(namespace: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"namespace": namespace, "name": "public"},
        "spec": {"gatewayClassName": "x", "listeners": [{"name": "web", "port": 443, "protocol": "HTTPS"}]},
    })
}

fn probe(namespace: &str, name: &str, targets: Value) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "Probe",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"module": "http_2xx", "prober": {"url": "blackbox:9115"}, "targets": targets},
    })
}

/// A source that is watched, and what it has said.
pub struct Seen {
    updates: mpsc::Receiver<Update>,
    /// All that was told, in order.
    pub told: Vec<News>,
    _watching: Watching,
    _files: Files,
}

pub struct Wish<'a> {
    pub roles: &'a [KubernetesRole],
    pub namespaces: &'a [&'a str],
    pub selector: Option<&'a str>,
    pub token: Option<&'a str>,
    pub token_file: Option<PathBuf>,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Wish {
            roles: &[KubernetesRole::Services],
            namespaces: &[],
            selector: None,
            token: None,
            token_file: None,
        }
    }
}

impl Seen {
    pub fn of(api: &KubeApi, wish: &Wish<'_>) -> Seen {
        let files = Files::new();
        let kubeconfig = api.kubeconfig(&files.path("kubeconfig"), wish.token, wish.token_file.as_deref());
        let source = Source {
            name: "cluster".into(),
            kind: SourceKind::Kubernetes(Box::new(KubernetesSource {
                roles: wish.roles.into(),
                namespaces: wish.namespaces.iter().map(|name| Arc::from(*name)).collect(),
                selector: wish.selector.map(Into::into),
                prefix: "whyd.io".into(),
                kubeconfig: Some(kubeconfig),
            })),
            linger: Duration::ZERO,
        };
        let (tell, updates) = mpsc::channel(16);
        Seen {
            updates,
            told: Vec::new(),
            _watching: watch(&source, tell),
            _files: files,
        }
    }

    pub async fn next(&mut self) -> News {
        let update = timeout(LIMIT, self.updates.recv()).await;
        let update = update.unwrap_or_else(|_| panic!("no news after {:?}", self.told));
        let update = update.expect("the source is watched");
        assert_eq!(&*update.source, "cluster");
        self.told.push(update.news.clone());
        update.news
    }

    async fn found(&mut self) -> Arc<[Target]> {
        match self.next().await {
            News::Found(targets) => targets,
            other => panic!("not what was found: {other:?}"),
        }
    }

    async fn ids(&mut self) -> Vec<String> {
        self.found()
            .await
            .iter()
            .map(|target| target.id.to_string())
            .collect()
    }

    async fn failed(&mut self) -> Box<str> {
        match self.next().await {
            News::Failed(why) => why,
            other => panic!("not a failure: {other:?}"),
        }
    }

    async fn refused(&mut self) -> Arc<[Refused]> {
        match self.next().await {
            News::Refused(refused) => refused,
            other => panic!("nothing refused: {other:?}"),
        }
    }

    /// All news of that time.
    async fn during(&mut self, time: Duration) -> Vec<News> {
        let end = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok(Some(update)) = tokio::time::timeout_at(end, self.updates.recv()).await {
            all.push(update.news);
        }
        all
    }
}

#[tokio::test]
async fn what_comes_changes_and_goes_is_told() {
    let api = KubeApi::start().await;
    api.put(asking("shop", "cart"));
    api.put(service("shop", "silent", json!({})));
    let mut seen = Seen::of(&api, &Wish::default());
    let first = seen.found().await;
    assert_eq!(first.len(), 1);
    assert_eq!(
        (&*first[0].id, &*first[0].address),
        ("service/shop/cart:80", "http://cart.shop.svc:80/")
    );
    api.put(asking("other", "db"));
    assert_eq!(seen.ids().await, ["service/other/db:80", "service/shop/cart:80"]);
    let mut changed = asking("shop", "cart");
    changed["metadata"]["annotations"]["whyd.io/path"] = json!("/health");
    api.put(changed);
    assert_eq!(&*seen.found().await[1].address, "http://cart.shop.svc:80/health");
    assert!(api.remove("Service", "other", "db"));
    assert_eq!(seen.ids().await, ["service/shop/cart:80"]);
    // What no longer asks is gone as well, and what never did is nothing to tell.
    api.put(service("shop", "cart", json!({})));
    assert_eq!(seen.ids().await, Vec::<String>::new());
    api.put(service("shop", "silent", json!({"whyd.io/path": "/x"})));
    assert_eq!(seen.during(Duration::from_millis(400)).await, []);
}

#[tokio::test]
async fn a_swarm_of_changes_is_told_as_one() {
    let api = KubeApi::start().await;
    let mut seen = Seen::of(&api, &Wish::default());
    assert_eq!(seen.ids().await, Vec::<String>::new());
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.put_all((0..300).map(|i| asking("shop", &format!("s{i:03}"))));
    assert_eq!(seen.found().await.len(), 300);
    assert_eq!(seen.told.len(), 2);
}

#[tokio::test]
async fn nothing_vanishes_while_it_is_listed_again() {
    let api = KubeApi::start().await;
    api.put_all((0..1_200).map(|i| asking("shop", &format!("s{i:04}"))));
    let mut seen = Seen::of(&api, &Wish::default());
    assert_eq!(seen.found().await.len(), 1_200);
    let lists = api.count("list", "services");
    assert_eq!(lists, 3, "in pages of 500");
    for fault in [
        KubeApi::tear_watches,
        KubeApi::end_watches,
        KubeApi::expire_watches,
    ] {
        eventually("a watch", async || (api.watches() == 1).then_some(())).await;
        fault(&api);
    }
    eventually("it is listed again", async || {
        (api.count("list", "services") == 6).then_some(())
    })
    .await;
    // What changed while history was lost is found by the list.
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.be_silent(Some("watch"));
    api.end_watches();
    eventually("no watch", async || (api.watches() == 0).then_some(())).await;
    api.remove("Service", "shop", "s0000");
    api.put(asking("shop", "s9999"));
    // By the status of the answer, as some versions of the API tell it.
    api.compact(true);
    api.be_silent(None);
    let found = seen.found().await;
    assert_eq!(found.len(), 1_200);
    assert_eq!(
        (&*found[0].id, &*found[1_199].id),
        ("service/shop/s0001:80", "service/shop/s9999:80")
    );
    assert_eq!(seen.told.len(), 2, "each state was told once");
    assert_eq!(api.count("list", "services"), 9);
}

#[tokio::test]
async fn what_cannot_be_watched_is_told_with_its_place_and_reason() {
    let api = KubeApi::start().await;
    let mut wrong = asking("shop", "wrong");
    wrong["metadata"]["annotations"]["whyd.io/port"] = json!("ssh");
    api.put(wrong);
    api.put(asking("shop", "cart"));
    let mut seen = Seen::of(&api, &Wish::default());
    let refused = seen.refused().await;
    assert_eq!(
        (&*refused[0].place, &*refused[0].why),
        ("service shop/wrong", "it has no port `ssh`")
    );
    assert_eq!(seen.ids().await, ["service/shop/cart:80"]);
    api.put(asking("shop", "wrong"));
    assert!(seen.refused().await.is_empty());
    assert_eq!(
        seen.ids().await,
        ["service/shop/cart:80", "service/shop/wrong:80"]
    );
}

#[tokio::test]
async fn an_api_that_is_down_costs_nothing_that_was_found() {
    let mut api = KubeApi::start().await;
    api.put(asking("shop", "cart"));
    api.go_down().await;
    let mut seen = Seen::of(&api, &Wish::default());
    let why = seen.failed().await;
    assert!(why.starts_with("the API cannot be reached: "), "{why}");
    assert!(why.contains("Connection refused"), "{why}");
    api.come_back().await;
    assert_eq!(seen.ids().await, ["service/shop/cart:80"]);
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.go_down().await;
    let why = seen.failed().await;
    assert!(why.starts_with("the API cannot be reached: "), "{why}");
    api.put(asking("shop", "db"));
    api.come_back().await;
    assert_eq!(seen.ids().await, ["service/shop/cart:80", "service/shop/db:80"]);
    // That it can look again is told even where nothing has changed.
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.go_down().await;
    seen.failed().await;
    api.come_back().await;
    assert_eq!(seen.ids().await, ["service/shop/cart:80", "service/shop/db:80"]);
}

#[tokio::test]
async fn a_short_break_is_nobodys_news() {
    let api = KubeApi::start().await;
    api.put(asking("shop", "cart"));
    let mut seen = Seen::of(&api, &Wish::default());
    seen.found().await;
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.fail("watch", "services", 1, 500, "InternalError");
    api.end_watches();
    eventually("it is watched again", async || {
        (api.count("watch", "services") == 3).then_some(())
    })
    .await;
    assert_eq!(seen.during(Duration::from_millis(300)).await, []);
    assert_eq!(api.count("list", "services"), 1);
}

#[tokio::test]
async fn a_token_that_was_rotated_is_read_again_at_once() {
    let api = KubeApi::start_tls().await;
    api.put(asking("shop", "cart"));
    api.take_tokens(&["first"]);
    let files = Files::new();
    let token_file = files.write("token", "first");
    let wish = Wish {
        token_file: Some(token_file),
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wish);
    assert_eq!(seen.ids().await, ["service/shop/cart:80"]);
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    files.write("token", "second");
    api.take_tokens(&["second"]);
    api.put(asking("shop", "db"));
    api.end_watches();
    assert_eq!(seen.ids().await, ["service/shop/cart:80", "service/shop/db:80"]);
    assert_eq!(seen.told.len(), 2, "{:?}", seen.told);
    // One that is not replaced is told, and without its text.
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.take_tokens(&["third"]);
    api.end_watches();
    let why = seen.failed().await;
    assert!(why.contains("401 Unauthorized") && why.contains("token"), "{why}");
    assert!(!why.contains("second"), "{why}");
    files.write("token", "third");
    assert_eq!(seen.ids().await.len(), 2);
    assert!(
        api.requests()
            .iter()
            .all(|request| request.user_agent.starts_with("whyd/") && request.token)
    );
}

#[tokio::test]
async fn a_pods_service_account_is_enough() {
    let api = KubeApi::start_tls().await;
    api.take_tokens(&["mounted"]);
    api.put(asking("shop", "cart"));
    let files = Files::new();
    let token = files.write("token", "mounted");
    files.write("ca.crt", api.ca());
    files.write("namespace", "monitoring");
    let directory = token.parent().expect("a directory");
    let client = whyd::net::kubernetes::client_of_account(&api.url(), directory).expect("a client");
    assert_eq!(client.default_namespace(), "monitoring");
    let services: kube::Api<k8s_openapi::api::core::v1::Service> = kube::Api::all(client);
    assert_eq!(
        services
            .list(&Default::default())
            .await
            .expect("a list")
            .items
            .len(),
        1
    );
    // Another API's certificate is not trusted, and nothing of the token is told.
    let other = KubeApi::start_tls().await;
    let client = whyd::net::kubernetes::client_of_account(&other.url(), directory).expect("a client");
    let services: kube::Api<k8s_openapi::api::core::v1::Service> = kube::Api::all(client);
    let error = services.list(&Default::default()).await.expect_err("not trusted");
    let told = whyd::net::kubernetes::Trouble::of(&error).to_string();
    assert!(
        told.contains("certificate") && !told.contains("mounted"),
        "{told}"
    );
}

#[tokio::test]
async fn one_role_that_gets_no_answer_holds_nobody_up_for_long() {
    let api = KubeApi::start().await;
    api.put(asking("shop", "cart"));
    api.fail("list", "ingresses", u32::MAX, 500, "InternalError");
    let wish = Wish {
        roles: &[KubernetesRole::Services, KubernetesRole::Ingresses],
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wish);
    // Who fails may be well in a moment, and what it finds belongs to the first word; but not for ever.
    let why = seen.failed().await;
    assert!(why.contains("ingresses: the API answers 500"), "{why}");
    match seen.next().await {
        News::Partly(targets, still) => {
            assert_eq!(still, why, "that it fails still holds");
            let ids: Vec<&str> = targets.iter().map(|target| &*target.id).collect();
            assert_eq!(ids, ["service/shop/cart:80"]);
        }
        other => panic!("not a part: {other:?}"),
    }
}

#[tokio::test]
async fn a_missing_right_or_resource_troubles_its_role_only_and_is_named() {
    let api = KubeApi::start().await;
    api.put(asking("shop", "cart"));
    api.put(ingress("shop", "web", json!({"whyd.io/probe": "true"})));
    api.put(probe(
        "shop",
        "sites",
        json!({"staticConfig": {"static": ["https://example.com/"]}}),
    ));
    api.serve_versions("httproutes", &[]);
    api.serve_versions("gateways", &[]);
    let rules = |resources: &[(&str, &str)]| {
        let rules = resources.iter().map(|(group, resource)| {
            json!({"apiGroups": [group], "resources": [resource], "verbs": ["list", "watch"]})
        });
        json!({"rules": rules.collect::<Vec<_>>()})
    };
    api.forbid_everything();
    api.permit(
        None,
        &rules(&[("", "services"), ("gateway.networking.k8s.io", "httproutes")]),
    );
    let mut seen = Seen::of(
        &api,
        &Wish {
            roles: &ALL,
            ..Wish::default()
        },
    );
    let why = loop {
        match seen.next().await {
            News::Partly(_, why) => break why,
            _ => {}
        }
    };
    for part in [
        "cannot list resource \"ingresses\" in API group \"networking.k8s.io\" at the cluster scope: add the rule {apiGroups: \
         [\"networking.k8s.io\"], resources: [ingresses], verbs: [list, watch]} to a ClusterRole bound by a ClusterRoleBinding, or \
         name `namespaces`",
        "{apiGroups: [\"monitoring.coreos.com\"], resources: [probes], verbs: [list, watch]}",
        "the API serves no httproutes of gateway.networking.k8s.io: install the Gateway API's resources, or take `http_routes` out \
         of `roles`",
    ] {
        assert!(why.contains(part), "{part:?} is not in {why}");
    }
    let found = seen.told.iter().rev().find_map(|news| match news {
        News::Found(targets) | News::Partly(targets, _) => Some(Arc::clone(targets)),
        _ => None,
    });
    assert_eq!(found.expect("found").len(), 1);
    // It is tried again, and what there is now is found.
    api.permit(
        None,
        &rules(&[
            ("networking.k8s.io", "ingresses"),
            ("monitoring.coreos.com", "probes"),
        ]),
    );
    let ids: BTreeSet<String> = loop {
        if let News::Found(targets) | News::Partly(targets, _) = seen.next().await
            && targets.len() == 3
        {
            break targets.iter().map(|target| target.id.to_string()).collect();
        }
    };
    let expected = [
        "ingress/shop/web:web.example.com/",
        "probe/shop/sites:https://example.com/",
        "service/shop/cart:80",
    ];
    assert_eq!(ids, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn an_older_gateway_api_is_understood_and_a_hidden_gateway_is_named() {
    let api = KubeApi::start().await;
    api.serve_versions("httproutes", &["v1beta1"]);
    api.put(route("shop", "web"));
    let wish = Wish {
        roles: &[KubernetesRole::HttpRoutes],
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wish);
    let refused = seen.refused().await;
    assert!(
        refused[0]
            .why
            .contains("its Gateway shop/public, which whyd cannot see"),
        "{refused:?}"
    );
    assert!(seen.found().await.is_empty());
    api.put(gateway("shop"));
    assert!(seen.refused().await.is_empty());
    let found = seen.found().await;
    assert_eq!(&*found[0].address, "https://web.example.com/");
    assert_eq!(&*found[0].id, "httproute/shop/web:web.example.com/");
}

#[tokio::test]
async fn ingresses_are_looked_up_for_probes_that_speak_of_them_and_only_then() {
    let api = KubeApi::start().await;
    api.put(probe(
        "shop",
        "sites",
        json!({"staticConfig": {"static": ["https://example.com/"]}}),
    ));
    api.put(ingress("shop", "web", json!({})));
    let wish = Wish {
        roles: &[KubernetesRole::Probes],
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wish);
    assert_eq!(seen.ids().await.len(), 1);
    assert_eq!(api.count("list", "ingresses"), 0);
    let targets = json!({"ingress": {"selector": {"matchLabels": {"app": "web"}}}});
    api.put(probe("shop", "ingresses", targets));
    let found = loop {
        // Until they are listed, the Probe is refused.
        if let News::Found(targets) = seen.next().await {
            break targets;
        }
    };
    assert_eq!(found.len(), 2);
    assert_eq!(&*found[0].id, "probe/shop/ingresses:https://web.example.com/");
    assert_eq!(api.count("list", "ingresses"), 1);
}

#[tokio::test]
async fn each_role_uses_the_rights_that_are_documented_and_no_others() {
    for role in ALL {
        for namespaces in [&[][..], &["shop", "till"][..]] {
            let api = KubeApi::start().await;
            api.put(probe("shop", "sites", json!({"ingress": {"selector": {}}})));
            let wish = Wish {
                roles: &[role],
                namespaces,
                ..Wish::default()
            };
            let mut seen = Seen::of(&api, &wish);
            seen.next().await;
            let needed = needs(role);
            let mut expected = BTreeSet::new();
            for need in needed {
                let mut places: Vec<Option<String>> =
                    namespaces.iter().map(|name| Some((*name).to_owned())).collect();
                if places.is_empty() {
                    places.push(None);
                }
                for namespace in places {
                    expected.extend(VERBS.map(|verb| Asked {
                        verb,
                        group: need.kind.group.to_owned(),
                        resource: need.kind.plural.to_owned(),
                        namespace: namespace.clone(),
                        name: None,
                    }));
                }
            }
            eventually("all watches", async || (api.asked() == expected).then_some(())).await;
        }
    }
}

#[tokio::test]
async fn the_selector_is_for_what_is_announced() {
    let api = KubeApi::start().await;
    let mut hidden = asking("shop", "hidden");
    hidden["metadata"]["labels"] = json!({"tier": "test"});
    api.put(hidden.clone());
    api.put(asking("shop", "cart"));
    let wish = Wish {
        roles: &[KubernetesRole::Services, KubernetesRole::HttpRoutes],
        selector: Some("app,tier!=test"),
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wish);
    assert_eq!(seen.ids().await, ["service/shop/cart:80"]);
    hidden["metadata"]["labels"] = json!({"app": "hidden"});
    api.put(hidden);
    assert_eq!(
        seen.ids().await,
        ["service/shop/cart:80", "service/shop/hidden:80"]
    );
    let requests = api.requests();
    let gateways = requests
        .iter()
        .filter(|request| request.asked.resource == "gateways");
    assert!(gateways.clone().count() > 0);
    assert!(
        gateways
            .into_iter()
            .all(|request| !request.query.contains("labelSelector"))
    );
    let wrong = Wish {
        selector: Some("not a selector"),
        ..Wish::default()
    };
    let mut seen = Seen::of(&api, &wrong);
    let why = seen.failed().await;
    assert!(
        why.contains("services: the API answers 400: unable to parse requirement"),
        "{why}"
    );
}

/// The processor's time that this thread has used.
fn worked() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) writes to the given structure alone.
    assert_eq!(
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) },
        0
    );
    Duration::new(
        u64::try_from(time.tv_sec).expect("not negative"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// A configuration with one source of this name.
fn configuration(files: &Files) -> whyd::config::Loaded {
    let path = files.write(
        "whyd.yaml",
        "discovery: [{name: cluster, kubernetes: {roles: [services]}}]\n",
    );
    let nothing = std::collections::HashMap::<&str, &str>::new();
    whyd::config::load(&path, &nothing).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[tokio::test]
async fn five_thousand_services_are_a_plan_in_under_two_seconds() {
    let api = KubeApi::start().await;
    api.put_all((0..5_000).map(|i| asking(&format!("ns-{}", i % 50), &format!("service-{i:04}"))));
    let files = Files::new();
    let mut loaded = configuration(&files);
    // The time of this thread, which does all of the work: that of the stand-in as well. Other tests run beside this one.
    let (begun, wall) = (worked(), std::time::Instant::now());
    let mut seen = Seen::of(&api, &Wish::default());
    let targets = seen.found().await;
    let took = worked() - begun;
    assert_eq!(targets.len(), 5_000);
    let found = [(Arc::from("cluster"), targets.into())].into_iter().collect();
    let planned = loaded.finder.plan(&loaded.plan, &found);
    let (all, wall) = (worked() - begun, wall.elapsed());
    eprintln!("5,000 Services were found in {took:?}, and a plan after {all:?} ({wall:?} on the clock)");
    assert_eq!(planned.plan.dependencies.len(), 5_000);
    assert!(planned.remarks.is_empty(), "{:?}", planned.remarks);
    assert!(all < Duration::from_secs(2), "{all:?}");
    assert!(wall < Duration::from_secs(20), "{wall:?}");
    // A list that says the same tells nothing.
    eventually("a watch", async || (api.watches() == 1).then_some(())).await;
    api.expire_watches();
    eventually("it is listed again", async || {
        (api.count("list", "services") == 20).then_some(())
    })
    .await;
    assert_eq!(seen.during(Duration::from_millis(700)).await, []);
}
