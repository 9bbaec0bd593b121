//! Names, addresses, TCP and TLS.

use super::*;
use crate::model::attempt::{Call, Role, TlsTrouble};

fn tcp(endpoint: Endpoint, resolve: ResolveSettings) -> Dependency {
    dependency(Probe::Tcp(TcpProbe {
        endpoint,
        resolve,
        proxy: None,
    }))
}

fn at(address: SocketAddr) -> Endpoint {
    Endpoint {
        host: address.ip().to_string().into(),
        port: address.port(),
    }
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn attempt(dependency: Dependency) -> Attempt {
    Prober::new().attempt(&order(dependency)).await
}

#[tokio::test]
async fn refused() {
    let address = nobody().await;
    let attempt = attempt(tcp(at(address), ResolveSettings::default())).await;
    assert_stop(
        &attempt,
        Phase::Connect,
        Trouble::Io {
            call: Call::Connect,
            errno: libc::ECONNREFUSED,
        },
    );
    assert_eq!(attempt.hops[0].address, Some(address));
    assert_eq!(attempt.hops[0].phases.get(Phase::Resolve), None);
    assert!(!stop(&attempt).chain.is_empty());
}

#[tokio::test]
async fn connected() {
    let server = Server::start(|stream, _| finish(stream)).await;
    let attempt = attempt(tcp(at(server.address), ResolveSettings::default())).await;
    assert_eq!(attempt.stop(), None);
    #[cfg(target_os = "linux")]
    assert!(attempt.hops[0].tcp.unwrap().send_mss > 0);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_accept_queue_times_out() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // A backlog of 0 holds one connection; more only as far as the kernel is generous.
    let mut fill = vec![];
    for _ in 0..4 {
        let filling = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address));
        match filling.await {
            Ok(stream) => fill.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    let mut full = tcp(at(address), ResolveSettings::default());
    full.timeouts.connect = Duration::from_millis(60);
    let attempt = attempt(full).await;
    assert_stop(&attempt, Phase::Connect, Trouble::TimedOut(Budget::Phase));
    // SYN_SENT.
    assert_eq!(attempt.hops[0].tcp.unwrap().state, 2);
    assert!(attempt.elapsed >= Duration::from_millis(60));
}

#[tokio::test]
async fn the_attempts_end_is_told_from_the_phases() {
    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut order = order(dependency(Probe::Http(Box::new(http(url(server.address, "/"))))));
    order.budget = Duration::from_millis(40);
    order.budget_of = Budget::Total;
    let attempt = Prober::new().attempt(&order).await;
    assert_stop(&attempt, Phase::FirstByte, Trouble::TimedOut(Budget::Total));
}

#[tokio::test]
async fn one_bad_address_of_two() {
    let server = Server::start(|stream, _| finish(stream)).await;
    // Nobody listens at that port on the second loopback address.
    let resolve = ResolveSettings {
        addresses: [Ipv4Addr::new(127, 0, 0, 9).into(), server.address.ip()].into(),
        ..ResolveSettings::default()
    };
    let endpoint = Endpoint {
        host: "service.test".into(),
        port: server.address.port(),
    };
    let attempt = attempt(tcp(endpoint, resolve)).await;
    assert_eq!(attempt.stop(), None);
    assert_eq!(attempt.hops.len(), 2);
    let failed = attempt.hops[0].stop.as_ref().unwrap();
    assert_eq!(
        failed.trouble,
        Trouble::Io {
            call: Call::Connect,
            errno: libc::ECONNREFUSED
        }
    );
    assert_eq!(failed.hop, Some(0));
    assert!(attempt.hops[0].resolution.is_some());
    assert_eq!(attempt.hops[1].address, Some(server.address));
    assert_eq!(attempt.hops[1].stop, None);
}

#[tokio::test]
async fn all_addresses_bad_stops_at_the_last() {
    let port = nobody().await.port();
    let resolve = ResolveSettings {
        addresses: [
            Ipv4Addr::new(127, 0, 0, 8).into(),
            Ipv4Addr::new(127, 0, 0, 9).into(),
        ]
        .into(),
        ..ResolveSettings::default()
    };
    let host = "service.test".into();
    let attempt = attempt(tcp(Endpoint { host, port }, resolve)).await;
    assert_eq!(stop(&attempt).hop, Some(1));
    assert!(attempt.hops[0].stop.is_some() && attempt.hops[1].stop.is_none());
}

#[tokio::test]
async fn an_address_given_is_the_only_one() {
    let server = Server::start(|stream, _| finish(stream)).await;
    let mut order = order(tcp(
        Endpoint {
            host: "no-such-name.invalid".into(),
            port: 1,
        },
        ResolveSettings::default(),
    ));
    order.connection = Connection::Address(server.address);
    let attempt = Prober::new().attempt(&order).await;
    assert_eq!(attempt.stop(), None);
    assert_eq!(attempt.hops[0].address, Some(server.address));
}

fn tls_probe(address: SocketAddr, tls: TlsSettings) -> Dependency {
    dependency(Probe::Tls(TlsProbe {
        cert: None,
        endpoint: at(address),
        resolve: ResolveSettings::default(),
        tls,
        proxy: None,
    }))
}

#[tokio::test]
async fn a_tls_handshake() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut rest = vec![];
            // The client says goodbye.
            stream.read_to_end(&mut rest).await.unwrap();
        }
    })
    .await;
    let attempt = attempt(tls_probe(server.address, identity.trusted())).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    let hop = &attempt.hops[0];
    assert!(hop.tls.as_ref().unwrap().finished);
    assert!(hop.phases.get(Phase::Tls).is_some());
    assert!(hop.sent > 100 && hop.received > 100);
}

#[tokio::test]
async fn plaintext_where_tls_was_meant() {
    let server = Server::start(|mut stream, _| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        finish(stream).await;
    })
    .await;
    let attempt = attempt(tls_probe(server.address, TlsSettings::default())).await;
    assert_stop(&attempt, Phase::Tls, Trouble::Tls(TlsTrouble::NotTls));
    assert!(attempt.hops[0].first_bytes.starts_with(b"SSH-2.0"));
    assert_eq!(attempt.hops[0].role, Role::Target);
}

#[tokio::test]
async fn a_close_and_a_reset_during_the_handshake() {
    let server = Server::start(|mut stream, number| async move {
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).await.unwrap();
        if number == 0 {
            finish(stream).await;
        } else {
            reset(stream);
        }
    })
    .await;
    let closed = attempt(tls_probe(server.address, TlsSettings::default())).await;
    assert_stop(&closed, Phase::Tls, Trouble::Closed);
    let was_reset = attempt(tls_probe(server.address, TlsSettings::default())).await;
    assert_stop(
        &was_reset,
        Phase::Tls,
        Trouble::Io {
            call: Call::Receive,
            errno: libc::ECONNRESET,
        },
    );
}

#[tokio::test]
async fn a_silent_tls_peer_uses_up_its_phase() {
    let server = Server::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut silent = tls_probe(server.address, TlsSettings::default());
    silent.timeouts.tls = Duration::from_millis(40);
    let attempt = attempt(silent).await;
    assert_stop(&attempt, Phase::Tls, Trouble::TimedOut(Budget::Phase));
}
