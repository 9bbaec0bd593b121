//! Placeholder until the TLS room is merged: plain rustls with system roots and given CA files.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use crate::model::attempt::{Budget, Call, TlsFacts, TlsTrouble, Trouble};
use crate::model::dependency::TlsSettings;
use crate::net::sanitize::error_chain;

pub(crate) struct TlsClients;

impl TlsClients {
    pub fn new() -> Self {
        crate::net::crypto::install();
        TlsClients
    }
}

pub(crate) struct Handshake<'a> {
    pub settings: &'a TlsSettings,
    pub host: &'a str,
    pub alpn: &'a [&'a [u8]],
    pub deadline: tokio::time::Instant,
}

#[derive(Debug)]
pub(crate) struct TlsFailure {
    pub trouble: Trouble,
    pub facts: TlsFacts,
    pub chain: Vec<Box<str>>,
}

fn failure(trouble: Trouble, err: &(dyn std::error::Error + 'static)) -> Box<TlsFailure> {
    Box::new(TlsFailure {
        trouble,
        facts: TlsFacts::default(),
        chain: error_chain(err),
    })
}

pub(crate) async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    _: &TlsClients,
    io: IO,
    how: Handshake<'_>,
) -> Result<(TlsStream<IO>, TlsFacts), Box<TlsFailure>> {
    let mut roots = rustls::RootCertStore::empty();
    for path in how.settings.ca.iter() {
        for cert in CertificateDer::pem_file_iter(path)
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = roots.add(cert);
        }
    }
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = how.alpn.iter().map(|p| p.to_vec()).collect();
    let name = how.settings.server_name.as_deref().unwrap_or(how.host);
    let name = match ServerName::try_from(name.to_owned()) {
        Ok(name) => name,
        Err(err) => return Err(failure(Trouble::UrlInvalid("name".into()), &err)),
    };
    let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, io);
    match tokio::time::timeout_at(how.deadline, connecting).await {
        Err(late) => Err(failure(Trouble::TimedOut(Budget::Phase), &late)),
        Ok(Err(err)) => {
            let trouble = if let Some(errno) = err.raw_os_error() {
                Trouble::Io {
                    call: Call::Receive,
                    errno,
                }
            } else if err.kind() == std::io::ErrorKind::UnexpectedEof {
                Trouble::Closed
            } else if let Some(trouble) = trouble_after_handshake(&err) {
                trouble
            } else {
                Trouble::Tls(TlsTrouble::NotTls)
            };
            Err(failure(trouble, &err))
        }
        Ok(Ok(stream)) => {
            let facts = TlsFacts {
                finished: true,
                alpn: stream
                    .get_ref()
                    .1
                    .alpn_protocol()
                    .map(|p| String::from_utf8_lossy(p).into()),
                ..TlsFacts::default()
            };
            Ok((stream, facts))
        }
    }
}

pub(crate) fn trouble_after_handshake(err: &std::io::Error) -> Option<Trouble> {
    let tls = err.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::AlertReceived(alert) => Trouble::Tls(TlsTrouble::AlertReceived(u8::from(*alert))),
        rustls::Error::InvalidCertificate(_) => Trouble::Tls(TlsTrouble::Certificate),
        other => Trouble::Tls(TlsTrouble::Misbehaved(other.to_string().into())),
    })
}

pub(crate) fn looks_like_tls(first_bytes: &[u8]) -> bool {
    matches!(first_bytes, [0x14..=0x17, 0x03, 0x00..=0x04, ..])
}

pub(crate) async fn client_hello_probe<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    server_name: &str,
    deadline: tokio::time::Instant,
) -> bool {
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let Ok(name) = ServerName::try_from(server_name.to_owned()) else {
        return false;
    };
    let Ok(mut hello) = rustls::ClientConnection::new(Arc::new(config), name) else {
        return false;
    };
    let mut bytes = vec![];
    let _ = hello.write_tls(&mut bytes);
    let mut answer = [0; 5];
    let talk = async {
        io.write_all(&bytes).await?;
        io.read_exact(&mut answer).await
    };
    let done = tokio::time::timeout_at(deadline, talk).await;
    matches!(done, Ok(Ok(_))) && looks_like_tls(&answer)
}
