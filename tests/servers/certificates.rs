//! Certificates of OpenSSL's authority, presented by nginx: each fault of them, and what looks like one.

use crate::ask::{Ask, Diagnosis, ask, ask_all};
use crate::need;
use crate::pki::Pki;
use crate::recipes::nginx;
use crate::serve::{Recipe, Server};

/// nginx that presents this file of certificates.
fn presenting(pki: &Pki, chain: &str, key: &str) -> Recipe {
    nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}} ssl; ssl_certificate {}; ssl_certificate_key {};
  ssl_ciphers DEFAULT@SECLEVEL=0; return 200 ok; }}",
        pki.file(chain),
        pki.file(key),
    ))
}

async fn asked(pki: &Pki, server: &Server, more: &str) -> Diagnosis {
    ask(Ask::new(format!("https://{}/", server.address(0))).with(pki.key_with(more))).await
}

macro_rules! found {
    ($pki:expr, $chain:expr, $key:expr) => {{
        let server = need!(presenting(&$pki, $chain, $key));
        asked(&$pki, &server, "").await
    }};
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn dates() {
    let Some(pki) = Pki::new() else { return };
    pki.issue(
        "ended",
        "leaf",
        "-startdate 20240101000000Z -enddate 20240401000000Z",
    );
    pki.issue(
        "early",
        "leaf",
        "-startdate 20350101000000Z -enddate 20360101000000Z",
    );
    found!(pki, "ended.chain.pem", "ended.key")
        .failed("tls.cert.date_invalid.expired tls fast config no")
        .evidence("not_after", "2024-04-01T00:00:00Z")
        .evidence("chain_position", 0);
    found!(pki, "early.chain.pem", "early.key")
        .failed("tls.cert.date_invalid.not_yet_valid tls fast config no");
    // An intermediate that has ended, and its twin that has not: only alone it is a failure.
    pki.issue("leaf", "leaf", "");
    pki.run(
        "openssl ca -batch -config ca.cnf -name root -extensions authority -in mid.csr -out oldmid.pem -notext \
         -startdate 20230101000000Z -enddate 20240101000000Z
cat leaf.pem oldmid.pem > old.chain.pem
cat leaf.pem oldmid.pem mid.pem > both.chain.pem",
    );
    found!(pki, "old.chain.pem", "leaf.key")
        .failed("tls.cert.date_invalid.expired tls fast config no")
        .evidence("chain_position", 1);
    found!(pki, "both.chain.pem", "leaf.key").finding("tls.chain.unneeded");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn authorities() {
    let Some(pki) = Pki::new() else { return };
    let Some(stranger) = Pki::new() else { return };
    for authority in [&pki, &stranger] {
        authority.issue("leaf", "leaf", "");
    }
    let other = need!(presenting(&stranger, "leaf.chain.pem", "leaf.key"));
    asked(&pki, &other, "")
        .await
        .failed("tls.cert.authority_invalid.unknown_root tls fast config no");
    pki.run(
        "openssl ecparam -name prime256v1 -genkey -noout -out self.key
openssl req -new -x509 -key self.key -subj /CN=localhost -days 30 -config ca.cnf -extensions leaf -out self.pem",
    );
    found!(pki, "self.pem", "self.key").failed("tls.cert.authority_invalid.self_signed tls fast config no");
    // It is an intermediate that is missing; proved once another peer has presented it.
    let alone = need!(presenting(&pki, "leaf.pem", "leaf.key"));
    asked(&pki, &alone, "")
        .await
        .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
        .confidence("likely");
    let whole = need!(presenting(&pki, "leaf.chain.pem", "leaf.key"));
    let url = |server: &Server| format!("https://{}/", server.address(0));
    let first = Ask::new(url(&whole)).named("whole").with(pki.key_with(""));
    // The one that presents the whole chain is asked before: the other waits for a retry.
    let second = Ask::new(url(&alone))
        .with(pki.key_with(""))
        .with("depends_on: [whole]");
    let all = ask_all(&[first, second]).await;
    all[0].healthy();
    all[1].failed("tls.cert.authority_invalid.missing_intermediate tls fast config no");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn a_missing_intermediate_is_fetched_where_that_is_allowed() {
    let Some(pki) = Pki::new() else { return };
    let files = need!(nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}}; root {}; }}",
        pki.path("").display()
    )));
    for (name, file, format) in [
        (
            "plain",
            "mid.der",
            "openssl x509 -in mid.pem -outform DER -out mid.der",
        ),
        (
            "message",
            "mid.p7c",
            "openssl crl2pkcs7 -nocrl -certfile mid.pem -outform DER -out mid.p7c",
        ),
        ("gone", "gone.der", "true"),
    ] {
        pki.run(&format!(
            "export ISSUER_URL={}
{format}
openssl ecparam -name prime256v1 -genkey -noout -out {name}.key
openssl req -new -key {name}.key -subj /CN={name} -config ca.cnf -out {name}.csr
openssl ca -batch -config ca.cnf -name mid -extensions points -in {name}.csr -out {name}.pem -notext",
            files.url(&format!("/{file}"))
        ));
    }
    for name in ["plain", "message"] {
        let server = need!(presenting(&pki, &format!("{name}.pem"), &format!("{name}.key")));
        let found = asked(&pki, &server, ", aia: true").await;
        found
            .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
            .confidence("confirmed")
            .says("completes_with", "CN=Real Intermediate")
            .says("issuer_fetched_from", "/mid.")
            .fix("serve the intermediate CN=Real Intermediate");
        let found = asked(&pki, &server, "").await;
        found
            .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
            .confidence("likely");
        assert!(
            found.lacks("issuer_fetched_from"),
            "nothing is fetched unless it is allowed"
        );
    }
    let server = need!(presenting(&pki, "gone.pem", "gone.key"));
    asked(&pki, &server, ", aia: true")
        .await
        .failed("tls.cert.authority_invalid.missing_intermediate tls fast config no")
        .confidence("likely")
        .says("second_look_not_done", "404");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn names() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("other", "other_name", "");
    pki.issue("localhost", "nameless", "");
    found!(pki, "other.chain.pem", "other.key")
        .failed("tls.cert.name_invalid tls fast config no")
        .says("names_presented", "*.other.example");
    found!(pki, "localhost.chain.pem", "localhost.key")
        .failed("tls.cert.name_invalid tls fast config no")
        .says("verifier", "common name does not count");
    let server = need!(presenting(&pki, "other.chain.pem", "other.key"));
    asked(&pki, &server, ", server_name: a.other.example")
        .await
        .healthy();
    for beyond in ["a.b.other.example", "other.example.org"] {
        asked(&pki, &server, &format!(", server_name: {beyond}"))
            .await
            .failed("tls.cert.name_invalid tls fast config no");
    }
    // What `openssl x509 -req` makes without an extension file has version 1, which has no place for names.
    pki.run(
        "openssl x509 -req -in other.csr -CA mid.pem -CAkey mid.key -set_serial 7 -days 30 -out one.pem
cat one.pem mid.pem > one.chain.pem",
    );
    found!(pki, "one.chain.pem", "other.key")
        .failed("tls.cert.name_invalid tls fast config no")
        .says("verifier", "version 1");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn what_makes_a_certificate_useless() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("client", "client", "");
    pki.issue("authority", "as_authority", "");
    pki.issue("critical", "unknown_critical", "");
    pki.issue("weak", "leaf", "-md sha1");
    found!(pki, "client.chain.pem", "client.key").failed("tls.cert.invalid.purpose tls fast config no");
    found!(pki, "authority.chain.pem", "authority.key")
        .failed("tls.cert.invalid.ca_as_leaf tls fast config no");
    found!(pki, "critical.chain.pem", "critical.key").failed("tls.cert.invalid.encoding tls fast config no");
    found!(pki, "weak.chain.pem", "weak.key")
        .failed("tls.cert.invalid.weak_signature tls fast config no")
        .says("signature_algorithm", "ecdsa-with-SHA1");
    // Signed by another authority of the same name, whose key nobody names.
    pki.run(
        "openssl ecparam -name prime256v1 -genkey -noout -out twin.key
openssl req -new -x509 -key twin.key -subj '/CN=Real Intermediate' -config ca.cnf -extensions authority -out twin.pem
openssl ca -batch -config ca.cnf -name mid -cert twin.pem -keyfile twin.key -extensions keyless -in client.csr \
  -out twins.pem -notext
cat twins.pem mid.pem > twins.chain.pem",
    );
    found!(pki, "twins.chain.pem", "client.key").failed("tls.cert.invalid.bad_signature tls fast config no");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn kinds_of_keys_and_signatures_that_are_well() {
    let Some(pki) = Pki::new() else { return };
    for (name, key, sign) in [
        ("p521", "openssl ecparam -name secp521r1 -genkey -noout", ""),
        (
            "p384",
            "openssl ecparam -name secp384r1 -genkey -noout",
            "-md sha384",
        ),
        ("rsa", "openssl genrsa 3072", ""),
        ("edwards", "openssl genpkey -algorithm ed25519", ""),
    ] {
        pki.run(&format!(
            "{key} > {name}.key
openssl req -new -key {name}.key -subj /CN={name} -config ca.cnf -out {name}.csr
openssl ca -batch -config ca.cnf -name mid -extensions leaf -in {name}.csr -out {name}.pem -notext {sign}
cat {name}.pem mid.pem > {name}.chain.pem"
        ));
        let found = found!(pki, &format!("{name}.chain.pem"), &format!("{name}.key"));
        found.healthy();
        let certificates = &found.attempts()[0]["hops"][0]["tls"]["certificates"];
        let key = certificates[0]["key"].as_str().unwrap_or_default();
        assert!(!key.is_empty() && !key.contains('.'), "{key}");
    }
    // An RSA authority that signs with PSS.
    pki.run(
        "openssl genrsa 2048 > pss.key
openssl req -new -x509 -key pss.key -subj '/CN=PSS Root' -days 30 -config ca.cnf -extensions authority \
  -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -out pss.pem
openssl ca -batch -config ca.cnf -name root -cert pss.pem -keyfile pss.key -extensions leaf -in rsa.csr -out pssleaf.pem \
  -notext -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
    );
    let server = need!(presenting(&pki, "pssleaf.pem", "rsa.key"));
    let trust = format!("tls: {{only_given_ca: true, ca: {}}}", pki.file("pss.pem"));
    ask(Ask::new(format!("https://{}/", server.address(0))).with(trust))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn expectations_of_certificates() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "leaf", "-days 200");
    let server = need!(presenting(&pki, "leaf.chain.pem", "leaf.key"));
    for scheme in ["https", "tls"] {
        let expecting = |expect: &str| {
            Ask::new(format!("{scheme}://{}", server.address(0)))
                .with(pki.key_with(""))
                .with(format!("expect: {{cert: {{{expect}}}}}"))
        };
        ask(expecting("days_left: 190, issuer: Real")).await.healthy();
        ask(expecting("days_left: 250"))
            .await
            .failed("assert.cert verify fast config no")
            .evidence("chain_position", 0)
            .evidence("wanted", "at least 250 days left");
        ask(expecting("issuer: \"Another Authority\""))
            .await
            .failed("assert.cert verify fast config no")
            .says("got", "CN=Real Intermediate");
    }
    // On a connection that is used again it is the certificate of its handshake that counts.
    let kept = Ask::new(format!("https://{}/", server.address(0)))
        .with(pki.key_with(""))
        .with("keepalive: {reuse: true}")
        .with("expect: {cert: {days_left: 500}}");
    let found = ask(kept).await;
    // The intermediate ends after 365 days, the leaf before it.
    found
        .failed("assert.cert verify fast config no")
        .evidence("chain_position", 0);
}
