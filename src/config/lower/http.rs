//! HTTP probes: request, authentication, redirects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::mask;
use super::super::raw::choices::{SecretText, VersionWord};
use super::super::raw::{RawAuth, RawBasic, RawDependency, RawOauth2};
use super::super::report::{Finding, Part, Place};
use super::super::url_lint::{self, UserInfo};
use super::layers::{Layers, Level};
use super::network::{self, Meant};
use super::{Context, DEFAULT_MAX_BODY, add_lints, default_user_agent, expect, secret};
use crate::model::dependency::{Auth, ClientCredentials, HttpProbe, HttpUrl, HttpVersion, Redirects};
use crate::model::secret::{Secret, SecretRef, Text};

pub fn lower(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    (url, user_info): (HttpUrl, Option<UserInfo>),
) -> HttpProbe {
    let place = layers.own_place;
    let headers = headers(context, layers);
    let auth = auth(context, raw, place, user_info);
    if !matches!(auth, Auth::None)
        && headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    {
        let finding = Finding::error(&place.key("auth"), "an `Authorization` header is given besides");
        context.report.add(finding.expected("one of the two"));
    }
    let built_in = Redirects::default();
    let user_agent = layers.pick(|shared| shared.user_agent.clone());
    if let Some((text, level)) = &user_agent
        && let Some(at) = layers.place(*level, "user_agent")
    {
        check_header_value(context, text, &at);
    }
    HttpProbe {
        method: method(context, raw, place),
        body: raw
            .body
            .as_ref()
            .map(|text| text_of(context, text, &place.key("body"), false)),
        headers,
        auth,
        version: match layers.value(|shared| shared.http_version) {
            Some(VersionWord::Http1) => HttpVersion::Http1,
            Some(VersionWord::Http2) => HttpVersion::Http2,
            Some(VersionWord::Auto) | None => HttpVersion::Auto,
        },
        redirects: Redirects {
            limit: layers
                .value(|shared| shared.redirects.as_ref()?.limit)
                .map_or(built_in.limit, |limit| u8::try_from(limit.0).unwrap_or(u8::MAX)),
            allow_downgrade: layers
                .value(|shared| shared.redirects.as_ref()?.allow_downgrade)
                .unwrap_or(built_in.allow_downgrade),
        },
        proxy: network::proxy(
            context,
            layers,
            &Meant {
                scheme: url.scheme.id(),
                endpoint: &url.endpoint,
            },
        ),
        tls: network::tls(context, layers),
        resolve: network::resolve(layers),
        expect: expect::lower(context, raw, place),
        max_body: layers
            .value(|shared| shared.max_body)
            .map_or(DEFAULT_MAX_BODY, |size| size.0),
        user_agent: user_agent
            .map_or_else(default_user_agent, |(text, _)| text)
            .into(),
        url,
    }
}

fn method(context: &mut Context<'_>, raw: &RawDependency, place: &Place) -> Arc<str> {
    let Some(method) = &raw.method else {
        return if raw.body.is_some() {
            "POST".into()
        } else {
            "GET".into()
        };
    };
    let at = place.key("method");
    if !is_token(method) {
        context
            .report
            .add(Finding::error(&at, "this is not an HTTP method").expected("a word such as `GET`"));
    } else if method.eq_ignore_ascii_case("CONNECT") {
        context.report.error(&at, "CONNECT is for proxies");
    }
    method.to_ascii_uppercase().into()
}

/// RFC 9110, section 5.6.2.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Headers of both layers; names compare without case, and the dependency's own ones win.
pub fn headers(context: &mut Context<'_>, layers: &Layers<'_>) -> Arc<[(Arc<str>, Text)]> {
    let mut all: BTreeMap<String, (Arc<str>, Text)> = BTreeMap::new();
    for (level, shared) in [(Level::Defaults, layers.defaults), (Level::Own, layers.own)] {
        let Some(place) = layers.place(level, "headers") else {
            continue;
        };
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, value) in shared.headers.iter().flatten() {
            let at = place.key(name);
            check_header_name(context, name, &at);
            check_header_is_ours_to_give(context, name, &at);
            let lower = name.to_ascii_lowercase();
            if let Some(first) = seen.insert(lower.clone(), name) {
                let problem = format!("header names do not differ by case: `{first}` is there already");
                context.report.add(Finding::error(&at, problem).at(Part::Key));
            }
            let value = text_of(context, value, &at, mask::is_secret_key(name));
            if let Text::Plain(text) = &value {
                check_header_value(context, text, &at);
            }
            all.insert(lower, (name.as_str().into(), value));
        }
    }
    all.into_values().collect()
}

pub fn check_header_name(context: &mut Context<'_>, name: &str, place: &Place) {
    if !is_token(name) {
        let finding = Finding::error(place, "this is not a header name").at(Part::Key);
        context
            .report
            .add(finding.expected("letters, digits and hyphens"));
    }
}

pub fn check_header_is_ours_to_give(context: &mut Context<'_>, name: &str, place: &Place) {
    const FRAMING: [&str; 4] = ["content-length", "transfer-encoding", "connection", "upgrade"];
    if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        let finding = Finding::error(
            place,
            "this header belongs to the connection, which the probe makes itself",
        );
        context.report.add(finding.at(Part::Key));
    }
}

pub fn check_header_value(context: &mut Context<'_>, value: &str, place: &Place) {
    if value.chars().any(|c| c.is_control() && c != '\t') || value.trim() != value {
        let finding = Finding::error(place, "this is not a header's value");
        context
            .report
            .add(finding.expected("one line without control characters and outer blanks"));
    }
}

/// A text is secret when its name says so, when it comes from elsewhere, or when the environment had a part in it.
pub fn text_of(context: &mut Context<'_>, text: &SecretText, place: &Place, secret_name: bool) -> Text {
    match text {
        SecretText::Inline(text) if secret_name || context.report.is_expanded(place) => {
            Text::Secret(SecretRef::Inline(Secret::new(text.as_str())))
        }
        SecretText::Inline(text) => Text::Plain(text.as_str().into()),
        SecretText::File(_) | SecretText::Credential(_) => Text::Secret(secret::lower(context, text, place)),
    }
}

pub fn auth(
    context: &mut Context<'_>,
    raw: &RawDependency,
    place: &Place,
    user_info: Option<UserInfo>,
) -> Auth {
    let at = place.key("auth");
    match (&raw.auth, user_info) {
        (None, None) => Auth::None,
        (None, Some(info)) => {
            if context.from == super::Origin::Files {
                context.report.add(
                    Finding::warning(&place.key("url"), "the URL holds a password")
                        .suggest("a file is better: `auth: {basic: {user: NAME, password: {file: PATH}}}`"),
                );
            }
            Auth::Basic {
                user: info.user.into(),
                password: SecretRef::Inline(Secret::new(info.password)),
            }
        }
        (Some(_), Some(_)) => {
            context.report.add(
                Finding::error(&at, "the URL holds a user and a password besides").expected("one of the two"),
            );
            Auth::None
        }
        (
            Some(RawAuth {
                basic: Some(basic),
                bearer: None,
                oauth2: None,
            }),
            None,
        ) => self::basic(context, basic, &at.key("basic"))
            .map_or(Auth::None, |(user, password)| Auth::Basic { user, password }),
        (
            Some(RawAuth {
                basic: None,
                bearer: Some(token),
                oauth2: None,
            }),
            None,
        ) => Auth::Bearer(secret::lower(context, token, &at.key("bearer"))),
        (
            Some(RawAuth {
                basic: None,
                bearer: None,
                oauth2: Some(oauth2),
            }),
            None,
        ) => self::oauth2(context, oauth2, &at.key("oauth2")),
        (Some(_), None) => {
            if !context
                .report
                .left_out
                .iter()
                .any(|out| out.file == at.file && out.path.starts_with(&at.path))
            {
                let finding = Finding::error(&at, "not exactly one way to authenticate");
                context
                    .report
                    .add(finding.expected("one of `basic`, `bearer` and `oauth2`"));
            }
            Auth::None
        }
    }
}

/// A user and a password; `None` when one of them is missing.
pub fn basic(context: &mut Context<'_>, raw: &RawBasic, place: &Place) -> Option<(Arc<str>, SecretRef)> {
    if raw.user.is_none() {
        context.report.missing(place, "user", "the user's name");
    }
    if raw.password.is_none() {
        context
            .report
            .missing(place, "password", "the password, or `{file: PATH}`");
    }
    let (user, password) = (raw.user.as_ref()?, raw.password.as_ref()?);
    if user.0.contains(':') {
        // RFC 7617, section 2.
        context.report.error(
            &place.key("user"),
            "a user's name for basic authentication has no colon",
        );
    }
    Some((
        user.0.as_str().into(),
        secret::lower(context, password, &place.key("password")),
    ))
}

fn oauth2(context: &mut Context<'_>, raw: &RawOauth2, place: &Place) -> Auth {
    let (Some(token_url), Some(client_id), Some(client_secret)) =
        (&raw.token_url, &raw.client_id, &raw.client_secret)
    else {
        let required = [
            ("token_url", raw.token_url.is_some(), "the token endpoint's URL"),
            ("client_id", raw.client_id.is_some(), "the client's id"),
            (
                "client_secret",
                raw.client_secret.is_some(),
                "the client's secret, or `{file: PATH}`",
            ),
        ];
        for (key, _, expected) in required.into_iter().filter(|(_, given, _)| !given) {
            context.report.missing(place, key, expected);
        }
        return Auth::None;
    };
    let url_place = place.key("token_url");
    let (parsed, lints) = url_lint::parse_http(token_url);
    add_lints(context.report, &url_place, lints);
    let client_secret = secret::lower(context, client_secret, &place.key("client_secret"));
    let Some((token_url, user_info)) = parsed else {
        return Auth::None;
    };
    if user_info.is_some() {
        let finding = Finding::error(&url_place, "the URL holds a user and a password");
        context
            .report
            .add(finding.expected("`client_id` and `client_secret`"));
    }
    Auth::ClientCredentials(Arc::new(ClientCredentials {
        token_url,
        client_id: client_id.0.as_str().into(),
        client_secret,
        scopes: raw
            .scopes
            .iter()
            .flat_map(|many| &many.0)
            .map(|scope| scope.as_str().into())
            .collect(),
        audience: raw.audience.as_deref().map(Into::into),
    }))
}
