//! HTTP/1: what a peer can do wrong between the request and the end of the body.

use super::*;
use crate::model::attempt::{Call, HttpTrouble, Protocol, RetryAfter, TlsTrouble, Unexpected};
use crate::model::secret::{Secret, SecretRef, Text};

#[tokio::test]
async fn a_plain_answer() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\n\r\nok";
    let server = Server::answering(answer).await;
    let attempt = get_from(&server).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    let hop = &attempt.hops[0];
    assert_eq!((hop.status, hop.protocol), (Some(200), Some(Protocol::Http11)));
    assert_eq!(hop.received, answer.len() as u64);
    assert!(hop.sent > 50 && hop.first_bytes.is_empty());
    let response = hop.response.as_ref().unwrap();
    assert_eq!((response.body_bytes, response.server.as_deref()), (2, Some("x")));
    for phase in [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Body] {
        assert!(hop.phases.get(phase).is_some(), "{phase}");
    }
    for phase in [Phase::Resolve, Phase::Tls, Phase::Proxy, Phase::Verify] {
        assert_eq!(hop.phases.get(phase), None, "{phase}");
    }
    assert!(attempt.phases().sum() <= attempt.elapsed);
}

#[tokio::test]
async fn the_request_is_as_configured() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            tell.send(read_head(&mut stream).await).unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let mut probe = http(url(server.address, "/a?b=c"));
    probe.method = "POST".into();
    probe.body = Some(Text::Plain("hello".into()));
    probe.headers = [
        ("Accept".into(), Text::Plain("text/plain".into())),
        (
            "X-Key".into(),
            Text::Secret(SecretRef::Inline(Secret::new("hunter2"))),
        ),
    ]
    .into();
    probe.auth = Auth::Basic {
        user: "u".into(),
        password: SecretRef::Inline(Secret::new("p")),
    };
    let attempt = get(probe).await;
    assert_eq!(attempt.stop(), None);
    let head = told.recv().await.unwrap();
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "POST /a?b=c HTTP/1.1");
    let host = format!("host: {}", server.address);
    for line in [
        host.as_str(),
        "user-agent: whyd/test",
        "accept: text/plain",
        "accept-encoding: gzip, deflate, br",
        "connection: close",
        "x-key: hunter2",
        "authorization: Basic dTpw",
        "content-length: 5",
    ] {
        assert_eq!(
            lines.iter().filter(|l| **l == line).count(),
            1,
            "{line} in {head}"
        );
    }
    assert_eq!(head.matches("accept:").count(), 1);
    // Nothing secret is among the facts.
    assert!(!format!("{attempt:?}").contains("b=c"));
}

#[tokio::test]
async fn closed_with_nothing() {
    let server = Server::answering("").await;
    let attempt = get_from(&server).await;
    assert_stop(&attempt, Phase::FirstByte, Trouble::Closed);
    assert_eq!((attempt.hops[0].received, attempt.hops[0].reused), (0, false));
}

#[tokio::test]
async fn closed_at_once_is_told_in_the_same_way() {
    let server = Server::start(|stream, _| finish(stream)).await;
    for _ in 0..20 {
        assert_stop(&get_from(&server).await, Phase::FirstByte, Trouble::Closed);
    }
}

#[tokio::test]
async fn a_cut_head() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Le").await;
    let attempt = get_from(&server).await;
    assert_stop(
        &attempt,
        Phase::FirstByte,
        Trouble::Http(HttpTrouble::HeadTruncated),
    );
    assert!(attempt.hops[0].first_bytes.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_malformed_head() {
    for answer in ["220 mail.example ESMTP\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n"] {
        let server = Server::answering(answer).await;
        let attempt = get_from(&server).await;
        assert_stop(&attempt, Phase::FirstByte, Trouble::Http(HttpTrouble::Malformed));
        assert_eq!(&*attempt.hops[0].first_bytes, answer.as_bytes());
    }
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(500));
    for answer in [large, many] {
        let server = Server::answering(answer).await;
        let attempt = get_from(&server).await;
        assert_stop(
            &attempt,
            Phase::FirstByte,
            Trouble::Http(HttpTrouble::HeadTooLarge),
        );
    }
}

#[tokio::test]
async fn reset_before_any_answer() {
    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        reset(stream);
    })
    .await;
    let attempt = get_from(&server).await;
    assert_stop(
        &attempt,
        Phase::FirstByte,
        Trouble::Io {
            call: Call::Receive,
            errno: libc::ECONNRESET,
        },
    );
    assert_eq!(attempt.hops[0].received, 0);
    assert!(attempt.hops[0].sent > 0);
}

#[tokio::test]
async fn reset_within_the_body() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = Server::start(move |mut stream, _| {
        let mut gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            let some = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal";
            stream.write_all(some).await.unwrap();
            // Not every system lets bytes be read behind an RST: wait until they were.
            gone.wait_for(|gone| *gone).await.unwrap();
            reset(stream);
        }
    })
    .await;
    let order = order(dependency(Probe::Http(Box::new(http(url(server.address, "/"))))));
    let prober = Prober::new();
    let attempt = prober.attempt(&order);
    tokio::pin!(attempt);
    // The answer is read as far as it goes while the timer runs; then the server resets.
    let early = tokio::time::timeout(Duration::from_millis(50), &mut attempt).await;
    assert!(early.is_err());
    go.send(true).unwrap();
    let attempt = attempt.await;
    assert_stop(
        &attempt,
        Phase::Body,
        Trouble::Io {
            call: Call::Receive,
            errno: libc::ECONNRESET,
        },
    );
    assert_eq!(attempt.hops[0].response.as_ref().unwrap().body_bytes, 3);
}

#[tokio::test]
async fn short_bodies() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").await;
    assert_stop(
        &get_from(&server).await,
        Phase::Body,
        Trouble::Http(HttpTrouble::ShortBody { expected: 10, got: 3 }),
    );
    for cut in ["5\r\nhello\r\n", "5\r\nhel", "5\r\nhello\r\n0\r\n", ""] {
        let server = Server::answering(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{cut}"
        ))
        .await;
        assert_stop(
            &get_from(&server).await,
            Phase::Body,
            Trouble::Http(HttpTrouble::ShortChunked),
        );
    }
}

#[tokio::test]
async fn a_chunk_size_that_is_none() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello").await;
    let attempt = get_from(&server).await;
    let stop = stop(&attempt);
    assert!(
        matches!(&stop.trouble, Trouble::Http(HttpTrouble::Protocol(_))),
        "{stop:?}"
    );
}

#[tokio::test]
async fn bodies_that_end_well() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let server = Server::answering(answer).await;
        let attempt = get_from(&server).await;
        assert_eq!(attempt.stop(), None, "{answer:?}: {attempt:?}");
    }
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
    let mut probe = http(url(server.address, "/"));
    probe.method = "HEAD".into();
    let attempt = get(probe).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    assert_eq!(attempt.hops[0].phases.get(Phase::Body), None);
}

#[tokio::test]
async fn a_broken_coding() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain")
            .await;
    let attempt = get_from(&server).await;
    let stop = stop(&attempt);
    assert_eq!(stop.phase, Some(Phase::Body));
    assert!(
        matches!(&stop.trouble, Trouble::Http(HttpTrouble::Decoding(_))),
        "{stop:?}"
    );
}

#[tokio::test]
async fn more_body_than_wanted_is_left_alone() {
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(500_000))).await;
    let mut probe = http(url(server.address, "/"));
    probe.max_body = 1000;
    let attempt = get(probe).await;
    assert_eq!(attempt.stop(), None);
    let read = attempt.hops[0].response.as_ref().unwrap().body_bytes;
    assert!((1000..500_000).contains(&read), "{read}");
}

async fn stalls_after(answer: &'static [u8], timeouts: Timeouts) -> Attempt {
    let server = Server::start(move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut stalling = dependency(Probe::Http(Box::new(http(url(server.address, "/")))));
    stalling.timeouts = timeouts;
    Prober::new().attempt(&order(stalling)).await
}

#[tokio::test]
async fn a_first_byte_that_does_not_come() {
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(40),
        ..Timeouts::default()
    };
    for some in [&b""[..], b"HTTP/1.1 200"] {
        let attempt = stalls_after(some, timeouts).await;
        assert_stop(&attempt, Phase::FirstByte, Trouble::TimedOut(Budget::Phase));
        // The request was acknowledged: the peer is slow, the path is not.
        #[cfg(target_os = "linux")]
        assert_eq!(attempt.hops[0].tcp.unwrap().unacked, 0);
    }
}

#[tokio::test]
async fn a_body_that_stalls() {
    let timeouts = Timeouts {
        body: Duration::from_millis(40),
        ..Timeouts::default()
    };
    let attempt = stalls_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", timeouts).await;
    assert_stop(&attempt, Phase::Body, Trouble::TimedOut(Budget::Phase));
    assert_eq!(attempt.hops[0].response.as_ref().unwrap().body_bytes, 3);
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_attempt() {
    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut order = order(dependency(Probe::Http(Box::new(http(url(server.address, "/"))))));
    order.budget = Duration::from_millis(60);
    let attempt = Prober::new().attempt(&order).await;
    assert_stop(&attempt, Phase::Body, Trouble::TimedOut(Budget::Attempt));
}

#[tokio::test]
async fn a_request_that_nobody_reads_stays_in_its_phase() {
    let server = Server::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut probe = http(url(server.address, "/"));
    probe.method = "POST".into();
    // More than both socket buffers hold.
    probe.body = Some(Text::Plain("x".repeat(16 << 20).into()));
    let mut slow = dependency(Probe::Http(Box::new(probe)));
    slow.timeouts.first_byte = Duration::from_millis(300);
    let attempt = Prober::new().attempt(&order(slow)).await;
    assert_stop(&attempt, Phase::Request, Trouble::TimedOut(Budget::Phase));
    assert_eq!(attempt.hops[0].phases.get(Phase::FirstByte), None);
}

#[tokio::test]
async fn tls_answers_plain_http() {
    // An alert record: fatal, unexpected message.
    let server = Server::answering(*b"\x15\x03\x01\x00\x02\x02\x0a").await;
    let attempt = get_from(&server).await;
    let stop = stop(&attempt);
    assert!(
        matches!(&stop.trouble, Trouble::Http(HttpTrouble::Protocol(_))),
        "{stop:?}"
    );
    assert_eq!(&*attempt.hops[0].first_bytes, b"\x15\x03\x01\x00\x02\x02\x0a");
}

#[tokio::test]
async fn http_1_meets_http_2() {
    // SETTINGS, then GOAWAY(PROTOCOL_ERROR).
    let server = Server::answering(*b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01").await;
    let attempt = get_from(&server).await;
    let stop = stop(&attempt);
    assert!(
        matches!(&stop.trouble, Trouble::Http(HttpTrouble::Version(_))),
        "{stop:?}"
    );
}

#[tokio::test]
async fn an_error_status_is_kept_with_its_explanation() {
    let server = Server::answering(
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nVia: 1.1 lb\r\nContent-Length: 11\r\n\r\nno\x07 backend",
    )
    .await;
    let attempt = get_from(&server).await;
    assert_stop(
        &attempt,
        Phase::FirstByte,
        Trouble::Unexpected(Unexpected::Status {
            got: 503,
            wanted: "2xx".into(),
        }),
    );
    let response = attempt.hops[0].response.as_ref().unwrap();
    assert_eq!(response.retry_after, Some(RetryAfter::Seconds(7)));
    assert_eq!(response.body_excerpt.as_deref(), Some("no backend"));
    assert_eq!(response.via.as_deref(), Some("1.1 lb"));
}

#[tokio::test]
async fn an_error_status_is_not_held_up_by_its_body() {
    let attempt = stalls_after(
        b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\nwhy",
        Timeouts {
            body: Duration::from_millis(40),
            ..Timeouts::default()
        },
    )
    .await;
    assert!(matches!(
        stop(&attempt).trouble,
        Trouble::Unexpected(Unexpected::Status { got: 500, .. })
    ));
    let response = attempt.hops[0].response.as_ref().unwrap();
    assert_eq!(response.body_excerpt.as_deref(), Some("why"));
}

#[tokio::test]
async fn a_client_certificate_is_missed_only_after_the_handshake() {
    let identity = Identity::wanting_certificates();
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            // It fails, and says so by an alert.
            let _ = acceptor.accept(stream).await;
        }
    })
    .await;
    let attempt = get(https(server.address, "/", &identity)).await;
    // 116 is certificate_required (RFC 8446, section 6).
    assert_stop(&attempt, Phase::Tls, Trouble::Tls(TlsTrouble::AlertReceived(116)));
}

#[tokio::test]
async fn https_works_and_needs_no_close_notify() {
    let identity = Identity::new(&[b"http/1.1"]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, number| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_head(&mut stream).await;
            let answer: &[u8] = match number {
                0 => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                1 => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
                2 => b"",
                _ => b"HTTP/1.1 200 OK\r\n\r\nok",
            };
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
            // The socket ends without TLS having been ended.
            finish(stream.into_inner().0).await;
        }
    })
    .await;
    let probe = https(server.address, "/", &identity);
    let whole = get(probe.clone()).await;
    assert_eq!(whole.stop(), None, "{whole:?}");
    let short = get(probe.clone()).await;
    let trouble = HttpTrouble::ShortBody { expected: 9, got: 2 };
    assert_stop(&short, Phase::Body, Trouble::Http(trouble));
    let empty = get(probe.clone()).await;
    assert_stop(&empty, Phase::FirstByte, Trouble::Closed);
    let open = get(probe).await;
    assert_eq!(open.stop(), None, "{open:?}");
}
