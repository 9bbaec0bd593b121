//! Second looks: which ones would settle a failure, and what their results make of it.

use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Role};
use crate::model::cause::Cause;
use crate::model::dependency::{Confirm, Dependency, Probe};
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::stale;

/// None when the user switched them off, and none that would ask for something that a user may not want asked twice.
pub fn wanted(failure: &Failure, attempt: &Attempt, dependency: &Dependency) -> Vec<ConfirmationKind> {
    let Probe::Http(http) = &dependency.probe else {
        return Vec::new();
    };
    let Some(hop) = attempt.decisive_hop().filter(|hop| hop.role == Role::Target) else {
        return Vec::new();
    };
    if dependency.confirm == Confirm::Off {
        return Vec::new();
    }
    let reads_only = matches!(&*http.method, "GET" | "HEAD" | "OPTIONS");
    let may_be_tls =
        failure.cause == Cause::HttpTlsPeer || failure.alternatives.contains(&Cause::HttpTlsPeer);
    let look = match (failure.cause, hop.address) {
        (Cause::Http4xx, _) if hop.status == Some(404) && reads_only => ConfirmationKind::NotFoundVariants,
        (_, Some(address)) if may_be_tls => ConfirmationKind::ClientHello(address),
        (cause, Some(address)) if stale::is_stale(cause) && dependency.probe.is_idempotent() => {
            ConfirmationKind::FreshConnection(address)
        }
        _ => return Vec::new(),
    };
    vec![look]
}

/// The failure with what a second look adds to it, proves or disproves.
pub fn confirmed(mut failure: Failure, kind: &ConfirmationKind, confirmation: &Confirmation) -> Failure {
    for (key, value) in confirmation.evidence.iter() {
        failure.evidence.set(key, value.clone());
    }
    match &confirmation.result {
        ConfirmationResult::NotFoundVariants(variants) => variants_found(&mut failure, variants),
        ConfirmationResult::ClientHello { spoke_tls } => client_hello(&mut failure, *spoke_tls),
        ConfirmationResult::FreshConnection { worked } => fresh_connection(&mut failure, *worked),
        ConfirmationResult::NotDone(why) => {
            let not_done = vec![("look", kind.id().into()), ("why", (&**why).into())];
            failure.evidence.set("second_look_not_done", Value::Map(not_done));
        }
    }
    failure
}

/// A stale connection is proved when the same request works on a fresh one.
pub fn next_attempt(failure: &mut Failure, answered: bool) {
    if answered && stale::is_stale(failure.cause) {
        fresh_connection(failure, true);
    }
}

fn variants_found(failure: &mut Failure, variants: &[(Box<str>, u16)]) {
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

fn client_hello(failure: &mut Failure, spoke_tls: bool) {
    failure.evidence.set("spoke_tls", spoke_tls);
    if spoke_tls {
        if failure.cause != Cause::HttpTlsPeer {
            failure.evidence.set("first_taken_for", failure.cause.id());
        }
        failure.cause = Cause::HttpTlsPeer;
        failure.confidence = Confidence::Confirmed;
        failure.alternatives.clear();
        failure.fix = "use https:// in the URL: this port speaks TLS".into();
        return;
    }
    failure.alternatives.retain(|cause| *cause != Cause::HttpTlsPeer);
    if failure.cause == Cause::HttpTlsPeer {
        failure.confidence = Confidence::Likely;
    }
}

fn fresh_connection(failure: &mut Failure, worked: bool) {
    failure.evidence.set("fresh_connection_works", worked);
    if !stale::is_stale(failure.cause) {
        return;
    }
    if worked {
        failure.confidence = Confidence::Confirmed;
        failure.alternatives.clear();
        return;
    }
    // A fresh connection fails as well, so that the old one's age explains nothing.
    let was = failure.cause;
    failure.cause = stale::without_staleness(was);
    failure.confidence = Confidence::Likely;
    failure.alternatives = vec![was];
    failure.fix = failure.cause.doc().fix.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cause::Speed;
    use crate::model::evidence::Evidence;
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
}
