//! Handshakes with rustls servers on loopback, right and wrong in the ways that matter.

mod certificates;
mod files;
mod ocsp;
mod peers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::lab::certs::{Authority, CertSpec, Issued};
use crate::model::attempt::{CertificateFaultKind, Standing, TlsTrouble};
use crate::net::crypto;

/// No test takes so long; it bounds those that hang.
const LIMIT: Duration = Duration::from_secs(20);

/// A directory of its own, gone with it.
struct TestDir(PathBuf);

impl TestDir {
    fn new() -> TestDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "whyd-tls-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TestDir(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Presents this and nothing else, whether it is sound or not.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

struct Server {
    chain: Vec<CertificateDer<'static>>,
    key_pem: String,
    versions: &'static [&'static SupportedProtocolVersion],
    alpn: Vec<&'static str>,
    /// PEM of the authorities whose client certificates are required.
    clients: Option<String>,
}

static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
static ONLY_12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

impl Server {
    /// Presents the issued certificate with its intermediates.
    fn of(issued: &Issued) -> Server {
        Server::presenting(issued, certificates_of(&issued.chain_pem))
    }

    fn presenting(leaf: &Issued, chain: Vec<CertificateDer<'static>>) -> Server {
        Server {
            chain,
            key_pem: leaf.key_pem.clone(),
            versions: &BOTH,
            alpn: Vec::new(),
            clients: None,
        }
    }

    /// Accepts connections until the test ends; each that gets through the handshake is sent one byte.
    async fn start(self) -> SocketAddr {
        let provider = crypto::provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in certificates_of(pem) {
                    roots.add(root).unwrap();
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let mut config =
            builder.with_cert_resolver(Arc::new(Fixed(Arc::new(CertifiedKey::new(self.chain, key)))));
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.write_all(b"!").await;
                    let _ = stream.read(&mut [0]).await;
                }
            }
        })
        .await
    }
}

/// A TCP server that treats each connection so.
async fn serve<F>(treat: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    address
}

fn certificates_of(pem: &str) -> Vec<CertificateDer<'static>> {
    let found: Result<_, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.unwrap()
}

/// Settings that trust this file alone.
fn trusting(ca: &Path) -> TlsSettings {
    TlsSettings {
        ca: [ca.to_owned()].into(),
        only_given_ca: true,
        ..TlsSettings::default()
    }
}

type Shaken = Result<(TlsStream<TcpStream>, TlsFacts), Box<TlsFailure>>;

async fn shake(clients: &TlsClients, address: SocketAddr, settings: &TlsSettings, host: &str) -> Shaken {
    shake_with(clients, address, (settings, host, &[])).await
}

async fn shake_with(
    clients: &TlsClients,
    address: SocketAddr,
    (settings, host, alpn): (&TlsSettings, &str, &[&[u8]]),
) -> Shaken {
    let io = TcpStream::connect(address).await.unwrap();
    let how = Handshake {
        settings,
        host,
        alpn,
        deadline: Instant::now() + LIMIT,
    };
    handshake(clients, io, how).await
}

fn failure(shaken: Shaken) -> TlsFailure {
    match shaken {
        Ok((_, facts)) => panic!("it went well: {facts:?}"),
        Err(failure) => *failure,
    }
}
