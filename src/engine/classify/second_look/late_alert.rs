//! A peer asked for a client certificate, got none, and ended the connection at our request: was that why?

use crate::model::attempt::TlsFacts;
use crate::model::cause::Cause;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let hop = question.target_hop()?;
    let tls: &TlsFacts = hop.tls.as_deref()?;
    let failure = question.failure;
    let supposed = failure.cause == Cause::TlsClientCertRequired && failure.confidence == Confidence::Likely;
    let possible = supposed || failure.alternatives.contains(&Cause::TlsClientCertRequired);
    let address = hop.address?;
    (possible && tls.client_cert_requested && !tls.client_cert_sent)
        .then_some(ConfirmationKind::LateAlert(address))
}

/// A peer that ends the connection although nothing was asked does so because of the handshake; one that waits ended it
/// because of the request.
pub fn heard(failure: &mut Failure, alert: Option<u8>, ended: bool) {
    failure.evidence.set("ends_without_a_request", ended);
    failure.evidence.set_some("alert", alert);
    match (alert, ended) {
        (Some(40..=49 | 116), _) => {
            settle(failure, Cause::TlsClientCertRequired);
            failure.confidence = Confidence::Confirmed;
            failure.alternatives.clear();
        }
        (_, true) => {
            let was = failure.cause;
            settle(failure, Cause::TlsClientCertRequired);
            failure.confidence = Confidence::Likely;
            if was != Cause::TlsClientCertRequired {
                failure.alternatives = vec![was];
            }
        }
        (_, false) => {
            let other = failure.alternatives.iter().copied();
            let other = other
                .filter(|cause| *cause != Cause::TlsClientCertRequired)
                .collect::<Vec<_>>();
            if failure.cause == Cause::TlsClientCertRequired
                && let Some(first) = other.first()
            {
                settle(failure, *first);
                failure.alternatives = vec![Cause::TlsClientCertRequired];
            } else {
                failure.alternatives = other;
            }
        }
    }
}

fn settle(failure: &mut Failure, cause: Cause) {
    if failure.cause != cause {
        failure.evidence.set("first_taken_for", failure.cause.id());
        failure.cause = cause;
        failure.fix = cause.doc().fix.into();
    }
}
