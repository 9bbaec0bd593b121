//! Certificates as they were presented, readable or not.

use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use super::certificate::Certificate;
use super::verdict::words;
use crate::model::attempt::CertificateFacts;
use crate::model::time::Wall;
use crate::net::crypto;

/// The certificate, when our reading and the verifier's both succeed.
pub(super) fn read<'a>(der: &'a CertificateDer<'a>) -> Result<Certificate<'a>, Box<str>> {
    let certificate = Certificate::parse(der)?;
    match ParsedCertificate::try_from(der) {
        Ok(_) => Ok(certificate),
        // Verifiers take version 3 alone; what is wrong with an older one is, first of all, that it can have no names.
        Err(_) if certificate.version != 3 => Ok(certificate),
        Err(err) => Err(words(&err)),
    }
}

/// Of a certificate that cannot be read its fingerprint is known, and nothing else.
pub(super) fn no_facts(der: &[u8]) -> CertificateFacts {
    let digest = crypto::sha256(&[der]);
    CertificateFacts {
        subject: Box::default(),
        issuer: Box::default(),
        serial: Box::default(),
        not_before: Wall::default(),
        not_after: Wall::default(),
        names: Vec::new(),
        is_ca: false,
        self_issued: false,
        signature_algorithm: Box::default(),
        key: Box::default(),
        fingerprint: digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
        needed: false,
    }
}

/// The time in which all of them are valid, in seconds since 1970: (latest start, earliest end).
pub(super) fn validity<'a>(certificates: impl Iterator<Item = &'a Certificate<'a>>) -> (i64, i64) {
    certificates.fold((i64::MIN, i64::MAX), |(start, end), it| {
        (start.max(it.not_before), end.min(it.not_after))
    })
}
