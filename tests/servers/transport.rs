//! TCP as nginx and haproxy end it, or do not; and several addresses of which some are nobody's.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::ask::{Ask, ask, ask_all, ask_url};
use crate::binary::{check, check_with_descriptors};
use crate::harness::eventually;
use crate::need;
use crate::recipes::{dnsmasq, nginx};
use crate::serve::find;

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_server_that_was_stopped() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let url = server.url("/");
    ask_url(&*url).await.healthy();
    drop(server);
    ask_url(&*url)
        .await
        .failed("tcp.refused.rst connect fast remote yes")
        .evidence("errno", "ECONNREFUSED")
        .evidence("call", "connect");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn reset_instead_of_an_answer() {
    // With `444` nginx closes; with this option it resets.
    let server = need!(nginx(
        "reset_timedout_connection on; server { listen 127.0.0.1:{0}; return 444; }"
    ));
    ask_url(server.url("/"))
        .await
        .failed("tcp.reset.after_accept first_byte fast remote yes")
        .evidence("errno", "ECONNRESET")
        .evidence("received_bytes", 0);
}

#[tokio::test]
#[ignore = "needs nginx, ss and root; run by .ci/run"]
async fn reset_within_the_answer() {
    let Some(ss) = find("ss") else { return };
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; limit_rate 2000; }")
            .file("www/large", "x".repeat(100_000))
    );
    // What a middlebox does that loses its state: the kernel is told to abort nginx's side once some of it has passed.
    let port = format!("sport = :{}", server.port(0));
    let kill = async {
        eventually("some of the answer has passed", async || {
            let shown = Command::new(&ss)
                .args(["-Htin", &port])
                .output()
                .expect("ss runs");
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            shown.contains("bytes_acked:").then_some(())
        })
        .await;
        let killed = Command::new(&ss).args(["-HK", &port]).output().expect("ss runs");
        assert!(
            killed.status.success() && !killed.stdout.is_empty(),
            "ss -K needs root: {killed:?}"
        );
    };
    let (found, ()) = tokio::join!(ask_url(server.url("/large")), kill);
    found
        .failed("tcp.reset.mid_response body fast remote idempotent_only")
        .evidence("errno", "ECONNRESET");
    assert!(found.number("received_bytes") > 0.0);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_frozen_server() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    server.signal_all(libc::SIGSTOP);
    // The kernel goes on for it: the handshake is answered and the request acknowledged.
    ask(Ask::new(server.url("/")).with("timeouts: {first_byte: 400ms}"))
        .await
        .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
        .evidence("request_acknowledged", true);
    ask(Ask::new(format!("https://{}/", server.address(0))).with("timeouts: {tls: 400ms}"))
        .await
        .failed("tls.timed_out tls slow remote yes");
    server.signal_all(libc::SIGCONT);
    ask_url(server.url("/")).await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_frozen_server_whose_queue_is_full() {
    let server = need!(nginx("server { listen 127.0.0.1:{0} backlog=1; return 200 ok; }"));
    server.signal_all(libc::SIGSTOP);
    let connect = || {
        // What is not answered at once on this machine is not answered at all.
        TcpStream::connect_timeout(&server.address(0), Duration::from_millis(500))
    };
    let queued: Vec<TcpStream> = (0..8).map_while(|_| connect().ok()).collect();
    assert!(queued.len() < 8, "the queue is full");
    ask(Ask::new(server.url("/")).with("timeouts: {connect: 500ms}"))
        .await
        .failed("tcp.timed_out connect slow network yes");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_frozen_server_that_does_not_read() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0}; client_max_body_size 100m; location / { return 200 ok; } }"
    ));
    server.signal_all(libc::SIGSTOP);
    let body = server.path("body");
    std::fs::write(&body, vec![b'x'; 16_000_000]).expect("the test's own directory");
    let data = format!("@{}", body.display());
    let url = server.url("/");
    let said = check(&["--timeout", "3s", "--data", &data, &url]).await;
    let found = said.one(1);
    found.failed("tcp.peer_not_reading request slow remote with_backoff");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn out_of_descriptors() {
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; limit_rate 20000; }")
            .file("www/slow", "x".repeat(20_000))
    );
    let urls: Vec<String> = (0..30).map(|n| server.url(&format!("/slow?{n}"))).collect();
    let mut arguments = vec!["--retries", "0"];
    arguments.extend(urls.iter().map(String::as_str));
    let said = check_with_descriptors(24, &arguments).await;
    assert_eq!(said.status, Some(3), "{}", said.errors);
    let ours: Vec<_> = said
        .diagnoses
        .iter()
        .filter(|diagnosis| diagnosis.verdict() != "ok")
        .collect();
    assert!(!ours.is_empty() && ours.len() < 30, "{} of 30", ours.len());
    for diagnosis in ours {
        diagnosis
            .concluded(
                "inconclusive",
                "local.fd_exhausted.process connect fast local with_backoff",
            )
            .evidence("errno", "EMFILE");
    }
}

#[tokio::test]
#[ignore = "needs nginx and dnsmasq; run by .ci/run"]
async fn addresses_of_which_some_answer() {
    let v4 = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let v6 = need!(nginx("server { listen [::1]:{0} ipv6only=on; return 200 ok; }"));
    let names = need!(dnsmasq(
        "host-record=both.lab.example,127.0.0.1,::1
host-record=two.lab.example,127.0.0.2
host-record=two.lab.example,127.0.0.1
host-record=none.lab.example,127.0.0.2
host-record=none.lab.example,127.0.0.3"
    ));
    let by = format!("resolve: {{servers: [\"{}\"]}}", names.address(0));
    let at = |name: &str, port: u16| Ask::new(format!("http://{name}.lab.example:{port}/")).with(by.clone());
    let found = ask(at("both", v4.port(0))).await;
    assert_eq!(
        found.finding("address.ipv6_broken")["failed"][0]["address"],
        format!("[::1]:{}", v4.port(0))
    );
    ask(at("both", v6.port(0))).await.healthy();
    let fixed = Ask::new(format!("http://both.lab.example:{}/", v6.port(0)));
    let found = ask(fixed.with("resolve: {addresses: [127.0.0.1, '::1']}")).await;
    assert_eq!(
        found.finding("address.ipv4_broken")["working"],
        format!("[::1]:{}", v6.port(0))
    );
    // dnsmasq rotates its answers: the bad address comes first in one of two.
    let asks: Vec<Ask> = (0..2)
        .map(|n| at("two", v4.port(0)).named(&format!("two-{n}")))
        .collect();
    let found = ask_all(&asks).await;
    let partial = found
        .iter()
        .filter(|found| found.pretty().contains("address.partial"));
    assert!(
        partial.count() >= 1,
        "{}\n{}",
        found[0].pretty(),
        found[1].pretty()
    );
    ask(at("none", v4.port(0)))
        .await
        .failed("tcp.refused.rst connect fast remote yes")
        .says("addresses", "127.0.0.2")
        .says("addresses", "127.0.0.3");
}
