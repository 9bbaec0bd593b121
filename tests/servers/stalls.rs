//! Time: behind gateways whose upstream is silent, and from nginx that sends a byte at a time.

use std::net::TcpListener;
use std::time::Duration;

use crate::ask::{Ask, ask};
use crate::binary::check;
use crate::need;
use crate::recipes::{haproxy, nginx};

/// An address that takes connections and requests and never answers: nobody accepts what the kernel took.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback")
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn no_first_byte_behind_a_gateway() {
    let silent = silent();
    let backend = silent.local_addr().expect("bound");
    let nginx = need!(
        nginx("server { listen 127.0.0.1:{0}; location / { proxy_pass http://{backend}; } }")
            .set("backend", backend)
    );
    let haproxy =
        need!(haproxy("listen l\n bind 127.0.0.1:{0}\n server one {backend}").set("backend", backend));
    for server in [nginx, haproxy] {
        ask(Ask::new(server.url("/")).with("timeouts: {first_byte: 400ms}"))
            .await
            .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
            .evidence("request_acknowledged", true)
            .evidence("budget", "phase");
        let said = check(&["--timeout", "600ms", &server.url("/")]).await;
        said.one(1)
            .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
            .evidence("budget", "total");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_drip_that_never_ends() {
    // A packet a second: each comes within the budget of a gap, all of them do not come within the total.
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; limit_rate 2000; }")
            .file("www/large", "x".repeat(100_000))
    );
    let found = ask(Ask::new(server.url("/large")).with("timeouts: {total: 3s, body: 2500ms}")).await;
    found
        .failed("deadline.exceeded body slow unclear idempotent_only")
        .evidence("drip", true)
        .evidence("budget", "total")
        .evidence("longest_phase", "body");
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn the_handshake_is_not_answered() {
    // The kernel completes the TCP handshake and takes the ClientHello; haproxy in TCP mode passes it to nobody.
    let silent = silent();
    let server = need!(
        haproxy("listen l\n mode tcp\n bind 127.0.0.1:{0}\n server one {backend}")
            .set("backend", silent.local_addr().expect("bound"))
    );
    let url = format!("https://{}/", server.address(0));
    let found = ask(Ask::new(url).with("timeouts: {tls: 500ms}")).await;
    found
        .failed("tls.timed_out tls slow remote yes")
        .evidence("budget", "phase");
    assert!(found.elapsed() >= Duration::from_millis(500).as_secs_f64() * 1_000.0);
}
