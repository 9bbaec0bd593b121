//! Answers that are bad, unwanted or late. One row per cause, and rows for what only looks like it.

use super::*;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

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
