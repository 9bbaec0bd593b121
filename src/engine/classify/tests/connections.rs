//! Connecting, and what ends a connection. One row per cause, and rows for what only looks like it.

use super::super::errno::*;
use super::*;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

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

/// What came, from whom, and whether from this host itself.
fn icmp(v6: bool, kind: u8, code: u8, from_this_host: bool) -> ConnectFacts {
    ConnectFacts {
        queue_read: true,
        icmp: Some(IcmpError {
            v6,
            kind,
            code,
            offender: Some(std::net::IpAddr::from([192, 0, 2, 1])),
            from_this_host,
        }),
        ..ConnectFacts::default()
    }
}

#[test]
fn messages_of_icmp() {
    let connect = |errno, facts: ConnectFacts| {
        io(Phase::Connect, Call::Connect, errno).hop(|hop| hop.connect = Some(Box::new(facts)))
    };
    let silent_neighbour = |state| ConnectFacts {
        route: Some(Route {
            gateway: None,
            neighbour: Some(Neighbour {
                state,
                confirmed: None,
            }),
        }),
        ..icmp(false, 3, 1, true)
    };
    let read = ConnectFacts {
        queue_read: true,
        ..ConnectFacts::default()
    };
    let unread = ConnectFacts::default();
    let at_once = ConnectFacts {
        at_once: true,
        ..ConnectFacts::default()
    };
    let source = |has_source| ConnectFacts {
        has_source: Some(has_source),
        ..at_once.clone()
    };
    check(vec![
        (
            "an RST",
            connect(ECONNREFUSED, read),
            Cause::TcpRefusedRst,
            Observed,
            Fast,
        ),
        (
            "no queue",
            connect(ECONNREFUSED, unread.clone()),
            Cause::TcpRefusedRst,
            Likely,
            Fast,
        ),
        (
            "port",
            connect(ECONNREFUSED, icmp(false, 3, 3, false)),
            Cause::TcpRefusedIcmp,
            Observed,
            Fast,
        ),
        (
            "port, v6",
            connect(ECONNREFUSED, icmp(true, 1, 4, false)),
            Cause::TcpRefusedIcmp,
            Observed,
            Fast,
        ),
        (
            "filtered",
            connect(EHOSTUNREACH, icmp(false, 3, 13, false)),
            Cause::TcpProhibited,
            Observed,
            Fast,
        ),
        (
            "filtered, v6",
            connect(EACCES, icmp(true, 1, 1, false)),
            Cause::TcpProhibited,
            Observed,
            Fast,
        ),
        (
            "reject route, v6",
            connect(EACCES, icmp(true, 1, 6, false)),
            Cause::TcpProhibited,
            Observed,
            Fast,
        ),
        (
            "EACCES from outside, unread",
            connect(EACCES, unread),
            Cause::TcpProhibited,
            Likely,
            Fast,
        ),
        (
            "network",
            connect(ENETUNREACH, icmp(false, 3, 0, false)),
            Cause::TcpNetworkUnreachable,
            Observed,
            Fast,
        ),
        (
            "host, v6",
            connect(EHOSTUNREACH, icmp(true, 1, 3, false)),
            Cause::TcpHostUnreachable,
            Observed,
            Fast,
        ),
        (
            "a loop",
            connect(EHOSTUNREACH, icmp(false, 11, 0, false)),
            Cause::TcpNetworkUnreachable,
            Likely,
            Fast,
        ),
        (
            "nobody answers on the link",
            connect(EHOSTUNREACH, silent_neighbour(NeighbourState::Failed)),
            Cause::TcpHostUnreachable,
            Observed,
            Fast,
        ),
        (
            "our own firewall says that the host is unreachable",
            connect(EHOSTUNREACH, silent_neighbour(NeighbourState::Reachable)),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "our own firewall",
            connect(ECONNREFUSED, icmp(false, 3, 3, true)),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "a firewall of the host that is asked, which is this one",
            connect(
                ECONNREFUSED,
                ConnectFacts {
                    own_address: true,
                    ..icmp(false, 3, 3, true)
                },
            ),
            Cause::TcpRefusedIcmp,
            Observed,
            Fast,
        ),
        (
            "prohibit route",
            connect(EACCES, at_once.clone()),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "unreachable route",
            connect(EHOSTUNREACH, at_once.clone()),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
        (
            "no route",
            connect(ENETUNREACH, at_once.clone()),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
        (
            "black hole route",
            connect(EINVAL, at_once.clone()),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
        (
            "out of ports, v6",
            connect(EADDRNOTAVAIL, source(true)).at("[2001:db8::7]:80"),
            Cause::LocalPortExhausted,
            Observed,
            Fast,
        ),
        (
            "no address of the family",
            connect(EADDRNOTAVAIL, source(false)),
            Cause::TcpNoRoute,
            Observed,
            Fast,
        ),
    ]);
    let filtered = connect(EHOSTUNREACH, icmp(false, 3, 13, false)).classify();
    assert_eq!(evidence(&filtered, "offender"), "192.0.2.1");
    assert_eq!(evidence(&filtered, "icmp_code"), "13");
    assert!(filtered.fix.contains("192.0.2.1"), "{}", filtered.fix);
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
fn stalls_of_large_packets() {
    let sending = |phase| {
        timeout(phase, Budget::Total).tcp(|tcp| {
            tcp.unacked = 12;
            tcp.retransmits = 4;
            tcp.backoff = 4;
            tcp.send_mss = 1448;
        })
    };
    let receiving = |phase, receive_mss, out_of_order| {
        timeout(phase, Budget::Phase).tcp(|tcp| {
            tcp.send_mss = 1448;
            tcp.receive_mss = receive_mss;
            tcp.out_of_order = Some(out_of_order);
        })
    };
    let body = |case: Case| case.hop(|hop| hop.status = Some(200));
    let mtu = Cause::TcpPathMtuBlackHole;
    let first_byte = Cause::HttpTimedOutFirstByte;
    check(vec![
        ("an upload", sending(Phase::Request), mtu, Likely, Slow),
        (
            "a ClientHello of two segments",
            sending(Phase::Tls).https(|_| ()),
            mtu,
            Likely,
            Slow,
        ),
        (
            "one segment is no large exchange",
            sending(Phase::FirstByte).tcp(|tcp| {
                tcp.unacked = 1;
                tcp.retransmits = 4;
                tcp.backoff = 4;
            }),
            first_byte,
            Likely,
            Slow,
        ),
        (
            "loopback has no path",
            sending(Phase::FirstByte).at("127.0.0.1:80"),
            first_byte,
            Likely,
            Slow,
        ),
        (
            "an answer with a gap",
            receiving(Phase::FirstByte, 697, 1),
            mtu,
            Likely,
            Slow,
        ),
        (
            "a flight of certificates with a gap",
            receiving(Phase::Tls, 536, 2).https(|_| ()),
            mtu,
            Likely,
            Slow,
        ),
        (
            "a body with a gap",
            body(receiving(Phase::Body, 536, 1)),
            mtu,
            Likely,
            Slow,
        ),
        (
            "full segments came before",
            body(receiving(Phase::Body, 1448, 1)),
            Cause::HttpTimedOutBodyStall,
            Observed,
            Slow,
        ),
        (
            "a slow server leaves no gap",
            receiving(Phase::FirstByte, 536, 0),
            first_byte,
            Observed,
            Slow,
        ),
        (
            "the peer answers our probes of its shut window",
            timeout(Phase::Request, Budget::Total).tcp(|tcp| {
                tcp.send_window = Some(0);
                tcp.backoff = 4;
            }),
            Cause::TcpPeerNotReading,
            Observed,
            Slow,
        ),
    ]);
}
