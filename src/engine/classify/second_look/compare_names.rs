//! Every source of the dependency's name: do they contradict each other, and is that why it fails?

use crate::model::attempt::{AddressSource, Attempt, Role};
use crate::model::cause::{Cause, Fault, FindingId};
use crate::model::dependency::{Dependency, Family, RecordType};
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{Confidence, Failure, Finding};
use crate::model::looks::{NamesCompared, SourceAnswers};
use crate::model::order::ConfirmationKind;
use crate::model::phase::Phase;

use super::super::mismatch::{self, Mismatch};
use super::super::resolve::stalled;
use super::super::scene::is_localhost;
use super::Question;

/// After a failure to resolve, to connect, or to be shown a certificate of the name; and after any failure at an address
/// that the hosts file gave.
pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let hop = question.target_hop()?;
    // Of several addresses, the first one's hop has it.
    let of_name = question.attempt.hops.iter().filter(|other| other.url == hop.url);
    let resolution = of_name.filter_map(|hop| hop.resolution.as_deref()).next()?;
    let cause = question.failure.cause;
    let from_hosts_file = resolution.source == AddressSource::HostsFile;
    let may_be_elsewhere = match question.failure.phase {
        Some(Phase::Resolve) => is_about_the_name(cause, question.dependency.probe.family()),
        Some(Phase::Connect) => cause.fault() != Fault::Local,
        Some(Phase::Tls) => is_another_certificate(cause),
        _ => false,
    };
    let is_wanted = may_be_elsewhere || from_hosts_file || question.deep;
    (is_wanted && is_resolved(question.dependency)).then_some(ConfirmationKind::CompareNames)
}

pub fn survey(attempt: &Attempt, dependency: &Dependency) -> Option<ConfirmationKind> {
    let is_target = attempt.hops.first().is_some_and(|hop| hop.role == Role::Target);
    (is_target && is_resolved(dependency)).then_some(ConfirmationKind::CompareNames)
}

/// Whether this answer itself shows that questions for one family go unanswered.
pub fn suspects(attempt: &Attempt) -> bool {
    let resolutions = attempt.hops.iter().filter_map(|hop| hop.resolution.as_deref());
    resolutions
        .into_iter()
        .any(|resolution| stalled(resolution, RecordType::AAAA))
}

/// The findings that this look settles, one way or the other.
pub const SETTLES: [FindingId; 4] = [
    FindingId::DnsAaaaStalled,
    FindingId::DnsMismatchHostsFile,
    FindingId::DnsMismatchSplitHorizon,
    FindingId::DnsMismatchStale,
];

/// A name that is looked up here, and not by a proxy; `localhost` is what it is.
fn is_resolved(dependency: &Dependency) -> bool {
    let endpoint = dependency.probe.endpoint();
    endpoint.address().is_none()
        && !is_localhost(&endpoint.host)
        && dependency.probe.proxy().is_none()
        && dependency
            .probe
            .resolve()
            .is_some_and(|resolve| resolve.addresses.is_empty())
}

/// A denial ends a lookup, so that the nameservers behind it were not asked. Silence may be the silence about one family.
/// Of every other failure the lookup itself has asked all of them.
fn is_about_the_name(cause: Cause, family: Family) -> bool {
    match cause {
        Cause::DnsNxdomain | Cause::DnsNodata | Cause::DnsMismatchSplitHorizon => true,
        Cause::DnsTimedOut => family == Family::Ipv6,
        _ => false,
    }
}

/// What a wrong server at the address looks like: its certificate is of another name or another authority.
fn is_another_certificate(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::TlsCertNameInvalid
            | Cause::TlsCertSelfSigned
            | Cause::TlsCertUnknownRoot
            | Cause::TlsCertExpired
            | Cause::TlsUnrecognizedName
            | Cause::TlsPlaintextPeer
    )
}

/// What the comparison means for a failure.
pub fn compared(failure: &mut Failure, compared: &NamesCompared) {
    if let Some(mismatch) = mismatch::judge(compared) {
        explain(failure, &mismatch);
        return;
    }
    let stalls = compared.sources.iter().find(|source| source.aaaa_stalled);
    if let Some(server) = stalls
        && failure.cause == Cause::DnsTimedOut
    {
        let evidence = stalled_evidence(compared, server);
        evidence
            .iter()
            .for_each(|(key, value)| failure.evidence.set(key, value.clone()));
        failure.evidence.set("inner_cause", failure.cause.id());
        failure.cause = Cause::DnsAaaaStalled;
        failure.confidence = Confidence::Confirmed;
        failure.alternatives.clear();
        failure.fix = stalled_fix(compared);
        return;
    }
    // What was asked and ruled out.
    mismatch::sources(&mut failure.evidence, compared);
}

fn explain(failure: &mut Failure, mismatch: &Mismatch<'_>) {
    let evidence = mismatch.evidence();
    evidence
        .iter()
        .for_each(|(key, value)| failure.evidence.set(key, value.clone()));
    let denied = matches!(
        failure.cause,
        Cause::DnsNxdomain | Cause::DnsNodata | Cause::DnsMismatchSplitHorizon
    );
    let led_there = mismatch.is_harmful
        && match failure.evidence.get("address") {
            Some(Value::Text(address)) => mismatch::leads_to(mismatch, address),
            _ => false,
        };
    if !denied && !led_there {
        // They differ, and that is not why.
        let cause = mismatch.cause();
        if cause != failure.cause && !failure.alternatives.contains(&cause) {
            failure.alternatives.push(cause);
        }
        return;
    }
    failure.evidence.set("inner_cause", failure.cause.id());
    failure.cause = mismatch.cause();
    failure.confidence = mismatch.confidence;
    failure.alternatives.clone_from(&mismatch.alternatives);
    failure.fix = mismatch.fix().into();
}

/// What the comparison found worth knowing about a name that answers.
pub fn surveyed(compared: &NamesCompared, dependency: &Dependency) -> Vec<Finding> {
    let mismatch = mismatch::judge(compared).map(|mismatch| mismatch.finding());
    // Who asks for IPv4 alone does not wait.
    let waits = dependency.probe.family() != Family::Ipv4;
    let stalls = compared
        .sources
        .iter()
        .find(|source| source.aaaa_stalled && waits);
    let stalls = stalls.map(|server| Finding {
        id: FindingId::DnsAaaaStalled,
        evidence: stalled_evidence(compared, server),
        fix: stalled_fix(compared),
    });
    mismatch.into_iter().chain(stalls).collect()
}

fn stalled_evidence(compared: &NamesCompared, server: &SourceAnswers) -> Evidence {
    let waited = server
        .answers
        .iter()
        .filter(|answer| answer.record == RecordType::AAAA)
        .map(|answer| answer.elapsed)
        .max();
    let mut evidence = Evidence::new().with("name", &*compared.name);
    evidence.set_some("server", server.answers.first().map(|answer| answer.server));
    evidence.set_some("waited", waited);
    mismatch::sources(&mut evidence, compared);
    evidence
}

fn stalled_fix(compared: &NamesCompared) -> Box<str> {
    format!(
        "find what drops AAAA questions for {}: A is answered, and every lookup of both waits",
        compared.name
    )
    .into()
}
