//! The headers of a response that explain something, sanitised.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::model::attempt::{ResponseFacts, RetryAfter};
use crate::model::time::Wall;
use crate::net::sanitize::foreign_text;

/// Longest text taken from one header, in characters.
const MAX_HEADER: usize = 200;
/// The same of `Proxy-Status`: the one who is closest to the origin comes first, and has much to say at times.
const MAX_PROXY_STATUS: usize = 1_000;
/// Longest excerpt of a body, in characters.
pub(crate) const MAX_EXCERPT: usize = 160;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const SQUID_ERROR: HeaderName = HeaderName::from_static("x-squid-error");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What the headers say. The body's figures are added when it has been read.
pub(crate) fn response_facts(headers: &HeaderMap) -> ResponseFacts {
    let text = |name: HeaderName| headers.get(name).map(text_of);
    ResponseFacts {
        server: text(header::SERVER),
        via: text(header::VIA),
        proxy_status: all(headers, &PROXY_STATUS),
        squid_error: text(SQUID_ERROR),
        retry_after: headers.get(header::RETRY_AFTER).and_then(retry_after),
        location: headers.get(header::LOCATION).map(location),
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        content_length: content_length(headers),
        keep_alive_timeout: headers.get(KEEP_ALIVE).and_then(keep_alive_timeout),
        connection_close: has_token(headers, header::CONNECTION, "close"),
        authenticate: headers
            .get(header::WWW_AUTHENTICATE)
            .or(headers.get(header::PROXY_AUTHENTICATE))
            .and_then(scheme),
        body_bytes: 0,
        body_excerpt: None,
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Whether a list header has this token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The start of a body as evidence; `None` when there is nothing to show.
pub(crate) fn excerpt(body: &[u8]) -> Option<Box<str>> {
    // A character has at most four bytes; what lies beyond can never be shown.
    let text = foreign_text(&body[..body.len().min(MAX_EXCERPT * 8)], MAX_EXCERPT);
    (!text.trim().is_empty()).then_some(text)
}

/// A list field, of which each intermediary may have added a line (RFC 9110, section 5.3).
fn all(headers: &HeaderMap, name: &HeaderName) -> Option<Box<str>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    (!lines.is_empty()).then(|| foreign_text(&lines.join(&b", "[..]), MAX_PROXY_STATUS))
}

fn text_of(value: &HeaderValue) -> Box<str> {
    foreign_text(value.as_bytes(), MAX_HEADER)
}

/// The location without its query and fragment, which may hold secrets.
fn location(value: &HeaderValue) -> Box<str> {
    let bytes = value.as_bytes();
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .unwrap_or(bytes.len());
    let text = foreign_text(&bytes[..end], MAX_HEADER);
    crate::net::sanitize::scrub_url(&text).into()
}

/// The name of the scheme: the challenge's parameters may be long and say nothing more.
fn scheme(value: &HeaderValue) -> Option<Box<str>> {
    let name = value
        .as_bytes()
        .split(|byte| *byte == b' ' || *byte == b',')
        .next()?;
    (!name.is_empty()).then(|| foreign_text(name, 32))
}

/// `Keep-Alive: timeout=60, max=100`.
fn keep_alive_timeout(value: &HeaderValue) -> Option<u32> {
    value.to_str().ok()?.split(',').find_map(|part| {
        let (name, number) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(())?;
        number.trim().parse().ok()
    })
}

/// Seconds or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &HeaderValue) -> Option<RetryAfter> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(RetryAfter::Seconds(seconds));
    }
    http_date(text).map(RetryAfter::At)
}

/// The date forms of RFC 9110, section 5.6.7.
fn http_date(text: &str) -> Option<Wall> {
    let timestamp = jiff::fmt::rfc2822::parse(text)
        .map(|zoned| zoned.timestamp())
        .ok()
        .or_else(|| {
            ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
                .into_iter()
                .find_map(|format| {
                    let civil = jiff::civil::DateTime::strptime(format, text).ok()?;
                    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
                })
        })?;
    Some(Wall::from_unix_secs(timestamp.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_takes_seconds_and_every_date_form() {
        let parse = |text: &'static str| retry_after(&HeaderValue::from_static(text));
        assert_eq!(parse(" 120"), Some(RetryAfter::Seconds(120)));
        let at = Some(RetryAfter::At(Wall::from_unix_secs(784_111_777)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), at);
        assert_eq!(parse("Sunday, 06-Nov-94 08:49:37 GMT"), at);
        assert_eq!(parse("Sun Nov  6 08:49:37 1994"), at);
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }

    #[test]
    fn facts_are_cut_and_without_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "location",
            HeaderValue::from_static("https://h/a?token=hunter2#x"),
        );
        headers.insert(
            "www-authenticate",
            HeaderValue::from_static("Bearer realm=\"x\", error=\"y\""),
        );
        headers.insert("keep-alive", HeaderValue::from_static("max=5, Timeout=60"));
        headers.insert("connection", HeaderValue::from_static("foo, Close"));
        headers.insert("server", HeaderValue::from_bytes(&[b'a'; 500]).unwrap());
        let facts = response_facts(&headers);
        assert_eq!(facts.location.as_deref(), Some("https://h/a"));
        assert_eq!(facts.authenticate.as_deref(), Some("Bearer"));
        assert_eq!(facts.keep_alive_timeout, Some(60));
        assert!(facts.connection_close);
        assert!(facts.server.unwrap().chars().count() <= MAX_HEADER);
    }
}
