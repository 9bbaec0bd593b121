//! Expectations, tokens, second looks, and what must never happen.

use super::*;
use crate::model::attempt::{ConfirmationResult, Role, TokenTrouble, Unexpected};
use crate::model::order::{ConfirmationKind, ConfirmationOrder};
use crate::model::secret::{Secret, SecretRef, Text};

#[tokio::test]
async fn a_body_that_is_not_as_expected() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    gzip.write_all(br#"{"status":"degraded"}"#).unwrap();
    let body = gzip.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    let server = Server::answering(answer).await;
    let mut probe = http(url(server.address, "/"));
    probe.expect.body_contains = ["degraded".into()].into();
    assert_eq!(get(probe.clone()).await.stop(), None);
    probe.expect.body_json = [JsonExpect {
        path: "$.status".into(),
        equals: Some("\"up\"".into()),
    }]
    .into();
    let attempt = get(probe).await;
    assert_stop(
        &attempt,
        Phase::Verify,
        Trouble::Unexpected(Unexpected::Body {
            wanted: "$.status = \"up\"".into(),
            excerpt: r#"{"status":"degraded"}"#.into(),
        }),
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_names_its_file() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut probe = http(url(server.address, "/"));
    probe.auth = Auth::Bearer(SecretRef::File("/nonexistent/token".into()));
    let attempt = get(probe).await;
    let Trouble::Credentials(text) = &stop(&attempt).trouble else {
        panic!("{attempt:?}")
    };
    assert!(text.contains("/nonexistent/token"));
    assert_eq!((server.count(), attempt.hops.len()), (0, 0));
}

#[tokio::test]
async fn a_secret_that_cannot_be_sent_is_not_shown() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut probe = http(url(server.address, "/"));
    probe.headers = [(
        "X-Key".into(),
        Text::Secret(SecretRef::Inline(Secret::new("hunter2\nx"))),
    )]
    .into();
    let attempt = get(probe).await;
    assert!(matches!(stop(&attempt).trouble, Trouble::Credentials(_)));
    assert!(!format!("{attempt:?}").contains("hunter2"));
}

fn client(token_server: &Server, to: &Server) -> HttpProbe {
    let mut probe = http(url(to.address, "/"));
    probe.auth = Auth::ClientCredentials(Arc::new(ClientCredentials {
        token_url: url(token_server.address, "/token"),
        client_id: "me".into(),
        client_secret: SecretRef::Inline(Secret::new("p:w")),
        scopes: ["a".into(), "b".into()].into(),
        audience: None,
    }));
    probe
}

#[tokio::test]
async fn a_token_is_fetched_once() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let issuer = Server::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let head = read_head(&mut stream).await;
            let mut body = [0; 39];
            stream.read_exact(&mut body).await.unwrap();
            tell.send((head, String::from_utf8(body.to_vec()).unwrap()))
                .unwrap();
            let token = r#"{"access_token":"t0k","token_type":"Bearer","expires_in":3600}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{token}",
                token.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            finish(stream).await;
        }
    })
    .await;
    let server = Server::start(|mut stream, number| async move {
        let head = read_head(&mut stream).await;
        assert!(head.contains("authorization: Bearer t0k"), "{head}");
        let answer: &[u8] = if number == 2 {
            b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
        } else {
            b"HTTP/1.1 204 No Content\r\n\r\n"
        };
        stream.write_all(answer).await.unwrap();
        finish(stream).await;
    })
    .await;
    let prober = Prober::new();
    let order = order(dependency(Probe::Http(Box::new(client(&issuer, &server)))));
    let first = prober.attempt(&order).await;
    assert_eq!(first.stop(), None, "{first:?}");
    assert_eq!(first.hops[0].role, Role::TokenEndpoint);
    assert_eq!(first.hops[1].role, Role::Target);
    assert!(!format!("{first:?}").contains("t0k"));
    let (head, body) = told.recv().await.unwrap();
    assert!(head.starts_with("POST /token HTTP/1.1"));
    // base64 of `me:p%3Aw`.
    assert!(head.contains("authorization: Basic bWU6cCUzQXc="), "{head}");
    assert_eq!(body, "grant_type=client_credentials&scope=a+b");
    let second = prober.attempt(&order).await;
    assert_eq!((second.stop(), second.hops.len()), (None, 1));
    // A token that is not taken any more is replaced by the next attempt.
    assert!(prober.attempt(&order).await.stop().is_some());
    assert_eq!(prober.attempt(&order).await.hops.len(), 2);
    assert_eq!(issuer.count(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_given() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    for (answer, trouble) in [
        (
            "HTTP/1.1 401 No\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}",
            TokenTrouble::Status {
                status: 401,
                error: Some("invalid_client".into()),
            },
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            TokenTrouble::Malformed,
        ),
    ] {
        let issuer = Server::answering(answer).await;
        let attempt = get(client(&issuer, &server)).await;
        assert_eq!(stop(&attempt).trouble, Trouble::Token(trouble));
        assert_eq!(attempt.hops[0].role, Role::TokenEndpoint);
    }
    assert_eq!(server.count(), 0);
}

async fn confirm(probe: HttpProbe, kind: ConfirmationKind) -> ConfirmationResult {
    let order = ConfirmationOrder {
        index: DependencyIndex(0),
        dependency: Arc::new(dependency(Probe::Http(Box::new(probe)))),
        operation: OperationId(1),
        kind,
        budget: Duration::from_secs(2),
    };
    Prober::new().confirm(&order).await.result
}

#[tokio::test]
async fn the_variants_of_a_url_that_was_not_found() {
    let server = Server::start(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        let answer: &[u8] = if head.starts_with("GET /a?q=1 ") {
            b"HTTP/1.1 200 OK\r\n\r\n"
        } else {
            b"HTTP/1.1 404 Not Found\r\n\r\n"
        };
        stream.write_all(answer).await.unwrap();
        finish(stream).await;
    })
    .await;
    let probe = http(url(server.address, "/a/?q=1"));
    let found = confirm(probe, ConfirmationKind::NotFoundVariants).await;
    let shown = format!("http://{}/a?…", server.address).into();
    assert_eq!(found, ConfirmationResult::NotFoundVariants(vec![(shown, 200)]));
}

#[tokio::test]
async fn a_client_hello_tells_who_speaks_tls() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let secure = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let _ = acceptor.accept(stream).await;
        }
    })
    .await;
    let plain = Server::start(|mut stream, _| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        finish(stream).await;
    })
    .await;
    for (server, spoke_tls) in [(&secure, true), (&plain, false)] {
        let probe = http(url(server.address, "/"));
        let result = confirm(probe, ConfirmationKind::ClientHello(server.address)).await;
        assert_eq!(result, ConfirmationResult::ClientHello { spoke_tls });
    }
}

#[tokio::test]
async fn a_fresh_connection_after_a_stale_one() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
    let probe = http(url(server.address, "/"));
    let fresh = ConfirmationKind::FreshConnection(server.address);
    assert_eq!(
        confirm(probe.clone(), fresh.clone()).await,
        ConfirmationResult::FreshConnection { worked: true }
    );
    let gone = Server::answering("").await;
    let probe_gone = http(url(gone.address, "/"));
    assert_eq!(
        confirm(probe_gone, ConfirmationKind::FreshConnection(gone.address)).await,
        ConfirmationResult::FreshConnection { worked: false }
    );
    let mut post = probe;
    post.method = "POST".into();
    assert!(matches!(
        confirm(post, fresh).await,
        ConfirmationResult::NotDone(_)
    ));
}

/// The daemon spawns attempts: their futures must be able to move between threads.
#[test]
fn attempts_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let prober = Prober::new();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let order = order(dependency(Probe::Http(Box::new(http(url(address, "/"))))));
    is_send(&prober.attempt(&order));
}

#[tokio::test]
async fn a_dripping_error_page_does_not_use_up_the_attempt() {
    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut drip = tokio::time::interval(Duration::from_millis(20));
        loop {
            drip.tick().await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    })
    .await;
    // Well below the attempt's budget of 10 s: the status has decided, and the page is evidence only.
    let attempt = get_from(&server).await;
    assert!(matches!(stop(&attempt).trouble, Trouble::Unexpected(_)));
    assert_eq!(attempt.status(), Some(500));
    let response = attempt.hops[0].response.as_ref().unwrap();
    assert!(
        response
            .body_excerpt
            .as_deref()
            .is_some_and(|page| page.starts_with("xx"))
    );
}
