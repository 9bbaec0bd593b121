//! From rustls' errors and the system's to facts.

use std::error::Error as StdError;
use std::io;

use rustls::{Error, InvalidMessage, PeerMisbehaved};

use super::hello;
use crate::model::attempt::{Call, CertificateFault, TlsFacts, TlsTrouble, Trouble};
use crate::net::sanitize::{error_chain, foreign_text};

/// Longest text of an error within facts, in characters.
const MAX_TEXT: usize = 300;

/// A handshake that failed: why, and all that it showed before.
#[derive(Debug)]
pub(crate) struct TlsFailure {
    pub trouble: Trouble,
    pub facts: TlsFacts,
    pub chain: Vec<Box<str>>,
}

impl TlsFailure {
    /// Takes the first bytes that the peer sent into account, which only the caller's socket has seen: a ServerHello
    /// among them tells version and cipher of a handshake that failed, and bytes that are not TLS explain whatever
    /// came of them.
    pub fn learn(&mut self, first_bytes: &[u8]) {
        if let Some((version, cipher)) = hello::server_hello(first_bytes) {
            self.facts.version.get_or_insert(version);
            self.facts.cipher.get_or_insert(cipher);
        }
        let contradicted = hello::contradicts_tls(first_bytes);
        match &self.trouble {
            Trouble::Closed | Trouble::TimedOut(_) | Trouble::Io { .. } if contradicted => {
                self.trouble = Trouble::Tls(TlsTrouble::NotTls);
            }
            Trouble::Tls(TlsTrouble::Misbehaved(_) | TlsTrouble::Incompatible(_)) if contradicted => {
                self.trouble = Trouble::Tls(TlsTrouble::NotTls);
            }
            Trouble::Tls(TlsTrouble::NotTls) if hello::looks_like_tls(first_bytes) => {
                let text = self.chain.last().cloned().unwrap_or_default();
                self.trouble = Trouble::Tls(TlsTrouble::Misbehaved(text));
            }
            _ => {}
        }
    }
}

/// What an error of the handshake's future means.
pub(super) fn trouble(err: &io::Error) -> Trouble {
    if let Some(tls) = find::<Error>(err) {
        return from_rustls(tls);
    }
    if let Some(trouble) = from_system(err) {
        return trouble;
    }
    Trouble::Other(foreign_text(err.to_string().as_bytes(), MAX_TEXT))
}

/// What an error of reading from or writing to an established TLS stream means, where it is TLS' own; `None` for those
/// of the socket. In TLS 1.3 the server looks at the client's certificate after the client is done, so that its refusal
/// (alert 116 and others) is met by the first read.
pub(crate) fn trouble_after_handshake(err: &io::Error) -> Option<Trouble> {
    find::<Error>(err).map(from_rustls)
}

/// The error's inner one of that type, however often it is wrapped.
fn find<T: StdError + 'static>(err: &io::Error) -> Option<&T> {
    let mut next: Option<&(dyn StdError + 'static)> = err.get_ref().map(|err| err as _);
    while let Some(err) = next {
        if let Some(found) = err.downcast_ref() {
            return Some(found);
        }
        // An io::Error passes over what it holds when asked for its source.
        next = match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as _),
            None => err.source(),
        };
    }
    None
}

fn from_system(err: &io::Error) -> Option<Trouble> {
    let errno = err
        .raw_os_error()
        .or_else(|| find::<io::Error>(err)?.raw_os_error());
    let errno = match (errno, err.kind()) {
        (Some(errno), _) => errno,
        (None, io::ErrorKind::UnexpectedEof) => return Some(Trouble::Closed),
        (None, io::ErrorKind::ConnectionReset) => libc::ECONNRESET,
        (None, io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero) => libc::EPIPE,
        (None, _) => return None,
    };
    // The future does not say which call failed. Only writing gives EPIPE; a reset is as good as always read, since
    // the client waits for answers nearly all of the time.
    let call = if errno == libc::EPIPE {
        Call::Send
    } else {
        Call::Receive
    };
    Some(Trouble::Io { call, errno })
}

fn from_rustls(err: &Error) -> Trouble {
    let text = || foreign_text(err.to_string().as_bytes(), MAX_TEXT);
    let tls = match err {
        Error::AlertReceived(alert) => TlsTrouble::AlertReceived(u8::from(*alert)),
        Error::InvalidCertificate(_) => TlsTrouble::Certificate,
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => TlsTrouble::NotTls,
        Error::PeerIncompatible(_) => TlsTrouble::Incompatible(text()),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            TlsTrouble::Alpn(text())
        }
        Error::NoApplicationProtocol => TlsTrouble::Alpn(text()),
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::NoCertificatesPresented
        | Error::DecryptError
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => TlsTrouble::Misbehaved(text()),
        _ => return Trouble::Other(text()),
    };
    Trouble::Tls(tls)
}

/// The error as texts, from what was done to what went wrong. Of a refused certificate the audit's words are told: the
/// library knows only its first complaint, and some of its texts are dumps of bytes.
pub(super) fn chain(err: &(dyn StdError + 'static), faults: &[CertificateFault]) -> Vec<Box<str>> {
    let mut chain = vec![Box::<str>::from("TLS handshake failed")];
    match faults.first() {
        Some(fault) => chain.push(format!("invalid peer certificate: {}", fault.detail).into()),
        None => chain.extend(error_chain(err)),
    }
    chain
}
