//! Redirects that lead nowhere.

use whyd::lab::http::Behaviour;
use whyd::lab::tls::TlsOptions;

use super::{ask_of, ask_raw, plain, root};
use crate::ask::{Ask, ask};
use crate::binary::check;
use crate::identity::{Trust, https_with, server_tls, trusting};

#[tokio::test]
async fn in_a_circle() {
    let server = plain(Behaviour::RedirectLoop).await;
    let said = check(&["--retries", "0", &root(&server)]).await;
    let found = said.one(1);
    found
        .failed("http.response.redirect_loop first_byte fast config no")
        .says("location", "/there");
    let hops = found.attempts()[0]["hops"].as_array().expect("hops").len();
    assert_eq!(hops, 3, "/, /there, /back; and then /there was known");
}

#[tokio::test]
async fn to_itself() {
    let server = plain(Behaviour::Status {
        status: 302,
        headers: vec![("Location".to_owned(), "/".to_owned())],
        body: Vec::new(),
    })
    .await;
    ask(Ask::new(root(&server)))
        .await
        .failed("http.response.redirect_loop first_byte fast config no");
}

#[tokio::test]
async fn too_many() {
    let server = plain(Behaviour::RedirectChain { hops: 5 }).await;
    ask(Ask::new(root(&server)).with("redirects: {limit: 3}"))
        .await
        .failed("http.response.too_many_redirects first_byte fast config no")
        .evidence("limit", 3);
    ask(Ask::new(root(&server)).with("redirects: {limit: 5}"))
        .await
        .healthy();
}

#[tokio::test]
async fn from_https_to_http() {
    let plain_server = plain(Behaviour::ok()).await;
    let trust = Trust::new();
    let tls = server_tls(&trust.good(), TlsOptions::default());
    let to = root(&plain_server);
    let server = https_with(Behaviour::Downgrade { to: to.clone() }, tls).await;
    ask(trusting(&trust, &server))
        .await
        .failed("http.response.redirect_downgrade first_byte fast config no")
        .evidence("location", to.as_str());
    assert_eq!(plain_server.server().connections(), 0, "it was not followed");
    ask(trusting(&trust, &server).with("redirects: {allow_downgrade: true}"))
        .await
        .healthy();
}

#[tokio::test]
async fn to_nowhere() {
    ask_raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no")
        .evidence("header", "location");
    ask_raw("HTTP/1.1 302 Found\r\nLocation: http://[::bad\r\nContent-Length: 0\r\n\r\n")
        .await
        .failed("http.response.invalid.malformed first_byte fast remote no")
        .evidence("header", "location");
}

#[tokio::test]
async fn a_failure_behind_a_redirect_names_where_it_happened() {
    let port = whyd::lab::tcp::RefusedPort::reserve().expect("a port");
    let to = format!("http://{}/next", port.address());
    ask_of(Behaviour::Downgrade { to: to.clone() })
        .await
        .failed("tcp.refused.rst connect fast remote yes")
        .evidence("url", to.as_str())
        .evidence("address", port.address().to_string());
}
