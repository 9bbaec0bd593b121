//! The one crypto provider: aws-lc-rs. (ring cannot verify P-521 and has no post-quantum key exchange, which would make
//! false alarms in a prober.)

use std::sync::{Arc, OnceLock};

use rustls::SupportedCipherSuite;
use rustls::crypto::hash::Hash;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Makes our provider the process's default. Idempotent; every binary and test that uses TLS calls it first.
pub fn install() {
    // The error says that there is a default already. It can only be ours: no other provider is compiled in.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The provider itself, shared.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
        .clone()
}

/// SHA-256 over the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = sha256_of_the_provider().start();
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    // SHA-256 gives 32 bytes, so that the lengths agree.
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// A digest by which OCSP names certificates (RFC 6960, section 4.1.1). SHA-1 is usual there, and is an identifier only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// By the content of its object identifier.
    pub fn by_oid(oid: &[u8]) -> Option<Digest> {
        Some(match oid {
            [0x2b, 0x0e, 3, 2, 0x1a] => Digest::Sha1,
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1] => Digest::Sha256,
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2] => Digest::Sha384,
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3] => Digest::Sha512,
            _ => return None,
        })
    }
}

/// The digest of these bytes.
pub fn digest(digest: Digest, bytes: &[u8]) -> Box<[u8]> {
    use ::aws_lc_rs::digest as all;
    let algorithm = match digest {
        Digest::Sha1 => &all::SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => &all::SHA256,
        Digest::Sha384 => &all::SHA384,
        Digest::Sha512 => &all::SHA512,
    };
    all::digest(algorithm, bytes).as_ref().into()
}

/// The provider shows its hash functions only as parts of its cipher suites.
fn sha256_of_the_provider() -> &'static dyn Hash {
    match aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_the_standard_example() {
        // FIPS 180-2, appendix B.1: "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text: String = sha256(&[b"a", b"", b"bc"])
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn installing_twice_is_installing_once() {
        install();
        install();
        assert!(CryptoProvider::get_default().is_some());
    }
}
