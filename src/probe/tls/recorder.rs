//! What one handshake shows is recorded where rustls asks for decisions: it keeps nothing of a failed handshake itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::audit::{self, Against, Question};
use super::certificate::Certificate;
use super::clients::Prepared;
use super::seen::SeenAuthorities;
use crate::model::attempt::{
    CertificateFacts, CertificateFault, CertificateFaultKind, RevocationFacts, TlsFacts,
};
use crate::net::crypto;
use crate::net::sanitize::foreign_text;

/// Good chains remembered, at about 2 KiB each. Beyond that the memory starts anew.
const MAX_KNOWN: usize = 4_096;

/// What handshakes have in common over time.
#[derive(Default)]
pub(super) struct Memory {
    pub seen: SeenAuthorities,
    /// Fetched where the user allows it.
    pub fetched: SeenAuthorities,
    /// Chains that a set of trust anchors was found to vouch for, by digest of both.
    known: Mutex<HashMap<[u8; 32], Arc<KnownChain>>>,
}

/// A verified chain. Signatures and purposes hold as long as all of its certificates are valid; the name is not part
/// of it and is verified each time.
struct KnownChain {
    facts: Vec<CertificateFacts>,
    revocation: Vec<RevocationFacts>,
    must_staple: bool,
    /// Seconds since 1970.
    valid: (i64, i64),
}

impl Memory {
    fn known(&self, digest: &[u8; 32], now: UnixTime) -> Option<Arc<KnownChain>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = known.get(digest)?;
        let now = audit::seconds(now);
        (chain.valid.0..=chain.valid.1)
            .contains(&now)
            .then(|| chain.clone())
    }

    fn remember(&self, digest: [u8; 32], chain: KnownChain) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(digest, Arc::new(chain));
    }
}

/// The verifier and the source of client certificates of one handshake.
pub(super) struct Recorder {
    prepared: Arc<Prepared>,
    memory: Arc<Memory>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    chain: Vec<CertificateFacts>,
    faults: Vec<CertificateFault>,
    client_cert_requested: bool,
    client_cert_sent: bool,
    system_trusts: bool,
    must_staple: bool,
    stapled: bool,
    revocation: Vec<RevocationFacts>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    pub fn new(prepared: Arc<Prepared>, memory: Arc<Memory>) -> Recorder {
        Recorder {
            prepared,
            memory,
            record: Mutex::default(),
        }
    }

    /// Moves what was recorded into the facts.
    pub fn tell(&self, facts: &mut TlsFacts) {
        let record = std::mem::take(&mut *self.record());
        facts.chain = record.chain;
        facts.faults = record.faults;
        facts.client_cert_requested = record.client_cert_requested;
        facts.client_cert_sent = record.client_cert_sent;
        facts.must_staple = record.must_staple;
        facts.system_trusts = record.system_trusts;
        facts.stapled = record.stapled;
        facts.revocation = record.revocation;
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Facts of a chain that is known to be good and bears the right name.
    fn recognise(&self, digest: &[u8; 32], question: Question<'_>) -> Option<Arc<KnownChain>> {
        let known = self.memory.known(digest, question.now)?;
        let leaf = ParsedCertificate::try_from(question.leaf).ok()?;
        verify_server_name(&leaf, question.name).ok()?;
        Some(known)
    }

    /// A handshake that the certificate's key did not sign.
    fn note_signature<T>(&self, leaf: &CertificateDer<'_>, result: Result<T, Error>) -> Result<T, Error> {
        let Err(err @ Error::InvalidCertificate(_)) = &result else {
            return result;
        };
        let small_key = Certificate::parse(leaf).ok().and_then(|leaf| leaf.small_key());
        let (kind, detail) = match small_key {
            Some(bits) => (
                CertificateFaultKind::WeakSignature,
                format!("the handshake is signed with an RSA key of {bits} bits"),
            ),
            None => (
                CertificateFaultKind::BadSignature,
                format!("the handshake is not signed by the certificate's key: {err}"),
            ),
        };
        self.record().faults.push(CertificateFault {
            position: Some(0),
            kind,
            detail: foreign_text(detail.as_bytes(), 400),
            completes_with: Box::default(),
            issuer_url: None,
        });
        result
    }
}

/// A digest of the chain, of the OCSP response that came with it, and of what both are held against. Lengths keep the
/// parts apart.
fn digest(against: [u64; 2], question: Question<'_>) -> [u8; 32] {
    let ders = || {
        let chain = std::iter::once(question.leaf).chain(question.others);
        std::iter::once(question.staple).chain(chain.map(AsRef::as_ref))
    };
    let lengths: Vec<[u8; 8]> = ders().map(|der| (der.len() as u64).to_be_bytes()).collect();
    let against = against.map(u64::to_be_bytes);
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * lengths.len() + 2);
    parts.extend(against.iter().map(|id| &id[..]));
    for (length, der) in lengths.iter().zip(ders()) {
        parts.extend([&length[..], der]);
    }
    crypto::sha256(&parts)
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let question = Question {
            leaf: end_entity,
            others: intermediates,
            name: server_name,
            staple: ocsp_response,
            now,
        };
        let against = Against {
            trust: self.prepared.trust(),
            seen: &self.memory.seen,
            fetched: &self.memory.fetched,
            crls: self.prepared.crls(),
        };
        let digest = digest([against.trust.id(), against.crls.id()], question);
        let mut record = self.record();
        record.stapled = !ocsp_response.is_empty();
        if let Some(known) = self.recognise(&digest, question) {
            record.chain = known.facts.clone();
            record.revocation = known.revocation.clone();
            record.must_staple = known.must_staple;
            return Ok(ServerCertVerified::assertion());
        }
        let audit = audit::audit(question, against);
        record.faults = audit.faults;
        record.revocation = audit.revocation;
        record.must_staple = audit.must_staple;
        record.system_trusts = audit.system_trusts;
        record.chain = audit.chain;
        if let Some(err) = audit.refusal {
            return Err(err);
        }
        let known = KnownChain {
            facts: record.chain.clone(),
            revocation: record.revocation.clone(),
            must_staple: record.must_staple,
            valid: audit.valid,
        };
        drop(record);
        self.memory.remember(digest, known);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = crypto::provider().signature_verification_algorithms;
        self.note_signature(
            cert,
            rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms),
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = crypto::provider().signature_verification_algorithms;
        self.note_signature(
            cert,
            rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms),
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto::provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ResolvesClientCert for Recorder {
    /// The configured certificate, whatever authorities the server names: it may accept more than it names, and its
    /// refusal is the better answer.
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let key = self.prepared.client_key();
        let mut record = self.record();
        record.client_cert_requested = true;
        record.client_cert_sent = key.is_some_and(|it| it.key.choose_scheme(sigschemes).is_some());
        key.cloned()
    }

    fn has_certs(&self) -> bool {
        self.prepared.client_key().is_some()
    }
}
