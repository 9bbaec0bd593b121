//! OAuth2 client credentials: a token endpoint that works, and ones that do not.

use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::RefusedPort;

use crate::ask::{Ask, Diagnosis, ask};

async fn server(behaviour: Behaviour) -> HttpServer {
    HttpServer::plain(behaviour).await.expect("a port")
}

fn answer(status: u16, body: &str) -> Behaviour {
    Behaviour::Status {
        status,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

/// Asks that server with a token from the endpoint at that address.
async fn with_token_of(endpoint: impl std::fmt::Display, it: &HttpServer) -> Diagnosis {
    let oauth = format!(
        "auth: {{oauth2: {{token_url: \"http://{endpoint}/token\", client_id: me, client_secret: hunter2}}}}"
    );
    ask(Ask::new(format!("http://{}/", it.address())).with(oauth)).await
}

#[tokio::test]
async fn a_token_is_fetched_and_sent() {
    let endpoint = server(answer(
        200,
        r#"{"access_token":"t0k3n","token_type":"Bearer","expires_in":3600}"#,
    ))
    .await;
    let it = server(Behaviour::ok()).await;
    let found = with_token_of(endpoint.address(), &it).await;
    found.healthy();
    assert!(!found.pretty().contains("t0k3n") && !found.pretty().contains("hunter2"));
    let asked = endpoint.server().last_head().expect("a request for a token");
    assert!(asked.starts_with("POST /token HTTP/1.1"), "{asked}");
    let head = it.server().last_head().expect("a request").to_ascii_lowercase();
    assert!(head.contains("authorization: bearer t0k3n"), "{head}");
}

#[tokio::test]
async fn the_client_is_refused() {
    let endpoint = server(answer(401, r#"{"error":"invalid_client"}"#)).await;
    let it = server(Behaviour::ok()).await;
    with_token_of(endpoint.address(), &it)
        .await
        .failed("http.error.4xx first_byte fast config no")
        .evidence("status", 401)
        .evidence("role", "token_endpoint")
        .evidence("oauth_error", "invalid_client")
        .fix("client id, secret");
    assert_eq!(it.server().connections(), 0, "nothing is asked without a token");
}

#[tokio::test]
async fn the_endpoint_talks_nonsense() {
    for body in ["<html>login</html>", r#"{"token":"t"}"#] {
        let endpoint = server(answer(200, body)).await;
        let it = server(Behaviour::ok()).await;
        let found = with_token_of(endpoint.address(), &it).await;
        found.evidence("role", "token_endpoint");
        assert_eq!(found.0["cause"], "http.response.invalid.malformed");
    }
}

#[tokio::test]
async fn the_endpoint_is_not_there() {
    let port = RefusedPort::reserve().expect("a port");
    let it = server(Behaviour::ok()).await;
    with_token_of(port.address(), &it)
        .await
        .failed("tcp.refused.rst connect fast remote yes")
        .evidence("role", "token_endpoint")
        .evidence("address", port.address().to_string());
}

#[tokio::test]
async fn the_endpoint_fails() {
    let endpoint = server(Behaviour::status(503)).await;
    let it = server(Behaviour::ok()).await;
    with_token_of(endpoint.address(), &it)
        .await
        .failed("http.error.503 first_byte fast remote with_backoff")
        .evidence("role", "token_endpoint");
}
