//! The figures of one dependency: counters that never go back, the latency of its phases, what was seen last.

use std::time::Duration;

use crate::model::attempt::{Attempt, StaleKind};
use crate::model::failure::{Failure, Verdict};
use crate::model::histogram::Histogram;
use crate::model::page::{FAILURE_KEYS_MAX, FailureKey, PhaseFigures};
use crate::model::time::Wall;

use super::retry;

/// Whether a stale connection showed itself before or after something was sent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleSeen {
    BeforeSend,
    AfterSend,
}

impl StaleSeen {
    const fn index(self) -> usize {
        match self {
            StaleSeen::BeforeSend => 0,
            StaleSeen::AfterSend => 1,
        }
    }
}

/// Weight of the newest value in a phase's moving average (RFC 6298's alpha).
const AVERAGE_WEIGHT: f64 = 0.125;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub operations: [u64; 4],
    pub attempts_ok: u64,
    pub attempts_failed: Vec<(FailureKey, u64)>,
    pub duration: Histogram,
    pub phases: [PhaseFigures; 8],
    pub keepalive_resets: [[u64; 2]; 3],
    pub last_status: Option<u16>,
    pub last_rtt: Option<Duration>,
    pub not_after: Option<Wall>,
    pub dns_answers_differ: Option<bool>,
}

impl Tally {
    pub fn count_attempt(&mut self, attempt: &Attempt, failure: Option<&Failure>) {
        for (phase, elapsed) in attempt.phases().iter() {
            let figures = &mut self.phases[phase.index()];
            let seconds = elapsed.as_secs_f64();
            figures.average = if figures.count == 0 {
                seconds
            } else {
                figures.average + AVERAGE_WEIGHT * (seconds - figures.average)
            };
            figures.count += 1;
            figures.sum += seconds;
        }
        match failure {
            None => self.attempts_ok += 1,
            // A failure of ours is in the operations as inconclusive; it says nothing of the dependency's attempts.
            Some(failure) if failure.cause.is_ours() => {}
            Some(failure) => {
                self.count_failed(failure);
                if let Some(kind) = retry::stale_kind(failure.cause) {
                    self.count_stale(kind, StaleSeen::AfterSend);
                }
            }
        }
        self.remember_last(attempt);
    }

    fn count_failed(&mut self, failure: &Failure) {
        let key = FailureKey::Named {
            cause: failure.cause,
            phase: failure.phase,
            speed: failure.speed,
        };
        let known = |wanted: FailureKey| move |(key, _): &&mut (FailureKey, u64)| *key == wanted;
        if let Some((_, count)) = self.attempts_failed.iter_mut().find(known(key)) {
            *count += 1;
        } else if self.attempts_failed.len() < FAILURE_KEYS_MAX {
            self.attempts_failed.push((key, 1));
        } else if let Some((_, count)) = self.attempts_failed.iter_mut().find(known(FailureKey::Other)) {
            *count += 1;
        } else {
            self.attempts_failed.push((FailureKey::Other, 1));
        }
    }

    fn remember_last(&mut self, attempt: &Attempt) {
        if let Some(status) = attempt.status() {
            self.last_status = Some(status);
        }
        // Zero stands where no handshake came so far as to measure one.
        if let Some(tcp) = attempt
            .hops
            .iter()
            .rev()
            .find_map(|hop| hop.tcp)
            .filter(|tcp| !tcp.rtt.is_zero())
        {
            self.last_rtt = Some(tcp.rtt);
        }
        let mut chains = attempt
            .hops
            .iter()
            .rev()
            .filter_map(|hop| hop.tls.as_ref())
            .map(|tls| &tls.chain);
        if let Some(chain) = chains.find(|chain| !chain.is_empty()) {
            self.not_after = chain.iter().map(|certificate| certificate.not_after).min();
        }
    }

    pub fn count_stale(&mut self, kind: StaleKind, seen: StaleSeen) {
        self.keepalive_resets[kind as usize][seen.index()] += 1;
    }

    pub fn count_operation(&mut self, verdict: Verdict, elapsed: Duration) {
        self.operations[verdict as usize] += 1;
        if verdict != Verdict::Inconclusive {
            self.duration.record(elapsed);
        }
    }
}
