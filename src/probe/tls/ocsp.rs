//! OCSP responses as servers staple them (RFC 6960): read, held against the certificate, and verified.

use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::certificate::{Certificate, without_zeros};
use super::der::{self, Element};
use super::signed::{Link, Signed, key_parts};
use crate::model::attempt::Standing;
use crate::model::time::Wall;
use crate::net::crypto::{self, Digest};

const ENUMERATED: u8 = 0x0a;
const INTEGER: u8 = 0x02;
/// `[0]`, constructed: an explicit tag.
const EXPLICIT_0: u8 = 0xa0;
/// The statuses (RFC 6960, section 4.2.1): good and unknown are implicit NULLs, revoked is a sequence.
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;
/// 1.3.6.1.5.5.7.48.1.1, the only kind of response that there is.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// How far a responder's clock may be ahead of ours, in seconds.
const CLOCK_LEEWAY: i64 = 300;

/// The certificate that is asked about, its issuer's key, and the time.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub certificate: &'a Certificate<'a>,
    /// The content of the subject public key info's sequence.
    pub issuer_key: &'a [u8],
    /// Seconds since 1970.
    pub now: i64,
}

/// What a response says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub standing: Standing,
    pub this_update: Option<i64>,
    pub next_update: Option<i64>,
}

impl Said {
    fn no_proof(why: &str) -> Said {
        Said {
            standing: Standing::NoProof(why.into()),
            this_update: None,
            next_update: None,
        }
    }
}

/// Reads a response. What is not signed by the certificate's issuer, or by a responder that the issuer named, proves
/// nothing, and neither does what is outdated, unless it says that the certificate is revoked: that is taken back for
/// one reason only, a hold.
pub(super) fn read(response: &[u8], about: About<'_>) -> Said {
    let basic = match basic(response) {
        Ok(basic) => basic,
        Err(why) => return Said::no_proof(&why),
    };
    let (Some(signed), Some(single)) = (Signed::read(basic), find(basic, about)) else {
        return Said::no_proof(match responses(basic) {
            Some(_) => "the OCSP response is about another certificate",
            None => "the OCSP response cannot be read",
        });
    };
    let said = |standing| Said {
        standing,
        this_update: Some(single.this_update),
        next_update: single.next_update,
    };
    if let Err(why) = authorised(&signed, about) {
        return said(Standing::NoProof(why.into()));
    }
    let outdated = single.next_update.is_some_and(|next| next < about.now);
    said(match single.standing {
        Standing::Revoked { reason, .. } if outdated && reason == Some(HOLD) => {
            Standing::NoProof("the certificate was on hold, in an OCSP response that is outdated".into())
        }
        Standing::Good | Standing::Unknown if outdated => {
            Standing::NoProof("the OCSP response is outdated".into())
        }
        Standing::Good | Standing::Unknown if single.this_update > about.now + CLOCK_LEEWAY => {
            Standing::NoProof("the OCSP response is from the future".into())
        }
        standing => standing,
    })
}

/// The basic response within the outer one.
fn basic(response: &[u8]) -> Result<&[u8], Box<str>> {
    let broken = || Box::<str>::from("the OCSP response cannot be read");
    let content = der::sequence(response).ok_or_else(broken)?;
    let (status, rest) = der::element(content).ok_or_else(broken)?;
    if status.tag != ENUMERATED {
        return Err(broken());
    }
    let refusal = match status.content {
        [0] => None,
        [1] => Some("malformed request"),
        [2] => Some("internal error"),
        [3] => Some("try later"),
        [5] => Some("signature required"),
        [6] => Some("unauthorized"),
        _ => Some("another error"),
    };
    if let Some(refusal) = refusal {
        return Err(format!("the OCSP responder answered: {refusal}").into());
    }
    let inner = || {
        let (explicit, _) = der::element(rest)?;
        let (kind, rest) = der::element(der::sequence(explicit.content)?)?;
        let (octets, _) = der::element(rest)?;
        (kind.content == BASIC).then_some(octets.content)
    };
    inner().ok_or_else(broken)
}

struct Single {
    standing: Standing,
    this_update: i64,
    next_update: Option<i64>,
}

/// The sequence of single responses.
fn responses(basic: &[u8]) -> Option<&[u8]> {
    let (data, _) = der::element(der::sequence(basic)?)?;
    let mut rest = data.content;
    let (mut part, mut after) = der::element(rest)?;
    if part.tag == EXPLICIT_0 {
        // The version, which is left out where it is 1.
        rest = after;
        (part, after) = der::element(rest)?;
    }
    // The responder's name or key, and when it produced this.
    let _ = part;
    let (_, after) = der::element(after)?;
    let (responses, _) = der::element(after)?;
    Some(responses.content)
}

/// The single response about the certificate.
fn find(basic: &[u8], about: About<'_>) -> Option<Single> {
    let mut rest = responses(basic)?;
    while let Some((single, after)) = der::element(rest) {
        let (id, status) = der::element(single.content)?;
        if is_about(id.content, about) == Some(true) {
            return read_single(status);
        }
        rest = after;
    }
    None
}

/// Whether a CertID names the certificate: by its number, and by digests of its issuer's name and key.
fn is_about(id: &[u8], about: About<'_>) -> Option<bool> {
    let (algorithm, rest) = der::element(id)?;
    let (name_digest, rest) = der::element(rest)?;
    let (key_digest, rest) = der::element(rest)?;
    let (serial, _) = der::element(rest)?;
    let (oid, _) = der::element(algorithm.content)?;
    let digest = Digest::by_oid(oid.content)?;
    let (_, key_bits) = key_parts(about.issuer_key)?;
    Some(
        serial.tag == INTEGER
            && without_zeros(serial.content) == about.certificate.serial
            && name_digest.content == &*crypto::digest(digest, about.certificate.issuer)
            && key_digest.content == &*crypto::digest(digest, key_bits),
    )
}

fn read_single(rest: &[u8]) -> Option<Single> {
    let (status, rest) = der::element(rest)?;
    let standing = match status.tag {
        GOOD => Standing::Good,
        REVOKED => revoked(status)?,
        UNKNOWN => Standing::Unknown,
        _ => return None,
    };
    let (this_update, rest) = der::element(rest)?;
    let next_update = match der::element(rest) {
        Some((next, _)) if next.tag == EXPLICIT_0 => Some(time(next.content)?),
        _ => None,
    };
    Some(Single {
        standing,
        this_update: time(this_update.whole)?,
        next_update,
    })
}

fn revoked(status: Element<'_>) -> Option<Standing> {
    let (at, rest) = der::element(status.content)?;
    let code = der::element(rest)
        .filter(|(reason, _)| reason.tag == EXPLICIT_0)
        .and_then(|(reason, _)| der::element(reason.content));
    let reason = code.and_then(|(code, _)| code.content.first().copied());
    Some(Standing::Revoked {
        at: Wall::from_unix_secs(time(at.whole)?),
        reason: reason.and_then(reason_name),
    })
}

fn time(der: &[u8]) -> Option<i64> {
    let (_, time) = ASN1Time::from_der(der).ok()?;
    Some(time.timestamp())
}

/// The one reason that can be taken back.
pub(super) const HOLD: &str = "certificate_hold";

/// Names of CRLReason (RFC 5280, section 5.3.1); 0 says nothing.
pub(super) fn reason_name(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "key_compromise",
        2 => "ca_compromise",
        3 => "affiliation_changed",
        4 => "superseded",
        5 => "cessation_of_operation",
        6 => HOLD,
        8 => "remove_from_crl",
        9 => "privilege_withdrawn",
        10 => "aa_compromise",
        _ => return None,
    })
}

/// Whether the response is signed by the issuer, or by one to whom the issuer delegated it (RFC 6960, section 4.2.2.2).
fn authorised(signed: &Signed<'_>, about: About<'_>) -> Result<(), &'static str> {
    match signed.by_key(about.issuer_key) {
        Link::Signed => return Ok(()),
        Link::CannotTell => return Err("the OCSP response has a signature that is not supported"),
        Link::NotSigned => {}
    }
    let certificates = der::element(signed.rest)
        .filter(|(explicit, _)| explicit.tag == EXPLICIT_0)
        .and_then(|(explicit, _)| der::sequence(explicit.content))
        .unwrap_or_default();
    let mut rest = certificates;
    let mut why = "the OCSP response is not signed by the certificate's issuer or its delegate";
    while let Some((der, after)) = der::element(rest) {
        rest = after;
        let Ok(delegate) = Certificate::parse(der.whole) else {
            continue;
        };
        if signed.by_key(delegate.key()) != Link::Signed {
            continue;
        }
        if delegate.signed_by_key(about.issuer_key) != Link::Signed {
            why = "the OCSP response is signed by a certificate of another issuer";
        } else if !delegate.signs_ocsp {
            why = "the OCSP response is signed by a certificate that may not sign such";
        } else if !delegate.valid_at(about.now) {
            why = "the OCSP response is signed by a certificate that is not valid now";
        } else {
            return Ok(());
        }
    }
    Err(why)
}
