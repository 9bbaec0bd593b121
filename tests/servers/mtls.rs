//! Client certificates as nginx, HAProxy and OpenSSL ask for them: missing, and of the wrong authority.

use whyd::lab::certs::{CertSpec, Issued, Usage};

use crate::ask::{Ask, Diagnosis, ask};
use crate::identity::{Trust, here};
use crate::need;
use crate::recipes::{haproxy, nginx, s_server};
use crate::serve::{Recipe, Server};

struct Parties {
    trust: Trust,
    server: Issued,
}

impl Parties {
    fn new() -> Parties {
        let trust = Trust::new();
        let server = trust.good();
        Parties { trust, server }
    }

    fn files(&self, recipe: Recipe) -> Recipe {
        let both = format!("{}{}", self.server.chain_pem, self.server.key_pem);
        recipe
            .file("cert.pem", &*self.server.chain_pem)
            .file("key.pem", &*self.server.key_pem)
            .file("both.pem", both)
            .file("clients.pem", self.trust.authority.pem())
    }

    /// Settings with a client certificate of that authority.
    fn showing(&self, of: &Trust) -> String {
        let spec = CertSpec {
            usage: Usage::Client,
            ..here()
        };
        let issued = of.authority.issue(spec).expect("a certificate");
        let both = format!("{}{}", issued.chain_pem, issued.key_pem);
        let file = self.trust.directory.write("client.pem", &both);
        self.trust.key_with(&format!(", client_cert: {}", file.display()))
    }

    async fn ask(&self, server: &Server, scheme: &str, tls: String) -> Diagnosis {
        let url = format!("{scheme}://{}", server.address(0));
        ask(Ask::new(url).with(tls)).await
    }
}

fn wanting_nginx(versions: &str) -> Recipe {
    nginx(&format!(
        "server {{ listen 127.0.0.1:{{0}} ssl; return 200 ok; ssl_protocols {versions};
  ssl_certificate {{dir}}/cert.pem; ssl_certificate_key {{dir}}/key.pem;
  ssl_verify_client on; ssl_client_certificate {{dir}}/clients.pem; }}"
    ))
}

fn wanting_haproxy(versions: &str) -> Recipe {
    haproxy(&format!(
        "frontend f
 bind 127.0.0.1:{{0}} ssl crt {{dir}}/both.pem ca-file {{dir}}/clients.pem verify required {versions}
 http-request return status 200"
    ))
}

#[tokio::test]
#[ignore = "needs nginx, haproxy and openssl; run by .ci/run"]
async fn a_client_certificate_is_missing() {
    let parties = Parties::new();
    for versions in ["ssl-max-ver TLSv1.2", "ssl-min-ver TLSv1.3"] {
        let haproxy = need!(parties.files(wanting_haproxy(versions)));
        for scheme in ["https", "tls"] {
            let found = parties.ask(&haproxy, scheme, parties.trust.key()).await;
            let cause = &found.0["cause"];
            assert_eq!(
                cause,
                "tls.bad_client_auth_cert.required",
                "{versions} {}",
                found.pretty()
            );
        }
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            "-Verify",
            "2",
            "-verify_return_error",
            "-CAfile",
            "{dir}/clients.pem",
            version,
        ];
        let openssl = need!(parties.files(s_server(&arguments)));
        for scheme in ["https", "tls"] {
            let found = parties.ask(&openssl, scheme, parties.trust.key()).await;
            let cause = &found.0["cause"];
            assert_eq!(
                cause,
                "tls.bad_client_auth_cert.required",
                "{version} {}",
                found.pretty()
            );
        }
    }
    // nginx shakes hands with everybody and says no in HTTP.
    for versions in ["TLSv1.2", "TLSv1.3"] {
        let nginx = need!(parties.files(wanting_nginx(versions)));
        parties
            .ask(&nginx, "https", parties.trust.key())
            .await
            .failed("tls.bad_client_auth_cert.required first_byte fast config no")
            .evidence("status", 400)
            .alternative("http.error.4xx");
    }
}

#[tokio::test]
#[ignore = "needs nginx, haproxy and openssl; run by .ci/run"]
async fn a_client_certificate_of_another_authority() {
    let parties = Parties::new();
    let stranger = Trust::new();
    for versions in ["ssl-max-ver TLSv1.2", "ssl-min-ver TLSv1.3"] {
        let haproxy = need!(parties.files(wanting_haproxy(versions)));
        for scheme in ["https", "tls"] {
            let found = parties.ask(&haproxy, scheme, parties.showing(&stranger)).await;
            let cause = &found.0["cause"];
            assert_eq!(
                cause,
                "tls.bad_client_auth_cert.rejected",
                "{versions} {}",
                found.pretty()
            );
        }
        parties
            .ask(&haproxy, "https", parties.showing(&parties.trust))
            .await
            .healthy();
    }
    let nginx = need!(parties.files(wanting_nginx("TLSv1.2 TLSv1.3")));
    parties
        .ask(&nginx, "https", parties.showing(&stranger))
        .await
        .failed("tls.bad_client_auth_cert.rejected first_byte fast config no");
    parties
        .ask(&nginx, "https", parties.showing(&parties.trust))
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs nginx and haproxy; run by .ci/run"]
async fn a_client_certificate_that_may_be_missing() {
    let parties = Parties::new();
    let nginx = need!(parties.files(nginx(
        "server { listen 127.0.0.1:{0} ssl; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
  ssl_verify_client optional; ssl_client_certificate {dir}/clients.pem; }
server { listen 127.0.0.1:{1} ssl; return 444;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
  ssl_verify_client optional; ssl_client_certificate {dir}/clients.pem; }"
    )));
    parties.ask(&nginx, "https", parties.trust.key()).await.healthy();
    // It waits for a request before it ends the connection, so that the certificate is not why.
    let url = format!("https://{}/", nginx.address(1));
    let found = ask(Ask::new(url).with(parties.trust.key())).await;
    found
        .failed("http.response.invalid.empty first_byte fast remote idempotent_only")
        .evidence("ends_without_a_request", false);
    assert_eq!(found.0["alternatives"], serde_json::json!([]));
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn names_and_protocols_that_nginx_does_not_serve() {
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl default_server; ssl_reject_handshake on; }
server { listen 127.0.0.1:{0} ssl; server_name served.example; return 200 ok;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }
server { listen 127.0.0.1:{1} ssl; return 200 ok; ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }
server { listen 127.0.0.1:{2} ssl; return 200 ok; ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    ask(Ask::new(format!("https://{}/", server.address(0)))
        .with(trust.key_with(", server_name: other.example")))
    .await
    .failed("tls.unrecognized_name_alert tls fast config no")
    .evidence("alert", 112)
    .fix("other.example");
    for number in [1, 2] {
        ask(Ask::new(format!("https://{}/", server.address(number))).with(trust.key()))
            .await
            .failed("tls.version_or_cipher_mismatch tls fast config no");
    }
}
