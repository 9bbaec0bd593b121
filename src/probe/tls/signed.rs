//! Signed structures (RFC 5280, section 4.1.1; revocation lists and OCSP responses have the same form), and whether a key
//! made their signature.

use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::der;
use crate::net::crypto;

/// The smallest RSA key that today's verifiers take, in bits.
const MIN_RSA_BITS: usize = 2048;

/// The parts of a signed structure.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// What is signed, with its tag and length.
    pub message: &'a [u8],
    /// The content of the algorithm identifier's sequence.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// What follows the signature.
    pub rest: &'a [u8],
}

/// Whether a key made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Signed,
    NotSigned,
    /// The algorithm or the size of the key is one that no verifier takes any more, or yet.
    CannotTell,
}

impl<'a> Signed<'a> {
    pub fn read(der: &'a [u8]) -> Option<Signed<'a>> {
        let (whole, _) = der::element(der)?;
        let (tbs, rest) = der::element(whole.content)?;
        let (algorithm, rest) = der::element(rest)?;
        let (signature, rest) = der::element(rest)?;
        Some(Signed {
            message: tbs.whole,
            algorithm: algorithm.content,
            signature: der::bits(signature.content)?,
            rest,
        })
    }

    /// Whether this key (the content of a subject public key info's sequence) made the signature.
    pub fn by_key(&self, key: &[u8]) -> Link {
        let Some((key_algorithm, key_bits)) = key_parts(key) else {
            return Link::NotSigned;
        };
        if small_rsa_key(key).is_some() {
            return Link::CannotTell;
        }
        let provider = crypto::provider();
        let algorithm = provider
            .signature_verification_algorithms
            .all
            .iter()
            .find(|algorithm| self.is_for(**algorithm, key_algorithm));
        match algorithm.map(|it| it.verify_signature(key_bits, self.message, self.signature)) {
            None => Link::CannotTell,
            Some(Ok(())) => Link::Signed,
            Some(Err(_)) => Link::NotSigned,
        }
    }

    fn is_for(&self, algorithm: &dyn SignatureVerificationAlgorithm, key_algorithm: &[u8]) -> bool {
        algorithm.signature_alg_id().as_ref() == self.algorithm
            && algorithm.public_key_alg_id().as_ref() == key_algorithm
    }
}

/// The algorithm and the bits of a key (the content of a subject public key info's sequence).
pub(super) fn key_parts(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = der::element(key)?;
    let (bits, _) = der::element(rest)?;
    Some((algorithm.content, der::bits(bits.content)?))
}

/// The size in bits of an RSA key (the content of a subject public key info's sequence) that is too small to be taken.
pub(super) fn small_rsa_key(key: &[u8]) -> Option<usize> {
    let whole = der::in_sequence(key);
    let (_, key) = <SubjectPublicKeyInfo<'_> as x509_parser::prelude::FromDer<_>>::from_der(&whole).ok()?;
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Some(rsa.key_size()).filter(|bits| *bits < MIN_RSA_BITS),
        _ => None,
    }
}
