//! Kept connections, and how they die.

use super::*;
use crate::model::attempt::{Call, StaleKind};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn kept(address: SocketAddr) -> AttemptOrder {
    let mut kept = dependency(Probe::Http(Box::new(http(url(address, "/")))));
    kept.keepalive.reuse = true;
    order(kept)
}

/// Answers every request on its connections; each time something is received on `end`, the idle ones do `how`.
async fn keeping(end: tokio::sync::watch::Receiver<bool>, how: fn(TcpStream)) -> Server {
    Server::start(move |mut stream, _| {
        let mut end = end.clone();
        // Only what comes after the connection began ends it.
        end.mark_unchanged();
        async move {
            loop {
                tokio::select! {
                    head = read_head(&mut stream) => {
                        if head.is_empty() {
                            return;
                        }
                        assert!(!head.contains("connection:"), "{head}");
                        stream.write_all(OK).await.unwrap();
                    }
                    _ = end.changed() => return how(stream),
                }
            }
        }
    })
    .await
}

fn close(stream: TcpStream) {
    drop(stream);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (_end, ended) = tokio::sync::watch::channel(false);
    let server = keeping(ended, close).await;
    let prober = Prober::new();
    let order = kept(server.address);
    let first = prober.attempt(&order).await;
    assert_eq!(first.stop(), None);
    assert_eq!((first.hops[0].reused, prober.parked()), (false, 1));
    for _ in 0..5 {
        let next = prober.attempt(&order).await;
        assert_eq!(next.stop(), None);
        let hop = &next.hops[0];
        assert!(hop.reused && hop.idle_before.is_some());
        assert_eq!(hop.address, Some(server.address));
        assert_eq!(hop.phases.get(Phase::Connect), None);
        assert_eq!(hop.received, OK.len() as u64);
    }
    assert_eq!(server.count(), 1);
    let mut fresh = order.clone();
    fresh.connection = Connection::Fresh;
    assert!(!prober.attempt(&fresh).await.hops[0].reused);
    assert_eq!((server.count(), prober.parked()), (2, 1));
    prober.forget("it");
    assert_eq!(prober.parked(), 0);
}

async fn stale_while_parked(how: fn(TcpStream), kind: StaleKind) {
    let (end, ended) = tokio::sync::watch::channel(false);
    let server = keeping(ended, how).await;
    let prober = Prober::new();
    let order = kept(server.address);
    prober.attempt(&order).await;
    end.send(true).unwrap();
    let died = || {
        let way = super::super::pool::Way {
            scheme: Scheme::Http,
            endpoint: order.dependency.probe.endpoint().clone(),
            proxy: None,
        };
        prober.0.pool.has_ended("it", &way)
    };
    until("the parked connection ends", died).await;
    let next = prober.attempt(&order).await;
    assert_eq!(next.stop(), None, "{next:?}");
    let stale = next.stale_found.unwrap();
    assert_eq!((stale.kind, stale.measured), (kind, true));
    assert_eq!(stale.address, server.address);
    assert_eq!(next.hops.len(), 1);
    assert!(!next.hops[0].reused);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn closed_while_parked() {
    stale_while_parked(close, StaleKind::Closed).await;
}

#[tokio::test]
async fn reset_while_parked() {
    stale_while_parked(reset, StaleKind::Reset).await;
}

/// Answers once; the second request is read and met by `how`.
async fn racing(how: fn(TcpStream)) -> Attempt {
    let server = Server::start(move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        read_head(&mut stream).await;
        how(stream);
    })
    .await;
    let prober = Prober::new();
    let order = kept(server.address);
    assert_eq!(prober.attempt(&order).await.stop(), None);
    let next = prober.attempt(&order).await;
    // Bytes were sent: nothing is sent again behind anybody's back.
    assert_eq!(server.count(), 1);
    assert_eq!(next.stale_found, None);
    assert!(next.hops[0].reused && next.hops[0].sent > 0 && next.hops[0].received == 0);
    next
}

#[tokio::test]
async fn closed_as_the_request_arrives() {
    assert_stop(&racing(close).await, Phase::FirstByte, Trouble::Closed);
}

#[tokio::test]
async fn reset_as_the_request_arrives() {
    let trouble = Trouble::Io {
        call: Call::Receive,
        errno: libc::ECONNRESET,
    };
    assert_stop(&racing(reset).await, Phase::FirstByte, trouble);
}

#[tokio::test]
async fn a_connection_that_says_close_is_not_kept() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    let prober = Prober::new();
    let attempt = prober.attempt(&kept(server.address)).await;
    assert_eq!((attempt.stop(), prober.parked()), (None, 0));
    assert!(attempt.hops[0].response.as_ref().unwrap().connection_close);
}

#[tokio::test]
async fn what_was_forgotten_meanwhile_is_not_kept() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = Server::start(move |mut stream, _| {
        let mut gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            gone.wait_for(|gone| *gone).await.unwrap();
            stream.write_all(OK).await.unwrap();
            read_head(&mut stream).await;
        }
    })
    .await;
    let prober = Prober::new();
    let order = kept(server.address);
    let reload = async {
        while server.count() == 0 {
            tokio::task::yield_now().await;
        }
        prober.forget("it");
        go.send(true).unwrap();
    };
    let (attempt, ()) = tokio::join!(prober.attempt(&order), reload);
    assert_eq!((attempt.stop(), prober.parked()), (None, 0));
}

#[tokio::test]
async fn an_error_status_keeps_its_connection() {
    let server = Server::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
            stream.write_all(busy).await.unwrap();
        }
    })
    .await;
    let prober = Prober::new();
    prober.attempt(&kept(server.address)).await;
    assert_eq!(prober.parked(), 1);
    assert!(prober.attempt(&kept(server.address)).await.hops[0].reused);
}

#[tokio::test]
async fn a_redirect_goes_on_over_the_same_connection() {
    let server = Server::start(|mut stream, _| async move {
        while let head = read_head(&mut stream).await
            && !head.is_empty()
        {
            let answer = if head.starts_with("GET / ") {
                &b"HTTP/1.1 302 Found\r\nLocation: /home\r\nContent-Length: 3\r\n\r\nfoo"[..]
            } else {
                OK
            };
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let prober = Prober::new();
    let attempt = prober.attempt(&kept(server.address)).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    assert_eq!(attempt.hops.len(), 2);
    assert!(attempt.hops[1].reused);
    assert_eq!((server.count(), prober.parked()), (1, 1));
}

#[tokio::test]
async fn tls_connections_are_kept_too() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            for _ in 0..2 {
                read_head(&mut stream).await;
                stream.write_all(OK).await.unwrap();
                stream.flush().await.unwrap();
            }
            // close_notify, with the socket left open.
            stream.shutdown().await.unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut kept = dependency(Probe::Http(Box::new(https(server.address, "/", &identity))));
    kept.keepalive.reuse = true;
    let order = order(kept);
    let prober = Prober::new();
    assert_eq!(prober.attempt(&order).await.stop(), None);
    let second = prober.attempt(&order).await;
    assert!(second.stop().is_none() && second.hops[0].reused, "{second:?}");
    let way = super::super::pool::Way {
        scheme: Scheme::Https,
        endpoint: order.dependency.probe.endpoint().clone(),
        proxy: None,
    };
    until("close_notify is seen", || {
        prober.parked() == 0 || prober.0.pool.has_ended("it", &way)
    })
    .await;
    let third = prober.attempt(&order).await;
    assert_eq!(third.stop(), None, "{third:?}");
    if let Some(stale) = third.stale_found {
        assert_eq!(stale.kind, StaleKind::Closed);
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_connection_from_before_a_forgetting_is_not_parked() {
    let (_end, ended) = tokio::sync::watch::channel(false);
    let server = keeping(ended, close).await;
    let prober = Prober::new();
    let order = kept(server.address);
    prober.attempt(&order).await;
    let pool = &prober.0.pool;
    let way = super::super::pool::Way {
        scheme: Scheme::Http,
        endpoint: order.dependency.probe.endpoint().clone(),
        proxy: None,
    };
    let as_of = pool.forgotten();
    let Some(super::super::pool::Taken::Alive(link, _)) = pool.take("it", &way) else {
        panic!("the connection is alive");
    };
    // Between an attempt's look at the count and its parking, the dependency is removed.
    pool.forget("it");
    pool.park("it".into(), way, *link, as_of);
    assert_eq!(prober.parked(), 0);
}
