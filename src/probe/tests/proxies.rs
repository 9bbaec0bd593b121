//! Proxies: tunnels, refusals, absolute-form requests.

use super::*;
use crate::model::attempt::{Call, ProxyTrouble, Role};
use crate::model::secret::{Secret, SecretRef};

fn through(proxy: SocketAddr) -> Option<Proxy> {
    Some(Proxy {
        endpoint: Endpoint {
            host: proxy.ip().to_string().into(),
            port: proxy.port(),
        },
        tls: false,
        auth: Some(("u".into(), SecretRef::Inline(Secret::new("p")))),
        inherited_from: None,
    })
}

fn tcp_through(proxy: SocketAddr) -> AttemptOrder {
    order(dependency(Probe::Tcp(TcpProbe {
        endpoint: Endpoint {
            host: "db.internal".into(),
            port: 5432,
        },
        resolve: ResolveSettings::default(),
        proxy: through(proxy),
    })))
}

#[tokio::test]
async fn connect_refused_in_every_way() {
    for (answer, trouble) in [
        (
            "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
            Trouble::Proxy(ProxyTrouble::Status(407)),
        ),
        (
            "HTTP/1.1 403 Forbidden\r\n\r\nby policy",
            Trouble::Proxy(ProxyTrouble::Status(403)),
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nProxy-Status: p; error=connection_refused\r\n\r\n",
            Trouble::Proxy(ProxyTrouble::Status(502)),
        ),
        ("SSH-2.0-x\r\n\r\n", Trouble::Proxy(ProxyTrouble::Malformed)),
        ("HTTP/1.1 200 ", Trouble::Proxy(ProxyTrouble::Malformed)),
        ("", Trouble::Closed),
    ] {
        let server = Server::answering(answer).await;
        let attempt = Prober::new().attempt(&tcp_through(server.address)).await;
        assert_stop(&attempt, Phase::Proxy, trouble);
        assert_eq!(attempt.hops[0].role, Role::Proxy);
        assert_eq!(attempt.hops[0].address, Some(server.address));
        let response = attempt.hops[0].response.as_deref();
        match attempt.hops[0].status {
            Some(407) => assert_eq!(response.unwrap().authenticate.as_deref(), Some("Basic")),
            Some(403) => assert!(response.is_some()),
            Some(502) => assert!(response.unwrap().proxy_status.is_some()),
            _ => assert!(response.is_none()),
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_stalls() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let attempt = Prober::new().attempt(&tcp_through(nobody)).await;
    let refused = Trouble::Io {
        call: Call::Connect,
        errno: libc::ECONNREFUSED,
    };
    assert_stop(&attempt, Phase::Connect, refused);
    assert_eq!(attempt.hops[0].role, Role::Proxy);

    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let AttemptOrder { dependency, .. } = tcp_through(server.address);
    let mut dependency = Dependency::clone(&dependency);
    dependency.timeouts.connect = Duration::from_millis(50);
    let attempt = Prober::new().attempt(&order(dependency)).await;
    assert_stop(&attempt, Phase::Proxy, Trouble::TimedOut(Budget::Phase));
}

#[tokio::test]
async fn an_https_target_behind_a_tunnel() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |mut stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("CONNECT localhost:8443 HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("\r\nProxy-Authorization: Basic dTpw\r\n"), "{head}");
            assert!(head.contains("\r\nUser-Agent: whyd/test\r\n"), "{head}");
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(!String::from_utf8_lossy(&request[..length]).contains("proxy-"));
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            stream.shutdown().await.ok();
        }
    })
    .await;
    let mut probe = https(server.address, "/", &identity);
    probe.url.endpoint = Endpoint {
        host: "localhost".into(),
        port: 8443,
    };
    probe.proxy = through(server.address);
    let attempt = get(probe).await;
    assert_eq!(attempt.stop(), None, "{attempt:#?}");
    let [proxy, target] = &attempt.hops[..] else {
        panic!("{attempt:?}")
    };
    assert_eq!((proxy.role, target.role), (Role::Proxy, Role::Target));
    assert_eq!((proxy.status, target.status), (Some(200), Some(204)));
    assert!(proxy.phases.get(Phase::Proxy).is_some() && proxy.phases.get(Phase::Tls).is_none());
    assert!(target.phases.get(Phase::Tls).is_some() && target.phases.get(Phase::Connect).is_none());
    assert_eq!(target.address, None);
    assert!(target.received > 0 && proxy.received == 39, "{}", proxy.received);
}

#[tokio::test]
async fn a_plain_target_is_asked_for_by_its_whole_url() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream, number| {
        let tell = tell.clone();
        async move {
            tell.send(read_head(&mut stream).await).unwrap();
            let answer: &[u8] = match number {
                0 => b"HTTP/1.1 204 No Content\r\n\r\n",
                _ => b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n",
            };
            stream.write_all(answer).await.unwrap();
            finish(stream).await;
        }
    })
    .await;
    let mut probe = http(url("10.9.9.9:8080".parse().unwrap(), "/x"));
    probe.proxy = through(server.address);
    let attempt = get(probe.clone()).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    assert_eq!(attempt.hops[0].role, Role::Proxy);
    let head = told.recv().await.unwrap();
    assert!(
        head.starts_with("GET http://10.9.9.9:8080/x HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("host: 10.9.9.9:8080\r\n") && head.contains("proxy-authorization: Basic dTpw"),
        "{head}"
    );
    let attempt = get(probe).await;
    assert_stop(
        &attempt,
        Phase::FirstByte,
        Trouble::Proxy(ProxyTrouble::Status(407)),
    );
}

#[tokio::test]
async fn a_407_from_behind_the_tunnel_is_the_targets() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |mut stream, _| {
        let acceptor = acceptor.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_head(&mut stream).await;
            let answer = b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.ok();
        }
    })
    .await;
    let mut probe = https(server.address, "/", &identity);
    probe.url.endpoint.host = "localhost".into();
    probe.proxy = through(server.address);
    let attempt = get(probe).await;
    assert!(
        matches!(stop(&attempt).trouble, Trouble::Unexpected(_)),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_password_that_cannot_be_read_is_no_stale_connection() {
    let server = Server::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let mut probe = http(url("10.9.9.9:8080".parse().unwrap(), "/x"));
    probe.proxy = through(server.address);
    let mut kept = dependency(Probe::Http(Box::new(probe.clone())));
    kept.keepalive.reuse = true;
    let prober = Prober::new();
    assert_eq!(prober.attempt(&order(kept.clone())).await.stop(), None);
    assert_eq!(prober.parked(), 1);
    if let Some(proxy) = &mut probe.proxy {
        proxy.auth = Some(("u".into(), SecretRef::File("/nonexistent/password".into())));
    }
    kept.probe = Probe::Http(Box::new(probe));
    let attempt = prober.attempt(&order(kept)).await;
    assert!(
        matches!(stop(&attempt).trouble, Trouble::Credentials(_)),
        "{attempt:?}"
    );
    assert_eq!(attempt.stale_found, None);
}
