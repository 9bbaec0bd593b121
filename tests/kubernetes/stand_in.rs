//! The stand-in does what the API server does, as far as kube-rs can tell.

use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Client, Config, Error, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{Asked, KubeApi};
use crate::harness::{Files, LIMIT};

pub fn service(namespace: &str, name: &str, annotations: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations, "labels": {"app": name}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    })
}

async fn client(api: &KubeApi, token: Option<&str>) -> Client {
    whyd::net::crypto::install();
    let files = Files::new();
    let path = api.kubeconfig(&files.path("kubeconfig"), token, None);
    let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

fn code<T>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Api(status)) => status.code,
        Err(other) => panic!("not an answer of the API: {other}"),
        Ok(_) => 200,
    }
}

async fn next<S: futures_util::Stream + Unpin>(stream: &mut S) -> S::Item {
    let item = timeout(LIMIT, stream.next()).await.expect("in time");
    item.expect("the stream goes on")
}

#[tokio::test]
async fn lists_come_in_pages_of_one_revision() {
    let api = KubeApi::start().await;
    api.put_all((0..25).map(|i| service("shop", &format!("s{i:02}"), json!({}))));
    let services: Api<Service> = Api::all(client(&api, None).await);
    let mut page = services
        .list(&ListParams::default().limit(10))
        .await
        .expect("a page");
    let revision = page.metadata.resource_version.clone();
    let mut names: Vec<String> = page.items.iter().map(|s| s.name_any()).collect();
    // What changes meanwhile is not in the list that has begun.
    assert!(api.remove("Service", "shop", "s24"));
    while let Some(token) = page.metadata.continue_.clone().filter(|token| !token.is_empty()) {
        page = services
            .list(&ListParams::default().limit(10).continue_token(&token))
            .await
            .expect("a page");
        assert_eq!(page.metadata.resource_version, revision);
        names.extend(page.items.iter().map(|s| s.name_any()));
    }
    assert_eq!(names, (0..25).map(|i| format!("s{i:02}")).collect::<Vec<_>>());
    assert_eq!(api.count("list", "services"), 3);
    let few = ListParams::default()
        .labels("app in (s01,s02),app!=s02")
        .fields("metadata.namespace=shop");
    assert_eq!(services.list(&few).await.expect("a list").items.len(), 1);
    assert_eq!(
        code(
            services
                .list(&ListParams::default().fields("spec.type=NodePort"))
                .await
        ),
        400
    );
}

#[tokio::test]
async fn a_watch_tells_what_changed_since_and_what_no_longer_fits() {
    let api = KubeApi::start().await;
    api.put(service("shop", "a", json!({})));
    let services: Api<Service> = Api::namespaced(client(&api, None).await, "shop");
    let list = services.list(&ListParams::default()).await.expect("a list");
    let from = list.metadata.resource_version.expect("a revision");
    api.put(service("shop", "b", json!({})));
    api.put(service("elsewhere", "c", json!({})));
    api.bookmark_every(Duration::from_millis(20));
    let watch = services
        .watch(&WatchParams::default().labels("app"), &from)
        .await
        .expect("a watch");
    let mut watch = Box::pin(watch);
    assert!(matches!(next(&mut watch).await, Ok(WatchEvent::Added(s)) if s.name_any() == "b"));
    assert!(matches!(next(&mut watch).await, Ok(WatchEvent::Bookmark(_))));
    let mut unlabelled = service("shop", "b", json!({}));
    unlabelled["metadata"]["labels"] = json!({});
    api.put(unlabelled);
    loop {
        match next(&mut watch).await {
            Ok(WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Deleted(gone)) if gone.name_any() == "b" => break,
            other => panic!("{other:?}"),
        }
    }
    api.expire_watches();
    loop {
        match next(&mut watch).await {
            Ok(WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Error(status)) if status.code == 410 => break,
            other => panic!("{other:?}"),
        }
    }
    api.compact(true);
    let late = services.watch(&WatchParams::default(), &from).await;
    assert_eq!(code(late.map(drop)), 410);
}

#[tokio::test]
async fn a_watcher_of_kube_rs_gets_through_torn_watches_and_lost_history() {
    let api = KubeApi::start().await;
    api.put(service("shop", "a", json!({})));
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let services: Api<Service> = Api::all(client(&api, None).await);
        let mut events = Box::pin(watcher(services, config));
        assert!(matches!(next(&mut events).await, Ok(watcher::Event::Init)));
        assert!(matches!(
            next(&mut events).await,
            Ok(watcher::Event::InitApply(_))
        ));
        assert!(matches!(next(&mut events).await, Ok(watcher::Event::InitDone)));
        api.put(service("shop", "b", json!({})));
        assert!(matches!(next(&mut events).await, Ok(watcher::Event::Apply(s)) if s.name_any() == "b"));
        api.tear_watches();
        api.remove("Service", "shop", "b");
        loop {
            match next(&mut events).await {
                Ok(watcher::Event::Delete(s)) if s.name_any() == "b" => break,
                Err(_) => {}
                other => panic!("{other:?}"),
            }
        }
        api.expire_watches();
        assert!(matches!(
            next(&mut events).await,
            Err(watcher::Error::WatchError(_))
        ));
        assert!(matches!(next(&mut events).await, Ok(watcher::Event::Init)));
    }
}

#[tokio::test]
async fn leases_are_written_by_one_at_a_time() {
    let api = KubeApi::start().await;
    let leases: Api<Lease> = Api::namespaced(client(&api, None).await, "monitoring");
    let post = PostParams::default();
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "whyd-0"},
        "spec": {"holderIdentity": "whyd-0", "leaseDurationSeconds": 15, "renewTime": "2026-11-24T12:00:00.000000Z"},
    }))
    .expect("a lease");
    let created = leases.create(&post, &lease).await.expect("created");
    assert_eq!(code(leases.create(&post, &lease).await), 409);
    // The API server takes no update of a Lease that does not say what it replaces.
    assert_eq!(code(leases.replace("whyd-0", &post, &lease).await), 422);
    let mut mine = created.clone();
    mine.spec.as_mut().expect("a spec").lease_duration_seconds = Some(20);
    let replaced = leases.replace("whyd-0", &post, &mine).await.expect("replaced");
    assert_ne!(replaced.resource_version(), created.resource_version());
    assert_eq!(code(leases.replace("whyd-0", &post, &mine).await), 409);
    let late =
        json!({"metadata": {"resourceVersion": created.resource_version()}, "spec": {"holderIdentity": "x"}});
    assert_eq!(
        code(
            leases
                .patch("whyd-0", &PatchParams::default(), &Patch::Merge(&late))
                .await
        ),
        409
    );
    let renewed = json!({"spec": {"renewTime": "2026-11-24T12:00:10.000000Z", "holderIdentity": null}});
    let patched = leases
        .patch("whyd-0", &PatchParams::default(), &Patch::Merge(&renewed))
        .await
        .expect("patched");
    assert_eq!(patched.spec.expect("a spec").holder_identity, None);
    let coarse = json!({"spec": {"renewTime": "2026-11-24T12:00:10Z"}});
    assert_eq!(
        code(
            leases
                .patch("whyd-0", &PatchParams::default(), &Patch::Merge(&coarse))
                .await
        ),
        400
    );
    assert_eq!(code(leases.get("whyd-1").await), 404);
    leases
        .delete("whyd-0", &Default::default())
        .await
        .expect("deleted");
    assert!(api.all("Lease").is_empty());
}

#[tokio::test]
async fn tokens_roles_and_missing_resources_are_as_in_a_cluster() {
    let api = KubeApi::start_tls().await;
    api.take_tokens(&["good"]);
    let stranger: Api<Service> = Api::all(client(&api, Some("bad")).await);
    assert_eq!(code(stranger.list(&ListParams::default()).await), 401);
    let good = client(&api, Some("good")).await;
    api.forbid_everything();
    let services: Api<Service> = Api::all(good.clone());
    assert_eq!(code(services.list(&ListParams::default()).await), 403);
    let role = json!({"rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]});
    api.permit(Some("shop"), &role);
    assert_eq!(code(services.list(&ListParams::default()).await), 403);
    let in_shop: Api<Service> = Api::namespaced(good.clone(), "shop");
    assert_eq!(code(in_shop.list(&ListParams::default()).await), 200);
    assert_eq!(code(in_shop.get("a").await), 403);
    assert!(api.asked().contains(&Asked {
        verb: "list",
        group: String::new(),
        resource: "services".to_owned(),
        namespace: Some("shop".to_owned()),
        name: None,
    }));

    api.permit(
        None,
        &json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
    );
    let route = |version: &str| {
        let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", version, "HTTPRoute");
        Api::<DynamicObject>::all_with(
            good.clone(),
            &ApiResource::from_gvk_with_plural(&kind, "httproutes"),
        )
    };
    assert_eq!(code(route("v1").list(&ListParams::default()).await), 200);
    api.serve_versions("httproutes", &["v1beta1"]);
    assert_eq!(code(route("v1").list(&ListParams::default()).await), 404);
    assert_eq!(code(route("v1beta1").list(&ListParams::default()).await), 200);
}

#[tokio::test]
async fn it_goes_down_and_comes_back_where_it_was() {
    let mut api = KubeApi::start().await;
    api.put(service("shop", "a", json!({})));
    let services: Api<Service> = Api::all(client(&api, None).await);
    let list = services.list(&ListParams::default()).await.expect("a list");
    let from = list.metadata.resource_version.expect("a revision");
    let mut watch = Box::pin(
        services
            .watch(&WatchParams::default(), &from)
            .await
            .expect("a watch"),
    );
    api.go_down().await;
    assert!(
        timeout(LIMIT, watch.next())
            .await
            .expect("in time")
            .is_none_or(|event| event.is_err())
    );
    assert!(services.list(&ListParams::default()).await.is_err());
    api.come_back().await;
    assert_eq!(
        services
            .list(&ListParams::default())
            .await
            .expect("a list")
            .items
            .len(),
        1
    );
    api.fail("list", "services", 1, 500, "InternalError");
    assert_eq!(code(services.list(&ListParams::default()).await), 500);
    assert_eq!(code(services.list(&ListParams::default()).await), 200);
}
