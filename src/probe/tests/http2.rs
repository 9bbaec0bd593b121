//! HTTP/2, against the h2 crate's own server side.

use super::*;
use crate::model::attempt::{H2Frame, H2Trouble, HttpTrouble, Protocol, StaleKind};
use ::http::{Response, StatusCode};
use bytes::Bytes;
use h2::Reason;

type Connection = h2::server::Connection<TcpStream, Bytes>;

async fn serving<F, R>(script: F) -> Server
where
    F: Fn(Connection, usize) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Server::start(move |stream, number| {
        let script = script.clone();
        async move {
            let connection = h2::server::handshake(stream).await.unwrap();
            script(connection, number).await;
        }
    })
    .await
}

fn h2(address: SocketAddr) -> HttpProbe {
    let mut probe = http(url(address, "/"));
    probe.version = HttpVersion::Http2;
    probe
}

fn frame(frame: H2Frame, reason: Reason) -> Trouble {
    Trouble::H2(H2Trouble {
        frame,
        reason: reason.into(),
        remote: true,
    })
}

fn ok(length: Option<&str>) -> Response<()> {
    let mut response = Response::builder().status(StatusCode::OK);
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    response.body(()).unwrap()
}

#[tokio::test]
async fn an_answer_and_reuse() {
    let server = serving(|mut connection, _| async move {
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            assert_eq!(request.headers().get("connection"), None);
            assert!(request.uri().authority().is_some());
            let mut body = respond.send_response(ok(Some("2")), false).unwrap();
            body.send_data(Bytes::from_static(b"ok"), true).unwrap();
        }
    })
    .await;
    let mut kept = dependency(Probe::Http(Box::new(h2(server.address))));
    kept.keepalive.reuse = true;
    let order = order(kept);
    let prober = Prober::new();
    for i in 0..3 {
        let attempt = prober.attempt(&order).await;
        assert_eq!(attempt.stop(), None, "{attempt:?}");
        assert_eq!(attempt.hops[0].protocol, Some(Protocol::Http2));
        assert_eq!(attempt.hops[0].reused, i > 0);
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn refused_and_reset_streams() {
    for reason in [
        Reason::REFUSED_STREAM,
        Reason::INTERNAL_ERROR,
        Reason::ENHANCE_YOUR_CALM,
    ] {
        let server = serving(move |mut connection, _| async move {
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_reset(reason);
            while connection.accept().await.is_some() {}
        })
        .await;
        let attempt = get(h2(server.address)).await;
        assert_stop(&attempt, Phase::FirstByte, frame(H2Frame::Reset, reason));
    }
}

#[tokio::test]
async fn goaway_instead_of_an_answer() {
    let server = serving(|mut connection, _| async move {
        let _held = connection.accept().await.unwrap().unwrap();
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        std::future::poll_fn(|cx| connection.poll_closed(cx)).await.ok();
    })
    .await;
    let attempt = get(h2(server.address)).await;
    let wanted = frame(H2Frame::GoAway, Reason::ENHANCE_YOUR_CALM);
    assert_stop(&attempt, Phase::FirstByte, wanted);
}

#[tokio::test]
async fn reset_within_the_body() {
    for (length, reason) in [
        (None, Reason::INTERNAL_ERROR),
        (Some("10"), Reason::INTERNAL_ERROR),
        (Some("10"), Reason::NO_ERROR),
    ] {
        let server = serving(move |mut connection, _| async move {
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut body = respond.send_response(ok(length), false).unwrap();
            body.send_data(Bytes::from_static(b"hal"), false).unwrap();
            // The piece leaves before the reset does.
            tokio::task::yield_now().await;
            let flush = std::future::poll_fn(|cx| {
                let _ = connection.poll_closed(cx);
                std::task::Poll::Ready(())
            });
            flush.await;
            body.send_reset(reason);
            while connection.accept().await.is_some() {}
        })
        .await;
        let attempt = get(h2(server.address)).await;
        let stop = stop(&attempt);
        assert_eq!(stop.phase, Some(Phase::Body), "{attempt:?}");
        let known = stop.trouble == frame(H2Frame::Reset, reason)
            || reason == Reason::NO_ERROR
                && stop.trouble == Trouble::Http(HttpTrouble::ShortBody { expected: 10, got: 3 });
        assert!(known, "{reason:?}: {stop:?}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_it_says() {
    let server = serving(|mut connection, _| async move {
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = respond.send_response(ok(Some("10")), false).unwrap();
        body.send_data(Bytes::from_static(b"hal"), true).unwrap();
        while connection.accept().await.is_some() {}
    })
    .await;
    let attempt = get(h2(server.address)).await;
    let Trouble::Http(HttpTrouble::ShortBody { expected: 10, .. }) = stop(&attempt).trouble else {
        panic!("{attempt:?}");
    };
}

#[tokio::test]
async fn a_close_is_a_close() {
    let server = serving(|mut connection, _| async move {
        let _held = connection.accept().await.unwrap().unwrap();
    })
    .await;
    let attempt = get(h2(server.address)).await;
    let stop = stop(&attempt);
    assert!(
        matches!(
            stop.trouble,
            Trouble::Closed
                | Trouble::Io {
                    errno: libc::ECONNRESET,
                    ..
                }
        ),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn an_http_1_server() {
    let server = Server::start(|mut stream, _| async move {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        finish(stream).await;
    })
    .await;
    let attempt = get(h2(server.address)).await;
    assert!(
        matches!(&stop(&attempt).trouble, Trouble::Http(HttpTrouble::Version(_))),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn an_http_2_server_asked_in_http_1() {
    let server = Server::start(|stream, _| async move {
        // It sends its SETTINGS, refuses the preface and says goodbye.
        let _ = h2::server::handshake(stream).await;
    })
    .await;
    let attempt = get_from(&server).await;
    // Some servers just close; whether this one was heard first is a race that it loses by resetting.
    let stop = stop(&attempt);
    assert!(
        matches!(
            &stop.trouble,
            Trouble::Http(HttpTrouble::Version(_)) | Trouble::Closed | Trouble::Io { .. }
        ),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn goaway_while_parked() {
    let (end, ended) = tokio::sync::watch::channel(false);
    let server = serving(move |mut connection, _| {
        let mut ended = ended.clone();
        ended.mark_unchanged();
        async move {
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(ok(None), true).unwrap();
            tokio::select! {
                _ = connection.accept() => {}
                _ = ended.changed() => {
                    connection.graceful_shutdown();
                    while connection.accept().await.is_some() {}
                }
            }
        }
    })
    .await;
    let mut kept = dependency(Probe::Http(Box::new(h2(server.address))));
    kept.keepalive.reuse = true;
    let order = order(kept);
    let prober = Prober::new();
    assert_eq!(prober.attempt(&order).await.stop(), None);
    assert_eq!(prober.parked(), 1);
    end.send(true).unwrap();
    let way = super::super::pool::Way {
        scheme: Scheme::Http,
        endpoint: order.dependency.probe.endpoint().clone(),
        proxy: None,
    };
    until("GOAWAY is seen", || prober.0.pool.has_ended("it", &way)).await;
    let next = prober.attempt(&order).await;
    assert_eq!(next.stop(), None, "{next:?}");
    assert_eq!(next.stale_found.unwrap().kind, StaleKind::Closed);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn alpn_chooses() {
    let identity = Identity::new(&[b"h2"]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_response(ok(None), true).unwrap();
            }
        }
    })
    .await;
    let attempt = get(https(server.address, "/", &identity)).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    assert_eq!(attempt.hops[0].protocol, Some(Protocol::Http2));
}
