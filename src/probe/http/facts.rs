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
        date: headers
            .get(header::DATE)
            .and_then(|value| fixed_date(value.as_bytes())),
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

/// The one form of a date that a sender may use (IMF-fixdate, RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
/// Every answer has one, so that it is read without a parser's detours.
fn fixed_date(text: &[u8]) -> Option<Wall> {
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
    ];
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.iter().try_fold(0_i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    if text.len() != 29 || !text.ends_with(b" GMT") || text.get(3..5)? != b", " {
        return None;
    }
    let month = (1_i64..)
        .zip(MONTHS)
        .find(|(_, name)| text.get(8..11) == Some(*name))?
        .0;
    let days = days_from_civil(number(12, 16)?, month, number(5, 7)?);
    let seconds = number(17, 19)? * 3600 + number(20, 22)? * 60 + number(23, 25)?;
    Some(Wall::from_unix_secs(days * 86_400 + seconds))
}

/// Days from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
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
    fn a_date_is_read_in_its_one_form() {
        let parse = |text: &str| fixed_date(text.as_bytes()).map(Wall::unix_secs);
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for day in (0..40_000).step_by(13) {
            let at = Wall::from_unix_secs(day * 86_400 + 12_345);
            let stamp = jiff::Timestamp::from_second(at.unix_secs()).expect("in range");
            let text = stamp
                .to_zoned(jiff::tz::TimeZone::UTC)
                .strftime("%a, %d %b %Y %H:%M:%S GMT");
            assert_eq!(parse(&text.to_string()), Some(at.unix_secs()), "{text}");
        }
        for bad in [
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nix 1994 08:49:37 GMT",
            "Sun, 0x Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
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
