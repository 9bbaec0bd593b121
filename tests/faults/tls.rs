//! TLS handshakes that fail for other reasons than the server's certificate, and ports that speak something else.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use whyd::lab::certs::{Authority, CertSpec, Usage};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::tcp::{self, Scripts, Step};
use whyd::lab::tls::{TlsOptions, TlsVersions};

use crate::ask::{Ask, Diagnosis, ask, ask_url};
use crate::binary::check;
use crate::identity::{Trust, https, https_with, server_tls, trusting};

/// Asks `tls://` of a server that runs this script.
async fn shaking(script: Vec<Step>) -> Diagnosis {
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask(Ask::new(format!("tls://{}", server.address())).with("timeouts: {tls: 1s}")).await
}

/// A fatal alert in answer to the ClientHello, and the end.
fn alert(number: u8) -> Vec<Step> {
    vec![
        Step::ReadBytes(5),
        Step::Write(vec![21, 3, 3, 0, 2, 2, number]),
        Step::Fin,
        Step::WaitForClose,
    ]
}

#[tokio::test]
async fn plain_http_on_a_tls_port() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let said = check(&["--retries", "0", &format!("https://{}/", server.address())]).await;
    said.one(1)
        .failed("tls.protocol.error.plaintext_peer tls fast config no")
        .evidence("peer_speaks", "HTTP")
        .fix("http://");
}

#[tokio::test]
async fn other_protocols_on_a_tls_port() {
    for (greeting, name) in [
        ("SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        ("220 mail.lab.test ESMTP Postfix\r\n", "SMTP"),
        ("-ERR unknown command\r\n", "Redis"),
        ("* OK [CAPABILITY IMAP4rev1] ready\r\n", "IMAP"),
    ] {
        let script = vec![Step::text(greeting), Step::WaitForClose];
        shaking(script)
            .await
            .failed("tls.protocol.error.plaintext_peer tls fast config no")
            .evidence("peer_speaks", name)
            .says("first_bytes", greeting[..6].trim_end())
            .fix(name);
    }
}

#[tokio::test]
async fn a_tls_port_that_explains_itself_in_plain_words() {
    let trust = Trust::new();
    let options = HttpOptions {
        tls: Some(server_tls(&trust.good(), TlsOptions::default())),
        explain_plain_http: true,
        ..HttpOptions::default()
    };
    let server = HttpServer::start(Behaviour::ok(), options).await.expect("a port");
    ask_url(format!("http://{}/", server.address()))
        .await
        .failed("http.protocol.error.tls_peer first_byte fast config no")
        .evidence("status", 400)
        .evidence("spoke_tls", true)
        .confidence("confirmed")
        .fix("https://");
}

#[tokio::test]
async fn a_tls_port_that_answers_plain_http_with_an_alert() {
    let trust = Trust::new();
    let server = https(&trust.good()).await;
    let said = check(&["--retries", "0", &format!("http://{}/", server.address())]).await;
    said.one(1)
        .failed("http.protocol.error.tls_peer first_byte fast config no")
        .evidence("peer_speaks", "TLS")
        .confidence("confirmed");
}

#[tokio::test]
async fn a_tls_port_that_ends_plain_http_without_a_word() {
    for end in [Step::Close, Step::Reset] {
        let scripts = vec![vec![Step::ReadHead, end], alert(40)];
        let server = tcp::start(Scripts::then_last(scripts)).await.expect("a port");
        ask_url(format!("http://{}/", server.address()))
            .await
            .failed("http.protocol.error.tls_peer first_byte fast config no")
            .evidence("spoke_tls", true)
            .confidence("confirmed")
            .says("first_taken_for", ".");
    }
}

#[tokio::test]
async fn a_plain_server_that_takes_a_client_hello_for_the_beginning_of_a_request() {
    // It waits for an empty line, which no ClientHello has.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("https://{}/private", server.local_addr().expect("an address"));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = server.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match peer.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            if head.ends_with(b"\r\n\r\n") {
                kept.lock()
                    .expect("not poisoned")
                    .push(String::from_utf8_lossy(&head).into_owned());
                let _ = peer.write_all(&answer).await;
            }
        }
    });
    let asked = ["--deep", "--retries", "0", "--tls-timeout", "500ms", &url];
    check(&asked)
        .await
        .one(1)
        .failed("tls.protocol.error.plaintext_peer tls slow config no")
        .evidence("looked_like", "tls.timed_out")
        .confidence("confirmed")
        .fix("ask for http://");
    let heads = heads.lock().expect("not poisoned");
    assert!(
        heads.len() == 1 && heads[0].starts_with("GET / HTTP/1.1"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn an_alert_record_and_a_reset_after_it() {
    let script = vec![
        Step::ReadHead,
        Step::Write(vec![21, 3, 1, 0, 2, 2, 10]),
        Step::Reset,
    ];
    let server = tcp::start(Scripts::then_last(vec![script, alert(40)]))
        .await
        .expect("a port");
    ask_url(format!("http://{}/", server.address()))
        .await
        .failed("http.protocol.error.tls_peer first_byte fast config no");
}

#[tokio::test]
async fn alerts_have_their_names() {
    for (number, facts, name) in [
        (
            40,
            "tls.version_or_cipher_mismatch tls fast config no",
            "handshake_failure",
        ),
        (
            70,
            "tls.version_or_cipher_mismatch tls fast config no",
            "protocol_version",
        ),
        (
            71,
            "tls.version_or_cipher_mismatch tls fast config no",
            "insufficient_security",
        ),
        (
            112,
            "tls.unrecognized_name_alert tls fast config no",
            "unrecognized_name",
        ),
        (
            120,
            "tls.alpn_mismatch tls fast config no",
            "no_application_protocol",
        ),
        (
            116,
            "tls.bad_client_auth_cert.required tls fast config no",
            "certificate_required",
        ),
        (80, "tls.alert tls fast remote idempotent_only", "internal_error"),
        (50, "tls.alert tls fast remote idempotent_only", "decode_error"),
        (
            47,
            "tls.alert tls fast remote idempotent_only",
            "illegal_parameter",
        ),
    ] {
        shaking(alert(number))
            .await
            .failed(facts)
            .evidence("alert", number)
            .evidence("alert_name", name);
    }
}

#[tokio::test]
async fn versions_without_overlap() {
    let trust = Trust::new();
    let only_12 = TlsOptions {
        versions: TlsVersions::Tls12,
        ..TlsOptions::default()
    };
    let server = https_with(Behaviour::ok(), server_tls(&trust.good(), only_12)).await;
    let strict = trust.key_with(", min_version: \"1.3\"");
    ask(Ask::new(format!("https://{}/", server.address())).with(strict))
        .await
        .failed("tls.version_or_cipher_mismatch tls fast config no")
        .evidence("alert_name", "protocol_version");
    ask(trusting(&trust, &server)).await.healthy();
}

#[tokio::test]
async fn a_version_that_we_refuse() {
    // A ServerHello that chooses TLS 1.0 and TLS_RSA_WITH_AES_128_CBC_SHA, without extensions.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    shaking(vec![Step::ReadBytes(5), Step::Write(hello), Step::WaitForClose])
        .await
        .failed("tls.version_or_cipher_mismatch tls fast config no")
        .evidence("refused_by", "us")
        .fix("TLS 1.2");
}

#[tokio::test]
async fn silence_after_the_client_hello() {
    let server = tcp::start(Scripts::always(vec![Step::WaitForClose]))
        .await
        .expect("a port");
    let url = format!("tls://{}", server.address());
    let found = ask(Ask::new(&url).with("timeouts: {tls: 300ms}")).await;
    found
        .failed("tls.timed_out tls slow remote yes")
        .evidence("budget", "phase")
        .evidence("client_hello_acknowledged", true);
    assert!(found.number("waited") >= 0.3);
    ask(Ask::new(url).with("timeouts: {total: 300ms}"))
        .await
        .failed("tls.timed_out tls slow remote yes")
        .evidence("budget", "total");
}

#[tokio::test]
async fn the_end_within_the_handshake() {
    let reading = || Step::ReadBytes(5);
    shaking(vec![reading(), Step::Fin, Step::WaitForClose])
        .await
        .failed("tls.closed tls fast remote idempotent_only");
    shaking(vec![reading(), Step::Reset])
        .await
        .failed("tls.reset tls fast remote idempotent_only")
        .evidence("errno", "ECONNRESET");
}

#[tokio::test]
async fn the_end_after_the_handshake() {
    let trust = Trust::new();
    let over_tls = |script| {
        let tls = server_tls(&trust.good(), TlsOptions::default());
        tcp::start(Scripts::always(script).over_tls(tls))
    };
    for (end, facts) in [
        (
            Step::Close,
            "http.response.invalid.empty first_byte fast remote idempotent_only",
        ),
        (Step::Reset, "tcp.reset.after_accept first_byte fast remote yes"),
    ] {
        let server = over_tls(vec![Step::ReadHead, end]).await.expect("a port");
        ask(Ask::new(format!("https://{}/", server.address())).with(trust.key()))
            .await
            .failed(facts);
    }
}

#[tokio::test]
async fn protocols_of_the_application_without_overlap() {
    let trust = Trust::new();
    let only_http1 = TlsOptions {
        alpn: &["http/1.1"],
        ..TlsOptions::default()
    };
    let server = https_with(Behaviour::ok(), server_tls(&trust.good(), only_http1)).await;
    ask(Ask::new(format!("tls://{}", server.address())).with(trust.key_with(", alpn: [h2]")))
        .await
        .failed("tls.alpn_mismatch tls fast config no")
        .evidence("alert", 120);
}

const VERSIONS: [TlsVersions; 2] = [TlsVersions::Tls12, TlsVersions::Tls13];

/// An HTTPS server of that version that wants a client certificate of that authority.
async fn wanting_clients(trust: &Trust, versions: TlsVersions) -> HttpServer {
    let options = TlsOptions {
        versions,
        client_authorities: Some(trust.authority.pem()),
        ..TlsOptions::default()
    };
    https_with(Behaviour::ok(), server_tls(&trust.good(), options)).await
}

/// The YAML key that trusts the lab and shows a client certificate of that authority.
fn with_client_cert(trust: &Trust, authority: &Authority) -> String {
    let spec = CertSpec {
        usage: Usage::Client,
        ..CertSpec::named(["client.lab.test"])
    };
    let issued = authority.issue(spec).expect("a certificate");
    let pem = format!("{}{}", issued.chain_pem, issued.key_pem);
    let file = trust.directory.write("client.pem", &pem);
    trust.key_with(&format!(", client_cert: {}", file.display()))
}

#[tokio::test]
async fn a_client_certificate_is_required() {
    let trust = Trust::new();
    for versions in VERSIONS {
        let server = wanting_clients(&trust, versions).await;
        for scheme in ["https", "tls"] {
            let url = format!("{scheme}://{}", server.address());
            ask(Ask::new(url).with(trust.key()))
                .await
                .failed("tls.bad_client_auth_cert.required tls fast config no")
                .fix("client certificate");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_required_said_by_the_binary() {
    let trust = Trust::new();
    let server = wanting_clients(&trust, TlsVersions::Tls13).await;
    let url = format!("https://{}/", server.address());
    let said = check(&["--retries", "0", "--ca", &trust.file(), &url]).await;
    said.one(1)
        .failed("tls.bad_client_auth_cert.required tls fast config no")
        .evidence("alert", 116);
}

#[tokio::test]
async fn a_client_certificate_is_rejected() {
    let trust = Trust::new();
    let stranger = Authority::new("Stranger").expect("an authority");
    let key = with_client_cert(&trust, &stranger);
    for versions in VERSIONS {
        let server = wanting_clients(&trust, versions).await;
        for scheme in ["https", "tls"] {
            let url = format!("{scheme}://{}", server.address());
            ask(Ask::new(url).with(&*key))
                .await
                .failed("tls.bad_client_auth_cert.rejected tls fast config no")
                .evidence("alert_name", "unknown_ca");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_accepted() {
    let trust = Trust::new();
    let key = with_client_cert(&trust, &trust.authority);
    for versions in VERSIONS {
        let server = wanting_clients(&trust, versions).await;
        for scheme in ["https", "tls"] {
            let url = format!("{scheme}://{}", server.address());
            ask(Ask::new(url).with(&*key)).await.healthy();
        }
    }
}
