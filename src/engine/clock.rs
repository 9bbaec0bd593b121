//! Is it our clock? A certificate that is out of date for us may be good for everybody else.
//!
//! Two witnesses: what other hosts say the time is (`Date`), kept against the monotonic clock, so that a step of the wall
//! clock shows at once; and the certificates of unrelated hosts, when no time is left at which those that fail would be
//! good but another one than ours. One host's certificate is never a witness about the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::attempt::{Attempt, CertificateFaultKind, TlsFacts};
use crate::model::cause::Cause;
use crate::model::dependency::DependencyIndex;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::OperationId;
use crate::model::time::{Moment, Now, Wall};

use super::operation::Stage;
use super::schedule::Alarm;
use super::vantage;
use super::{Engine, Output};

/// Fewest different hosts, and of certificates fewest different issuers, whose word counts.
const HOSTS: usize = 3;
/// A clock that is off by less explains no certificate and is not worth an alarm.
const TOLERATED: i64 = 300;
/// How far the hosts' times may lie from their median (median of the deviations) to be one time.
const SPREAD: i64 = 60;
/// For how long a host's word is remembered.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// How much our two clocks may have moved against each other since a host's word: more is a step of the wall clock or a
/// suspended machine, and that word says nothing any more.
const DRIFT: i64 = 60;
/// A judgement over all hosts holds for so long: thousands may need it in the same second.
const HOLDS: Duration = Duration::from_secs(1);
/// A certificate that begins so soon may have been made by a host whose clock is ahead of ours.
const SOON: i64 = 86_400;
/// How long one round waits for the other targets before it names a certificate's date as the cause.
const PATIENCE: Duration = Duration::from_secs(3);

/// What one host has shown of the time.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The peer's time and ours when it was said, and our monotonic time.
    date: Option<(Wall, Now)>,
    certificate: Option<(Presented, Now)>,
}

/// The times at which a presented chain is good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Presented {
    from: Wall,
    to: Wall,
    /// The issuer of the certificate that is out of date; `None` where none is.
    fault: Option<Box<str>>,
}

/// What all hosts together say of our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing that would prove it wrong.
    Open,
    /// So many hosts say that it is this many seconds later than we think.
    Off { seconds: i64, hosts: usize },
    /// The certificates of so many hosts, by different issuers, are good at no time but one between these.
    Between { from: Wall, to: Wall, hosts: usize },
}

#[derive(Debug, Default)]
pub struct Clock {
    judged: Option<(Moment, Judgement)>,
    /// Operations of one round that wait for what the other targets show.
    waiting: Vec<(DependencyIndex, OperationId)>,
}

impl Shown {
    /// Notes what an attempt showed. `here` tells an answer of this very host, which has our clock.
    pub fn note(&mut self, attempt: &Attempt, here: bool, now: Now) {
        let Some(hop) = attempt.decisive_hop() else { return };
        if let Some(date) = hop.response.as_ref().and_then(|response| response.date)
            && !here
        {
            self.date = Some((date, now));
        }
        if let Some(presented) = hop.tls.as_deref().and_then(presented) {
            self.certificate = Some((presented, now));
        }
    }

    fn date(&self, now: Now) -> Option<i64> {
        let (date, said) = self.date?;
        if now.moment.since(said.moment) > REMEMBERED || stepped(said, now) > DRIFT {
            return None;
        }
        Some(date.seconds_since(said.wall))
    }

    fn certificate(&self, now: Now) -> Option<&Presented> {
        let (presented, seen) = self.certificate.as_ref()?;
        (now.moment.since(seen.moment) <= REMEMBERED).then_some(presented)
    }
}

/// By how many seconds the wall clock has moved against the monotonic one.
fn stepped(then: Now, now: Now) -> i64 {
    let wall = now.wall.seconds_since(then.wall);
    let monotonic = i64::try_from(now.moment.since(then.moment).as_secs()).unwrap_or(i64::MAX);
    (wall - monotonic).abs()
}

fn presented(tls: &TlsFacts) -> Option<Presented> {
    let from = tls.chain.iter().map(|one| one.not_before).max()?;
    let to = tls.chain.iter().map(|one| one.not_after).min()?;
    let dated = tls.faults.iter().find(|fault| {
        matches!(
            fault.kind,
            CertificateFaultKind::Expired | CertificateFaultKind::NotYetValid
        )
    });
    let fault = dated.map(|fault| {
        let place = usize::from(fault.position.unwrap_or(0));
        let issuer = tls.chain.get(place).or(tls.chain.first());
        issuer.map(|one| one.issuer.clone()).unwrap_or_default()
    });
    Some(Presented { from, to, fault })
}

/// Judges by what the hosts have shown; each is a host's name and its word.
pub fn judge<'a>(hosts: impl Iterator<Item = (&'a str, &'a Shown)> + Clone, now: Now) -> Judgement {
    let mut said: Vec<(&str, i64)> = hosts
        .clone()
        .filter_map(|(name, shown)| Some((name, shown.date(now)?)))
        .collect();
    said.sort_unstable();
    said.dedup_by_key(|(name, _)| *name);
    let mut offsets: Vec<i64> = said.iter().map(|(_, offset)| *offset).collect();
    if let Some(middle) = median(&mut offsets) {
        if middle.abs() < TOLERATED {
            // Somebody else's clock agrees with ours: what is out of date is out of date.
            return Judgement::Open;
        }
        let mut deviations: Vec<i64> = offsets.iter().map(|offset| (offset - middle).abs()).collect();
        let spread = median(&mut deviations).unwrap_or(0);
        if offsets.len() >= HOSTS && spread <= SPREAD {
            let hosts = offsets.len();
            return Judgement::Off {
                seconds: middle,
                hosts,
            };
        }
    }
    by_certificates(hosts, now)
}

fn by_certificates<'a>(hosts: impl Iterator<Item = (&'a str, &'a Shown)>, now: Now) -> Judgement {
    let (mut failing, mut issuers, mut good) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut from, mut to) = (Wall::from_unix_nanos(i64::MIN), Wall::from_unix_nanos(i64::MAX));
    for (name, shown) in hosts {
        let Some(presented) = shown.certificate(now) else {
            continue;
        };
        (from, to) = (from.max(presented.from), to.min(presented.to));
        match &presented.fault {
            Some(issuer) => {
                failing.insert(name);
                issuers.insert(issuer);
            }
            None => {
                good.insert(name);
            }
        }
    }
    let many = failing.len() >= HOSTS && issuers.len() >= HOSTS && failing.len() > good.len();
    if many && from < to {
        Judgement::Between {
            from,
            to,
            hosts: failing.len(),
        }
    } else {
        Judgement::Open
    }
}

fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

const fn is_dated(cause: Cause) -> bool {
    matches!(cause, Cause::TlsCertExpired | Cause::TlsCertNotYetValid)
}

impl Engine {
    /// Notes what an attempt shows of the time, and names our clock where it explains the failure.
    pub(super) fn consider_clock(
        &mut self,
        index: DependencyIndex,
        attempt: &Attempt,
        failure: Option<&mut Failure>,
        now: Now,
    ) {
        let here = vantage::is_here(self.vantage.network(), attempt);
        if let Some((_, host)) = self.tables.pair_mut(index) {
            host.shown.note(attempt, here, now);
        }
        if let Some(failure) = failure.filter(|failure| is_dated(failure.cause)) {
            self.explain_by_clock(attempt, failure, now);
        }
    }

    fn explain_by_clock(&mut self, attempt: &Attempt, failure: &mut Failure, now: Now) {
        let presented = attempt
            .decisive_hop()
            .and_then(|hop| hop.tls.as_deref())
            .and_then(presented);
        let Some(presented) = presented else { return };
        match self.judge_clock(now) {
            Judgement::Off { seconds, hosts } => {
                let there = Wall::from_unix_secs(now.wall.unix_secs().saturating_add(seconds));
                // Where the others' time does not make it good, it is bad by itself.
                if presented.from <= there && there <= presented.to {
                    blame(failure, Confidence::Confirmed, now);
                    // Ours less theirs: positive when our clock is ahead.
                    failure.evidence.set("clock_offset_s", -seconds);
                    failure.evidence.set("hosts_that_say_so", hosts);
                }
            }
            Judgement::Between { from, to, hosts } => {
                let original = failure.cause;
                blame(failure, Confidence::Likely, now);
                failure.alternatives = vec![original];
                failure.evidence.set("certificates_agree_from", from);
                failure.evidence.set("certificates_agree_to", to);
                failure.evidence.set("hosts_out_of_date", hosts);
            }
            Judgement::Open => {
                let ahead = presented.from.seconds_since(now.wall);
                let soon = failure.cause == Cause::TlsCertNotYetValid && (0..=SOON).contains(&ahead);
                if soon && !failure.alternatives.contains(&Cause::LocalClockSkew) {
                    failure.alternatives.push(Cause::LocalClockSkew);
                    failure.confidence = Confidence::Likely;
                }
            }
        }
    }

    fn judge_clock(&mut self, now: Now) -> Judgement {
        if let Some((at, judgement)) = self.clock.judged
            && now.moment.since(at) < HOLDS
            && !self.one_round
        {
            return judgement;
        }
        let hosts = self
            .tables
            .hosts
            .iter()
            .map(|(_, host)| (&*host.key.name, &host.shown));
        let judgement = judge(hosts, now);
        self.clock.judged = Some((now.moment, judgement));
        judgement
    }

    /// In one round, whether the operation waits for what other targets show before a certificate's date is named.
    pub(super) fn waits_for_others(&mut self, index: DependencyIndex, failure: &Failure, now: Now) -> bool {
        if !self.one_round || self.stopping || !is_dated(failure.cause) || !self.others_are_out() {
            return false;
        }
        let Some(operation) = self.operation_mut(index) else {
            return false;
        };
        let id = operation.id;
        if matches!(operation.stage, Stage::AwaitingOthers) {
            return false;
        }
        operation.stage = Stage::AwaitingOthers;
        self.clock.waiting.push((index, id));
        self.alarms.set(
            now.moment + PATIENCE,
            Alarm::PatienceEnds { index, operation: id },
        );
        true
    }

    /// Whether enough targets have shown nothing yet for their word to matter.
    fn others_are_out(&self) -> bool {
        self.tables.hosts.len() >= HOSTS && self.tables.slots.iter().any(|(_, slot)| is_out(slot))
    }

    /// Something was shown: those that wait are done waiting when nobody else is out.
    pub(super) fn release_clock_waiting(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.clock.waiting.is_empty() || self.others_are_out() {
            return;
        }
        for (index, id) in std::mem::take(&mut self.clock.waiting) {
            self.patience_ended(index, id, now, out);
        }
    }

    pub(super) fn patience_ended(
        &mut self,
        index: DependencyIndex,
        id: OperationId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(operation) = self.operation_mut(index).filter(|operation| operation.id == id) else {
            return;
        };
        if !matches!(operation.stage, Stage::AwaitingOthers) {
            return;
        }
        let last = operation.attempts.last();
        let Some((attempt, mut failure)) =
            last.and_then(|last| Some((last.attempt.clone(), last.failure.clone()?)))
        else {
            return;
        };
        self.explain_by_clock(&attempt, &mut failure, now);
        if let Some(last) = self
            .operation_mut(index)
            .and_then(|operation| operation.attempts.last_mut())
        {
            last.failure = Some(failure);
        }
        self.look_twice(index, now, out);
    }
}

/// Nothing was shown by it yet in this round.
fn is_out(slot: &super::slot::Slot) -> bool {
    match &slot.operation {
        Some(operation) => operation.attempts.is_empty(),
        None => !slot.begun,
    }
}

fn blame(failure: &mut Failure, confidence: Confidence, now: Now) {
    failure.evidence.set("looked_like", failure.cause.id());
    failure.evidence.set("our_time", now.wall);
    failure.cause = Cause::LocalClockSkew;
    failure.confidence = confidence;
    failure.alternatives.clear();
    failure.fix = Cause::LocalClockSkew.doc().fix.into();
}

#[cfg(test)]
mod tests;
