//! TLS handshakes on our own sockets, with all that they show, whether they end well or not.

mod aia;
mod audit;
mod certificate;
mod clients;
mod crl;
mod der;
mod failure;
mod hello;
mod ocsp;
mod path;
mod presented;
mod recorder;
mod revocation;
mod seen;
mod signed;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::model::attempt::{Budget, TlsFacts, Trouble};
use crate::model::dependency::TlsSettings;
use crate::net::sanitize::foreign_text;

pub(crate) use clients::TlsClients;
pub(crate) use failure::{TlsFailure, trouble_after_handshake};
pub(crate) use hello::{client_hello_probe, looks_like_tls};
use recorder::Recorder;

/// How to shake hands.
pub(crate) struct Handshake<'a> {
    pub settings: &'a TlsSettings,
    /// The name to ask for and to verify, unless the settings have another: a DNS name or an address without brackets.
    pub host: &'a str,
    /// Protocols to offer, preferred first; none offers none.
    pub alpn: &'a [&'a [u8]],
    pub deadline: Instant,
}

/// Shakes hands over `io`, which the stream owns afterwards; after a failure it is closed.
///
/// # Errors
/// Every failure, with what the handshake showed until then: the certificates presented and all of their faults above
/// all. [`Trouble::TimedOut`] names the phase's budget, since only the caller knows where the deadline came from.
pub(crate) async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    clients: &TlsClients,
    io: IO,
    how: Handshake<'_>,
) -> Result<(TlsStream<IO>, TlsFacts), Box<TlsFailure>> {
    let asked = how.settings.server_name.as_deref().unwrap_or(how.host);
    let mut facts = TlsFacts {
        server_name: Some(asked.into()),
        ..TlsFacts::default()
    };
    let name = match ServerName::try_from(asked) {
        Ok(name) => name.to_owned(),
        Err(_) => {
            let text = format!("{asked} cannot be the name of a TLS server");
            return Err(failed(
                Trouble::UrlInvalid(foreign_text(text.as_bytes(), 300)),
                facts,
            ));
        }
    };
    let prepared = match timeout_at(how.deadline, clients.prepared(how.settings)).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(text)) => return Err(failed(Trouble::Credentials(text), facts)),
        Err(_) => return Err(failed(Trouble::TimedOut(Budget::Phase), facts)),
    };
    let recorder = Arc::new(Recorder::new(prepared.clone(), clients.memory().clone()));
    let connector = TlsConnector::from(prepared.config(&recorder));
    let alpn = how.alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let shaking = connector.with_alpn(alpn).connect(name, io);
    let ended = timeout_at(how.deadline, shaking).await;
    recorder.tell(&mut facts);
    match ended {
        Ok(Ok(stream)) => {
            describe(stream.get_ref().1, &mut facts);
            Ok((stream, facts))
        }
        Ok(Err(err)) => Err(Box::new(TlsFailure {
            trouble: failure::trouble(&err),
            chain: failure::chain(&err, &facts.faults),
            facts,
        })),
        Err(_) => Err(failed(Trouble::TimedOut(Budget::Phase), facts)),
    }
}

fn describe(connection: &ClientConnection, facts: &mut TlsFacts) {
    facts.finished = true;
    facts.version = connection
        .protocol_version()
        .map(|it| hello::version_name(it.into()));
    facts.cipher = connection
        .negotiated_cipher_suite()
        .map(|it| hello::suite_name(it.suite()));
    facts.alpn = connection
        .alpn_protocol()
        .map(|protocol| foreign_text(protocol, 64));
    facts.resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
}

/// A failure without an error from below.
fn failed(trouble: Trouble, facts: TlsFacts) -> Box<TlsFailure> {
    let mut chain = vec![Box::<str>::from("TLS handshake failed")];
    match &trouble {
        Trouble::Credentials(text) | Trouble::UrlInvalid(text) => chain.push(text.clone()),
        Trouble::TimedOut(_) => chain.push("the time for it ended".into()),
        _ => {}
    }
    Box::new(TlsFailure {
        trouble,
        facts,
        chain,
    })
}
