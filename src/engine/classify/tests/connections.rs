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
