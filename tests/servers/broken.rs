//! Answers that are broken: cut off behind nginx and haproxy, mislabelled by nginx, written by hand into a file that
//! `openssl s_server -HTTP` sends as it is.

use whyd::lab::http::{Behaviour, HttpServer};

use crate::ask::{Ask, Diagnosis, ask, ask_url};
use crate::identity::Trust;
use crate::need;
use crate::recipes::{haproxy, nginx, s_server_files};
use crate::serve::Server;

/// nginx and haproxy in front of a server that behaves so; nginx does not wait for the whole answer.
async fn behind(behaviour: Behaviour) -> Option<(HttpServer, [Server; 2])> {
    let backend = HttpServer::plain(behaviour).await.expect("a port");
    let nginx = nginx(
        "server { listen 127.0.0.1:{0}; location / {
  proxy_pass http://{backend}; proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection '';
} }",
    );
    let haproxy = haproxy("listen l\n bind 127.0.0.1:{0}\n server one {backend}");
    let servers = [
        nginx.set("backend", backend.address()).start().await?,
        haproxy.set("backend", backend.address()).start().await?,
    ];
    Some((backend, servers))
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn a_body_cut_off_behind_a_gateway() {
    let behaviour = Behaviour::Truncated {
        content_length: 1_000,
        sent: 400,
    };
    let Some((_backend, servers)) = behind(behaviour).await else {
        return;
    };
    for server in servers {
        ask_url(server.url("/"))
            .await
            .failed("http.response.invalid.content_length_mismatch body fast remote idempotent_only")
            .evidence("expected_bytes", 1_000)
            .evidence("got_bytes", 400)
            .evidence("status", 200);
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn chunks_cut_off_behind_a_gateway() {
    let Some((_backend, servers)) = behind(Behaviour::ShortChunked).await else {
        return;
    };
    for server in servers {
        ask_url(server.url("/"))
            .await
            .failed("http.response.invalid.incomplete_chunked_encoding body fast remote idempotent_only");
    }
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn a_body_that_stops_behind_a_gateway() {
    let Some((_backend, servers)) = behind(Behaviour::BodyStall { sent: 100 }).await else {
        return;
    };
    for server in servers {
        ask(Ask::new(server.url("/")).with("timeouts: {body: 500ms}"))
            .await
            .failed("http.timed_out.body_stall body slow remote idempotent_only")
            .evidence("body_bytes", 100)
            .evidence("status", 200);
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_connection_closed_without_an_answer() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 444; }"));
    ask_url(server.url("/"))
        .await
        .failed("http.response.invalid.empty first_byte fast remote idempotent_only")
        .evidence("received_bytes", 0)
        .evidence("spoke_tls", false);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_coding_that_is_none() {
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0}; root {dir}/www; gzip_static always;
  location /brotli { add_header Content-Encoding br; return 200 'not brotli at all'; }
}"
        )
        .file("www/page.gz", "this was never packed")
    );
    for (path, coding) in [("/page", "gzip"), ("/brotli", "br")] {
        ask_url(server.url(path))
            .await
            .failed("http.response.invalid.decoding_failed body fast remote no")
            .evidence("content_encoding", coding)
            .evidence("status", 200);
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_head_that_is_too_large() {
    let filler = "x".repeat(3_000);
    let headers: String = (0..400)
        .map(|number| format!("add_header X-{number} {filler};\n"))
        .collect();
    let server = need!(nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}}; {headers} return 200 ok; }}"
    )));
    ask_url(server.url("/"))
        .await
        .failed("http.response.headers.too_large first_byte fast remote no");
}

/// Asks `openssl s_server -HTTP` for a file that holds the whole answer.
async fn answer_in_a_file(answer: &str) -> Option<Diagnosis> {
    let trust = Trust::new();
    let issued = trust.good();
    let server = s_server_files()
        .file("cert.pem", &*issued.pem)
        .file("key.pem", &*issued.key_pem)
        .file("answer", answer)
        .start()
        .await?;
    let url = format!("https://{}/answer", server.address(0));
    Some(ask(Ask::new(url).with(trust.key())).await)
}

#[tokio::test]
#[ignore = "needs openssl; run by .ci/run"]
async fn answers_written_by_hand() {
    for (answer, facts) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Ty",
            "http.response.headers.truncated first_byte fast remote no",
        ),
        (
            "hello, this is no status line\r\n\r\n",
            "http.response.invalid.malformed first_byte fast remote no",
        ),
        (
            "HTTP/1.1 200 OK\r\nno colon in this line\r\n\r\n",
            "http.response.invalid.malformed first_byte fast remote no",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nok",
            "http.response.invalid.malformed first_byte fast remote no",
        ),
        (
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
            "http.response.invalid.malformed first_byte fast remote no",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nforty",
            "http.response.invalid.content_length_mismatch body fast remote idempotent_only",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
            "http.response.invalid.incomplete_chunked_encoding body fast remote idempotent_only",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
            "http.protocol.error body fast remote no",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
            "http.response.invalid.decoding_failed body fast remote no",
        ),
        (
            "",
            "http.response.invalid.empty first_byte fast remote idempotent_only",
        ),
    ] {
        let Some(found) = answer_in_a_file(answer).await else {
            return;
        };
        found.failed(facts);
    }
}
