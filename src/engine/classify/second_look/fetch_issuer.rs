//! A chain without its end: is what lacks an intermediate, which could be fetched? Only where the user allows it, since the
//! peer's certificate says from where.

use crate::model::attempt::CertificateFaultKind;
use crate::model::cause::Cause;
use crate::model::dependency::Probe;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let allowed = match (question.request(), &question.dependency.probe) {
        (Some(http), _) => http.tls.aia,
        (None, Probe::Tls(tls)) => tls.tls.aia,
        _ => false,
    };
    let cause = question.failure.cause;
    let by_authority = matches!(
        cause,
        Cause::TlsCertMissingIntermediate | Cause::TlsCertUnknownRoot
    );
    if !allowed || !by_authority || question.failure.confidence == Confidence::Confirmed {
        return None;
    }
    let hop = question.target_hop()?;
    let faults = &hop.tls.as_deref()?.faults;
    let lacking = faults.iter().find(|fault| {
        matches!(
            fault.kind,
            CertificateFaultKind::MissingIntermediate | CertificateFaultKind::UnknownRoot
        )
    })?;
    Some(ConfirmationKind::FetchIssuer {
        address: hop.address?,
        url: lacking.issuer_url.clone()?,
    })
}

pub fn fetched(failure: &mut Failure, url: &str, completes_with: &[Box<str>]) {
    failure.evidence.set("issuer_fetched_from", url);
    failure
        .evidence
        .set("fetched_issuer_completes", !completes_with.is_empty());
    if completes_with.is_empty() {
        return;
    }
    let subjects = completes_with.iter().map(|subject| (&**subject).into()).collect();
    failure.evidence.set("completes_with", Value::List(subjects));
    if failure.cause != Cause::TlsCertMissingIntermediate {
        failure.evidence.set("first_taken_for", failure.cause.id());
        failure.cause = Cause::TlsCertMissingIntermediate;
    }
    failure.confidence = Confidence::Confirmed;
    failure.alternatives.clear();
    failure.fix = format!(
        "serve the intermediate {} together with the certificate (it is at {url}); clients do not fetch it",
        completes_with.join(" and ")
    )
    .into();
}
