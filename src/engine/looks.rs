//! Looking twice: after a failure, to settle its cause; now and then after an answer, for what one attempt does not show.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::{Confirmation, ConfirmationResult};
use crate::model::cause::Cause;
use crate::model::dependency::{Confirm, Dependency, DependencyIndex};
use crate::model::failure::{ConfirmationRecord, Failure, State};
use crate::model::order::{ConfirmationKind, ConfirmationOrder, OperationId};
use crate::model::time::{Now, Wall};

use super::breaker::Admission;
use super::classify::{self, Context};
use super::names::NameHistory;
use super::operation::Stage;
use super::schedule;
use super::slot::Slot;
use super::{Engine, Output};

/// How often a dependency that answers is surveyed. What a survey finds (a broken family, an answer that differs) lasts for
/// hours or days, and asking every address of everything costs the dependencies more than asking one.
pub(super) const SURVEY_EVERY: Duration = Duration::from_secs(600);

/// How far beyond the operation's total budget second looks may run.
const LOOK_ALLOWANCE: Duration = Duration::from_secs(4);

/// The allowance as far as it does not reach into the next round.
fn allowance(dependency: &Dependency, one_round: bool) -> Duration {
    if one_round {
        LOOK_ALLOWANCE
    } else {
        let until_next = dependency.interval.saturating_sub(dependency.timeouts.total);
        LOOK_ALLOWANCE.min(until_next)
    }
}

impl Engine {
    pub(super) fn look_twice_or_conclude(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let Some(failure) = self.last_failure(index) else {
            return;
        };
        if !self.waits_for_others(index, &failure, now) && !self.waits_for_sight(index, &failure, now, out) {
            self.note_anchors(index);
            self.look_twice(index, now, out);
        }
    }

    /// Makes the second looks that would settle the last failure, or concludes.
    pub(super) fn look_twice(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let Some(failure) = self.last_failure(index) else {
            return;
        };
        let looks = self.second_looks(index, &failure, now);
        self.next_look(index, Some(failure), looks, now, out);
    }

    /// After an answer: the looks that are worth making now and then, and the conclusion.
    pub(super) fn survey_or_conclude(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let looks = self.surveys(index, now);
        self.next_look(index, None, looks, now, out);
    }

    /// The second looks that would settle the failure, as far as manners, the breaker and the time left allow them.
    fn second_looks(
        &mut self,
        index: DependencyIndex,
        failure: &Failure,
        now: Now,
    ) -> VecDeque<ConfirmationKind> {
        let per_minute = self.limits.confirmations_per_host;
        let (stopping, one_round) = (self.stopping, self.one_round);
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return VecDeque::new();
        };
        let Some(operation) = &slot.operation else {
            return VecDeque::new();
        };
        let allowance = allowance(&slot.dependency, one_round);
        let no_time = operation
            .look_budget(&slot.dependency.timeouts, allowance, now.moment)
            .is_zero();
        let scarce = self.headroom.scarce(now.moment).is_some();
        let unwanted = stopping || scarce || no_time || operation.admission != Admission::Full;
        let Some(last) = operation.attempts.last().filter(|_| !unwanted) else {
            return VecDeque::new();
        };
        let question = classify::Question {
            failure,
            attempt: &last.attempt,
            dependency: &slot.dependency,
            deep: is_deep(&slot.dependency, one_round),
            persists: matches!(slot.state, State::Failing { .. }),
        };
        classify::second_looks(&question)
            .into_iter()
            .filter(|_| one_round || host.allows_look(per_minute, now.moment))
            .collect()
    }

    /// The surveys that are due.
    fn surveys(&mut self, index: DependencyIndex, now: Now) -> VecDeque<ConfirmationKind> {
        let per_minute = self.limits.confirmations_per_host;
        let (stopping, one_round) = (self.stopping, self.one_round);
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return VecDeque::new();
        };
        if stopping || self.headroom.scarce(now.moment).is_some() || slot.dependency.confirm == Confirm::Off {
            return VecDeque::new();
        }
        let due = match one_round {
            true => is_deep(&slot.dependency, one_round),
            false => is_due(slot, now),
        };
        let answered = slot
            .operation
            .as_ref()
            .and_then(|operation| operation.attempts.last());
        let Some(last) = answered else {
            return VecDeque::new();
        };
        let is_news = |id| one_round || !slot.has_finding(id);
        classify::surveys(&last.attempt, &slot.dependency, due, &is_news)
            .into_iter()
            .filter(|_| one_round || host.allows_look(per_minute, now.moment))
            .collect()
    }

    /// Makes the next look, or concludes when there is none, or no time for it.
    fn next_look(
        &mut self,
        index: DependencyIndex,
        failure: Option<Failure>,
        mut looks: VecDeque<ConfirmationKind>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let one_round = self.one_round;
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        let Some(operation) = slot.operation.as_mut() else {
            return;
        };
        let allowance = allowance(&slot.dependency, one_round);
        let budget = operation.look_budget(&slot.dependency.timeouts, allowance, now.moment);
        let next = if budget.is_zero() { None } else { looks.pop_front() };
        let Some(kind) = next else {
            self.conclude_and_release(index, failure, now, out);
            return;
        };
        operation.stage = Stage::Confirming {
            failure: failure.map(Box::new),
            current: kind.clone(),
            rest: looks,
        };
        out.push(Output::StartConfirmation(Box::new(ConfirmationOrder {
            index,
            dependency: Arc::clone(&slot.dependency),
            operation: operation.id,
            kind,
            budget,
        })));
    }

    pub(super) fn confirmation_finished(
        &mut self,
        index: DependencyIndex,
        id: OperationId,
        mut confirmation: Confirmation,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let stopping = self.stopping;
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        let Some(operation) = slot.operation.as_mut().filter(|operation| operation.id == id) else {
            return;
        };
        let placeholder = Stage::BackingOff { next: 0 };
        match std::mem::replace(&mut operation.stage, placeholder) {
            Stage::Confirming {
                failure,
                current,
                rest,
            } => {
                let context = Context {
                    dependency: &slot.dependency,
                    known_hosts: &|_| None,
                    now: now.wall,
                };
                classify::judge_look(&mut confirmation, &context);
                let learned = compare_with_before(&mut confirmation, &mut slot.names, now.wall);
                if let Some(differ) = classify::answers_differ(&confirmation) {
                    slot.tally.dns_answers_differ = Some(differ);
                }
                let before = failure.as_deref().map(possible).unwrap_or_default();
                let failure = match failure {
                    Some(failure) => Some(classify::confirmed(*failure, &current, &confirmation)),
                    None => {
                        let settled = classify::settles(&confirmation);
                        operation
                            .findings
                            .retain(|finding| !settled.contains(&finding.id));
                        if let Some(last) = operation.attempts.last()
                            && !matches!(confirmation.result, ConfirmationResult::NotDone(_))
                        {
                            let found = classify::surveyed(&last.attempt, &current, &confirmation, &context);
                            operation.surveyed.push((current.id(), found));
                        }
                        None
                    }
                };
                let mut after = failure.as_ref().map(possible).unwrap_or_default();
                // What is explained by something behind it is not ruled out.
                after.extend(
                    failure
                        .as_ref()
                        .filter(|failure| explains_another(failure))
                        .and(before.first().copied()),
                );
                operation.confirmations.push(ConfirmationRecord {
                    kind: current,
                    confirmation,
                    ruled_out: before
                        .into_iter()
                        .filter(|cause| !after.contains(cause))
                        .collect(),
                });
                let rest = if stopping { VecDeque::new() } else { rest };
                if learned && !self.one_round {
                    self.keep_names(index, out);
                }
                self.next_look(index, failure, rest, now, out);
            }
            other @ (Stage::Attempting { .. }
            | Stage::BackingOff { .. }
            | Stage::AwaitingSight { .. }
            | Stage::AwaitingOthers) => {
                operation.stage = other;
            }
        }
    }
}

/// Gives each source of a name what it gave before, and remembers what it gives now. Says whether that is worth keeping.
fn compare_with_before(
    confirmation: &mut Confirmation,
    history: &mut Option<Box<NameHistory>>,
    now: Wall,
) -> bool {
    let ConfirmationResult::NamesCompared(compared) = &mut confirmation.result else {
        return false;
    };
    let history = history.get_or_insert_default();
    for source in &mut compared.sources {
        source.before = history.of(source.source).to_vec();
    }
    history.learn(&compared.sources, now)
}

/// Whether the cause is one that lies behind the cause at hand.
fn explains_another(failure: &Failure) -> bool {
    failure.evidence.get("inner_cause").is_some()
}

/// What a failure may be, as far as is known: its cause, and what else is not ruled out.
fn possible(failure: &Failure) -> Vec<Cause> {
    let cause = std::iter::once(failure.cause);
    cause.chain(failure.alternatives.iter().copied()).collect()
}

/// On the command line, where somebody waits for it, everything that may be found out is found out at once.
fn is_deep(dependency: &Dependency, one_round: bool) -> bool {
    one_round && dependency.confirm == Confirm::Full
}

/// Whether the time of a survey has come; sets the next one when so. Like the schedule of the probes, it has its place by
/// the dependency's name, so that neither a start nor a restart surveys everything at once.
fn is_due(slot: &mut Slot, now: Now) -> bool {
    let has_come = slot.survey_due.is_some_and(|at| at <= now.moment);
    if has_come || slot.survey_due.is_none() {
        slot.survey_due = Some(schedule::first_due(&slot.dependency.name, SURVEY_EVERY, now));
    }
    has_come
}
