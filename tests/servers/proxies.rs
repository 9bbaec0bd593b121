//! Proxies: squid as a company runs one, behind stunnel where the way to it is TLS, and HAProxy that answers by itself.

use crate::ask::{Ask, Diagnosis, ask, conclude, plan};
use crate::identity::Trust;
use crate::need;
use crate::recipes::{haproxy, nginx, s_server, squid, stunnel};
use crate::serve::{Server, free_ports};

async fn through(proxy: &Server, url: impl Into<String>) -> Diagnosis {
    ask(Ask::new(url).with(format!("proxy: 'http://{}'", proxy.address(0)))).await
}

/// squid that lets everything through but what is denied.
const OPEN: &str = "acl denied dstdomain denied.example
http_access deny denied
http_access allow all";

#[tokio::test]
#[ignore = "needs squid; run by .ci/run"]
async fn squid_cannot_reach_the_target() {
    let proxy = need!(squid(OPEN));
    let [nobody] = free_ports(1)[..] else { return };
    through(&proxy, format!("https://127.0.0.1:{nobody}/"))
        .await
        .failed("proxy.upstream_failed proxy fast remote yes")
        .evidence("status", 503)
        .evidence("squid_error", "ERR_CONNECT_FAIL 111")
        .says("caused_by", "tcp.refused.rst")
        .fix("squid says ERR_CONNECT_FAIL (ECONNREFUSED)");
    // A forwarded request gets the same page as its answer, which squid says is its own.
    through(&proxy, format!("http://127.0.0.1:{nobody}/"))
        .await
        .failed("proxy.upstream_failed first_byte fast remote yes")
        .says("caused_by", "tcp.refused.rst")
        .alternative("http.error.503");
}

#[tokio::test]
#[ignore = "needs squid; run by .ci/run"]
async fn squid_does_not_know_the_name() {
    // Nothing serves DNS at squid's 127.0.0.1.
    let proxy = need!(squid(&format!(
        "{OPEN}\ndns_timeout 1 seconds\ndns_retransmit_interval 1 seconds"
    )));
    for url in ["https://nowhere.example/", "http://nowhere.example/"] {
        let found = through(&proxy, url).await;
        let phase = if url.starts_with("https") {
            "proxy"
        } else {
            "first_byte"
        };
        let cause = found.0["cause"].as_str().unwrap_or_default();
        assert_eq!(cause, "proxy.upstream_failed", "{}", found.pretty());
        assert_eq!(found.0["phase"], phase);
        // squid waits for its nameserver before the page for what has no name, and gives up on a tunnel before that.
        found.says("squid_error", "ERR_");
    }
}

#[tokio::test]
#[ignore = "needs squid; run by .ci/run"]
async fn squid_denies() {
    let proxy = need!(squid(OPEN));
    through(&proxy, "https://denied.example/")
        .await
        .failed("proxy.connect_denied proxy fast config no")
        .evidence("status", 403)
        .says("squid_error", "ERR_ACCESS_DENIED")
        .fix("denied.example:443");
    through(&proxy, "http://denied.example/")
        .await
        .failed("proxy.connect_denied first_byte fast config no")
        .alternative("http.error.4xx");
}

#[tokio::test]
#[ignore = "needs squid and nginx; run by .ci/run"]
async fn squid_wants_credentials() {
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let proxy = need!(
        squid(
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth {dir}/users
auth_param basic realm lab
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all"
        )
        // `openssl passwd -apr1 -salt lab hunter2`
        .file("users", "whyd:$apr1$lab$n8KbURH4CljVsdjALmCAB0\n")
    );
    for url in ["https://192.0.2.1/", "http://192.0.2.1/"] {
        let found = through(&proxy, url).await;
        assert_eq!(found.0["cause"], "proxy.auth_required", "{}", found.pretty());
        found.evidence("status", 407).evidence("authenticate", "Basic");
    }
    let wrong = format!(
        "proxy: {{url: 'http://{}', user: whyd, password: wrong}}",
        proxy.address(0)
    );
    let right = wrong.replace("wrong", "hunter2");
    ask(Ask::new(target.url("/")).with(right)).await.healthy();
    ask(Ask::new(target.url("/")).with(wrong))
        .await
        .failed("proxy.auth_required first_byte fast config no");
}

#[tokio::test]
#[ignore = "needs squid, openssl and nginx; run by .ci/run"]
async fn what_fails_behind_squid_is_the_targets() {
    let proxy = need!(squid(OPEN));
    let stranger = Trust::new();
    let issued = stranger.good();
    let target = need!(
        s_server(&[])
            .file("cert.pem", &*issued.pem)
            .file("key.pem", &*issued.key_pem)
    );
    let url = format!("https://{}/", target.address(0));
    let proxied = format!("proxy: 'http://{}'", proxy.address(0));
    let found = ask(Ask::new(&*url).with(&*proxied)).await;
    found.failed("tls.cert.authority_invalid.unknown_root tls fast config no");
    let hops = found.attempts()[0]["hops"].as_array().expect("hops");
    let roles: Vec<&str> = hops.iter().filter_map(|hop| hop["role"].as_str()).collect();
    assert_eq!(roles, ["proxy", "target"]);
    assert_eq!(hops[0]["status"], 200);
    ask(Ask::new(url).with(proxied).with(stranger.key()))
        .await
        .healthy();
    // The target's own 503 comes without a word of squid.
    let broken = need!(nginx("server { listen 127.0.0.1:{0}; return 503 no; }"));
    through(&proxy, broken.url("/"))
        .await
        .failed("http.error.503 first_byte fast remote with_backoff")
        .confidence("likely")
        .alternative("proxy.upstream_failed");
}

#[tokio::test]
#[ignore = "needs squid, stunnel and nginx; run by .ci/run"]
async fn the_way_to_the_proxy_is_tls() {
    let trust = Trust::new();
    let issued = trust.good();
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let proxy = need!(squid(OPEN));
    let front = need!(
        stunnel("")
            .set("backend", proxy.address(0))
            .file("cert.pem", &*issued.chain_pem)
            .file("key.pem", &*issued.key_pem)
    );
    let by_tls = format!("proxy: 'https://{}'", front.address(0));
    let secure = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    for url in [target.url("/"), format!("https://{}/", secure.address(0))] {
        ask(Ask::new(url).with(&*by_tls).with(trust.key()))
            .await
            .healthy();
    }
    // What is wrong with the proxy's certificate is the proxy's, and said as the inner cause.
    ask(Ask::new(target.url("/")).with(by_tls))
        .await
        .failed("proxy.failed tls fast config yes")
        .evidence("inner_cause", "tls.cert.authority_invalid.unknown_root");
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn an_intermediary_says_what_failed_behind_it() {
    let server = need!(haproxy(
        "frontend f
 bind 127.0.0.1:{0}
 http-request return status 502 content-type text/plain string bad hdr Proxy-Status 'edge.example; error=connection_timeout; next-hop=\"10.1.2.3:8080\", ExampleCDN'"
    ));
    ask(Ask::new(server.url("/")))
        .await
        .failed("http.error.502 first_byte fast remote with_backoff")
        .says("caused_by", "tcp.timed_out")
        .says("caused_by", "edge.example")
        .fix("edge.example says connection_timeout at 10.1.2.3:8080");
}

#[tokio::test]
#[ignore = "needs nothing; run by .ci/run"]
async fn a_proxy_of_the_environment_is_said() {
    let mut plan = plan(&[Ask::new("http://127.0.0.1:1/").with("proxy: 'http://127.0.0.1:9'")]);
    for dependency in &mut plan.dependencies {
        let mut changed = (**dependency).clone();
        if let whyd::model::dependency::Probe::Http(http) = &mut changed.probe
            && let Some(proxy) = &mut http.proxy
        {
            proxy.inherited_from = Some("http_proxy".into());
        }
        *dependency = changed.into();
    }
    let found = conclude(plan).await;
    found["it"]
        .failed("proxy.refused connect fast config yes")
        .evidence("proxy_inherited_from", "http_proxy")
        .fix("http_proxy in the environment");
}
