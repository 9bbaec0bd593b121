//! Certificates: each fault alone, several at once, and what looks odd and is right.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use whyd::lab::certs::{self, Authority, CertSpec, Issued, Usage, set_validity};
use whyd::lab::http::Behaviour;
use whyd::lab::tls::TlsOptions;

use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;
use crate::identity::{Trust, here, https, https_with, server_tls, trusting};

const DAY: Duration = Duration::from_secs(86_400);

/// Asks an HTTPS server that presents this.
async fn presenting(trust: &Trust, issued: &Issued) -> Diagnosis {
    let server = https(issued).await;
    ask(trusting(trust, &server)).await
}

fn issue(authority: &Authority, spec: CertSpec) -> Issued {
    authority.issue(spec).expect("a certificate")
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn expired() {
    let trust = Trust::new();
    let found = presenting(&trust, &issue(&trust.authority, here().expired(3 * DAY))).await;
    found
        .failed("tls.cert.date_invalid.expired tls fast config no")
        .confidence("observed")
        .evidence("chain_position", 0)
        .says("not_after", "T")
        .fix("expired 3 days ago");
    assert!(found.lacks("faults"), "it is the only fault");
}

#[tokio::test]
async fn expired_said_by_the_binary() {
    let trust = Trust::new();
    let server = https(&issue(&trust.authority, here().expired(3 * DAY))).await;
    let url = format!("https://{}/", server.address());
    let said = check(&["--ca", &trust.file(), &url]).await;
    let found = said.one(1);
    found
        .failed("tls.cert.date_invalid.expired tls fast config no")
        .evidence("chain_position", 0);
    let attempt = &found.attempts()[0];
    assert_eq!(found.attempts().len(), 1, "a retry cannot help");
    assert_eq!(attempt["failure"]["chain"][0], "TLS handshake failed");
    assert!(attempt["phases"]["tls"].as_f64().is_some());
    assert!(attempt["phases"]["first_byte"].is_null());
}

#[tokio::test]
async fn an_intermediate_has_expired() {
    let trust = Trust::new();
    let now = SystemTime::now();
    let old = trust.authority.intermediate_with("Old Intermediate", |params| {
        set_validity(params, now - 100 * DAY, now - 10 * DAY);
    });
    let found = presenting(&trust, &issue(&old.expect("an intermediate"), here())).await;
    found
        .failed("tls.cert.date_invalid.expired tls fast config no")
        .evidence("chain_position", 1)
        .says("subject", "Old Intermediate")
        .fix("10 days ago");
}

#[tokio::test]
async fn not_yet_valid() {
    let trust = Trust::new();
    presenting(&trust, &issue(&trust.authority, here().not_before(2 * DAY)))
        .await
        .failed("tls.cert.date_invalid.not_yet_valid tls fast config no")
        .evidence("chain_position", 0);
}

#[tokio::test]
async fn an_authority_that_nobody_knows() {
    let trust = Trust::new();
    let other = Authority::new("Other Root").expect("an authority");
    let middle = other.intermediate("Other Middle").expect("an intermediate");
    presenting(&trust, &issue(&middle, here()))
        .await
        .failed("tls.cert.authority_invalid.unknown_root tls fast config no")
        .says("issuer", "Other Root")
        .fix("never turn verification off");
    let lone = issue(&other, here());
    let with_root = Issued {
        chain_pem: format!("{}{}", lone.pem, other.pem()),
        ..lone.clone()
    };
    presenting(&trust, &with_root)
        .await
        .failed("tls.cert.authority_invalid.unknown_root tls fast config no")
        .evidence("chain_position", 1);
    // Of a lone leaf it cannot be told what is missing above it.
    presenting(&trust, &lone)
        .await
        .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
        .confidence("likely")
        .alternative("tls.cert.authority_invalid.unknown_root");
}

#[tokio::test]
async fn signed_by_itself() {
    let trust = Trust::new();
    presenting(&trust, &certs::self_signed(here()).expect("a certificate"))
        .await
        .failed("tls.cert.authority_invalid.self_signed tls fast config no")
        .evidence("chain_position", 0);
}

#[tokio::test]
async fn the_intermediate_is_missing() {
    let trust = Trust::new();
    let middle = trust.authority.intermediate("Middle").expect("an intermediate");
    let alone = |issued: Issued| Issued {
        chain_pem: issued.pem.clone(),
        ..issued
    };
    let incomplete = alone(issue(&middle, here()));
    presenting(&trust, &incomplete)
        .await
        .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
        .confidence("likely");
    // A server with the whole chain that sends us to the one without: what it presented completes the other's chain.
    let second = https(&incomplete).await;
    let to = format!("https://{}/", second.address());
    let whole = server_tls(&issue(&middle, here()), TlsOptions::default());
    let first = https_with(Behaviour::Downgrade { to: to.clone() }, whole).await;
    ask(trusting(&trust, &first))
        .await
        .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
        .confidence("confirmed")
        .says("completes_with", "Middle")
        .evidence("url", to.as_str());
}

#[tokio::test]
async fn another_name() {
    let trust = Trust::new();
    let other = CertSpec::named(["shop.lab.test", "www.lab.test"]);
    let found = presenting(&trust, &issue(&trust.authority, other)).await;
    found
        .failed("tls.cert.name_invalid tls fast config no")
        .evidence("name_asked", "127.0.0.1")
        .says("names_presented", "shop.lab.test")
        .fix("www.lab.test");
}

#[tokio::test]
async fn an_authority_as_a_leaf() {
    let trust = Trust::new();
    let as_ca = CertSpec {
        is_ca: true,
        ..here()
    };
    presenting(&trust, &issue(&trust.authority, as_ca))
        .await
        .failed("tls.cert.invalid.ca_as_leaf tls fast config no");
}

#[tokio::test]
async fn made_for_something_else() {
    let trust = Trust::new();
    let for_clients = CertSpec {
        usage: Usage::Client,
        ..here()
    };
    presenting(&trust, &issue(&trust.authority, for_clients))
        .await
        .failed("tls.cert.invalid.purpose tls fast config no")
        .evidence("chain_position", 0);
    let no_authority = trust.authority.intermediate_with("No Authority", |params| {
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
    });
    let below = issue(&no_authority.expect("an intermediate"), here());
    presenting(&trust, &below)
        .await
        .failed("tls.cert.invalid.purpose tls fast config no")
        .evidence("chain_position", 1);
}

#[tokio::test]
async fn a_signature_that_does_not_fit() {
    let trust = Trust::new();
    let issued = trust.good();
    let mut der = issued.der.to_vec();
    *der.last_mut().expect("bytes") ^= 1;
    let broken = Issued {
        chain_pem: pem(&der),
        ..issued
    };
    presenting(&trust, &broken)
        .await
        .failed("tls.cert.invalid.bad_signature tls fast config no")
        .evidence("chain_position", 0)
        .says("signature_algorithm", "SHA256");
}

#[tokio::test]
async fn bytes_that_are_no_certificate() {
    let trust = Trust::new();
    let issued = trust.good();
    let broken = Issued {
        chain_pem: pem(&issued.der[..issued.der.len() - 10]),
        ..issued
    };
    presenting(&trust, &broken)
        .await
        .failed("tls.cert.invalid.encoding tls fast config no");
}

/// A DER element of that tag.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short element");
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        0..0x80 => &[tag, low],
        0x80..0x100 => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// The content of the DER element that `input` begins with, and what follows it.
fn content(input: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match input[1] {
        0x81 => (3, usize::from(input[2])),
        0x82 => (4, usize::from(input[2]) << 8 | usize::from(input[3])),
        short => (2, usize::from(short)),
    };
    input[start..].split_at(length)
}

/// The certificate as if it had been signed over SHA-1: its signature no longer fits, which a verifier that refuses the
/// algorithm does not come to see.
fn over_sha1(certificate: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    const SHA1: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    let before = element(SEQUENCE, &SHA1);
    let old = [&[SEQUENCE, 10][..], &SHA256].concat();
    let (whole, _) = content(certificate);
    let (tbs, after) = content(whole);
    let at = tbs.windows(old.len()).position(|window| window == old);
    let at = at.expect("ECDSA over SHA-256");
    let tbs = [&tbs[..at], &before, &tbs[at + old.len()..]].concat();
    let signature = after.strip_prefix(&*old).expect("the same algorithm again");
    element(
        SEQUENCE,
        &[&element(SEQUENCE, &tbs), &*before, signature].concat(),
    )
}

#[tokio::test]
async fn signed_over_a_weak_digest() {
    let trust = Trust::new();
    let issued = trust.good();
    let weak = Issued {
        chain_pem: pem(&over_sha1(&issued.der)),
        ..issued
    };
    presenting(&trust, &weak)
        .await
        .failed("tls.cert.invalid.weak_signature tls fast config no")
        .evidence("chain_position", 0)
        .says("verifier", "SHA-1");
}

#[tokio::test]
async fn of_several_faults_the_first_in_precedence_is_the_cause_and_all_are_told() {
    let trust = Trust::new();
    let other = Authority::new("Other Root").expect("an authority");
    let other = other.intermediate("Other Middle").expect("an intermediate");
    let elsewhere = || CertSpec::named(["shop.lab.test"]).expired(DAY);
    let name = "tls.cert.name_invalid";
    let date = "tls.cert.date_invalid.expired";
    let root = "tls.cert.authority_invalid.unknown_root";
    let itself = "tls.cert.authority_invalid.self_signed";
    let purpose = "tls.cert.invalid.purpose";
    let for_clients = CertSpec {
        usage: Usage::Client,
        ..elsewhere()
    };
    for (issued, causes) in [
        (issue(&trust.authority, elsewhere()), vec![name, date]),
        (issue(&other, elsewhere()), vec![root, name, date]),
        (issue(&other, for_clients), vec![purpose, root, name, date]),
        (
            certs::self_signed(elsewhere()).expect("a certificate"),
            vec![itself, name, date],
        ),
    ] {
        let found = presenting(&trust, &issued).await;
        found.failed(&format!("{} tls fast config no", causes[0]));
        let told: Vec<&str> = found.get("faults").as_array().map_or(vec![], |faults| {
            faults
                .iter()
                .filter_map(|fault| fault["cause"].as_str())
                .collect()
        });
        assert_eq!(told, causes);
    }
}

#[tokio::test]
async fn an_authority_and_a_date_of_an_intermediate_at_once() {
    let trust = Trust::new();
    let now = SystemTime::now();
    let old = trust.authority.intermediate_with("Old", |params| {
        set_validity(params, now - 100 * DAY, now - 10 * DAY);
    });
    let leaf = issue(&old.expect("an intermediate"), CertSpec::named(["shop.lab.test"]));
    presenting(&trust, &leaf)
        .await
        .failed("tls.cert.name_invalid tls fast config no")
        .says("faults", "date_invalid.expired");
}

/// Asks for `https://HOST:PORT/` at the server with this certificate.
async fn named(trust: &Trust, issued: &Issued, host: &str) -> Diagnosis {
    let server = https(issued).await;
    let url = format!("https://{host}:{}/", server.address().port());
    ask(Ask::new(url)
        .with(trust.key())
        .with("resolve: {addresses: [127.0.0.1]}"))
    .await
}

#[tokio::test]
async fn wildcards_and_addresses() {
    let trust = Trust::new();
    let wildcard = issue(&trust.authority, CertSpec::named(["*.lab.test"]));
    named(&trust, &wildcard, "it.lab.test").await.healthy();
    named(&trust, &wildcard, "a.it.lab.test")
        .await
        .failed("tls.cert.name_invalid tls fast config no");
    named(&trust, &wildcard, "lab.test")
        .await
        .failed("tls.cert.name_invalid tls fast config no");
    let address = issue(&trust.authority, CertSpec::named(["127.0.0.1"]));
    presenting(&trust, &address).await.healthy();
    let any = CertSpec {
        usage: Usage::Any,
        ..here()
    };
    presenting(&trust, &issue(&trust.authority, any)).await.healthy();
}

#[tokio::test]
async fn a_certificate_too_many() {
    let trust = Trust::new();
    let middle = trust.authority.intermediate("Middle").expect("an intermediate");
    let unrelated = Authority::new("Unrelated").expect("an authority");
    let issued = issue(&middle, here());
    presenting(&trust, &issued).await.healthy();
    let more = Issued {
        chain_pem: format!("{}{}", issued.chain_pem, unrelated.pem()),
        ..issued
    };
    let found = presenting(&trust, &more).await;
    let evidence = found.finding("tls.chain.unneeded").to_string();
    assert!(evidence.contains("Unrelated"), "{evidence}");
}

#[tokio::test]
async fn about_to_expire() {
    let trust = Trust::new();
    let soon = CertSpec {
        not_before: Some(SystemTime::now() - 80 * DAY),
        not_after: Some(SystemTime::now() + 5 * DAY + DAY / 2),
        ..here()
    };
    let found = presenting(&trust, &issue(&trust.authority, soon)).await;
    assert_eq!(found.finding("tls.cert.expiring")["days_left"], 5);
}
