//! Clocks that are off, clocks that are not, and certificates that are simply out of date.

use super::*;

use crate::model::attempt::{CertificateFacts, CertificateFault, Hop, Outcome, ResponseFacts, Role};

const DAY: i64 = 86_400;
const NOW: i64 = 1_795_478_400;

fn at(moment: u64, wall: i64) -> Now {
    Now {
        moment: Moment::from_secs(moment),
        wall: Wall::from_unix_secs(wall),
    }
}

fn attempt(fill: impl FnOnce(&mut Hop)) -> Attempt {
    let mut hop = Hop::new("https://host.example/".into(), Role::Target);
    hop.address = Some(([192, 0, 2, 1], 443).into());
    fill(&mut hop);
    Attempt {
        started: Wall::from_unix_secs(NOW),
        elapsed: Duration::from_millis(5),
        hops: vec![hop],
        stale_found: None,
        outcome: Outcome::Answered,
    }
}

fn says(wall: i64) -> Attempt {
    attempt(|hop| {
        hop.response = Some(Box::new(ResponseFacts {
            date: Some(Wall::from_unix_secs(wall)),
            ..ResponseFacts::default()
        }));
    })
}

/// A certificate that is good between those days from now, by that issuer.
fn shows(issuer: &str, from: i64, to: i64) -> Attempt {
    let (from, to) = (NOW + from * DAY, NOW + to * DAY);
    let kind = if to < NOW {
        Some(CertificateFaultKind::Expired)
    } else {
        (from > NOW).then_some(CertificateFaultKind::NotYetValid)
    };
    attempt(|hop| {
        hop.tls = Some(Box::new(TlsFacts {
            chain: vec![CertificateFacts {
                subject: "CN=host.example".into(),
                issuer: issuer.into(),
                serial: "1".into(),
                not_before: Wall::from_unix_secs(from),
                not_after: Wall::from_unix_secs(to),
                names: Vec::new(),
                is_ca: false,
                self_issued: false,
                signature_algorithm: "".into(),
                fingerprint: "".into(),
                needed: true,
                key: Default::default(),
            }],
            faults: kind
                .map(|kind| CertificateFault {
                    position: Some(0),
                    kind,
                    detail: "".into(),
                    completes_with: Box::default(),
                    issuer_url: None,
                })
                .into_iter()
                .collect(),
            ..TlsFacts::default()
        }));
    })
}

fn judged(hosts: &[(&str, Attempt)], seen: Now, now: Now) -> Judgement {
    let shown: Vec<(&str, Shown)> = hosts
        .iter()
        .map(|(name, attempt)| {
            let mut shown = Shown::default();
            shown.note(attempt, false, seen);
            (*name, shown)
        })
        .collect();
    judge(shown.iter().map(|(name, shown)| (*name, shown)), now)
}

fn now() -> Now {
    at(1000, NOW)
}

#[test]
fn hosts_that_agree_on_another_time_convict_our_clock() {
    let hour = 3600;
    let hosts = [
        ("a", says(NOW + hour)),
        ("b", says(NOW + hour + 2)),
        ("c", says(NOW + hour - 1)),
    ];
    assert_eq!(
        judged(&hosts, now(), now()),
        Judgement::Off {
            seconds: hour,
            hosts: 3
        }
    );
    assert_eq!(
        judged(&hosts[..2], now(), now()),
        Judgement::Open,
        "two are not enough"
    );
    let same = [
        ("a", says(NOW + hour)),
        ("a", says(NOW + hour)),
        ("a", says(NOW + hour)),
    ];
    assert_eq!(
        judged(&same, now(), now()),
        Judgement::Open,
        "one host three times is one"
    );
    let scattered = [
        ("a", says(NOW + hour)),
        ("b", says(NOW + 5 * hour)),
        ("c", says(NOW - 9 * hour)),
    ];
    assert_eq!(
        judged(&scattered, now(), now()),
        Judgement::Open,
        "their clocks are off, each by itself"
    );
    let one_off = [
        ("a", says(NOW)),
        ("b", says(NOW + 1)),
        ("c", says(NOW + 9 * hour)),
    ];
    assert_eq!(judged(&one_off, now(), now()), Judgement::Open);
}

#[test]
fn certificates_that_are_good_at_one_other_time_convict_our_clock() {
    let expired = [
        ("a", shows("CA 1", -400, -30)),
        ("b", shows("CA 2", -100, -10)),
        ("c", shows("CA 3", -365, -1)),
    ];
    let Judgement::Between { from, to, hosts: 3 } = judged(&expired, now(), now()) else {
        panic!("{:?}", judged(&expired, now(), now()));
    };
    assert_eq!(
        (from.unix_secs(), to.unix_secs()),
        (NOW - 100 * DAY, NOW - 30 * DAY)
    );
    let early = [
        ("a", shows("CA 1", 10, 400)),
        ("b", shows("CA 2", 1, 90)),
        ("c", shows("CA 3", 30, 60)),
    ];
    assert!(matches!(judged(&early, now(), now()), Judgement::Between { .. }));
}

#[test]
fn certificates_that_are_simply_out_of_date_stay_so() {
    let one = [
        ("a", shows("CA 1", -400, -30)),
        ("b", shows("CA 2", -9, 90)),
        ("c", shows("CA 3", -9, 90)),
    ];
    assert_eq!(
        judged(&one, now(), now()),
        Judgement::Open,
        "one host is never our clock"
    );
    let one_issuer = [
        ("a", shows("CA", -400, -30)),
        ("b", shows("CA", -400, -30)),
        ("c", shows("CA", -400, -30)),
    ];
    assert_eq!(
        judged(&one_issuer, now(), now()),
        Judgement::Open,
        "their renewal has stopped"
    );
    // Three that were forgotten, beside one that was renewed after they had ended: no time is good for all.
    let forgotten = [
        ("a", shows("CA 1", -900, -500)),
        ("b", shows("CA 2", -800, -400)),
        ("c", shows("CA 3", -700, -300)),
        ("d", shows("CA 4", -20, 70)),
    ];
    assert_eq!(judged(&forgotten, now(), now()), Judgement::Open);
    // Three that ended before another one of them began.
    let apart = [
        ("a", shows("CA 1", -900, -500)),
        ("b", shows("CA 2", -400, -300)),
        ("c", shows("CA 3", -200, -100)),
    ];
    assert_eq!(judged(&apart, now(), now()), Judgement::Open);
    // A host whose clock agrees with ours settles it.
    let witness = [
        ("a", shows("CA 1", -400, -30)),
        ("b", shows("CA 2", -100, -10)),
        ("c", shows("CA 3", -365, -1)),
        ("d", says(NOW + 2)),
    ];
    assert_eq!(judged(&witness, now(), now()), Judgement::Open);
}

#[test]
fn an_old_word_says_nothing_and_neither_does_one_from_before_a_step() {
    let hosts = [("a", says(NOW)), ("b", says(NOW)), ("c", says(NOW))];
    let shown: Vec<(&str, Shown)> = hosts
        .iter()
        .map(|(name, attempt)| {
            let mut shown = Shown::default();
            shown.note(attempt, false, now());
            (*name, shown)
        })
        .collect();
    let dates = |now: Now| shown.iter().filter_map(|(_, shown)| shown.date(now)).count();
    assert_eq!(dates(at(1100, NOW + 100)), 3);
    assert_eq!(
        dates(at(1100, NOW + 100 + 365 * DAY)),
        0,
        "the wall clock has stepped, or the machine slept"
    );
    assert_eq!(dates(at(3000, NOW + 2000)), 0, "too long ago");
    let mut own = Shown::default();
    own.note(&says(NOW + 3600), true, now());
    assert_eq!(own.date(now()), None, "this host's own answer has our clock");
}
