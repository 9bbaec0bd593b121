//! Answers of nginx and haproxy that say no, with what each of them says beside the status; and redirects of nginx.

use std::net::TcpListener;

use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::RefusedPort;

use crate::ask::{Ask, ask, ask_url};
use crate::binary::check;
use crate::identity::Trust;
use crate::need;
use crate::recipes::{haproxy, nginx};
use crate::serve::Server;

/// One nginx that answers `/STATUS` with that status.
async fn statuses() -> Option<Server> {
    let all = [
        400, 401, 403, 404, 405, 410, 413, 421, 451, 500, 501, 502, 503, 504, 507,
    ];
    let locations: String = all
        .iter()
        .map(|status| format!("location = /{status} {{ return {status}; }}\n"))
        .collect();
    nginx(&format!("server {{ listen 127.0.0.1:{{0}}; {locations} }}"))
        .start()
        .await
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn what_a_client_did_wrong() {
    let Some(server) = statuses().await else { return };
    for status in [400, 401, 403, 404, 405, 410, 413, 421, 451] {
        ask_url(server.url(&format!("/{status}")))
            .await
            .failed("http.error.4xx first_byte fast config no")
            .evidence("status", status)
            .says("server", "nginx");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn what_the_server_did_wrong() {
    let Some(server) = statuses().await else { return };
    for (status, id) in [
        (500, "500"),
        (501, "5xx"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
        (507, "5xx"),
    ] {
        ask_url(server.url(&format!("/{status}")))
            .await
            .failed(&format!("http.error.{id} first_byte fast remote with_backoff"))
            .evidence("status", status)
            .says("server", "nginx");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_directory_without_its_slash() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0}; location = /health/ { return 200 well; } location / { return 404; } }"
    ));
    let found = ask_url(server.url("/health")).await;
    found
        .failed("http.error.4xx first_byte fast config no")
        .evidence("answers_at", server.url("/health/"))
        .confidence("confirmed");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_password_is_wanted() {
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; auth_basic lab; auth_basic_user_file {dir}/users; }")
            .file("users", "somebody:{PLAIN}secret\n")
    );
    ask_url(server.url("/"))
        .await
        .failed("http.error.4xx first_byte fast config no")
        .evidence("status", 401)
        .says("authenticate", "Basic")
        .fix("credentials");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_rate_limit_of_nginx() {
    let server = need!(nginx(
        "limit_req_zone $binary_remote_addr zone=all:1m rate=1r/m;
server {
  listen 127.0.0.1:{0}; limit_req zone=all; limit_req_status 429;
  location / { try_files /none @ok; }
  location @ok { return 200 ok; }
  error_page 429 = @limited;
  location @limited { internal; add_header Retry-After 33 always; return 429; }
}"
    ));
    // The limit is looked at after `return`, hence the detour; the first request is within it.
    ask_url(server.url("/")).await.healthy();
    let found = ask(Ask::new(server.url("/")).with("retry: {attempts: 3}")).await;
    found
        .failed("http.error.429 first_byte fast config with_backoff")
        .evidence("status", 429)
        .evidence("retry_after", 33.0)
        .fix("33");
    assert_eq!(found.attempts().len(), 1, "half a minute does not fit");
    assert_eq!(found.attempts()[0]["retry"]["decision"], "retry_after_too_long");
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn a_rate_limit_of_haproxy() {
    let server = need!(haproxy(
        "frontend f
  bind 127.0.0.1:{0}
  http-request deny deny_status 429 hdr Retry-After 1 if { path /limited }
  http-request return status 200"
    ));
    let said = check(&["--retries", "1", &server.url("/limited")]).await;
    let found = said.one(1);
    found
        .failed("http.error.429 first_byte fast config with_backoff")
        .evidence("retry_after", 1.0);
    let retry = &found.attempts()[0]["retry"];
    assert_eq!(retry["because"], "retry_after", "{}", found.pretty());
    assert!(
        retry["after"].as_f64().is_some_and(|pause| pause >= 1.0),
        "{retry}"
    );
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn haproxy_without_a_server() {
    let server = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0}\n default_backend b\nbackend b\n"
    ));
    ask_url(server.url("/"))
        .await
        .failed("http.error.503 first_byte fast remote with_backoff")
        .evidence("status", 503)
        .says("excerpt", "No server is available");
    server.logged("<NOSRV>").await;
}

/// haproxy and nginx in front of an address.
async fn gateways(backend: impl ToString) -> Option<[Server; 2]> {
    let haproxy = haproxy(
        "frontend f
  bind 127.0.0.1:{0}
  default_backend b
backend b
  retries 0
  timeout server 1s
  server one {backend}",
    );
    let nginx = nginx(
        "server { listen 127.0.0.1:{0}; location / {
  proxy_pass http://{backend}; proxy_read_timeout 1s; proxy_connect_timeout 1s;
} }",
    );
    let backend = backend.to_string();
    Some([
        haproxy.set("backend", &backend).start().await?,
        nginx.set("backend", &backend).start().await?,
    ])
}

#[tokio::test]
#[ignore = "needs haproxy and nginx; run by .ci/run"]
async fn gateways_of_a_dead_upstream() {
    let dead = RefusedPort::reserve().expect("a port");
    let Some([haproxy, nginx]) = gateways(dead.address()).await else {
        return;
    };
    ask_url(nginx.url("/"))
        .await
        .failed("http.error.502 first_byte fast remote with_backoff")
        .says("server", "nginx");
    // haproxy tells a refused connection as 503, since it could be sent to another server.
    ask_url(haproxy.url("/"))
        .await
        .failed("http.error.503 first_byte fast remote with_backoff");
}

#[tokio::test]
#[ignore = "needs haproxy and nginx; run by .ci/run"]
async fn gateways_of_an_upstream_that_hangs_up() {
    let empty = HttpServer::plain(Behaviour::Empty).await.expect("a port");
    let Some([haproxy, nginx]) = gateways(empty.address()).await else {
        return;
    };
    for gateway in [haproxy, nginx] {
        ask_url(gateway.url("/"))
            .await
            .failed("http.error.502 first_byte fast remote with_backoff")
            .evidence("status", 502);
    }
}

#[tokio::test]
#[ignore = "needs haproxy and nginx; run by .ci/run"]
async fn gateways_of_an_upstream_that_is_silent() {
    // The kernel takes connections and requests; nobody accepts them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let Some([haproxy, nginx]) = gateways(silent.local_addr().expect("bound")).await else {
        return;
    };
    for gateway in [haproxy, nginx] {
        let found = ask(Ask::new(gateway.url("/")).with("fast_below: 800ms")).await;
        found
            .failed("http.error.504 first_byte slow remote with_backoff")
            .evidence("status", 504);
        assert!(found.elapsed() >= 900.0, "their timeout, not ours");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn redirects_in_a_circle() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0};
  location = /a { return 302 /b; }
  location = /b { return 301 /a; }
  location = /self { return 307 /self; }
}"
    ));
    for path in ["/a", "/self"] {
        ask_url(server.url(path))
            .await
            .failed("http.response.redirect_loop first_byte fast config no")
            .says("location", path);
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn redirects_without_end() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0}; location ~ ^/deeper { return 302 $uri/deeper; } }"
    ));
    ask_url(server.url("/deeper"))
        .await
        .failed("http.response.too_many_redirects first_byte fast config no")
        .evidence("limit", 10);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_redirect_out_of_tls() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        nginx(
            "server {
  listen 127.0.0.1:{0} ssl; listen 127.0.0.1:{1};
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
  location / { return 301 http://127.0.0.1:{1}/plain; }
  location = /plain { return 200 ok; }
}"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    let asked = Ask::new(format!("https://{}/", server.address(0))).with(trust.key());
    ask(asked.clone())
        .await
        .failed("http.response.redirect_downgrade first_byte fast config no")
        .evidence("location", format!("http://{}/plain", server.address(1)));
    ask(asked.with("redirects: {allow_downgrade: true}"))
        .await
        .healthy();
}
