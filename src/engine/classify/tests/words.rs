//! Evidence, fixes and second looks: the particulars that an operator reads.

use super::super::errno::*;
use super::super::{Question, second_looks};
use super::*;
use crate::model::order::ConfirmationKind;

#[test]
fn a_missing_name_is_named_with_what_it_may_have_been_meant_to_be() {
    let denied = DnsReply::Code {
        rcode: 3,
        soa: Some("example.".into()),
    };
    let mut case = resolve(Trouble::NoAddress, vec![answer("10.0.0.2:53", A, denied)]);
    let failure = case.classify();
    assert_eq!(evidence(&failure, "missing"), "shop");
    assert_eq!(evidence(&failure, "zone"), "example.");
    assert_eq!(evidence(&failure, "rcode"), "NXDOMAIN");
    assert_eq!(
        &*failure.fix,
        "create shop in the zone example, or correct the name shop.example"
    );
    case.known_host = Some("shop.internal");
    let failure = case.classify();
    assert_eq!(evidence(&failure, "did_you_mean"), "shop.internal");
    assert_eq!(
        &*failure.fix,
        "correct the name shop.example: did you mean shop.internal?"
    );
}

#[test]
fn an_extended_dns_error_speaks() {
    let mut bogus = answer("10.0.0.2:53", A, rcode(2));
    bogus.extended = vec![(6, "signature expired".into())];
    let failure = resolve(Trouble::NoAddress, vec![bogus]).classify();
    assert_eq!(evidence(&failure, "extended_error"), "DNSSEC Bogus");
    assert!(
        failure.fix.ends_with("its resolver says DNSSEC Bogus"),
        "{}",
        failure.fix
    );
}

#[test]
fn the_stub_resolver_of_a_host_is_no_use_in_a_container() {
    let refused = DnsReply::Io {
        call: Call::Receive,
        errno: ECONNREFUSED,
    };
    let case = |server| resolve(Trouble::NoAddress, vec![answer(server, A, refused.clone())]);
    assert!(case("127.0.0.53:53").classify().fix.contains("container"));
    assert_eq!(
        &*case("10.0.0.2:53").classify().fix,
        "set a nameserver that runs: nothing answers at 10.0.0.2:53"
    );
}

#[test]
fn search_domains_do_not_decide_when_the_name_itself_was_asked() {
    let mut searched = answer("10.0.0.2:53", A, rcode(3));
    searched.name = "shop.example.svc.cluster.local".into();
    let itself = answer("10.0.0.2:53", A, rcode(2));
    let failure = resolve(Trouble::NoAddress, vec![searched, itself]).classify();
    assert_eq!(failure.cause, Cause::DnsServfail);
}

#[test]
fn an_expired_certificate_says_which_and_since_when() {
    let failure = tls(TlsTrouble::Certificate, |tls| {
        tls.chain = vec![leaf(Wall::from_unix_secs(NOW.unix_secs() - 3 * DAY - 60))];
        tls.faults = vec![fault(CertificateFaultKind::Expired)];
    })
    .classify();
    assert_eq!(
        &*failure.fix,
        "renew the certificate of shop.example (leaf, expired 3 days ago)"
    );
    assert_eq!(evidence(&failure, "chain_position"), "0");
    assert_eq!(evidence(&failure, "not_after"), "2026-11-20T23:59:00Z");
    assert_eq!(failure.phase, Some(Phase::Tls));
}

#[test]
fn an_expired_intermediate_is_not_called_the_leaf() {
    let failure = tls(TlsTrouble::Certificate, |tls| {
        tls.chain = vec![
            leaf(NOW + Duration::from_secs(86_400)),
            leaf(Wall::from_unix_secs(NOW.unix_secs() - DAY)),
        ];
        let mut second = fault(CertificateFaultKind::Expired);
        second.position = Some(1);
        tls.faults = vec![second];
    })
    .classify();
    assert_eq!(
        &*failure.fix,
        "renew the certificate of shop.example (certificate 1 above the leaf, expired 1 day ago)"
    );
}

#[test]
fn a_wrong_name_lists_the_right_ones() {
    let failure = certificate(&[CertificateFaultKind::NameMismatch]).classify();
    assert_eq!(evidence(&failure, "name_asked"), "shop.example");
    assert_eq!(
        &*failure.fix,
        "reissue the certificate with shop.example, or ask for a name that it has: www.example, cdn.example"
    );
}

#[test]
fn every_fault_of_a_chain_stays_in_the_evidence() {
    let failure =
        certificate(&[CertificateFaultKind::NameMismatch, CertificateFaultKind::Expired]).classify();
    let faults = evidence(&failure, "faults");
    assert!(
        faults.contains("tls.cert.name_invalid") && faults.contains("tls.cert.date_invalid.expired"),
        "{faults}"
    );
}

#[test]
fn a_stale_connection_tells_how_long_it_lay_idle() {
    let failure = case(Phase::FirstByte, Trouble::Closed).reused().classify();
    assert_eq!(evidence(&failure, "idle_before"), "61s");
    assert_eq!(evidence(&failure, "sent_bytes"), "120");
    assert_eq!(evidence(&failure, "received_bytes"), "0");
    assert!(failure.fix.contains("below 61 s"), "{}", failure.fix);
}

#[test]
fn errnos_are_named_with_their_call() {
    let failure = io(Phase::Connect, Call::Connect, ECONNREFUSED).classify();
    assert_eq!(evidence(&failure, "errno"), "ECONNREFUSED");
    assert_eq!(evidence(&failure, "call"), "connect");
    assert_eq!(evidence(&failure, "address"), "192.0.2.7:80");
    assert!(
        failure.fix.contains("shop.example (192.0.2.7:80)"),
        "{}",
        failure.fix
    );
}

#[test]
fn a_full_accept_queue_is_what_remains_on_loopback() {
    let failure = timeout(Phase::Connect, Budget::Phase)
        .at("127.0.0.1:80")
        .classify();
    assert!(failure.fix.contains("accept queue"), "{}", failure.fix);
    assert!(!failure.alternatives.contains(&Cause::TcpTimedOutHostDown));
    let remote = timeout(Phase::Connect, Budget::Phase).classify();
    assert!(remote.alternatives.contains(&Cause::TcpTimedOutHostDown));
}

#[test]
fn what_the_peer_speaks_is_named() {
    let failure = tls(TlsTrouble::NotTls, |_| ())
        .first_bytes(b"-ERR unknown command")
        .classify();
    assert_eq!(evidence(&failure, "peer_speaks"), "Redis");
    assert_eq!(evidence(&failure, "first_bytes"), "-ERR unknown command");
    assert!(failure.fix.contains("speaks Redis, not TLS"), "{}", failure.fix);
    let http = tls(TlsTrouble::NotTls, |_| ())
        .first_bytes(b"HTTP/1.1 400 B")
        .classify();
    assert!(http.fix.starts_with("use http://"), "{}", http.fix);
}

#[test]
fn response_headers_that_explain_are_evidence() {
    let failure = status(503)
        .hop(|hop| {
            hop.response = Some(Box::new(ResponseFacts {
                server: Some("envoy".into()),
                via: Some("1.1 edge".into()),
                proxy_status: Some("edge; error=connection_refused".into()),
                retry_after: Some(RetryAfter::Seconds(30)),
                body_excerpt: Some("no healthy upstream".into()),
                ..ResponseFacts::default()
            }));
        })
        .classify();
    for (key, value) in [
        ("status", "503"),
        ("server", "envoy"),
        ("via", "1.1 edge"),
        ("proxy_status", "edge; error=connection_refused"),
        ("retry_after", "30s"),
        ("excerpt", "no healthy upstream"),
    ] {
        assert_eq!(evidence(&failure, key), value, "{key}");
    }
    assert!(failure.fix.contains("asks for 30 s"), "{}", failure.fix);
}

#[test]
fn a_deadline_names_the_phase_that_took_most() {
    let failure = timeout(Phase::FirstByte, Budget::Total)
        .took(Phase::Resolve, 1500)
        .took(Phase::Tls, 4000)
        .classify();
    assert_eq!(failure.cause, Cause::DeadlineExceeded);
    assert_eq!(evidence(&failure, "longest_phase"), "tls");
    assert_eq!(evidence(&failure, "budget"), "total");
    assert!(failure.fix.contains("tls took most of it"), "{}", failure.fix);
}

#[test]
fn what_never_happened_has_no_phase() {
    for trouble in [Trouble::Abandoned, Trouble::UrlInvalid("x".into())] {
        assert_eq!(case(Phase::Resolve, trouble).classify().phase, None);
    }
    assert_eq!(
        case(Phase::Body, Trouble::Closed).classify().phase,
        Some(Phase::Body)
    );
}

#[test]
fn second_looks_are_the_ones_that_would_settle_it() {
    let target = address("192.0.2.7:80");
    let hello = vec![ConfirmationKind::ClientHello(target)];
    let fresh = vec![ConfirmationKind::FreshConnection(target)];
    let empty = || case(Phase::FirstByte, Trouble::Closed);
    let post = |case: Case| {
        case.dependency(|dependency| {
            if let Probe::Http(http) = &mut dependency.probe {
                http.method = "POST".into();
            }
        })
    };
    let off = |case: Case| case.dependency(|dependency| dependency.confirm = Confirm::Off);
    let alert =
        || http(Phase::FirstByte, HttpTrouble::Malformed).first_bytes(b"\x15\x03\x01\x00\x02\x02\x46");
    let rows = [
        ("404", status(404), vec![ConfirmationKind::NotFoundVariants]),
        ("404 to a POST", post(status(404)), vec![]),
        ("404, off", off(status(404)), vec![]),
        ("403", status(403), vec![]),
        ("empty", empty(), hello.clone()),
        ("empty over https", empty().https(|_| ()), vec![]),
        ("alert record", alert(), hello.clone()),
        (
            "reset after accept",
            io(Phase::FirstByte, Call::Receive, ECONNRESET),
            hello,
        ),
        ("stale", empty().reused(), fresh),
        ("stale POST", post(empty().reused()), vec![]),
        ("stale, off", off(empty().reused()), vec![]),
        ("refused", io(Phase::Connect, Call::Connect, ECONNREFUSED), vec![]),
        (
            "404 from the token endpoint",
            status(404).hop(|hop| hop.role = Role::TokenEndpoint),
            vec![],
        ),
    ];
    for (what, case, expected) in rows {
        let looks = second_looks(&Question {
            failure: &case.classify(),
            attempt: &case.attempt,
            dependency: &case.dependency,
            deep: false,
            persists: false,
        });
        assert_eq!(looks, expected, "{what}");
    }
}
