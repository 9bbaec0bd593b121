//! A reused connection failed: does a fresh one work?

use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::super::stale;
use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    question.request()?;
    let address = question.target_hop()?.address?;
    let may_repeat = question.dependency.probe.is_idempotent();
    (stale::is_stale(question.failure.cause) && may_repeat)
        .then_some(ConfirmationKind::FreshConnection(address))
}

/// A stale connection is proved when the same request works on a fresh one.
pub fn next_attempt(failure: &mut Failure, answered: bool) {
    if answered && stale::is_stale(failure.cause) {
        made(failure, true);
    }
}

pub fn made(failure: &mut Failure, worked: bool) {
    failure.evidence.set("fresh_connection_works", worked);
    if !stale::is_stale(failure.cause) {
        return;
    }
    if worked {
        failure.confidence = Confidence::Confirmed;
        failure.alternatives.clear();
        return;
    }
    // A fresh connection fails as well, so that the old one's age explains nothing.
    let was = failure.cause;
    failure.cause = stale::without_staleness(was);
    failure.confidence = Confidence::Likely;
    failure.alternatives = vec![was];
    failure.fix = failure.cause.doc().fix.into();
}
