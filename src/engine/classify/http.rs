//! HTTP: what came back is wrong, stopped, or came too late.

use crate::model::attempt::{
    H2Frame, H2Trouble, HttpTrouble, RedirectTrouble, ResponseFacts, TokenTrouble, Trouble, Unexpected,
};
use crate::model::cause::Cause;
use crate::model::dependency::Probe;
use crate::model::phase::Phase;

use super::evidence;
use super::names;
use super::recognise::{Spoken, recognise};
use super::scene::{Found, Scene};
use super::transport::wants_client_certificate;

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    match &scene.stop.trouble {
        Trouble::Http(trouble) => Some(broken(scene, trouble)),
        Trouble::H2(trouble) => Some(h2(scene, trouble)),
        Trouble::Redirect(trouble) => Some(redirect(trouble)),
        Trouble::Unexpected(Unexpected::Status { got, .. }) if *got >= 400 => Some(status(scene, *got)),
        Trouble::Token(trouble) => Some(token(scene, trouble)),
        Trouble::Closed => Some(closed(scene)),
        Trouble::TimedOut(_) => timed_out(scene),
        _ => None,
    }
}

/// The first bytes say more than the parser's complaint about them.
fn other_protocol(scene: &Scene<'_>) -> Option<Cause> {
    let spoken = recognise(scene.first_bytes())?;
    match (spoken, scene.speaks_h2()) {
        (Spoken::Tls, _) if scene.is_plain_http() => Some(Cause::HttpTlsPeer),
        (Spoken::Http2, false) | (Spoken::Http1, true) => Some(Cause::HttpVersionMismatch),
        _ => None,
    }
}

/// A peer that answered in another protocol before it ended the connection: that explains the end, however it came.
pub fn spoke_otherwise(scene: &Scene<'_>) -> Option<Found> {
    let cause = other_protocol(scene)?;
    Some(with_response(Found::observed(cause), scene))
}

fn broken(scene: &Scene<'_>, trouble: &HttpTrouble) -> Found {
    let found = match trouble {
        HttpTrouble::Malformed => Found::observed(other_protocol(scene).unwrap_or(Cause::HttpMalformed)),
        HttpTrouble::HeadTooLarge => Found::observed(Cause::HttpHeadersTooLarge),
        // A TLS alert record looks like a head that ended early, too.
        HttpTrouble::HeadTruncated => {
            Found::observed(other_protocol(scene).unwrap_or(Cause::HttpHeadersTruncated))
        }
        HttpTrouble::ShortBody { expected, got } => Found::observed(Cause::HttpContentLengthMismatch)
            .with("expected_bytes", *expected)
            .with("got_bytes", *got),
        HttpTrouble::ShortChunked => Found::observed(Cause::HttpIncompleteChunked),
        HttpTrouble::Decoding(reason) => Found::observed(Cause::HttpDecodingFailed).with("reason", &**reason),
        HttpTrouble::Version(reason) => {
            let cause = match other_protocol(scene) {
                Some(Cause::HttpTlsPeer) => Cause::HttpTlsPeer,
                _ => Cause::HttpVersionMismatch,
            };
            let found = Found::observed(cause).with("reason", &**reason);
            // A server that refuses HTTP/2 in the clear in words of HTTP/1 may only want TLS.
            if scene.is_plain_http() && matches!(scene.dependency().probe, Probe::Grpc(_)) {
                found.or(&[Cause::HttpTlsPeer])
            } else {
                found
            }
        }
        HttpTrouble::Protocol(reason) => {
            let cause = other_protocol(scene).unwrap_or(Cause::HttpProtocolError);
            Found::observed(cause).with("reason", &**reason)
        }
    };
    with_response(found, scene)
}

fn with_response(mut found: Found, scene: &Scene<'_>) -> Found {
    evidence::peer_speaks(&mut found.evidence, scene);
    evidence::response(&mut found.evidence, scene);
    found
}

fn h2(scene: &Scene<'_>, trouble: &H2Trouble) -> Found {
    const REFUSED_STREAM: u32 = 0x7;
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    const HTTP_1_1_REQUIRED: u32 = 0xd;
    let answered_http1 = recognise(scene.first_bytes()) == Some(Spoken::Http1);
    let cause = match (trouble.frame, trouble.reason) {
        _ if other_protocol(scene) == Some(Cause::HttpTlsPeer) => Cause::HttpTlsPeer,
        _ if answered_http1 => Cause::HttpVersionMismatch,
        (_, HTTP_1_1_REQUIRED) => Cause::HttpVersionMismatch,
        // We ended it, because the peer broke the protocol.
        _ if !trouble.remote => Cause::HttpProtocolError,
        (_, ENHANCE_YOUR_CALM) => Cause::H2EnhanceYourCalm,
        (H2Frame::Reset, REFUSED_STREAM) => Cause::H2RefusedStream,
        (H2Frame::Reset, _) => Cause::H2StreamReset,
        (H2Frame::GoAway, _) => Cause::H2Goaway,
    };
    let frame = match trouble.frame {
        H2Frame::GoAway => "GOAWAY",
        H2Frame::Reset => "RST_STREAM",
    };
    let found = Found::observed(cause)
        .with("frame", frame)
        .with("reason_code", trouble.reason)
        .with("reason", names::h2_reason(trouble.reason))
        .with("sent_by", if trouble.remote { "peer" } else { "us" });
    with_response(found, scene)
}

fn redirect(trouble: &RedirectTrouble) -> Found {
    match trouble {
        RedirectTrouble::Loop(url) => Found::observed(Cause::HttpRedirectLoop).with("location", &**url),
        RedirectTrouble::TooMany(limit) => Found::observed(Cause::HttpTooManyRedirects).with("limit", *limit),
        RedirectTrouble::Downgrade(url) => {
            Found::observed(Cause::HttpRedirectDowngrade).with("location", &**url)
        }
        RedirectTrouble::Unusable(reason) => Found::observed(Cause::HttpMalformed)
            .with("header", "location")
            .with("reason", &**reason),
    }
}

/// What an HTTP server answers on its TLS port to a request in the clear, by its makers' own words.
const PLAIN_TO_TLS: [&str; 4] = [
    "plain HTTP request was sent to HTTPS port", // nginx
    "HTTP request to an HTTPS server",           // Go, and Caddy and Traefik with it
    "speaking plain HTTP to an SSL-enabled",     // Apache httpd
    "combination of host and port requires TLS", // Tomcat
];

/// Whether a server says that it was asked in the clear on its TLS port.
pub fn is_plain_to_tls(scene: &Scene<'_>, status: u16) -> bool {
    let response = scene.hop.and_then(|hop| hop.response.as_deref());
    let excerpt = response.and_then(|r| r.body_excerpt.as_deref()).unwrap_or("");
    status == 400 && scene.is_plain_http() && PLAIN_TO_TLS.iter().any(|words| excerpt.contains(words))
}

fn status(scene: &Scene<'_>, got: u16) -> Found {
    let response = scene.hop.and_then(|hop| hop.response.as_deref());
    let found = if is_plain_to_tls(scene, got) {
        Found::observed(Cause::HttpTlsPeer)
    } else if let Some(found) = client_certificate(scene, got) {
        found
    } else if got == 407 {
        Found::observed(Cause::ProxyAuthRequired)
    } else if scene.is_forwarded() {
        forwarded(got, response)
    } else {
        Found::observed(of_status(got))
    };
    with_response(found.with("status", got), scene)
}

/// nginx finishes the handshake with whom it will refuse, and says why in its page to status 400 (by its makers' own
/// words; it has no status of its own on the wire).
fn client_certificate(scene: &Scene<'_>, got: u16) -> Option<Found> {
    let tls = scene.hop?.tls.as_deref()?;
    let excerpt = scene.hop?.response.as_deref()?.body_excerpt.as_deref()?;
    let cause = if !tls.client_cert_requested || got != 400 {
        return None;
    } else if !tls.client_cert_sent && excerpt.contains("No required SSL certificate was sent") {
        Cause::TlsClientCertRequired
    } else if tls.client_cert_sent && excerpt.contains("The SSL certificate error") {
        Cause::TlsClientCertRejected
    } else {
        return None;
    };
    Some(Found::observed(cause).or(&[of_status(got)]))
}

pub fn of_status(status: u16) -> Cause {
    match status {
        429 => Cause::Http429,
        500 => Cause::Http500,
        502 => Cause::Http502,
        503 => Cause::Http503,
        504 => Cause::Http504,
        501.. => Cause::Http5xx,
        _ => Cause::Http4xx,
    }
}

/// A status that came through a proxy which forwards plain requests: it may be the proxy's own. squid says so of its.
fn forwarded(got: u16, response: Option<&ResponseFacts>) -> Found {
    let cause = of_status(got);
    let has_proxy_status = response.is_some_and(|r| r.proxy_status.is_some());
    let squid_page = response.and_then(|r| r.squid_error.as_deref());
    match got {
        403 if squid_page.is_some() => Found::observed(Cause::ProxyConnectDenied).or(&[cause]),
        500.. if squid_page.is_some() => Found::observed(Cause::ProxyUpstreamFailed).or(&[cause]),
        502..=504 if has_proxy_status => Found::observed(Cause::ProxyUpstreamFailed).or(&[cause]),
        502..=504 => Found::likely(cause, &[Cause::ProxyUpstreamFailed]),
        403 => Found::likely(cause, &[Cause::ProxyConnectDenied]),
        _ => Found::observed(cause),
    }
}

fn token(scene: &Scene<'_>, trouble: &TokenTrouble) -> Found {
    let found = match trouble {
        TokenTrouble::Status { status, error } if *status >= 400 => Found::observed(of_status(*status))
            .with("status", *status)
            .with_some("oauth_error", error.as_deref()),
        TokenTrouble::Status { status, error } => Found::observed(Cause::HttpMalformed)
            .with("status", *status)
            .with_some("oauth_error", error.as_deref()),
        TokenTrouble::Malformed => Found::observed(Cause::HttpMalformed),
    };
    with_response(found.with("role", "token_endpoint"), scene)
}

/// An orderly end where more was needed, outside the handshake and not on a reused connection.
fn closed(scene: &Scene<'_>) -> Found {
    match scene.phase() {
        Some(Phase::Body | Phase::Verify) => {
            let response = scene.hop.and_then(|hop| hop.response.as_deref());
            let found = match response.and_then(|r| r.content_length) {
                Some(expected) => Found::observed(Cause::HttpContentLengthMismatch)
                    .with("expected_bytes", expected)
                    .with_some("got_bytes", response.map(|r| r.body_bytes)),
                None => Found::likely(Cause::HttpIncompleteChunked, &[Cause::HttpContentLengthMismatch]),
            };
            with_response(found, scene)
        }
        Some(Phase::Resolve) => Found::observed(Cause::DnsFailed),
        Some(Phase::Connect) => Found::observed(Cause::TcpResetDuringConnect),
        _ if scene.response_begun() => {
            let cause = other_protocol(scene).unwrap_or(Cause::HttpHeadersTruncated);
            with_response(Found::observed(cause), scene)
        }
        _ => {
            let found = Found::observed(Cause::HttpEmptyResponse);
            if wants_client_certificate(scene) {
                found.or(&[Cause::TlsClientCertRequired])
            } else if scene.is_plain_http() {
                found.or(&[Cause::HttpTlsPeer])
            } else {
                found
            }
        }
    }
}

fn timed_out(scene: &Scene<'_>) -> Option<Found> {
    match scene.phase()? {
        Phase::Request | Phase::FirstByte => {
            let tcp = scene.hop.and_then(|hop| hop.tcp);
            let acknowledged = tcp.map(|tcp| tcp.unacked == 0);
            let found = match acknowledged {
                // The path, not the server: what was sent did not arrive, or its acknowledgement did not.
                Some(false) => Found::likely(
                    Cause::HttpTimedOutFirstByte,
                    &[Cause::TcpTimedOut, Cause::TcpPathMtuBlackHole],
                ),
                Some(true) | None => Found::observed(Cause::HttpTimedOutFirstByte),
            };
            Some(found.with_some("request_acknowledged", acknowledged))
        }
        Phase::Body | Phase::Verify => {
            let hop = scene.hop;
            let response = hop.and_then(|hop| hop.response.as_deref());
            let quiet = hop.and_then(|hop| hop.quiet);
            let whole_budget = scene.budget() != Some(crate::model::attempt::Budget::Phase);
            let came = response.map(|response| response.body_bytes);
            // With the attempt's own budget ended and no word on the last gap, a slow drip is not ruled out.
            let found = if whole_budget && quiet.is_none() && came.is_some_and(|bytes| bytes > 0) {
                Found::likely(Cause::HttpTimedOutBodyStall, &[Cause::DeadlineExceeded])
            } else {
                Found::observed(Cause::HttpTimedOutBodyStall)
            };
            let found = found.with_some("body_bytes", came).with_some("quiet_for", quiet);
            Some(with_response(found, scene))
        }
        Phase::Proxy | Phase::Resolve | Phase::Connect | Phase::Tls => None,
    }
}
