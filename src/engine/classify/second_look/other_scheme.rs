//! A port that did not understand TLS: does the URL answer by http://?
//!
//! It said so in plain HTTP, or it said nothing and took our ClientHello: then it may be a TLS server that is stuck, or a
//! plain one that waits for the end of what it takes for a request.

use crate::model::cause::Cause;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

/// What TLS servers say to plain HTTP: 400, as nginx, Apache and Go do, or nginx's own 497.
const SAID_BY_TLS_SERVERS: [u16; 2] = [400, 497];

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let http = question.http()?;
    let failure = question.failure;
    question.target_hop()?;
    if !matches!(&*http.method, "GET" | "HEAD") {
        return None;
    }
    match failure.cause {
        Cause::TlsPlaintextPeer => {
            let speaks_http = failure.evidence.get("peer_speaks") == Some(&Value::Text("HTTP".into()));
            speaks_http.then_some(ConfirmationKind::PlainHttp { path: true })
        }
        // The path is for TLS alone as long as the peer may speak it.
        Cause::TlsTimedOut if question.persists || question.deep => {
            let taken = failure.evidence.get("client_hello_acknowledged") == Some(&Value::Bool(true));
            taken.then_some(ConfirmationKind::PlainHttp { path: false })
        }
        _ => None,
    }
}

/// What the other scheme answered. Whatever its status: an answer is one.
pub fn answered(failure: &mut Failure, url: &str, status: Option<u16>) {
    let Some(status) = status else {
        failure.evidence.set("plain_http_answers", false);
        return;
    };
    failure.evidence.set("answers_at", url);
    failure.evidence.set("answers_with", status);
    if failure.cause == Cause::TlsTimedOut {
        if SAID_BY_TLS_SERVERS.contains(&status) {
            return;
        }
        failure.evidence.set("looked_like", failure.cause.id());
        failure.evidence.set("peer_speaks", "HTTP");
        failure.cause = Cause::TlsPlaintextPeer;
        failure.alternatives.clear();
    }
    failure.confidence = Confidence::Confirmed;
    failure.fix = format!("ask for {url}: it answers {status}, and this port speaks plain HTTP").into();
}
