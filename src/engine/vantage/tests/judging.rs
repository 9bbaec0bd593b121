//! Single judgements from facts.

use super::super::judge::{self, Anchor, Distance, Grounds, Judgement};
use super::*;

use crate::model::cause::Cause;

fn witness(host: &str, distance: Distance, standing: AnchorStanding) -> Anchor<'_> {
    Anchor {
        host,
        distance,
        standing,
    }
}

fn grounds<'a>(anchors: &'a [Anchor<'a>], network: &'a NetworkFacts) -> Grounds<'a> {
    Grounds {
        anchors,
        network: Some(network),
        heard: false,
        had_way_out: true,
        discredited: false,
        silent_hosts: 0,
    }
}

#[test]
fn anchors_are_weighed_as_witnesses() {
    use AnchorStanding::{Answered, NotAsked, NotResolved, SaysNothing, Silent};
    use Distance::{Far, Here, Near};
    let net = network(true);
    let offline = Judgement::Offline(OfflineBecause::Anchors);
    let silent = |host| witness(host, Far, Silent);
    let cases: &[(&str, &[Anchor<'_>], Judgement)] = &[
        ("two are silent", &[silent("a"), silent("b")], offline),
        (
            "one of three answers",
            &[silent("a"), silent("b"), witness("c", Far, Answered)],
            Judgement::AnchorsAnswer,
        ),
        ("one alone", &[silent("a")], Judgement::Open),
        (
            "one host twice is one",
            &[silent("a"), silent("a")],
            Judgement::Open,
        ),
        (
            "the one on our link does not speak for what is beyond it",
            &[silent("a"), silent("b"), witness("gw", Near, Answered)],
            offline,
        ),
        (
            "only near ones, and they answer",
            &[witness("gw", Near, Answered)],
            Judgement::AnchorsAnswer,
        ),
        (
            "only near ones, and they are silent",
            &[witness("gw", Near, Silent), witness("ns", Near, Silent)],
            offline,
        ),
        (
            "ours answers always",
            &[witness("lo", Here, SaysNothing)],
            Judgement::Open,
        ),
        (
            "names that do not resolve",
            &[witness("a", Far, NotResolved), witness("b", Far, NotResolved)],
            Judgement::Open,
        ),
        (
            "nobody was waited for",
            &[witness("a", Far, NotAsked)],
            Judgement::Open,
        ),
        ("there are none", &[], Judgement::Open),
    ];
    for (what, anchors, expected) in cases {
        assert_eq!(judge::judge(&grounds(anchors, &net)), *expected, "{what}");
    }
    let two = [silent("a"), silent("b")];
    let heard = Grounds {
        heard: true,
        ..grounds(&two, &net)
    };
    assert_eq!(judge::judge(&heard), Judgement::AnchorsContradicted);
    let discredited = Grounds {
        discredited: true,
        ..grounds(&two, &net)
    };
    assert_eq!(judge::judge(&discredited), Judgement::Open);
    let one = [silent("a")];
    let seconded = Grounds {
        silent_hosts: 1,
        ..grounds(&one, &net)
    };
    assert_eq!(
        judge::judge(&seconded),
        offline,
        "an unrelated dependency is the second witness"
    );
}

#[test]
fn the_kernel_proves_only_what_it_knows() {
    let judged = |network: &NetworkFacts, had_way_out| {
        judge::judge(&Grounds {
            had_way_out,
            ..grounds(&[], network)
        })
    };
    let up = network(true);
    assert_eq!(judged(&up, true), Judgement::Open);
    let down = network(false);
    assert_eq!(
        judged(&down, false),
        Judgement::Offline(OfflineBecause::LinksDown)
    );
    let mut no_route = network(true);
    no_route.default_routes.clear();
    assert_eq!(
        judged(&no_route, true),
        Judgement::Offline(OfflineBecause::NoWayOut)
    );
    assert_eq!(
        judged(&no_route, false),
        Judgement::Open,
        "it never had one: a network of its own, by intention"
    );
    let mut only_v6_lost = network(true);
    only_v6_lost.default_routes[0].ipv6 = false;
    assert_eq!(
        judged(&only_v6_lost, true),
        Judgement::Open,
        "the other family still has one"
    );
    let mut nothing_but_loopback = network(false);
    nothing_but_loopback.interfaces.retain(|one| one.loopback);
    assert_eq!(
        judged(&nothing_but_loopback, false),
        Judgement::Open,
        "it was made so, and no route says so"
    );
}

#[test]
fn what_an_outage_explains() {
    let address = |text: &str| Some(text.parse().expect("an address"));
    let up = network(true);
    let explains = |network: &NetworkFacts, at: &str| {
        judge::explains(OfflineBecause::Anchors, Some(network), address(at))
    };
    assert!(explains(&up, "192.0.2.1"));
    assert!(!explains(&up, "127.0.0.1"));
    assert!(!explains(&up, "10.9.0.2"), "one of our own addresses");
    assert!(!explains(&up, "10.9.0.77"), "on a link whose gateway answers");
    let mut deaf = network(true);
    deaf.default_routes[0].neighbour = Some(false);
    assert!(
        explains(&deaf, "10.9.0.77"),
        "not even the gateway is found on that link"
    );
    let mut no_carrier = network(true);
    no_carrier.interfaces[1].running = false;
    assert!(explains(&no_carrier, "10.9.0.77"));
    assert!(
        judge::explains(OfflineBecause::Anchors, Some(&up), None),
        "a name that did not resolve"
    );
    assert!(!judge::explains(
        OfflineBecause::Anchors,
        None,
        address("127.0.0.1")
    ));
}

#[test]
fn answers_refusals_and_protocol_errors_are_not_suspect() {
    for cause in [
        Cause::TcpRefusedRst,
        Cause::TlsCertExpired,
        Cause::Http503,
        Cause::DnsNxdomain,
        Cause::TcpClosedStale,
        Cause::AssertBody,
        Cause::LocalFdExhaustedProcess,
        Cause::CircuitOpen,
        Cause::Unknown,
    ] {
        assert!(!judge::is_suspect(cause), "{cause}");
    }
}

/// An anchor that answers in whatever way answers; one that could not be asked says nothing.
#[test]
fn an_anchors_attempt_is_read_for_what_came_back() {
    let anchor = dependency("anchor tcp://192.0.2.1:80", "192.0.2.1");
    let net = network(true);
    let meets = |phase, trouble, received| {
        let mut hop = Hop::new("tcp://192.0.2.1:80".into(), Role::Target);
        hop.address = Some(([192, 0, 2, 1], 80).into());
        hop.phases.add(phase, Duration::from_millis(1));
        hop.received = received;
        let attempt = Attempt {
            started: Wall::from_unix_secs(EPOCH),
            elapsed: Duration::from_millis(1),
            hops: vec![hop],
            stale_found: None,
            outcome: Outcome::Stopped(Box::new(Stop {
                phase: Some(phase),
                hop: Some(0),
                trouble,
                chain: Vec::new(),
            })),
        };
        judge::anchor(&anchor, Some(&attempt), Some(&net), Wall::from_unix_secs(EPOCH)).standing
    };
    let io = |errno| Trouble::Io {
        call: Call::Connect,
        errno,
    };
    assert_eq!(
        meets(Phase::Connect, Trouble::TimedOut(Budget::Phase), 0),
        AnchorStanding::Silent
    );
    assert_eq!(meets(Phase::Connect, io(101), 0), AnchorStanding::Silent);
    assert_eq!(meets(Phase::Connect, io(113), 0), AnchorStanding::Silent);
    assert_eq!(
        meets(Phase::Connect, io(111), 0),
        AnchorStanding::Answered,
        "a refusal came from there"
    );
    assert_eq!(
        meets(Phase::Tls, Trouble::TimedOut(Budget::Phase), 0),
        AnchorStanding::Answered,
        "hands were shaken"
    );
    assert_eq!(
        meets(Phase::FirstByte, Trouble::Closed, 0),
        AnchorStanding::Answered
    );
    assert_eq!(
        meets(Phase::Resolve, Trouble::NoAddress, 0),
        AnchorStanding::NotResolved
    );
    let emfile = Trouble::Io {
        call: Call::Socket,
        errno: 24,
    };
    assert_eq!(meets(Phase::Connect, emfile, 0), AnchorStanding::SaysNothing);
}
