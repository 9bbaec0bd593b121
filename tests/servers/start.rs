//! Every recipe starts a server that answers, so that a broken recipe is not taken for a fault of whyd.

use crate::ask::{Ask, ask, ask_url};
use crate::identity::Trust;
use crate::need;
use crate::recipes::{dnsmasq, haproxy, named, nginx, python_http, s_server, squid, stunnel, unbound};

/// A zone with one name, `www`.
pub const ZONE: &str = "$TTL 60
@ IN SOA ns admin 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
www IN A 127.0.0.1
";

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn nginx_answers() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    ask_url(server.url("/")).await.healthy();
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn haproxy_answers() {
    let server = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0}\n http-request return status 200"
    ));
    ask_url(server.url("/")).await.healthy();
}

#[tokio::test]
#[ignore = "needs squid and nginx; run by .ci/run"]
async fn squid_passes_on() {
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let server = need!(squid("http_access allow all"));
    ask(Ask::new(target.url("/")).with(format!("proxy: 'http://{}'", server.address(0))))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs bind9, unbound and dnsmasq; run by .ci/run"]
async fn names_are_answered() {
    let bind = need!(
        named(
            "recursion no;",
            "zone \"lab.example\" { type master; file \"{dir}/zone\"; };"
        )
        .file("zone", ZONE)
    );
    let unbound = need!(unbound("  local-data: \"www.lab.example. A 127.0.0.1\"", ""));
    let dnsmasq = need!(dnsmasq("address=/www.lab.example/127.0.0.1"));
    for server in [&bind, &unbound, &dnsmasq] {
        ask_url(format!("dns://{}/www.lab.example", server.address(0)))
            .await
            .healthy();
    }
}

#[tokio::test]
#[ignore = "needs openssl, stunnel and nginx; run by .ci/run"]
async fn tls_is_spoken() {
    let trust = Trust::new();
    let issued = trust.good();
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let openssl = need!(
        s_server(&[])
            .file("cert.pem", &*issued.pem)
            .file("key.pem", &*issued.key_pem)
    );
    let stunnel = need!(
        stunnel("")
            .set("backend", target.address(0))
            .file("cert.pem", &*issued.chain_pem)
            .file("key.pem", &*issued.key_pem)
    );
    for server in [&openssl, &stunnel] {
        ask(Ask::new(format!("https://{}/", server.address(0))).with(trust.key()))
            .await
            .healthy();
    }
}

#[tokio::test]
#[ignore = "needs python3; run by .ci/run"]
async fn python_answers() {
    let server = need!(python_http().file("index.html", "well"));
    let found = ask(Ask::new(server.url("/")).with("expect: {body_contains: well}")).await;
    found.healthy();
    assert_eq!(found.attempts()[0]["hops"][0]["protocol"], "HTTP/1.0");
}
