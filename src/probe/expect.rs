//! What the user expects of an answer, held against it. Pure: everything it needs is given.

use std::time::Duration;

use http::HeaderMap;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use regex::bytes::Regex;
use serde_json::Value;

use crate::model::attempt::{CertificateFacts, Unexpected};
use crate::model::dependency::{CertExpect, Expect, HeaderIs};
use crate::model::time::Wall;
use crate::net::sanitize::foreign_text;

/// Seconds.
const DAY: i64 = 86_400;
/// Longest excerpt of what was found instead, in characters.
const MAX_EXCERPT: usize = 160;

/// The expressions of an [`Expect`], compiled once per dependency.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// One per header that must match; the others have none.
    headers: Vec<Option<Regex>>,
    body: Option<Regex>,
    body_not: Option<Regex>,
    /// A path, and the value that one of its nodes must have.
    json: Vec<(JpQuery, Option<Value>)>,
}

impl Compiled {
    /// Fails only for what `config` did not validate; the text says which expression.
    pub fn new(expect: &Expect) -> Result<Compiled, String> {
        let regex =
            |source: &str| Regex::new(source).map_err(|_| format!("not a regular expression: {source}"));
        let headers = expect.headers.iter().map(|header| match &header.is {
            HeaderIs::Matching(source) => regex(source).map(Some),
            HeaderIs::Present | HeaderIs::Equal(_) => Ok(None),
        });
        let json = expect.body_json.iter().map(|json| {
            let path = parse_json_path(&json.path).map_err(|_| format!("not a JSON path: {}", json.path))?;
            Ok((path, json.equals.as_deref().map(value_of)))
        });
        Ok(Compiled {
            headers: headers.collect::<Result<_, _>>()?,
            body: expect.body_regex.as_deref().map(regex).transpose()?,
            body_not: expect.body_not_regex.as_deref().map(regex).transpose()?,
            json: json.collect::<Result<_, String>>()?,
        })
    }
}

/// A JSON text, or else the string that it is.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The status, when it is not wanted.
pub(crate) fn status(expect: &Expect, got: u16) -> Option<Unexpected> {
    (!expect.admits_status(got)).then(|| Unexpected::Status {
        got,
        wanted: expect
            .status
            .as_ref()
            .map_or_else(|| "2xx".into(), |set| set.to_string().into()),
    })
}

/// The first header that is not as wanted.
pub(crate) fn headers(expect: &Expect, compiled: &Compiled, got: &HeaderMap) -> Option<Unexpected> {
    expect.headers.iter().enumerate().find_map(|(i, header)| {
        let mut values = got.get_all(&*header.name).iter();
        let regex = compiled.headers.get(i).and_then(Option::as_ref);
        let (holds, wanted) = match &header.is {
            HeaderIs::Present => (values.next().is_some(), "present".to_owned()),
            HeaderIs::Equal(wanted) => (
                values.any(|value| value.as_bytes() == wanted.as_bytes()),
                format!("= {wanted}"),
            ),
            HeaderIs::Matching(source) => (
                values.any(|value| regex.is_some_and(|regex| regex.is_match(value.as_bytes()))),
                format!("matching {source}"),
            ),
        };
        (!holds).then(|| Unexpected::Header {
            name: (*header.name).into(),
            wanted: wanted.into(),
            got: got
                .get(&*header.name)
                .map(|value| foreign_text(value.as_bytes(), MAX_EXCERPT)),
        })
    })
}

/// The first thing about the body that is not as wanted.
pub(crate) fn body(expect: &Expect, compiled: &Compiled, got: &[u8]) -> Option<Unexpected> {
    let unexpected = |wanted: String| {
        Some(Unexpected::Body {
            wanted: wanted.into(),
            excerpt: foreign_text(&got[..got.len().min(MAX_EXCERPT * 8)], MAX_EXCERPT),
        })
    };
    for wanted in expect.body_contains.iter() {
        if !contains(got, wanted.as_bytes()) {
            return unexpected(format!("contains {wanted}"));
        }
    }
    if let (Some(regex), Some(source)) = (&compiled.body, &expect.body_regex)
        && !regex.is_match(got)
    {
        return unexpected(format!("matches {source}"));
    }
    if let (Some(regex), Some(source)) = (&compiled.body_not, &expect.body_not_regex)
        && regex.is_match(got)
    {
        return unexpected(format!("does not match {source}"));
    }
    if compiled.json.is_empty() {
        return None;
    }
    let Ok(document) = serde_json::from_slice::<Value>(got) else {
        return unexpected("is JSON".to_owned());
    };
    for ((path, equals), source) in compiled.json.iter().zip(expect.body_json.iter()) {
        let nodes = js_path_process(path, &document).unwrap_or_default();
        let holds = match equals {
            None => !nodes.is_empty(),
            Some(wanted) => nodes.iter().any(|node| same(node.val, wanted)),
        };
        if !holds {
            let path = &source.path;
            return unexpected(match equals {
                None => format!("has {path}"),
                Some(wanted) => format!("{path} = {wanted}"),
            });
        }
    }
    None
}

/// The latency, when it is over the limit.
pub(crate) fn latency(expect: &Expect, got: Duration) -> Option<Unexpected> {
    let limit = expect.latency?;
    (got > limit).then_some(Unexpected::Latency { got, limit })
}

/// The first certificate that is not as wanted. Dates are looked at where a client needs the certificate.
pub(crate) fn certificates(wanted: &CertExpect, chain: &[CertificateFacts], now: Wall) -> Option<Unexpected> {
    let unexpected = |position: usize, wanted: String, got: String| {
        Some(Unexpected::Certificate {
            position: u8::try_from(position).unwrap_or(u8::MAX),
            wanted: wanted.into(),
            got: got.into(),
            certificate: Box::new(chain.get(position)?.clone()),
        })
    };
    let needed = || {
        chain
            .iter()
            .enumerate()
            .filter(|(_, certificate)| certificate.needed)
    };
    if let Some(days) = wanted.days_left {
        let left = |certificate: &CertificateFacts| certificate.not_after.seconds_since(now);
        let soonest = needed().min_by_key(|(_, certificate)| left(certificate));
        if let Some((position, certificate)) = soonest
            && left(certificate) < i64::from(days) * DAY
        {
            let got = left(certificate).div_euclid(DAY);
            return unexpected(
                position,
                format!("at least {days} days left"),
                format!("{got} days left"),
            );
        }
    }
    let leaf = chain.first()?;
    if let Some(issuer) = wanted
        .issuer
        .as_deref()
        .filter(|text| !leaf.issuer.contains(*text))
    {
        return unexpected(
            0,
            format!("an issuer with {issuer}"),
            format!("the issuer {}", leaf.issuer),
        );
    }
    let pinned = |certificate: &CertificateFacts| {
        let mut wanted = wanted.fingerprints.iter();
        wanted.any(|fingerprint| **fingerprint == *certificate.fingerprint)
    };
    if !wanted.fingerprints.is_empty() && !needed().any(|(_, certificate)| pinned(certificate)) {
        let got = format!("the fingerprint {}", leaf.fingerprint);
        return unexpected(0, format!("one of {}", wanted.fingerprints.join(", ")), got);
    }
    None
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

/// Equal as JSON values; numbers by their value, so that 1 equals 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dependency::{HeaderExpect, JsonExpect, StatusSet};
    use http::HeaderValue;

    fn check_body(expect: &Expect, got: &[u8]) -> Option<String> {
        let compiled = Compiled::new(expect).unwrap();
        body(expect, &compiled, got).map(|unexpected| match unexpected {
            Unexpected::Body { wanted, .. } => wanted.into(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn statuses() {
        let any = Expect::default();
        assert_eq!(status(&any, 204), None);
        assert!(status(&any, 301).is_some());
        let only = Expect {
            status: Some(StatusSet([(404, 404)].into())),
            ..Expect::default()
        };
        assert_eq!(status(&only, 404), None);
        assert_eq!(
            status(&only, 200),
            Some(Unexpected::Status {
                got: 200,
                wanted: "404".into()
            })
        );
    }

    #[test]
    fn bodies() {
        let text = Expect {
            body_contains: ["ok".into()].into(),
            body_regex: Some("^\\{".into()),
            body_not_regex: Some("error".into()),
            ..Expect::default()
        };
        assert_eq!(check_body(&text, b"{ok}"), None);
        assert_eq!(check_body(&text, b"{}").as_deref(), Some("contains ok"));
        assert_eq!(check_body(&text, b"ok").as_deref(), Some("matches ^\\{"));
        assert_eq!(
            check_body(&text, b"{ok error}").as_deref(),
            Some("does not match error")
        );
    }

    #[test]
    fn json() {
        let with = |path: &str, equals: Option<&str>| Expect {
            body_json: [JsonExpect {
                path: path.into(),
                equals: equals.map(Into::into),
            }]
            .into(),
            ..Expect::default()
        };
        let got = br#"{"status":"up","n":1,"deps":[{"ok":true},{"ok":false}]}"#;
        for (path, equals, holds) in [
            ("$.status", Some("\"up\""), true),
            ("$.status", Some("up"), true),
            ("$.status", Some("down"), false),
            ("$.n", Some("1.0"), true),
            ("$.n", Some("2"), false),
            ("$.deps[*].ok", Some("false"), true),
            ("$.deps[?@.ok == false]", None, true),
            ("$.missing", None, false),
        ] {
            let expect = with(path, equals);
            assert_eq!(check_body(&expect, got).is_none(), holds, "{path} {equals:?}");
        }
        assert_eq!(
            check_body(&with("$.a", None), b"<html>").as_deref(),
            Some("is JSON")
        );
        assert!(Compiled::new(&with("not a path", None)).is_err());
    }

    #[test]
    fn header_values() {
        let expect = |is: HeaderIs| Expect {
            headers: [HeaderExpect {
                name: "x-a".into(),
                is,
            }]
            .into(),
            ..Expect::default()
        };
        let mut got = HeaderMap::new();
        got.append("x-a", HeaderValue::from_static("one"));
        got.append("x-a", HeaderValue::from_static("two"));
        let holds = |is: HeaderIs, got: &HeaderMap| {
            let expect = expect(is);
            headers(&expect, &Compiled::new(&expect).unwrap(), got).is_none()
        };
        assert!(holds(HeaderIs::Present, &got));
        assert!(holds(HeaderIs::Equal("two".into()), &got));
        assert!(!holds(HeaderIs::Equal("tw".into()), &got));
        assert!(holds(HeaderIs::Matching("^o".into()), &got));
        assert!(!holds(HeaderIs::Present, &HeaderMap::new()));
    }

    #[test]
    fn certificates_are_held_to_days_issuer_and_fingerprint() {
        let now = Wall::from_unix_secs(1_000_000_000);
        let certificate = |subject: &str, days: i64, needed: bool| CertificateFacts {
            subject: subject.into(),
            issuer: "CN=Issuing CA,O=Example".into(),
            serial: "01".into(),
            not_before: now,
            not_after: Wall::from_unix_secs(1_000_000_000 + days * DAY),
            names: vec![],
            is_ca: false,
            self_issued: false,
            signature_algorithm: "ecdsa-with-SHA256".into(),
            key: "EC P-256".into(),
            fingerprint: format!("print of {subject}").into(),
            needed,
        };
        let chain = [
            certificate("leaf", 60, true),
            certificate("old root", -400, false),
            certificate("intermediate", 20, true),
        ];
        let check = |wanted: CertExpect| match certificates(&wanted, &chain, now) {
            None => None,
            Some(Unexpected::Certificate { position, got, .. }) => Some((position, got.to_string())),
            Some(other) => panic!("{other:?}"),
        };
        let days = |days: u32| CertExpect {
            days_left: Some(days),
            ..CertExpect::default()
        };
        assert_eq!(check(days(20)), None, "20 days are 20 days");
        assert_eq!(check(days(21)), Some((2, "20 days left".into())));
        let issuer = |text: &str| CertExpect {
            issuer: Some(text.into()),
            ..CertExpect::default()
        };
        assert_eq!(check(issuer("Issuing CA")), None);
        assert!(check(issuer("Other CA")).is_some());
        let pins = |prints: &[&str]| CertExpect {
            fingerprints: prints.iter().map(|print| (*print).into()).collect(),
            ..CertExpect::default()
        };
        assert_eq!(check(pins(&["x", "print of intermediate"])), None);
        assert!(check(pins(&["print of old root"])).is_some(), "it is not needed");
    }

    #[test]
    fn latencies() {
        let expect = Expect {
            latency: Some(Duration::from_millis(5)),
            ..Expect::default()
        };
        assert_eq!(latency(&expect, Duration::from_millis(5)), None);
        assert!(latency(&expect, Duration::from_millis(6)).is_some());
    }
}
