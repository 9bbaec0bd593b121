//! The listener's certificate, read again when its files change.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

use crate::model::plan::ListenTls;
use crate::net::client_tls::certificates;
use crate::net::crypto;
use crate::net::stamp::FileStamp;

/// Makes acceptors from the certificate's files as they are now.
pub struct Certificate {
    files: ListenTls,
    stamp: Stamp,
    acceptor: TlsAcceptor,
}

/// Of both files; `None` for one that is not there.
type Stamp = [Option<FileStamp>; 2];

impl Certificate {
    /// # Errors
    /// A file cannot be read, or the certificate and its key do not belong together.
    pub fn load(files: &ListenTls) -> io::Result<Self> {
        let stamp = stamp(files);
        Ok(Certificate {
            acceptor: acceptor(files)?,
            files: files.clone(),
            stamp,
        })
    }

    /// For the next connection. Files that changed and are no good are told of, and the old certificate stays.
    pub fn acceptor(&mut self) -> TlsAcceptor {
        let stamp = stamp(&self.files);
        if stamp != self.stamp {
            self.stamp = stamp;
            match acceptor(&self.files) {
                Ok(acceptor) => {
                    self.acceptor = acceptor;
                    tracing::info!("listener: the certificate was read again");
                }
                Err(error) => tracing::error!("listener: the certificate changed and is not usable: {error}"),
            }
        }
        self.acceptor.clone()
    }
}

fn stamp(files: &ListenTls) -> Stamp {
    [&files.cert, &files.key].map(|path| FileStamp::of(path).ok())
}

fn acceptor(files: &ListenTls) -> io::Result<TlsAcceptor> {
    let chain = certificates(&files.cert).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(crypto::provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> io::Error {
    io::Error::other(format!("cannot read {}: {error}", path.display()))
}
