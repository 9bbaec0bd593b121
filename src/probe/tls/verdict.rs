//! The verifier's errors as faults, and in words.

use rustls::{CertificateError, Error};

use crate::model::attempt::{CertificateFault, CertificateFaultKind};
use crate::net::sanitize::foreign_text;

const MAX_DETAIL: usize = 400;

pub(super) fn fault(position: Option<usize>, kind: CertificateFaultKind, detail: &str) -> CertificateFault {
    CertificateFault {
        position: position.map(|position| u8::try_from(position).unwrap_or(u8::MAX)),
        kind,
        detail: foreign_text(detail.as_bytes(), MAX_DETAIL),
        completes_with: Box::default(),
        issuer_url: None,
    }
}

/// What the verifier says, in one line.
pub(super) fn words(err: &Error) -> Box<str> {
    let Error::InvalidCertificate(err) = err else {
        return foreign_text(err.to_string().as_bytes(), MAX_DETAIL);
    };
    let text = match err {
        // Their own texts are dumps of bytes.
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "its signature algorithm is not supported".into()
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its signature algorithm does not go with its issuer's key".into()
        }
        CertificateError::Other(other) => other.to_string(),
        err => err.to_string(),
    };
    foreign_text(text.as_bytes(), MAX_DETAIL)
}

/// A fault from the verifier's error alone.
pub(super) fn from_verifier(err: &Error) -> CertificateFault {
    use CertificateFaultKind as Kind;
    let kind = match err {
        Error::InvalidCertificate(err) => match err {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Kind::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Kind::NotYetValid,
            CertificateError::Revoked => Kind::Revoked,
            CertificateError::UnknownIssuer => Kind::UnknownRoot,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Kind::NameMismatch
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Kind::Purpose
            }
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Kind::BadSignature,
            CertificateError::Other(other) => from_webpki(&other.to_string()),
            _ => Kind::Encoding,
        },
        _ => Kind::Encoding,
    };
    fault(None, kind, &words(err))
}

/// webpki's errors without a name in rustls arrive as text: the variant's name.
fn from_webpki(text: &str) -> CertificateFaultKind {
    use CertificateFaultKind as Kind;
    match text {
        "CaUsedAsEndEntity" => Kind::CaAsLeaf,
        "EndEntityUsedAsCa"
        | "PathLenConstraintViolated"
        | "NameConstraintViolation"
        | "EmptyEkuExtension" => Kind::Purpose,
        "CertDistrusted" => Kind::UnknownRoot,
        _ => Kind::Encoding,
    }
}
