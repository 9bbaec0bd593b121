//! The lab that the collectors run real clients against (`tests/client_errors/collect/`). It is no test: it starts the
//! servers, writes their ports and certificates into the directory that `WHYD_CLIENT_LAB` names, and ends when the file
//! `stop` appears there.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use whyd::lab::Server;
use whyd::lab::certs::{Authority, CertSpec, Issued, Usage, self_signed};
use whyd::lab::dns::{self, DnsLab, Reply};
use whyd::lab::h2::{self, H2Behaviour, Reason};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::proxy::{self, ProxyBehaviour};
use whyd::lab::tcp::{self, FullBacklog, RefusedPort, Scripts, Step};
use whyd::lab::tls::{ServerTls, TlsOptions, TlsVersions};

/// The name in the certificates.
const NAME: &str = "api.lab.test";

/// What runs, kept until the end, and the port of each by the fault's name.
#[derive(Default)]
struct Lab {
    ports: BTreeMap<String, u16>,
    http: Vec<HttpServer>,
    servers: Vec<Server>,
}

impl Lab {
    fn port(&mut self, name: &str, address: SocketAddr) {
        self.ports.insert(name.to_owned(), address.port());
    }

    async fn answer(&mut self, name: &str, behaviour: Behaviour) {
        let server = HttpServer::plain(behaviour).await.expect("a port");
        self.port(name, server.address());
        self.http.push(server);
    }

    async fn secure(&mut self, name: &str, chain: &str, key: &str, options: TlsOptions<'_>) {
        self.secure_with(
            name,
            ServerTls::new(chain, key, options).expect("a certificate"),
            true,
        )
        .await;
    }

    async fn secure_with(&mut self, name: &str, tls: ServerTls, explain_plain_http: bool) {
        let options = HttpOptions {
            tls: Some(tls),
            explain_plain_http,
            idle: None,
        };
        let server = HttpServer::start(Behaviour::ok(), options).await.expect("a port");
        self.port(name, server.address());
        self.http.push(server);
    }

    async fn script(&mut self, name: &str, steps: Vec<Step>) {
        let server = tcp::start(Scripts::always(steps)).await.expect("a port");
        self.keep(name, server);
    }

    fn keep(&mut self, name: &str, server: Server) {
        self.port(name, server.address());
        self.servers.push(server);
    }
}

#[test]
#[ignore = "no test: the lab for tests/client_errors/collect, which needs WHYD_CLIENT_LAB to name a directory"]
fn lab_for_the_collectors() {
    let Some(directory) = std::env::var_os("WHYD_CLIENT_LAB").map(PathBuf::from) else {
        println!("WHYD_CLIENT_LAB names no directory: nothing is collected");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(&directory));
}

async fn run(directory: &Path) {
    let mut lab = Lab::default();
    answering(&mut lab).await;
    scripted(&mut lab).await;
    secured(&mut lab, directory).await;
    for (name, behaviour) in [
        ("proxy-relay", ProxyBehaviour::Relay),
        ("proxy-auth", ProxyBehaviour::auth_required()),
        ("proxy-denied", ProxyBehaviour::denied()),
        ("proxy-upstream", ProxyBehaviour::upstream_failed()),
        ("proxy-silent", ProxyBehaviour::Silent),
    ] {
        let server = proxy::start(behaviour).await.expect("a port");
        lab.keep(name, server);
    }
    let refused = RefusedPort::reserve().expect("a port");
    lab.port("refused", refused.address());
    let full = FullBacklog::start().await.expect("a full queue");
    lab.port("full", full.address());
    let nameserver = nameserver().await;
    lab.port("dns", nameserver.address());

    let ports = serde_json::to_string_pretty(&lab.ports).expect("JSON");
    fs::write(directory.join("ports.json"), ports).expect("a writable directory");
    while !directory.join("stop").exists() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn nameserver() -> DnsLab {
    let here = || Reply::a([127, 0, 0, 1]);
    dns::start([
        (NAME, here()),
        ("proxy.lab.test", here()),
        ("filtered.lab.test", Reply::a([127, 0, 0, 66])),
        ("rejecting.lab.test", Reply::a([127, 0, 0, 67])),
        ("nodata.lab.test", Reply::NoData),
        ("servfail.lab.test", Reply::Servfail { extended: None }),
        ("denied.lab.test", Reply::Refused),
        ("silent.lab.test", Reply::Silent),
    ])
    .await
    .expect("a port")
}

async fn answering(lab: &mut Lab) {
    let stall = Behaviour::BodyStall { sent: 400 };
    let truncated = Behaviour::Truncated {
        content_length: 1000,
        sent: 400,
    };
    for (name, behaviour) in [
        ("ok", Behaviour::ok()),
        ("empty", Behaviour::Empty),
        ("malformed", Behaviour::Malformed),
        ("truncated", truncated),
        ("short-chunked", Behaviour::ShortChunked),
        ("broken-gzip", Behaviour::BrokenGzip),
        ("huge-headers", Behaviour::HugeHeaders { bytes: 2_000_000 }),
        ("truncated-head", Behaviour::TruncatedHead),
        ("redirect-loop", Behaviour::RedirectLoop),
        ("redirect-chain", Behaviour::RedirectChain { hops: 200 }),
        ("body-stall", stall),
        ("silent", Behaviour::Silent),
        ("mid-reset", Behaviour::ResetMidResponse { sent: 400 }),
    ] {
        lab.answer(name, behaviour).await;
    }
    for status in [400, 401, 403, 404, 429, 500, 502, 503, 504, 507] {
        lab.answer(&format!("status-{status}"), Behaviour::status(status))
            .await;
    }
}

async fn scripted(lab: &mut Lab) {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n";
    let then = |end: Step| vec![Step::ReadHead, Step::text(ok), Step::ReadHead, end];
    lab.script("reset", vec![Step::ReadHead, Step::Reset]).await;
    lab.script("stale-reset", then(Step::Reset)).await;
    lab.script("stale-closed", then(Step::Close)).await;
    lab.script(
        "tls-closed",
        vec![Step::ReadBytes(5), Step::Fin, Step::WaitForClose],
    )
    .await;
    lab.script("tls-reset", vec![Step::ReadBytes(5), Step::Reset])
        .await;
    lab.script("tls-silent", vec![Step::WaitForClose]).await;
    // RFC 8446, section 6: a fatal internal_error (80).
    let alert = vec![0x15, 3, 3, 0, 2, 2, 80];
    lab.script(
        "tls-alert",
        vec![Step::ReadBytes(5), Step::Write(alert), Step::WaitForClose],
    )
    .await;
    lab.script(
        "ssh",
        vec![Step::text("SSH-2.0-OpenSSH_9.2p1\r\n"), Step::WaitForClose],
    )
    .await;
    // HTTP/2's SETTINGS and a GOAWAY: what an HTTP/2 server with prior knowledge says to HTTP/1.
    let settings = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec();
    lab.script(
        "h2-only",
        vec![Step::ReadHead, Step::Write(settings), Step::Close],
    )
    .await;
}

async fn secured(lab: &mut Lab, directory: &Path) {
    let root = Authority::new("lab root").expect("a key");
    let stranger = Authority::new("somebody else's root").expect("a key");
    let middle = root.intermediate("lab intermediate").expect("a key");
    fs::write(directory.join("ca.pem"), root.pem()).expect("a writable directory");
    let good = || CertSpec::named([NAME]);
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let issue = |spec: CertSpec| middle.issue(spec).expect("a certificate");
    let plain = TlsOptions::default();

    let sound = issue(good());
    let foreign = stranger.issue(good()).expect("a certificate");
    let own = self_signed(good()).expect("a certificate");
    let authority = CertSpec {
        is_ca: true,
        ..good()
    };
    let for_clients = CertSpec {
        usage: Usage::Client,
        ..good()
    };
    let with_root = format!("{}{}", foreign.chain_pem, stranger.pem());
    let chains: [(&str, String, Issued); 9] = with_chain([
        ("tls", issue(good())),
        ("expired", issue(good().expired(days(3)))),
        ("not-yet-valid", issue(good().not_before(days(2)))),
        ("wrong-name", issue(CertSpec::named(["other.lab.test"]))),
        ("unknown-root-bare", foreign.clone()),
        ("self-signed", own),
        ("ca-as-leaf", self_signed(authority).expect("a certificate")),
        ("wrong-purpose", issue(for_clients)),
        ("bad-signature", issue(good())),
    ]);
    for (name, mut chain, issued) in chains {
        if name == "bad-signature" {
            chain = format!("{}{}", spoilt(&issued), after_leaf(&chain));
        }
        lab.secure(name, &chain, &issued.key_pem, plain).await;
    }
    lab.secure("unknown-root", &with_root, &foreign.key_pem, plain)
        .await;
    lab.secure("missing-intermediate", &sound.pem, &sound.key_pem, plain)
        .await;
    let tls = ServerTls::new(&sound.chain_pem, &sound.key_pem, plain).expect("a certificate");
    lab.secure_with("tls-unexplained", tls, false).await;
    for (name, versions) in [("mtls-12", TlsVersions::Tls12), ("mtls-13", TlsVersions::Tls13)] {
        let options = TlsOptions {
            versions,
            client_authorities: Some(root.pem()),
            ..plain
        };
        lab.secure(name, &sound.chain_pem, &sound.key_pem, options).await;
    }
    streams(lab, &sound).await;
    fs::write(directory.join("key.pem"), &sound.key_pem).expect("a writable directory");
    fs::write(directory.join("chain.pem"), &sound.chain_pem).expect("a writable directory");
    fs::write(directory.join("stranger-key.pem"), &foreign.key_pem).expect("a writable directory");
    fs::write(directory.join("stranger.pem"), &foreign.chain_pem).expect("a writable directory");
}

fn with_chain<const N: usize>(all: [(&'static str, Issued); N]) -> [(&'static str, String, Issued); N] {
    all.map(|(name, issued)| (name, issued.chain_pem.clone(), issued))
}

/// The leaf with the last byte of its signature changed.
fn spoilt(issued: &Issued) -> String {
    use base64::Engine as _;
    let mut der = issued.der.to_vec();
    if let Some(last) = der.last_mut() {
        *last ^= 1;
    }
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64"))
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

fn after_leaf(chain: &str) -> &str {
    let end = "-----END CERTIFICATE-----";
    chain
        .find(end)
        .map_or("", |at| chain[at + end.len()..].trim_start())
}

async fn streams(lab: &mut Lab, sound: &Issued) {
    let going = |reason| H2Behaviour::GoAway {
        reason,
        processed: true,
    };
    let reset = |reason| H2Behaviour::ResetStream { reason };
    for (name, behaviour) in [
        ("h2-goaway", going(Reason::INTERNAL_ERROR)),
        ("h2-calm", going(Reason::ENHANCE_YOUR_CALM)),
        ("h2-refused", reset(Reason::REFUSED_STREAM)),
        ("h2-reset", reset(Reason::INTERNAL_ERROR)),
    ] {
        let options = TlsOptions {
            alpn: &["h2"],
            ..TlsOptions::default()
        };
        let tls = ServerTls::new(&sound.chain_pem, &sound.key_pem, options).expect("a certificate");
        let server = h2::start(behaviour.clone(), Some(tls)).await.expect("a port");
        lab.keep(name, server);
        let server = h2::start(behaviour, None).await.expect("a port");
        lab.keep(&format!("{name}-plain"), server);
    }
}
