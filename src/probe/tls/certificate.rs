//! One presented certificate, read: the facts to report, and what an audit needs to know of it.

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::public_key::PublicKey;

use super::der;
use super::signed::{Link, Signed, small_rsa_key};
use crate::model::attempt::CertificateFacts;
use crate::model::time::Wall;
use crate::net::crypto;
use crate::net::sanitize::foreign_text;

/// Longest subject or issuer, in characters.
const MAX_NAME: usize = 200;
/// Most names of one certificate that are reported. Certificates of content networks have hundreds.
const MAX_NAMES: usize = 100;

/// 1.3.6.1.5.5.7.1.24, the TLS feature extension (RFC 7633, section 6).
const TLS_FEATURE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
/// The number of the TLS extension status_request (RFC 6066, section 8).
const STATUS_REQUEST: &[u8] = &[5];

/// A certificate whose encoding is sound. Byte strings are slices of its DER.
pub(super) struct Certificate<'a> {
    pub facts: CertificateFacts,
    /// The names' DER, with tag and length.
    pub subject: &'a [u8],
    pub issuer: &'a [u8],
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    pub is_ca: bool,
    /// Whether the extended key usage, if there is one, allows TLS servers.
    pub serves: bool,
    /// Whether it says where its issuer's certificate can be fetched (authority information access), as every
    /// certificate of a public authority must (CA/Browser Forum Baseline Requirements, 7.1.2.7.7).
    pub says_issuer_location: bool,
    /// The first such place that is an `http://` URL.
    pub issuer_url: Option<&'a str>,
    pub has_alternative_names: bool,
    /// Whether the extended key usage allows signing OCSP responses for its issuer (RFC 6960, section 4.2.2.2).
    pub signs_ocsp: bool,
    /// Whether it asks for a stapled OCSP response (RFC 7633).
    pub must_staple: bool,
    /// The number's bytes, without leading zeros.
    pub serial: &'a [u8],
    pub version: u32,
    key_id: Option<&'a [u8]>,
    authority_key_id: Option<&'a [u8]>,
    /// The content of the subject public key info's sequence.
    key: &'a [u8],
    weak: Option<&'static str>,
    signed: Signed<'a>,
}

impl<'a> Certificate<'a> {
    /// # Errors
    /// What cannot be read of it, in words.
    pub fn parse(der: &'a [u8]) -> Result<Certificate<'a>, Box<str>> {
        let broken = || Box::<str>::from("its encoding is broken");
        let (rest, parsed) = x509_parser::parse_x509_certificate(der).map_err(|err| not_parsed(&err))?;
        if !rest.is_empty() {
            return Err("bytes follow after its end".into());
        }
        let mut certificate = Certificate {
            facts: facts(der, &parsed),
            subject: parsed.tbs_certificate.subject.as_raw(),
            issuer: parsed.tbs_certificate.issuer.as_raw(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            is_ca: parsed.is_ca(),
            serves: true,
            says_issuer_location: false,
            issuer_url: None,
            has_alternative_names: false,
            signs_ocsp: false,
            must_staple: false,
            serial: without_zeros(parsed.tbs_certificate.raw_serial()),
            version: parsed.version().0 + 1,
            key_id: None,
            authority_key_id: None,
            key: der::sequence(parsed.tbs_certificate.subject_pki.raw).ok_or_else(broken)?,
            weak: weak_digest(&parsed.signature_algorithm.algorithm),
            signed: Signed::read(der).ok_or_else(broken)?,
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    certificate.serves = usage.server_auth;
                    certificate.signs_ocsp = usage.ocsp_signing;
                }
                ParsedExtension::SubjectKeyIdentifier(id) => certificate.key_id = Some(id.0),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    certificate.authority_key_id = id.key_identifier.as_ref().map(|id| id.0);
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let issuers = || {
                        let all = access.accessdescs.iter();
                        all.filter(|it| it.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
                    };
                    certificate.says_issuer_location = issuers().next().is_some();
                    certificate.issuer_url = issuers().find_map(|it| match it.access_location {
                        GeneralName::URI(url) if url.starts_with("http://") => Some(url),
                        _ => None,
                    });
                }
                ParsedExtension::SubjectAlternativeName(_) => certificate.has_alternative_names = true,
                _ if extension.oid.as_bytes() == TLS_FEATURE => {
                    certificate.must_staple = der::sequence(extension.value).is_some_and(asks_for_staple);
                }
                _ => {}
            }
        }
        Ok(certificate)
    }

    pub fn self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// What is weak about its signature, where something is.
    pub fn weak_digest(&self) -> Option<&'static str> {
        self.weak
    }

    /// The size of its RSA key where that is too small to be taken.
    pub fn small_key(&self) -> Option<usize> {
        small_rsa_key(self.key)
    }

    /// Whether `issuer`'s key signed this certificate.
    pub fn signed_by(&self, issuer: &Certificate<'_>) -> Link {
        self.signed.by_key(issuer.key)
    }

    /// The same for a key given as the content of a subject public key info's sequence.
    pub fn signed_by_key(&self, key: &[u8]) -> Link {
        self.signed.by_key(key)
    }

    /// The content of the subject public key info's sequence.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Whether the key identifiers say that `issuer` is another authority of the same name (RFC 5280, section 4.2.1.1).
    pub fn names_another_key_than(&self, issuer: &Certificate<'_>) -> bool {
        match (self.authority_key_id, issuer.key_id) {
            (Some(wanted), Some(found)) => wanted != found,
            _ => false,
        }
    }

    pub fn names_a_key(&self) -> bool {
        self.authority_key_id.is_some()
    }

    /// Same subject and same key: another version of the same authority.
    pub fn is_same_entity(&self, other: &Certificate<'_>) -> bool {
        self.subject == other.subject && self.key == other.key
    }

    pub fn valid_at(&self, seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }
}

/// The digest of a signature algorithm (RFC 3279, section 2.2), where collisions have been made with it.
fn weak_digest(algorithm: &Oid<'_>) -> Option<&'static str> {
    match algorithm.to_id_string().as_str() {
        // With RSA (its own and OIW's number), DSA and ECDSA.
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => Some("SHA-1"),
        "1.2.840.113549.1.1.4" => Some("MD5"),
        "1.2.840.113549.1.1.3" => Some("MD4"),
        "1.2.840.113549.1.1.2" => Some("MD2"),
        _ => None,
    }
}

/// Whether a list of TLS features names status_request.
fn asks_for_staple(mut features: &[u8]) -> bool {
    while let Some((feature, rest)) = der::element(features) {
        if feature.content == STATUS_REQUEST {
            return true;
        }
        features = rest;
    }
    false
}

/// A number's bytes without the zeros before its first significant one.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Kind and size of the key.
fn key_name(parsed: &X509Certificate<'_>) -> Box<str> {
    let key = &parsed.tbs_certificate.subject_pki;
    let curve = || {
        let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
        Some(match curve.to_id_string().as_str() {
            "1.2.840.10045.3.1.7" => "P-256".to_owned(),
            "1.3.132.0.34" => "P-384".to_owned(),
            "1.3.132.0.35" => "P-521".to_owned(),
            other => other.to_owned(),
        })
    };
    match (key.parsed(), key.algorithm.algorithm.to_id_string().as_str()) {
        (Ok(PublicKey::RSA(rsa)), _) => format!("RSA {}", rsa.key_size()).into(),
        (Ok(PublicKey::EC(_)), _) => format!("EC {}", curve().unwrap_or_default()).trim_end().into(),
        (_, "1.3.101.112") => "Ed25519".into(),
        (_, "1.3.101.113") => "Ed448".into(),
        (_, other) => other.into(),
    }
}

fn facts(der: &[u8], parsed: &X509Certificate<'_>) -> CertificateFacts {
    let text = |text: String| foreign_text(text.as_bytes(), MAX_NAME);
    CertificateFacts {
        subject: text(parsed.subject().to_string()),
        issuer: text(parsed.issuer().to_string()),
        // At most 20 bytes by RFC 5280, section 4.1.2.2; some have more.
        serial: hex(parsed.raw_serial().get(..40).unwrap_or(parsed.raw_serial())),
        not_before: Wall::from_unix_secs(parsed.validity().not_before.timestamp()),
        not_after: Wall::from_unix_secs(parsed.validity().not_after.timestamp()),
        names: names(parsed),
        is_ca: parsed.is_ca(),
        self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        signature_algorithm: algorithm_name(&parsed.signature_algorithm.algorithm),
        key: key_name(parsed),
        fingerprint: hex(&crypto::sha256(&[der])),
        needed: false,
    }
}

fn names(parsed: &X509Certificate<'_>) -> Vec<Box<str>> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(foreign_text(name.as_bytes(), MAX_NAME)),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .take(MAX_NAMES)
        .collect()
}

fn address(bytes: &[u8]) -> Option<Box<str>> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(octets).to_string().into());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(octets).to_string().into())
}

fn algorithm_name(algorithm: &Oid<'_>) -> Box<str> {
    let registry = x509_parser::objects::oid_registry();
    match x509_parser::objects::oid2sn(algorithm, registry) {
        Ok(name) => name.into(),
        // The registry lacks this one.
        Err(_) if algorithm.to_id_string() == "1.2.840.10045.4.1" => "ecdsa-with-SHA1".into(),
        Err(_) => algorithm.to_id_string().into(),
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

fn not_parsed(err: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> Box<str> {
    match err {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".into(),
        x509_parser::nom::Err::Error(err) | x509_parser::nom::Err::Failure(err) => {
            foreign_text(err.to_string().as_bytes(), MAX_NAME)
        }
    }
}
