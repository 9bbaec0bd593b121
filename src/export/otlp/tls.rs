//! TLS towards a collector: the same settings as a dependency's, as a rustls configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::dependency::{TlsMinVersion, TlsSettings};
use crate::net::crypto;
use crate::net::trust::{Trust, TrustError};

/// TLS settings that cannot be used. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {problem}")]
    File { path: PathBuf, problem: String },
    #[error("no certificate in {0}")]
    NoCertificate(PathBuf),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The client's configuration. `alpn` is what the protocol on top wants to be agreed upon.
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
