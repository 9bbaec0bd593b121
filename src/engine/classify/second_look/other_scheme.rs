//! A port that did not understand TLS and answered in plain HTTP: does the URL answer by http://?

use crate::model::cause::Cause;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let http = question.http()?;
    let failure = question.failure;
    let speaks_http = failure.evidence.get("peer_speaks") == Some(&Value::Text("HTTP".into()));
    let safe = matches!(&*http.method, "GET" | "HEAD");
    question.target_hop()?;
    (failure.cause == Cause::TlsPlaintextPeer && speaks_http && safe).then_some(ConfirmationKind::PlainHttp)
}

/// What the other scheme answered. Whatever its status: an answer is one.
pub fn answered(failure: &mut Failure, url: &str, status: Option<u16>) {
    let Some(status) = status else {
        failure.evidence.set("plain_http_answers", false);
        return;
    };
    failure.evidence.set("answers_at", url);
    failure.evidence.set("answers_with", status);
    failure.confidence = Confidence::Confirmed;
    failure.fix = format!("ask for {url}: it answers {status}, and this port speaks plain HTTP").into();
}
