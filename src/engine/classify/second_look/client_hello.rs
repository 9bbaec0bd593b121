//! Plain HTTP was not understood: does the port speak TLS?

use crate::model::cause::Cause;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let failure = question.failure;
    let may_be_tls =
        failure.cause == Cause::HttpTlsPeer || failure.alternatives.contains(&Cause::HttpTlsPeer);
    question.request()?;
    let address = question.target_hop()?.address?;
    may_be_tls.then_some(ConfirmationKind::ClientHello(address))
}

pub fn answered(failure: &mut Failure, spoke_tls: bool) {
    failure.evidence.set("spoke_tls", spoke_tls);
    if spoke_tls {
        if failure.cause != Cause::HttpTlsPeer {
            failure.evidence.set("first_taken_for", failure.cause.id());
            failure.fix =
                "use the scheme with TLS in the URL (https://, wss://, grpcs://): this port speaks TLS"
                    .into();
        }
        failure.cause = Cause::HttpTlsPeer;
        failure.confidence = Confidence::Confirmed;
        failure.alternatives.clear();
        let answers = |key: &str| failure.evidence.get(key).cloned();
        if let (Some(Value::Text(url)), Some(Value::Integer(status))) =
            (answers("answers_at"), answers("answers_with"))
        {
            failure.fix = format!("ask for {url}: it answers {status}, and this port speaks TLS").into();
        }
        return;
    }
    failure.alternatives.retain(|cause| *cause != Cause::HttpTlsPeer);
    if failure.cause == Cause::HttpTlsPeer {
        failure.confidence = Confidence::Likely;
    }
}
