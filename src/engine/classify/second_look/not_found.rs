//! A 404: does another spelling of the URL answer?

use crate::model::cause::Cause;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let reads_only = matches!(&*question.http()?.method, "GET" | "HEAD" | "OPTIONS");
    let is_404 = question.failure.cause == Cause::Http4xx && question.target_hop()?.status == Some(404);
    (is_404 && reads_only).then_some(ConfirmationKind::NotFoundVariants)
}

pub fn found(failure: &mut Failure, variants: &[(Box<str>, u16)]) {
    let tried = variants
        .iter()
        .map(|(url, status)| Value::Map(vec![("url", (&**url).into()), ("status", (*status).into())]))
        .collect();
    failure.evidence.set("variants_tried", Value::List(tried));
    if let Some((url, status)) = variants.iter().find(|(_, status)| (200..300).contains(status)) {
        failure.evidence.set("answers_at", &**url);
        failure.confidence = Confidence::Confirmed;
        failure.fix = format!("ask for {url} instead: it answers {status}").into();
    }
}
