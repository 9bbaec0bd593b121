//! WebSocket: handshakes that come about and those that do not, and what is said afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1_of::accept_of;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::{self, Scripts, Step};

use crate::ask::{Ask, Diagnosis, ask, ask_url};

/// The answer to a key, by another implementation than the probe's.
mod sha1_of {
    use super::*;

    pub fn accept_of(key: &str) -> String {
        let hash = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
        );
        STANDARD.encode(hash)
    }
}

/// A server that shakes hands with these more headers, and then answers each frame of the client with the next bytes.
async fn server(headers: &'static str, answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, headers, answers.clone()));
        }
    });
    format!("ws://{address}/socket")
}

async fn serve(mut stream: TcpStream, headers: &'static str, answers: Vec<Vec<u8>>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.ok()?));
    }
    let lower = head.to_ascii_lowercase();
    for wanted in [
        "get /socket http/1.1",
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
    ] {
        assert!(lower.contains(wanted), "{wanted} in {head}");
    }
    let at = lower.find("sec-websocket-key: ").expect("a key") + 19;
    let key = head[at..].lines().next().expect("a line");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{headers}\r\n",
        accept_of(key)
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    for answer in answers {
        read_frame(&mut stream).await?;
        stream.write_all(&answer).await.ok()?;
    }
    while read_frame(&mut stream).await.is_some() {}
    Some(())
}

/// One short masked frame of the client.
async fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let (first, second) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
    assert!(second & 0x80 != 0 && second & 0x7f < 126, "masked and short");
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; usize::from(second & 0x7f)];
    stream.read_exact(&mut payload).await.ok()?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Some((first, payload))
}

fn text(words: &str) -> Vec<u8> {
    [&[0x81, words.len() as u8], words.as_bytes()].concat()
}

#[tokio::test]
async fn a_handshake_that_comes_about() {
    let url = server("", vec![]).await;
    ask_url(&*url).await.healthy();
    let url = server(
        "Sec-WebSocket-Protocol: chat\r\n",
        vec![vec![0x8a, 4, b'w', b'h', b'y', b'd']],
    )
    .await;
    ask(Ask::new(&*url).with("websocket: {subprotocols: [superchat, chat], ping: true}"))
        .await
        .healthy();
}

#[tokio::test]
async fn a_conversation_in_messages() {
    let answer = [
        text("noise"),
        vec![0x89, 0],
        vec![0x01, 3, b'h', b'e', b'l'],
        vec![0x80, 2, b'l', b'o'],
    ]
    .concat();
    let url = server("", vec![answer]).await;
    let with = |expect: &str| {
        Ask::new(&*url)
            .with("timeouts: {first_byte: 400ms}")
            .with(format!("dialogue: [{{send: hi}}, {{expect: '{expect}'}}]"))
    };
    ask(with("^hello$")).await.healthy();
    ask(with("^goodbye$"))
        .await
        .failed("assert.body verify slow config no")
        .evidence("wanted", "^goodbye$")
        .evidence("got", "hello")
        .evidence("step", "step 2");
}

#[tokio::test]
async fn a_peer_that_closes_says_why() {
    let close = [&[0x88, 10, 0x03, 0xf5][..], b"try late"].concat();
    let url = server("", vec![close]).await;
    ask(Ask::new(&*url).with("dialogue: [{send: hi}, {expect: hello}]"))
        .await
        .failed("assert.body first_byte fast config no")
        .evidence("close_code", 1013)
        .evidence("close_code_name", "try again later")
        .evidence("close_reason", "try late");
}

#[tokio::test]
async fn a_peer_that_says_nothing_or_nonsense() {
    let url = server("", vec![vec![]]).await;
    ask(Ask::new(&*url)
        .with("timeouts: {first_byte: 300ms}")
        .with("websocket: {ping: true}"))
    .await
    .failed("deadline.exceeded first_byte slow unclear idempotent_only")
    .evidence("step", "ping");
    let url = server("", vec![vec![0xf1, 0]]).await;
    ask(Ask::new(&*url).with("websocket: {ping: true}"))
        .await
        .failed("http.protocol.error first_byte fast remote no");
}

async fn answering(answer: &str) -> Diagnosis {
    let scripts = Scripts::always(vec![
        Step::ReadHead,
        Step::text(answer),
        Step::Fin,
        Step::WaitForClose,
    ]);
    let server = tcp::start(scripts).await.expect("a port");
    ask_url(format!("ws://{}/", server.address())).await
}

#[tokio::test]
async fn anything_but_101_is_a_refusal() {
    for (answer, status, fix) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            "serves something else",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://other.example/?t=1\r\nContent-Length: 0\r\n\r\n",
            301,
            "https://other.example/",
        ),
        (
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
            401,
            "credentials",
        ),
        ("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403, "Origin"),
        (
            "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            404,
            "correct the path",
        ),
        (
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
            426,
            "Upgrade",
        ),
        (
            "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy",
            503,
            "look behind",
        ),
    ] {
        answering(answer)
            .await
            .failed("websocket.upgrade_refused first_byte fast config no")
            .evidence("status", status)
            .fix(fix);
    }
}

#[tokio::test]
async fn a_101_must_be_right_in_every_header() {
    let wrong_key =
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
    answering(wrong_key)
        .await
        .failed("websocket.upgrade_refused first_byte fast config no")
        .evidence("header", "Sec-WebSocket-Accept")
        .evidence("got", "AAAA");
    answering("HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        .await
        .failed("websocket.upgrade_refused first_byte fast config no")
        .evidence("header", "Upgrade")
        .evidence("got", "h2c");
    answering("HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n")
        .await
        .failed("websocket.upgrade_refused first_byte fast config no")
        .evidence("header", "Connection")
        .evidence("absent", true);
    let url = server("Sec-WebSocket-Protocol: other\r\n", vec![]).await;
    ask(Ask::new(&*url).with("websocket: {subprotocols: [chat]}"))
        .await
        .failed("websocket.upgrade_refused first_byte fast config no")
        .evidence("header", "Sec-WebSocket-Protocol")
        .evidence("wanted", "chat");
    let url = server("Sec-WebSocket-Extensions: permessage-deflate\r\n", vec![]).await;
    ask_url(&*url)
        .await
        .failed("websocket.upgrade_refused first_byte fast config no")
        .evidence("header", "Sec-WebSocket-Extensions");
}

#[tokio::test]
async fn ports_of_the_other_kind() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    ask_url(format!("wss://{}/", server.address()))
        .await
        .failed("tls.protocol.error.plaintext_peer tls fast config no");
    let trust = crate::identity::Trust::new();
    let server = crate::identity::https(&trust.good()).await;
    ask_url(format!("ws://{}/", server.address()))
        .await
        .failed("http.protocol.error.tls_peer first_byte fast config no")
        .fix("wss://");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel() {
    use whyd::lab::proxy::{self, ProxyBehaviour};
    let relay = proxy::start(ProxyBehaviour::Relay).await.expect("a port");
    let denies = proxy::start(ProxyBehaviour::denied()).await.expect("a port");
    let socket = server("", vec![]).await;
    let health = whyd::lab::grpc::start(whyd::lab::grpc::GrpcBehaviour::Health(1), None)
        .await
        .expect("a port");
    let redis = tcp::start(Scripts::always(vec![
        Step::ReadBytes(14),
        Step::text("+PONG\r\n"),
        Step::WaitForClose,
    ]))
    .await
    .expect("a port");
    for url in [
        socket,
        format!("grpc://{}/", health.address()),
        format!("redis://{}", redis.address()),
    ] {
        let by =
            |proxy: &whyd::lab::Server| Ask::new(&*url).with(format!("proxy: 'http://{}'", proxy.address()));
        let found = ask(by(&relay)).await;
        found.healthy();
        assert_eq!(
            found.0["attempts"][0]["hops"][0]["role"],
            "proxy",
            "{}",
            found.pretty()
        );
        let asked = relay.last_head().expect("a request");
        assert!(asked.starts_with("CONNECT 127.0.0.1:"), "{asked}");
        ask(by(&denies))
            .await
            .failed("proxy.connect_denied proxy fast config no");
    }
}
