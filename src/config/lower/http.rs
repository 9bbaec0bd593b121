//! The parts of an HTTP probe.

use std::sync::Arc;

use crate::config::expand::typed;
use crate::config::raw;
use crate::model::dependency::{
    Auth, ClientCredentials, Expect, HeaderExpect, HeaderIs, HttpVersion, JsonExpect, Redirects, StatusSet,
};
use crate::model::secret::{Secret, SecretRef, Text};

use super::credentials::{secret, text};
use super::{Entry, url};

type Dependency<'a> = Entry<'a, raw::Dependency>;

pub fn method(entry: &Dependency<'_>) -> Arc<str> {
    let default = if entry.raw.body.is_some() { "POST" } else { "GET" };
    let method = entry.raw.method.as_deref().unwrap_or(default);
    let upper = method.to_ascii_uppercase();
    if http::Method::from_bytes(upper.as_bytes()).is_err() || upper == "CONNECT" {
        entry.error(
            "method",
            format!("`{method}` is not a method that can be used"),
            None,
        );
    }
    upper.into()
}

pub fn headers(entry: &Dependency<'_>) -> Arc<[(Arc<str>, Text)]> {
    let lower = |(name, value): (&String, &_)| {
        let path = entry.path("headers").key(name);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            entry
                .source
                .error(&path, format!("`{name}` is not the name of a header"), None);
        }
        let value = text(entry, &path, Some(name), value);
        let sendable = match &value {
            Text::Plain(text) => http::HeaderValue::from_str(text).is_ok(),
            Text::Secret(SecretRef::Inline(secret)) => http::HeaderValue::from_str(secret.expose()).is_ok(),
            Text::Secret(SecretRef::File(_)) => true,
        };
        if !sendable {
            entry
                .source
                .error(&path, "holds a character that a header cannot carry", None);
        }
        (Arc::from(name.as_str()), value)
    };
    entry.raw.headers.iter().map(lower).collect()
}

pub fn body(entry: &Dependency<'_>) -> Option<Text> {
    entry
        .raw
        .body
        .as_ref()
        .map(|body| text(entry, &entry.path("body"), None, body))
}

/// The credentials: of `auth`, or of the URL's user info.
pub fn auth(entry: &Dependency<'_>, user_info: Option<(String, String)>) -> Auth {
    let raw = entry.raw.auth.clone().unwrap_or_default();
    let given = [
        raw.basic.is_some(),
        raw.bearer.is_some(),
        raw.oauth2.is_some(),
        user_info.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 if entry.raw.auth.is_some() && !entry.is_pruned("auth") => {
            entry.error("auth", "is empty; expected basic, bearer or oauth2", None);
            return Auth::None;
        }
        0 | 1 => {}
        _ => {
            entry.error(
                "auth",
                "gives more than one kind of credentials; expected one",
                None,
            );
            return Auth::None;
        }
    }
    if let Some((user, password)) = user_info {
        let help = "put them into auth.basic, with the password from a file".to_owned();
        entry.warning("url", "carries a user name or password", Some(help));
        return Auth::Basic {
            user: user.into(),
            password: SecretRef::Inline(Secret::new(password)),
        };
    }
    match raw {
        raw::Auth {
            basic: Some(basic), ..
        } => Auth::Basic {
            user: basic.user.into(),
            password: secret(&basic.password),
        },
        raw::Auth {
            bearer: Some(token), ..
        } => Auth::Bearer(secret(&token)),
        raw::Auth {
            oauth2: Some(oauth2), ..
        } => client_credentials(entry, &oauth2),
        raw::Auth {
            basic: None,
            bearer: None,
            oauth2: None,
        } => Auth::None,
    }
}

fn client_credentials(entry: &Dependency<'_>, raw: &raw::Oauth2) -> Auth {
    let Some(target) = url::http(entry, "auth.oauth2.token_url", &raw.token_url) else {
        return Auth::None;
    };
    Auth::ClientCredentials(Arc::new(ClientCredentials {
        token_url: target.url,
        client_id: raw.client_id.as_str().into(),
        client_secret: secret(&raw.client_secret),
        scopes: raw.scopes.iter().map(|scope| Arc::from(scope.as_str())).collect(),
        audience: raw.audience.as_deref().map(Arc::from),
    }))
}

pub fn version(raw: Option<raw::HttpVersion>) -> HttpVersion {
    match raw {
        None | Some(raw::HttpVersion::Auto) => HttpVersion::Auto,
        Some(raw::HttpVersion::Http1) => HttpVersion::Http1,
        Some(raw::HttpVersion::Http2) => HttpVersion::Http2,
    }
}

pub fn redirects(own: raw::Redirects, inherited: raw::Redirects) -> Redirects {
    let default = Redirects::default();
    Redirects {
        limit: own.limit.or(inherited.limit).unwrap_or(default.limit),
        allow_downgrade: own
            .allow_downgrade
            .or(inherited.allow_downgrade)
            .unwrap_or(default.allow_downgrade),
    }
}

pub fn expect(entry: &Dependency<'_>) -> Expect {
    let raw = &entry.raw.expect;
    let regex = |key: &str, source: &Option<String>| {
        let source = source.as_deref()?;
        check_regex(entry, &entry.path(key), source);
        Some(Arc::from(source))
    };
    let texts = |texts: &[String]| texts.iter().map(|text| Arc::from(text.as_str())).collect();
    if !raw.records.0.is_empty() {
        entry.error("expect.records", "is for dns:// targets", None);
    }
    Expect {
        status: raw
            .status
            .as_ref()
            .map(|status| StatusSet(status.0.as_slice().into())),
        headers: raw
            .headers
            .iter()
            .map(|(name, is)| header(entry, name, is))
            .collect(),
        body_contains: texts(&raw.body_contains.0),
        body_regex: regex("expect.body_regex", &raw.body_regex),
        body_not_regex: regex("expect.body_not_regex", &raw.body_not_regex),
        body_json: raw
            .json
            .iter()
            .map(|(path, value)| json(entry, path, value))
            .collect(),
        latency: raw.latency.map(|span| span.0),
    }
}

fn check_regex(entry: &Dependency<'_>, path: &crate::config::key_path::KeyPath, source: &str) {
    if let Err(error) = regex::Regex::new(source) {
        let message = error.to_string();
        let short = message
            .lines()
            .last()
            .unwrap_or("")
            .trim_start_matches("error: ")
            .to_owned();
        entry
            .source
            .error(path, format!("is not a regular expression: {short}"), None);
    }
}

fn header(entry: &Dependency<'_>, name: &str, raw: &raw::HeaderIs) -> HeaderExpect {
    let path = entry.path("expect.headers").key(name);
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        entry
            .source
            .error(&path, format!("`{name}` is not the name of a header"), None);
    }
    let is = match (&raw.is, &raw.matches) {
        (Some(_), Some(_)) => {
            entry
                .source
                .error(&path, "has both `is` and `matches`; expected one of them", None);
            HeaderIs::Present
        }
        (Some(value), None) => HeaderIs::Equal(value.as_str().into()),
        (None, Some(source)) => {
            check_regex(entry, &path.key("matches"), source);
            HeaderIs::Matching(source.as_str().into())
        }
        (None, None) => HeaderIs::Present,
    };
    HeaderExpect {
        name: name.to_ascii_lowercase().into(),
        is,
    }
}

fn json(entry: &Dependency<'_>, path: &str, value: &serde_json::Value) -> JsonExpect {
    // Any type is right here: what comes from the environment has that of what it looks like.
    let expanded = entry.is_expanded(&entry.path("expect.json").key(path));
    let typed = value.as_str().filter(|_| expanded).and_then(typed);
    let typed = typed.and_then(|value| serde_json::to_value(value).ok());
    let value = typed.as_ref().unwrap_or(value);
    if let Err(error) = jsonpath_rust::parser::parse_json_path(path) {
        let message = error.to_string();
        let short = message.lines().next().unwrap_or("").to_owned();
        let place = entry.path("expect.json").key(path);
        entry
            .source
            .error_on_key(&place, format!("is not a JSON path (RFC 9535): {short}"), None);
    }
    JsonExpect {
        path: path.into(),
        equals: (!value.is_null()).then(|| value.to_string().into()),
    }
}
