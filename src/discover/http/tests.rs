//! A real server on loopback that answers as told.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::discover::testing::Heard;
use crate::model::dependency::TlsSettings;
use crate::model::secret::Secret;

/// What the server does, and what it was asked.
#[derive(Clone, Default)]
struct Stand {
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let stand = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(stand.clone().serve(stream));
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        let mut part = [0; 4096];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut part).await {
                Ok(n) if n > 0 => head.extend_from_slice(&part[..n]),
                _ => return,
            }
        }
        self.asked
            .lock()
            .expect("no test panics with it")
            .push(String::from_utf8_lossy(&head).into_owned());
        let answer = self.answer.lock().expect("no test panics with it").clone();
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn answer(&self, head: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        *self.answer.lock().expect("no test panics with it") = text;
    }

    fn json(&self, body: &str) {
        self.answer("200 OK\r\nContent-Type: application/json; charset=utf-8", body);
    }

    fn last(&self) -> String {
        let asked = self.asked.lock().expect("no test panics with it");
        asked.last().cloned().unwrap_or_default().to_lowercase()
    }
}

fn source(address: SocketAddr) -> HttpSource {
    HttpSource {
        url: format!("http://{address}/targets?key=hunter2").into(),
        refresh: Duration::from_millis(50),
        headers: [("X-Tenant".into(), Text::Plain("shop".into()))].into(),
        basic: None,
        bearer: Some(SecretRef::Inline(Secret::new("s3cret"))),
        tls: TlsSettings::default(),
    }
}

#[tokio::test]
async fn targets_are_asked_for_as_prometheus_does_and_changes_are_told() {
    crate::net::crypto::install();
    let stand = Stand::default();
    stand.json(r#"[{"targets":["b:1","a:1"],"labels":{"env":"prod"}}]"#);
    let source = source(stand.start().await);
    let mut heard = Heard::of(|telling| run(Box::new(source), telling));
    heard.until(|heard| heard.found == ["a:1", "b:1"]).await;
    let asked = stand.last();
    for part in [
        "get /targets?key=hunter2 http/1.1",
        "x-prometheus-refresh-interval-seconds: 0.05",
        "user-agent: whyd/",
        "accept: application/json",
        "x-tenant: shop",
        "authorization: bearer s3cret",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    stand.json(r#"[{"targets":["c:1"]}]"#);
    heard.until(|heard| heard.found == ["c:1"]).await;
}

#[tokio::test]
async fn what_is_no_list_of_targets_is_said_and_recovers() {
    crate::net::crypto::install();
    let stand = Stand::default();
    stand.json(r#"[{"targets":["a:1"]}]"#);
    let mut source = source(stand.start().await);
    let name = source.url.split('?').next().expect("is there").to_owned();
    source.refresh = Duration::from_millis(20);
    let mut heard = Heard::of(|telling| run(Box::new(source), telling));
    heard.until(|heard| heard.found == ["a:1"]).await;
    let json = "200 OK\r\nContent-Type: application/json";
    for (head, body, why) in [
        (
            "500 Internal Server Error",
            "",
            "answered 500 Internal Server Error, expected 200",
        ),
        (
            "200 OK\r\nContent-Type: text/html",
            "[]",
            "the answer's Content-Type is `text/html`",
        ),
        (
            "302 Found\r\nLocation: http://127.0.0.2:1/",
            "",
            "answered 302 Found",
        ),
        (json, "[{\"targets\": 1}]", ":1:14: expected a sequence"),
    ] {
        stand.answer(head, body);
        heard
            .until(|heard| heard.failed.starts_with(&name) && heard.failed.contains(why))
            .await;
        assert!(!heard.failed.contains("hunter2"), "{}", heard.failed);
        assert_eq!(heard.found, ["a:1"], "what was found stays");
    }
    stand.json("[]");
    heard
        .until(|heard| heard.found.is_empty() && heard.failed.is_empty())
        .await;
}

#[tokio::test]
async fn an_answer_that_has_not_changed_need_not_be_sent_again() {
    crate::net::crypto::install();
    let stand = Stand::default();
    stand.answer(
        "200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"",
        r#"[{"targets":["a:1"]}]"#,
    );
    let source = source(stand.start().await);
    let mut heard = Heard::of(|telling| run(Box::new(source), telling));
    heard.until(|heard| heard.found == ["a:1"]).await;
    stand.answer("304 Not Modified", "");
    heard
        .until(|_| stand.last().contains("if-none-match: \"v1\""))
        .await;
    heard
        .until(|heard| heard.found == ["a:1"] && heard.failed.is_empty())
        .await;
}

#[tokio::test]
async fn a_server_that_is_away_is_said_without_the_query() {
    crate::net::crypto::install();
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = gone.local_addr().expect("it has one");
    drop(gone);
    let mut heard = Heard::of(|telling| run(Box::new(source(address)), telling));
    heard
        .until(|heard| heard.failed.contains("Connection refused"))
        .await;
    assert!(!heard.failed.contains("hunter2"), "{}", heard.failed);
}
