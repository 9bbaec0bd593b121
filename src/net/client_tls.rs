//! TLS towards collectors, receivers and mail servers: the same settings as a dependency's, as a rustls configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::model::dependency::{TlsMinVersion, TlsSettings};

use super::crypto;
use super::trust::{Trust, TrustError};

/// TLS settings that cannot be used. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {problem}")]
    File { path: PathBuf, problem: String },
    #[error("no certificate in {0}")]
    NoCertificate(PathBuf),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("no certificate authority can be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    #[error("{0:?} is no name of a server")]
    ServerName(Arc<str>),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The client's configuration. A `server_name` is what the certificate must be for; SNI stays with whoever connects. `alpn` is what the protocol on top wants to be agreed upon.
pub fn client_config(settings: &TlsSettings, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match settings.min_version {
        TlsMinVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsMinVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let trust = Trust::with_files(&settings.ca, settings.only_given_ca)?;
    let builder = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(versions)?
        .with_root_certificates(Arc::clone(trust.roots()));
    let mut config = match &settings.client_cert {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let key =
                PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, &error))?;
            builder.with_client_auth_cert(certificates(&files.chain)?, key)?
        }
    };
    if let Some(name) = &settings.server_name {
        let expected =
            ServerName::try_from(name.to_string()).map_err(|_| TlsError::ServerName(Arc::clone(name)))?;
        let roots = Arc::clone(trust.roots());
        let inner = WebPkiServerVerifier::builder_with_provider(roots, crypto::provider()).build()?;
        let verifier = Arc::new(AnotherName { inner, expected });
        config.dangerous().set_certificate_verifier(verifier);
    }
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Every certificate of a PEM file; at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(path, &error))?
        .collect();
    let all = all.map_err(|error| unreadable(path, &error))?;
    if all.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(all)
}

fn unreadable(path: &Path, problem: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Verifies as usual, but the name that the configuration gives in place of the one that was connected to.
#[derive(Debug)]
struct AnotherName {
    inner: Arc<WebPkiServerVerifier>,
    expected: ServerName<'static>,
}

impl ServerCertVerifier for AnotherName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _connected_to: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, &self.expected, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
