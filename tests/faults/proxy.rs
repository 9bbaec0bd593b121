//! Proxies: what is theirs and what is the target's.

use std::time::Duration;

use whyd::lab::Server;
use whyd::lab::dns;
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::proxy::{self, ProxyBehaviour};
use whyd::lab::tcp::{self, FullBacklog, RefusedPort, Scripts, Step};

use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;
use crate::identity::{Trust, https};

const TARGET: &str = "https://target.lab.test/";

async fn proxy_of(behaviour: ProxyBehaviour) -> Server {
    proxy::start(behaviour).await.expect("a port")
}

/// Asks an https target, whose name nobody here knows, through the proxy at that address.
async fn through(proxy: impl std::fmt::Display) -> Diagnosis {
    ask(Ask::new(TARGET).with(format!("proxy: http://{proxy}"))).await
}

#[tokio::test]
async fn its_name_does_not_resolve() {
    let lab = dns::start([]).await.expect("a port");
    ask(Ask::new(TARGET)
        .with("proxy: http://proxy.lab.test:3128")
        .with(format!("resolve: {{servers: [\"{}\"]}}", lab.address())))
    .await
    .failed("proxy.name_not_resolved resolve fast config yes")
    .evidence("inner_cause", "dns.name_not_resolved.nxdomain")
    .evidence("role", "proxy")
    .evidence("name", "proxy.lab.test");
}

#[tokio::test]
async fn it_refuses() {
    let port = RefusedPort::reserve().expect("a port");
    let proxy = format!("http://{}", port.address());
    let said = check(&["--retries", "0", "--proxy", &proxy, TARGET]).await;
    let found = said.one(1);
    found
        .failed("proxy.refused connect fast config yes")
        .evidence("inner_cause", "tcp.refused.rst")
        .evidence("role", "proxy")
        .evidence("address", port.address().to_string());
    assert_eq!(found.attempts()[0]["hops"][0]["role"], "proxy");
}

#[tokio::test]
async fn it_does_not_accept() {
    let full = FullBacklog::start().await.expect("a full queue");
    ask(Ask::new(TARGET)
        .with(format!("proxy: http://{}", full.address()))
        .with("timeouts: {connect: 300ms}"))
    .await
    .failed("proxy.timed_out connect slow config yes")
    .evidence("inner_cause", "tcp.timed_out");
}

#[tokio::test]
async fn it_does_not_answer_connect() {
    let proxy = proxy_of(ProxyBehaviour::Silent).await;
    ask(Ask::new(TARGET)
        .with(format!("proxy: http://{}", proxy.address()))
        .with("timeouts: {connect: 300ms}"))
    .await
    .failed("proxy.timed_out proxy slow config yes")
    .alternative("proxy.upstream_failed");
}

#[tokio::test]
async fn it_wants_credentials() {
    let proxy = proxy_of(ProxyBehaviour::auth_required()).await;
    through(proxy.address())
        .await
        .failed("proxy.auth_required proxy fast config no")
        .evidence("status", 407)
        .says("authenticate", "Basic");
    let head = proxy.last_head().expect("a request");
    assert!(
        head.starts_with("CONNECT target.lab.test:443 HTTP/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let proxy = proxy_of(ProxyBehaviour::auth_required()).await;
    let url = format!("http://user:hunter2@{}", proxy.address());
    let said = check(&["--retries", "0", "--proxy", &url, TARGET]).await;
    let found = said.one(1);
    found.failed("proxy.auth_required proxy fast config no");
    let head = proxy.last_head().expect("a request");
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpodW50ZXIy"),
        "{head}"
    );
    let shown = format!("{}{}", found.pretty(), said.errors);
    assert!(
        !shown.contains("hunter2") && !shown.contains("dXNlcjpodW50ZXIy"),
        "{shown}"
    );
}

#[tokio::test]
async fn it_denies() {
    for status in [403, 405] {
        let proxy = proxy_of(ProxyBehaviour::Answer {
            status,
            headers: Vec::new(),
        })
        .await;
        through(proxy.address())
            .await
            .failed("proxy.connect_denied proxy fast config no")
            .evidence("status", status)
            .fix("target.lab.test");
    }
}

#[tokio::test]
async fn it_cannot_reach_the_target() {
    let proxy = proxy_of(ProxyBehaviour::upstream_failed()).await;
    through(proxy.address())
        .await
        .failed("proxy.upstream_failed proxy fast remote yes")
        .evidence("status", 502)
        .says("proxy_status", "connection_refused")
        .fix("connection_refused");
    // And as it answers a request that it should forward.
    ask(Ask::new("http://target.lab.test/").with(format!("proxy: http://{}", proxy.address())))
        .await
        .failed("proxy.upstream_failed first_byte fast remote yes")
        .says("proxy_status", "connection_refused");
}

#[tokio::test]
async fn it_talks_nonsense() {
    for words in ["SSH-2.0-OpenSSH_9.9\r\n", "ICAP/1.0 200 OK\r\n\r\n"] {
        let script = vec![Step::ReadHead, Step::text(words), Step::Close];
        let server = tcp::start(Scripts::always(script)).await.expect("a port");
        through(server.address())
            .await
            .failed("proxy.failed proxy fast config yes");
    }
}

#[tokio::test]
async fn it_closes_or_resets_instead_of_answering() {
    for end in [Step::Close, Step::Reset] {
        let script = vec![Step::ReadHead, end];
        let server = tcp::start(Scripts::always(script)).await.expect("a port");
        through(server.address())
            .await
            .failed("proxy.failed proxy fast config yes");
    }
}

#[tokio::test]
async fn what_fails_behind_it_is_the_targets() {
    let trust = Trust::new();
    let expired = crate::identity::here().expired(Duration::from_secs(86_400));
    let server = https(&trust.authority.issue(expired).expect("a certificate")).await;
    let proxy = proxy_of(ProxyBehaviour::Relay).await;
    let at = |server: &HttpServer| {
        Ask::new(format!("https://{}/", server.address()))
            .with(format!("proxy: http://{}", proxy.address()))
            .with(trust.key())
    };
    ask(at(&server))
        .await
        .failed("tls.cert.date_invalid.expired tls fast config no");
    let server = https(&trust.good()).await;
    ask(at(&server)).await.healthy();
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_forwarded_request_is_answered() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let proxy = proxy_of(ProxyBehaviour::Relay).await;
    ask(Ask::new(format!("http://{}/a", server.address()))
        .with(format!("proxy: http://{}", proxy.address())))
    .await
    .healthy();
    let head = proxy.last_head().expect("a request");
    assert!(
        head.starts_with(&format!("GET http://{}/a HTTP/1.1", server.address())),
        "{head}"
    );
}
