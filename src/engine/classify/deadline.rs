//! Time that was spread over phases, so that no single one of them explains why it ran out.

use std::time::Duration;

use crate::model::attempt::{Attempt, Budget, Hop, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::RecordType;
use crate::model::phase::Phase;

use super::address;
use super::resolve;
use super::scene::{Found, Scene};

/// Only where the budget of the attempt or the operation ended: a phase that used up its own is the cause itself.
pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let Trouble::TimedOut(budget) = scene.stop.trouble else {
        return None;
    };
    let Some(phase) = scene.phase() else {
        return Some(spread(scene));
    };
    if matches!(budget, Budget::Phase | Budget::Acknowledgement) {
        return None;
    }
    let here = time_in(scene, phase);
    if here * 2 < scene.attempt.elapsed {
        return Some(a_known_thief(scene).unwrap_or_else(|| spread(scene)));
    }
    (phase == Phase::Body && is_drip(scene)).then(|| spread(scene).with("drip", true))
}

/// Time in the phase at which it ended: that of the hop, and of the addresses tried before it for the same request.
fn time_in(scene: &Scene<'_>, phase: Phase) -> Duration {
    let Some(hop) = scene.hop else {
        return scene.phase_elapsed();
    };
    let own = hop.phases.get(phase).unwrap_or_default();
    let replaced: Duration = scene
        .attempt
        .hops
        .iter()
        .filter(|other| !std::ptr::eq(*other, hop) && other.stop.is_some() && other.url == hop.url)
        .filter_map(|other| other.phases.get(phase))
        .sum();
    own + replaced
}

/// A body that came in pieces until the time was over, as opposed to one that stopped coming.
fn is_drip(scene: &Scene<'_>) -> bool {
    let Some(hop) = scene.hop else { return false };
    let in_body = hop.phases.get(Phase::Body).unwrap_or_default();
    match hop.quiet {
        Some(quiet) => quiet * 2 < in_body,
        // Without that figure: the body lasted longer than a single gap may, so there were bytes in between.
        None => in_body > scene.dependency().timeouts.body,
    }
}

/// The time went to something that has a name of its own: addresses that do not work, or an AAAA question without answer.
fn a_known_thief(scene: &Scene<'_>) -> Option<Found> {
    let half = scene.attempt.elapsed / 2;
    let lost_on = |hop: &&Hop| hop.stop.is_some() && !scene.hop.is_some_and(|own| std::ptr::eq(own, *hop));
    let lost: Duration = scene
        .attempt
        .hops
        .iter()
        .filter(lost_on)
        .map(|hop| hop.phases.sum())
        .sum();
    if lost >= half
        && let Some(broken) = address::broken(scene.attempt)
    {
        let found = Found::likely(broken.cause(), &[Cause::DeadlineExceeded]);
        return Some(broken.describe(found, scene.context).slow());
    }
    let resolve = scene
        .attempt
        .phases()
        .get(Phase::Resolve)
        .filter(|time| *time >= half);
    if resolve.is_some() && stalled_aaaa(scene.attempt) {
        return Some(Found::likely(Cause::DnsAaaaStalled, &[Cause::DeadlineExceeded]).slow());
    }
    None
}

fn stalled_aaaa(attempt: &Attempt) -> bool {
    attempt
        .hops
        .iter()
        .filter_map(|hop| hop.resolution.as_deref())
        .any(|resolution| resolve::stalled(resolution, RecordType::AAAA))
}

fn spread(scene: &Scene<'_>) -> Found {
    let phases = scene.attempt.phases();
    let found = Found::observed(Cause::DeadlineExceeded).slow();
    match phases.longest() {
        Some((phase, elapsed)) => found
            .with("longest_phase", phase.id())
            .with("longest_phase_elapsed", elapsed),
        None => found,
    }
}
