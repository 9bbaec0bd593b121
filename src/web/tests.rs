//! The listener over real connections.

mod alerts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::export::otlp::http::client;
use crate::export::samples::{self, World};
use crate::model::dependency::TlsSettings;
use crate::model::plan::{Listen, ListenTls};
use crate::model::secret::{Secret, SecretRef};
use crate::model::time::Wall;

struct Site {
    address: SocketAddr,
    client: Client,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Site {
    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = self.client.get(format!("http://{}{path}", self.address));
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }
}

fn listen() -> Listen {
    Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: None,
        auth: None,
    }
}

fn web(world: World) -> Web {
    let process = Arc::new(ProcessFigures::new(Wall::default()));
    process.reloaded(true, samples::SINCE);
    Web {
        reader: samples::serve(world),
        process,
        reload: None,
    }
}

async fn site(listen: &Listen, web: Web) -> Site {
    let server = Server::new(listen, web).expect("a good listener");
    let listener = TcpListener::bind(listen.address).await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = watch::channel(false);
    Site {
        address,
        client: client(&TlsSettings::default()).expect("a client"),
        stop,
        task: tokio::spawn(server.serve(vec![listener], stopped)),
    }
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let site = site(&listen(), web(World::of(300))).await;
    let url = format!("http://{}/metrics", site.address);
    let answer = site.client.get(&url).send().await.expect("an answer");
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    // The client asked for gzip and unpacked it.
    let text = answer.text().await.expect("a body");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("whyd_up{")).count(),
        300
    );
    let open = site
        .client
        .get(&url)
        .header("accept", "application/openmetrics-text;version=1.0.0");
    let answer = open.send().await.expect("an answer");
    let kind = answer.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    assert!(answer.text().await.expect("a body").ends_with("# EOF\n"));
}

#[tokio::test]
async fn metrics_are_packed_only_where_that_is_accepted() {
    let site = site(&listen(), web(World::of(300))).await;
    let raw = async |encoding: &str| {
        let mut stream = TcpStream::connect(site.address).await.expect("loopback");
        let request = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{encoding}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("read");
        answer
    };
    let plain = raw("").await;
    let packed = raw("accept-encoding: deflate, gzip;q=0.5\r\n").await;
    let refused = raw("accept-encoding: gzip;q=0\r\n").await;
    let has = |answer: &[u8]| {
        answer
            .windows(22)
            .any(|window| window == b"content-encoding: gzip")
    };
    assert!(!has(&plain) && has(&packed) && !has(&refused));
    assert!(
        packed.len() * 5 < plain.len(),
        "{} of {}",
        packed.len(),
        plain.len()
    );
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let mut world = World::of(600);
    for index in [3, 300, 599] {
        let dependency = world.views[&index].dependency.clone();
        world.views.insert(index, samples::worst_view(index, dependency));
    }
    let site = site(&listen(), web(world)).await;
    let failing = site.json("/api/v1/dependencies?state=failing").await;
    let names: Vec<&str> = failing["dependencies"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["d3", "d300", "d599"]);
    assert_eq!(failing["dependencies"][0]["cause"], "dns.timed_out");
    assert_eq!(failing["next_cursor"], Value::Null);
    let mut seen = 0;
    let mut path = "/api/v1/dependencies?limit=250".to_owned();
    let mut answers = 0;
    loop {
        let page = site.json(&path).await;
        seen += page["dependencies"].as_array().expect("a list").len();
        answers += 1;
        match page["next_cursor"].as_u64() {
            Some(next) => path = format!("/api/v1/dependencies?limit=250&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen, answers), (600, 3));
    for bad in ["limit=0", "limit=1001", "state=broken", "sate=up", "cursor=x"] {
        let (status, body) = site.get(&format!("/api/v1/dependencies?{bad}")).await;
        assert_eq!(status, 400, "{bad}: {body}");
    }
}

#[tokio::test]
async fn one_dependency_is_told_in_full() {
    let site = site(&listen(), web(World::of(2))).await;
    let one = site.json("/api/v1/dependencies/d1").await;
    assert_eq!(one["name"], "d1");
    assert_eq!(one["host"]["server"], "d1.internal");
    assert!(one["last_failures"].is_array());
    let (status, body) = site.get("/api/v1/dependencies/d1?limit=2").await;
    assert_eq!(status, 200, "{body}");
    for bad in ["limit=x", "limit=-1", "most=3"] {
        let (status, body) = site.get(&format!("/api/v1/dependencies/d1?{bad}")).await;
        assert_eq!(status, 400, "{bad}: {body}");
    }
    let (status, body) = site.get("/api/v1/dependencies/nobody").await;
    assert_eq!(status, 404);
    assert!(body.contains("\"error\""), "{body}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_as_json() {
    let site = site(&listen(), web(World::of(0))).await;
    let (status, body) = site.get("/nothing").await;
    assert_eq!(
        (status.as_u16(), body.as_str()),
        (404, r#"{"error":"there is nothing at /nothing"}"#)
    );
    for (method, path) in [
        ("POST", "/metrics"),
        ("DELETE", "/-/healthy"),
        ("GET", "/-/reload"),
    ] {
        let method = method.parse().expect("a method");
        let request = site
            .client
            .request(method, format!("http://{}{path}", site.address));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{path}");
        assert!(answer.headers().contains_key("allow"));
        assert!(answer.text().await.expect("a body").contains("error"));
    }
    let request = site
        .client
        .post(format!("http://{}/-/reload", site.address))
        .body("text");
    assert_eq!(request.send().await.expect("an answer").status(), 413);
}

#[tokio::test]
async fn health_follows_the_loop_and_readiness_the_first_round() {
    let mut world = World::of(1);
    world.first_round_begun = false;
    let waiting = site(&listen(), web(world)).await;
    assert_eq!(waiting.get("/-/healthy").await.0, 200);
    let (status, body) = waiting.get("/-/ready").await;
    assert_eq!(status, 503, "{body}");
    let begun = site(&listen(), web(World::of(1))).await;
    assert_eq!(begun.get("/-/ready").await.0, 200);
    let (reader, requests) = Reader::new(1);
    drop(requests);
    let mut dead = web(World::of(0));
    dead.reader = reader;
    let dead = site(&listen(), dead).await;
    for path in [
        "/-/healthy",
        "/-/ready",
        "/metrics",
        "/api/v1/dependencies",
        "/api/v1/dependencies/x",
        "/api/v1/status",
    ] {
        assert_eq!(dead.get(path).await.0, 503, "{path}");
    }
}

#[tokio::test]
async fn the_daemon_says_which_one_it_is_and_what_part_of_the_work_it_has() {
    let alone = site(&listen(), web(World::of(3))).await;
    let said = alone.json("/api/v1/status").await;
    assert_eq!(said["version"], crate::export::process::VERSION);
    assert_eq!((&said["dependencies"], &said["hosts"]), (&json!(3), &json!(3)));
    let nothing = &Value::Null;
    assert_eq!(
        (&said["location"], &said["scale_out"]),
        (nothing, nothing),
        "{said}"
    );

    let mut world = World::of(3);
    world.place = [("replica", "whyd-1".into()), ("location", "eu-1".into())].into();
    world.scale_out = Some(samples::scale_out());
    let shared = site(&listen(), web(world.clone())).await;
    let said = shared.json("/api/v1/status").await;
    assert_eq!(said["location"], "eu-1");
    assert_eq!(
        said["scale_out"],
        json!({
            "replica": "whyd-1", "ordinal": 1, "replicas": 3, "factor": 2, "watched": 667, "left_to_others": 333,
            "election": {"mode": "leases", "speaks": true},
        })
    );
    let view = world.scale_out.as_mut().expect("set above");
    (view.election, view.elects) = (crate::model::plan::Election::None, false);
    let unelected = site(&listen(), web(world)).await;
    let said = unelected.json("/api/v1/status").await;
    assert_eq!(
        said["scale_out"]["election"],
        json!({"mode": "none", "speaks": true})
    );
}

#[tokio::test]
async fn reload_answers_with_the_outcome() {
    let (requests, mut received) = mpsc::channel::<ReloadRequest>(1);
    tokio::spawn(async move {
        let outcomes = [
            Ok("2 dependencies".to_owned()),
            Err("whyd.yaml:3:1: unknown key".to_owned()),
        ];
        for outcome in outcomes {
            let request = received.recv().await.expect("a request");
            let _ = request.reply.send(outcome);
        }
    });
    let mut web = web(World::of(0));
    web.reload = Some(requests);
    let site = site(&listen(), web).await;
    let url = format!("http://{}/-/reload", site.address);
    let from_elsewhere = site.client.post(&url).header("sec-fetch-site", "cross-site");
    assert_eq!(from_elsewhere.send().await.expect("an answer").status(), 403);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = site.client.post(&url).send().await.expect("an answer");
        seen.push((answer.status().as_u16(), answer.text().await.expect("a body")));
    }
    assert_eq!(seen[0].0, 200);
    assert!(seen[0].1.contains("2 dependencies"), "{seen:?}");
    assert_eq!(seen[1], (500, "whyd.yaml:3:1: unknown key".to_owned()));
    assert_eq!(seen[2].0, 503, "the daemon has gone");
}

#[tokio::test]
async fn credentials_guard_everything_but_the_health() {
    let mut listen = listen();
    listen.auth = Some(ListenAuth::Bearer(SecretRef::Inline(Secret::new("s3cret"))));
    let site = site(&listen, web(World::of(1))).await;
    assert_eq!(site.get("/-/healthy").await.0, 200);
    assert_ne!(site.get("/-/ready").await.0, 401);
    for path in ["/metrics", "/api/v1/dependencies", "/nothing"] {
        let url = format!("http://{}{path}", site.address);
        let answer = site.client.get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers().contains_key("www-authenticate"));
        let admitted = site
            .client
            .get(&url)
            .bearer_auth("s3cret")
            .send()
            .await
            .expect("an answer");
        assert_ne!(admitted.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_or_a_flood_of_connections_harms_nobody() {
    let site = site(&listen(), web(World::of(1))).await;
    let mut stream = TcpStream::connect(site.address).await.expect("loopback");
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let mut idle = Vec::new();
    for _ in 0..70 {
        idle.push(
            TcpStream::connect(site.address)
                .await
                .expect("the kernel's queue takes it"),
        );
    }
    drop(idle);
    assert_eq!(site.get("/-/healthy").await.0, 200);
}

#[tokio::test]
async fn tls_is_served_and_a_new_certificate_taken_up() {
    let directory = std::env::temp_dir().join(samples::unique_name());
    std::fs::create_dir(&directory).expect("a temporary directory");
    let files = ListenTls {
        cert: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    let certify = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("ours");
        std::fs::write(&files.cert, made.cert.pem()).expect("ours");
    };
    certify();
    let mut listen = listen();
    listen.tls = Some(files.clone());
    let site = site(&listen, web(World::of(1))).await;
    let ask = async || {
        let trusting = TlsSettings {
            ca: Arc::from([files.cert.clone()]),
            ..TlsSettings::default()
        };
        let client = client(&trusting).expect("a client");
        let url = format!("https://localhost:{}/-/healthy", site.address.port());
        client
            .get(url)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    assert_eq!(ask().await, Some(200));
    // Another size makes sure that the change is seen within one tick of the file system's clock.
    certify();
    let pem = std::fs::read_to_string(&files.cert).expect("ours");
    std::fs::write(&files.cert, format!("# new\n{pem}")).expect("ours");
    assert_eq!(
        ask().await,
        Some(200),
        "the client trusts the new certificate alone"
    );
    std::fs::write(&files.cert, "broken").expect("ours");
    let broken = Server::new(&listen, web(World::of(0)))
        .err()
        .expect("not usable")
        .to_string();
    assert!(broken.contains("cert.pem"), "{broken}");
    std::fs::remove_dir_all(&directory).expect("ours");
}

#[tokio::test]
async fn a_stop_ends_the_server_at_once() {
    let site = site(&listen(), web(World::of(1))).await;
    assert_eq!(site.get("/-/healthy").await.0, 200);
    site.stop.send(true).expect("the server listens");
    tokio::time::timeout(Duration::from_secs(5), site.task)
        .await
        .expect("it ends")
        .expect("without panic");
}
