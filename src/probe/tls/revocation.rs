//! Whether certificates of a path were revoked, as far as a stapled OCSP response and the configured lists know.

use super::certificate::Certificate;
use super::crl::Crls;
use super::ocsp::{self, About};
use super::path::{self, End, Path};
use crate::model::attempt::{RevocationFacts, RevocationSource, Standing};
use crate::model::time::Wall;
use crate::net::sanitize::foreign_text;
use crate::net::trust::Trust;

const MAX_SAID_BY: usize = 200;

/// A path, and what there is to know about the revocation of its certificates.
#[derive(Clone, Copy)]
pub(super) struct Revocation<'a> {
    pub chain: &'a [Option<Certificate<'a>>],
    pub path: &'a Path,
    pub trust: &'a Trust,
    /// Empty where none came.
    pub staple: &'a [u8],
    pub crls: &'a Crls,
    /// Seconds since 1970.
    pub now: i64,
}

/// What was found, and until when it stays so (in seconds since 1970).
pub(super) struct Looked {
    pub facts: Vec<RevocationFacts>,
    pub until: i64,
}

impl Revocation<'_> {
    pub fn look(&self) -> Looked {
        let mut looked = Looked {
            facts: Vec::new(),
            until: i64::MAX,
        };
        if self.staple.is_empty() && self.crls.is_empty() {
            return looked;
        }
        for (place, position) in self.path.positions.iter().enumerate() {
            let Some(certificate) = self.chain.get(*position).and_then(Option::as_ref) else {
                continue;
            };
            let Some(issuer_key) = self.issuer_key(place, certificate) else {
                if place == 0 && !self.staple.is_empty() {
                    let why = "the OCSP response's issuer is not there to verify it by";
                    let standing = Standing::NoProof(why.into());
                    looked
                        .facts
                        .push(self.staple_says(certificate, standing, (None, None)));
                }
                continue;
            };
            if place == 0 && !self.staple.is_empty() {
                let about = About {
                    certificate,
                    issuer_key,
                    now: self.now,
                };
                let said = ocsp::read(self.staple, about);
                let times = (said.this_update, said.next_update);
                looked.note(self.now, times);
                looked
                    .facts
                    .push(self.staple_says(certificate, said.standing, times));
            }
            for list in self.crls.of_issuer(certificate) {
                let Some(standing) = list.standing(certificate, issuer_key, self.now) else {
                    continue;
                };
                let times = (Some(list.this_update), list.next_update);
                looked.note(self.now, times);
                let said_by = list.path.display().to_string();
                let source = RevocationSource::Crl;
                looked
                    .facts
                    .push(self.says(*position, source, standing, times, &said_by));
            }
        }
        looked
    }

    fn staple_says(
        &self,
        leaf: &Certificate<'_>,
        standing: Standing,
        times: (Option<i64>, Option<i64>),
    ) -> RevocationFacts {
        let said_by = format!("OCSP for {}", leaf.facts.issuer);
        self.says(0, RevocationSource::StapledOcsp, standing, times, &said_by)
    }

    fn says(
        &self,
        position: usize,
        source: RevocationSource,
        standing: Standing,
        (this_update, next_update): (Option<i64>, Option<i64>),
        said_by: &str,
    ) -> RevocationFacts {
        RevocationFacts {
            position: u8::try_from(position).unwrap_or(u8::MAX),
            source,
            standing,
            this_update: this_update.map(Wall::from_unix_secs),
            next_update: next_update.map(Wall::from_unix_secs),
            outdated: next_update.is_some_and(|next| next < self.now),
            said_by: foreign_text(said_by.as_bytes(), MAX_SAID_BY),
        }
    }

    /// The key of whoever issued the path's certificate at that place: the next one's, or a trust anchor's.
    fn issuer_key<'b>(&'b self, place: usize, certificate: &Certificate<'b>) -> Option<&'b [u8]> {
        if let Some(next) = self.path.positions.get(place + 1) {
            return Some(self.chain.get(*next)?.as_ref()?.key());
        }
        match self.path.end {
            End::Trusted => path::anchor_key(certificate, self.trust),
            _ => None,
        }
    }
}

impl Looked {
    /// What these times say changes when the next of them comes.
    fn note(&mut self, now: i64, (this_update, next_update): (Option<i64>, Option<i64>)) {
        for time in [this_update, next_update].into_iter().flatten() {
            if time > now {
                self.until = self.until.min(time);
            }
        }
    }
}

/// What a revoked certificate's fault says.
pub(super) fn words(facts: &RevocationFacts, subject: &str) -> Option<String> {
    let Standing::Revoked { at, reason } = &facts.standing else {
        return None;
    };
    let reason = reason.map_or(String::new(), |reason| {
        format!(", reason {}", reason.replace('_', " "))
    });
    let outdated = match facts.next_update {
        Some(next) if facts.outdated => format!("; that is outdated since {next}"),
        _ => String::new(),
    };
    Some(format!(
        "{subject} was revoked at {at}{reason}, says {}{outdated}",
        facts.said_by
    ))
}
