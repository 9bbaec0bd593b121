//! Probes against scripted servers on loopback.

mod exchange;
mod http2;
mod proxies;
mod redirect;
mod reuse;
mod transport;
mod verify;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::model::attempt::{Attempt, Budget, Stop, Trouble};
use crate::model::dependency::*;
use crate::model::order::{AttemptOrder, Connection, OperationId};
use crate::model::phase::Phase;

use super::Prober;

/// Limit of everything that is waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// A server that treats each connection as its script says, by the connection's number from 0.
pub(super) struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start<F, R>(script: F) -> Server
    where
        F: Fn(TcpStream, usize) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(stream, number));
            }
        });
        Server {
            address,
            connections,
            task,
        }
    }

    /// Answers the first request of each connection with these bytes, then closes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Server {
        let answer: Arc<[u8]> = answer.into().into();
        Server::start(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(&answer).await.ok();
                finish(stream).await;
            }
        })
        .await
    }

    pub fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads up to the end of a request's head and returns it.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Closes in an orderly way: everything of the peer's is read first, so that no RST overtakes the answer.
pub(super) async fn finish(mut stream: TcpStream) {
    stream.shutdown().await.ok();
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Closes with RST.
pub(super) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

pub(super) fn url(address: SocketAddr, path: &str) -> HttpUrl {
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    HttpUrl {
        scheme: Scheme::Http,
        endpoint: Endpoint {
            host: address.ip().to_string().into(),
            port: address.port(),
        },
        path: path.into(),
        query: query.map(Into::into),
    }
}

pub(super) fn http(url: HttpUrl) -> HttpProbe {
    HttpProbe {
        url,
        method: "GET".into(),
        headers: Arc::default(),
        body: None,
        auth: Auth::None,
        version: HttpVersion::Auto,
        redirects: Redirects::default(),
        proxy: None,
        tls: TlsSettings::default(),
        resolve: ResolveSettings::default(),
        expect: Expect::default(),
        max_body: 1 << 20,
        user_agent: "whyd/test".into(),
    }
}

pub(super) fn dependency(probe: Probe) -> Dependency {
    let endpoint = probe.endpoint().clone();
    Dependency {
        name: "it".into(),
        labels: Arc::default(),
        probe,
        host: HostKey {
            name: endpoint.host,
            port: endpoint.port,
            proxy: None,
        },
        interval: Duration::from_secs(30),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
        confirm: Confirm::default(),
        keepalive: Keepalive::default(),
        fast_below: Duration::from_secs(1),
        depends_on: Arc::default(),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    }
}

pub(super) fn order(dependency: Dependency) -> AttemptOrder {
    AttemptOrder {
        index: DependencyIndex(0),
        budget: dependency.timeouts.attempt,
        dependency: Arc::new(dependency),
        operation: OperationId(1),
        number: 1,
        leave_unheard: false,
        connection: Connection::Reuse,
        budget_of: Budget::Attempt,
    }
}

/// One attempt at an HTTP probe.
pub(super) async fn get(probe: HttpProbe) -> Attempt {
    let order = order(dependency(Probe::Http(Box::new(probe))));
    let prober = Prober::new();
    tokio::time::timeout(LIMIT, prober.attempt(&order)).await.unwrap()
}

/// One attempt at `http://address/`.
pub(super) async fn get_from(server: &Server) -> Attempt {
    get(http(url(server.address, "/"))).await
}

#[track_caller]
pub(super) fn stop(attempt: &Attempt) -> &Stop {
    attempt.stop().unwrap_or_else(|| panic!("answered: {attempt:?}"))
}

#[track_caller]
pub(super) fn assert_stop(attempt: &Attempt, phase: Phase, trouble: Trouble) {
    let stop = stop(attempt);
    assert_eq!(
        (stop.phase, &stop.trouble),
        (Some(phase), &trouble),
        "{attempt:#?}"
    );
    let hop = attempt.decisive_hop().unwrap();
    assert!(
        hop.phases.get(phase).is_some(),
        "the failing phase has a timing: {hop:?}"
    );
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + LIMIT;
    while !holds() {
        assert!(tokio::time::Instant::now() < limit, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// A server's TLS settings for `localhost` and 127.0.0.1, and the file with its authority.
pub(super) struct Identity {
    pub acceptor: tokio_rustls::TlsAcceptor,
    pub ca_file: std::path::PathBuf,
}

impl Drop for Identity {
    fn drop(&mut self) {
        std::fs::remove_file(&self.ca_file).ok();
    }
}

impl Identity {
    pub fn new(alpn: &[&[u8]]) -> Identity {
        Identity::with(alpn, false)
    }

    /// A server that wants a certificate of its clients, which none of them has.
    pub fn wanting_certificates() -> Identity {
        Identity::with(&[], true)
    }

    fn with(alpn: &[&[u8]], wants_certificates: bool) -> Identity {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        crate::net::crypto::install();
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = rcgen::CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca_cert.der().clone()).unwrap();
        let builder = rustls::ServerConfig::builder();
        let builder = if wants_certificates {
            let verifier = rustls::server::WebPkiClientVerifier::builder(roots.into());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder
            .with_single_cert(
                vec![leaf.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let ca_file =
            std::env::temp_dir().join(format!("whyd-probe-test-{}-{number}.pem", std::process::id()));
        std::fs::write(&ca_file, ca_cert.pem()).unwrap();
        Identity {
            acceptor: Arc::new(config).into(),
            ca_file,
        }
    }

    pub fn trusted(&self) -> TlsSettings {
        TlsSettings {
            ca: [self.ca_file.clone()].into(),
            ..TlsSettings::default()
        }
    }
}

pub(super) fn https(address: SocketAddr, path: &str, identity: &Identity) -> HttpProbe {
    let mut probe = http(HttpUrl {
        scheme: Scheme::Https,
        ..url(address, path)
    });
    probe.tls = identity.trusted();
    probe
}
