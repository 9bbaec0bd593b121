//! HTTP/2: frames that end a request, and peers of the other version.

use whyd::lab::h2::{self, H2Behaviour, Reason};
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tls::TlsOptions;

use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;
use crate::identity::{Trust, https_with, server_tls};

/// Asks an HTTP/2 server with prior knowledge.
async fn ask_h2(behaviour: H2Behaviour) -> Diagnosis {
    let server = h2::start(behaviour, None).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address()))
        .with("http_version: \"2\"")
        .with("timeouts: {first_byte: 2s}"))
    .await
}

#[tokio::test]
async fn goaway_instead_of_an_answer() {
    for processed in [true, false] {
        let reason = Reason::INTERNAL_ERROR;
        ask_h2(H2Behaviour::GoAway { reason, processed })
            .await
            .failed("h2.goaway first_byte fast remote yes")
            .evidence("frame", "GOAWAY")
            .evidence("reason", "INTERNAL_ERROR")
            .evidence("sent_by", "peer");
    }
    let reason = Reason::NO_ERROR;
    ask_h2(H2Behaviour::GoAway {
        reason,
        processed: false,
    })
    .await
    .failed("h2.goaway first_byte fast remote yes")
    .evidence("reason", "NO_ERROR");
}

#[tokio::test]
async fn goaway_that_asks_for_calm() {
    let reason = Reason::ENHANCE_YOUR_CALM;
    ask_h2(H2Behaviour::GoAway {
        reason,
        processed: false,
    })
    .await
    .failed("h2.enhance_your_calm first_byte fast remote yes")
    .evidence("reason", "ENHANCE_YOUR_CALM");
}

#[tokio::test]
async fn streams_that_are_reset() {
    for (reason, facts, name) in [
        (
            Reason::REFUSED_STREAM,
            "h2.refused_stream first_byte fast remote yes",
            "REFUSED_STREAM",
        ),
        (
            Reason::ENHANCE_YOUR_CALM,
            "h2.enhance_your_calm first_byte fast remote yes",
            "ENHANCE_YOUR_CALM",
        ),
        (
            Reason::INTERNAL_ERROR,
            "h2.stream_reset first_byte fast remote yes",
            "INTERNAL_ERROR",
        ),
        (
            Reason::HTTP_1_1_REQUIRED,
            "http.protocol.error.version first_byte fast config no",
            "HTTP_1_1_REQUIRED",
        ),
    ] {
        ask_h2(H2Behaviour::ResetStream { reason })
            .await
            .failed(facts)
            .evidence("frame", "RST_STREAM")
            .evidence("reason", name);
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_within_the_body() {
    let behaviour = |reason| H2Behaviour::ResetMidBody {
        content_length: 100,
        sent: 40,
        reason,
    };
    ask_h2(behaviour(Reason::INTERNAL_ERROR))
        .await
        .failed("h2.stream_reset body fast remote yes")
        .evidence("status", 200);
    // RST_STREAM(NO_ERROR) can look like a clean end; the declared length knows better.
    let found = ask_h2(behaviour(Reason::NO_ERROR)).await;
    found.failed("h2.stream_reset body fast remote yes");
}

#[tokio::test]
async fn silence() {
    let server = h2::start(H2Behaviour::Silent, None).await.expect("a port");
    ask(Ask::new(format!("http://{}/", server.address()))
        .with("http_version: \"2\"")
        .with("timeouts: {first_byte: 300ms}"))
    .await
    .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
    .evidence("protocol", "HTTP/2");
}

#[tokio::test]
async fn http2_to_a_server_of_http1() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let url = format!("http://{}/", server.address());
    let said = check(&["--retries", "0", "--http", "2", &url]).await;
    said.one(1)
        .failed("http.protocol.error.version first_byte fast config no")
        .evidence("peer_speaks", "HTTP");
}

#[tokio::test]
async fn http1_to_a_server_of_http2() {
    let server = h2::start(H2Behaviour::Ok { body: Vec::new() }, None)
        .await
        .expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())))
        .await
        .failed("http.protocol.error.version first_byte fast config no")
        .evidence("peer_speaks", "HTTP/2");
}

#[tokio::test]
async fn well_with_and_without_tls() {
    let ok = || H2Behaviour::Ok {
        body: b"ok\n".to_vec(),
    };
    let found = ask_h2(ok()).await;
    found.healthy();
    assert_eq!(found.attempts()[0]["hops"][0]["protocol"], "HTTP/2");
    let trust = Trust::new();
    let alpn = TlsOptions {
        alpn: &["h2", "http/1.1"],
        ..TlsOptions::default()
    };
    let server = h2::start(ok(), Some(server_tls(&trust.good(), alpn)))
        .await
        .expect("a port");
    let found = ask(Ask::new(format!("https://{}/", server.address())).with(trust.key())).await;
    found.healthy();
    assert_eq!(found.attempts()[0]["hops"][0]["protocol"], "HTTP/2");
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_http2() {
    let trust = Trust::new();
    let only_http1 = TlsOptions {
        alpn: &["http/1.1"],
        ..TlsOptions::default()
    };
    let server = https_with(Behaviour::ok(), server_tls(&trust.good(), only_http1)).await;
    let asked = crate::identity::trusting(&trust, &server).with("http_version: \"2\"");
    ask(asked)
        .await
        .failed("tls.alpn_mismatch tls fast config no")
        .evidence("alert", 120);
    // One that does not know ALPN goes on without a word.
    let server = https_with(Behaviour::ok(), server_tls(&trust.good(), TlsOptions::default())).await;
    let asked = crate::identity::trusting(&trust, &server).with("http_version: \"2\"");
    ask(asked).await.failed("tls.alpn_mismatch tls fast config no");
}
