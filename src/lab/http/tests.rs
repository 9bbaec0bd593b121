use super::*;

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::certs::{Authority, CertSpec};
use crate::lab::tls::TlsOptions;

const LIMIT: Duration = Duration::from_secs(5);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

/// Sends a request that asks for a close, and reads to the end.
async fn exchange(server: &HttpServer, path: &str) -> (String, Option<io::ErrorKind>) {
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    read_out(&mut client).await
}

async fn read_out(client: &mut TcpStream) -> (String, Option<io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(LIMIT, client.read_to_end(&mut bytes)).await.unwrap();
    (
        String::from_utf8_lossy(&bytes).into_owned(),
        end.err().map(|error| error.kind()),
    )
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(n, value)| n.eq_ignore_ascii_case(name).then_some(value))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn complete_answers_are_complete() {
    let server = HttpServer::plain(Behaviour::ok()).await.unwrap();
    let (answer, end) = exchange(&server, "/").await;
    assert_eq!((status(&answer), body(&answer), end), (200, "ok\n", None));
    assert_eq!(header(&answer, "content-length"), Some("3"));

    server.set_behaviour(Arc::new(Behaviour::TooMany {
        retry_after: "30".into(),
    }));
    let (answer, _) = exchange(&server, "/").await;
    assert_eq!(
        (status(&answer), header(&answer, "Retry-After")),
        (429, Some("30"))
    );

    server.set_behaviour(Arc::new(Behaviour::Status {
        status: 401,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: b"{}".to_vec(),
    }));
    let (answer, _) = exchange(&server, "/token?x=1").await;
    assert_eq!((status(&answer), body(&answer)), (401, "{}"));
    assert_eq!(answer.matches("Content-Type").count(), 1);
    assert!(
        server
            .server()
            .last_head()
            .unwrap()
            .starts_with("GET /token?x=1 HTTP/1.1\r\n")
    );

    server.set_behaviour(Arc::new(Behaviour::OnlyAt { path: "/a/".into() }));
    assert_eq!(status(&exchange(&server, "/a").await.0), 404);
    assert_eq!(status(&exchange(&server, "/a/?q").await.0), 200);

    server.set_behaviour(Arc::new(Behaviour::status(204)));
    let (answer, _) = exchange(&server, "/").await;
    assert_eq!((status(&answer), header(&answer, "content-length")), (204, None));
    assert_eq!(server.server().requests(), 6);
}

#[tokio::test]
async fn a_flaky_server_keeps_its_pattern() {
    let server = HttpServer::plain(Behaviour::FlakyThenOk {
        failures: 2,
        status: 503,
        successes: 1,
    })
    .await
    .unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(status(&exchange(&server, "/").await.0));
    }
    assert_eq!(seen, [503, 503, 200, 503, 503, 200]);
}

#[tokio::test]
async fn redirects_loop_or_end() {
    let server = HttpServer::plain(Behaviour::RedirectLoop).await.unwrap();
    let mut path = "/".to_owned();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (answer, _) = exchange(&server, &path).await;
        path = header(&answer, "Location").unwrap().to_owned();
        seen.push(path.clone());
    }
    assert_eq!(seen, ["/there", "/back", "/there"]);

    server.set_behaviour(Arc::new(Behaviour::RedirectChain { hops: 2 }));
    let mut path = "/".to_owned();
    let mut hops = 0;
    loop {
        let (answer, _) = exchange(&server, &path).await;
        match header(&answer, "Location") {
            Some(to) => path = to.to_owned(),
            None => break assert_eq!(status(&answer), 200),
        }
        hops += 1;
    }
    assert_eq!(hops, 2);
}

#[tokio::test]
async fn broken_answers_break_where_they_should() {
    let server = HttpServer::plain(Behaviour::Truncated {
        content_length: 100,
        sent: 10,
    })
    .await
    .unwrap();
    let (answer, end) = exchange(&server, "/").await;
    assert_eq!((body(&answer).len(), end), (10, None));
    assert_eq!(header(&answer, "content-length"), Some("100"));

    server.set_behaviour(Arc::new(Behaviour::ShortChunked));
    let (answer, _) = exchange(&server, "/").await;
    assert_eq!(body(&answer), "6\r\nchunk \r\nff\r\ncut");

    server.set_behaviour(Arc::new(Behaviour::ResetMidResponse { sent: 10 }));
    let (_, end) = exchange(&server, "/").await;
    assert_eq!(end, Some(io::ErrorKind::ConnectionReset));

    server.set_behaviour(Arc::new(Behaviour::Empty));
    assert_eq!(exchange(&server, "/").await, (String::new(), None));

    server.set_behaviour(Arc::new(Behaviour::HugeHeaders { bytes: 70_000 }));
    let (answer, _) = exchange(&server, "/").await;
    assert_eq!(header(&answer, "X-Filler").unwrap().len(), 70_000);

    server.set_behaviour(Arc::new(Behaviour::BrokenGzip));
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    let start = crate::lab::connection::find(&bytes, b"\r\n\r\n").unwrap() + 4;
    let mut decoder = flate2::read::GzDecoder::new(&bytes[start..]);
    assert!(decoder.header().is_some(), "the header itself must be sound");
    assert!(io::Read::read_to_end(&mut decoder, &mut Vec::new()).is_err());
}

#[tokio::test]
async fn stalls_stall_and_end_with_the_client() {
    let server = HttpServer::plain(Behaviour::BodyStall { sent: 7 }).await.unwrap();
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    client.write_all(GET).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b".......") {
        assert_ne!(
            timeout(LIMIT, client.read_buf(&mut seen)).await.unwrap().unwrap(),
            0
        );
    }
    let more = timeout(Duration::from_millis(50), client.read_u8()).await;
    assert!(more.is_err(), "nothing may follow");

    let wait = Duration::from_millis(60);
    server.set_behaviour(Arc::new(Behaviour::SlowFirstByte { wait }));
    let began = Instant::now();
    let (answer, _) = exchange(&server, "/").await;
    assert_eq!(status(&answer), 200);
    assert!(began.elapsed() >= wait);
}

#[tokio::test]
async fn idle_connections_are_closed_as_told_and_serve_until_then() {
    for (ending, expected) in [
        (Ending::Fin, None),
        (Ending::Reset, Some(io::ErrorKind::ConnectionReset)),
    ] {
        let idle = IdleClose {
            after: Duration::from_millis(50),
            ending,
        };
        let options = HttpOptions {
            idle: Some(idle),
            ..HttpOptions::default()
        };
        let server = HttpServer::start(Behaviour::ok(), options).await.unwrap();
        let mut client = TcpStream::connect(server.address()).await.unwrap();
        for _ in 0..2 {
            client.write_all(GET).await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"ok\n") {
                assert_ne!(
                    timeout(LIMIT, client.read_buf(&mut seen)).await.unwrap().unwrap(),
                    0
                );
            }
        }
        let (rest, end) = read_out(&mut client).await;
        assert_eq!((rest.as_str(), end), ("", expected));
        assert_eq!(
            (server.server().connections(), server.server().requests()),
            (1, 2)
        );
    }
}

#[tokio::test]
async fn plain_http_to_a_tls_port_is_explained_or_alerted() {
    let issued = Authority::new("lab").unwrap().issue(CertSpec::default()).unwrap();
    let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, TlsOptions::default()).unwrap();
    for explain_plain_http in [true, false] {
        let options = HttpOptions {
            tls: Some(tls.clone()),
            explain_plain_http,
            idle: None,
        };
        let server = HttpServer::start(Behaviour::ok(), options).await.unwrap();
        let mut client = TcpStream::connect(server.address()).await.unwrap();
        client.write_all(GET).await.unwrap();
        let mut bytes = Vec::new();
        // A reset may follow the alert, since part of the request was not read; the bytes are what counts.
        let _ = timeout(LIMIT, client.read_to_end(&mut bytes)).await.unwrap();
        if explain_plain_http {
            let answer = String::from_utf8(bytes).unwrap();
            assert_eq!(status(&answer), 400);
            assert!(body(&answer).contains("plain HTTP request was sent to HTTPS port"));
        } else {
            assert_eq!(bytes[..2], [0x15, 0x03], "a TLS alert record");
        }
    }
}

#[tokio::test]
async fn a_client_hello_to_a_plain_port_is_a_bad_request() {
    let server = HttpServer::plain(Behaviour::ok()).await.unwrap();
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    client
        .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        .await
        .unwrap();
    let (answer, end) = read_out(&mut client).await;
    assert_eq!((status(&answer), end), (400, None));
    assert_eq!(server.server().requests(), 0);
}
