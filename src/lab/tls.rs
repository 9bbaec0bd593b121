//! TLS on the server's side, from PEM.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// Why a TLS server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the certificate or its key is not usable PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("the certificate and its key cannot be served")]
    Config(#[from] rustls::Error),
    #[error("client certificates cannot be verified")]
    ClientVerifier(#[from] rustls::server::VerifierBuilderError),
}

/// Which versions the server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    #[default]
    Both,
    Tls12,
    Tls13,
}

impl TlsVersions {
    fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            TlsVersions::Both => vec![&rustls::version::TLS12, &rustls::version::TLS13],
            TlsVersions::Tls12 => vec![&rustls::version::TLS12],
            TlsVersions::Tls13 => vec![&rustls::version::TLS13],
        }
    }
}

/// What to serve.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsOptions<'a> {
    pub versions: TlsVersions,
    /// Protocols to agree upon by ALPN, preferred first; none means that ALPN is not answered.
    pub alpn: &'a [&'a str],
    /// PEM of the authorities whose client certificates are accepted; with it, one is required.
    pub client_authorities: Option<&'a str>,
}

/// A prepared TLS server side. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// `chain` is PEM, leaf first; `key` is the leaf's in PEM. Nothing is checked of the certificates but that they
    /// belong to the key, and not even that where they cannot be read: serving bad ones is what this is for.
    ///
    /// # Errors
    /// Something is not PEM, or key and certificate do not go together.
    pub fn new(chain: &str, key: &str, options: TlsOptions<'_>) -> Result<ServerTls, TlsSetupError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&options.versions.supported())?;
        let builder = match options.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem)? {
                    roots.add(authority)?;
                }
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?,
                )
            }
        };
        let certified = CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InvalidCertificate(_)) => {}
            Err(err) => return Err(err.into()),
        }
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = options.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(ServerTls(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

#[cfg(test)]
pub(super) mod tests;
