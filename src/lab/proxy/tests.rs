use super::*;

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::lab::http::{Behaviour, HttpServer};
use crate::lab::tcp::RefusedPort;

const LIMIT: Duration = Duration::from_secs(5);

async fn ask(proxy: &Server, request: &str) -> String {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test]
async fn a_working_proxy_relays_tunnels_and_requests() {
    let target = HttpServer::plain(Behaviour::ok()).await.unwrap();
    let proxy = start(ProxyBehaviour::Relay).await.unwrap();
    let to = target.address();
    let inner = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = ask(
        &proxy,
        &format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n{inner}"),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{answer}"
    );

    let answer = ask(
        &proxy,
        &format!("GET http://{to}/a HTTP/1.1\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok\n"),
        "{answer}"
    );
    assert_eq!(target.server().requests(), 2);
}

#[tokio::test]
async fn a_proxy_says_why_it_cannot() {
    let proxy = start(ProxyBehaviour::Relay).await.unwrap();
    let refused = RefusedPort::reserve().unwrap();
    let answer = ask(&proxy, &format!("CONNECT {} HTTP/1.1\r\n\r\n", refused.address())).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("connection_refused"),
        "{answer}"
    );
    let answer = ask(&proxy, "CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("destination_ip_prohibited"), "{answer}");
    let answer = ask(&proxy, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn refusing_proxies_refuse() {
    for (behaviour, status, words) in [
        (
            ProxyBehaviour::auth_required(),
            "407",
            "Proxy-Authenticate: Basic",
        ),
        (ProxyBehaviour::denied(), "403", "Forbidden"),
        (
            ProxyBehaviour::upstream_failed(),
            "502",
            "Proxy-Status: lab-proxy; error=",
        ),
    ] {
        let proxy = start(behaviour).await.unwrap();
        let answer = ask(&proxy, "CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
    let proxy = start(ProxyBehaviour::Silent).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client
        .write_all(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    timeout(LIMIT, proxy.wait_for_requests(1)).await.unwrap();
    assert!(
        timeout(Duration::from_millis(50), client.read_u8())
            .await
            .is_err()
    );
}
