//! The listener with credentials and TLS.

use reqwest::Certificate;
use whyd::lab::certs::{Authority, CertSpec};
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, client, run, send};

async fn start(files: &Files, listen: &str) -> Daemon {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("loopback");
    let address = server.address();
    let path = files.write(
        "whyd.yaml",
        &format!(
            "listen: {{address: '127.0.0.1:0', {listen}}}
dependencies: [{{name: api, url: 'http://{address}/', interval: 24h}}]\n"
        ),
    );
    Daemon::of(run(&path)).await
}

#[tokio::test]
async fn basic_credentials_are_asked_for_but_not_by_the_health_check() {
    let files = Files::new();
    let password = files.write("password", "open sesame\n");
    let auth = format!(
        "auth: {{basic: {{user: ops, password: {{file: '{}'}}}}}}",
        password.display()
    );
    let daemon = start(&files, &auth).await;
    let client = client().build().expect("a client");
    let get = |path: &str| client.get(daemon.url(path));
    for path in ["/metrics", "/api/v1/dependencies", "/nothing"] {
        let nobody = get(path).send().await.expect("an answer");
        assert_eq!(nobody.status(), 401, "{path}");
        assert!(nobody.headers().contains_key("www-authenticate"), "{path}");
        let wrong = send(get(path).basic_auth("ops", Some("open barley"))).await;
        assert_eq!(wrong.status, 401, "{path}");
        let stranger = send(get(path).basic_auth("root", Some("open sesame"))).await;
        assert_eq!(stranger.status, 401, "{path}");
    }
    let reload = send(client.post(daemon.url("/-/reload"))).await;
    assert_eq!(reload.status, 401, "a stranger cannot reload");
    assert_eq!(send(get("/-/healthy")).await.status, 200);
    let known = send(get("/metrics").basic_auth("ops", Some("open sesame"))).await;
    assert_eq!(known.status, 200);
    assert!(known.text.contains("whyd_build_info"));

    // The file is read again when it changes, as secrets are rotated.
    files.write("password", "open barley\n");
    let rotated = send(get("/metrics").basic_auth("ops", Some("open barley"))).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
}

#[tokio::test]
async fn a_bearer_token_over_tls() {
    let authority = Authority::new("test CA").expect("a CA");
    let issued = authority
        .issue(CertSpec::named(["127.0.0.1"]))
        .expect("a certificate");
    let files = Files::new();
    let cert = files.write("cert.pem", &issued.chain_pem);
    let key = files.write("key.pem", &issued.key_pem);
    let (cert, key) = (cert.display(), key.display());
    let listen = format!("tls: {{cert: '{cert}', key: '{key}'}}, auth: {{bearer: t0ken}}");
    let daemon = start(&files, &listen).await;
    assert!(daemon.process.written().text().contains("are on https://"));
    let root = Certificate::from_pem(authority.pem().as_bytes()).expect("PEM");
    let client = client().tls_certs_only([root]).build().expect("a client");
    let get = |path: &str| client.get(format!("https://{}{path}", daemon.address));
    assert_eq!(send(get("/metrics")).await.status, 401);
    assert_eq!(send(get("/metrics").bearer_auth("t0k3n")).await.status, 401);
    let known = send(get("/metrics").bearer_auth("t0ken")).await;
    assert_eq!(known.status, 200, "{}", known.text);
    assert_eq!(send(get("/-/healthy")).await.status, 200);
    let plain = crate::harness::client().build().expect("a client");
    let plain = plain.get(daemon.url("/-/healthy")).send().await;
    assert!(plain.is_err(), "plain HTTP is not served: {plain:?}");
}
