//! Addresses that were asked one by one: what is to be said of each.

use std::net::SocketAddr;

use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Trouble};
use crate::model::cause::{Cause, Fault};
use crate::model::evidence::Value;
use crate::model::looks::{AddressTrial, Trial};
use crate::model::phase::Phase;

use crate::engine::classify::{Context, classify};

/// Gives each address its verdict, and lets go of the facts behind it: a look at a dozen addresses would otherwise weigh
/// more than all the history of its dependency.
pub fn judge(confirmation: &mut Confirmation, context: &Context<'_>) {
    let trials = match &mut confirmation.result {
        ConfirmationResult::EveryAddress(asked) => &mut asked.trials,
        ConfirmationResult::NamesCompared(compared) => &mut compared.trials,
        _ => return,
    };
    for trial in trials {
        trial.verdict = verdict(trial, context);
        trial.attempts = Vec::new();
    }
}

fn verdict(trial: &AddressTrial, context: &Context<'_>) -> Trial {
    if trial.asked > 0 && trial.answered == trial.asked {
        return Trial::Works;
    }
    let settled = |attempt: &Attempt| is_about(attempt, trial.address) && !ran_out_of_time(attempt);
    if trial.answered > 0 || !trial.attempts.iter().all(settled) {
        return Trial::Unsettled;
    }
    let last = trial.attempts.last();
    match last.and_then(|attempt| classify(attempt, context)) {
        Some(failure) => Trial::Fails(failure.cause),
        None => Trial::Unsettled,
    }
}

/// Whether the attempt stopped at that address, and not at one that a redirect led to.
fn is_about(attempt: &Attempt, address: SocketAddr) -> bool {
    attempt.decisive_hop().and_then(|hop| hop.address) == Some(address)
}

/// Whether the look's own time ended it, which is shorter than what the dependency is given. Silence while connecting is
/// the exception: an address that works answers a SYN within a small part of it.
fn ran_out_of_time(attempt: &Attempt) -> bool {
    attempt.stop().is_some_and(|stop| {
        let by_phase = matches!(
            stop.trouble,
            Trouble::TimedOut(crate::model::attempt::Budget::Phase)
        );
        matches!(stop.trouble, Trouble::TimedOut(_)) && !by_phase && stop.phase != Some(Phase::Connect)
    })
}

/// A failure that says nothing of the address: our own limits, and a family for which this host has no route.
pub fn is_ours(cause: Cause) -> bool {
    cause.is_ours() || cause.fault() == Fault::Local
}

/// The addresses that work, and those that failed each time by no doing of ours. An address that was asked only once has
/// failed only once.
pub fn sides(trials: &[AddressTrial]) -> (Vec<&AddressTrial>, Vec<(&AddressTrial, Cause)>) {
    let works = trials.iter().filter(|trial| trial.verdict == Trial::Works);
    let fails = trials.iter().filter_map(|trial| match trial.verdict {
        Trial::Fails(cause) if !is_ours(cause) && trial.asked > 1 => Some((trial, cause)),
        _ => None,
    });
    (works.collect(), fails.collect())
}

/// All of them, as evidence.
pub fn evidence(trials: &[AddressTrial]) -> Value {
    Value::List(trials.iter().map(entry).collect())
}

pub fn entry(trial: &AddressTrial) -> Value {
    let mut map: Vec<(&'static str, Value)> = vec![("address", trial.address.into())];
    match trial.verdict {
        Trial::Works => map.push(("works", true.into())),
        Trial::Fails(cause) => {
            map.push(("works", false.into()));
            map.push(("cause", cause.id().into()));
        }
        Trial::Unsettled => {}
    }
    map.push(("asked", trial.asked.into()));
    map.push(("answered", trial.answered.into()));
    if let Some(status) = trial.status {
        map.push(("status", status.into()));
    }
    map.push(("elapsed", trial.elapsed.into()));
    if let Some(certificate) = &trial.certificate {
        map.push(("certificate_sha256", (&**certificate).into()));
    }
    Value::Map(map)
}
