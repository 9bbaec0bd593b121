//! From being due to being under way: lag, skips, and the places under the concurrency caps.

use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::Budget;
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::DependencyIndex;
use crate::model::event::{Event, SkipReason};
use crate::model::evidence::Evidence;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::{AttemptOrder, Connection, OperationId};
use crate::model::time::{Moment, Now};

use super::alert::ourselves;
use super::breaker::Admission;
use super::host::Host;
use super::operation::{Operation, Stage};
use super::schedule::{self, Alarm};
use super::table::Tables;
use super::{Engine, Output};

impl Engine {
    /// The alarm of a dependency's schedule came.
    pub(super) fn dependency_due(
        &mut self,
        index: DependencyIndex,
        generation: u32,
        due: Moment,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let one_round = self.one_round;
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        if slot.generation != generation || self.stopping {
            return;
        }
        let interval = slot.dependency.interval;
        let mut missed = 0;
        slot.due = due;
        if !one_round {
            let regular = slot.regular.take();
            let next = match regular.filter(|regular| *regular > now.moment) {
                Some(regular) => regular,
                None => {
                    let (next, late) = schedule::after(regular.unwrap_or(due), interval, now.moment);
                    // The newest due moment is the one that is kept; those missed before it are skipped, never made up.
                    let newest = interval.saturating_mul(u32::try_from(late).unwrap_or(u32::MAX));
                    slot.due = regular.unwrap_or(due) + newest;
                    missed = late + u64::from(regular.is_some());
                    next
                }
            };
            self.alarms.set(next, Alarm::Due { index, generation });
        }
        let still_running = slot.operation.is_some();
        let still_waiting = slot.waiting_since.is_some();
        // However many rounds a machine slept through, that is one time that it was late.
        if missed > 0 || (still_waiting && !still_running) {
            self.alerts.note_due(true, now);
        }
        self.skip(index, missed, SkipReason::Late, out);
        if still_running {
            self.skip(index, 1, SkipReason::StillRunning, out);
        } else if still_waiting {
            self.skip(index, 1, SkipReason::Saturated, out);
        } else {
            self.start_or_wait(index, now, out);
        }
    }

    fn skip(&mut self, index: DependencyIndex, count: u64, reason: SkipReason, out: &mut Vec<Output>) {
        if count == 0 {
            return;
        }
        self.skipped[reason.index()] += count;
        if let Some(slot) = self.tables.slot(index) {
            let dependency = Arc::clone(&slot.dependency);
            out.push(Output::Observed(Event::ProbesSkipped {
                dependency,
                count,
                reason,
            }));
        }
    }

    fn start_or_wait(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let cap = self.headroom.cap(self.limits.concurrency);
        let per_host = self.limits.concurrency_per_host;
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        let found = slot.dependency.found;
        if host.places.room(per_host, found) == 0 {
            slot.waiting_since = Some(now.moment);
            host.waiting.of(found).push_back(index);
            self.waiting_count += 1;
        } else if self.places.room(cap, found) == 0 {
            slot.waiting_since = Some(now.moment);
            self.waiting.of(found).push_back(index);
            self.waiting_count += 1;
        } else {
            self.start(index, now, out);
        }
    }

    fn start(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let one_round = self.one_round;
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        let id = OperationId(self.next_operation);
        self.next_operation += 1;
        let lag = now.moment.since(slot.due);
        let before = slot.breaker.state();
        let admission = slot.breaker.admit(&slot.dependency.breaker, now.moment);
        let after = slot.breaker.state();
        let (timeouts, interval) = (slot.dependency.timeouts, slot.dependency.interval);
        slot.operation = Some(Box::new(Operation::new(id, now, lag, admission, &timeouts)));
        slot.waiting_since = None;
        if !std::mem::replace(&mut slot.begun, true) {
            self.not_begun -= 1;
        }
        if !one_round {
            self.lag.record(lag);
            self.alerts.note_due(ourselves::is_late(lag, interval), now);
        }
        if before != after {
            let dependency = Arc::clone(&slot.dependency);
            out.push(Output::Observed(Event::BreakerChanged {
                dependency,
                from: before,
                to: after,
            }));
        }
        if admission == Admission::Refused {
            // It asks nobody, so it takes no place under a cap and adds nothing to the retry budget.
            self.conclude(index, Some(circuit_open()), now, out);
            return;
        }
        self.places.take(slot.dependency.found);
        host.places.take(slot.dependency.found);
        host.budget.deposit();
        self.order_attempt(index, 1, now, out);
    }

    /// Orders attempt `number` of the operation under way.
    pub(super) fn order_attempt(
        &mut self,
        index: DependencyIndex,
        number: u8,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        let Some(operation) = slot.operation.as_mut() else {
            return;
        };
        operation.stage = Stage::Attempting {
            number,
            since: now.moment,
        };
        let (budget, budget_of): (Duration, Budget) =
            operation.attempt_budget(&slot.dependency.timeouts, now.moment);
        let reuse = number == 1 && slot.dependency.keepalive.reuse;
        // Only where a fresh connection would be asked at once: otherwise what is unheard may still be heard in time.
        let leave_unheard = reuse
            && slot.dependency.retry.attempts > number
            && slot.dependency.probe.is_idempotent()
            && operation.admission == Admission::Full
            && host.budget.allows();
        out.push(Output::StartAttempt(Box::new(AttemptOrder {
            index,
            dependency: Arc::clone(&slot.dependency),
            operation: operation.id,
            number,
            connection: if reuse {
                Connection::Reuse
            } else {
                Connection::Fresh
            },
            leave_unheard,
            budget,
            budget_of,
        })));
    }

    /// An operation has ended: its places are free for those that wait, its own host's first. It is known by its host, and
    /// by whether its dependency was found.
    pub(super) fn release(&mut self, (host_index, found): (u32, bool), now: Now, out: &mut Vec<Output>) {
        self.places.free(found);
        if let Some(host) = self.tables.hosts.get_mut(host_index) {
            host.places.free(found);
        }
        self.start_waiting(host_index, now, out);
    }

    /// Starts what waits and now finds a place. Those whose host has room again wait with all others, behind those that
    /// came before them: a host whose queue never empties would otherwise keep every place that it frees.
    pub(super) fn start_waiting(&mut self, host_index: u32, now: Now, out: &mut Vec<Output>) {
        let per_host = self.limits.concurrency_per_host;
        if let Some(host) = self.tables.hosts.get_mut(host_index) {
            for found in [false, true] {
                let room = host.places.room(per_host, found) as usize;
                let queue = host.waiting.of(found);
                let freed = queue.len().min(room);
                self.waiting.of(found).extend(queue.drain(..freed));
            }
        }
        loop {
            let cap = self.headroom.cap(self.limits.concurrency);
            let places = &self.places;
            let Some((index, found)) = self.waiting.pop(|found| places.room(cap, found)) else {
                break;
            };
            let Some((slot, host)) = self.tables.pair_mut(index) else {
                continue;
            };
            if host.places.room(per_host, found) > 0 {
                let (place, before) = (slot.host, host.places.in_flight);
                self.waiting_count -= 1;
                self.start(index, now, out);
                self.pass_on_unused_place(place, before);
            } else {
                self.wait_for_host(index, found);
            }
        }
    }

    /// What the breaker refuses takes no place: the next one that waits for the host may have it.
    fn pass_on_unused_place(&mut self, host_index: u32, in_flight_before: u32) {
        let per_host = self.limits.concurrency_per_host;
        let host = self.tables.hosts.get_mut(host_index);
        if let Some(Host { places, waiting, .. }) =
            host.filter(|host| host.places.in_flight == in_flight_before)
            && let Some((index, found)) = waiting.pop(|found| places.room(per_host, found))
        {
            self.waiting.of(found).push_back(index);
        }
    }

    /// Its host has filled up while it waited for a place among all: it goes on waiting there, behind those only that
    /// have waited longer.
    fn wait_for_host(&mut self, index: DependencyIndex, found: bool) {
        let Tables { slots, hosts, .. } = &mut self.tables;
        let since = |index: DependencyIndex| slots.get(index.0).and_then(|slot| slot.waiting_since);
        if let Some(slot) = slots.get(index.0)
            && let Some(host) = hosts.get_mut(slot.host)
        {
            let waiting = host.waiting.of(found);
            let place = waiting.partition_point(|other| since(*other) <= since(index));
            waiting.insert(place, index);
        }
    }

    /// Nothing that waits will start any more.
    pub(super) fn leave_queues(&mut self) {
        self.waiting.clear();
        self.waiting_count = 0;
        let places: Vec<u32> = self.tables.slots.iter().map(|(place, _)| place).collect();
        for place in places {
            if let Some(slot) = self.tables.slots.get_mut(place) {
                slot.waiting_since = None;
            }
        }
        let hosts: Vec<u32> = self.tables.hosts.iter().map(|(place, _)| place).collect();
        for place in hosts {
            if let Some(host) = self.tables.hosts.get_mut(place) {
                host.waiting.clear();
            }
        }
    }
}

/// We chose not to ask; it says nothing of the dependency.
fn circuit_open() -> Failure {
    Failure {
        cause: Cause::CircuitOpen,
        phase: None,
        speed: Speed::Fast,
        confidence: Confidence::Observed,
        alternatives: Vec::new(),
        evidence: Evidence::new(),
        fix: Cause::CircuitOpen.doc().fix.into(),
        elapsed: Duration::ZERO,
        chain: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
