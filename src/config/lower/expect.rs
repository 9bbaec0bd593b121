//! Expectations. Regular expressions and JSON paths are compiled here once, to tell what is wrong with them.

use std::sync::Arc;

use super::super::raw::choices::HeaderSetting;
use super::super::raw::{RawCertExpect, RawDependency, RawHeaderExpect, RawJsonExpect};
use super::super::report::{Finding, Part, Place};
use super::{Context, http};
use crate::model::dependency::{CertExpect, Expect, HeaderExpect, HeaderIs, JsonExpect};

pub fn lower(context: &mut Context<'_>, raw: &RawDependency, place: &Place) -> Expect {
    let place = place.key("expect");
    let Some(raw) = &raw.expect else {
        return Expect::default();
    };
    let mut headers = Vec::new();
    for (name, setting) in raw.headers.iter().flatten() {
        let at = place.key("headers").key(name);
        http::check_header_name(context, name, &at);
        if let Some(is) = header_is(context, setting, &at) {
            headers.push(HeaderExpect {
                name: name.to_ascii_lowercase().into(),
                is,
            });
        }
    }
    let contains: Vec<Arc<str>> = raw
        .body_contains
        .iter()
        .flat_map(|many| &many.0)
        .map(|text| text.as_str().into())
        .collect();
    if contains.iter().any(|text| text.is_empty()) {
        context
            .report
            .error(&place.key("body_contains"), "every body contains the empty text");
    }
    let mut json = Vec::new();
    for (i, one) in raw.json.iter().flat_map(|many| &many.0).enumerate() {
        json.extend(json_expect(context, one, &place.key("json").index(i)));
    }
    let cert = cert(context, raw.cert.as_ref(), &place.key("cert"));
    let mut regex = |key: &str, text: &Option<String>| {
        let text = text.as_ref()?;
        check_regex(context, text, &place.key(key));
        Some(text.as_str().into())
    };
    Expect {
        cert,
        status: raw.status.as_ref().map(|set| set.0.clone()),
        headers: headers.into(),
        body_contains: contains.into(),
        body_regex: regex("body_regex", &raw.body_regex),
        body_not_regex: regex("body_not_regex", &raw.body_not_regex),
        body_json: json.into(),
        latency: raw.latency.map(|text| text.0),
    }
}

/// What a `tls://` dependency's certificates must be.
pub fn cert_alone(context: &mut Context<'_>, raw: &RawDependency, place: &Place) -> Option<Arc<CertExpect>> {
    let cert = raw.expect.as_ref().and_then(|expect| expect.cert.as_ref());
    self::cert(context, cert, &place.dotted("expect.cert"))
}

fn cert(context: &mut Context<'_>, raw: Option<&RawCertExpect>, place: &Place) -> Option<Arc<CertExpect>> {
    let raw = raw?;
    if *raw == RawCertExpect::default() {
        let finding = Finding::error(place, "nothing is expected of the certificates");
        context
            .report
            .add(finding.expected("`days_left`, `issuer` or `fingerprint`"));
        return None;
    }
    if raw.issuer.as_ref().is_some_and(|text| text.is_empty()) {
        context
            .report
            .error(&place.key("issuer"), "every issuer contains the empty text");
    }
    let fingerprints = raw.fingerprint.iter().flat_map(|many| &many.0);
    Some(Arc::new(CertExpect {
        days_left: raw.days_left.map(|days| days.0),
        issuer: raw.issuer.as_deref().map(Into::into),
        fingerprints: fingerprints.map(|one| one.0.as_str().into()).collect(),
    }))
}

/// The values that a DNS answer must have.
pub fn records(raw: &RawDependency) -> Arc<[Arc<str>]> {
    let records = raw.expect.as_ref().and_then(|expect| expect.records.as_ref());
    records
        .into_iter()
        .flat_map(|many| &many.0)
        .map(|value| value.0.as_str().into())
        .collect()
}

fn header_is(context: &mut Context<'_>, setting: &HeaderSetting, place: &Place) -> Option<HeaderIs> {
    match setting {
        HeaderSetting::Equal(value) => Some(HeaderIs::Equal(value.as_str().into())),
        HeaderSetting::Full(RawHeaderExpect {
            present: Some(true),
            equal: None,
            matching: None,
        }) => Some(HeaderIs::Present),
        HeaderSetting::Full(RawHeaderExpect {
            present: None,
            equal: Some(value),
            matching: None,
        }) => Some(HeaderIs::Equal(value.0.as_str().into())),
        HeaderSetting::Full(RawHeaderExpect {
            present: None,
            equal: None,
            matching: Some(regex),
        }) => {
            check_regex(context, regex, &place.key("matching"));
            Some(HeaderIs::Matching(regex.as_str().into()))
        }
        HeaderSetting::Full(_) => {
            let finding = Finding::error(place, "not exactly one of the forms a header's expectation has");
            context
                .report
                .add(finding.expected("a value, `{matching: REGEX}` or `{present: true}`"));
            None
        }
    }
}

pub fn check_regex(context: &mut Context<'_>, text: &str, place: &Place) {
    if let Err(error) = regex::Regex::new(text) {
        // The crate's message draws the pattern first and says what is wrong in its last line.
        let shown = error.to_string();
        let reason = shown
            .lines()
            .last()
            .unwrap_or("")
            .trim()
            .trim_start_matches("error: ");
        context.report.error(
            place,
            format!("this regular expression does not compile: {reason}"),
        );
    }
}

fn json_expect(context: &mut Context<'_>, raw: &RawJsonExpect, place: &Place) -> Option<JsonExpect> {
    let Some(path) = &raw.path else {
        context
            .report
            .missing(place, "path", "a JSON path such as `$.status`");
        return None;
    };
    if jsonpath_rust::parser::parse_json_path(path).is_err() {
        let mut finding =
            Finding::error(&place.key("path"), "this is not a JSON path (RFC 9535)").at(Part::Value);
        finding = finding.expected("a path such as `$.status` or `$.items[0].name`");
        if !path.starts_with('$') && !context.report.is_expanded(&place.key("path")) {
            finding = finding.suggest(format!("did you mean `$.{}`?", path.trim_start_matches('.')));
        }
        context.report.add(finding);
    }
    Some(JsonExpect {
        path: path.as_str().into(),
        equals: raw.equals.as_ref().map(|value| value.to_string().into()),
    })
}
