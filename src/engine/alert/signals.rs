//! What is remembered of one dependency's operations for the rules: small, and of fixed size (about 700 bytes).

use std::time::Duration;

use crate::model::cause::{FindingId, Speed};
use crate::model::failure::{OperationRecord, Verdict};
use crate::model::order::ConfirmationKind;
use crate::model::time::{Moment, Wall};

use super::super::looks::SURVEY_EVERY;
use super::latency::Latency;
use super::rings::{Rings, Span};
use super::stats::Share;

/// Verdicts that are remembered one by one.
pub const VERDICTS: u32 = 64;
/// For how many operations the certificate that ends first is remembered: behind a balancer each may show another one.
const CERTIFICATE_OPERATIONS: u8 = 8;
/// After that time without a failure no window holds one that matters now.
const FORGIVEN: Duration = Duration::from_secs(6 * 3_600 + 1_800);

/// After so many operations that do not show a broken way, nor a look that did, it is not broken any more.
const WHOLE: u8 = 30;

/// What tells that one way to the dependency fails while it answers.
pub const BROKEN: [FindingId; 3] = [
    FindingId::AddressIpv6Broken,
    FindingId::AddressIpv4Broken,
    FindingId::AddressPartial,
];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    pub failures_in_a_row: u32,
    pub successes_in_a_row: u32,
    /// How many of the last failures in a row were fast, up to the newest one that was not.
    pub fast_in_a_row: u32,
    /// The last verdicts, newest first, as bits; 1 failed.
    pub(super) verdicts: u64,
    /// How many of them there are.
    pub(super) seen: u8,
    /// How many of them are not yet told as "down", up to all.
    pub(super) untold: u8,
    pub rings: Rings,
    pub(super) last_failed: Option<Moment>,
    /// When an alert that it was down was over.
    pub down_ended: Option<Moment>,
    pub latency: Latency,
    pub certificate: Option<Certificate>,
    /// Looks at the sources of its name that gave different answers, one after the other.
    pub names_differ: u8,
    /// Looks that found an address or a family broken, one after the other.
    pub broken: u8,
    /// Operations since a way was last shown to be broken.
    pub(super) whole: u8,
    /// When `broken` was taken from another run's record: what the looks of that run found is not known any more, so that until
    /// the next one operations alone do not say that it is whole.
    pub(super) broken_recalled: Option<Moment>,
    /// When it was written down last, and for how many seconds it waits for the first time.
    pub written: Option<Moment>,
    pub wait: u16,
}

/// Of the certificates that it showed of late, the one that ends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub not_after: Wall,
    /// From its beginning to its end.
    pub lifetime: Duration,
    /// Operations that showed it.
    pub seen: u8,
    /// Operations since then that showed none that ends as early.
    later: u8,
}

/// What is known of the dependency beside the operation itself.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    pub not_after: Option<Wall>,
    /// An alert says that it takes longer than it used to.
    pub regressed: bool,
    /// What the last look at the sources of its name found.
    pub names_differ: Option<bool>,
    /// A way to it is known to be broken.
    pub broken: bool,
}

impl Signals {
    /// Takes a conclusive operation into account.
    pub fn note(&mut self, record: &OperationRecord, beside: Beside, now: Moment) {
        let failed = record.verdict == Verdict::Failed;
        self.rings.add(failed, now);
        self.verdicts = self.verdicts << 1 | u64::from(failed);
        self.seen = (self.seen + 1).min(VERDICTS as u8);
        self.untold = (self.untold + 1).min(VERDICTS as u8);
        match &record.failure {
            Some(failure) if failed => {
                self.last_failed = Some(now);
                self.successes_in_a_row = 0;
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.fast_in_a_row = match failure.speed {
                    Speed::Fast => self.fast_in_a_row.saturating_add(1),
                    Speed::Slow => 0,
                };
            }
            _ => {
                (self.failures_in_a_row, self.fast_in_a_row) = (0, 0);
                self.successes_in_a_row = self.successes_in_a_row.saturating_add(1);
            }
        }
        if record.verdict == Verdict::Ok {
            self.latency.note(record.elapsed, beside.regressed, now);
        }
        if let Some(not_after) = beside.not_after {
            self.note_certificate(record, not_after);
        }
        self.note_names(record, beside, now);
    }

    fn note_certificate(&mut self, record: &OperationRecord, not_after: Wall) {
        match &mut self.certificate {
            Some(known) if known.not_after == not_after => {
                known.seen = known.seen.saturating_add(1);
                known.later = 0;
            }
            Some(known) if known.not_after < not_after && known.later < CERTIFICATE_OPERATIONS => {
                known.later += 1;
            }
            other => {
                *other = lifetime(record, not_after).map(|lifetime| Certificate {
                    not_after,
                    lifetime,
                    seen: 1,
                    later: 0,
                });
            }
        }
    }

    fn note_names(&mut self, record: &OperationRecord, beside: Beside, now: Moment) {
        let compared = made(record, |kind| matches!(kind, ConfirmationKind::CompareNames));
        match beside.names_differ {
            Some(true) if compared => self.names_differ = self.names_differ.saturating_add(1),
            Some(false) => self.names_differ = 0,
            // Not looked at again, or not since the process began.
            Some(true) | None => {}
        }
        let surveyed = made(record, |kind| matches!(kind, ConfirmationKind::EveryAddress(_)));
        if record.findings.iter().any(|finding| BROKEN.contains(&finding.id)) {
            (self.broken, self.whole) = (self.broken.saturating_add(1), 0);
        } else if !beside.broken && self.broken > 0 {
            let recalled = self.broken_recalled;
            let awaits_look = recalled.is_some_and(|at| now.since(at) <= SURVEY_EVERY);
            self.whole += u8::from(!awaits_look);
            if surveyed || self.whole >= WHOLE {
                (self.broken, self.whole) = (0, 0);
            }
        }
    }

    /// The last conclusive operation failed.
    pub const fn is_failing(&self) -> bool {
        self.failures_in_a_row > 0
    }

    /// Failures among the last operations, that many at most.
    pub fn last(&self, most: u32) -> Share {
        among(self.verdicts, most.min(u32::from(self.seen)))
    }

    /// The same, without those that an alert told as "down", which is over; and of failures in a row, which are the matter of
    /// the rules that tell of that, two at most.
    pub fn scattered(&self, most: u32) -> Share {
        let two_before = (self.verdicts >> 1) & (self.verdicts >> 2);
        among(self.verdicts & !two_before, most.min(u32::from(self.untold)))
    }

    /// How often it went from answering to failing or back among the last operations, that many at most.
    pub fn changes(&self, most: u32) -> Share {
        let seen = most.min(u32::from(self.seen));
        let changed = self.verdicts ^ (self.verdicts >> 1);
        Share {
            of: u64::from(seen),
            ..among(changed, seen.saturating_sub(1))
        }
    }

    /// What has happened before the last operations.
    pub fn before(&self, last: Share, now: Moment) -> Share {
        let all = self.rings.sum(Span::ThreeDays, now);
        Share {
            part: all.part.saturating_sub(last.part),
            of: all.of.saturating_sub(last.of),
        }
    }

    /// An alert that it was down is over: what it told is not told again by the rules about shares.
    pub fn down_is_over(&mut self, now: Moment) {
        self.down_ended = Some(now);
        self.untold = 0;
    }

    /// Whether it failed so recently that a rule about shares may hold.
    pub fn failed_of_late(&self, now: Moment) -> bool {
        self.last_failed.is_some_and(|at| now.since(at) < FORGIVEN)
    }

    pub const fn last_failed(&self) -> Option<Moment> {
        self.last_failed
    }

    /// The verdicts as they are kept: the bits, and how many of them there are in all and untold.
    pub const fn kept_verdicts(&self) -> (u64, u8, u8) {
        (self.verdicts, self.seen, self.untold)
    }

    pub fn set_verdicts(&mut self, (verdicts, seen, untold): (u64, u8, u8), last_failed: Option<Moment>) {
        let most = VERDICTS as u8;
        (self.verdicts, self.seen, self.untold) = (verdicts, seen.min(most), untold.min(most));
        self.last_failed = last_failed;
    }
}

fn among(bits: u64, last: u32) -> Share {
    let mask = u64::MAX.checked_shr(VERDICTS - last).unwrap_or(0);
    Share {
        part: u64::from((bits & mask).count_ones()),
        of: u64::from(last),
    }
}

fn made(record: &OperationRecord, wanted: impl Fn(&ConfirmationKind) -> bool) -> bool {
    record.confirmations.iter().any(|look| wanted(&look.kind))
}

/// How long the certificate with that end is valid in all, if the operation showed it.
fn lifetime(record: &OperationRecord, not_after: Wall) -> Option<Duration> {
    let hops = record
        .attempts
        .iter()
        .rev()
        .flat_map(|attempt| &attempt.attempt.hops);
    let mut certificates = hops.filter_map(|hop| hop.tls.as_ref()).flat_map(|tls| &tls.chain);
    let found = certificates.find(|certificate| certificate.not_after == not_after)?;
    let seconds = not_after.seconds_since(found.not_before);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(verdicts: &[bool]) -> Signals {
        let mut signals = Signals::default();
        for failed in verdicts {
            signals.verdicts = signals.verdicts << 1 | u64::from(*failed);
            signals.seen = (signals.seen + 1).min(64);
            signals.untold = (signals.untold + 1).min(64);
        }
        signals
    }

    #[test]
    fn the_last_verdicts_are_counted() {
        let signals = of(&[true, false, false, true, true]);
        assert_eq!(signals.last(2), Share { part: 2, of: 2 });
        assert_eq!(signals.last(60), Share { part: 3, of: 5 });
        assert_eq!(signals.changes(30), Share { part: 2, of: 5 });
        assert_eq!(Signals::default().last(60), Share::default());
        assert_eq!(Signals::default().changes(60), Share::default());
        let alternating: Vec<bool> = (0..200).map(|i| i % 2 == 0).collect();
        assert_eq!(of(&alternating).changes(30), Share { part: 29, of: 30 });
        assert_eq!(of(&alternating).last(64), Share { part: 32, of: 64 });
    }

    #[test]
    fn what_was_told_as_down_is_not_told_again() {
        let mut signals = of(&[true; 10]);
        signals.down_is_over(Moment::from_secs(9));
        assert_eq!(signals.scattered(60), Share::default());
        assert_eq!(signals.last(60), Share { part: 10, of: 10 });
    }

    #[test]
    fn failures_in_a_row_are_two_where_scattered_ones_count() {
        let long = [vec![true; 9], vec![false; 3], vec![true], vec![false]].concat();
        assert_eq!(of(&long).scattered(60), Share { part: 3, of: 14 });
    }

    #[test]
    fn it_is_small() {
        assert!(
            std::mem::size_of::<Signals>() <= 768,
            "{} bytes for each dependency",
            std::mem::size_of::<Signals>()
        );
    }
}
