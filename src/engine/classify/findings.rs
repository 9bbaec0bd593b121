//! What is worth knowing about a dependency that answered.

use std::time::Duration;

use crate::model::attempt::{Attempt, CertificateFacts, Hop, Resolution, TlsFacts};
use crate::model::cause::FindingId;
use crate::model::dependency::RecordType;
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::Finding;

use super::Context;
use super::address;
use super::fix;
use super::resolve;
use super::scene::is_localhost;

/// A certificate is reported from this long before its end, or from the last third of its life where it lives shorter
/// than 63 days: one that is made for a week is not about to be forgotten.
const EXPIRING_SECONDS: i64 = 21 * 86_400;

pub fn of(attempt: &Attempt, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(broken) = address::broken(attempt)
        && !broken.is_only_our_routing(context)
        && !is_localhost(&context.dependency.probe.endpoint().host)
    {
        findings.push(Finding {
            id: broken.finding(),
            evidence: broken.evidence(context),
            fix: broken.fix(context).into(),
        });
    }
    for hop in &attempt.hops {
        if let Some(resolution) = hop.resolution.as_deref() {
            names(resolution, &mut findings);
        }
        if let Some(tls) = hop.tls.as_deref() {
            certificates(hop, tls, context, &mut findings);
        }
    }
    findings.extend(inherited_proxy(context));
    findings
}

fn push(findings: &mut Vec<Finding>, finding: Finding) {
    // A redirect to the same host shows the same thing again.
    if !findings.contains(&finding) {
        findings.push(finding);
    }
}

fn names(resolution: &Resolution, findings: &mut Vec<Finding>) {
    if resolve::stalled(resolution, RecordType::AAAA) {
        push(findings, stalled(resolution));
    }
}

fn stalled(resolution: &Resolution) -> Finding {
    let waited: Duration = resolution
        .answers
        .iter()
        .filter(|answer| answer.record == RecordType::AAAA)
        .map(|answer| answer.elapsed)
        .max()
        .unwrap_or_default();
    Finding {
        id: FindingId::DnsAaaaStalled,
        evidence: Evidence::new()
            .with("name", &*resolution.name)
            .with("waited", waited)
            .with("servers", resolve::servers(resolution)),
        fix: format!(
            "find what drops AAAA questions for {}: A is answered, and every lookup of both waits",
            resolution.name
        )
        .into(),
    }
}

fn certificates(hop: &Hop, tls: &TlsFacts, context: &Context<'_>, findings: &mut Vec<Finding>) {
    let host = tls
        .server_name
        .as_deref()
        .or_else(|| super::scene::authority(&hop.url))
        .unwrap_or_default();
    let matters = |(position, certificate): &(usize, &CertificateFacts)| *position == 0 || certificate.needed;
    let first_to_end = tls
        .chain
        .iter()
        .enumerate()
        .filter(matters)
        .min_by_key(|(_, certificate)| certificate.not_after);
    if let Some((position, certificate)) = first_to_end
        && expires_soon(certificate, context)
    {
        push(findings, expiring(host, position, certificate, context));
    }
    // Without a verified path it is not known what was needed.
    let verified = tls.finished && tls.chain.iter().any(|certificate| certificate.needed);
    let unneeded: Vec<Value> = tls
        .chain
        .iter()
        .enumerate()
        .filter(|(position, certificate)| verified && *position > 0 && !certificate.needed)
        .map(|(position, certificate)| {
            Value::Map(vec![
                ("chain_position", position.into()),
                ("subject", (&*certificate.subject).into()),
            ])
        })
        .collect();
    if !unneeded.is_empty() {
        push(
            findings,
            Finding {
                id: FindingId::TlsChainUnneeded,
                fix: format!("leave the certificates that no client needs out of the chain of {host}").into(),
                evidence: Evidence::new().with("certificates", Value::List(unneeded)),
            },
        );
    }
}

fn expires_soon(certificate: &CertificateFacts, context: &Context<'_>) -> bool {
    let lifetime = certificate.not_after.seconds_since(certificate.not_before);
    certificate.not_after.seconds_since(context.now) <= EXPIRING_SECONDS.min(lifetime / 3)
}

fn expiring(host: &str, position: usize, certificate: &CertificateFacts, context: &Context<'_>) -> Finding {
    let left = certificate.not_after.seconds_since(context.now);
    Finding {
        id: FindingId::TlsCertExpiring,
        evidence: Evidence::new()
            .with("chain_position", position)
            .with("subject", &*certificate.subject)
            .with("not_after", certificate.not_after)
            .with("days_left", left.div_euclid(86_400)),
        fix: format!(
            "renew the certificate of {host} ({}, expires {})",
            fix::position(position),
            fix::relative(left)
        )
        .into(),
    }
}

fn inherited_proxy(context: &Context<'_>) -> Option<Finding> {
    let proxy = context.dependency.probe.proxy()?;
    let from = proxy.inherited_from.as_deref()?;
    Some(Finding {
        id: FindingId::ProxyInherited,
        evidence: Evidence::new()
            .with("proxy", proxy.to_string())
            .with("inherited_from", from),
        fix: format!(
            "write the proxy into the configuration, or `proxy: none`, instead of inheriting {from}"
        )
        .into(),
    })
}
