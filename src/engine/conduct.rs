//! An operation from its first answer to its conclusion: classify, count, retry or not, look twice, conclude.

use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::{Attempt, Outcome, StaleKind, Trouble};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::{Dependency, DependencyIndex};
use crate::model::event::{BreakerState, Event, SuppressReason};
use crate::model::evidence::Evidence;
use crate::model::failure::{
    AttemptRecord, Confidence, Failure, Finding, OperationRecord, RetryDecision, Verdict,
};
use crate::model::order::OperationId;
use crate::model::similar;
use crate::model::time::{Moment, Now};

use super::breaker::Admission;
use super::classify::{self, Context};
use super::history::Room;
use super::operation::{Operation, Stage};
use super::retry::{self, Question};
use super::schedule::Alarm;
use super::slot::Slot;
use super::tally::{StaleSeen, Tally};
use super::vantage;
use super::window::Sample;
use super::{Engine, Output};

/// Edits within which a configured name is offered for one that does not resolve.
const SUGGESTION_DISTANCE: usize = 2;

impl Engine {
    pub(super) fn attempt_finished(
        &mut self,
        index: DependencyIndex,
        id: OperationId,
        attempt: Attempt,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some((number, since)) = self.attempt_under_way(index, id) else {
            return;
        };
        let mut failure = self.classify(index, &attempt, now);
        self.consider_clock(index, &attempt, failure.as_mut(), now);
        if let Some(failure) = &failure {
            self.note_want(failure.cause, now, out);
        }
        let excuse = self.consider(index, &attempt, failure.as_ref(), now, out);
        let decision = match &failure {
            None => RetryDecision::NotNeeded,
            Some(_) if excuse.is_some() && self.vantage.is_offline() => RetryDecision::Offline,
            Some(failure) => self.decide_retry(index, failure, &attempt, number, now),
        };
        let failure = excuse.or(failure);
        self.count_or_defer(index, &attempt, failure.as_ref(), out);
        self.check_against_idle(index, &attempt, now);
        let findings = match &failure {
            None => self.findings(index, &attempt, now),
            Some(_) => Vec::new(),
        };
        let Some(operation) = self.operation_mut(index) else {
            return;
        };
        let answered = failure.is_none();
        if let Some(previous) = operation.attempts.last_mut()
            && let Some(failure) = previous.failure.as_mut()
        {
            // Another address that answers proves nothing of this one.
            let address = |attempt: &Attempt| attempt.decisive_hop().and_then(|hop| hop.address);
            let same_address = address(&previous.attempt) == address(&attempt);
            classify::confirmed_by_next_attempt(failure, answered && same_address);
        }
        operation.findings = findings;
        operation.answered = now.moment;
        operation.attempts.push(AttemptRecord {
            number,
            at: since,
            attempt,
            failure,
            decision,
        });
        match decision {
            RetryDecision::Retry { after, .. } if after.is_zero() => {
                self.withdraw(index);
                self.order_attempt(index, number + 1, now, out);
            }
            RetryDecision::Retry { after, .. } => {
                operation.stage = Stage::BackingOff { next: number + 1 };
                self.withdraw(index);
                self.alarms
                    .set(now.moment + after, Alarm::BackoffEnds { index, operation: id });
            }
            RetryDecision::NotNeeded => self.survey_or_conclude(index, now, out),
            _ => self.look_twice_or_conclude(index, now, out),
        }
    }

    fn attempt_under_way(&mut self, index: DependencyIndex, id: OperationId) -> Option<(u8, Moment)> {
        let operation = self.operation_mut(index).filter(|operation| operation.id == id)?;
        match operation.stage {
            Stage::Attempting { number, since } => Some((number, since)),
            Stage::BackingOff { .. }
            | Stage::AwaitingSight { .. }
            | Stage::AwaitingOthers
            | Stage::Confirming { .. } => None,
        }
    }

    pub(super) fn operation_mut(&mut self, index: DependencyIndex) -> Option<&mut Operation> {
        self.tables.slot_mut(index)?.operation.as_deref_mut()
    }

    fn classify(&mut self, index: DependencyIndex, attempt: &Attempt, now: Now) -> Option<Failure> {
        if matches!(attempt.outcome, Outcome::Answered) {
            return None;
        }
        let suggestion = self.suggestion(index, attempt);
        let slot = self.tables.slot(index)?;
        let context = Context {
            dependency: &slot.dependency,
            known_hosts: &|_| suggestion.clone(),
            now: now.wall,
        };
        classify::classify(attempt, &context)
    }

    /// A configured host whose name is nearly the one that did not resolve. Looked for once per plan and dependency,
    /// since thousands may fail to resolve in the same second.
    fn suggestion(&mut self, index: DependencyIndex, attempt: &Attempt) -> Option<String> {
        let stop = attempt.stop()?;
        if !matches!(stop.trouble, Trouble::NoAddress) {
            return None;
        }
        let name = attempt.decisive_hop()?.resolution.as_ref()?.name.clone();
        let slot = self.tables.slot(index)?;
        let own_host = slot.dependency.probe.endpoint().host == name;
        if own_host && let Some(known) = &slot.suggestion {
            return known.clone();
        }
        let hosts = self.tables.hosts.iter().map(|(_, host)| &*host.key.name);
        let found = similar::closest(&name, hosts, SUGGESTION_DISTANCE).map(str::to_owned);
        if own_host && let Some(slot) = self.tables.slot_mut(index) {
            slot.suggestion = Some(found.clone());
        }
        found
    }

    fn findings(&mut self, index: DependencyIndex, attempt: &Attempt, now: Now) -> Vec<Finding> {
        let Some(slot) = self.tables.slot(index) else {
            return Vec::new();
        };
        let context = Context {
            dependency: &slot.dependency,
            known_hosts: &|_| None,
            now: now.wall,
        };
        classify::findings(attempt, &context)
    }

    fn count_or_defer(
        &mut self,
        index: DependencyIndex,
        attempt: &Attempt,
        failure: Option<&Failure>,
        out: &mut Vec<Output>,
    ) {
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        if let Some(stale) = attempt.stale_found {
            slot.tally.count_stale(stale.kind, StaleSeen::BeforeSend);
            host.saw_idle_end(&stale);
            let dependency = Arc::clone(&slot.dependency);
            out.push(Output::Observed(Event::KeepaliveReset { dependency, stale }));
        }
        let defers = failure.is_some_and(|failure| vantage::is_suspect(attempt, failure));
        match slot.operation.as_deref_mut() {
            // An outage of our own may turn out to be the reason: then it is no failed attempt of the dependency.
            Some(operation) if defers => {
                operation.uncounted |= 1_u32.wrapping_shl(operation.attempts.len() as u32)
            }
            _ => slot.tally.count_attempt(attempt, failure),
        }
    }

    fn decide_retry(
        &mut self,
        index: DependencyIndex,
        failure: &Failure,
        attempt: &Attempt,
        made: u8,
        now: Now,
    ) -> RetryDecision {
        let stopping = self.stopping;
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return RetryDecision::Stopping;
        };
        let Some(operation) = &slot.operation else {
            return RetryDecision::Stopping;
        };
        let question = Question {
            policy: slot.dependency.retry,
            failure,
            made,
            idempotent: slot.dependency.probe.is_idempotent(),
            remaining: operation.remaining(now.moment),
            retry_after: retry::retry_after(attempt, now.wall),
            suppressed_by_breaker: operation.admission != Admission::Full,
            budget_allows: host.budget.allows(),
            stopping,
        };
        let decision = retry::decide(&question, &mut self.random);
        match decision {
            RetryDecision::BudgetEmpty => host.count_suppressed(SuppressReason::Budget),
            RetryDecision::BreakerSuppressing => host.count_suppressed(SuppressReason::Breaker),
            _ => {}
        }
        decision
    }

    fn withdraw(&mut self, index: DependencyIndex) {
        if let Some((_, host)) = self.tables.pair_mut(index) {
            host.budget.withdraw();
        }
    }

    pub(super) fn backoff_ended(
        &mut self,
        index: DependencyIndex,
        id: OperationId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(operation) = self.operation_mut(index).filter(|operation| operation.id == id) else {
            return;
        };
        let Stage::BackingOff { next } = operation.stage else {
            return;
        };
        if operation.remaining(now.moment).is_zero() {
            // The process was suspended meanwhile, or much too late: the budget is gone.
            self.conclude_without_retry(index, RetryDecision::NoTimeLeft, now, out);
        } else {
            self.order_attempt(index, next, now, out);
        }
    }

    /// A retry that was decided upon is not made after all, for that reason.
    fn conclude_without_retry(
        &mut self,
        index: DependencyIndex,
        reason: RetryDecision,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(last) = self
            .operation_mut(index)
            .and_then(|operation| operation.attempts.last_mut())
        {
            last.decision = reason;
        }
        self.look_twice_or_conclude(index, now, out);
    }

    /// A stop does not wait for retries: operations between two attempts conclude with what they know.
    pub(super) fn abandon_backoffs(&mut self, now: Now, out: &mut Vec<Output>) {
        let waiting: Vec<u32> = self
            .tables
            .slots
            .iter()
            .filter(|(_, slot)| {
                slot.operation
                    .as_ref()
                    .is_some_and(|o| matches!(o.stage, Stage::BackingOff { .. }))
            })
            .map(|(place, _)| place)
            .collect();
        for place in waiting {
            self.conclude_without_retry(DependencyIndex(place), RetryDecision::Stopping, now, out);
        }
    }

    /// Ends every operation that is under way. One with an attempt behind it concludes with what that said; of another
    /// nothing is known.
    pub(super) fn abandon_operations(&mut self, now: Now, out: &mut Vec<Output>) {
        let slots = self.tables.slots.iter();
        let under_way: Vec<(u32, OperationId)> = slots
            .filter_map(|(place, slot)| Some((place, slot.operation.as_ref()?.id)))
            .collect();
        for (place, id) in under_way {
            let index = DependencyIndex(place);
            out.push(Output::Cancel(id));
            let last = self
                .operation_mut(index)
                .and_then(|operation| operation.attempts.last());
            let failure = last.map_or_else(|| Some(abandoned()), |record| record.failure.clone());
            self.conclude_and_release(index, failure, now, out);
        }
    }

    pub(super) fn last_failure(&mut self, index: DependencyIndex) -> Option<Failure> {
        self.operation_mut(index)?.attempts.last()?.failure.clone()
    }

    pub(super) fn conclude_and_release(
        &mut self,
        index: DependencyIndex,
        failure: Option<Failure>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let place = |slot: &Slot| (slot.host, slot.dependency.found);
        let Some(place) = self.tables.slot(index).map(place) else {
            return;
        };
        // What was looked into for a while may have fallen silent because we had.
        let excuse = failure.as_ref().and_then(|failure| self.excused(index, failure));
        self.conclude(index, excuse.or(failure), now, out);
        self.release(place, now, out);
    }

    /// The operation under way ends with a verdict: counted, kept, told.
    pub(super) fn conclude(
        &mut self,
        index: DependencyIndex,
        failure: Option<Failure>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let room = Room::among(self.tables.slots.len());
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        let Some(mut operation) = slot.operation.take() else {
            return;
        };
        count_deferred(&mut slot.tally, &operation);
        let verdict = verdict(&operation, failure.as_ref());
        let conclusive = verdict != Verdict::Inconclusive;
        let sample = sample(&operation, verdict);
        if verdict == Verdict::RetriedOk {
            let [_, _, hour] = host.windows.figures(now.moment);
            let masked = classify::masked(&operation.attempts, hour.masked_ratio());
            operation.findings.extend(masked);
        }
        if conclusive {
            slot.findings = operation.findings.clone();
        }
        for (kind, found) in std::mem::take(&mut operation.surveyed) {
            operation.findings.extend_from_slice(&found);
            slot.keep_survey(kind, found);
        }
        let record = Arc::new(record(*operation, &slot.dependency, verdict, failure));
        slot.tally.count_operation(verdict, record.elapsed);
        if !is_refused(&record) {
            // Where nothing was asked, the last verdict stands, and there is no evidence that could replace the outage's.
            slot.history.keep(&record, room);
            slot.conclusive = conclusive;
        }
        if conclusive {
            host.windows.record(sample, now.moment);
            conclude_breaker(slot, verdict, now, out);
            let after = slot.state_after(&record, now.wall);
            if after != slot.state {
                let from = std::mem::replace(&mut slot.state, after.clone());
                let record = Arc::clone(&record);
                out.push(Output::Observed(Event::StateChanged {
                    from,
                    to: after,
                    record,
                }));
            }
        }
        self.judge_operation(index, &record, now);
        out.push(Output::Observed(Event::OperationFinished(record)));
    }
}

/// We were interrupted before anything was known; it says nothing of the dependency.
fn abandoned() -> Failure {
    Failure {
        cause: Cause::Abandoned,
        phase: None,
        speed: Speed::Fast,
        confidence: Confidence::Observed,
        alternatives: Vec::new(),
        evidence: Evidence::new(),
        fix: Cause::Abandoned.doc().fix.into(),
        elapsed: Duration::ZERO,
        chain: Vec::new(),
    }
}

/// Counts the attempts that waited to be told from our own outages.
fn count_deferred(tally: &mut Tally, operation: &Operation) {
    if operation.uncounted == 0 {
        return;
    }
    for (place, record) in (0..).zip(&operation.attempts) {
        if operation.uncounted & 1_u32.wrapping_shl(place) != 0 {
            tally.count_attempt(&record.attempt, record.failure.as_ref());
        }
    }
}

/// Whether the breaker refused the question itself.
fn is_refused(record: &OperationRecord) -> bool {
    let cause = record.failure.as_ref().map(|failure| failure.cause);
    cause == Some(Cause::CircuitOpen)
}

fn conclude_breaker(slot: &mut Slot, verdict: Verdict, now: Now, out: &mut Vec<Output>) {
    let from: BreakerState = slot.breaker.state();
    slot.breaker
        .conclude(&slot.dependency.breaker, verdict == Verdict::Failed, now.moment);
    let to = slot.breaker.state();
    if from != to {
        let dependency = Arc::clone(&slot.dependency);
        out.push(Output::Observed(Event::BreakerChanged { dependency, from, to }));
    }
}

fn verdict(operation: &Operation, failure: Option<&Failure>) -> Verdict {
    match failure {
        Some(failure) if failure.cause.is_ours() => Verdict::Inconclusive,
        Some(_) => Verdict::Failed,
        None if theirs(operation) > 1 => Verdict::RetriedOk,
        None => Verdict::Ok,
    }
}

/// How many attempts say something of the dependency: a failure of ours (out of descriptors, say) is no failed attempt
/// of its, so that a retry after it masks nothing.
fn theirs(operation: &Operation) -> usize {
    let is_ours = |record: &AttemptRecord| {
        record
            .failure
            .as_ref()
            .is_some_and(|failure| failure.cause.is_ours())
    };
    operation
        .attempts
        .iter()
        .filter(|record| !is_ours(record))
        .count()
}

fn sample(operation: &Operation, verdict: Verdict) -> Sample {
    let attempts = theirs(operation);
    let (mut stale, mut harmful) = ([0; 3], 0);
    for record in &operation.attempts {
        let after_send = record
            .failure
            .as_ref()
            .and_then(|failure| retry::stale_kind(failure.cause));
        let before_send = record.attempt.stale_found.map(|found| found.kind);
        for kind in after_send.into_iter().chain(before_send) {
            stale[kind as usize] += 1;
        }
        let is_harmful = |kind: StaleKind| kind != StaleKind::Closed;
        harmful += u32::from(after_send.is_some() || before_send.is_some_and(is_harmful));
    }
    Sample {
        succeeded: matches!(verdict, Verdict::Ok | Verdict::RetriedOk),
        retried: attempts > 1,
        masked: verdict == Verdict::RetriedOk,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        stale,
        harmful,
    }
}

fn record(
    operation: Operation,
    dependency: &Arc<Dependency>,
    verdict: Verdict,
    failure: Option<Failure>,
) -> OperationRecord {
    OperationRecord {
        id: operation.id,
        dependency: Arc::clone(dependency),
        started: operation.started.wall,
        started_at: operation.started.moment,
        lag: operation.lag,
        elapsed: operation.answered.since(operation.started.moment),
        verdict,
        failure,
        attempts: operation.attempts,
        confirmations: operation.confirmations,
        findings: operation.findings,
    }
}
