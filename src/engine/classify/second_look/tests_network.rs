//! What signs of life and segment sizes make of a silence.

use std::net::IpAddr;
use std::time::Duration;

use super::super::errno::EPERM;
use super::{mss_clamp, signs_of_life};
use crate::model::attempt::{
    IcmpError, LookedAt, Neighbour, NeighbourState, Route, Seen, SegmentTrial, Sign, SignsOfLife,
};
use crate::model::cause::{Cause, Speed};
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{Confidence, Failure};
use crate::model::phase::Phase;

fn failure(cause: Cause, phase: Phase, alternatives: &[Cause]) -> Failure {
    Failure {
        cause,
        phase: Some(phase),
        speed: Speed::Slow,
        confidence: Confidence::Likely,
        alternatives: alternatives.to_vec(),
        evidence: Evidence::new().with("address", "192.0.2.7:80"),
        fix: "before".into(),
        elapsed: Duration::from_secs(3),
        chain: vec![],
    }
}

fn sign(looked_at: LookedAt, seen: Seen) -> Sign {
    Sign {
        looked_at,
        seen,
        elapsed: Duration::from_millis(1),
    }
}

fn route(gateway: Option<&str>, state: Option<NeighbourState>) -> Option<Route> {
    Some(Route {
        gateway: gateway.map(|text| text.parse().expect("an address")),
        neighbour: state.map(|state| Neighbour {
            state,
            confirmed: None,
        }),
    })
}

fn looked(route: Option<Route>, signs: Vec<Sign>) -> Failure {
    let mut failure = failure(Cause::TcpTimedOut, Phase::Connect, &[Cause::TcpTimedOutHostDown]);
    let found = SignsOfLife {
        own_address: false,
        route,
        signs,
    };
    signs_of_life::looked(&mut failure, &found);
    assert!(!failure.fix.contains("{at}"), "{}", failure.fix);
    failure
}

const FAR: Option<&str> = Some("192.0.2.1");

#[test]
fn what_answers_tells_a_filter_from_a_full_queue() {
    let far = route(FAR, Some(NeighbourState::Reachable));
    let echo = || sign(LookedAt::Echo, Seen::Answered);
    let stray = |seen| sign(LookedAt::StraySegment, seen);
    let filtered = looked(far, vec![echo(), stray(Seen::Silent)]);
    assert_eq!(
        (filtered.cause, filtered.confidence),
        (Cause::TcpTimedOutFiltered, Confidence::Confirmed)
    );
    assert!(filtered.alternatives.is_empty());
    // Without raw sockets, the queue is not ruled out.
    let unsure = looked(far, vec![echo()]);
    assert_eq!(
        (unsure.cause, unsure.confidence),
        (Cause::TcpTimedOutFiltered, Confidence::Likely)
    );
    assert_eq!(unsure.alternatives, [Cause::TcpTimedOut]);
    let full = looked(far, vec![echo(), stray(Seen::Answered)]);
    assert_eq!(
        (full.cause, full.confidence),
        (Cause::TcpTimedOut, Confidence::Likely)
    );
    assert_eq!(full.alternatives, [Cause::TcpTimedOutFiltered]);
    let by_reset = looked(
        far,
        vec![stray(Seen::Silent), sign(LookedAt::Port(443), Seen::Refused)],
    );
    assert_eq!(by_reset.cause, Cause::TcpTimedOutFiltered);
}

#[test]
fn silence_claims_nothing_beyond_a_router_and_a_neighbour_settles_it_on_the_link() {
    let nothing = || {
        vec![
            sign(LookedAt::Echo, Seen::Silent),
            sign(LookedAt::Again, Seen::Silent),
        ]
    };
    let far = looked(route(FAR, Some(NeighbourState::Reachable)), nothing());
    assert_eq!(
        (far.cause, far.confidence),
        (Cause::TcpTimedOut, Confidence::Observed)
    );
    assert_eq!(
        far.alternatives,
        [Cause::TcpTimedOutFiltered, Cause::TcpTimedOutHostDown]
    );
    let near = |state| looked(route(None, state), nothing());
    let down = near(Some(NeighbourState::Failed));
    assert_eq!(
        (down.cause, down.confidence),
        (Cause::TcpTimedOutHostDown, Confidence::Confirmed)
    );
    let alive = near(Some(NeighbourState::Reachable));
    assert_eq!(alive.cause, Cause::TcpTimedOutFiltered);
    let unknown = near(None);
    assert_eq!(
        (unknown.cause, unknown.confidence),
        (Cause::TcpTimedOutHostDown, Confidence::Likely)
    );
    let gateway = looked(route(FAR, Some(NeighbourState::Failed)), nothing());
    assert_eq!(gateway.cause, Cause::TcpHostUnreachable);
    assert!(gateway.fix.contains("192.0.2.1"), "{}", gateway.fix);
}

#[test]
fn what_we_do_ourselves_comes_first_and_a_handshake_that_works_takes_the_claim_back() {
    let far = route(FAR, Some(NeighbourState::Reachable));
    let ours = looked(
        far,
        vec![
            sign(LookedAt::OwnOutput, Seen::Failed(EPERM)),
            sign(LookedAt::Echo, Seen::Answered),
        ],
    );
    assert_eq!(
        (ours.cause, ours.confidence),
        (Cause::LocalPolicyDenied, Confidence::Confirmed)
    );
    let later = looked(far, vec![sign(LookedAt::Again, Seen::Answered)]);
    assert_eq!(later.cause, Cause::TcpTimedOut);
    assert!(later.alternatives.is_empty());
    let router: IpAddr = "192.0.2.9".parse().expect("an address");
    let icmp = IcmpError {
        v6: false,
        kind: 3,
        code: 1,
        offender: Some(router),
        from_this_host: false,
    };
    let gone = looked(far, vec![sign(LookedAt::Again, Seen::Icmp(icmp))]);
    assert_eq!(
        (gone.cause, gone.confidence),
        (Cause::TcpHostUnreachable, Confidence::Confirmed)
    );
    assert_eq!(gone.evidence.get("offender"), Some(&"192.0.2.9".into()));
}

#[test]
fn on_this_host_the_listener_is_looked_at() {
    let own = |seen| {
        let mut failure = failure(Cause::TcpTimedOut, Phase::Connect, &[]);
        let found = SignsOfLife {
            own_address: true,
            route: None,
            signs: vec![sign(LookedAt::OwnListener, seen)],
        };
        signs_of_life::looked(&mut failure, &found);
        failure
    };
    let full = own(Seen::Waiting(3));
    assert_eq!(
        (full.cause, full.confidence),
        (Cause::TcpTimedOut, Confidence::Confirmed)
    );
    assert_eq!(full.evidence.get("accept_queue_length"), Some(&Value::Integer(3)));
    assert_eq!(own(Seen::Waiting(0)).cause, Cause::TcpTimedOutFiltered);
    assert_eq!(own(Seen::NotAllowed).confidence, Confidence::Observed);
}

#[test]
fn every_step_is_in_the_evidence_with_what_it_rules_out() {
    let far = route(FAR, Some(NeighbourState::Reachable));
    let failure = looked(
        far,
        vec![
            sign(LookedAt::OwnOutput, Seen::Answered),
            sign(LookedAt::Echo, Seen::NotAllowed),
        ],
    );
    let Some(Value::List(tried)) = failure.evidence.get("tried") else {
        panic!("no steps: {failure:?}");
    };
    assert_eq!(tried.len(), 3, "the neighbour and both signs");
    let Value::Map(second) = &tried[1] else {
        panic!("{tried:?}")
    };
    assert!(
        second.contains(&("rules_out", "this host's own firewall".into())),
        "{second:?}"
    );
    let Value::Map(third) = &tried[2] else {
        panic!("{tried:?}")
    };
    assert!(
        third.contains(&("result", "this process may not".into())),
        "{third:?}"
    );
}

fn trial(mss: Option<u16>, worked: bool) -> SegmentTrial {
    SegmentTrial {
        mss,
        worked,
        elapsed: Duration::from_millis(10),
        tcp: None,
    }
}

#[test]
fn only_small_working_and_usual_failing_again_proves_it() {
    let tried = |phase, trials: &[SegmentTrial]| {
        let alternatives = [Cause::TcpTimedOut, Cause::HttpTimedOutFirstByte];
        let mut failure = failure(Cause::TcpPathMtuBlackHole, phase, &alternatives);
        mss_clamp::tried(&mut failure, trials);
        (failure.cause, failure.confidence)
    };
    let proved = (Cause::TcpPathMtuBlackHole, Confidence::Confirmed);
    let likely = (Cause::TcpPathMtuBlackHole, Confidence::Likely);
    let (small, smaller) = (trial(Some(1000), true), trial(Some(536), true));
    let (fails, again, works) = (trial(Some(1000), false), trial(None, false), trial(None, true));
    assert_eq!(tried(Phase::Request, &[small.clone(), again.clone()]), proved);
    assert_eq!(tried(Phase::Request, &[fails.clone(), smaller, again]), proved);
    assert_eq!(tried(Phase::Request, std::slice::from_ref(&small)), likely);
    let not = |cause| (cause, Confidence::Likely);
    assert_eq!(
        tried(Phase::Request, &[small.clone(), works.clone()]),
        not(Cause::TcpTimedOut)
    );
    assert_eq!(
        tried(Phase::Request, std::slice::from_ref(&fails)),
        not(Cause::TcpTimedOut)
    );
    assert_eq!(tried(Phase::Tls, &[fails]), not(Cause::TlsTimedOut));
    assert_eq!(
        tried(Phase::Body, &[small, works]),
        not(Cause::HttpTimedOutBodyStall)
    );
}

#[test]
fn a_suspicion_that_was_no_claim_is_only_taken_back() {
    let mut slow = failure(
        Cause::TlsTimedOut,
        Phase::Tls,
        &[Cause::TcpPathMtuBlackHole, Cause::TcpTimedOut],
    );
    mss_clamp::tried(&mut slow, &[trial(Some(1000), false), trial(Some(536), false)]);
    assert_eq!(slow.cause, Cause::TlsTimedOut);
    assert_eq!(slow.alternatives, [Cause::TcpTimedOut]);
    assert_eq!(&*slow.fix, "before");
}
