//! Several addresses, and findings of attempts that answered.

use super::super::errno::*;
use super::*;
use crate::model::cause::FindingId;
use crate::model::evidence::Value;

fn failed_hop(text: &str, trouble: Trouble, took: Duration) -> Hop {
    let mut hop = hop();
    hop.address = Some(address(text));
    hop.phases.add(Phase::Connect, took);
    hop.stop = Some(Box::new(stop(Phase::Connect, trouble)));
    hop
}

fn connect_error(errno: i32) -> Trouble {
    Trouble::Io {
        call: Call::Connect,
        errno,
    }
}

const MS: Duration = Duration::from_millis(1);

/// The attempt's own stop comes last, after these hops.
fn after(mut case: Case, before: Vec<Hop>) -> Case {
    let extra: Duration = before.iter().map(|hop| hop.phases.sum()).sum();
    let count = before.len();
    case.attempt.elapsed += extra;
    case.attempt.hops.splice(0..0, before);
    if let Outcome::Stopped(stop) = &mut case.attempt.outcome {
        stop.hop = Some(u16::try_from(count).expect("few hops"));
    }
    case
}

fn answered(before: Vec<Hop>, working: &str, all: &[&str]) -> Case {
    let mut case = after(case(Phase::Body, Trouble::Closed).at("192.0.2.1:80"), before);
    let last = case.attempt.hops.last_mut().expect("the working one");
    last.address = Some(address(working));
    let mut named = resolution(vec![]);
    named.addresses = all.iter().map(|ip| ip.parse().expect("an address")).collect();
    case.attempt.hops[0].resolution = Some(Box::new(named));
    case.attempt.outcome = Outcome::Answered;
    case
}

#[test]
fn the_address_that_explains_is_reported() {
    let refused = || connect_error(ECONNREFUSED);
    let v6_unrouted = || failed_hop("[2001:db8::7]:80", connect_error(ENETUNREACH), MS / 100);
    let silent = || {
        let trouble = Trouble::TimedOut(Budget::Phase);
        failed_hop("192.0.2.8:80", trouble, Duration::from_secs(3))
    };
    let own = |trouble: Trouble| case(Phase::Connect, trouble);
    let rows = [
        (
            "no IPv6 here explains nothing",
            after(own(refused()), vec![v6_unrouted()]),
            Cause::TcpRefusedRst,
        ),
        (
            "whatever the order",
            after(
                own(connect_error(ENETUNREACH)).at("[2001:db8::7]:80").hop(|hop| {
                    hop.phases = Default::default();
                    hop.phases.add(Phase::Connect, MS / 100);
                }),
                vec![failed_hop("192.0.2.7:80", refused(), MS)],
            ),
            Cause::TcpRefusedRst,
        ),
        (
            "a refusal says more than silence",
            after(own(refused()), vec![silent()]),
            Cause::TcpRefusedRst,
        ),
        (
            "our own limit says most",
            after(
                own(refused()),
                vec![failed_hop("192.0.2.9:80", connect_error(EMFILE), MS)],
            ),
            Cause::LocalFdExhaustedProcess,
        ),
        (
            "what got further says more",
            after(
                case(Phase::Tls, Trouble::Tls(TlsTrouble::AlertReceived(112))),
                vec![failed_hop("192.0.2.9:80", refused(), MS)],
            ),
            Cause::TlsUnrecognizedName,
        ),
        (
            "no route anywhere",
            after(own(connect_error(EINVAL)), vec![v6_unrouted()]),
            Cause::TcpNoRoute,
        ),
    ];
    for (what, case, cause) in rows {
        let failure = case.classify();
        assert_eq!(failure.cause, cause, "{what}");
        let Some(Value::List(addresses)) = failure.evidence.get("addresses") else {
            panic!("{what}: the addresses are not in the evidence");
        };
        assert_eq!(addresses.len(), 2, "{what}");
    }
}

#[test]
fn silence_on_every_address_is_a_connect_timeout_and_no_deadline() {
    let silent = || Trouble::TimedOut(Budget::Phase);
    let three = Duration::from_secs(3);
    let before = vec![
        failed_hop("192.0.2.8:80", silent(), three),
        failed_hop("192.0.2.9:80", silent(), three),
    ];
    let case = after(timeout(Phase::Connect, Budget::Attempt), before);
    assert_eq!(case.classify().cause, Cause::TcpTimedOut);
}

#[test]
fn a_family_that_eats_the_time_is_the_cause() {
    let silent = failed_hop(
        "[2001:db8::7]:80",
        Trouble::TimedOut(Budget::Phase),
        Duration::from_secs(8),
    );
    let failure = after(timeout(Phase::FirstByte, Budget::Attempt), vec![silent]).classify();
    assert_eq!(failure.cause, Cause::AddressIpv6Broken);
    assert_eq!(failure.alternatives, [Cause::DeadlineExceeded]);
    assert_eq!(evidence(&failure, "inner_cause"), "tcp.timed_out");
    assert_eq!(evidence(&failure, "working"), "192.0.2.7:80");
    assert_eq!(failure.speed, Speed::Slow);
}

#[test]
fn addresses_that_fail_behind_an_answer_are_findings() {
    let refused = |text| failed_hop(text, connect_error(ECONNREFUSED), MS);
    let rows: [(&str, Case, Option<FindingId>); 6] = [
        (
            "ipv6",
            answered(
                vec![refused("[2001:db8::7]:80")],
                "192.0.2.7:80",
                &["2001:db8::7", "192.0.2.7"],
            ),
            Some(FindingId::AddressIpv6Broken),
        ),
        (
            "ipv4",
            answered(
                vec![refused("192.0.2.7:80")],
                "[2001:db8::7]:80",
                &["192.0.2.7", "2001:db8::7"],
            ),
            Some(FindingId::AddressIpv4Broken),
        ),
        (
            "one of two",
            answered(
                vec![refused("192.0.2.6:80")],
                "192.0.2.7:80",
                &["192.0.2.6", "192.0.2.7"],
            ),
            Some(FindingId::AddressPartial),
        ),
        (
            "one of the family, the rest untried",
            answered(
                vec![refused("[2001:db8::7]:80")],
                "192.0.2.7:80",
                &["2001:db8::7", "192.0.2.7", "2001:db8::8"],
            ),
            Some(FindingId::AddressPartial),
        ),
        (
            "only that we have no IPv6",
            answered(
                vec![failed_hop(
                    "[2001:db8::7]:80",
                    connect_error(ENETUNREACH),
                    MS / 100,
                )],
                "192.0.2.7:80",
                &["2001:db8::7", "192.0.2.7"],
            ),
            None,
        ),
        (
            "nothing failed",
            answered(vec![], "192.0.2.7:80", &["192.0.2.7"]),
            None,
        ),
    ];
    for (what, case, expected) in rows {
        let findings = case.findings();
        let ids: Vec<FindingId> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, Vec::from_iter(expected), "{what}");
        for finding in &findings {
            assert_eq!(
                finding.evidence.get("inner_cause"),
                Some(&"tcp.refused.rst".into()),
                "{what}"
            );
            assert!(!finding.fix.is_empty(), "{what}");
        }
    }
}

fn with_tls(days_left: i64, days_lived: i64, extra: Option<CertificateFacts>) -> Case {
    let mut case = answered(vec![], "192.0.2.7:443", &[]);
    let mut certificate = leaf(Wall::from_unix_secs(NOW.unix_secs() + days_left * DAY));
    certificate.not_before = Wall::from_unix_secs(NOW.unix_secs() - days_lived * DAY);
    let mut chain = vec![certificate];
    chain.extend(extra);
    case.attempt.hops[0].tls = Some(Box::new(TlsFacts {
        finished: true,
        chain,
        server_name: Some("shop.example".into()),
        ..TlsFacts::default()
    }));
    case
}

#[test]
fn certificates_that_end_soon_are_findings() {
    let rows = [
        ("twenty days of ninety", 20, 70, true),
        ("thirty days of ninety", 30, 60, false),
        ("six days of seven", 6, 1, false),
        ("two days of seven", 2, 5, true),
    ];
    for (what, left, lived, expected) in rows {
        let findings = with_tls(left, lived, None).findings();
        let found = findings.iter().any(|f| f.id == FindingId::TlsCertExpiring);
        assert_eq!(found, expected, "{what}");
    }
    let finding = with_tls(20, 70, None).findings().remove(0);
    assert_eq!(
        &*finding.fix,
        "renew the certificate of shop.example (leaf, expires in 20 days)"
    );
    assert_eq!(finding.evidence.get("days_left"), Some(&20_i64.into()));
}

#[test]
fn certificates_that_nobody_needs_are_a_finding() {
    let far = NOW + Duration::from_secs(900 * 86_400);
    let mut root = leaf(far);
    root.needed = false;
    let ids = |case: Case| case.findings().iter().map(|f| f.id).collect::<Vec<_>>();
    assert_eq!(
        ids(with_tls(300, 60, Some(root.clone()))),
        [FindingId::TlsChainUnneeded]
    );
    root.needed = true;
    assert_eq!(ids(with_tls(300, 60, Some(root))), []);
}

#[test]
fn names_that_resolve_only_just_are_findings() {
    let with = |answers: Vec<ServerAnswer>, source: AddressSource| {
        let mut case = answered(vec![], "192.0.2.7:80", &["192.0.2.7"]);
        let resolution = case.attempt.hops[0].resolution.as_mut().expect("there is one");
        resolution.answers = answers;
        resolution.source = source;
        case.findings().iter().map(|f| f.id).collect::<Vec<_>>()
    };
    let s1 = "10.0.0.2:53";
    let asked = AddressSource::Nameserver;
    let here = || answer(s1, A, records(&["192.0.2.7"]));
    assert_eq!(
        with(vec![here(), answer(s1, AAAA, DnsReply::TimedOut)], asked),
        [FindingId::DnsAaaaStalled]
    );
    assert_eq!(with(vec![here(), answer(s1, AAAA, NO_DATA)], asked), []);
    assert_eq!(with(vec![here()], AddressSource::HostsFile), []);
}

#[test]
fn localhost_listens_on_one_of_its_addresses_as_a_rule() {
    let refused = failed_hop("[::1]:80", connect_error(ECONNREFUSED), MS);
    let named = |name: &str| {
        let before = vec![refused.clone()];
        answered(before, "127.0.0.1:80", &["::1", "127.0.0.1"]).dependency(|dependency| {
            if let Probe::Http(http) = &mut dependency.probe {
                http.url.endpoint.host = name.into();
            }
        })
    };
    assert_eq!(named("shop.example").findings().len(), 1);
    for name in ["localhost", "api.LOCALHOST."] {
        assert_eq!(named(name).findings(), [], "{name}");
    }
}

#[test]
fn an_inherited_proxy_is_a_finding() {
    let case = answered(vec![], "192.0.2.9:3128", &[]).proxied(false);
    assert_eq!(case.findings(), []);
    let case = case.dependency(|dependency| {
        if let Probe::Http(http) = &mut dependency.probe
            && let Some(proxy) = &mut http.proxy
        {
            proxy.inherited_from = Some("HTTPS_PROXY".into());
        }
    });
    let ids: Vec<FindingId> = case.findings().iter().map(|f| f.id).collect();
    assert_eq!(ids, [FindingId::ProxyInherited]);
}

#[test]
fn a_stopped_attempt_has_no_findings() {
    assert_eq!(case(Phase::Connect, connect_error(ECONNREFUSED)).findings(), []);
}
