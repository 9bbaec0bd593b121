//! The audit of a presented chain: every fault of every certificate, not the first that a verifier meets.
//!
//! The verdict is the verifier's (webpki's, through rustls): a chain that it takes has no faults. Where it refuses, the
//! audit looks for itself, so that an expired leaf hides neither a wrong name nor an unknown authority; and what the
//! verifier found and the audit did not is added in the verifier's words.

use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};

use super::certificate::Certificate;
use super::crl::Crls;
use super::path::{self, End, Path, PathFinder};
use super::presented::{no_facts, read, validity};
use super::revocation::{self, Revocation};
use super::seen::SeenAuthorities;
use super::verdict::{fault, from_verifier, words};
use crate::model::attempt::{CertificateFacts, CertificateFault, CertificateFaultKind, RevocationFacts};
use crate::net::crypto;
use crate::net::sanitize::foreign_text;
use crate::net::trust::Trust;

/// Most certificates of a chain that are looked at. The longest honest chains have about six.
const MAX_CHAIN: usize = 32;
/// Longest subject told beside a fault, in characters.
const MAX_SUBJECT: usize = 400;
/// Names listed where none of them is the one asked for.
const MAX_NAMES_TOLD: usize = 10;

/// What is asked of a chain.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub leaf: &'a CertificateDer<'a>,
    /// As presented after the leaf.
    pub others: &'a [CertificateDer<'a>],
    pub name: &'a ServerName<'a>,
    /// The OCSP response that came along; empty where none did.
    pub staple: &'a [u8],
    pub now: UnixTime,
}

/// What a chain is held against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub trust: &'a Trust,
    /// Authorities of other peers: they complete a path where an intermediate is missing.
    pub seen: &'a SeenAuthorities,
    /// The same of such as were fetched. Nobody has verified these: only a path that they complete proves anything.
    pub fetched: &'a SeenAuthorities,
    pub crls: &'a Crls,
}

/// What an audit found.
#[derive(Debug)]
pub(super) struct Audit {
    pub chain: Vec<CertificateFacts>,
    /// Sorted, most explaining first. Empty exactly when `refusal` is `None`.
    pub faults: Vec<CertificateFault>,
    /// The verifier's first complaint, which decides the alert that the peer gets.
    pub refusal: Option<Error>,
    pub revocation: Vec<RevocationFacts>,
    /// Whether the system's own authorities would accept what the given ones do not know.
    pub system_trusts: bool,
    /// Whether the leaf asks for a stapled OCSP response.
    pub must_staple: bool,
    /// Seconds since 1970 between which all of this stays as it is.
    pub valid: (i64, i64),
}

struct Auditor<'a> {
    question: Question<'a>,
    trust: &'a Trust,
    seen: &'a SeenAuthorities,
    fetched: &'a SeenAuthorities,
    chain: &'a [Option<Certificate<'a>>],
    path: Path,
    faults: Vec<CertificateFault>,
    revocation: Vec<RevocationFacts>,
}

/// Audits a chain. The authorities seen learn from chains that are good.
pub(super) fn audit(question: Question<'_>, against: Against<'_>) -> Audit {
    let Against {
        trust,
        seen,
        fetched,
        crls,
    } = against;
    let presented = std::iter::once(question.leaf)
        .chain(question.others)
        .take(MAX_CHAIN);
    let mut facts = Vec::new();
    let mut chain = Vec::new();
    let mut unreadable = Vec::new();
    for (position, der) in presented.enumerate() {
        let certificate = read(der);
        facts.push(
            certificate
                .as_ref()
                .map_or_else(|_| no_facts(der), |it| it.facts.clone()),
        );
        if let Err(reason) = &certificate {
            unreadable.push(fault(Some(position), CertificateFaultKind::Encoding, reason));
        }
        chain.push(certificate.ok());
    }
    let now = seconds(question.now);
    let finder = PathFinder {
        chain: &chain,
        leaf: question.leaf,
        trust,
    };
    let path = finder.find(now);
    for position in &path.positions {
        if let Some(facts) = facts.get_mut(*position) {
            facts.needed = true;
        }
    }
    let looked = Revocation {
        chain: &chain,
        path: &path,
        trust,
        staple: question.staple,
        crls,
        now,
    }
    .look();
    let mut auditor = Auditor {
        question,
        trust,
        seen,
        fetched,
        chain: &chain,
        path,
        faults: Vec::new(),
        revocation: looked.facts,
    };
    let refusal = auditor.judge(unreadable);
    if refusal.is_none() {
        auditor.learn();
    }
    let system_trusts = auditor.system_trusts();
    let (mut faults, revocation) = (auditor.faults, auditor.revocation);
    faults.sort_by_key(|fault| (fault.kind, fault.position));
    let (start, end) = validity(chain.iter().flatten());
    Audit {
        valid: (start, end.min(looked.until)),
        must_staple: chain.iter().flatten().next().is_some_and(|leaf| leaf.must_staple),
        chain: facts,
        faults,
        refusal,
        revocation,
        system_trusts,
    }
}

impl Auditor<'_> {
    /// Asks the verifier and, where it refuses, collects the faults.
    fn judge(&mut self, unreadable: Vec<CertificateFault>) -> Option<Error> {
        let leaf = match ParsedCertificate::try_from(self.question.leaf) {
            Ok(leaf) => leaf,
            Err(err) if self.chain.first().is_some_and(Option::is_some) => {
                // One of an older version: see `presented::read`.
                self.look_at_revocation();
                self.look_at_path();
                self.look_at_certificates();
                let asked = self.question.name.to_str();
                let version = self.chain.iter().flatten().next().map_or(0, |leaf| leaf.version);
                let detail =
                    format!("asked for {asked}; it has version {version}, and only version 3 has names");
                self.add(Some(0), CertificateFaultKind::NameMismatch, &detail);
                return Some(err);
            }
            Err(err) => {
                self.faults = unreadable;
                if self.faults.iter().all(|fault| fault.position != Some(0)) {
                    self.add(Some(0), CertificateFaultKind::Encoding, &words(&err));
                }
                return Some(err);
            }
        };
        let pinned = self.path.end == End::Pinned;
        let path = if pinned {
            Ok(())
        } else {
            self.verify(&leaf, self.question.now)
        };
        let name = verify_server_name(&leaf, self.question.name);
        let revoked = self.look_at_revocation();
        if path.is_ok() && name.is_ok() && !pinned && !revoked {
            return None;
        }
        if !self.path.is_trusted() {
            self.faults.extend(unreadable);
        }
        self.look_at_path();
        self.look_at_certificates();
        if name.is_err() {
            self.look_at_names();
        }
        let revoked = revoked.then(|| CertificateError::Revoked.into());
        let refusal = path.err().or(name.err()).or(revoked);
        match &refusal {
            Some(err) => self.add_what_was_missed(&leaf, err),
            // A leaf that was itself given as trusted has no path to verify; the audit alone decides.
            None if !self.faults.is_empty() => {
                return Some(CertificateError::ApplicationVerificationFailure.into());
            }
            None => {}
        }
        refusal
    }

    fn verify(&self, leaf: &ParsedCertificate<'_>, at: UnixTime) -> Result<(), Error> {
        self.verify_by(self.trust, leaf, at)
    }

    /// Whether the chain is refused for its authority, and not so by the system's own roots.
    fn system_trusts(&self) -> bool {
        use CertificateFaultKind::{MissingIntermediate, SelfSigned, UnknownRoot};
        let by_authority =
            |fault: &CertificateFault| matches!(fault.kind, SelfSigned | UnknownRoot | MissingIntermediate);
        if !self.faults.iter().any(by_authority) {
            return false;
        }
        let system = Trust::system();
        let leaf = ParsedCertificate::try_from(self.question.leaf);
        system.id() != self.trust.id()
            && leaf.is_ok_and(|leaf| self.verify_by(&system, &leaf, self.question.now).is_ok())
    }

    fn verify_by(&self, trust: &Trust, leaf: &ParsedCertificate<'_>, at: UnixTime) -> Result<(), Error> {
        let provider = crypto::provider();
        verify_server_cert_signed_by_trust_anchor(
            leaf,
            trust.roots(),
            self.question.others,
            at,
            provider.signature_verification_algorithms.all,
        )
    }

    fn add(&mut self, position: Option<usize>, kind: CertificateFaultKind, detail: &str) {
        self.faults.push(fault(position, kind, detail));
    }

    /// Whether a certificate of the path is revoked.
    fn look_at_revocation(&mut self) -> bool {
        let mut revoked = false;
        for facts in std::mem::take(&mut self.revocation) {
            let position = usize::from(facts.position);
            let certificate = self.chain.get(position).and_then(Option::as_ref);
            let subject = certificate.map_or("", |it| &it.facts.subject);
            if let Some(detail) = revocation::words(&facts, subject) {
                revoked = true;
                if !self.is_known_revoked(position) {
                    self.add(Some(position), CertificateFaultKind::Revoked, &detail);
                }
            }
            self.revocation.push(facts);
        }
        revoked
    }

    fn is_known_revoked(&self, position: usize) -> bool {
        let known = |fault: &CertificateFault| {
            fault.kind == CertificateFaultKind::Revoked && fault.position.map(usize::from) == Some(position)
        };
        self.faults.iter().any(known)
    }

    fn look_at_path(&mut self) {
        let last = self.path.last();
        let Some(head) = self.chain.get(last).and_then(Option::as_ref) else {
            return;
        };
        let (subject, issuer) = (&head.facts.subject, &head.facts.issuer);
        let namesake = match path::trusts_the_name(head, self.trust) {
            true => "; an authority of that name is trusted, but it has another key",
            false => "",
        };
        match self.path.end {
            End::Pinned => {}
            End::Trusted => {
                if let Some(bits) = path::small_anchor_key(head, self.trust) {
                    let detail = format!("{subject} is signed by {issuer} with an RSA key of {bits} bits");
                    self.add(Some(last), CertificateFaultKind::WeakSignature, &detail);
                }
            }
            End::SelfSigned if last == 0 => {
                let also = if head.is_ca {
                    ", and is marked as an authority"
                } else {
                    ""
                };
                self.add(
                    Some(0),
                    CertificateFaultKind::SelfSigned,
                    &format!("{subject} signed itself{also}"),
                );
            }
            End::SelfSigned => {
                let detail = format!("the chain ends at {subject}, which is not trusted{namesake}");
                self.add(Some(last), CertificateFaultKind::UnknownRoot, &detail);
            }
            End::BadSignature => {
                let detail = format!("{subject} is not signed by the key of {issuer}");
                self.add(Some(last), CertificateFaultKind::BadSignature, &detail);
            }
            End::NoIssuer => {
                let detail = format!(
                    "{subject} was issued by {issuer}, which is neither presented nor trusted{namesake}"
                );
                let found = self.without_issuer(head, last, detail);
                self.faults.push(found);
            }
        }
    }

    /// Whether the issuer that is not there is an intermediate or a root.
    ///
    /// Proof is a certificate, seen at another peer, with which the path becomes complete. Without it: servers leave
    /// roots out, so that what lacks above an intermediate is its root. Above a lone leaf it is an intermediate when
    /// the leaf says where to fetch its issuer, as those of public authorities must, or when the user named
    /// authorities for this peer, to which it should then lead.
    fn without_issuer(&self, head: &Certificate<'_>, last: usize, detail: String) -> CertificateFault {
        let now = seconds(self.question.now);
        let found = path::complete(head, self.trust, [self.seen, self.fetched], now);
        if found.complete {
            let from = match found.fetched {
                true => "fetched from where the certificate says",
                false => "seen at another peer",
            };
            let with = found.subjects.join(" and ");
            let detail = format!("{detail}; the chain completes with {with}, {from}");
            let missing = fault(Some(last), CertificateFaultKind::MissingIntermediate, &detail);
            let subjects = found
                .subjects
                .iter()
                .map(|subject| foreign_text(subject.as_bytes(), MAX_SUBJECT));
            return CertificateFault {
                completes_with: subjects.collect(),
                ..missing
            };
        }
        let lone = self.path.positions.len() == 1;
        let led_elsewhere = path::trusts_the_name(head, self.trust);
        let kind = if lone && !led_elsewhere && (head.says_issuer_location || !self.trust.given().is_empty())
        {
            CertificateFaultKind::MissingIntermediate
        } else {
            CertificateFaultKind::UnknownRoot
        };
        CertificateFault {
            issuer_url: found.issuer_url,
            ..fault(Some(last), kind, &detail)
        }
    }

    /// What is wrong with single certificates. Where there is a path, those beside it are not looked at: they are
    /// superfluous, which is no failure.
    fn look_at_certificates(&mut self) {
        let chain = self.chain;
        let trusted = self.path.is_trusted();
        for (position, certificate) in chain.iter().enumerate() {
            let on_path = self.path.positions.contains(&position);
            let Some(certificate) = certificate.as_ref().filter(|_| on_path || !trusted) else {
                continue;
            };
            self.look_at_dates(position, certificate);
            if on_path {
                self.look_at_signature(position, certificate);
                self.look_at_role(position, certificate);
            }
        }
    }

    fn look_at_dates(&mut self, position: usize, certificate: &Certificate<'_>) {
        let now = seconds(self.question.now);
        let facts = &certificate.facts;
        if now > certificate.not_after {
            let detail = format!("{} ended at {}", facts.subject, facts.not_after);
            self.add(Some(position), CertificateFaultKind::Expired, &detail);
        }
        if now < certificate.not_before {
            let detail = format!("{} is valid from {}", facts.subject, facts.not_before);
            self.add(Some(position), CertificateFaultKind::NotYetValid, &detail);
        }
    }

    /// The signature of a root by itself is nobody's proof, so that its weakness does not matter.
    fn look_at_signature(&mut self, position: usize, certificate: &Certificate<'_>) {
        let kind = CertificateFaultKind::WeakSignature;
        let subject = &certificate.facts.subject;
        if let Some(digest) = certificate
            .weak_digest()
            .filter(|_| position == 0 || !certificate.self_issued())
        {
            self.add(
                Some(position),
                kind,
                &format!("{subject} is signed over a {digest} digest"),
            );
        }
        if let Some(bits) = certificate.small_key() {
            self.add(
                Some(position),
                kind,
                &format!("{subject} has an RSA key of {bits} bits"),
            );
        }
    }

    fn look_at_role(&mut self, position: usize, certificate: &Certificate<'_>) {
        let subject = &certificate.facts.subject;
        // A self-signed certificate that is marked as an authority is self-signed first: see `look_at_path`.
        if position == 0 && certificate.is_ca && !certificate.self_issued() {
            let detail = format!("{subject} is marked as an authority and cannot be a server's certificate");
            self.add(Some(0), CertificateFaultKind::CaAsLeaf, &detail);
        }
        if position > 0 && !certificate.is_ca {
            let detail = format!("{subject} issued a certificate and is not marked as an authority");
            self.add(Some(position), CertificateFaultKind::Purpose, &detail);
        }
        if !certificate.serves {
            let detail = format!("the extended key usage of {subject} does not allow TLS servers");
            self.add(Some(position), CertificateFaultKind::Purpose, &detail);
        }
    }

    fn look_at_names(&mut self) {
        let asked = self.question.name.to_str();
        let leaf = self.chain.first().and_then(Option::as_ref);
        let detail = match leaf {
            Some(leaf) if !leaf.has_alternative_names => format!(
                "asked for {asked}; {} has no subject alternative name, and its common name does not count",
                leaf.facts.subject
            ),
            Some(leaf) => {
                let names = &leaf.facts.names;
                let told = names
                    .iter()
                    .take(MAX_NAMES_TOLD)
                    .map(|name| &**name)
                    .collect::<Vec<_>>()
                    .join(", ");
                let more = match names.len().saturating_sub(MAX_NAMES_TOLD) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("asked for {asked}; it is for {told}{more}")
            }
            None => format!("asked for {asked}"),
        };
        self.add(Some(0), CertificateFaultKind::NameMismatch, &detail);
    }

    /// The verifier also refuses for reasons that the audit does not look for, such as name constraints. Where nothing
    /// but dates and names was found, it is asked again at a time at which the path's certificates are all valid.
    fn add_what_was_missed(&mut self, leaf: &ParsedCertificate<'_>, first: &Error) {
        use CertificateFaultKind::{Expired, NameMismatch, NotYetValid};
        let explained =
            |fault: &CertificateFault| !matches!(fault.kind, Expired | NotYetValid | NameMismatch);
        if self.path.end == End::Trusted && !self.faults.iter().any(explained) {
            let (start, end) = validity(
                self.path
                    .positions
                    .iter()
                    .filter_map(|at| self.chain.get(*at)?.as_ref()),
            );
            if start <= end
                && let Err(err) = self.verify(leaf, unix_time(seconds(self.question.now).clamp(start, end)))
            {
                self.faults.push(from_verifier(&err));
            }
        }
        if self.faults.is_empty() {
            self.faults.push(from_verifier(first));
        }
    }

    /// Keeps the authorities of a good path.
    fn learn(&self) {
        let ders = std::iter::once(self.question.leaf).chain(self.question.others);
        for (position, (certificate, der)) in self.chain.iter().zip(ders).enumerate().skip(1) {
            if let Some(certificate) = certificate
                && certificate.is_ca
                && self.path.end == End::Trusted
                && self.path.positions.contains(&position)
            {
                self.seen.remember(certificate.subject, der);
            }
        }
    }
}

pub(super) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
