//! Sources that differ and are well, and sources that contradict each other.

use std::net::SocketAddr;

use super::*;
use crate::model::looks::{AddressTrial, SeenAddress};
use crate::model::time::Wall;

const HOSTS: NameSource = NameSource::HostsFile;
const SYSTEM: NameSource = NameSource::System;
const NOW: Wall = Wall::from_unix_secs(1_795_478_400);

fn server(last: u8) -> NameSource {
    NameSource::Nameserver(([10, 0, 0, last], 53).into())
}

fn gives(source: NameSource, addresses: &[&str]) -> SourceAnswers {
    SourceAnswers {
        source,
        said: match addresses {
            [] => Said::Denied,
            _ => Said::Addresses,
        },
        addresses: addresses
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect(),
        varies: false,
        ttl: Some(Duration::from_secs(60)),
        serial: None,
        says_stale: false,
        aaaa_stalled: false,
        answers: Vec::new(),
        error: None,
        before: Vec::new(),
    }
}

/// Gave them formerly, the last time so long ago.
fn gave(mut source: SourceAnswers, addresses: &[&str], seconds_ago: i64) -> SourceAnswers {
    let at = Wall::from_unix_secs(NOW.unix_secs() - seconds_ago);
    source.before.extend(addresses.iter().map(|ip| SeenAddress {
        address: ip.parse().expect("an address"),
        first: at,
        last: at,
    }));
    source
}

fn trial(ip: &str, works: bool) -> AddressTrial {
    AddressTrial {
        address: SocketAddr::new(ip.parse().expect("an address"), 443),
        asked: 2,
        answered: if works { 2 } else { 0 },
        elapsed: Duration::from_millis(2),
        status: None,
        certificate: None,
        attempts: Vec::new(),
        verdict: match works {
            true => Trial::Works,
            false => Trial::Fails(Cause::TcpRefusedRst),
        },
    }
}

fn compared(sources: Vec<SourceAnswers>, trials: &[(&str, bool)]) -> NamesCompared {
    NamesCompared {
        name: "shop.example".into(),
        at: NOW,
        own_name: false,
        system_resolver: "getaddrinfo of a test",
        sources,
        trials: trials.iter().map(|(ip, works)| trial(ip, *works)).collect(),
    }
}

const ONE: &[&str] = &["203.0.113.1"];
const TWO: &[&str] = &["203.0.113.2"];
const INSIDE: &[&str] = &["10.1.2.3"];

fn varying(mut source: SourceAnswers) -> SourceAnswers {
    source.varies = true;
    source
}

#[test]
fn differences_that_are_well() {
    let both_work = [("203.0.113.1", true), ("203.0.113.2", true)];
    let rows: Vec<(&str, NamesCompared)> = vec![
        ("nobody to compare", compared(vec![gives(server(1), ONE)], &[])),
        (
            "all the same",
            compared(vec![gives(SYSTEM, ONE), gives(server(1), ONE)], &[]),
        ),
        (
            "the hosts file has what DNS has",
            compared(
                vec![gives(HOSTS, ONE), gives(SYSTEM, ONE), gives(server(1), ONE)],
                &[],
            ),
        ),
        (
            "only the hosts file has the name",
            compared(
                vec![gives(HOSTS, INSIDE), gives(SYSTEM, INSIDE), gives(server(1), &[])],
                &[],
            ),
        ),
        (
            "the hosts file has one address of several",
            compared(
                vec![
                    gives(HOSTS, ONE),
                    gives(server(1), &["203.0.113.1", "203.0.113.2"]),
                ],
                &[],
            ),
        ),
        (
            "the hosts file pins one of a list that rotates, and it works",
            compared(
                vec![gives(HOSTS, ONE), varying(gives(server(1), TWO))],
                &both_work,
            ),
        ),
        (
            "the hosts file pins what DNS gave at another time",
            compared(
                vec![gives(HOSTS, ONE), gave(gives(server(1), TWO), ONE, 600)],
                &both_work,
            ),
        ),
        (
            "the hosts file has the other family",
            compared(vec![gives(HOSTS, &["2001:db8::1"]), gives(server(1), ONE)], &[]),
        ),
        (
            "a CDN gives each nameserver its own, and they work",
            compared(
                vec![gives(SYSTEM, ONE), gives(server(1), ONE), gives(server(2), TWO)],
                &both_work,
            ),
        ),
        (
            "a list that rotates has a dead address",
            compared(
                vec![varying(gives(server(1), ONE)), varying(gives(server(2), TWO))],
                &[("203.0.113.1", false), ("203.0.113.2", true)],
            ),
        ),
        (
            "they met before",
            compared(
                vec![gave(gives(server(1), ONE), TWO, 30), gives(server(2), TWO)],
                &[("203.0.113.1", false), ("203.0.113.2", true)],
            ),
        ),
        (
            "one has moved on a moment ago",
            compared(
                vec![
                    gave(gave(gives(server(1), TWO), ONE, 60), TWO, 30),
                    gives(server(2), ONE),
                ],
                &[],
            ),
        ),
        (
            "one nameserver is silent",
            compared(
                vec![gives(SYSTEM, ONE), gives(server(1), ONE), {
                    let mut silent = gives(server(2), &[]);
                    silent.said = Said::Nothing;
                    silent
                }],
                &[],
            ),
        ),
        (
            "one nameserver leaves IPv6 out",
            compared(
                vec![
                    gives(server(1), &["203.0.113.1", "2001:db8::1"]),
                    gives(server(2), ONE),
                ],
                &[],
            ),
        ),
        (
            "neither side works",
            compared(
                vec![gives(server(1), ONE), gives(server(2), TWO)],
                &[("203.0.113.1", false), ("203.0.113.2", false)],
            ),
        ),
        ("this host's own name", {
            let mut own = compared(vec![gives(HOSTS, &["127.0.1.1"]), gives(server(1), ONE)], &[]);
            own.own_name = true;
            own
        }),
    ];
    for (what, compared) in rows {
        let found = judge(&compared);
        assert!(
            found.is_none(),
            "{what}: {:?}",
            found.map(|found| found.finding())
        );
    }
}

#[test]
fn contradictions() {
    let one_fails = [("203.0.113.1", false), ("203.0.113.2", true)];
    let with_serial = |source, serial| SourceAnswers {
        serial: Some(serial),
        ..source
    };
    use Cause::{DnsMismatchHostsFile, DnsMismatchSplitHorizon, DnsMismatchStale};
    use Confidence::{Confirmed, Likely};
    let rows: Vec<(&str, NamesCompared, Cause, Confidence, bool)> = vec![
        (
            "the hosts file overrules DNS",
            compared(
                vec![gives(HOSTS, ONE), gives(SYSTEM, ONE), gives(server(1), TWO)],
                &[],
            ),
            DnsMismatchHostsFile,
            Confirmed,
            false,
        ),
        (
            "and leads to nothing",
            compared(
                vec![gives(HOSTS, ONE), gives(SYSTEM, ONE), gives(server(1), TWO)],
                &one_fails,
            ),
            DnsMismatchHostsFile,
            Confirmed,
            true,
        ),
        (
            "one of a list that rotates, and dead",
            compared(
                vec![gives(HOSTS, ONE), varying(gives(server(1), TWO))],
                &one_fails,
            ),
            DnsMismatchHostsFile,
            Confirmed,
            true,
        ),
        (
            "one nameserver denies the name",
            compared(vec![gives(server(1), &[]), gives(server(2), ONE)], &[]),
            DnsMismatchSplitHorizon,
            Confirmed,
            false,
        ),
        (
            "an inner view and an outer one",
            compared(vec![gives(server(1), INSIDE), gives(server(2), ONE)], &[]),
            DnsMismatchSplitHorizon,
            Likely,
            false,
        ),
        (
            "one leads to addresses that fail",
            compared(vec![gives(server(1), ONE), gives(server(2), TWO)], &one_fails),
            DnsMismatchSplitHorizon,
            Likely,
            true,
        ),
        (
            "and says itself that it is stale",
            compared(
                vec![
                    SourceAnswers {
                        says_stale: true,
                        ..gives(server(1), ONE)
                    },
                    gives(server(2), TWO),
                ],
                &one_fails,
            ),
            DnsMismatchStale,
            Likely,
            true,
        ),
        (
            "an older serial number",
            compared(
                vec![
                    with_serial(gives(server(1), ONE), 7),
                    with_serial(gives(server(2), TWO), 8),
                ],
                &[],
            ),
            DnsMismatchStale,
            Confirmed,
            false,
        ),
        (
            "what the other gave formerly",
            compared(
                vec![
                    gave(gave(gives(server(1), TWO), ONE, 7200), TWO, 600),
                    gives(server(2), ONE),
                ],
                &[],
            ),
            DnsMismatchStale,
            Confirmed,
            false,
        ),
        (
            "the system's resolver lags behind",
            compared(
                vec![
                    gives(SYSTEM, ONE),
                    gave(gave(gives(server(1), TWO), ONE, 7200), TWO, 600),
                ],
                &[],
            ),
            DnsMismatchStale,
            Confirmed,
            false,
        ),
        (
            "the system's resolver leads to nothing",
            compared(vec![gives(SYSTEM, ONE), gives(server(1), TWO)], &one_fails),
            DnsMismatchStale,
            Likely,
            true,
        ),
        (
            "the system's resolver is not told to ask",
            compared(vec![gives(SYSTEM, &[]), gives(server(1), ONE)], &[]),
            DnsMismatchSplitHorizon,
            Confirmed,
            false,
        ),
    ];
    for (what, compared, cause, confidence, harmful) in rows {
        let found = judge(&compared).unwrap_or_else(|| panic!("{what}: nothing found"));
        assert_eq!(found.cause(), cause, "{what}");
        assert_eq!(found.confidence, confidence, "{what}");
        assert_eq!(found.is_harmful, harmful, "{what}");
        let finding = found.finding();
        assert_eq!(finding.id.id(), cause.id(), "{what}");
        assert!(finding.fix.contains("shop.example"), "{what}: {}", finding.fix);
        let Some(Value::List(sources)) = finding.evidence.get("sources") else {
            panic!("{what}: no sources in the evidence");
        };
        assert_eq!(sources.len(), compared.sources.len(), "{what}");
    }
}

#[test]
fn serial_numbers_wrap_around() {
    assert!(is_before(1, 2) && !is_before(2, 1) && !is_before(2, 2));
    assert!(is_before(u32::MAX, 0) && !is_before(0, u32::MAX));
}

#[test]
fn another_certificate_is_shown_beside_the_right_one() {
    let mut compared = compared(
        vec![gives(HOSTS, ONE), gives(server(1), TWO)],
        &[("203.0.113.1", false), ("203.0.113.2", true)],
    );
    compared.trials[0].certificate = Some("aa".into());
    compared.trials[1].certificate = Some("bb".into());
    let evidence = judge(&compared).expect("a mismatch").evidence();
    assert_eq!(evidence.get("certificate_sha256"), Some(&"aa".into()));
    assert_eq!(evidence.get("certificate_sha256_elsewhere"), Some(&"bb".into()));
}
