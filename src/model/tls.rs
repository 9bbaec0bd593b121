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
    /// The chain was refused by the authorities given for this peer, and the system's own would accept it.
    pub system_trusts: bool,
    /// The leaf asks for a stapled OCSP response (RFC 7633, "must-staple").
    pub must_staple: bool,
    /// An OCSP response came with the handshake.
    pub stapled: bool,
    /// What a stapled OCSP response and the configured revocation lists say.
    pub revocation: Vec<RevocationFacts>,
}

/// What one source says about the revocation of one certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct RevocationFacts {
    /// Position in the presented chain, leaf 0.
    pub position: u8,
    pub source: RevocationSource,
    pub standing: Standing,
    pub this_update: Option<Wall>,
    /// When newer information was to be had at the latest.
    pub next_update: Option<Wall>,
    /// Whether `next_update` has passed.
    pub outdated: bool,
    /// Who spoke: the list's file, or the OCSP responder.
    pub said_by: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationSource {
    StapledOcsp,
    Crl,
}

impl RevocationSource {
    pub const fn id(self) -> &'static str {
        match self {
            RevocationSource::StapledOcsp => "stapled_ocsp",
            RevocationSource::Crl => "crl",
        }
    }
}

/// How a certificate stands with its issuer.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Not revoked, as a source says whose word is good now.
    Good,
    Revoked {
        at: Wall,
        /// RFC 5280, section 5.3.1: `key_compromise`, say; `None` where none is given.
        reason: Option<&'static str>,
    },
    /// The responder does not know the certificate.
    Unknown,
    /// The source proves nothing; why.
    NoProof(Box<str>),
}

impl Standing {
    pub const fn id(&self) -> &'static str {
        match self {
            Standing::Good => "good",
            Standing::Revoked { .. } => "revoked",
            Standing::Unknown => "unknown",
            Standing::NoProof(_) => "no_proof",
        }
    }
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
    /// The public key's kind and size: `RSA 2048`, `EC P-256`, `Ed25519`; empty where it could not be read.
    pub key: Box<str>,
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
    /// Of a missing intermediate: the subjects of those that another peer presented, or that were fetched, and that complete the
    /// chain, which is the proof. Empty where it is only supposed.
    pub completes_with: Box<[Box<str>]>,
    /// Of an issuer that lacks: where the certificate below it says that it is to be had.
    pub issuer_url: Option<Box<str>>,
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
