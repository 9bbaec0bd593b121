//! HTTP/2 frames of nginx and haproxy that end a request.

use tokio::net::TcpListener;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::ask::{Ask, ask};
use crate::need;
use crate::recipes::{haproxy, nginx};
use crate::serve::Server;

/// Asks with prior knowledge of HTTP/2.
fn by_h2(url: String) -> Ask {
    Ask::new(url).with("http_version: \"2\"")
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_stream_that_nginx_refuses() {
    // A body that comes before the peer has acknowledged our settings is refused by an nginx that reads none ahead.
    let server = need!(nginx(
        "http2_body_preread_size 0; server { listen 127.0.0.1:{0} http2; return 200 ok; }"
    ));
    ask(by_h2(server.url("/")).with("method: POST").with("body: hello"))
        .await
        .failed("h2.refused_stream first_byte fast remote yes")
        .evidence("frame", "RST_STREAM")
        .evidence("reason", "REFUSED_STREAM");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_header_that_is_too_large_for_nginx() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0} http2; large_client_header_buffers 2 1k; return 200 ok; }"
    ));
    let large = "x".repeat(9_000);
    ask(by_h2(server.url("/")).with(format!("headers: {{X-Large: {large}}}")))
        .await
        .failed("h2.enhance_your_calm first_byte fast remote yes")
        .evidence("frame", "GOAWAY")
        .evidence("reason", "ENHANCE_YOUR_CALM");
}

/// nginx and haproxy with HTTP/2, in front of a server that ends within its body.
async fn in_front_of_a_short_body() -> Option<(HttpServer, Server, Server)> {
    let backend = HttpServer::plain(Behaviour::Truncated {
        content_length: 1_000,
        sent: 400,
    })
    .await
    .expect("a port");
    let nginx = nginx(
        "server { listen 127.0.0.1:{0} http2; location / {
  proxy_pass http://{backend}; proxy_buffering off;
} }",
    );
    let haproxy = haproxy("listen l\n bind 127.0.0.1:{0} proto h2\n server one {backend}");
    let nginx = nginx.set("backend", backend.address()).start().await?;
    let haproxy = haproxy.set("backend", backend.address()).start().await?;
    Some((backend, nginx, haproxy))
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn a_body_cut_off_behind_a_gateway() {
    let Some((_backend, nginx, haproxy)) = in_front_of_a_short_body().await else {
        return;
    };
    // haproxy ends the stream as if all were there; the length that was promised knows better.
    ask(by_h2(haproxy.url("/")))
        .await
        .failed("http.response.invalid.content_length_mismatch body fast remote idempotent_only")
        .evidence("expected_bytes", 1_000)
        .evidence("got_bytes", 400);
    // nginx says that it was not.
    ask(by_h2(nginx.url("/")))
        .await
        .failed("h2.stream_reset body fast remote yes")
        .evidence("frame", "RST_STREAM")
        .evidence("status", 200);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_stream_that_is_not_answered() {
    let server = need!(nginx("server { listen 127.0.0.1:{0} http2; return 444; }"));
    ask(by_h2(server.url("/")))
        .await
        .failed("h2.stream_reset first_byte fast remote yes")
        .evidence("frame", "RST_STREAM")
        .evidence("sent_by", "peer");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_worker_that_ends_while_it_is_asked() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let backend = silent.local_addr().expect("bound");
    let server = need!(
        nginx("server { listen 127.0.0.1:{0} http2; location / { proxy_pass http://{backend}; } }")
            .set("backend", backend)
    );
    let reload = async {
        let upstream = silent.accept().await.expect("the request has arrived");
        // The worker says GOAWAY, and ends what is not done when its time to shut down is over.
        server.signal(libc::SIGHUP);
        upstream
    };
    let (found, _upstream) = tokio::join!(ask(by_h2(server.url("/"))), reload);
    found
        .failed("h2.goaway first_byte fast remote yes")
        .evidence("frame", "GOAWAY")
        .evidence("reason", "NO_ERROR");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn goaway_after_each_answer_is_well() {
    let server = need!(nginx(
        "keepalive_requests 1; server { listen 127.0.0.1:{0} http2; location / { return 200 ok; } }"
    ));
    for _ in 0..3 {
        ask(by_h2(server.url("/"))).await.healthy();
    }
}
