use super::*;
use crate::model::cause::Cause;
use crate::model::cause::Speed;
use crate::model::evidence::Evidence;
use crate::model::failure::Confidence;
use crate::model::phase::Phase;
use std::time::Duration;

fn failure(cause: Cause, alternatives: &[Cause]) -> Failure {
    Failure {
        cause,
        phase: Some(Phase::FirstByte),
        speed: Speed::Fast,
        confidence: Confidence::Likely,
        alternatives: alternatives.to_vec(),
        evidence: Evidence::new(),
        fix: "before".into(),
        elapsed: Duration::from_millis(3),
        chain: vec![],
    }
}

fn look(result: ConfirmationResult) -> Confirmation {
    Confirmation {
        elapsed: Duration::from_millis(1),
        result,
        evidence: Evidence::new().with("version", "TLSv1.3"),
    }
}

const HELLO: ConfirmationKind = ConfirmationKind::NotFoundVariants;

#[test]
fn a_tls_answer_names_the_tls_port() {
    let before = failure(Cause::HttpEmptyResponse, &[Cause::HttpTlsPeer]);
    let after = confirmed(
        before,
        &HELLO,
        &look(ConfirmationResult::ClientHello { spoke_tls: true }),
    );
    assert_eq!(after.cause, Cause::HttpTlsPeer);
    assert_eq!(after.confidence, Confidence::Confirmed);
    assert!(after.alternatives.is_empty());
    assert_eq!(
        after.evidence.get("first_taken_for"),
        Some(&"http.response.invalid.empty".into())
    );
    assert_eq!(after.evidence.get("version"), Some(&"TLSv1.3".into()));
    assert!(after.fix.contains("https://"));
}

#[test]
fn no_tls_answer_leaves_the_empty_response() {
    let before = failure(Cause::HttpEmptyResponse, &[Cause::HttpTlsPeer]);
    let after = confirmed(
        before,
        &HELLO,
        &look(ConfirmationResult::ClientHello { spoke_tls: false }),
    );
    assert_eq!(after.cause, Cause::HttpEmptyResponse);
    assert!(after.alternatives.is_empty());
    assert_eq!(&*after.fix, "before");
}

#[test]
fn a_fresh_connection_proves_or_disproves_staleness() {
    let stale = failure(Cause::TcpClosedStale, &[Cause::HttpEmptyResponse]);
    let worked = look(ConfirmationResult::FreshConnection { worked: true });
    let proved = confirmed(stale.clone(), &HELLO, &worked);
    assert_eq!(
        (proved.cause, proved.confidence),
        (Cause::TcpClosedStale, Confidence::Confirmed)
    );
    let failed = look(ConfirmationResult::FreshConnection { worked: false });
    let disproved = confirmed(stale, &HELLO, &failed);
    assert_eq!(disproved.cause, Cause::HttpEmptyResponse);
    assert_eq!(disproved.alternatives, [Cause::TcpClosedStale]);
}

#[test]
fn the_next_attempt_proves_staleness_and_nothing_else() {
    let mut stale = failure(Cause::TcpResetStale, &[Cause::TcpResetAfterAccept]);
    next_attempt(&mut stale, false);
    assert_eq!(stale.confidence, Confidence::Likely);
    next_attempt(&mut stale, true);
    assert_eq!(stale.confidence, Confidence::Confirmed);
    let mut other = failure(Cause::HttpEmptyResponse, &[]);
    next_attempt(&mut other, true);
    assert_eq!(other, failure(Cause::HttpEmptyResponse, &[]));
}

#[test]
fn a_variant_that_answers_becomes_the_fix() {
    let variants = vec![("http://h/a".into(), 404), ("http://h/a/".into(), 200)];
    let after = confirmed(
        failure(Cause::Http4xx, &[]),
        &HELLO,
        &look(ConfirmationResult::NotFoundVariants(variants)),
    );
    assert_eq!(&*after.fix, "ask for http://h/a/ instead: it answers 200");
    assert_eq!(after.confidence, Confidence::Confirmed);
    let none = confirmed(
        failure(Cause::Http4xx, &[]),
        &HELLO,
        &look(ConfirmationResult::NotFoundVariants(vec![(
            "http://h/a/".into(),
            404,
        )])),
    );
    assert_eq!(&*none.fix, "before");
    assert!(none.evidence.get("variants_tried").is_some());
}

#[test]
fn a_look_that_could_not_be_made_says_why() {
    let before = failure(Cause::Http4xx, &[]);
    let after = confirmed(
        before.clone(),
        &HELLO,
        &look(ConfirmationResult::NotDone("no time".into())),
    );
    assert_eq!((after.cause, &after.fix), (before.cause, &before.fix));
    assert!(after.evidence.get("second_look_not_done").is_some());
}
