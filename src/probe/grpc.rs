//! The `grpc://` and `grpcs://` probes: one call of gRPC's health service over an HTTP/2 connection of our own.
//!
//! The call follows gRPC's "PROTOCOL-HTTP2" document, the answer its "Health Checking Protocol"; both messages are so
//! small that their protobuf is written and read here.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::model::attempt::{GrpcStatusFrom, GrpcTrouble, Role, Trouble};
use crate::model::dependency::{GrpcProbe, HttpVersion};
use crate::model::order::Connection;
use crate::model::phase::Phase;
use crate::net::sanitize::foreign_text;

use super::auth;
use super::http::body::{self, Wanted};
use super::http::courtesy;
use super::http::exchange::{Answer, Ask, ask};
use super::http::facts::response_facts;
use super::http::trouble::phase_of;
use super::run::{Halt, HopIndex, Run, chain, halt};

/// An answer of the health service has a few bytes.
const MAX_ANSWER: u64 = 64 * 1024;
/// Longest `grpc-message` kept, in characters.
const MAX_MESSAGE: usize = 200;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const OK: u32 = 0;
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;

/// `SERVING` of `grpc.health.v1.HealthCheckResponse.ServingStatus`.
const SERVING: u32 = 1;

/// Asks for the health of the service.
pub(crate) async fn attempt(run: &mut Run<'_>, probe: &GrpcProbe) -> Result<(), Halt> {
    let request = request(run, probe).await?;
    let mut answer = ask(run, &request).await?;
    let hop = answer.hop;
    let mut facts = response_facts(&answer.parts.headers);
    if let Some(status) = status_in(&answer.parts.headers) {
        // Trailers without anything before them.
        run.note_wire(hop, &answer.link.wire);
        run.hop(hop).response = Some(Box::new(facts));
        return match status {
            // A call that went well has an answer.
            Status { code: OK, .. } => Err(undecodable(run, hop)),
            status => Err(refused(hop, Phase::FirstByte, status, GrpcStatusFrom::Head)),
        };
    }
    if answer.parts.status != StatusCode::OK || !is_grpc(&answer.parts.headers) {
        let status = Status {
            code: of_http_status(answer.parts.status),
            message: None,
        };
        courtesy(run, &request, answer, facts).await;
        let from = GrpcStatusFrom::HttpStatus;
        return Err(refused(hop, Phase::FirstByte, status, from));
    }
    let read = read(run, &mut answer).await;
    run.spent(hop, Phase::Body, answer.at);
    run.note_wire(hop, &answer.link.wire);
    if let Ok((message, _)) = &read {
        facts.body_bytes = message.len() as u64;
    }
    run.hop(hop).response = Some(Box::new(facts));
    let (message, status) = read?;
    keep(run, &request, answer).await;
    match status {
        Some(Status { code: OK, .. }) => judge(run, hop, &message),
        Some(status) => Err(refused(hop, Phase::Body, status, GrpcStatusFrom::Trailers)),
        // The mapping of an HTTP status of 200 without a gRPC status.
        None => {
            let status = Status {
                code: UNKNOWN,
                message: None,
            };
            Err(refused(hop, Phase::Body, status, GrpcStatusFrom::HttpStatus))
        }
    }
}

async fn request<'a>(run: &mut Run<'_>, probe: &'a GrpcProbe) -> Result<Ask<'a>, Halt> {
    let http = &probe.http;
    let prepared = run.world.prepared.get(&run.order.dependency, http)?;
    let mut headers = prepared.own_headers(&run.world.secrets)?;
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(value) = auth::authorization(run, http).await?
    {
        headers.insert(header::AUTHORIZATION, value);
    }
    headers.remove(header::ACCEPT);
    headers.remove(header::ACCEPT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let reuse = run.order.dependency.keepalive.reuse;
    headers.insert(GRPC_TIMEOUT, timeout_of(run));
    Ok(Ask {
        target: prepared.target.clone(),
        role: Role::Target,
        method: Method::POST,
        headers,
        body: health_check(&probe.service),
        version: HttpVersion::Http2,
        proxy: http.proxy.as_ref(),
        tls: Cow::Borrowed(&http.tls),
        resolve: Cow::Borrowed(&http.resolve),
        only: match run.order.connection {
            Connection::Address(address) => Some(address),
            Connection::Reuse | Connection::Fresh => None,
        },
        reuse: reuse && run.order.connection == Connection::Reuse,
        tunnelled: true,
    })
}

/// How much later than ours the server's deadline is. A server that keeps to it answers DEADLINE_EXCEEDED, and which of
/// the two is told must not depend on who wakes first.
const LATER: Duration = Duration::from_millis(100);

/// The deadline as the server is told it: what the answer may take, and a little more, in at most eight digits.
fn timeout_of(run: &Run<'_>) -> HeaderValue {
    let left = run.end.at.saturating_duration_since(Instant::now());
    timeout_text(left.min(run.timeouts().first_byte) + LATER)
}

fn timeout_text(time: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let millis = time.as_nanos().div_ceil(1_000_000).max(1);
    let text = if millis <= MOST {
        format!("{millis}m")
    } else {
        format!("{}S", time.as_secs().min(MOST as u64))
    };
    // Digits and a letter are always a header's value; the empty one stands for the impossible.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Reads the message and the trailers.
async fn read(run: &mut Run<'_>, answer: &mut Answer) -> Result<(Vec<u8>, Option<Status>), Halt> {
    let hop = answer.hop;
    let wanted = Wanted {
        max: MAX_ANSWER,
        keep: MAX_ANSWER as usize,
        gap: run.timeouts().body,
        within: None,
        looked_at: false,
    };
    let headers = &answer.parts.headers;
    let read = body::read(run, &mut answer.link, &mut answer.body, headers, wanted).await;
    let message = match read {
        Ok(body) => body.kept,
        Err(failure) => {
            let mut stop = halt(phase_of(&failure.trouble, Phase::Body), hop, failure.trouble);
            stop.chain = failure.chain;
            return Err(stop);
        }
    };
    let deadline = run.deadline(run.timeouts().body);
    match deadline.bound(answer.link.trailers(&mut answer.body)).await {
        Ok(Ok(trailers)) => Ok((message, trailers.as_ref().and_then(status_in))),
        Ok(Err(err)) => {
            let traffic = answer.link.wire.traffic();
            let trouble = super::http::trouble::no_head(&err, &traffic, true);
            let mut stop = halt(phase_of(&trouble, Phase::Body), hop, trouble);
            stop.chain = chain(err.as_dyn());
            Err(stop)
        }
        Err(budget) => Err(halt(Phase::Body, hop, Trouble::TimedOut(budget))),
    }
}

async fn keep(run: &mut Run<'_>, ask: &Ask<'_>, mut answer: Answer) {
    if run.order.dependency.keepalive.reuse && ask.only.is_none() && answer.link.settles(run.end.at).await {
        run.park(ask.way(), answer.link);
    }
}

fn judge(run: &mut Run<'_>, hop: HopIndex, message: &[u8]) -> Result<(), Halt> {
    let began = Instant::now();
    let status = serving_status(message);
    run.spent(hop, Phase::Verify, began);
    match status {
        Some(SERVING) => Ok(()),
        Some(other) => {
            let trouble = Trouble::Grpc(GrpcTrouble::NotServing(other));
            Err(halt(Phase::Verify, hop, trouble))
        }
        None => Err(halt(Phase::Verify, hop, Trouble::Grpc(GrpcTrouble::Undecodable))),
    }
}

fn undecodable(run: &mut Run<'_>, hop: HopIndex) -> Halt {
    run.spent(hop, Phase::Verify, Instant::now());
    halt(Phase::Verify, hop, Trouble::Grpc(GrpcTrouble::Undecodable))
}

fn refused(hop: HopIndex, phase: Phase, status: Status, from: GrpcStatusFrom) -> Halt {
    let chain = match &status.message {
        Some(message) => vec![message.clone()],
        None => Vec::new(),
    };
    let trouble = GrpcTrouble::Status {
        code: status.code,
        message: status.message,
        from,
    };
    let mut stop = halt(phase, hop, Trouble::Grpc(trouble));
    stop.chain = chain;
    stop
}

struct Status {
    code: u32,
    message: Option<Box<str>>,
}

/// The status in trailers, or in a head that is trailers at the same time. One that is no number is UNKNOWN.
fn status_in(headers: &HeaderMap) -> Option<Status> {
    let code = headers.get(GRPC_STATUS)?.to_str().ok();
    Some(Status {
        code: code.and_then(|text| text.trim().parse().ok()).unwrap_or(UNKNOWN),
        message: headers
            .get(GRPC_MESSAGE)
            .map(|value| foreign_text(&percent_decoded(value.as_bytes()), MAX_MESSAGE))
            .filter(|message| !message.is_empty()),
    })
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        match (first, after) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                // Two digits of four bits each are a byte.
                let value = hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0);
                decoded.push(value as u8);
                rest = after;
            }
            _ => {
                // What is not an escape is kept as it is.
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// gRPC's "HTTP to gRPC Status Code Mapping".
fn of_http_status(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => UNKNOWN,
    }
}

/// A length-prefixed `HealthCheckRequest { string service = 1; }`.
fn health_check(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 16);
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    // A name of four gigabytes does not come out of a configuration.
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// The status of a length-prefixed `HealthCheckResponse { ServingStatus status = 1; }`; `None` when it is not one.
fn serving_status(framed: &[u8]) -> Option<u32> {
    let (head, message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if head[0] != 0 || usize::try_from(length) != Ok(message.len()) {
        return None;
    }
    // A field with its default value is left out: UNKNOWN.
    let mut status = 0;
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = u32::try_from(varint(&mut rest)?).ok()?,
            // Fields that we do not know are passed over by their wire type.
            (_, 0) => {
                varint(&mut rest)?;
            }
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_and_read() {
        assert_eq!(&health_check("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&health_check("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = health_check(&"x".repeat(200));
        assert_eq!(long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 3]), Some(3));
        assert_eq!(
            serving_status(&[0, 0, 0, 0, 0]),
            Some(0),
            "the default is left out"
        );
        let unknown_fields = [0, 0, 0, 0, 7, 0x12, 1, 9, 0x18, 5, 8, 2];
        assert_eq!(serving_status(&unknown_fields), Some(2));
        for wrong in [
            &[][..],
            &[0, 0, 0, 0, 2, 8],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 1, 0xff],
        ] {
            assert_eq!(serving_status(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn messages_of_a_status_are_decoded_and_made_fit() {
        let mut headers = HeaderMap::new();
        assert!(status_in(&headers).is_none());
        headers.insert("grpc-status", HeaderValue::from_static("5"));
        headers.insert(
            "grpc-message",
            HeaderValue::from_static("no%20such%1b[31m %zz 100%"),
        );
        let status = status_in(&headers).unwrap();
        assert_eq!(status.code, 5);
        assert_eq!(status.message.as_deref(), Some("no such[31m %zz 100%"));
        headers.insert("grpc-status", HeaderValue::from_static("none"));
        assert_eq!(status_in(&headers).unwrap().code, UNKNOWN);
    }

    #[test]
    fn http_statuses_are_mapped_as_grpc_says() {
        for (http, grpc) in [
            (200, 2),
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (500, 2),
            (502, 14),
            (503, 14),
            (504, 14),
        ] {
            let http = StatusCode::from_u16(http).unwrap();
            assert_eq!(of_http_status(http), grpc, "{http}");
        }
    }

    #[test]
    fn a_deadline_has_at_most_eight_digits() {
        let text = |time| timeout_text(time).to_str().unwrap().to_owned();
        assert_eq!(text(Duration::from_micros(1_001)), "2m");
        assert_eq!(text(Duration::ZERO), "1m");
        assert_eq!(text(Duration::from_secs(200_000)), "200000S");
    }

    proptest::proptest! {
        #[test]
        fn no_answer_is_too_odd_to_be_looked_at(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            let framed = [&[0, 0, 0, 0, bytes.len() as u8][..], &bytes].concat();
            let _ = (serving_status(&framed), serving_status(&bytes), percent_decoded(&bytes));
        }
    }
}
