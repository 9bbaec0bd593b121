//! Peers that ask for client certificates, want other versions or protocols, or do not speak TLS.

use super::*;

use crate::model::attempt::Call;
use crate::model::dependency::{ClientCert, TlsMinVersion};

/// A good server and what it takes to trust it.
struct World {
    dir: TestDir,
    root: Authority,
    issued: Issued,
    clients: TlsClients,
    settings: TlsSettings,
}

fn world() -> World {
    let dir = TestDir::new();
    let root = Authority::new("Test Root").unwrap();
    let settings = trusting(&dir.write("ca.pem", root.pem()));
    World {
        issued: root.issue(CertSpec::named(["a.test"])).unwrap(),
        dir,
        root,
        clients: TlsClients::new(),
        settings,
    }
}

impl World {
    fn server(&self) -> Server {
        Server::of(&self.issued)
    }

    async fn shake(&self, address: SocketAddr) -> Shaken {
        shake(&self.clients, address, &self.settings, "a.test").await
    }

    async fn offer(&self, address: SocketAddr, alpn: &[&[u8]]) -> Shaken {
        shake_with(&self.clients, address, (&self.settings, "a.test", alpn)).await
    }

    /// Settings with a client certificate of that authority, chain and key in one file.
    fn with_client_cert(&mut self, authority: &Authority) {
        let spec = CertSpec {
            usage: crate::lab::certs::Usage::Client,
            ..CertSpec::named(["client.test"])
        };
        let issued = authority.issue(spec).unwrap();
        let file = self
            .dir
            .write("client.pem", &format!("{}{}", issued.chain_pem, issued.key_pem));
        self.settings.client_cert = Some(ClientCert {
            chain: file.clone(),
            key: file,
        });
    }
}

fn alert(trouble: Option<Trouble>) -> u8 {
    match trouble {
        Some(Trouble::Tls(TlsTrouble::AlertReceived(number))) => number,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_certificate_is_given_when_asked_for() {
    let mut world = world();
    let ask = |world: &World| Server {
        clients: Some(world.root.pem().to_owned()),
        ..world.server()
    };
    let authority = world.root.intermediate("Clients").unwrap();
    world.with_client_cert(&authority);
    for versions in [&ONLY_12[..], &ONLY_13[..]] {
        let address = Server {
            versions,
            ..ask(&world)
        }
        .start()
        .await;
        let (mut stream, facts) = world.shake(address).await.unwrap();
        assert!(facts.client_cert_requested && facts.client_cert_sent);
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
    }
    let (_, facts) = world.shake(world.server().start().await).await.unwrap();
    assert!(!facts.client_cert_requested && !facts.client_cert_sent);
}

#[tokio::test]
async fn tls_12_misses_a_client_certificate_in_the_handshake() {
    let world = world();
    let server = Server {
        clients: Some(world.root.pem().to_owned()),
        versions: &ONLY_12,
        ..world.server()
    };
    let failure = failure(world.shake(server.start().await).await);
    assert!(matches!(alert(Some(failure.trouble)), 40 | 116));
    assert!(failure.facts.client_cert_requested && !failure.facts.client_cert_sent);
    assert_eq!(failure.facts.chain.len(), 1);
}

#[tokio::test]
async fn tls_13_misses_a_client_certificate_on_the_first_read() {
    let world = world();
    let server = Server {
        clients: Some(world.root.pem().to_owned()),
        versions: &ONLY_13,
        ..world.server()
    };
    let (mut stream, facts) = world.shake(server.start().await).await.unwrap();
    assert!(facts.finished && facts.client_cert_requested && !facts.client_cert_sent);
    let err = stream.read_u8().await.unwrap_err();
    assert_eq!(alert(trouble_after_handshake(&err)), 116);
    // As hyper and others wrap it.
    assert_eq!(alert(trouble_after_handshake(&std::io::Error::other(err))), 116);
}

#[tokio::test]
async fn a_client_certificate_of_the_wrong_authority_is_rejected() {
    let mut world = world();
    world.with_client_cert(&Authority::new("Somebody").unwrap());
    let server = |versions| Server {
        clients: Some(world.root.pem().to_owned()),
        versions,
        ..world.server()
    };
    let failure = failure(world.shake(server(&ONLY_12[..]).start().await).await);
    assert_eq!(alert(Some(failure.trouble)), 48);
    assert!(failure.facts.client_cert_requested && failure.facts.client_cert_sent);

    let (mut stream, facts) = world.shake(server(&ONLY_13[..]).start().await).await.unwrap();
    assert!(facts.client_cert_sent);
    let err = stream.read_u8().await.unwrap_err();
    assert_eq!(alert(trouble_after_handshake(&err)), 48);
}

#[test]
fn errors_of_the_socket_are_not_tls() {
    assert_eq!(
        trouble_after_handshake(&std::io::Error::from_raw_os_error(libc::ECONNRESET)),
        None
    );
    assert_eq!(
        trouble_after_handshake(&std::io::ErrorKind::UnexpectedEof.into()),
        None
    );
}

#[tokio::test]
async fn versions_without_overlap() {
    let mut world = world();
    let server = Server {
        versions: &ONLY_12,
        ..world.server()
    };
    let address = server.start().await;
    let (_, facts) = world.shake(address).await.unwrap();
    assert_eq!(facts.version.as_deref(), Some("TLSv1.2"));
    world.settings.min_version = TlsMinVersion::Tls13;
    let failure = failure(world.shake(address).await);
    assert_eq!(alert(Some(failure.trouble)), 70);
    assert!(!failure.facts.finished && failure.facts.chain.is_empty());
}

#[tokio::test]
async fn a_version_that_we_refuse_is_told_apart_from_one_that_they_refuse() {
    // A server of old: its ServerHello chooses TLS 1.0 and TLS_RSA_WITH_AES_128_CBC_SHA, without extensions.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let answer = hello.clone();
    let address = serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.read(&mut [0; 64]).await;
        }
    })
    .await;
    let world = world();
    let mut failure = failure(world.shake(address).await);
    assert!(
        matches!(failure.trouble, Trouble::Tls(TlsTrouble::Incompatible(_))),
        "{failure:?}"
    );
    failure.learn(&hello);
    assert!(
        matches!(failure.trouble, Trouble::Tls(TlsTrouble::Incompatible(_))),
        "{failure:?}"
    );
    assert_eq!(failure.facts.version.as_deref(), Some("TLSv1.0"));
    assert_eq!(
        failure.facts.cipher.as_deref(),
        Some("TLS_RSA_WITH_AES_128_CBC_SHA")
    );
}

#[tokio::test]
async fn application_protocols() {
    let world = world();
    let server = Server {
        alpn: vec!["h2"],
        ..world.server()
    };
    let address = server.start().await;
    let (_, facts) = world.offer(address, &[b"http/1.1", b"h2"]).await.unwrap();
    assert_eq!(facts.alpn.as_deref(), Some("h2"));
    let (_, facts) = world.offer(address, &[]).await.unwrap();
    assert_eq!(facts.alpn, None);
    let failure = failure(world.offer(address, &[b"http/1.1"]).await);
    assert_eq!(alert(Some(failure.trouble)), 120);
    assert_eq!(&*failure.chain[0], "TLS handshake failed");
    assert!(failure.chain.len() > 1, "{:?}", failure.chain);
}

#[tokio::test]
async fn peers_that_do_not_speak_tls() {
    let world = world();
    for banner in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.test ESMTP\r\n",
        b"-ERR unknown command\r\n",
    ] {
        let address = serve(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(banner).await;
            let _ = stream.read(&mut [0; 64]).await;
        })
        .await;
        let mut failure = failure(world.shake(address).await);
        assert_eq!(failure.trouble, Trouble::Tls(TlsTrouble::NotTls), "{failure:?}");
        failure.learn(banner);
        assert_eq!(failure.trouble, Trouble::Tls(TlsTrouble::NotTls));
    }
}

#[tokio::test]
async fn first_bytes_explain_what_rustls_cannot() {
    let world = world();
    // The type of a record and a version that no TLS has, too short for a header; and then the end.
    let address = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"\x17\x01").await;
    })
    .await;
    let mut failure = failure(world.shake(address).await);
    assert_eq!(failure.trouble, Trouble::Closed);
    failure.learn(b"");
    assert_eq!(failure.trouble, Trouble::Closed);
    failure.learn(b"\x17\x01");
    assert_eq!(failure.trouble, Trouble::Tls(TlsTrouble::NotTls));
}

#[tokio::test]
async fn garbage_within_tls_is_misbehaviour() {
    // A ServerHello's beginning, and in its place a record of no known type.
    let world = world();
    let garbage = [22, 3, 3, 0, 4, 2, 0, 0, 80, 99, 3, 3, 0, 1, 0];
    let address = serve(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&garbage).await;
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    let mut failure = failure(world.shake(address).await);
    failure.learn(&garbage);
    assert!(
        matches!(failure.trouble, Trouble::Tls(TlsTrouble::Misbehaved(_))),
        "{failure:?}"
    );
}

#[tokio::test]
async fn endings_within_the_handshake() {
    let world = world();
    let closing = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let closed = failure(world.shake(closing).await);
    assert_eq!(closed.trouble, Trouble::Closed);
    assert_eq!(closed.facts.server_name.as_deref(), Some("a.test"));

    let resetting = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
    .await;
    let reset = failure(world.shake(resetting).await);
    let expected = Trouble::Io {
        call: Call::Receive,
        errno: libc::ECONNRESET,
    };
    assert_eq!(reset.trouble, expected);
}

#[tokio::test]
async fn a_stall_ends_with_the_deadline() {
    let world = world();
    let (silent, mut peer) = tokio::io::duplex(4096);
    let how = Handshake {
        settings: &world.settings,
        host: "a.test",
        alpn: &[],
        deadline: Instant::now() + Duration::from_millis(150),
    };
    let failure = handshake(&world.clients, silent, how).await.unwrap_err();
    assert_eq!(failure.trouble, Trouble::TimedOut(Budget::Phase));
    let mut hello = [0; 3];
    peer.read_exact(&mut hello).await.unwrap();
    assert!(looks_like_tls(&hello), "the ClientHello had been sent");
}

#[tokio::test]
async fn a_name_that_is_none_is_told_before_anything_is_sent() {
    let world = world();
    let (io, mut peer) = tokio::io::duplex(4096);
    let how = Handshake {
        settings: &world.settings,
        host: "not a name",
        alpn: &[],
        deadline: Instant::now() + LIMIT,
    };
    let failure = handshake(&world.clients, io, how).await.unwrap_err();
    assert!(matches!(&failure.trouble, Trouble::UrlInvalid(text) if text.contains("not a name")));
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_hello_finds_out_who_speaks_tls() {
    let world = world();
    let deadline = || Instant::now() + LIMIT;
    let ask = |address| async move {
        let io = TcpStream::connect(address).await.unwrap();
        client_hello_probe(io, "a.test", deadline()).await
    };
    assert!(ask(world.server().start().await).await);
    // An alert is an answer too.
    let alerting = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
    })
    .await;
    assert!(ask(alerting).await);
    let plain = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    assert!(!ask(plain).await);
    let (silent, _peer) = tokio::io::duplex(4096);
    assert!(!client_hello_probe(silent, "a.test", Instant::now() + Duration::from_millis(20)).await);
}
