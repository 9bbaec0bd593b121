//! The facts of a TLS handshake: what was agreed upon, what was presented, and every fault of it.

use super::time::Wall;

/// What the handshake showed, whether or not it ended well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsFacts {
    /// `TLSv1.3`, say; `None` when the handshake did not get so far.
    pub version: Option<Box<str>>,
    pub cipher: Option<Box<str>>,
    pub alpn: Option<Box<str>>,
    pub server_name: Option<Box<str>>,
    pub resumed: bool,
    /// Whether the handshake came to its end.
    pub finished: bool,
    /// The peer asked for a client certificate.
    pub client_cert_requested: bool,
    /// We had one to give.
    pub client_cert_sent: bool,
    /// As presented, leaf first.
    pub chain: Vec<CertificateFacts>,
    /// Every fault of every certificate, most explaining first.
    pub faults: Vec<CertificateFault>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFacts {
    pub subject: Box<str>,
    pub issuer: Box<str>,
    /// Hexadecimal.
    pub serial: Box<str>,
    pub not_before: Wall,
    pub not_after: Wall,
    /// DNS names and addresses of the subject alternative name extension.
    pub names: Vec<Box<str>>,
    pub is_ca: bool,
    pub self_issued: bool,
    pub signature_algorithm: Box<str>,
    /// SHA-256 of the DER, hexadecimal.
    pub fingerprint: Box<str>,
    /// Whether it is part of the path that was verified.
    pub needed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFault {
    /// Position in the presented chain, leaf 0; `None` when it is the chain's.
    pub position: Option<u8>,
    pub kind: CertificateFaultKind,
    /// The verifier's own words.
    pub detail: Box<str>,
    /// Of a missing intermediate: the subjects of those that another peer presented and that complete the chain, which
    /// is the proof. Empty where it is only supposed.
    pub completes_with: Box<[Box<str>]>,
}

/// In the order in which browsers let one explain the others (CAUSES.md, precedence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateFaultKind {
    Encoding,
    BadSignature,
    CaAsLeaf,
    Purpose,
    Revoked,
    SelfSigned,
    UnknownRoot,
    MissingIntermediate,
    NameMismatch,
    WeakSignature,
    NotYetValid,
    Expired,
}
