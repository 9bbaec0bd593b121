//! Certificate revocation lists of files (RFC 5280, section 5): read once, and asked about single certificates.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::{IssuingDistributionPoint, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::certificate::{Certificate, without_zeros};
use super::ocsp::{HOLD, reason_name};
use super::signed::{Link, Signed};
use crate::model::attempt::Standing;
use crate::model::time::Wall;
use crate::net::crypto;

/// 2.5.29.27, by which a list says that it holds only what changed since another one.
const DELTA: &[u8] = &[0x55, 0x1d, 27];
/// Signers remembered of one list. Another authority of the same name is rare, two are attacks.
const MAX_SIGNERS: usize = 4;

/// The lists of some files.
#[derive(Debug, Default)]
pub(super) struct Crls {
    lists: Vec<Crl>,
    id: u64,
}

/// One list.
#[derive(Debug)]
pub(super) struct Crl {
    pub path: Arc<Path>,
    der: Box<[u8]>,
    /// The name's DER, with tag and length.
    issuer: Box<[u8]>,
    /// Seconds since 1970.
    pub this_update: i64,
    pub next_update: Option<i64>,
    scope: Scope,
    /// Sorted by number.
    entries: Box<[Entry]>,
    /// Which keys (by digest) were found to have signed it, and which not.
    signers: Mutex<Vec<([u8; 32], Link)>>,
}

#[derive(Debug)]
struct Entry {
    /// Without leading zeros.
    serial: Box<[u8]>,
    at: i64,
    reason: Option<u8>,
}

/// Which certificates of its issuer a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    UserCertificates,
    Authorities,
    /// What is on it is revoked; what is not on it may be on another list.
    Part,
    /// Of several issuers, attribute certificates, or changes of another list: not understood.
    Other,
}

impl Crls {
    /// Reads these files: PEM with any number of lists, or DER. Blocking.
    ///
    /// # Errors
    /// A file cannot be read or holds no list; the text names it.
    pub fn load(files: &[PathBuf]) -> Result<Crls, Box<str>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut lists = Vec::new();
        for path in files {
            let bytes =
                std::fs::read(path).map_err(|err| format!("cannot read {}: {err}", path.display()))?;
            let shared: Arc<Path> = path.as_path().into();
            let found: Vec<Vec<u8>> = if bytes.starts_with(&[0x30]) {
                vec![bytes]
            } else {
                let sections = CertificateRevocationListDer::pem_slice_iter(&bytes);
                sections
                    .map(|section| section.map(|der| der.to_vec()))
                    .collect::<Result<_, _>>()
                    .map_err(|_| format!("the revocation list {} is neither PEM nor DER", path.display()))?
            };
            if found.is_empty() {
                return Err(format!("{} holds no revocation list", path.display()).into());
            }
            for der in found {
                let list = Crl::read(der, shared.clone());
                lists.push(
                    list.ok_or_else(|| format!("the revocation list {} cannot be read", path.display()))?,
                );
            }
        }
        Ok(Crls {
            lists,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Different for every set that was loaded in this process; 0 where there is none.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The lists of a certificate's issuer.
    pub fn of_issuer<'a>(&'a self, certificate: &'a Certificate<'_>) -> impl Iterator<Item = &'a Crl> {
        let issuer = certificate.issuer;
        self.lists.iter().filter(move |list| *list.issuer == *issuer)
    }
}

impl Crl {
    fn read(der: Vec<u8>, path: Arc<Path>) -> Option<Crl> {
        let (rest, parsed) = CertificateRevocationList::from_der(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut entries: Vec<Entry> = parsed
            .iter_revoked_certificates()
            .map(|revoked| Entry {
                serial: without_zeros(revoked.raw_serial()).into(),
                at: revoked.revocation_date.timestamp(),
                reason: revoked.reason_code().map(|(_, reason)| reason.0),
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
        let issuer = parsed.tbs_cert_list.issuer.as_raw().into();
        let (this_update, next_update) = (parsed.last_update().timestamp(), parsed.next_update());
        let next_update = next_update.map(|time| time.timestamp());
        let scope = scope(&parsed);
        Some(Crl {
            path,
            issuer,
            this_update,
            next_update,
            scope,
            entries: entries.into(),
            signers: Mutex::default(),
            der: der.into(),
        })
    }

    /// How a certificate stands that has this list's issuer. `None` where the list is not about such certificates.
    ///
    /// A list that is outdated proves no innocence. Its entries stay true but for holds, which can be taken back
    /// (RFC 5280, section 5.3.1).
    pub fn standing(&self, certificate: &Certificate<'_>, issuer_key: &[u8], now: i64) -> Option<Standing> {
        let about = match self.scope {
            Scope::UserCertificates => !certificate.is_ca,
            Scope::Authorities => certificate.is_ca,
            Scope::All | Scope::Part | Scope::Other => true,
        };
        if !about {
            return None;
        }
        let no_proof = |why: &str| Some(Standing::NoProof(why.into()));
        if self.scope == Scope::Other {
            return no_proof(
                "the list is of a kind that is not supported (delta, indirect or for attributes)",
            );
        }
        match self.signed_by(issuer_key) {
            Link::Signed => {}
            Link::NotSigned => return no_proof("the list is not signed by the certificate's issuer"),
            Link::CannotTell => return no_proof("the list has a signature that is not supported"),
        }
        let outdated = self.next_update.is_some_and(|next| next < now);
        let entry = self
            .entries
            .binary_search_by(|entry| (*entry.serial).cmp(certificate.serial));
        let Ok(place) = entry else {
            return match self.scope {
                Scope::Part => None,
                _ if outdated => no_proof("the list is outdated"),
                _ => Some(Standing::Good),
            };
        };
        let entry = &self.entries[place];
        let reason = entry.reason.and_then(reason_name);
        if outdated && reason == Some(HOLD) {
            return no_proof("the certificate was on hold, in a list that is outdated");
        }
        Some(Standing::Revoked {
            at: Wall::from_unix_secs(entry.at),
            reason,
        })
    }

    /// The signature of a list of some megabytes takes milliseconds to check, so that the result is kept.
    fn signed_by(&self, key: &[u8]) -> Link {
        let digest = crypto::sha256(&[key]);
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, link)) = signers.iter().find(|(known, _)| *known == digest) {
            return *link;
        }
        let link = Signed::read(&self.der).map_or(Link::NotSigned, |signed| signed.by_key(key));
        if signers.len() < MAX_SIGNERS {
            signers.push((digest, link));
        }
        link
    }
}

fn scope(list: &CertificateRevocationList<'_>) -> Scope {
    if list.extensions().iter().any(|it| it.oid.as_bytes() == DELTA) {
        return Scope::Other;
    }
    let point = list
        .extensions()
        .iter()
        .find(|extension| extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
    match point.map(|extension| extension.parsed_extension()) {
        None => Scope::All,
        Some(ParsedExtension::IssuingDistributionPoint(point)) => scope_of(point),
        Some(_) => Scope::Other,
    }
}

fn scope_of(point: &IssuingDistributionPoint<'_>) -> Scope {
    if point.indirect_crl || point.only_contains_attribute_certs {
        Scope::Other
    } else if point.only_some_reasons.is_some() || point.distribution_point.is_some() {
        // One of several partitions: only the certificate's own distribution point says which of them is its.
        Scope::Part
    } else if point.only_contains_user_certs {
        Scope::UserCertificates
    } else if point.only_contains_ca_certs {
        Scope::Authorities
    } else {
        Scope::All
    }
}
