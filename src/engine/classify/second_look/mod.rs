//! Second looks: which ones would settle a failure, which ones are worth making while all is well (surveys), and what
//! their results make of what was known.
//!
//! Each look has a file: `wanted` says when it is asked for, and another function what its result means. The tables here
//! are the order in which they are made.

mod client_hello;
mod fresh_connection;
mod not_found;
#[cfg(test)]
mod tests;

use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Hop, Role};
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
const LOOKS: &[fn(&Question<'_>) -> Option<ConfirmationKind>] =
    &[not_found::wanted, client_hello::wanted, fresh_connection::wanted];

/// The looks that are worth making now and then although the dependency answers.
const SURVEYS: &[fn(&Attempt, &Dependency) -> Option<ConfirmationKind>] = &[];

/// None when the user switched them off, and none that would ask for something that a user may not want asked twice.
pub fn wanted(question: &Question<'_>) -> Vec<ConfirmationKind> {
    if question.dependency.confirm == Confirm::Off {
        return Vec::new();
    }
    LOOKS.iter().filter_map(|wanted| wanted(question)).collect()
}

/// As [`wanted`], after an attempt that answered.
pub fn surveys(attempt: &Attempt, dependency: &Dependency) -> Vec<ConfirmationKind> {
    if dependency.confirm == Confirm::Off {
        return Vec::new();
    }
    SURVEYS
        .iter()
        .filter_map(|wanted| wanted(attempt, dependency))
        .collect()
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
    _context: &Context<'_>,
) -> Vec<Finding> {
    match &confirmation.result {
        // These are made after failures only.
        ConfirmationResult::NotFoundVariants(_)
        | ConfirmationResult::ClientHello { .. }
        | ConfirmationResult::FreshConnection { .. }
        | ConfirmationResult::NotDone(_) => Vec::new(),
    }
}

/// A stale connection is proved when the same request works on a fresh one.
pub fn next_attempt(failure: &mut Failure, answered: bool) {
    fresh_connection::next_attempt(failure, answered);
}
