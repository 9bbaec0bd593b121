//! From the leaf to a trust anchor: which presented certificates form the path, and where it ends if it does not get
//! there. It looks at names and signatures alone; dates and purposes are the audit's.

use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::certificate::Certificate;
use super::der;
use super::seen::SeenAuthorities;
use super::signed::{Link, small_rsa_key};
use crate::net::trust::Trust;

/// Longest path looked for.
const MAX_LENGTH: usize = 10;
/// Most links tried for one chain: a hostile one may name every certificate as the issuer of every other.
const MAX_LINKS: usize = 64;

/// A way from the leaf upwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Positions in the presented chain, from the leaf.
    pub positions: Vec<usize>,
    pub end: End,
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At a trust anchor.
    Trusted,
    /// The leaf itself was given as trusted.
    Pinned,
    /// At a self-signed certificate that is not trusted.
    SelfSigned,
    /// At a certificate that its issuer's key did not sign.
    BadSignature,
    /// The issuer of the last certificate is neither presented nor trusted.
    NoIssuer,
}

impl Path {
    pub fn is_trusted(&self) -> bool {
        matches!(self.end, End::Trusted | End::Pinned)
    }

    /// Position of the last certificate.
    pub fn last(&self) -> usize {
        self.positions.last().copied().unwrap_or(0)
    }
}

/// Looks for a path. `chain` holds `None` where a certificate could not be read; the leaf is there.
pub(super) struct PathFinder<'a> {
    pub chain: &'a [Option<Certificate<'a>>],
    pub leaf: &'a CertificateDer<'a>,
    pub trust: &'a Trust,
}

/// What is left of a search.
struct Search {
    links: usize,
    /// Only issuers that are valid then count.
    at: Option<i64>,
}

impl Search {
    fn of(at: Option<i64>) -> Search {
        Search { links: MAX_LINKS, at }
    }
}

enum Anchor {
    /// There is none of the issuer's name, or those of that name have other keys.
    None,
    Signed,
    /// There is one of that name and, as far as is known, that key, but it did not sign.
    NotSigned,
}

impl PathFinder<'_> {
    /// The first path that ends at a trust anchor, or else the longest. One whose issuers are all valid at `now` comes
    /// first: an authority often has two certificates for one key, of which the older has expired and harms nobody.
    pub fn find(&self, now: i64) -> Path {
        if self
            .trust
            .given()
            .iter()
            .any(|given| given.as_ref() == self.leaf.as_ref())
        {
            return Path {
                positions: vec![0],
                end: End::Pinned,
            };
        }
        let issuers = || self.chain.iter().skip(1).flatten();
        if issuers().any(|issuer| !issuer.valid_at(now)) {
            let valid = self.extend(vec![0], &mut Search::of(Some(now)));
            if valid.is_trusted() {
                return valid;
            }
        }
        self.extend(vec![0], &mut Search::of(None))
    }

    fn extend(&self, positions: Vec<usize>, search: &mut Search) -> Path {
        let last = positions.last().and_then(|at| self.chain.get(*at)?.as_ref());
        let Some(head) = last else {
            let end = End::NoIssuer;
            return Path { positions, end };
        };
        let anchor = anchor_of(head, self.trust);
        if matches!(anchor, Anchor::Signed) {
            let end = End::Trusted;
            return Path { positions, end };
        }
        let mut best: Option<Path> = None;
        let mut not_signed = matches!(anchor, Anchor::NotSigned);
        for (position, issuer) in self.candidates(head, &positions) {
            if search.at.is_some_and(|at| !issuer.valid_at(at)) {
                continue;
            }
            if search.links == 0 {
                break;
            }
            search.links -= 1;
            if head.signed_by(issuer) == Link::NotSigned {
                not_signed |= !head.names_another_key_than(issuer);
                continue;
            }
            let mut longer = positions.clone();
            longer.push(position);
            let found = self.extend(longer, search);
            if found.is_trusted() {
                return found;
            }
            if best
                .as_ref()
                .is_none_or(|best| found.positions.len() > best.positions.len())
            {
                best = Some(found);
            }
        }
        let end = match best {
            Some(best) => return best,
            None if head.self_issued() => match head.signed_by(head) {
                Link::NotSigned => End::BadSignature,
                Link::Signed | Link::CannotTell => End::SelfSigned,
            },
            None if not_signed => End::BadSignature,
            None => End::NoIssuer,
        };
        Path { positions, end }
    }

    /// Presented certificates that bear the name of `head`'s issuer and are not yet part of the path.
    fn candidates<'b>(
        &'b self,
        head: &'b Certificate<'b>,
        path: &'b [usize],
    ) -> impl Iterator<Item = (usize, &'b Certificate<'b>)> {
        let room = path.len() < MAX_LENGTH;
        let presented = self.chain.iter().enumerate().skip(1).filter(move |_| room);
        presented.filter_map(move |(position, candidate)| {
            let candidate = candidate.as_ref()?;
            let known = |at: &usize| {
                let before = self.chain.get(*at).and_then(Option::as_ref);
                before.is_some_and(|before| before.is_same_entity(candidate))
            };
            (candidate.subject == head.issuer && !path.iter().any(known)).then_some((position, candidate))
        })
    }
}

fn anchor_of(head: &Certificate<'_>, trust: &Trust) -> Anchor {
    let mut found = Anchor::None;
    for anchor in anchors_of_the_name(head, trust) {
        match head.signed_by_key(&anchor.subject_public_key_info) {
            Link::Signed | Link::CannotTell => return Anchor::Signed,
            Link::NotSigned if is_the_key_named(head, trust) => found = Anchor::NotSigned,
            Link::NotSigned => {}
        }
    }
    found
}

/// Whether an authority of the name of `head`'s issuer is trusted.
pub(super) fn trusts_the_name(head: &Certificate<'_>, trust: &Trust) -> bool {
    anchors_of_the_name(head, trust).next().is_some()
}

/// The size of the RSA key of `head`'s trusted issuer, where it is too small to be taken.
pub(super) fn small_anchor_key(head: &Certificate<'_>, trust: &Trust) -> Option<usize> {
    anchors_of_the_name(head, trust).find_map(|anchor| small_rsa_key(&anchor.subject_public_key_info))
}

/// The key (the content of a subject public key info's sequence) of the trust anchor that signed `head`.
pub(super) fn anchor_key<'a>(head: &Certificate<'a>, trust: &'a Trust) -> Option<&'a [u8]> {
    anchors_of_the_name(head, trust)
        .map(|anchor| anchor.subject_public_key_info.as_ref())
        .find(|key| head.signed_by_key(key) == Link::Signed)
}

fn anchors_of_the_name<'a>(
    head: &Certificate<'a>,
    trust: &'a Trust,
) -> impl Iterator<Item = &'a TrustAnchor<'static>> {
    let issuer = der::sequence(head.issuer);
    let roots = trust.roots().roots.iter();
    roots.filter(move |anchor| issuer == Some(anchor.subject.as_ref()))
}

/// Whether `head` says that it was signed by a key that a given authority of its issuer's name has, or does not say.
///
/// Only the given certificates are looked at: the system's roots are kept without their key identifiers.
fn is_the_key_named(head: &Certificate<'_>, trust: &Trust) -> bool {
    if !head.names_a_key() {
        return true;
    }
    trust
        .given()
        .iter()
        .filter_map(|given| Certificate::parse(given).ok())
        .any(|given| given.subject == head.issuer && !head.names_another_key_than(&given))
}

/// Authorities that complete a path to a trust anchor from `head`, the lowest first: seen at other peers, or fetched.
pub(super) struct Completion {
    pub subjects: Vec<Box<str>>,
    pub fetched: bool,
    /// Whether it leads to a trust anchor. Otherwise `issuer_url` has where the highest one says that its issuer is.
    pub complete: bool,
    pub issuer_url: Option<Box<str>>,
}

pub(super) fn complete(
    head: &Certificate<'_>,
    trust: &Trust,
    known: [&SeenAuthorities; 2],
    now: i64,
) -> Completion {
    complete_within(head, trust, known, (now, 4))
}

fn complete_within(
    head: &Certificate<'_>,
    trust: &Trust,
    known: [&SeenAuthorities; 2],
    (now, depth): (i64, usize),
) -> Completion {
    let mut best = Completion {
        subjects: Vec::new(),
        fetched: false,
        complete: false,
        issuer_url: head.issuer_url.map(Into::into),
    };
    if depth == 0 {
        return best;
    }
    for (fetched, source) in [(false, known[0]), (true, known[1])] {
        for der in source.named(head.issuer) {
            let Ok(issuer) = Certificate::parse(&der) else {
                continue;
            };
            if !issuer.valid_at(now) || head.signed_by(&issuer) != Link::Signed {
                continue;
            }
            let mut above = match anchor_of(&issuer, trust) {
                Anchor::Signed => Completion {
                    subjects: Vec::new(),
                    fetched: false,
                    complete: true,
                    issuer_url: None,
                },
                _ => complete_within(&issuer, trust, known, (now, depth - 1)),
            };
            above.subjects.insert(0, issuer.facts.subject.clone());
            above.fetched |= fetched;
            if above.complete {
                return above;
            }
            if above.issuer_url.is_some() {
                best.issuer_url = above.issuer_url;
            }
        }
    }
    best
}
