//! Is it us? Before anyone is blamed for silence, we look whether we see at all; while we do not, no verdict is given.
//!
//! A failure that our own outage would explain waits for an observation that began after it, one observation serving all
//! that wait. An operation that is excused is inconclusive, and counts nowhere as a failure. Probing never stops: what
//! answers keeps its verdict, and is the first to end a gap.
//!
//! A verdict waits at most for the time between two observations and one observation (`vantage.timeout`) with its grace:
//! by that much an operation that fails may exceed its total budget.

mod judge;
mod watch;

use crate::model::attempt::{Attempt, Outcome, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::DependencyIndex;
use crate::model::event::{Event, VantageChange};
use crate::model::failure::{Confidence, Failure, State};
use crate::model::order::OperationId;
use crate::model::time::{Moment, Now};
use crate::model::vantage::{NetworkFacts, ObservationId, OfflineBecause, VantageFacts};

use super::operation::{Operation, Stage};
use super::schedule::Alarm;
use super::slot::Slot;
use super::{Engine, Output};

pub use watch::Watch;

use judge::Distance;
use watch::Change;

/// Gaps that are kept per dependency.
const GAPS_PER_DEPENDENCY: usize = 8;

/// Whether our own outage would explain that this attempt failed so.
pub fn is_suspect(attempt: &Attempt, failure: &Failure) -> bool {
    // Whatever a server answers to a DNS probe, it answers.
    let answered = attempt
        .stop()
        .is_some_and(|stop| matches!(stop.trouble, Trouble::DnsAnswer));
    judge::is_suspect(failure.cause) && !answered
}

/// Whether an attempt ended at this very host.
pub fn is_here(network: Option<&NetworkFacts>, attempt: &Attempt) -> bool {
    judge::distance(network, judge::address_of(attempt)) == Distance::Here
}

/// Whether what ended the attempt came over the network a moment ago.
fn is_heard(attempt: &Attempt, failure: Option<&Failure>) -> bool {
    match (&attempt.outcome, failure) {
        (Outcome::Answered, _) | (_, None) => true,
        (_, Some(failure)) if is_suspect(attempt, failure) || failure.cause.is_ours() => false,
        (_, Some(failure)) => {
            failure.cause == Cause::TcpRefusedRst
                || attempt.decisive_hop().is_some_and(|hop| hop.received > 0)
        }
    }
}

impl Engine {
    /// Looks at a finished attempt with our own eyes: whoever answers proves that we see, and what fell silent while we did
    /// not is excused. Returns the failure that stands in place of the attempt's own.
    pub(super) fn consider(
        &mut self,
        index: DependencyIndex,
        attempt: &Attempt,
        failure: Option<&Failure>,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Option<Failure> {
        let Some(failure) = failure.filter(|failure| is_suspect(attempt, failure)) else {
            self.note_answer(attempt, failure, now, out);
            return None;
        };
        let address = judge::address_of(attempt);
        let began = match self.operation_mut(index)?.stage {
            Stage::Attempting { since, .. } => since,
            _ => now.moment,
        };
        if let Some(because) = self.vantage.excuse(address, began) {
            return Some(offline(failure, because, &self.vantage));
        }
        if judge::distance(self.vantage.network(), address) != Distance::Here
            && let Some(slot) = self.tables.slot(index)
        {
            self.vantage.note_silent(slot.host, now.moment);
        }
        // A first look goes along with the retries, so that an outage ends them early.
        if !self.stopping && !self.vantage.observed_since(began) {
            self.vantage.want();
            self.look_around(now, out);
        }
        None
    }

    /// An attempt that did not fall silent: where that matters at present, it is noted.
    fn note_answer(&mut self, attempt: &Attempt, failure: Option<&Failure>, now: Now, out: &mut Vec<Output>) {
        if !self.vantage.is_listening() || !is_heard(attempt, failure) {
            return;
        }
        if let Some(address) = judge::address_of(attempt)
            && self.vantage.note_heard(address) == Change::CameOnline
        {
            self.come_online(now, out);
        }
        self.look_around(now, out);
    }

    /// Whether the verdict on the operation's last failure has to wait for an observation; then it is noted among those
    /// that wait.
    pub(super) fn waits_for_sight(
        &mut self,
        index: DependencyIndex,
        failure: &Failure,
        now: Now,
        out: &mut Vec<Output>,
    ) -> bool {
        if self.stopping || self.vantage.is_offline() {
            return false;
        }
        let Some(slot) = self.tables.slot_mut(index) else {
            return false;
        };
        let Some(since) = needed_since(slot, failure, now.moment) else {
            return false;
        };
        if self.vantage.observed_since(since) {
            return false;
        }
        let Some(operation) = slot.operation.as_deref_mut() else {
            return false;
        };
        operation.stage = Stage::AwaitingSight { since };
        self.vantage.waiting.push((index, operation.id));
        self.vantage.want();
        self.look_around(now, out);
        true
    }

    /// Begins the observation that is wanted, as soon as it may begin, and has itself woken for the next.
    pub(super) fn look_around(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Some(order) = self.vantage.begin(now.moment, self.stopping) {
            out.push(Output::CheckVantage(Box::new(order)));
        }
        if let Some(at) = self.vantage.arm(self.stopping) {
            self.alarms.set(at, Alarm::Vantage);
        }
    }

    pub(super) fn vantage_alarm(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Some(id) = self.vantage.woke(now.moment) {
            self.vantage.give_up(id, now);
            self.resume_waiting(now, out);
        }
        self.look_around(now, out);
    }

    pub(super) fn vantage_observed(
        &mut self,
        id: ObservationId,
        facts: VantageFacts,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(change) = self.vantage.observed(id, facts, now) else {
            return;
        };
        match change {
            Change::WentOffline(because) => self.go_offline(because, now, out),
            Change::CameOnline => self.come_online(now, out),
            Change::None => {}
        }
        if let Some(silent) = self.vantage.discredit_to_tell() {
            let change = VantageChange::AnchorsDiscredited { silent };
            out.push(Output::Observed(Event::VantageChanged(change)));
        }
        self.resume_waiting(now, out);
        self.look_around(now, out);
    }

    fn go_offline(&mut self, because: OfflineBecause, now: Now, out: &mut Vec<Output>) {
        let from = self.blind_since(now.moment);
        let gap = self.vantage.go_offline(because, from, now);
        let network = self.vantage.network();
        let mut suspended = 0;
        let mut between_attempts = Vec::new();
        for (place, slot) in self.tables.slots.iter_mut() {
            slot.suspended = judge::explains(because, network, last_address(slot));
            if slot.suspended {
                suspended += 1;
                slot.gaps.begin(gap, GAPS_PER_DEPENDENCY);
            }
            if slot.operation.as_deref().is_some_and(is_between_attempts) {
                between_attempts.push(DependencyIndex(place));
            }
        }
        self.vantage.suspended = suspended;
        self.pause_suspended(from);
        let (anchors, silent) = self.vantage.anchor_counts();
        out.push(Output::Observed(Event::VantageChanged(VantageChange::Offline {
            because,
            since: gap.from,
            anchors,
            silent,
            suspended,
        })));
        for index in between_attempts {
            self.conclude_if_excused(index, now, out);
        }
    }

    /// Since when nothing was seen: the beginning of the oldest attempt that waits for the verdict, or since the network was
    /// last known to work.
    fn blind_since(&self, now: Moment) -> Moment {
        let began = self.vantage.waiting.iter().filter_map(|(index, id)| {
            let operation = self.tables.slot(*index)?.operation.as_deref()?;
            let last = operation.attempts.last().filter(|_| operation.id == *id)?;
            Some(last.at)
        });
        let oldest = began.min().unwrap_or(now);
        self.vantage
            .last_seen()
            .map_or(oldest, |seen| seen.max(oldest))
            .min(now)
    }

    fn come_online(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(gap) = self.vantage.come_online(now) else {
            return;
        };
        for (_, slot) in self.tables.slots.iter_mut() {
            if std::mem::take(&mut slot.suspended) {
                slot.gaps.end(now.wall);
            }
        }
        let suspended = std::mem::take(&mut self.vantage.suspended);
        let change = VantageChange::Online { gap, suspended };
        out.push(Output::Observed(Event::VantageChanged(change)));
    }

    /// Those that waited for the observation go on, excused or not.
    fn resume_waiting(&mut self, now: Now, out: &mut Vec<Output>) {
        let waiting = std::mem::take(&mut self.vantage.waiting);
        for (index, id) in waiting {
            let Some(since) = self.awaited_since(index, id) else {
                continue;
            };
            if self.vantage.is_offline() || self.vantage.observed_since(since) {
                self.resume(index, now, out);
            } else {
                self.vantage.waiting.push((index, id));
                self.vantage.want();
            }
        }
    }

    fn awaited_since(&self, index: DependencyIndex, id: OperationId) -> Option<Moment> {
        let operation = self.tables.slot(index)?.operation.as_deref()?;
        match operation.stage {
            Stage::AwaitingSight { since } if operation.id == id => Some(since),
            _ => None,
        }
    }

    fn resume(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        if self.conclude_if_excused(index, now, out) {
            return;
        }
        self.note_anchors(index);
        self.look_twice(index, now, out);
    }

    /// Puts what the anchors said of late into the evidence of a failure that they might explain. Where they are silent and
    /// do not prove enough, being offline remains possible.
    pub(super) fn note_anchors(&mut self, index: DependencyIndex) {
        let Some(said) = self.vantage.anchors_said() else {
            return;
        };
        let last = self
            .tables
            .slot_mut(index)
            .and_then(|slot| slot.operation.as_deref_mut()?.attempts.last_mut());
        let Some(record) = last else { return };
        let Some(failure) = record.failure.as_mut() else {
            return;
        };
        if !is_suspect(&record.attempt, failure) {
            return;
        }
        failure.evidence.set("anchors", said);
        if said == watch::SILENT && !failure.alternatives.contains(&Cause::VantageOffline) {
            failure.alternatives.push(Cause::VantageOffline);
            if failure.confidence == Confidence::Observed {
                failure.confidence = Confidence::Likely;
            }
        }
    }

    /// Concludes the operation without a verdict when what failed last is excused.
    fn conclude_if_excused(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) -> bool {
        let failure = self
            .tables
            .slot(index)
            .and_then(|slot| slot.operation.as_deref()?.attempts.last()?.failure.clone());
        let Some(failure) = failure.and_then(|failure| self.excused(index, &failure)) else {
            return false;
        };
        self.conclude_and_release(index, Some(failure), now, out);
        true
    }

    /// The failure in whose place the operation's own is excused, with all its attempts that fell silent; `None` when it is
    /// not.
    pub(super) fn excused(&mut self, index: DependencyIndex, failure: &Failure) -> Option<Failure> {
        if !self.vantage.is_offline() && !self.vantage.had_gap() {
            return None;
        }
        let operation = self.tables.slot_mut(index)?.operation.as_deref_mut()?;
        let last = operation.attempts.last()?;
        let own = last.failure.as_ref()?;
        let is_excused = own.cause == Cause::VantageOffline;
        let is_silent = judge::is_suspect(failure.cause) && is_suspect(&last.attempt, own);
        if !is_excused && !is_silent {
            return None;
        }
        let because = self.vantage.excuse(judge::address_of(&last.attempt), last.at)?;
        for record in &mut operation.attempts {
            if let Some(own) = record
                .failure
                .as_mut()
                .filter(|own| is_suspect(&record.attempt, own))
            {
                *own = offline(own, because, &self.vantage);
            }
        }
        Some(if is_excused {
            failure.clone()
        } else {
            offline(failure, because, &self.vantage)
        })
    }
}

/// From when on an observation must have begun to settle this failure; `None` when it settles itself. A dependency that
/// was failing already is cleared by one of a moment ago: thousands of them may fail every minute.
fn needed_since(slot: &Slot, failure: &Failure, now: Moment) -> Option<Moment> {
    let last = slot.operation.as_deref()?.attempts.last()?;
    if !is_suspect(&last.attempt, failure) {
        return None;
    }
    let ended = (last.at + last.attempt.elapsed).min(now);
    Some(match slot.state {
        State::Failing { .. } => Moment::from_nanos(
            now.as_nanos()
                .saturating_sub(crate::model::time::nanos(watch::FRESH)),
        )
        .min(ended),
        State::Unknown | State::Up { .. } => ended,
    })
}

/// Where the dependency was when it last answered, or where it is said to be.
fn last_address(slot: &Slot) -> Option<std::net::IpAddr> {
    let seen = slot.history.last_success().and_then(|record| {
        let last = record.attempts.last()?;
        judge::address_of(&last.attempt)
    });
    seen.or_else(|| slot.dependency.probe.endpoint().address())
}

fn is_between_attempts(operation: &Operation) -> bool {
    matches!(operation.stage, Stage::BackingOff { .. })
}

/// A failure that says nothing of the dependency, with what it looked like.
fn offline(failure: &Failure, because: OfflineBecause, watch: &Watch) -> Failure {
    let mut evidence = failure.evidence.clone();
    evidence.set("looked_like", failure.cause.id());
    evidence.set("offline_because", because.id());
    let (anchors, silent) = watch.anchor_counts();
    if anchors > 0 {
        evidence.set("anchors_silent", format!("{silent} of {anchors}"));
    }
    Failure {
        cause: Cause::VantageOffline,
        phase: failure.phase,
        speed: failure.speed,
        confidence: Confidence::Confirmed,
        alternatives: Vec::new(),
        evidence,
        fix: fix(because, watch.network()),
        elapsed: failure.elapsed,
        chain: failure.chain.clone(),
    }
}

/// What to do about it, as far as our own kernel tells.
fn fix(because: OfflineBecause, network: Option<&NetworkFacts>) -> Box<str> {
    let down = |network: &NetworkFacts| {
        let adapters = network
            .interfaces
            .iter()
            .filter(|one| one.adapter && !one.loopback && !(one.up && one.running));
        let named: Vec<&str> = adapters.map(|one| &*one.name).collect();
        named.join(", ")
    };
    match (because, network) {
        (OfflineBecause::LinksDown, Some(network)) => {
            format!("bring up this host's network: {} has no link", down(network)).into()
        }
        (OfflineBecause::NoWayOut, _) => "restore the default route of this host".into(),
        (_, Some(network)) => {
            let deaf = network
                .default_routes
                .iter()
                .find(|route| route.neighbour == Some(false));
            match deaf.and_then(|route| Some((route.gateway?, &route.interface))) {
                Some((gateway, interface)) => format!(
                    "repair the network of this host: its gateway {gateway} on {interface} does not answer"
                )
                .into(),
                None => Cause::VantageOffline.doc().fix.into(),
            }
        }
        (_, None) => Cause::VantageOffline.doc().fix.into(),
    }
}

#[cfg(test)]
pub(super) mod tests;
