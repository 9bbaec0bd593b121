//! From what the HTTP libraries say, and from what was seen on the wire, to the trouble.
//!
//! The record of the wire comes first: it knows errno, the end of the stream and the first bytes, whichever text the
//! library wraps them in.

use std::error::Error;
use std::io;

use crate::model::attempt::{Call, H2Frame, H2Trouble, HttpTrouble, Trouble};
use crate::model::phase::Phase;
use crate::net::sanitize::foreign_text;
use crate::probe::stream::Traffic;
use crate::probe::tls::{looks_like_tls, trouble_after_handshake};

use super::link::LinkError;

/// Why no head came.
pub(crate) fn no_head(err: &LinkError, traffic: &Traffic, over_tls: bool) -> Trouble {
    if let Some(trouble) = from_the_connection(err, traffic) {
        return trouble;
    }
    let first = traffic.app_first_bytes();
    match err {
        LinkError::H1(err) => {
            if !over_tls && looks_like_tls(first) {
                return Trouble::Http(HttpTrouble::Protocol("the answer is a TLS record".into()));
            }
            if looks_like_h2(first) || err.is_parse_version_h2() {
                return version("HTTP/2 frames answer an HTTP/1 request");
            }
            h1_head(err, traffic)
        }
        LinkError::H2(err) => {
            if first.starts_with(b"HTTP/1.") {
                return version("an HTTP/1 answer to HTTP/2");
            }
            h2_trouble(err, traffic)
        }
        LinkError::Lost => Trouble::Closed,
    }
}

fn h1_head(err: &hyper::Error, traffic: &Traffic) -> Trouble {
    if err.is_parse_too_large() {
        Trouble::Http(HttpTrouble::HeadTooLarge)
    } else if err.is_parse() {
        Trouble::Http(HttpTrouble::Malformed)
    } else if err.is_incomplete_message() || err.is_canceled() || err.is_closed() || has_eof(err) {
        if traffic.app_received == 0 {
            Trouble::Closed
        } else {
            Trouble::Http(HttpTrouble::HeadTruncated)
        }
    } else {
        Trouble::Http(HttpTrouble::Protocol(text(err)))
    }
}

/// How a body was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By its length.
    Length(u64),
    Chunked,
    /// By the end of the connection, or (HTTP/2) of the stream.
    Open,
}

/// Why a body ended early; `None` when it may be taken as complete after all.
pub(crate) fn short_body(err: &LinkError, traffic: &Traffic, framing: Framing, got: u64) -> Option<Trouble> {
    if let Some(trouble) = from_the_connection(err, traffic) {
        return Some(trouble);
    }
    let ended_early = match err {
        LinkError::H1(err) => err.is_incomplete_message() || err.is_canceled() || has_eof(err),
        // The library itself refuses a stream that ends short of its Content-Length, as a protocol error.
        LinkError::H2(err) => {
            h2_is_close(err) || err.is_library() && err.reason() == Some(h2::Reason::PROTOCOL_ERROR)
        }
        LinkError::Lost => true,
    };
    match framing {
        Framing::Length(expected) if ended_early && got < expected => {
            Some(Trouble::Http(HttpTrouble::ShortBody { expected, got }))
        }
        Framing::Chunked if ended_early => Some(Trouble::Http(HttpTrouble::ShortChunked)),
        // Over TLS the end of the connection without close_notify is how many servers end such a body: whether it
        // was cut cannot be told.
        Framing::Open if ended_early && matches!(err, LinkError::H1(_)) => None,
        _ => Some(match err {
            LinkError::H1(err) => Trouble::Http(HttpTrouble::Protocol(text(err))),
            LinkError::H2(err) => h2_trouble(err, traffic),
            LinkError::Lost => Trouble::Closed,
        }),
    }
}

/// Whether the trouble is one of TLS that only shows after the handshake (RFC 8446, section 4.4.2).
pub(crate) fn phase_of(trouble: &Trouble, otherwise: Phase) -> Phase {
    if matches!(trouble, Trouble::Tls(_)) {
        Phase::Tls
    } else {
        otherwise
    }
}

/// Errors of the socket, and of TLS above it.
fn from_the_connection(err: &LinkError, traffic: &Traffic) -> Option<Trouble> {
    let mut next = Some(err.as_dyn());
    if let LinkError::H2(err) = err
        && let Some(io) = err.get_io()
        && let Some(trouble) = trouble_after_handshake(io)
    {
        return Some(trouble);
    }
    while let Some(err) = next {
        if let Some(io) = err.downcast_ref::<io::Error>()
            && let Some(trouble) = trouble_after_handshake(io)
        {
            return Some(trouble);
        }
        next = err.source();
    }
    let (call, errno) = traffic.error?;
    Some(Trouble::Io { call, errno })
}

/// Whether an HTTP/2 stream was cut off by the end of its connection, which may have said why.
pub(crate) fn is_cut_off(err: &LinkError) -> bool {
    matches!(err, LinkError::H2(err) if h2_is_close(err))
}

/// The peer's GOAWAY.
pub(crate) fn goaway(reason: h2::Reason) -> Trouble {
    Trouble::H2(H2Trouble {
        frame: H2Frame::GoAway,
        reason: reason.into(),
        remote: true,
    })
}

/// The reason of a GOAWAY among these frames (RFC 9113, sections 4.1 and 6.8): those with which a peer began that sent
/// nothing of an answer.
pub(crate) fn goaway_among(mut frames: &[u8]) -> Option<h2::Reason> {
    const HEADER: usize = 9;
    const GOAWAY: u8 = 7;
    while let [high, mid, low, kind, ..] = *frames {
        let length = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
        let payload = frames.get(HEADER..HEADER + length)?;
        if kind == GOAWAY {
            // The last stream that counts, then the code.
            let code = payload.get(4..8)?.try_into().ok()?;
            return Some(u32::from_be_bytes(code).into());
        }
        frames = &frames[HEADER + length..];
    }
    None
}

/// What a write that failed says: the peer had already closed or reset.
pub(crate) fn is_send_failure(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Io { call: Call::Send, .. })
}

/// Whether the peer said anything but how its HTTP/2 connection is to be used.
pub(crate) fn has_answered(traffic: &Traffic) -> bool {
    let first = traffic.app_first_bytes();
    !first.is_empty() && !looks_like_h2(first)
}

fn has_eof(err: &hyper::Error) -> bool {
    let mut next = err.source();
    while let Some(err) = next {
        if let Some(io) = err.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::UnexpectedEof;
        }
        next = err.source();
    }
    false
}

/// The library reports a closed connection as a broken pipe of its own, without errno.
fn h2_is_close(err: &h2::Error) -> bool {
    err.get_io().is_some_and(|io| io.raw_os_error().is_none())
}

fn h2_trouble(err: &h2::Error, traffic: &Traffic) -> Trouble {
    let frame = if err.is_go_away() {
        Some(H2Frame::GoAway)
    } else if err.is_reset() {
        Some(H2Frame::Reset)
    } else {
        None
    };
    match (frame, err.reason()) {
        (Some(frame), Some(reason)) => Trouble::H2(H2Trouble {
            frame,
            reason: reason.into(),
            remote: err.is_remote(),
        }),
        _ if h2_is_close(err) || traffic.ended.is_some() => Trouble::Closed,
        _ => Trouble::Http(HttpTrouble::Protocol(text(err))),
    }
}

/// A SETTINGS or GOAWAY frame of the connection, with which an HTTP/2 server begins (RFC 9113, section 3.4).
fn looks_like_h2(first: &[u8]) -> bool {
    first.len() >= 9 && first[0] == 0 && matches!(first[3], 4 | 7) && first[5..9] == [0; 4]
}

fn version(what: &str) -> Trouble {
    Trouble::Http(HttpTrouble::Version(what.into()))
}

fn text(err: &(dyn Error + 'static)) -> Box<str> {
    let mut inner = err;
    while let Some(source) = inner.source() {
        inner = source;
    }
    foreign_text(inner.to_string().as_bytes(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_http_2_are_known() {
        assert!(looks_like_h2(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 1]));
        assert!(looks_like_h2(&[0, 0, 8, 7, 0, 0, 0, 0, 0]));
        assert!(!looks_like_h2(b"HTTP/1.1 200"));
        assert!(!looks_like_h2(&[0, 0, 6, 4]));
    }

    #[test]
    fn a_goaway_is_found_behind_other_frames() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 128];
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11];
        let both = [&settings[..], &goaway].concat();
        assert_eq!(goaway_among(&both), Some(h2::Reason::ENHANCE_YOUR_CALM));
        assert_eq!(goaway_among(&settings), None);
        for end in 0..both.len() {
            assert_eq!(goaway_among(&both[..end]), None, "cut off after {end} bytes");
        }
    }
}
