//! Second looks: which ones would settle a failure, which ones are worth making while all is well (surveys), and what
//! their results make of what was known.
//!
//! Each look has a file: `wanted` says when it is asked for, and another function what its result means. The tables here
//! are the order in which they are made.

mod as_browser;
mod client_hello;
mod compare_names;
mod every_address;
mod fetch_issuer;
mod fresh_connection;
mod late_alert;
mod mss_clamp;
mod not_found;
mod other_scheme;
mod signs_of_life;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_network;
pub mod trial;

use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Hop, Role};
use crate::model::cause::FindingId;
use crate::model::dependency::{Confirm, Dependency, HttpProbe, Probe};
use crate::model::evidence::Value;
use crate::model::failure::{Failure, Finding};
use crate::model::order::ConfirmationKind;

use super::Context;

/// What a look is decided by.
pub struct Question<'a> {
    pub failure: &'a Failure,
    pub attempt: &'a Attempt,
    pub dependency: &'a Dependency,
    /// The user waits for everything that can be found out (`check --deep`).
    pub deep: bool,
    /// The dependency failed in the operation before as well.
    pub persists: bool,
}

impl<'a> Question<'a> {
    /// The hop in which it failed, when that was on the way to the target itself and not to a proxy.
    fn target_hop(&self) -> Option<&'a Hop> {
        self.attempt.decisive_hop().filter(|hop| hop.role == Role::Target)
    }

    /// The request that it makes or is carried by, whichever scheme it has.
    fn request(&self) -> Option<&'a HttpProbe> {
        self.dependency.probe.http()
    }

    fn http(&self) -> Option<&'a HttpProbe> {
        match &self.dependency.probe {
            Probe::Http(http) => Some(http),
            _ => None,
        }
    }
}

/// The looks that could settle a failure.
const LOOKS: &[fn(&Question<'_>) -> Option<ConfirmationKind>] = &[
    not_found::wanted,
    client_hello::wanted,
    other_scheme::wanted,
    late_alert::wanted,
    fetch_issuer::wanted,
    fresh_connection::wanted,
    signs_of_life::wanted,
    mss_clamp::wanted,
    compare_names::wanted,
    every_address::wanted,
    as_browser::wanted,
];

/// The looks that are worth making now and then although the dependency answers.
const SURVEYS: &[Survey] = &[
    Survey {
        wanted: compare_names::survey,
        suspects: compare_names::suspects,
        settles: &compare_names::SETTLES,
    },
    Survey {
        wanted: every_address::survey,
        suspects: every_address::suspects,
        settles: &every_address::SETTLES,
    },
];

/// One of them.
struct Survey {
    wanted: fn(&Attempt, &Dependency) -> Option<ConfirmationKind>,
    /// Whether the answer itself shows what the survey would find, so that it is asked for a second time at once and not
    /// only when its time has come.
    suspects: fn(&Attempt) -> bool,
    /// What it can find.
    settles: &'static [FindingId],
}

/// None when the user switched them off, and none that would ask for something that a user may not want asked twice.
pub fn wanted(question: &Question<'_>) -> Vec<ConfirmationKind> {
    if question.dependency.confirm == Confirm::Off {
        return Vec::new();
    }
    LOOKS.iter().filter_map(|wanted| wanted(question)).collect()
}

/// As [`wanted`], after an attempt that answered. Those that are not `due` are made only on a suspicion
/// that is news.
pub fn surveys(
    attempt: &Attempt,
    dependency: &Dependency,
    due: bool,
    is_news: &dyn Fn(FindingId) -> bool,
) -> Vec<ConfirmationKind> {
    if dependency.confirm == Confirm::Off {
        return Vec::new();
    }
    SURVEYS
        .iter()
        .filter(|survey| {
            let news = || survey.settles.iter().all(|id| is_news(*id));
            due || ((survey.suspects)(attempt) && news())
        })
        .filter_map(|survey| (survey.wanted)(attempt, dependency))
        .collect()
}

/// Makes of a look's facts what the functions below rest upon: verdicts over the addresses that were asked.
pub fn judge(confirmation: &mut Confirmation, context: &Context<'_>) {
    trial::judge(confirmation, context);
}

/// The findings of an attempt that a look settles, one way or the other: what it did not find again does not hold.
pub fn settles(confirmation: &Confirmation) -> &'static [FindingId] {
    match &confirmation.result {
        ConfirmationResult::EveryAddress(asked) if every_address::is_conclusive(asked) => {
            &every_address::SETTLES
        }
        ConfirmationResult::NamesCompared(_) => &compare_names::SETTLES,
        _ => &[],
    }
}

/// Whether the sources of a name contradict each other, where a look compared them.
pub fn answers_differ(confirmation: &Confirmation) -> Option<bool> {
    match &confirmation.result {
        ConfirmationResult::NamesCompared(compared) => Some(super::mismatch::judge(compared).is_some()),
        _ => None,
    }
}

/// The failure with what a second look adds to it, proves or disproves.
pub fn confirmed(mut failure: Failure, kind: &ConfirmationKind, confirmation: &Confirmation) -> Failure {
    for (key, value) in confirmation.evidence.iter() {
        failure.evidence.set(key, value.clone());
    }
    match &confirmation.result {
        ConfirmationResult::NotFoundVariants(variants) => not_found::found(&mut failure, variants),
        ConfirmationResult::ClientHello { spoke_tls } => client_hello::answered(&mut failure, *spoke_tls),
        ConfirmationResult::FreshConnection { worked } => fresh_connection::made(&mut failure, *worked),
        ConfirmationResult::SignsOfLife(found) => signs_of_life::looked(&mut failure, found),
        ConfirmationResult::MssClamp(trials) => mss_clamp::tried(&mut failure, trials),
        ConfirmationResult::OtherScheme { url, status } => other_scheme::answered(&mut failure, url, *status),
        ConfirmationResult::LateAlert { alert, ended } => late_alert::heard(&mut failure, *alert, *ended),
        ConfirmationResult::IssuerFetched { url, completes_with } => {
            fetch_issuer::fetched(&mut failure, url, completes_with);
        }
        ConfirmationResult::Varied(tried) => {
            if let ConfirmationKind::AsBrowser { refused } = kind {
                as_browser::varied(&mut failure, *refused, tried);
            }
        }
        ConfirmationResult::EveryAddress(asked) => every_address::asked(&mut failure, asked),
        ConfirmationResult::NamesCompared(compared) => compare_names::compared(&mut failure, compared),
        ConfirmationResult::NotDone(why) => {
            let not_done = vec![("look", kind.id().into()), ("why", (&**why).into())];
            failure.evidence.set("second_look_not_done", Value::Map(not_done));
        }
    }
    failure
}

/// What a survey found worth knowing about a dependency that answers.
pub fn surveyed(
    _attempt: &Attempt,
    _kind: &ConfirmationKind,
    confirmation: &Confirmation,
    context: &Context<'_>,
) -> Vec<Finding> {
    match &confirmation.result {
        ConfirmationResult::EveryAddress(asked) => every_address::surveyed(asked).into_iter().collect(),
        ConfirmationResult::NamesCompared(compared) => compare_names::surveyed(compared, context.dependency),
        // These are made after failures only.
        ConfirmationResult::NotFoundVariants(_)
        | ConfirmationResult::ClientHello { .. }
        | ConfirmationResult::FreshConnection { .. }
        | ConfirmationResult::SignsOfLife(_)
        | ConfirmationResult::MssClamp(_)
        | ConfirmationResult::OtherScheme { .. }
        | ConfirmationResult::LateAlert { .. }
        | ConfirmationResult::Varied(_)
        | ConfirmationResult::IssuerFetched { .. }
        | ConfirmationResult::NotDone(_) => Vec::new(),
    }
}

/// A stale connection is proved when the same request works on a fresh one.
pub fn next_attempt(failure: &mut Failure, answered: bool) {
    fresh_connection::next_attempt(failure, answered);
}
