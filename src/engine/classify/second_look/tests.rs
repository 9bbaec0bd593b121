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

#[test]
fn an_url_that_answers_is_the_fix() {
    let mut confirmation = look(ConfirmationResult::ClientHello { spoke_tls: true });
    confirmation.evidence.set("answers_at", "https://h:80/x");
    confirmation.evidence.set("answers_with", 401_u16);
    let after = confirmed(failure(Cause::HttpTlsPeer, &[]), &HELLO, &confirmation);
    assert!(
        after.fix.starts_with("ask for https://h:80/x: it answers 401"),
        "{}",
        after.fix
    );

    let plain = ConfirmationResult::OtherScheme {
        url: "http://h/x".into(),
        status: Some(200),
    };
    let after = confirmed(
        failure(Cause::TlsPlaintextPeer, &[]),
        &ConfirmationKind::PlainHttp { path: true },
        &look(plain),
    );
    assert_eq!(after.confidence, Confidence::Confirmed);
    assert!(
        after.fix.starts_with("ask for http://h/x: it answers 200"),
        "{}",
        after.fix
    );
    let silent = ConfirmationResult::OtherScheme {
        url: "http://h/x".into(),
        status: None,
    };
    let after = confirmed(
        failure(Cause::TlsPlaintextPeer, &[]),
        &ConfirmationKind::PlainHttp { path: true },
        &look(silent),
    );
    assert_eq!((&*after.fix, after.confidence), ("before", Confidence::Likely));

    // A peer that says nothing to a ClientHello may be a plain server that waits for the end of a request.
    let kind = ConfirmationKind::PlainHttp { path: false };
    let asked = |status| {
        let answer = ConfirmationResult::OtherScheme {
            url: "http://h/".into(),
            status: Some(status),
        };
        confirmed(failure(Cause::TlsTimedOut, &[]), &kind, &look(answer))
    };
    assert_eq!(asked(404).cause, Cause::TlsPlaintextPeer);
    // And may be a TLS server that says so.
    assert_eq!(asked(400).cause, Cause::TlsTimedOut);
}

#[test]
fn what_a_peer_does_to_one_who_asks_nothing_tells_why_it_ended_a_connection() {
    let heard = |failure: Failure, alert: Option<u8>, ended: bool| {
        let kind = ConfirmationKind::LateAlert(([127, 0, 0, 1], 1).into());
        confirmed(
            failure,
            &kind,
            &look(ConfirmationResult::LateAlert { alert, ended }),
        )
    };
    let supposed = || failure(Cause::TlsClientCertRequired, &[Cause::TcpResetAfterAccept]);
    let empty = || failure(Cause::HttpEmptyResponse, &[Cause::TlsClientCertRequired]);
    for before in [supposed(), empty()] {
        let after = heard(before, Some(116), true);
        assert_eq!(
            (after.cause, after.confidence, after.alternatives.len()),
            (Cause::TlsClientCertRequired, Confidence::Confirmed, 0)
        );
    }
    let after = heard(empty(), None, true);
    assert_eq!(after.cause, Cause::TlsClientCertRequired);
    assert_eq!(after.alternatives, [Cause::HttpEmptyResponse]);
    // It waits for a request: the handshake was not why.
    let after = heard(supposed(), None, false);
    assert_eq!(after.cause, Cause::TcpResetAfterAccept);
    assert_eq!(after.alternatives, [Cause::TlsClientCertRequired]);
    let after = heard(empty(), None, false);
    assert_eq!(
        (after.cause, after.alternatives.len()),
        (Cause::HttpEmptyResponse, 0)
    );
}

#[test]
fn the_difference_that_a_server_cares_about_is_the_fix() {
    use crate::model::attempt::{Variation, Varied};
    let varied = |tried: &[(Varied, Option<u16>)]| {
        let tried = tried.iter().map(|(varied, status)| Variation {
            varied: *varied,
            status: *status,
        });
        let kind = ConfirmationKind::AsBrowser { refused: 403 };
        let result = ConfirmationResult::Varied(tried.collect());
        confirmed(failure(Cause::Http4xx, &[]), &kind, &look(result))
    };
    let agent = varied(&[(Varied::Nothing, Some(403)), (Varied::UserAgent, Some(200))]);
    assert_eq!(agent.cause, Cause::Http4xx);
    assert_eq!(agent.confidence, Confidence::Confirmed);
    assert_eq!(agent.evidence.get("refused_for"), Some(&"user_agent".into()));
    assert!(agent.fix.contains("refuses our User-Agent"), "{}", agent.fix);
    let none = varied(&[
        (Varied::Nothing, Some(403)),
        (Varied::UserAgent, Some(403)),
        (Varied::Everything, None),
    ]);
    assert_eq!(
        (&*none.fix, none.evidence.get("browser_would_differ")),
        ("before", Some(&false.into()))
    );
    let flaky = varied(&[(Varied::Nothing, Some(200))]);
    assert_eq!(flaky.evidence.get("comes_and_goes"), Some(&true.into()));
    assert_eq!(&*flaky.fix, "before");
    // Another refusal is no success.
    assert_eq!(
        &*varied(&[(Varied::Nothing, Some(403)), (Varied::Accept, Some(406))]).fix,
        "before"
    );
}

mod addresses {
    use super::*;
    use crate::model::looks::{AddressTrial, AddressesAsked, Depth, Trial};

    const OLD: Cause = Cause::Http503;

    fn asked(trials: &[(&str, Trial)]) -> Confirmation {
        let trials = trials.iter().map(|(address, verdict)| AddressTrial {
            address: address.parse().expect("an address"),
            asked: 2,
            answered: if *verdict == Trial::Works { 2 } else { 0 },
            elapsed: Duration::from_millis(1),
            status: None,
            certificate: None,
            attempts: vec![],
            verdict: *verdict,
        });
        look(ConfirmationResult::EveryAddress(Box::new(AddressesAsked {
            name: "shop.example".into(),
            depth: Depth::Probe,
            trials: trials.collect(),
            left_out: 0,
        })))
    }

    fn at(address: &str) -> Failure {
        let mut failure = failure(OLD, &[]);
        failure.evidence.set("address", address);
        failure
    }

    fn after(address: &str, trials: &[(&str, Trial)]) -> Failure {
        confirmed(at(address), &HELLO, &asked(trials))
    }

    const V4: [&str; 2] = ["192.0.2.1:80", "192.0.2.2:80"];
    const V6: [&str; 2] = ["[2001:db8::1]:80", "[2001:db8::2]:80"];
    const FAILS: Trial = Trial::Fails(OLD);

    #[test]
    fn a_part_that_fails_is_the_cause() {
        let one = after(V4[0], &[(V4[0], FAILS), (V4[1], Trial::Works)]);
        assert_eq!(
            (one.cause, one.confidence),
            (Cause::AddressPartial, Confidence::Confirmed)
        );
        assert_eq!(one.evidence.get("inner_cause"), Some(&"http.error.503".into()));
        assert!(
            one.fix.contains("192.0.2.1") && !one.fix.contains("192.0.2.2"),
            "{}",
            one.fix
        );
        let family = [(V6[0], FAILS), (V6[1], FAILS), (V4[0], Trial::Works)];
        assert_eq!(after(V6[0], &family).cause, Cause::AddressIpv6Broken);
        let family = [(V4[0], FAILS), (V6[1], Trial::Works)];
        assert_eq!(after(V4[0], &family).cause, Cause::AddressIpv4Broken);
        let mixed = [(V4[0], FAILS), (V6[0], FAILS), (V4[1], Trial::Works)];
        assert_eq!(after(V4[0], &mixed).cause, Cause::AddressPartial);
    }

    #[test]
    fn what_else_an_address_may_show_changes_nothing() {
        let no_route = Trial::Fails(Cause::TcpNoRoute);
        let rows: &[(&str, &[(&str, Trial)])] = &[
            ("all fail", &[(V4[0], FAILS), (V4[1], FAILS)]),
            ("it works by now", &[(V4[0], Trial::Works), (V4[1], Trial::Works)]),
            (
                "once this, once that",
                &[(V4[0], Trial::Unsettled), (V4[1], Trial::Works)],
            ),
            ("another one fails", &[(V4[0], Trial::Works), (V4[1], FAILS)]),
            ("no route of ours", &[(V4[0], no_route), (V6[0], Trial::Works)]),
        ];
        for (what, trials) in rows {
            let after = after(V4[0], trials);
            assert_eq!(after.cause, OLD, "{what}");
            assert_eq!(&*after.fix, "before", "{what}");
            assert!(after.evidence.get("addresses_asked").is_some(), "{what}");
        }
    }

    #[test]
    fn a_survey_finds_the_part_and_not_our_own_routing() {
        let of = |trials: &[(&str, Trial)]| {
            let ConfirmationResult::EveryAddress(asked) = asked(trials).result else {
                panic!("not what was made");
            };
            every_address::surveyed(&asked).map(|finding| finding.id)
        };
        let some = [(V4[0], FAILS), (V4[1], Trial::Works)];
        assert_eq!(of(&some), Some(FindingId::AddressPartial));
        let v6 = [(V6[0], FAILS), (V4[1], Trial::Works)];
        assert_eq!(of(&v6), Some(FindingId::AddressIpv6Broken));
        let ours = [(V6[0], Trial::Fails(Cause::TcpNoRoute)), (V4[1], Trial::Works)];
        assert_eq!(of(&ours), None);
        assert_eq!(of(&[(V4[0], Trial::Works), (V4[1], Trial::Works)]), None);
    }
}

mod names {
    use super::*;
    use crate::model::looks::{AddressTrial, NameSource, NamesCompared, Said, SourceAnswers, Trial};
    use crate::model::time::Wall;

    fn source(source: NameSource, addresses: &[&str]) -> SourceAnswers {
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
            ttl: None,
            serial: None,
            says_stale: false,
            aaaa_stalled: false,
            answers: vec![],
            error: None,
            before: vec![],
        }
    }

    fn compared(sources: Vec<SourceAnswers>, trials: &[(&str, Trial)]) -> Confirmation {
        let trials = trials.iter().map(|(address, verdict)| AddressTrial {
            address: address.parse().expect("an address"),
            asked: 2,
            answered: if *verdict == Trial::Works { 2 } else { 0 },
            elapsed: Duration::from_millis(1),
            status: None,
            certificate: None,
            attempts: vec![],
            verdict: *verdict,
        });
        look(ConfirmationResult::NamesCompared(Box::new(NamesCompared {
            name: "shop.example".into(),
            at: Wall::from_unix_secs(1_795_478_400),
            own_name: false,
            system_resolver: "getaddrinfo of a test",
            sources,
            trials: trials.collect(),
        })))
    }

    const SERVERS: [NameSource; 2] = [
        NameSource::Nameserver(std::net::SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
            53,
        )),
        NameSource::Nameserver(std::net::SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
            53,
        )),
    ];
    const OLD: &str = "192.0.2.1";
    const NEW: &str = "192.0.2.2";
    const REFUSED: Trial = Trial::Fails(Cause::TcpRefusedRst);

    #[test]
    fn a_hosts_file_that_leads_to_nothing_is_the_cause() {
        let mut before = failure(Cause::TcpRefusedRst, &[]);
        before.evidence.set("address", "192.0.2.1:80");
        let sources = || vec![source(NameSource::HostsFile, &[OLD]), source(SERVERS[0], &[NEW])];
        let harm = compared(
            sources(),
            &[("192.0.2.1:80", REFUSED), ("192.0.2.2:80", Trial::Works)],
        );
        let after = confirmed(before.clone(), &HELLO, &harm);
        assert_eq!(
            (after.cause, after.confidence),
            (Cause::DnsMismatchHostsFile, Confidence::Confirmed)
        );
        assert_eq!(after.evidence.get("inner_cause"), Some(&"tcp.refused.rst".into()));
        assert!(after.fix.contains("/etc/hosts"), "{}", after.fix);
        // Where the nameserver's address fails as well, the override is not why.
        let both = compared(sources(), &[("192.0.2.1:80", REFUSED), ("192.0.2.2:80", REFUSED)]);
        let after = confirmed(before, &HELLO, &both);
        assert_eq!(after.cause, Cause::TcpRefusedRst);
        assert_eq!(after.alternatives, [Cause::DnsMismatchHostsFile]);
    }

    #[test]
    fn a_nameserver_that_denies_what_another_has_is_the_cause() {
        let sources = vec![source(SERVERS[0], &[]), source(SERVERS[1], &[NEW])];
        let after = confirmed(failure(Cause::DnsNxdomain, &[]), &HELLO, &compared(sources, &[]));
        assert_eq!(after.cause, Cause::DnsMismatchSplitHorizon);
        assert_eq!(after.evidence.get("differs"), Some(&"10.0.0.1:53".into()));
        let sources = vec![source(SERVERS[0], &[]), source(SERVERS[1], &[])];
        let after = confirmed(failure(Cause::DnsNxdomain, &[]), &HELLO, &compared(sources, &[]));
        assert_eq!(after.cause, Cause::DnsNxdomain);
        assert!(
            after.evidence.get("sources").is_some(),
            "what was ruled out is shown"
        );
    }

    #[test]
    fn silence_about_one_family_is_told_from_a_silent_nameserver() {
        let mut stalls = source(SERVERS[0], &[NEW]);
        stalls.aaaa_stalled = true;
        let look = compared(vec![stalls], &[]);
        let after = confirmed(failure(Cause::DnsTimedOut, &[]), &HELLO, &look);
        assert_eq!(
            (after.cause, after.confidence),
            (Cause::DnsAaaaStalled, Confidence::Confirmed)
        );
        let other = confirmed(failure(Cause::TcpRefusedRst, &[]), &HELLO, &look);
        assert_eq!(other.cause, Cause::TcpRefusedRst);
    }
}
