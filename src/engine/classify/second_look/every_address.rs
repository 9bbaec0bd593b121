//! Every address of a dependency: does a part of them fail while the others work?

use std::net::{IpAddr, SocketAddr};

use crate::model::attempt::{Attempt, Hop, Role};
use crate::model::cause::{Cause, Fault, FindingId};
use crate::model::dependency::{Dependency, Family};
use crate::model::evidence::Evidence;
use crate::model::failure::{Confidence, Failure, Finding};
use crate::model::looks::AddressesAsked;
use crate::model::order::ConfirmationKind;
use crate::model::phase::Phase;

use super::super::address::{Extent, broken};
use super::super::scene::is_localhost;
use super::{Question, trial};

/// After a failure at one address: the others may work, and those of a family that the dependency was told to leave out.
pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let cause = question.failure.cause;
    let hop = question.target_hop()?;
    let reached_out = question.failure.phase > Some(Phase::Resolve) && hop.address.is_some();
    // To be asked less often is no reason to ask a dozen times.
    let elsewhere = cause.fault() == Fault::Local || matches!(cause, Cause::Http429 | Cause::AssertLatency);
    if !reached_out || elsewhere || !has_addresses(question.dependency) {
        return None;
    }
    let known = known_addresses(question.attempt);
    let left_out = question.dependency.probe.family() != Family::Any;
    let may_have_others = known.len() > 1 || left_out || question.deep;
    may_have_others.then_some(ConfirmationKind::EveryAddress(Family::Any))
}

pub fn survey(attempt: &Attempt, dependency: &Dependency) -> Option<ConfirmationKind> {
    let hop = attempt.hops.first().filter(|hop| hop.role == Role::Target)?;
    // On a connection that was kept, no name was looked up.
    let several = known_addresses(attempt).len() > 1 || (hop.reused && hop.resolution.is_none());
    (several && has_addresses(dependency)).then(|| ConfirmationKind::EveryAddress(dependency.probe.family()))
}

/// Whether this answer itself shows an address that does not work.
pub fn suspects(attempt: &Attempt) -> bool {
    broken(attempt).is_some()
}

/// The findings that this look settles, one way or the other.
pub const SETTLES: [FindingId; 3] = [
    FindingId::AddressIpv6Broken,
    FindingId::AddressIpv4Broken,
    FindingId::AddressPartial,
];

/// Whether it came to a conclusion about any address.
pub fn is_conclusive(asked: &AddressesAsked) -> bool {
    let (works, fails) = trial::sides(&asked.trials);
    !works.is_empty() && works.len() + fails.len() == asked.trials.len()
}

/// A name that is looked up, whose addresses are the dependency's own: not a literal, not this host, not by a proxy.
fn has_addresses(dependency: &Dependency) -> bool {
    let endpoint = dependency.probe.endpoint();
    endpoint.address().is_none() && !is_localhost(&endpoint.host) && dependency.probe.proxy().is_none()
}

/// The addresses of the dependency's own name, as the attempt found them.
fn known_addresses(attempt: &Attempt) -> &[IpAddr] {
    let first: Option<&Hop> = attempt.hops.first();
    first
        .and_then(|hop| hop.resolution.as_deref())
        .map_or(&[], |resolution| &resolution.addresses)
}

/// What a part of the addresses that fails means for the failure at one of them.
pub fn asked(failure: &mut Failure, asked: &AddressesAsked) {
    if asked.trials.is_empty() {
        return;
    }
    failure
        .evidence
        .set("addresses_asked", trial::evidence(&asked.trials));
    let Some(split) = Split::of(asked) else { return };
    let at = failure.evidence.get("address");
    let is_explained = split.fails.iter().any(|address| at == Some(&(*address).into()));
    let already = failure.cause == Cause::DeadlineExceeded || is_settled(failure.cause);
    if !is_explained || already {
        return;
    }
    split
        .evidence
        .iter()
        .for_each(|(key, value)| failure.evidence.set(key, value.clone()));
    failure.evidence.set("inner_cause", failure.cause.id());
    failure.cause = split.extent.cause();
    failure.confidence = Confidence::Confirmed;
    failure.alternatives.clear();
    failure.fix = split.fix.into();
}

/// Causes that another look found, and that explain more.
fn is_settled(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DnsMismatchHostsFile | Cause::DnsMismatchSplitHorizon | Cause::DnsMismatchStale
    )
}

pub fn surveyed(asked: &AddressesAsked) -> Option<Finding> {
    let split = Split::of(asked)?;
    Some(Finding {
        id: split.extent.finding(),
        evidence: split.evidence,
        fix: split.fix.into(),
    })
}

/// A part that fails, a part that works.
struct Split {
    extent: Extent,
    fails: Vec<SocketAddr>,
    evidence: Evidence,
    fix: String,
}

impl Split {
    fn of(asked: &AddressesAsked) -> Option<Split> {
        let (works, fails) = trial::sides(&asked.trials);
        let (_, first) = fails.first()?;
        let working: Vec<SocketAddr> = works.iter().map(|trial| trial.address).collect();
        let failing: Vec<SocketAddr> = fails.iter().map(|(trial, _)| trial.address).collect();
        let extent = Extent::between(&failing, &working);
        let evidence = Evidence::new()
            .with("inner_cause", first.id())
            .with(
                "failed",
                fails
                    .iter()
                    .map(|(trial, _)| trial::entry(trial))
                    .collect::<Vec<_>>(),
            )
            .with("working", *working.first()?)
            .with("addresses_asked", trial::evidence(&asked.trials))
            .with("asked_as", asked.depth.id());
        let evidence = match asked.left_out {
            0 => evidence,
            left_out => evidence.with("addresses_not_asked", left_out),
        };
        Some(Split {
            extent,
            evidence,
            fix: extent.fix(&asked.name, &failing),
            fails: failing,
        })
    }
}
