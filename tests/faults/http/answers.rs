//! Answers that are broken, and answers that are not what was expected.

use whyd::lab::http::Behaviour;

use super::{ask_of, ask_raw, plain, root};
use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;

#[tokio::test]
async fn no_byte_at_all() {
    ask_of(Behaviour::Empty)
        .await
        .failed("http.response.invalid.empty first_byte fast remote idempotent_only")
        .evidence("received_bytes", 0)
        // Some TLS servers close on a plain request: a ClientHello settled it.
        .evidence("spoke_tls", false);
}

#[tokio::test]
async fn a_status_line_that_is_none() {
    ask_of(Behaviour::Malformed)
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no");
    ask_raw("HTTP/1.1 200 OK\r\nbroken header\r\n\r\n")
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no");
    ask_raw("SSH-2.0-OpenSSH_9.9\r\n")
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no")
        .evidence("peer_speaks", "SSH");
}

#[tokio::test]
async fn lengths_that_contradict_each_other() {
    ask_raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!")
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no");
}

#[tokio::test]
async fn a_head_that_ends_early() {
    ask_of(Behaviour::TruncatedHead)
        .await
        .failed("http.response.headers.truncated first_byte fast remote no")
        .says("first_bytes", "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    ask_of(Behaviour::HugeHeaders { bytes: 2_000_000 })
        .await
        .failed("http.response.headers.too_large first_byte fast remote no");
}

#[tokio::test]
async fn a_short_body() {
    let behaviour = Behaviour::Truncated {
        content_length: 100,
        sent: 40,
    };
    ask_of(behaviour)
        .await
        .failed("http.response.invalid.content_length_mismatch body fast remote idempotent_only")
        .evidence("expected_bytes", 100)
        .evidence("got_bytes", 40)
        .evidence("status", 200);
}

#[tokio::test]
async fn a_short_body_said_by_the_binary() {
    let server = plain(Behaviour::Truncated {
        content_length: 100,
        sent: 40,
    })
    .await;
    let said = check(&["--retries", "1", &root(&server)]).await;
    let found = said.one(1);
    found.failed("http.response.invalid.content_length_mismatch body fast remote idempotent_only");
    assert_eq!(found.attempts().len(), 2, "a GET may be asked again");
    assert_eq!(found.attempts()[0]["status"], 200);
}

#[tokio::test]
async fn chunks_that_end_early() {
    ask_of(Behaviour::ShortChunked)
        .await
        .failed("http.response.invalid.incomplete_chunked_encoding body fast remote idempotent_only");
}

#[tokio::test]
async fn a_chunk_size_that_is_no_number() {
    ask_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n")
        .await
        .failed("http.protocol.error body fast remote no");
}

#[tokio::test]
async fn a_coding_that_does_not_decode() {
    ask_of(Behaviour::BrokenGzip)
        .await
        .failed("http.response.invalid.decoding_failed body fast remote no")
        .evidence("content_encoding", "gzip")
        .evidence("status", 200);
}

/// Asks a server that answers 200 with this JSON and `X-Zone: eu`, with this expectation.
async fn expecting(expectation: &str) -> Diagnosis {
    let server = plain(Behaviour::Status {
        status: 200,
        headers: vec![("X-Zone".to_owned(), "eu".to_owned())],
        body: br#"{"status":"degraded","parts":[{"name":"db","up":false}]}"#.to_vec(),
    })
    .await;
    ask(Ask::new(root(&server)).with(format!("expect: {{{expectation}}}"))).await
}

#[tokio::test]
async fn a_status_that_was_not_wanted() {
    expecting("status: 204")
        .await
        .failed("assert.status verify fast config no")
        .evidence("status", 200)
        .evidence("wanted", "204")
        .fix("204");
    expecting("status: [2xx, 404]").await.healthy();
}

#[tokio::test]
async fn a_header_that_was_not_wanted() {
    expecting("headers: {x-zone: us}")
        .await
        .failed("assert.header verify fast config no")
        .evidence("header", "x-zone")
        .evidence("got", "eu")
        .says("wanted", "us");
    expecting("headers: {x-missing: {present: true}}")
        .await
        .failed("assert.header verify fast config no")
        .evidence("absent", true);
    expecting("headers: {x-zone: {matching: '^e'}}").await.healthy();
}

#[tokio::test]
async fn a_body_that_was_not_wanted() {
    for (expectation, wanted) in [
        ("body_contains: healthy", "healthy"),
        ("body_regex: 'status.:.ok'", "status.:.ok"),
        ("body_not_regex: degraded", "degraded"),
        ("json: {path: $.status, equals: ok}", "$.status"),
        ("json: {path: '$.parts[0].up', equals: true}", "parts[0].up"),
    ] {
        expecting(expectation)
            .await
            .failed("assert.body verify fast config no")
            .says("wanted", wanted)
            .says("excerpt", "degraded");
    }
    expecting("body_contains: degraded, json: [{path: '$.parts[0].name', equals: db}]")
        .await
        .healthy();
}

#[tokio::test]
async fn an_answer_that_came_too_late() {
    let server = plain(Behaviour::SlowFirstByte {
        wait: std::time::Duration::from_millis(150),
    })
    .await;
    let found = ask(Ask::new(root(&server)).with("expect: {latency: 50ms}")).await;
    found
        .failed("assert.latency verify fast config no")
        .evidence("limit", 0.05)
        .evidence("longest_phase", "first_byte");
    assert!(found.number("latency") >= 0.15);
    let found = ask(Ask::new(root(&server))
        .with("expect: {latency: 50ms}")
        .with("fast_below: 100ms"))
    .await;
    found.failed("assert.latency verify slow config no");
}
