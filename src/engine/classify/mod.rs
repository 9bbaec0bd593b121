//! From the facts of an attempt to its cause.
//!
//! Pure: the same facts give the same cause. Nothing here matches on the text of an error; what is foreign text in the
//! facts is only carried into the evidence. `precedence` has the order in which one fact explains another; the files
//! beside it have one topic each.

mod address;
mod caused_by;
mod deadline;
mod dialogue;
mod errno;
mod evidence;
mod expect;
mod findings;
mod fix;
mod grpc;
mod http;
mod icmp;
mod masked;
mod mismatch;
mod names;
mod ours;
mod path_mtu;
mod precedence;
mod proxy;
mod recognise;
mod refusal;
mod resolve;
mod scene;
mod second_look;
mod stale;
mod tls;
mod transport;
mod websocket;

#[cfg(test)]
mod tests;

use crate::model::attempt::{Attempt, Confirmation};
use crate::model::cause::{Cause, FindingId};
use crate::model::dependency::Dependency;
use crate::model::failure::{Failure, Finding};
use crate::model::order::ConfirmationKind;
use crate::model::phase::Phase;
use crate::model::time::Wall;

pub use masked::finding as masked;
use scene::Scene;
pub use second_look::Question;

/// What an attempt is judged by, besides its own facts.
pub struct Context<'a> {
    pub dependency: &'a Dependency,
    /// A configured host whose name is nearly the given one, for a name that does not exist.
    pub known_hosts: &'a dyn Fn(&str) -> Option<String>,
    pub now: Wall,
}

/// The cause of an attempt that stopped, with its evidence and what to do. `None` when it answered.
pub fn classify(attempt: &Attempt, context: &Context<'_>) -> Option<Failure> {
    let scene = Scene {
        attempt,
        stop: attempt.stop()?,
        hop: attempt.decisive_hop(),
        context,
    };
    let (scene, mut found) = address::explaining(scene);
    evidence::common(&mut found, &scene);
    proxy::inherited(&mut found, &scene);
    proxy::unused(&mut found, &scene);
    let fix = fix::of(&found, &scene);
    Some(Failure {
        cause: found.cause,
        phase: phase_of(found.cause, scene.phase()),
        speed: scene.speed(&found),
        confidence: found.confidence,
        alternatives: found.alternatives,
        evidence: found.evidence,
        fix,
        elapsed: attempt.elapsed,
        chain: scene.stop.chain.clone(),
    })
}

/// What never happened anywhere has no phase.
fn phase_of(cause: Cause, phase: Option<Phase>) -> Option<Phase> {
    match cause {
        Cause::ConfigUrlInvalid | Cause::CircuitOpen | Cause::Abandoned => None,
        _ => phase,
    }
}

/// What is worth knowing about a dependency whose attempt answered.
pub fn findings(attempt: &Attempt, context: &Context<'_>) -> Vec<Finding> {
    if attempt.stop().is_some() {
        return Vec::new();
    }
    findings::of(attempt, context)
}

/// The second looks that would settle this failure, as far as the dependency allows them.
pub fn second_looks(question: &Question<'_>) -> Vec<ConfirmationKind> {
    second_look::wanted(question)
}

/// The looks that are worth making now and then at a dependency that answers: those that are `due`, and those that its
/// answer suggests while what they would find is news.
pub fn surveys(
    attempt: &Attempt,
    dependency: &Dependency,
    due: bool,
    is_news: &dyn Fn(FindingId) -> bool,
) -> Vec<ConfirmationKind> {
    second_look::surveys(attempt, dependency, due, is_news)
}

/// Makes of a look's facts what its results rest upon.
pub fn judge_look(confirmation: &mut Confirmation, context: &Context<'_>) {
    second_look::judge(confirmation, context);
}

/// The findings of an attempt that a look settles, one way or the other.
pub fn settles(confirmation: &Confirmation) -> &'static [FindingId] {
    second_look::settles(confirmation)
}

/// Whether the sources of a name contradict each other, where a look compared them.
pub fn answers_differ(confirmation: &Confirmation) -> Option<bool> {
    second_look::answers_differ(confirmation)
}

/// What a survey found.
pub fn surveyed(
    attempt: &Attempt,
    kind: &ConfirmationKind,
    confirmation: &Confirmation,
    context: &Context<'_>,
) -> Vec<Finding> {
    second_look::surveyed(attempt, kind, confirmation, context)
}

/// The failure with what a second look found.
pub fn confirmed(failure: Failure, kind: &ConfirmationKind, confirmation: &Confirmation) -> Failure {
    second_look::confirmed(failure, kind, confirmation)
}

/// Tells a failure how the attempt after it went: a stale connection is confirmed when that one answered.
pub fn confirmed_by_next_attempt(failure: &mut Failure, next_answered: bool) {
    second_look::next_attempt(failure, next_answered);
}
