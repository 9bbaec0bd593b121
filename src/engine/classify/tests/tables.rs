//! One row per cause that facts can show.

use super::super::errno::*;
use super::*;

use CertificateFaultKind as Fault;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

type Row = (&'static str, Case, Cause, Confidence, Speed);

fn check(rows: Vec<Row>) {
    for (what, case, cause, confidence, speed) in rows {
        let failure = case.classify();
        assert_eq!(failure.cause, cause, "{what}: cause");
        assert_eq!(failure.confidence, confidence, "{what}: confidence");
        assert_eq!(failure.speed, speed, "{what}: speed");
        assert!(!failure.fix.is_empty(), "{what}: no fix");
        assert!(
            !failure.alternatives.contains(&cause),
            "{what}: its own alternative"
        );
        assert_eq!(
            failure.chain.len(),
            case.attempt.stop().map_or(0, |stop| stop.chain.len()),
            "{what}: chain"
        );
    }
}

#[test]
fn what_we_did_ourselves() {
    let bad_url = Trouble::UrlInvalid("no host".into());
    check(vec![
        (
            "url",
            case(Phase::Resolve, bad_url),
            Cause::ConfigUrlInvalid,
            Observed,
            Fast,
        ),
        (
            "interrupted",
            case(Phase::Body, Trouble::Abandoned),
            Cause::Abandoned,
            Observed,
            Fast,
        ),
        (
            "panic",
            case(Phase::Body, Trouble::Panicked("boom".into())),
            Cause::Unknown,
            Observed,
            Fast,
        ),
        (
            "other",
            case(Phase::Body, Trouble::Other("?".into())),
            Cause::Unknown,
            Observed,
            Fast,
        ),
        (
            "secret",
            case(Phase::Request, Trouble::Credentials("/run/secrets/key".into())),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "file",
            io(Phase::Tls, Call::File, ENOENT),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "emfile",
            io(Phase::Connect, Call::Socket, EMFILE),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "emfile while resolving",
            io(Phase::Resolve, Call::Socket, EMFILE),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "emfile towards a proxy",
            io(Phase::Connect, Call::Socket, EMFILE).proxied(false),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "enfile",
            io(Phase::Connect, Call::Socket, ENFILE),
            Cause::LocalFdExhaustedSystem,
            Observed,
            Fast,
        ),
        (
            "enobufs",
            io(Phase::Connect, Call::Connect, ENOBUFS),
            Cause::LocalFdExhaustedSystem,
            Likely,
            Fast,
        ),
        (
            "ports",
            io(Phase::Connect, Call::Connect, EADDRNOTAVAIL),
            Cause::LocalPortExhausted,
            Observed,
            Fast,
        ),
        (
            "no ipv6 here",
            io(Phase::Connect, Call::Connect, EADDRNOTAVAIL).at("[2001:db8::7]:80"),
            Cause::TcpNoRoute,
            Likely,
            Fast,
        ),
        (
            "local firewall",
            io(Phase::Connect, Call::Connect, EPERM),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "prohibit route",
            io(Phase::Connect, Call::Connect, EACCES),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn names() {
    let s1 = "10.0.0.2:53";
    let s2 = "10.0.0.3:53";
    let refused = DnsReply::Io {
        call: Call::Receive,
        errno: ECONNREFUSED,
    };
    let both = |reply: DnsReply| vec![answer(s1, A, reply.clone()), answer(s1, AAAA, reply)];
    let no = || Trouble::NoAddress;
    check(vec![
        (
            "nxdomain",
            resolve(no(), both(rcode(3))),
            Cause::DnsNxdomain,
            Observed,
            Fast,
        ),
        (
            "nodata",
            resolve(no(), both(NO_DATA)),
            Cause::DnsNodata,
            Observed,
            Fast,
        ),
        (
            "servfail",
            resolve(no(), both(rcode(2))),
            Cause::DnsServfail,
            Observed,
            Fast,
        ),
        (
            "refused",
            resolve(no(), both(rcode(5))),
            Cause::DnsRefused,
            Observed,
            Fast,
        ),
        (
            "notimp",
            resolve(no(), both(rcode(4))),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "malformed",
            resolve(no(), both(DnsReply::Malformed("short".into()))),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "silence",
            resolve(no(), both(DnsReply::TimedOut)),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "no resolver there",
            resolve(no(), both(refused.clone())),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
        (
            "no nameserver",
            resolve(no(), vec![]),
            Cause::DnsUnreachable,
            Likely,
            Fast,
        ),
        (
            "a dead resolver does not hide the other's nxdomain",
            resolve(
                no(),
                vec![answer(s1, A, refused.clone()), answer(s2, A, rcode(3))],
            ),
            Cause::DnsNxdomain,
            Observed,
            Fast,
        ),
        (
            "servfail explains more than silence",
            resolve(
                no(),
                vec![answer(s1, A, DnsReply::TimedOut), answer(s2, A, rcode(2))],
            ),
            Cause::DnsServfail,
            Likely,
            Fast,
        ),
        (
            "no A record, and AAAA unknown, is not nodata",
            resolve(no(), vec![answer(s1, A, NO_DATA), answer(s1, AAAA, rcode(2))]),
            Cause::DnsServfail,
            Observed,
            Fast,
        ),
        (
            "one has it, one denies it",
            resolve(
                no(),
                vec![answer(s1, A, rcode(3)), answer(s2, A, records(&["192.0.2.7"]))],
            ),
            Cause::DnsMismatchSplitHorizon,
            Observed,
            Fast,
        ),
        (
            "only the other family",
            resolve(
                no(),
                vec![answer(s1, AAAA, NO_DATA), answer(s1, A, records(&["192.0.2.7"]))],
            ),
            Cause::DnsNodata,
            Observed,
            Fast,
        ),
        (
            "budget ended, nobody answered",
            resolve(Trouble::TimedOut(Budget::Phase), both(DnsReply::TimedOut)),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "budget ended, no word at all",
            resolve(Trouble::TimedOut(Budget::Phase), vec![]),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "budget ended over AAAA",
            resolve(
                Trouble::TimedOut(Budget::Phase),
                vec![
                    answer(s1, A, records(&["192.0.2.7"])),
                    answer(s1, AAAA, DnsReply::TimedOut),
                ],
            ),
            Cause::DnsAaaaStalled,
            Observed,
            Slow,
        ),
        (
            "budget ended, one had said servfail",
            resolve(
                Trouble::TimedOut(Budget::Phase),
                vec![answer(s1, A, rcode(2)), answer(s2, A, DnsReply::TimedOut)],
            ),
            Cause::DnsServfail,
            Likely,
            Slow,
        ),
        (
            "icmp from the resolver's host",
            io(Phase::Resolve, Call::Receive, ECONNREFUSED),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn the_systems_resolver() {
    let failed = |code: i32, timed_out: bool| {
        resolve(Trouble::NoAddress, vec![]).hop(|hop| {
            if let Some(resolution) = &mut hop.resolution {
                resolution.source = AddressSource::System;
                resolution.system = Some(SystemAnswer {
                    elapsed: Duration::from_millis(3),
                    result: Err(SystemError {
                        code,
                        errno: None,
                        timed_out,
                    }),
                });
            }
        })
    };
    let (noname, again) = if cfg!(target_os = "macos") {
        (8, 2)
    } else {
        (-2, -3)
    };
    check(vec![
        (
            "EAI_NONAME",
            failed(noname, false),
            Cause::DnsNxdomain,
            Likely,
            Fast,
        ),
        (
            "EAI_AGAIN says nothing",
            failed(again, false),
            Cause::DnsFailed,
            Likely,
            Fast,
        ),
        ("it hangs", failed(0, true), Cause::DnsTimedOut, Observed, Slow),
    ]);
    let all = failed(again, false).classify().alternatives;
    assert!(
        all.contains(&Cause::DnsServfail) && all.contains(&Cause::DnsUnreachable),
        "{all:?}"
    );
}

#[test]
fn a_nameserver_as_the_dependency() {
    let udp = DnsTransport::Udp;
    let bad = |reply| {
        let answers = vec![answer("192.0.2.53:53", A, reply)];
        case(Phase::FirstByte, Trouble::DnsAnswer)
            .hop(|hop| hop.resolution = Some(Box::new(resolution(answers))))
            .dns_probe(udp)
    };
    check(vec![
        ("nxdomain", bad(rcode(3)), Cause::DnsNxdomain, Observed, Fast),
        ("refused", bad(rcode(5)), Cause::DnsRefused, Observed, Fast),
        (
            "silence",
            timeout(Phase::FirstByte, Budget::Phase).dns_probe(udp),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "nothing listens",
            io(Phase::FirstByte, Call::Receive, ECONNREFUSED).dns_probe(udp),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
        (
            "over tcp it is an ordinary refusal",
            io(Phase::Connect, Call::Connect, ECONNREFUSED).dns_probe(DnsTransport::Tcp),
            Cause::TcpRefusedRst,
            Likely,
            Fast,
        ),
        (
            "over tcp it hangs up",
            case(Phase::FirstByte, Trouble::Closed).dns_probe(DnsTransport::Tcp),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "not the record wanted",
            case(
                Phase::Verify,
                Trouble::Unexpected(Unexpected::Record {
                    wanted: "192.0.2.9".into(),
                    got: vec!["192.0.2.7".into()],
                }),
            )
            .dns_probe(udp),
            Cause::AssertBody,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn connecting() {
    let connect = |errno| io(Phase::Connect, Call::Connect, errno);
    let at_once = |errno| {
        connect(errno).hop(|hop| {
            hop.phases = Default::default();
            hop.phases.add(Phase::Connect, Duration::from_micros(80));
        })
    };
    check(vec![
        (
            "refused",
            connect(ECONNREFUSED),
            Cause::TcpRefusedRst,
            Likely,
            Fast,
        ),
        (
            "refused on loopback",
            connect(ECONNREFUSED).at("127.0.0.1:80"),
            Cause::TcpRefusedRst,
            Observed,
            Fast,
        ),
        (
            "silence",
            timeout(Phase::Connect, Budget::Phase),
            Cause::TcpTimedOut,
            Observed,
            Slow,
        ),
        (
            "silence to the end of the operation",
            timeout(Phase::Connect, Budget::Total),
            Cause::TcpTimedOut,
            Observed,
            Slow,
        ),
        (
            "the kernel's own timeout",
            connect(ETIMEDOUT),
            Cause::TcpTimedOut,
            Observed,
            Slow,
        ),
        ("no route", at_once(ENETUNREACH), Cause::TcpNoRoute, Likely, Fast),
        (
            "black hole route",
            connect(EINVAL),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
        (
            "no such family",
            io(Phase::Connect, Call::Socket, EAFNOSUPPORT),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
        (
            "router: network",
            connect(ENETUNREACH),
            Cause::TcpNetworkUnreachable,
            Likely,
            Fast,
        ),
        (
            "router: host",
            connect(EHOSTUNREACH),
            Cause::TcpHostUnreachable,
            Likely,
            Fast,
        ),
        (
            "no answer to arp",
            connect(EHOSTUNREACH).took(Phase::Connect, 3050),
            Cause::TcpHostUnreachable,
            Observed,
            Slow,
        ),
        (
            "unreachable at once",
            at_once(EHOSTUNREACH),
            Cause::TcpNoRoute,
            Likely,
            Fast,
        ),
        (
            "reset",
            connect(ECONNRESET),
            Cause::TcpResetDuringConnect,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn resets_and_closes() {
    let reset = |phase| io(phase, Call::Receive, ECONNRESET);
    let with_status = |case: Case| case.hop(|hop| hop.status = Some(200));
    check(vec![
        (
            "in the handshake",
            reset(Phase::Tls).https(|_| ()),
            Cause::TlsReset,
            Observed,
            Fast,
        ),
        (
            "closed in it",
            case(Phase::Tls, Trouble::Closed).https(|_| ()),
            Cause::TlsClosed,
            Observed,
            Fast,
        ),
        (
            "before any byte",
            reset(Phase::FirstByte),
            Cause::TcpResetAfterAccept,
            Observed,
            Fast,
        ),
        (
            "while writing",
            io(Phase::Request, Call::Send, EPIPE),
            Cause::TcpResetAfterAccept,
            Observed,
            Fast,
        ),
        (
            "within the head",
            reset(Phase::FirstByte).first_bytes(b"HTTP/1.1 2"),
            Cause::TcpResetMidResponse,
            Observed,
            Fast,
        ),
        (
            "within the body",
            with_status(reset(Phase::Body)),
            Cause::TcpResetMidResponse,
            Observed,
            Fast,
        ),
        (
            "nothing came",
            case(Phase::FirstByte, Trouble::Closed),
            Cause::HttpEmptyResponse,
            Observed,
            Fast,
        ),
        (
            "nothing came over TLS but records of its own",
            case(Phase::FirstByte, Trouble::Closed)
                .https(|tls| tls.finished = true)
                .hop(|hop| hop.received = 1500),
            Cause::HttpEmptyResponse,
            Observed,
            Fast,
        ),
        (
            "a body cut short, seen as a close",
            with_status(case(Phase::Body, Trouble::Closed)).hop(|hop| {
                hop.response = Some(Box::new(ResponseFacts {
                    content_length: Some(10),
                    body_bytes: 3,
                    ..ResponseFacts::default()
                }));
            }),
            Cause::HttpContentLengthMismatch,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn stale_connections() {
    let closed = || case(Phase::FirstByte, Trouble::Closed);
    let goaway = |reason| {
        let trouble = H2Trouble {
            frame: H2Frame::GoAway,
            reason,
            remote: true,
        };
        case(Phase::FirstByte, Trouble::H2(trouble))
            .https(|_| ())
            .reused()
    };
    let unacked = |case: Case| case.tcp(|tcp| tcp.unacked = 1);
    check(vec![
        ("fin", closed().reused(), Cause::TcpClosedStale, Likely, Fast),
        (
            "close_notify counts as received",
            closed().https(|_| ()).reused().hop(|hop| hop.received = 24),
            Cause::TcpClosedStale,
            Likely,
            Fast,
        ),
        (
            "goaway without a fault",
            goaway(0),
            Cause::TcpClosedStale,
            Likely,
            Fast,
        ),
        ("goaway with one", goaway(2), Cause::H2Goaway, Observed, Fast),
        (
            "rst",
            io(Phase::FirstByte, Call::Receive, ECONNRESET).reused(),
            Cause::TcpResetStale,
            Likely,
            Fast,
        ),
        (
            "broken pipe",
            io(Phase::Request, Call::Send, EPIPE).reused(),
            Cause::TcpResetStale,
            Likely,
            Fast,
        ),
        (
            "silence, unacknowledged",
            unacked(timeout(Phase::FirstByte, Budget::Phase)).reused(),
            Cause::TcpTimedOutStale,
            Likely,
            Slow,
        ),
        (
            "silence, acknowledged, is the server's",
            timeout(Phase::FirstByte, Budget::Phase).tcp(|_| ()).reused(),
            Cause::HttpTimedOutFirstByte,
            Observed,
            Slow,
        ),
        (
            "an answer had begun",
            closed().reused().first_bytes(b"HTTP/1.1 200 O"),
            Cause::HttpHeadersTruncated,
            Observed,
            Fast,
        ),
        (
            "a reset within the body is no staleness",
            io(Phase::Body, Call::Receive, ECONNRESET)
                .reused()
                .hop(|hop| hop.status = Some(200)),
            Cause::TcpResetMidResponse,
            Observed,
            Fast,
        ),
        (
            "a fresh one is not stale",
            closed(),
            Cause::HttpEmptyResponse,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn handshakes() {
    let alert = |number: u8| tls(TlsTrouble::AlertReceived(number), |_| ());
    let asked = |number: u8, sent: bool| {
        tls(TlsTrouble::AlertReceived(number), move |tls| {
            tls.client_cert_requested = true;
            tls.client_cert_sent = sent;
        })
    };
    let late = |number: u8, sent: bool| {
        let trouble = Trouble::Tls(TlsTrouble::AlertReceived(number));
        case(Phase::FirstByte, trouble).https(move |tls| {
            tls.finished = true;
            tls.client_cert_requested = true;
            tls.client_cert_sent = sent;
        })
    };
    let stalled = |unacked| {
        timeout(Phase::Tls, Budget::Phase)
            .https(|_| ())
            .tcp(|tcp| tcp.unacked = unacked)
    };
    let mismatch = Cause::TlsVersionOrCipherMismatch;
    check(vec![
        (
            "http there",
            tls(TlsTrouble::NotTls, |_| ()).first_bytes(b"HTTP/1.1 400 Bad Request"),
            Cause::TlsPlaintextPeer,
            Observed,
            Fast,
        ),
        (
            "ssh there, called misbehaviour",
            tls(TlsTrouble::Misbehaved("corrupt".into()), |_| ()).first_bytes(b"SSH-2.0-x"),
            Cause::TlsPlaintextPeer,
            Observed,
            Fast,
        ),
        (
            "misbehaved",
            tls(TlsTrouble::Misbehaved("x".into()), |_| ()),
            Cause::TlsAlert,
            Likely,
            Fast,
        ),
        ("70", alert(70), mismatch, Observed, Fast),
        ("71", alert(71), mismatch, Observed, Fast),
        ("40", alert(40), mismatch, Likely, Fast),
        (
            "ours",
            tls(TlsTrouble::Incompatible("no version".into()), |_| ()),
            mismatch,
            Observed,
            Fast,
        ),
        ("112", alert(112), Cause::TlsUnrecognizedName, Observed, Fast),
        ("120", alert(120), Cause::TlsAlpnMismatch, Observed, Fast),
        (
            "alpn",
            tls(TlsTrouble::Alpn("h2".into()), |_| ()),
            Cause::TlsAlpnMismatch,
            Observed,
            Fast,
        ),
        ("80", alert(80), Cause::TlsAlert, Observed, Fast),
        ("50", alert(50), Cause::TlsAlert, Observed, Fast),
        (
            "116 after the handshake",
            late(116, false),
            Cause::TlsClientCertRequired,
            Observed,
            Fast,
        ),
        (
            "40 when asked and not given",
            asked(40, false),
            Cause::TlsClientCertRequired,
            Likely,
            Fast,
        ),
        (
            "42 when asked and not given",
            asked(42, false),
            Cause::TlsClientCertRequired,
            Likely,
            Fast,
        ),
        (
            "42 when given",
            asked(42, true),
            Cause::TlsClientCertRejected,
            Observed,
            Fast,
        ),
        (
            "48 when given, late",
            late(48, true),
            Cause::TlsClientCertRejected,
            Observed,
            Fast,
        ),
        ("48 when never asked", alert(48), Cause::TlsAlert, Observed, Fast),
        ("stall", stalled(0), Cause::TlsTimedOut, Observed, Slow),
        (
            "stall, unacknowledged",
            stalled(2),
            Cause::TlsTimedOut,
            Observed,
            Slow,
        ),
    ]);
    assert_eq!(
        evidence(&stalled(0).classify(), "client_hello_acknowledged"),
        "true"
    );
    let unacknowledged = stalled(2).classify();
    assert_eq!(evidence(&unacknowledged, "client_hello_acknowledged"), "false");
    assert!(unacknowledged.alternatives.contains(&Cause::TcpPathMtuBlackHole));
    assert_eq!(evidence(&alert(80).classify(), "alert_name"), "internal_error");
}

#[test]
fn certificates() {
    let one = |kind| certificate(&[kind]);
    check(vec![
        (
            "expired",
            one(Fault::Expired),
            Cause::TlsCertExpired,
            Observed,
            Fast,
        ),
        (
            "early",
            one(Fault::NotYetValid),
            Cause::TlsCertNotYetValid,
            Observed,
            Fast,
        ),
        (
            "root",
            one(Fault::UnknownRoot),
            Cause::TlsCertUnknownRoot,
            Observed,
            Fast,
        ),
        (
            "self-signed",
            one(Fault::SelfSigned),
            Cause::TlsCertSelfSigned,
            Observed,
            Fast,
        ),
        (
            "gap",
            one(Fault::MissingIntermediate),
            Cause::TlsCertMissingIntermediate,
            Likely,
            Fast,
        ),
        (
            "name",
            one(Fault::NameMismatch),
            Cause::TlsCertNameInvalid,
            Observed,
            Fast,
        ),
        (
            "revoked",
            one(Fault::Revoked),
            Cause::TlsCertRevoked,
            Observed,
            Fast,
        ),
        ("ca", one(Fault::CaAsLeaf), Cause::TlsCertCaAsLeaf, Observed, Fast),
        (
            "signature",
            one(Fault::BadSignature),
            Cause::TlsCertBadSignature,
            Observed,
            Fast,
        ),
        (
            "weak",
            one(Fault::WeakSignature),
            Cause::TlsCertWeakSignature,
            Observed,
            Fast,
        ),
        (
            "purpose",
            one(Fault::Purpose),
            Cause::TlsCertPurpose,
            Observed,
            Fast,
        ),
        (
            "encoding",
            one(Fault::Encoding),
            Cause::TlsCertEncoding,
            Observed,
            Fast,
        ),
        (
            "expired does not hide a wrong name",
            certificate(&[Fault::Expired, Fault::NameMismatch]),
            Cause::TlsCertNameInvalid,
            Observed,
            Fast,
        ),
        (
            "nor an unknown issuer",
            certificate(&[Fault::Expired, Fault::NameMismatch, Fault::UnknownRoot]),
            Cause::TlsCertUnknownRoot,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn proxies() {
    let answered = |trouble| case(Phase::Proxy, Trouble::Proxy(trouble)).proxied(true);
    let status = |code| answered(ProxyTrouble::Status(code));
    let nxdomain = vec![answer("10.0.0.2:53", A, rcode(3))];
    let forwarded = |code: u16| super::status(code).proxied(false);
    check(vec![
        (
            "its name",
            resolve(Trouble::NoAddress, nxdomain).proxied(false),
            Cause::ProxyNameNotResolved,
            Observed,
            Fast,
        ),
        (
            "refused",
            io(Phase::Connect, Call::Connect, ECONNREFUSED).proxied(false),
            Cause::ProxyRefused,
            Observed,
            Fast,
        ),
        (
            "silence",
            timeout(Phase::Connect, Budget::Phase).proxied(false),
            Cause::ProxyTimedOut,
            Observed,
            Slow,
        ),
        (
            "silence after CONNECT",
            timeout(Phase::Proxy, Budget::Phase).proxied(true),
            Cause::ProxyTimedOut,
            Likely,
            Slow,
        ),
        (
            "reset",
            io(Phase::Proxy, Call::Receive, ECONNRESET).proxied(true),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        (
            "closed",
            case(Phase::Proxy, Trouble::Closed).proxied(true),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        (
            "nonsense",
            answered(ProxyTrouble::Malformed),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        ("407", status(407), Cause::ProxyAuthRequired, Observed, Fast),
        ("403", status(403), Cause::ProxyConnectDenied, Observed, Fast),
        ("502", status(502), Cause::ProxyUpstreamFailed, Observed, Fast),
        (
            "407 to a forwarded request",
            forwarded(407),
            Cause::ProxyAuthRequired,
            Observed,
            Fast,
        ),
        (
            "503 to a forwarded request",
            forwarded(503),
            Cause::Http503,
            Likely,
            Fast,
        ),
        (
            "behind CONNECT it is the target's",
            case(Phase::Tls, Trouble::Tls(TlsTrouble::AlertReceived(112)))
                .https(|_| ())
                .proxied(true),
            Cause::TlsUnrecognizedName,
            Observed,
            Fast,
        ),
    ]);
    let refused = io(Phase::Connect, Call::Connect, ECONNREFUSED)
        .proxied(false)
        .classify();
    assert_eq!(evidence(&refused, "inner_cause"), "tcp.refused.rst");
    assert!(refused.fix.contains("proxy.example:3128"), "{}", refused.fix);
}

#[test]
fn bad_answers() {
    let at = Phase::FirstByte;
    let body = |trouble| http(Phase::Body, trouble).hop(|hop| hop.status = Some(200));
    let redirect = |trouble| case(at, Trouble::Redirect(trouble));
    let h2 = |frame, reason, remote| {
        let trouble = H2Trouble {
            frame,
            reason,
            remote,
        };
        case(at, Trouble::H2(trouble)).https(|_| ())
    };
    let short = HttpTrouble::ShortBody { expected: 10, got: 3 };
    let protocol = || HttpTrouble::Protocol("frame with invalid size".into());
    check(vec![
        (
            "not http",
            http(at, HttpTrouble::Malformed).first_bytes(b"SSH-2.0-x"),
            Cause::HttpMalformed,
            Observed,
            Fast,
        ),
        (
            "a tls alert",
            http(at, HttpTrouble::Malformed).first_bytes(b"\x15\x03\x01\x00\x02\x02\x46"),
            Cause::HttpTlsPeer,
            Observed,
            Fast,
        ),
        (
            "a tls alert, then a close",
            case(at, Trouble::Closed).first_bytes(b"\x15\x03\x01\x00\x02\x02\x46"),
            Cause::HttpTlsPeer,
            Observed,
            Fast,
        ),
        (
            "http/2 settings",
            http(at, HttpTrouble::Malformed).first_bytes(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03"),
            Cause::HttpVersionMismatch,
            Observed,
            Fast,
        ),
        (
            "nginx says so",
            status(400).excerpt("<center>The plain HTTP request was sent to HTTPS port</center>"),
            Cause::HttpTlsPeer,
            Observed,
            Fast,
        ),
        (
            "an ordinary 400",
            status(400).excerpt("bad"),
            Cause::Http4xx,
            Observed,
            Fast,
        ),
        (
            "version",
            http(at, HttpTrouble::Version("h2".into())),
            Cause::HttpVersionMismatch,
            Observed,
            Fast,
        ),
        (
            "an HTTP/1 answer to HTTP/2",
            http(at, protocol())
                .first_bytes(b"HTTP/1.1 400 Bad Request")
                .hop(|hop| hop.protocol = Some(Protocol::Http2)),
            Cause::HttpVersionMismatch,
            Observed,
            Fast,
        ),
        (
            "protocol",
            http(at, protocol()),
            Cause::HttpProtocolError,
            Observed,
            Fast,
        ),
        (
            "large head",
            http(at, HttpTrouble::HeadTooLarge),
            Cause::HttpHeadersTooLarge,
            Observed,
            Fast,
        ),
        (
            "half a head",
            http(at, HttpTrouble::HeadTruncated).first_bytes(b"HTTP/1.1 200 OK\r\nServ"),
            Cause::HttpHeadersTruncated,
            Observed,
            Fast,
        ),
        (
            "short",
            body(short),
            Cause::HttpContentLengthMismatch,
            Observed,
            Fast,
        ),
        (
            "short chunks",
            body(HttpTrouble::ShortChunked),
            Cause::HttpIncompleteChunked,
            Observed,
            Fast,
        ),
        (
            "not gzip",
            body(HttpTrouble::Decoding("crc".into())),
            Cause::HttpDecodingFailed,
            Observed,
            Fast,
        ),
        (
            "loop",
            redirect(RedirectTrouble::Loop("http://a/".into())),
            Cause::HttpRedirectLoop,
            Observed,
            Fast,
        ),
        (
            "many",
            redirect(RedirectTrouble::TooMany(10)),
            Cause::HttpTooManyRedirects,
            Observed,
            Fast,
        ),
        (
            "downgrade",
            redirect(RedirectTrouble::Downgrade("http://a/".into())),
            Cause::HttpRedirectDowngrade,
            Observed,
            Fast,
        ),
        (
            "nowhere",
            redirect(RedirectTrouble::Unusable("missing".into())),
            Cause::HttpMalformed,
            Observed,
            Fast,
        ),
        (
            "goaway",
            h2(H2Frame::GoAway, 0, true),
            Cause::H2Goaway,
            Observed,
            Fast,
        ),
        (
            "refused",
            h2(H2Frame::Reset, 7, true),
            Cause::H2RefusedStream,
            Observed,
            Fast,
        ),
        (
            "calm",
            h2(H2Frame::GoAway, 0xb, true),
            Cause::H2EnhanceYourCalm,
            Observed,
            Fast,
        ),
        (
            "reset",
            h2(H2Frame::Reset, 2, true),
            Cause::H2StreamReset,
            Observed,
            Fast,
        ),
        (
            "use 1.1",
            h2(H2Frame::Reset, 0xd, true),
            Cause::HttpVersionMismatch,
            Observed,
            Fast,
        ),
        (
            "we ended it",
            h2(H2Frame::GoAway, 1, false),
            Cause::HttpProtocolError,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn statuses_and_expectations() {
    let unexpected = |trouble| case(Phase::Verify, Trouble::Unexpected(trouble));
    let token = |status| {
        let error = Some("invalid_client".into());
        case(
            Phase::FirstByte,
            Trouble::Token(TokenTrouble::Status { status, error }),
        )
        .hop(|hop| hop.role = Role::TokenEndpoint)
    };
    let slow_500 = status(500).took(Phase::FirstByte, 4000);
    check(vec![
        ("429", status(429), Cause::Http429, Observed, Fast),
        ("404", status(404), Cause::Http4xx, Observed, Fast),
        ("500", status(500), Cause::Http500, Observed, Fast),
        ("slow 500", slow_500, Cause::Http500, Observed, Slow),
        ("502", status(502), Cause::Http502, Observed, Fast),
        ("503", status(503), Cause::Http503, Observed, Fast),
        ("504", status(504), Cause::Http504, Observed, Fast),
        ("501", status(501), Cause::Http5xx, Observed, Fast),
        ("520", status(520), Cause::Http5xx, Observed, Fast),
        (
            "302 where 2xx is wanted",
            status(302),
            Cause::AssertStatus,
            Observed,
            Fast,
        ),
        (
            "header",
            unexpected(Unexpected::Header {
                name: "x-ok".into(),
                wanted: "present".into(),
                got: None,
            }),
            Cause::AssertHeader,
            Observed,
            Fast,
        ),
        (
            "body",
            unexpected(Unexpected::Body {
                wanted: "ok".into(),
                excerpt: "no".into(),
            }),
            Cause::AssertBody,
            Observed,
            Fast,
        ),
        (
            "latency: slow by the answer's time, not by that of the comparison",
            unexpected(Unexpected::Latency {
                got: Duration::from_secs(4),
                limit: Duration::from_secs(2),
            })
            .took(Phase::FirstByte, 4000),
            Cause::AssertLatency,
            Observed,
            Slow,
        ),
        ("token 401", token(401), Cause::Http4xx, Observed, Fast),
        ("token 503", token(503), Cause::Http503, Observed, Fast),
        (
            "token nonsense",
            case(Phase::Body, Trouble::Token(TokenTrouble::Malformed)),
            Cause::HttpMalformed,
            Observed,
            Fast,
        ),
    ]);
    assert_eq!(evidence(&token(401).classify(), "role"), "token_endpoint");
    assert_eq!(evidence(&token(401).classify(), "oauth_error"), "invalid_client");
}

#[test]
fn waiting_for_answers() {
    let first_byte = |budget| timeout(Phase::FirstByte, budget);
    let body = |budget| {
        timeout(Phase::Body, budget).hop(|hop| {
            hop.status = Some(200);
            hop.received = 300;
            hop.response = Some(Box::new(ResponseFacts {
                body_bytes: 100,
                ..ResponseFacts::default()
            }));
        })
    };
    let quiet = |case: Case, millis| case.hop(|hop| hop.quiet = Some(Duration::from_millis(millis)));
    let spread = timeout(Phase::FirstByte, Budget::Attempt)
        .took(Phase::Connect, 2500)
        .took(Phase::Tls, 2500);
    let own_budget = timeout(Phase::FirstByte, Budget::Phase)
        .took(Phase::Connect, 2500)
        .took(Phase::Tls, 2500);
    check(vec![
        (
            "first byte",
            first_byte(Budget::Phase),
            Cause::HttpTimedOutFirstByte,
            Observed,
            Slow,
        ),
        (
            "a stall that used up the total is no deadline",
            first_byte(Budget::Total),
            Cause::HttpTimedOutFirstByte,
            Observed,
            Slow,
        ),
        (
            "unacknowledged",
            first_byte(Budget::Phase).tcp(|tcp| tcp.unacked = 1),
            Cause::HttpTimedOutFirstByte,
            Likely,
            Slow,
        ),
        (
            "large segments vanish",
            first_byte(Budget::Phase).tcp(|tcp| {
                tcp.unacked = 4;
                tcp.retransmits = 3;
                tcp.backoff = 3;
            }),
            Cause::TcpPathMtuBlackHole,
            Likely,
            Slow,
        ),
        (
            "the peer does not read",
            timeout(Phase::Request, Budget::Phase).tcp(|tcp| {
                tcp.send_window = Some(0);
                tcp.probes = 2;
            }),
            Cause::TcpPeerNotReading,
            Observed,
            Slow,
        ),
        (
            "stall",
            body(Budget::Phase),
            Cause::HttpTimedOutBodyStall,
            Observed,
            Slow,
        ),
        (
            "stall to the end of the attempt",
            quiet(body(Budget::Attempt), 2900),
            Cause::HttpTimedOutBodyStall,
            Observed,
            Slow,
        ),
        (
            "drip",
            quiet(body(Budget::Attempt), 100),
            Cause::DeadlineExceeded,
            Observed,
            Slow,
        ),
        (
            "stall or drip, not known which",
            body(Budget::Attempt),
            Cause::HttpTimedOutBodyStall,
            Likely,
            Slow,
        ),
        (
            "longer than any gap may be: a drip",
            body(Budget::Attempt).took(Phase::Body, 9000),
            Cause::DeadlineExceeded,
            Observed,
            Slow,
        ),
        (
            "spread over phases",
            spread,
            Cause::DeadlineExceeded,
            Observed,
            Slow,
        ),
        (
            "a phase's own budget is never that",
            own_budget,
            Cause::HttpTimedOutFirstByte,
            Observed,
            Slow,
        ),
    ]);
    let total = first_byte(Budget::Total).classify();
    assert_eq!(evidence(&total, "budget"), "total");
    let acknowledged = first_byte(Budget::Phase).tcp(|_| ()).classify();
    assert_eq!(evidence(&acknowledged, "request_acknowledged"), "true");
}
