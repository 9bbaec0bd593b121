//! What looks odd and is well, as nginx, haproxy, squid and Python do it: it must stay `ok`, without a finding.

use serde_json::Value as Json;
use whyd::lab::certs::{Authority, CertSpec};

use crate::ask::{Ask, Diagnosis, ask, ask_all, ask_url};
use crate::identity::Trust;
use crate::need;
use crate::recipes::{dnsmasq, haproxy, named, nginx, python_http, s_server_files, squid, stunnel};
use crate::serve::{Recipe, Server};

/// The last hop of the only attempt.
fn hop(found: &Diagnosis) -> &Json {
    let hops = found.attempts()[0]["hops"].as_array().expect("hops");
    hops.last().expect("a hop")
}

/// nginx with TLS and that certificate, chain and key.
fn secure(chain: &str, key: &str, more: &str) -> Recipe {
    nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}} ssl http2; return 200 well; {more}
  ssl_certificate {{dir}}/cert.pem; ssl_certificate_key {{dir}}/key.pem; }}"
    ))
    .file("cert.pem", chain)
    .file("key.pem", key)
}

async fn trusting(server: &Server, host: &str, trust: &Trust, more: &str) -> Diagnosis {
    let url = format!("https://{host}:{}/", server.port(0));
    let ask_it = Ask::new(url)
        .with(trust.key_with(more))
        .with("resolve: {addresses: [127.0.0.1]}");
    ask(ask_it).await
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn slow_within_its_budget() {
    let silent = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; limit_rate 20000; }")
            .file("www/slow", "x".repeat(40_000))
    );
    // nginx sends a burst, then waits a second, and again.
    let found = ask(Ask::new(silent.url("/slow")).with("timeouts: {body: 3s, total: 8s}")).await;
    found.healthy();
    assert!(found.elapsed() >= 900.0, "{}", found.elapsed());
}

#[tokio::test]
#[ignore = "needs nginx and python3; run by .ci/run"]
async fn a_server_that_takes_its_time() {
    // A CGI script of Python's server thinks for a while before it answers.
    let server =
        need!(Recipe::new(
        "python3",
        &[
            "-u",
            "-m",
            "http.server",
            "--cgi",
            "{0}",
            "--bind",
            "127.0.0.1",
            "-d",
            "{dir}"
        ]
    )
    .program_file(
        "cgi-bin/slow.py",
        "#!/usr/bin/python3\nimport time\ntime.sleep(0.7)\nprint('Content-Type: text/plain\\n\\nwell')\n"
    ));
    let found = ask(Ask::new(server.url("/cgi-bin/slow.py")).with("expect: {body_contains: well}")).await;
    found.healthy();
    assert!(found.elapsed() >= 700.0, "{}", found.elapsed());
    assert_eq!(hop(&found)["protocol"], "HTTP/1.0");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn packed_and_in_chunks() {
    let page = "all is well. ".repeat(1_000);
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; gzip on; gzip_min_length 10; gzip_types *; }")
            .file("www/page", page)
    );
    let asked = Ask::new(server.url("/page")).with("expect: {body_contains: all is well}");
    let found = ask(asked.with("headers: {Accept-Encoding: gzip}")).await;
    found.healthy();
    assert_eq!(hop(&found)["response"]["content_encoding"], "gzip");
    assert!(hop(&found)["response"]["content_length"].is_null(), "in chunks");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn no_body_by_nature() {
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0}; root {dir}/www;
  location = /none { return 204; }
  location = /empty { return 200; }
  location = /reset { return 205; }
}"
        )
        .file("www/page", "x".repeat(5_000))
    );
    for path in ["/none", "/empty", "/reset"] {
        ask_url(server.url(path)).await.healthy();
    }
    let found = ask(Ask::new(server.url("/page")).with("method: HEAD")).await;
    found.healthy();
    assert_eq!(hop(&found)["response"]["content_length"], 5_000);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn nothing_new() {
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; if_modified_since before; }")
            .file("www/page", "well")
    );
    let asked = Ask::new(server.url("/page"))
        .with("headers: {If-Modified-Since: 'Fri, 31 Dec 2100 23:59:59 GMT'}")
        .with("expect: {status: 304}");
    ask(asked).await.healthy();
    // Part of a page, too.
    let asked = Ask::new(server.url("/page")).with("headers: {Range: 'bytes=1-2'}");
    ask(asked.with("expect: {status: 206, body_regex: '^el$'}"))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs nginx and python3; run by .ci/run"]
async fn connections_that_are_not_kept() {
    let server = need!(nginx(
        "keepalive_timeout 0; server { listen 127.0.0.1:{0}; location / { return 200 well; } }"
    ));
    let kept = Ask::new(server.url("/")).with("keepalive: {reuse: true}");
    let found = ask(kept).await;
    found.healthy();
    assert_eq!(hop(&found)["response"]["connection_close"], true);
    let old = need!(python_http().file("index.html", "well"));
    ask(Ask::new(old.url("/")).with("keepalive: {reuse: true}"))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs openssl; run by .ci/run"]
async fn bodies_that_end_with_the_connection() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(s_server_files()
        .file("cert.pem", &*issued.pem)
        .file("key.pem", &*issued.key_pem)
        .file("open", "HTTP/1.0 200 OK\r\n\r\nwell")
        .file("bare", "HTTP/1.1 200\r\nCONTENT-length:4\r\n\r\nwell")
        .file(
            "trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2;note=x\r\nwe\r\n2\r\nll\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        .file(
            "hints",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
        ));
    for name in ["open", "bare", "trailers", "hints"] {
        let url = format!("https://{}/{name}", server.address(0));
        ask(Ask::new(url)
            .with(trust.key())
            .with("expect: {body_regex: '^well$'}"))
        .await
        .healthy();
    }
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn answers_before_the_answer() {
    let server = need!(haproxy(
        "frontend f
  bind 127.0.0.1:{0}
  http-request early-hint Link '</style.css>; rel=preload'
  http-request return status 200 content-type text/plain string well"
    ));
    ask(Ask::new(server.url("/")).with("expect: {body_contains: well}"))
        .await
        .healthy();
    let nginx = need!(nginx(
        "server { listen 127.0.0.1:{0}; location / { proxy_pass http://127.0.0.1:{1}; } }
server { listen 127.0.0.1:{1}; return 200 well; }"
    ));
    let asked = Ask::new(nginx.url("/"))
        .with("method: POST")
        .with("body: hello")
        .with("headers: {Expect: 100-continue}");
    ask(asked).await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn large_heads_within_limits() {
    let headers: String = (0..30)
        .map(|number| format!("add_header X-{number} {};\n", "x".repeat(1_000)))
        .collect();
    let server = need!(nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}}; {headers} return 200 well; }}"
    )));
    ask_url(server.url("/")).await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn bodies_at_the_limit_and_beyond() {
    const LIMIT: usize = 65_536;
    let server = need!(
        nginx("server { listen 127.0.0.1:{0}; root {dir}/www; }")
            .file("www/below", "x".repeat(LIMIT - 1))
            .file("www/exactly", "x".repeat(LIMIT))
            .file("www/above", "x".repeat(LIMIT + 1))
            .file("www/far-above", "x".repeat(50 * LIMIT))
    );
    for name in ["below", "exactly", "above", "far-above"] {
        ask(Ask::new(server.url(&format!("/{name}"))).with("max_body: 64KiB"))
            .await
            .healthy();
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn redirects_that_arrive() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0};
  location = / { return 301 /a; }
  location = /a { return 302 /b?c=d; }
  location = /b { return 307 https://127.0.0.1:{1}/; }
}
server { listen 127.0.0.1:{1} ssl; return 200 well;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    let found = ask(Ask::new(server.url("/")).with(trust.key())).await;
    found.healthy();
    assert_eq!(found.attempts()[0]["hops"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn ipv6_alone() {
    let server = need!(nginx("server { listen [::1]:{0}; return 200 well; }"));
    ask_url(format!("http://[::1]:{}/", server.port(0)))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs nginx and bind9; run by .ci/run"]
async fn addresses_that_rotate() {
    let server = need!(nginx("server { listen {0}; return 200 well; }"));
    // Every address of 127.0.0.0/8 is this machine; BIND turns them round with every answer.
    let zone = "$TTL 0
@ IN SOA ns admin 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
www IN A 127.0.0.1
www IN A 127.0.0.2
www IN A 127.0.0.3
";
    let names = need!(
        named(
            "recursion no; rrset-order { order cyclic; };",
            "zone \"lab.example\" { type master; file \"{dir}/zone\"; };"
        )
        .file("zone", zone)
    );
    let asks: Vec<Ask> = (0..6)
        .map(|number| {
            Ask::new(format!("http://www.lab.example:{}/", server.port(0)))
                .named(&format!("n{number}"))
                .with(format!("resolve: {{servers: [\"{}\"]}}", names.address(0)))
        })
        .collect();
    for found in ask_all(&asks).await {
        found.healthy();
    }
}

#[tokio::test]
#[ignore = "needs nginx and dnsmasq; run by .ci/run"]
async fn a_name_that_stands_for_another() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 200 well; }"));
    let names = need!(dnsmasq(
        "host-record=real.lab.example,127.0.0.1\ncname=www.lab.example,real.lab.example\nlocal=/lab.example/"
    ));
    ask(Ask::new(format!("http://www.lab.example:{}/", server.port(0)))
        .with(format!("resolve: {{servers: [\"{}\"]}}", names.address(0))))
    .await
    .healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn certificates_of_every_good_kind() {
    let trust = Trust::new();
    let wildcard = CertSpec::named(["*.lab.example"]);
    let many = CertSpec::named(["a.example", "b.example", "www.lab.example", "10.0.0.1"]);
    let address = CertSpec::named(["127.0.0.1"]);
    let cases = [
        (wildcard, "www.lab.example"),
        (many, "www.lab.example"),
        (address, "127.0.0.1"),
    ];
    for (spec, host) in cases {
        let issued = trust.authority.issue(spec).expect("a certificate");
        let server = need!(secure(&issued.chain_pem, &issued.key_pem, ""));
        trusting(&server, host, &trust, "").await.healthy();
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn an_intermediate_that_is_served() {
    let trust = Trust::new();
    let below = trust
        .authority
        .intermediate("Lab Intermediate")
        .expect("an authority");
    let issued = below
        .issue(CertSpec::named(["127.0.0.1"]))
        .expect("a certificate");
    let server = need!(secure(&issued.chain_pem, &issued.key_pem, ""));
    trusting(&server, "127.0.0.1", &trust, "").await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_certificate_that_nobody_needs() {
    // It answers; that it could say less is a finding and no failure.
    let trust = Trust::new();
    let issued = trust.good();
    let stranger = Authority::new("Another Root").expect("an authority");
    let chain = format!("{}{}", issued.chain_pem, stranger.pem());
    let server = need!(secure(&chain, &issued.key_pem, ""));
    let found = trusting(&server, "127.0.0.1", &trust, "").await;
    found.finding("tls.chain.unneeded");
}

#[tokio::test]
#[ignore = "needs nginx, haproxy and stunnel; run by .ci/run"]
async fn one_version_of_tls_alone() {
    let trust = Trust::new();
    let issued = trust.good();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let server = need!(secure(
            &issued.chain_pem,
            &issued.key_pem,
            &format!("ssl_protocols {version};")
        ));
        let found = trusting(&server, "127.0.0.1", &trust, "").await;
        found.healthy();
        assert_eq!(hop(&found)["tls"]["version"], version);
    }
    let both = format!("{}{}", issued.chain_pem, issued.key_pem);
    let old = need!(
        haproxy(
            "frontend f\n bind 127.0.0.1:{0} ssl crt {dir}/both.pem ssl-max-ver TLSv1.2\n http-request return status 200"
        )
        .file("both.pem", both)
    );
    trusting(&old, "127.0.0.1", &trust, "").await.healthy();
    let plain = need!(nginx("server { listen 127.0.0.1:{0}; return 200 well; }"));
    let behind = need!(
        stunnel("sslVersionMax = TLSv1.2")
            .set("backend", plain.address(0))
            .file("cert.pem", &*issued.chain_pem)
            .file("key.pem", &*issued.key_pem)
    );
    trusting(&behind, "127.0.0.1", &trust, "").await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_client_certificate_that_is_given() {
    let trust = Trust::new();
    let issued = trust.good();
    let client = trust
        .authority
        .issue(CertSpec {
            usage: whyd::lab::certs::Usage::Client,
            ..CertSpec::named(["whyd"])
        })
        .expect("a certificate");
    let server = need!(
        secure(
            &issued.chain_pem,
            &issued.key_pem,
            "ssl_client_certificate {dir}/ca.pem; ssl_verify_client on;"
        )
        .file("ca.pem", trust.authority.pem())
    );
    let pem = format!("{}{}", client.chain_pem, client.key_pem);
    let file = trust.directory.write("client.pem", &pem);
    let more = format!(", client_cert: {}", file.display());
    trusting(&server, "127.0.0.1", &trust, &more).await.healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn http2_with_large_bodies_and_small_windows() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        secure(
            &issued.chain_pem,
            &issued.key_pem,
            "http2_chunk_size 1k; location /large { root {dir}/www; }"
        )
        .file("www/large", "x".repeat(900_000))
    );
    let url = format!("https://127.0.0.1:{}/", server.port(0));
    let found = ask(Ask::new(format!("{url}large")).with(trust.key())).await;
    found.healthy();
    assert_eq!(hop(&found)["protocol"], "HTTP/2");
}

#[tokio::test]
#[ignore = "needs squid, haproxy and nginx; run by .ci/run"]
async fn proxies_that_add_headers() {
    let trust = Trust::new();
    let issued = trust.good();
    let plain = need!(nginx("server { listen 127.0.0.1:{0}; return 200 well; }"));
    let tls = need!(secure(&issued.chain_pem, &issued.key_pem, ""));
    let proxy = need!(squid(
        "acl CONNECT method CONNECT\nhttp_access allow all\nforwarded_for on"
    ));
    let through = format!("proxy: 'http://{}'", proxy.address(0));
    let found = ask(Ask::new(plain.url("/")).with(through.clone())).await;
    found.healthy();
    assert!(
        hop(&found)["response"]["via"]
            .as_str()
            .is_some_and(|via| via.contains("squid")),
        "{}",
        found.pretty()
    );
    let url = format!("https://{}/", tls.address(0));
    ask(Ask::new(url).with(trust.key()).with(through)).await.healthy();
    let front = need!(
        haproxy(
            "listen l
  bind 127.0.0.1:{0}
  option forwardfor
  http-response set-header Via '1.1 edge'
  http-response add-header Set-Cookie a=b
  http-response add-header Set-Cookie c=d
  server one {backend}"
        )
        .set("backend", plain.address(0))
    );
    ask_url(front.url("/")).await.healthy();
}
