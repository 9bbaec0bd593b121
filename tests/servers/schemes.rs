//! One protocol spoken to a port of another: HTTP to TLS ports, TLS to ports of HTTP, mail and SSH, HTTP/1 to HTTP/2.

use crate::ask::{Ask, ask, ask_url};
use crate::identity::Trust;
use crate::need;
use crate::recipes::{haproxy, nginx, nginx_with, python_http, s_server, stunnel};

#[tokio::test]
#[ignore = "needs nginx, haproxy, openssl and stunnel; run by .ci/run"]
async fn plain_http_to_tls_ports() {
    let issued = Trust::new().good();
    let both = format!("{}{}", issued.chain_pem, issued.key_pem);
    let nginx = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    let haproxy = need!(
        haproxy("frontend f\n bind 127.0.0.1:{0} ssl crt {dir}/both.pem\n http-request return status 200")
            .file("both.pem", both)
    );
    let openssl = need!(
        s_server(&[])
            .file("cert.pem", &*issued.pem)
            .file("key.pem", &*issued.key_pem)
    );
    let stunnel = need!(
        stunnel("")
            .set("backend", "127.0.0.1:9")
            .file("cert.pem", &*issued.chain_pem)
            .file("key.pem", &*issued.key_pem)
    );
    for server in [&nginx, &haproxy, &openssl, &stunnel] {
        ask_url(server.url("/"))
            .await
            .failed("http.protocol.error.tls_peer first_byte fast config no")
            .confidence("confirmed")
            .fix("https://");
    }
}

#[tokio::test]
#[ignore = "needs nginx, haproxy and python3; run by .ci/run"]
async fn tls_to_plain_ports() {
    let nginx = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let haproxy = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0}\n http-request return status 200"
    ));
    let python = need!(python_http());
    for server in [&nginx, &haproxy, &python] {
        for scheme in ["https", "tls"] {
            ask_url(format!("{scheme}://{}", server.address(0)))
                .await
                .failed("tls.protocol.error.plaintext_peer tls fast config no")
                .evidence("peer_speaks", "HTTP");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx with its stream module; run by .ci/run"]
async fn tls_and_http_to_ports_that_greet() {
    // The stream module sends a text and closes. What it is asked meanwhile it does not read, so that its greeting may
    // be followed by a reset.
    let server = need!(nginx_with(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;",
        "}
stream {
  server { listen 127.0.0.1:{0}; preread_buffer_size 4k; ssl_preread on; return '220 mail.lab ESMTP ready\\r\\n'; }
  server { listen 127.0.0.1:{1}; ssl_preread on; return 'SSH-2.0-OpenSSH_9.9\\r\\n'; }"
    ));
    for (number, speaks) in [(0, "SMTP"), (1, "SSH")] {
        ask_url(format!("tls://{}", server.address(number)))
            .await
            .failed("tls.protocol.error.plaintext_peer tls fast config no")
            .evidence("peer_speaks", speaks);
    }
}

#[tokio::test]
#[ignore = "needs nginx, haproxy and python3; run by .ci/run"]
async fn one_version_of_http_to_the_other() {
    let nginx_1 = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let python = need!(python_http());
    for server in [&nginx_1, &python] {
        ask(Ask::new(server.url("/")).with("http_version: \"2\""))
            .await
            .failed("http.protocol.error.version first_byte fast config no")
            .evidence("peer_speaks", "HTTP");
    }
    let nginx_2 = need!(nginx("server { listen 127.0.0.1:{0} http2; return 200 ok; }"));
    let haproxy_2 = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0} proto h2\n http-request return status 200"
    ));
    // A haproxy that was told nothing knows the version by its first bytes.
    let both = need!(haproxy(
        "frontend f\n bind 127.0.0.1:{0}\n http-request return status 200"
    ));
    ask(Ask::new(both.url("/")).with("http_version: \"2\""))
        .await
        .healthy();
    for server in [&nginx_2, &haproxy_2] {
        ask(Ask::new(server.url("/")).with("http_version: \"2\""))
            .await
            .healthy();
    }
    ask_url(nginx_2.url("/"))
        .await
        .failed("http.protocol.error.version first_byte fast config no")
        .evidence("peer_speaks", "HTTP/2");
    // Told to speak nothing else, haproxy closes without a word, so that it looks like any server that does.
    ask_url(haproxy_2.url("/"))
        .await
        .failed("http.response.invalid.empty first_byte fast remote idempotent_only");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn http2_is_not_agreed_to() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    let asked = Ask::new(format!("https://{}/", server.address(0))).with(trust.key());
    ask(asked.with("http_version: \"2\""))
        .await
        .failed("tls.alpn_mismatch tls fast config no");
}
