//! Revocation as OpenSSL's authority declares it: by OCSP responses that nginx staples, and by lists.

use serde_json::Value as Json;

use crate::ask::{Ask, Diagnosis, ask};
use crate::need;
use crate::pki::Pki;
use crate::recipes::nginx;
use crate::serve::Recipe;

/// nginx with a certificate of the authority, and the response that it staples.
fn serving(pki: &Pki, name: &str, staple: Option<&str>) -> Recipe {
    let staple = staple.map_or(String::new(), |file| {
        format!("ssl_stapling on; ssl_stapling_file {};", pki.file(file))
    });
    nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}} ssl; ssl_certificate {}; ssl_certificate_key {}; {staple} return 200 ok; }}",
        pki.file(&format!("{name}.chain.pem")),
        pki.file(&format!("{name}.key")),
    ))
}

/// Asks the server by HTTPS with these settings of TLS.
macro_rules! asked {
    ($pki:expr, $name:expr, $staple:expr, $tls:expr) => {{
        let server = need!(serving(&$pki, $name, $staple));
        ask(Ask::new(format!("https://{}/", server.address(0))).with($pki.key_with($tls))).await
    }};
}

/// What the sources said, of the only hop.
fn revocation(found: &Diagnosis) -> &Json {
    &found.attempts()[0]["hops"][0]["tls"]["revocation"]
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn a_stapled_response_says_that_it_is_revoked() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "leaf", "");
    pki.issue("responder", "responder", "");
    pki.revoke("mid", "leaf", "keyCompromise");
    pki.respond("leaf", "mid", "own.ocsp", "-ndays 2");
    pki.respond("leaf", "responder", "delegate.ocsp", "-ndays 2");
    for staple in ["own.ocsp", "delegate.ocsp"] {
        asked!(pki, "leaf", Some(staple), "")
            .failed("tls.cert.revoked tls fast remote no")
            .evidence("reason", "key_compromise")
            .evidence("revocation_source", "stapled_ocsp")
            .evidence("chain_position", 0)
            .confidence("observed");
    }
    // The certificate whose name is wrong as well is revoked first, and both are told.
    let server = need!(serving(&pki, "leaf", Some("own.ocsp")));
    let url = format!("https://{}/", server.address(0));
    let found = ask(Ask::new(url).with(pki.key_with(", server_name: other.example"))).await;
    found.failed("tls.cert.revoked tls fast remote no");
    let faults = found.get("faults").to_string();
    assert!(faults.contains("tls.cert.name_invalid"), "{faults}");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn a_stapled_response_that_is_good_or_proves_nothing() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "staple", "");
    pki.issue("other", "leaf", "");
    pki.respond("leaf", "mid", "good.ocsp", "-ndays 2");
    let found = asked!(pki, "leaf", Some("good.ocsp"), "");
    found.healthy();
    assert_eq!(revocation(&found)[0]["standing"], "good");
    let tls = &found.attempts()[0]["hops"][0]["tls"];
    assert_eq!(
        (&tls["must_staple"], &tls["stapled"]),
        (&true.into(), &true.into())
    );

    // One that the certificate's own key signed (it is no authority), one about another certificate, and none.
    pki.respond("leaf", "other", "stranger.ocsp", "-ndays 2");
    pki.respond("other", "mid", "other.ocsp", "-ndays 2");
    for (staple, why) in [
        ("stranger.ocsp", "may not sign"),
        ("other.ocsp", "another certificate"),
    ] {
        let found = asked!(pki, "leaf", Some(staple), "");
        found.healthy();
        let said = &revocation(&found)[0];
        assert_eq!(said["standing"], "no_proof", "{said}");
        assert!(
            said["detail"].as_str().is_some_and(|detail| detail.contains(why)),
            "{said}"
        );
    }
    let found = asked!(pki, "leaf", None, "");
    found.healthy();
    let tls = &found.attempts()[0]["hops"][0]["tls"];
    assert_eq!(
        (&tls["must_staple"], &tls["stapled"]),
        (&true.into(), &false.into())
    );
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn a_list_says_that_it_is_revoked() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "leaf", "");
    pki.issue("spared", "leaf", "");
    pki.revoke("mid", "leaf", "superseded");
    pki.list("mid", "mid.crl", "");
    pki.run("openssl crl -in mid.crl -outform DER -out mid.der");
    for list in ["mid.crl", "mid.der"] {
        let crl = format!(", crl: {}", pki.file(list));
        asked!(pki, "leaf", None, &crl)
            .failed("tls.cert.revoked tls fast remote no")
            .evidence("reason", "superseded")
            .evidence("revocation_source", "crl")
            .evidence("said_by", pki.file(list).as_str());
        let found = asked!(pki, "spared", None, &crl);
        found.healthy();
        assert_eq!(revocation(&found)[0]["standing"], "good");
    }
    // Nothing is claimed without a list, nor by one of another authority of the same name.
    asked!(pki, "leaf", None, "").healthy();
    pki.run(
        "openssl ecparam -name prime256v1 -genkey -noout -out twin.key
openssl req -new -x509 -key twin.key -subj '/CN=Real Intermediate' -config ca.cnf -extensions authority -out twin.pem
openssl ca -config ca.cnf -name mid -cert twin.pem -keyfile twin.key -gencrl -out twin.crl",
    );
    let found = asked!(pki, "leaf", None, &format!(", crl: {}", pki.file("twin.crl")));
    found.healthy();
    assert_eq!(revocation(&found)[0]["standing"], "no_proof");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn a_list_that_is_outdated_is_no_proof_of_innocence() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "leaf", "");
    pki.issue("held", "leaf", "");
    pki.issue("spared", "leaf", "");
    pki.revoke("mid", "leaf", "cessationOfOperation");
    pki.revoke("mid", "held", "certificateHold");
    pki.list(
        "mid",
        "old.crl",
        "-crl_lastupdate 20250101000000Z -crl_nextupdate 20250201000000Z",
    );
    let crl = format!(", crl: {}", pki.file("old.crl"));
    for innocent in ["spared", "held"] {
        let found = asked!(pki, innocent, None, &crl);
        found.healthy();
        assert_eq!(revocation(&found)[0]["standing"], "no_proof");
    }
    asked!(pki, "leaf", None, &crl)
        .failed("tls.cert.revoked tls fast remote no")
        .evidence("outdated", true)
        .confidence("likely");
}

#[tokio::test]
#[ignore = "needs openssl and nginx; run by .ci/run"]
async fn an_intermediate_is_revoked() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("leaf", "leaf", "");
    pki.revoke("root", "mid", "CACompromise");
    pki.list("root", "root.crl", "");
    asked!(pki, "leaf", None, &format!(", crl: [{}]", pki.file("root.crl")))
        .failed("tls.cert.revoked tls fast remote no")
        .evidence("chain_position", 1)
        .evidence("reason", "ca_compromise");
}
