//! Alerts, incidents, silences and receivers over real connections.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Site, listen, site, web};
use crate::export::samples::World;
use crate::model::alert::{Rule, Severity};
use crate::model::plan::ListenAuth;
use crate::model::secret::{Secret, SecretRef};
use crate::model::share::Share;
use crate::net::reader::Reader;
use crate::report::samples::alerts as samples;

fn world() -> World {
    let mut world = World::of(3);
    world.alerts = (0..300)
        .map(|at| samples::alert(Rule::DependencyDownFast, &format!("d{at}")))
        .collect();
    world.alerts[7].severity = Severity::Warning;
    world.alerts[299].state = crate::model::alert::AlertState::Pending {
        since: samples::FAILED,
    };
    world.why = vec![
        samples::alert(Rule::DependencyDownFast, "d1"),
        samples::quiet(Rule::RetryMasked, "d1"),
    ];
    world.incidents = vec![samples::incident()];
    world.receivers = vec![samples::receiver("pager")];
    let mut window = samples::silence();
    window.configured = true;
    window.silence.id = "nightly".into();
    world.silences = vec![samples::silence(), window];
    world
}

fn names(answer: &Value) -> Vec<&str> {
    let alerts = answer["alerts"].as_array().expect("a list").iter();
    alerts.filter_map(|alert| alert["dependency"].as_str()).collect()
}

#[tokio::test]
async fn alerts_are_filtered_and_paged() {
    let site = site(&listen(), web(world())).await;
    let first = site.json("/api/v1/alerts").await;
    assert_eq!(first["schema_version"], 1);
    assert_eq!(names(&first).len(), 256);
    let next = first["next_cursor"].as_u64().expect("there are more");
    let rest = site.json(&format!("/api/v1/alerts?cursor={next}")).await;
    assert_eq!((names(&rest).len(), &rest["next_cursor"]), (44, &Value::Null));
    assert_eq!(names(&rest)[0], "d256");
    assert_eq!(names(&site.json("/api/v1/alerts?severity=warning").await), ["d7"]);
    assert_eq!(names(&site.json("/api/v1/alerts?state=pending").await), ["d299"]);
    let most = site
        .json("/api/v1/alerts?limit=1&severity=critical&cursor=7")
        .await;
    assert_eq!((names(&most), &most["next_cursor"]), (vec!["d8"], &json!(9)));
    for bad in [
        "limit=0",
        "limit=1001",
        "state=up",
        "severity=page",
        "sverity=info",
        "state=quiet",
        "dependency=d1&monitor=true",
        "dependency=d1&limit=3",
        "monitor=true&cursor=3",
    ] {
        let (status, body) = site.get(&format!("/api/v1/alerts?{bad}")).await;
        assert_eq!(status, 400, "{bad}: {body}");
        assert!(body.contains("\"error\""), "{body}");
    }
}

#[tokio::test]
async fn for_one_dependency_every_rule_is_told_with_its_numbers() {
    let site = site(&listen(), web(world())).await;
    let all = site.json("/api/v1/alerts?dependency=d1").await;
    assert_eq!(all["alerts"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["alerts"][1]["state"], "quiet");
    assert_eq!(all["alerts"][1]["compared"][0]["threshold"], 0.05);
    let quiet = site.json("/api/v1/alerts?dependency=d1&state=quiet").await;
    assert_eq!(quiet["alerts"].as_array().map(Vec::len), Some(1));
    let (status, body) = site.get("/api/v1/alerts?dependency=nobody").await;
    assert_eq!(status, 404, "{body}");
    let monitor = site.json("/api/v1/alerts?monitor=true").await;
    assert_eq!(monitor["alerts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn incidents_receivers_and_silences_are_listed() {
    let site = site(&listen(), web(world())).await;
    let incidents = site.json("/api/v1/incidents").await;
    assert_eq!(incidents["incidents"][0]["id"], "123456789abcdef0");
    assert_eq!(incidents["incidents"][0]["affected"], json!(["ledger"]));
    let receivers = site.json("/api/v1/receivers").await;
    assert_eq!(receivers["receivers"][0]["waiting"], 2);
    let silences = site.json("/api/v1/silences").await;
    assert_eq!(silences["silences"][1]["configured"], true);
    assert_eq!(silences["schema_version"], 1);
}

/// It lives in this one's memory: whoever asks a Service does not know whom he has asked.
#[tokio::test]
async fn a_silence_of_one_of_several_replicas_says_so() {
    let mut world = world();
    let mut scale_out = crate::export::samples::scale_out();
    scale_out.share = Share {
        replica: 1,
        replicas: 3,
        factor: 2,
    };
    world.scale_out = Some(scale_out);
    world.place = [("replica", "whyd-1".into())].into();
    let site = site(&listen(), web(world)).await;
    let (status, made) = answer(post(&site, &silence())).await;
    assert_eq!(status, 201, "{made}");
    let warnings = made["warnings"].as_array().expect("a list");
    let [Value::String(said)] = &warnings[..] else {
        panic!("{made}");
    };
    for words in [
        "on this replica only (whyd-1, number 1 of 3 from 0)",
        "put it on every replica that watches what it names (d1: number ",
        "silence in Alertmanager",
        "maintenance window",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let body = answer.text().await.expect("a body");
    (
        status,
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status}: {body}")),
    )
}

fn post(site: &Site, body: &Value) -> RequestBuilder {
    let url = format!("http://{}/api/v1/silences", site.address);
    site.client
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn delete(site: &Site, id: &str) -> RequestBuilder {
    site.client
        .delete(format!("http://{}/api/v1/silences/{id}", site.address))
}

fn silence() -> Value {
    json!({"matchers": ["dependency=d1", "team=checkout"], "owner": "jo", "reason": "renewal", "for": "2h"})
}

#[tokio::test]
async fn a_silence_is_made_and_ended() {
    let site = site(&listen(), web(world())).await;
    let (status, made) = answer(post(&site, &silence())).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id");
    assert_eq!(made["silence"]["owner"], "jo");
    assert_eq!(made["silence"]["matchers"][1]["label"], "team");
    assert_eq!(made["warnings"], json!([]));
    let listed = site.json("/api/v1/silences").await;
    assert_eq!(listed["silences"][2]["id"], id);
    let (status, ended) = answer(delete(&site, id)).await;
    assert_eq!((status.as_u16(), &ended["status"]), (200, &json!("ended")));
    assert_eq!(answer(delete(&site, id)).await.0, 404, "it is gone");
    let (status, refused) = answer(delete(&site, "nightly")).await;
    assert_eq!(status, 409, "{refused}");
    let mut unknown = silence();
    unknown["matchers"] = json!(["dependency=d9"]);
    let (status, made) = answer(post(&site, &unknown)).await;
    assert_eq!(status, 201);
    assert_eq!(
        made["warnings"],
        json!(["there is no dependency named d9 at present"])
    );
}

#[tokio::test]
async fn a_bad_silence_is_refused_with_the_keys_that_are_at_fault() {
    let site = site(&listen(), web(world())).await;
    let (status, answered) = answer(post(&site, &json!({"matchers": [], "owner": "jo", "for": "2h"}))).await;
    assert_eq!(status, 400);
    let keys: Vec<&str> = answered["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["key"].as_str())
        .collect();
    assert_eq!(keys, ["matchers", "reason"]);
    assert!(
        answered["error"]
            .as_str()
            .is_some_and(|text| text.contains("reason: it is needed")),
        "{answered}"
    );
    let url = format!("http://{}/api/v1/silences", site.address);
    let without = site.client.post(&url).body(silence().to_string());
    for request in [
        site.client
            .post(&url)
            .header("content-type", "text/plain")
            .body(silence().to_string()),
        without,
    ] {
        assert_eq!(answer(request).await.0, 415);
    }
    let mut long = silence();
    long["reason"] = "x".repeat(40_000).into();
    assert_eq!(answer(post(&site, &long)).await.0, 413);
    let (_, listed) = answer(site.client.get(&url)).await;
    assert_eq!(
        listed["silences"].as_array().map(Vec::len),
        Some(2),
        "none was made"
    );
}

#[tokio::test]
async fn no_page_of_another_site_silences_anything() {
    let site = site(&listen(), web(world())).await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        for request in [post(&site, &silence()), delete(&site, "5f0c6a2e")] {
            let (status, body) = answer(request.header(name, value)).await;
            assert_eq!(status, 403, "{name} {value}: {body}");
        }
    }
    let rebound = post(&site, &silence())
        .header("host", "evil.example")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(answer(rebound).await.0, 403);
    // What a browser asks before it sends JSON elsewhere: there is no permission in the answer.
    let url = format!("http://{}/api/v1/silences", site.address);
    let preflight = site
        .client
        .request(Method::OPTIONS, url)
        .header("origin", "http://evil.example");
    let answer = preflight.send().await.expect("an answer");
    assert_eq!(answer.status(), 405);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn credentials_guard_what_changes_something() {
    let mut listen = listen();
    listen.auth = Some(ListenAuth::Bearer(SecretRef::Inline(Secret::new("s3cret"))));
    let site = site(&listen, web(world())).await;
    for request in [post(&site, &silence()), delete(&site, "5f0c6a2e")] {
        assert_eq!(answer(request).await.0, 401);
    }
    let admitted = post(&site, &silence()).bearer_auth("s3cret");
    assert_eq!(answer(admitted).await.0, 201);
    for path in [
        "/api/v1/alerts",
        "/api/v1/incidents",
        "/api/v1/silences",
        "/api/v1/receivers",
    ] {
        assert_eq!(site.get(path).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn silences_without_end_are_refused() {
    let mut world = world();
    world.silences = (0..1000)
        .map(|at| {
            let mut view = samples::silence();
            view.silence.id = at.to_string().into();
            view
        })
        .collect();
    let site = site(&listen(), web(world)).await;
    let (status, body) = answer(post(&site, &silence())).await;
    assert_eq!(status, 409, "{body}");
}

#[tokio::test]
async fn a_stopped_engine_is_said() {
    let (reader, requests) = Reader::new(1);
    drop(requests);
    let mut dead = web(World::of(0));
    dead.reader = reader;
    let dead = site(&listen(), dead).await;
    for path in [
        "/api/v1/alerts",
        "/api/v1/alerts?dependency=d1",
        "/api/v1/incidents",
        "/api/v1/silences",
        "/api/v1/receivers",
    ] {
        assert_eq!(dead.get(path).await.0, 503, "{path}");
    }
    assert_eq!(answer(post(&dead, &silence())).await.0, 503);
}
