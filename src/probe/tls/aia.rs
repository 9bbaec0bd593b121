//! Issuers' certificates as they are had from where a certificate says (RFC 5280, section 4.2.2.1): DER, PEM, or the
//! certificates of a PKCS #7 message (RFC 2797, "certs-only").

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::der;

/// 1.2.840.113549.1.7.2, signedData.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;
const SEQUENCE: u8 = 0x30;
/// Most certificates taken of one file.
const MOST: usize = 8;

/// The certificates of a file.
pub(super) fn certificates(body: &[u8]) -> Vec<Vec<u8>> {
    if body.starts_with(b"-----BEGIN") {
        let sections = CertificateDer::pem_slice_iter(body).take(MOST);
        return sections.flatten().map(|der| der.to_vec()).collect();
    }
    match of_message(body) {
        Some(certificates) => certificates,
        None => vec![body.to_vec()],
    }
}

fn of_message(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (kind, rest) = der::element(der::sequence(body)?)?;
    if kind.content != SIGNED_DATA {
        return None;
    }
    let (explicit, _) = der::element(rest)?;
    // Version, digest algorithms, and what is signed, which is nothing; then the certificates.
    let mut rest = der::sequence(explicit.content)?;
    for _ in 0..3 {
        (_, rest) = der::element(rest)?;
    }
    let (set, _) = der::element(rest).filter(|(set, _)| set.tag == CONTEXT_0)?;
    let mut certificates = Vec::new();
    let mut rest = set.content;
    while let Some((certificate, after)) = der::element(rest) {
        if certificate.tag == SEQUENCE && certificates.len() < MOST {
            certificates.push(certificate.whole.to_vec());
        }
        rest = after;
    }
    Some(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::certs::Authority;

    #[test]
    fn der_pem_and_messages() {
        let authority = Authority::new("A").unwrap();
        let der = authority.der().to_vec();
        assert_eq!(certificates(&der), std::slice::from_ref(&der));
        assert_eq!(
            certificates(authority.pem().as_bytes()),
            std::slice::from_ref(&der)
        );
        // A message by hand: the outer layers are sequences, and the parts before the certificates are not looked at.
        let tagged = |tag: u8, content: &[u8]| {
            let mut whole = der::in_sequence(content);
            whole[0] = tag;
            whole
        };
        let signed = [
            &[2, 1, 1][..],
            &[0x31, 0],
            &tagged(SEQUENCE, &[6, 1, 0]),
            &tagged(CONTEXT_0, &[&der[..], &der].concat()),
            &[0x31, 0],
        ]
        .concat();
        let inner = tagged(CONTEXT_0, &tagged(SEQUENCE, &signed));
        let message = tagged(SEQUENCE, &[&tagged(6, SIGNED_DATA)[..], &inner].concat());
        assert_eq!(certificates(&message), [der.clone(), der]);
    }
}
