//! Certificates that nginx, haproxy and OpenSSL serve without a word, and handshakes that they end.

use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use whyd::lab::certs::{self, Authority, CertSpec, Issued, Usage, set_validity};

use crate::ask::{Ask, Diagnosis, ask};
use crate::harness::eventually;
use crate::identity::{Trust, here};
use crate::need;
use crate::recipes::{haproxy, nginx, s_server};
use crate::serve::{Server, find};

const DAY: Duration = Duration::from_secs(86_400);

/// nginx with that chain.
async fn presents(issued: &Issued) -> Option<Server> {
    nginx(
        "server { listen 127.0.0.1:{0} ssl; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }",
    )
    .file("cert.pem", &*issued.chain_pem)
    .file("key.pem", &*issued.key_pem)
    .start()
    .await
}

fn trusting(server: &Server, trust: &Trust) -> Ask {
    Ask::new(format!("https://{}/", server.address(0))).with(trust.key())
}

/// What is said of each of these, served by nginx.
async fn told(trust: &Trust, cases: Vec<(Issued, &str)>) -> Vec<Diagnosis> {
    let mut all = Vec::new();
    for (issued, cause) in cases {
        let Some(server) = presents(&issued).await else {
            return all;
        };
        let found = ask(trusting(&server, trust)).await;
        found.failed(&format!("{cause} tls fast config no"));
        all.push(found);
    }
    all
}

fn issue(authority: &Authority, spec: CertSpec) -> Issued {
    authority.issue(spec).expect("a certificate")
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn dates_and_names() {
    let trust = Trust::new();
    let now = SystemTime::now();
    let old = trust.authority.intermediate_with("Old Intermediate", |params| {
        set_validity(params, now - 100 * DAY, now - 10 * DAY);
    });
    let by_old = issue(&old.expect("an intermediate"), here());
    let elsewhere = CertSpec::named(["shop.lab.example", "www.lab.example"]);
    let cases = vec![
        (
            issue(&trust.authority, here().expired(3 * DAY)),
            "tls.cert.date_invalid.expired",
        ),
        (by_old, "tls.cert.date_invalid.expired"),
        (
            issue(&trust.authority, here().not_before(2 * DAY)),
            "tls.cert.date_invalid.not_yet_valid",
        ),
        (issue(&trust.authority, elsewhere), "tls.cert.name_invalid"),
    ];
    let found = told(&trust, cases).await;
    let [leaf, above, early, name] = found.as_slice() else {
        return;
    };
    leaf.evidence("chain_position", 0).fix("expired 3 days ago");
    above
        .evidence("chain_position", 1)
        .says("subject", "Old Intermediate");
    early.evidence("chain_position", 0);
    name.evidence("name_asked", "127.0.0.1")
        .says("names_presented", "shop.lab.example");
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn authorities() {
    let trust = Trust::new();
    let other = Authority::new("Other Root").expect("an authority");
    let middle = other.intermediate("Other Middle").expect("an intermediate");
    let ours = trust.authority.intermediate("Middle").expect("an intermediate");
    let incomplete = issue(&ours, here());
    let incomplete = Issued {
        chain_pem: incomplete.pem.clone(),
        ..incomplete
    };
    let cases = vec![
        (issue(&middle, here()), "tls.cert.authority_invalid.unknown_root"),
        (
            certs::self_signed(here()).expect("a certificate"),
            "tls.cert.authority_invalid.self_signed",
        ),
        (incomplete, "tls.cert.authority_invalid.missing_intermediate"),
    ];
    let found = told(&trust, cases).await;
    let [unknown, itself, _missing] = found.as_slice() else {
        return;
    };
    unknown.says("issuer", "Other Root");
    itself.evidence("chain_position", 0);
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn certificates_that_are_not_right_in_themselves() {
    let trust = Trust::new();
    let as_ca = CertSpec {
        is_ca: true,
        ..here()
    };
    let for_clients = CertSpec {
        usage: Usage::Client,
        ..here()
    };
    let good = trust.good();
    let mut der = good.der.to_vec();
    *der.last_mut().expect("bytes") ^= 1;
    let text = STANDARD.encode(&der);
    let broken = Issued {
        chain_pem: format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"),
        ..good
    };
    let cases = vec![
        (issue(&trust.authority, as_ca), "tls.cert.invalid.ca_as_leaf"),
        (issue(&trust.authority, for_clients), "tls.cert.invalid.purpose"),
        (broken, "tls.cert.invalid.bad_signature"),
    ];
    told(&trust, cases).await;
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn about_to_expire() {
    let trust = Trust::new();
    let now = SystemTime::now();
    let soon = CertSpec {
        not_before: Some(now - 80 * DAY),
        not_after: Some(now + 3 * DAY),
        ..here()
    };
    let Some(server) = presents(&issue(&trust.authority, soon)).await else {
        return;
    };
    ask(trusting(&server, &trust)).await.finding("tls.cert.expiring");
}

#[tokio::test]
#[ignore = "needs openssl; run by .ci/run"]
async fn signed_over_a_weak_digest() {
    let Some(openssl) = find("openssl") else { return };
    let trust = Trust::new();
    let path = |name: &str| trust.directory.path().join(name).display().to_string();
    let run = |arguments: &str| {
        let mut command = Command::new(&openssl);
        command.current_dir(trust.directory.path());
        let made = command.args(arguments.split(' ')).output().expect("openssl runs");
        assert!(made.status.success(), "{arguments}: {made:?}");
    };
    trust.directory.write(
        "san",
        "subjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n",
    );
    run("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out ca.pem -subj /CN=Lab -days 30");
    run("req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    run("x509 -req -sha1 -in leaf.csr -CA ca.pem -CAkey root.key -out leaf.pem -days 30 -extfile san");
    let read = |name: &str| std::fs::read_to_string(path(name)).expect("openssl made it");
    // OpenSSL does not serve it either unless it is told to have no standards.
    let server = need!(
        s_server(&["-cipher", "ALL:@SECLEVEL=0"])
            .file("cert.pem", read("leaf.pem"))
            .file("key.pem", read("leaf.key"))
    );
    ask(trusting(&server, &trust))
        .await
        .failed("tls.cert.invalid.weak_signature tls fast config no")
        .evidence("chain_position", 0);
}

#[tokio::test]
#[ignore = "needs haproxy; run by .ci/run"]
async fn the_end_within_the_handshake() {
    // haproxy takes the ClientHello, finds that nobody may send one, and closes.
    let server = need!(haproxy(
        "listen l
  mode tcp
  bind 127.0.0.1:{0}
  tcp-request inspect-delay 5s
  tcp-request content reject if { req.len gt 0 }
  server none 127.0.0.1:9"
    ));
    ask(Ask::new(format!("tls://{}", server.address(0))))
        .await
        .failed("tls.closed tls fast remote idempotent_only");
}

#[tokio::test]
#[ignore = "needs nginx, ss and root; run by .ci/run"]
async fn a_reset_within_the_handshake() {
    let Some(ss) = find("ss") else { return };
    let trust = Trust::new();
    let Some(server) = presents(&trust.good()).await else {
        return;
    };
    server.signal_all(libc::SIGSTOP);
    let port = format!("sport = :{}", server.port(0));
    let kill = eventually("nginx's side of the connection is aborted", async || {
        // Only once the ClientHello is there: it waits in the queue of the socket that nobody reads.
        let killed = Command::new(&ss)
            .args(["-HKtn", "state", "established", &port])
            .output()
            .expect("ss runs");
        (!killed.stdout.is_empty()).then_some(())
    });
    let (found, ()) = tokio::join!(ask(trusting(&server, &trust)), kill);
    found
        .failed("tls.reset tls fast remote idempotent_only")
        .evidence("errno", "ECONNRESET");
}
