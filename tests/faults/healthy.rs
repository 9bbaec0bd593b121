//! What looks odd and is well: it must stay `ok`, without a finding.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::{self, Scripts, Step};

use crate::ask::{Ask, ask, ask_url};
use crate::binary::check;
use crate::identity::{Trust, https};

async fn plain(behaviour: Behaviour) -> (HttpServer, String) {
    let server = HttpServer::plain(behaviour).await.expect("a port");
    let url = format!("http://{}/", server.address());
    (server, url)
}

/// Asks a server that answers with these bytes and closes, expecting this of the answer.
async fn answers(bytes: impl Into<Vec<u8>>, expectation: &str) {
    let script = vec![Step::ReadHead, Step::Write(bytes.into()), Step::Close];
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())).with(format!("expect: {{{expectation}}}")))
        .await
        .healthy();
}

#[tokio::test]
async fn plain_and_over_tls_said_by_the_binary() {
    let (_server, url) = plain(Behaviour::ok()).await;
    let trust = Trust::new();
    let secure = https(&trust.good()).await;
    let target = format!("https://{}/", secure.address());
    let said = check(&["--ca", &trust.file(), &url, &target]).await;
    assert_eq!(said.status, Some(0), "{}", said.errors);
    let [first, second] = said.diagnoses.as_slice() else {
        panic!("two diagnoses: {:?}", said.diagnoses);
    };
    first.healthy();
    second.healthy();
    assert_eq!(first.0["target"], url.as_str(), "in the order of the targets");
    let phases = second.attempts()[0]["phases"].as_object().expect("phases");
    for phase in ["connect", "tls", "request", "first_byte", "body"] {
        assert!(phases.contains_key(phase), "{phase}: {phases:?}");
    }
    assert!(!phases.contains_key("proxy"), "{phases:?}");
}

#[tokio::test]
async fn the_worst_verdict_decides_the_exit_status() {
    let (_well, well) = plain(Behaviour::ok()).await;
    let (_ill, ill) = plain(Behaviour::status(500)).await;
    let said = check(&["--retries", "0", &well, &ill]).await;
    assert_eq!(said.status, Some(1), "{}", said.errors);
    said.diagnoses[0].healthy();
    said.diagnoses[1].failed("http.error.500 first_byte fast remote with_backoff");
}

#[tokio::test]
async fn a_handshake_alone() {
    let (server, _) = plain(Behaviour::ok()).await;
    ask_url(format!("tcp://{}", server.address())).await.healthy();
    assert_eq!(server.server().requests(), 0);
    let trust = Trust::new();
    let secure = https(&trust.good()).await;
    ask(Ask::new(format!("tls://{}", secure.address())).with(trust.key()))
        .await
        .healthy();
}

#[tokio::test]
async fn chunks_with_extensions_and_trailers() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                  2;note=x\r\nwe\r\n2\r\nll\r\n0\r\nX-Sum: 1\r\n\r\n";
    answers(answer, "body_contains: well").await;
}

#[tokio::test]
async fn gzip() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"all is well").expect("memory");
    let body = encoder.finish().expect("memory");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    answers([head.as_bytes(), &body].concat(), "body_contains: all is well").await;
}

#[tokio::test]
async fn no_body_by_nature() {
    answers("HTTP/1.1 204 No Content\r\n\r\n", "status: 204").await;
    let script = vec![
        Step::ReadHead,
        Step::text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        Step::Close,
    ];
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())).with("method: HEAD"))
        .await
        .healthy();
}

#[tokio::test]
async fn bodies_that_end_with_the_connection() {
    answers(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwell",
        "body_contains: well",
    )
    .await;
    answers("HTTP/1.0 200 OK\r\n\r\nwell", "body_contains: well").await;
    answers(
        "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell",
        "body_regex: '^well$'",
    )
    .await;
}

#[tokio::test]
async fn answers_that_come_before_the_answer() {
    answers(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell",
        "body_contains: well",
    )
    .await;
    let script = vec![
        Step::ReadHead,
        Step::text("HTTP/1.1 100 Continue\r\n\r\n"),
        Step::ReadBytes(5),
        Step::text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Step::Close,
    ];
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address()))
        .with("method: POST")
        .with("body: hello")
        .with("headers: {Expect: 100-continue}"))
    .await
    .healthy();
}

#[tokio::test]
async fn odd_heads() {
    // No reason phrase; header names in any case; a value without a space before it.
    answers("HTTP/1.1 200\r\nCONTENT-length:2\r\n\r\nok", "body_contains: ok").await;
}

#[tokio::test]
async fn slow_within_its_budget() {
    let (_server, url) = plain(Behaviour::SlowFirstByte {
        wait: Duration::from_millis(250),
    })
    .await;
    let found = ask(Ask::new(url).with("timeouts: {first_byte: 3s}")).await;
    found.healthy();
    assert!(found.elapsed() >= 250.0);
    let drip = Step::WriteSlowly {
        bytes: b"0123456789".to_vec(),
        gap: Duration::from_millis(25),
    };
    let head = Step::text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    let script = vec![Step::ReadHead, head, drip, Step::Close];
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())).with("timeouts: {body: 2s}"))
        .await
        .healthy();
}

#[tokio::test]
async fn redirects_that_arrive() {
    let (server, url) = plain(Behaviour::RedirectChain { hops: 3 }).await;
    let found = ask_url(url).await;
    found.healthy();
    assert_eq!(server.server().requests(), 4);
    let hops = found.attempts()[0]["hops"].as_array().expect("hops");
    assert_eq!(hops.len(), 4);
    assert_eq!(hops[3]["status"], 200);
}

#[tokio::test]
async fn a_redirect_that_is_the_answer() {
    let (_server, url) = plain(Behaviour::RedirectChain { hops: 1 }).await;
    ask(Ask::new(url)
        .with("redirects: {limit: 0}")
        .with("expect: {status: 302}"))
    .await
    .healthy();
}

#[tokio::test]
async fn more_body_than_is_read() {
    let (_server, url) = plain(Behaviour::Ok {
        body: vec![b'x'; 300_000],
    })
    .await;
    ask(Ask::new(url).with("max_body: 64KiB")).await.healthy();
}
