//! Where requests to receivers go, and how they identify themselves there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::mask;
use super::super::super::raw::RawTls;
use super::super::super::raw::alerts::{
    RawAlertmanager, RawHeartbeat, RawOpsgenie, RawPagerDuty, RawReceiverAuth, RawSlack, RawWebhook,
};
use super::super::super::raw::choices::SecretText;
use super::super::super::report::{Finding, Part, Place};
use super::super::super::url_lint::{self, UserInfo};
use super::super::{Context, add_lints, http, network, secret};
use crate::model::dependency::TlsSettings;
use crate::model::receiver::{WebAuth, WebTarget};
use crate::model::secret::{Secret, SecretRef, Text};

/// What the sections of web receivers have alike.
#[derive(Default)]
pub struct Parts<'r> {
    pub url: Option<&'r SecretText>,
    pub headers: Option<&'r BTreeMap<String, SecretText>>,
    pub auth: Option<&'r RawReceiverAuth>,
    pub tls: Option<&'r RawTls>,
    pub proxy: Option<&'r String>,
}

macro_rules! parts {
    ($($raw:ident: $($key:ident)*;)*) => {
        $(impl<'r> From<&'r $raw> for Parts<'r> {
            fn from(raw: &'r $raw) -> Self {
                let mut parts = Parts::default();
                $(parts.$key = raw.$key.as_ref();)*
                parts
            }
        })*
    };
}

parts! {
    RawAlertmanager: url headers auth tls proxy;
    RawWebhook: url headers auth tls proxy;
    RawHeartbeat: url headers auth tls proxy;
    RawSlack: url tls proxy;
    RawPagerDuty: url tls proxy;
    RawOpsgenie: url tls proxy;
}

/// A target that stands for none.
pub fn nowhere() -> WebTarget {
    WebTarget {
        url: Text::Plain("".into()),
        headers: Arc::default(),
        auth: WebAuth::None,
        tls: TlsSettings::default(),
        proxy: None,
    }
}

/// The target of a section with a `url`, which is a secret as a whole.
pub fn target(context: &mut Context<'_>, parts: &Parts<'_>, place: &Place) -> Option<WebTarget> {
    let at = place.key("url");
    let Some(text) = parts.url else {
        context
            .report
            .missing(place, "url", "the URL, best as `{file: PATH}`");
        return None;
    };
    let (url, user_info) = url(context, text, &at)?;
    let url = match url {
        Text::Plain(url) => Text::Secret(SecretRef::Inline(Secret::new(url))),
        secret => secret,
    };
    with_user_info(context, parts, place, (url, user_info, &at))
}

/// The target of a service whose secret is a key: its URL is built in, or says where else the service is.
pub fn service(
    context: &mut Context<'_>,
    parts: &Parts<'_>,
    place: &Place,
    built_in: &'static str,
) -> Option<WebTarget> {
    let at = place.key("url");
    let Some(text) = parts.url else {
        // What could not be read is not replaced by what would send alerts elsewhere.
        let lost = context.report.left_out.contains(&at);
        return rest(context, parts, place, Text::Plain(built_in.into())).filter(|_| !lost);
    };
    let (url, user_info) = url(context, text, &at)?;
    with_user_info(context, parts, place, (url, user_info, &at))
}

/// One target for each peer. Their URLs hold no secret unless the environment had a part in them.
pub fn alertmanagers(context: &mut Context<'_>, raw: &RawAlertmanager, place: &Place) -> Vec<WebTarget> {
    let mut urls: Vec<(&SecretText, Place)> = Vec::new();
    let many = place.key("urls");
    match (&raw.url, &raw.urls) {
        (Some(url), None) => urls.push((url, place.key("url"))),
        (None, Some(all)) if all.0.is_empty() => context.report.error(&many, "no Alertmanager is named"),
        (None, Some(all)) if all.0.len() == 1 => urls.push((&all.0[0], many)),
        (None, Some(all)) => {
            urls.extend(all.0.iter().enumerate().map(|(i, url)| (url, many.index(i))));
        }
        (Some(_), Some(_)) => {
            let finding = Finding::error(&many, "`url` is given besides").at(Part::Key);
            context.report.add(finding.expected("one of the two"));
        }
        (None, None) if context.report.left_out.contains(&many) => {}
        (None, None) => context
            .report
            .missing(place, "url", "its URL such as `http://alertmanager:9093`"),
    }
    let parts = Parts::from(raw);
    let mut targets: Vec<WebTarget> = Vec::new();
    for (text, at) in urls {
        let Some((url, user_info)) = url(context, text, &at) else {
            continue;
        };
        if let Some(twice) = targets.iter().position(|known| known.url == url) {
            let problem = format!("the same as the {}. one", twice + 1);
            context.report.add(Finding::error(&at, problem));
            continue;
        }
        advise_on_path(context, &url, &at);
        targets.extend(with_user_info(context, &parts, place, (url, user_info, &at)));
    }
    targets
}

/// The path of the API is ours to append.
fn advise_on_path(context: &mut Context<'_>, url: &Text, at: &Place) {
    if let Text::Plain(url) = url
        && url.trim_end_matches('/').ends_with("/api/v2/alerts")
    {
        let finding = Finding::error(at, "`/api/v2/alerts` is appended");
        context
            .report
            .add(finding.expected("Alertmanager's URL without it"));
    }
}

/// A URL without user info, and that.
fn url(context: &mut Context<'_>, text: &SecretText, at: &Place) -> Option<(Text, Option<UserInfo>)> {
    let inline = match text {
        SecretText::File(_) | SecretText::Credential(_) => {
            return Some((Text::Secret(secret::lower(context, text, at)), None));
        }
        SecretText::Inline(inline) => inline,
    };
    let from_environment = context.report.is_expanded(at);
    // Nothing of it is quoted: the path may be the secret.
    context.report.expanded.insert(at.clone());
    let (parsed, lints) = url_lint::parse_http(inline);
    add_lints(context.report, at, lints);
    let (url, user_info) = parsed?;
    let bare: Arc<str> = match &user_info {
        None => inline.as_str().into(),
        Some(_) => format!(
            "{}://{}{}",
            url.scheme.id(),
            url.authority(),
            url.path_and_query()
        )
        .into(),
    };
    let secret = from_environment || url.query.is_some();
    let text = if secret {
        Text::Secret(SecretRef::Inline(Secret::new(bare)))
    } else {
        Text::Plain(bare)
    };
    Some((text, user_info))
}

fn with_user_info(
    context: &mut Context<'_>,
    parts: &Parts<'_>,
    place: &Place,
    (url, user_info, at): (Text, Option<UserInfo>, &Place),
) -> Option<WebTarget> {
    let mut target = rest(context, parts, place, url)?;
    let Some(info) = user_info else {
        return Some(target);
    };
    if target.auth != WebAuth::None {
        let finding = Finding::error(at, "the URL holds a user and a password, and `auth` is given");
        context.report.add(finding.expected("one of the two"));
        return None;
    }
    target.auth = WebAuth::Basic {
        user: info.user.into(),
        password: SecretRef::Inline(Secret::new(info.password)),
    };
    Some(target)
}

/// Everything beside the URL.
pub fn rest(context: &mut Context<'_>, parts: &Parts<'_>, place: &Place, url: Text) -> Option<WebTarget> {
    let headers = headers(context, parts, &place.key("headers"));
    let auth = match parts.auth {
        Some(raw) => auth(context, raw, &place.key("auth")),
        None => Some(WebAuth::None),
    };
    let named = |(name, _): &(Arc<str>, Text)| name.eq_ignore_ascii_case("authorization");
    if parts.auth.is_some() && headers.iter().any(named) {
        let finding = Finding::error(&place.key("auth"), "an `Authorization` header is given besides");
        context.report.add(finding.expected("one of the two"));
    }
    let tls = parts.tls.map(|raw| tls(context, raw, &place.key("tls")));
    let proxy = parts.proxy.map(|text| proxy(context, text, &place.key("proxy")));
    Some(WebTarget {
        url,
        headers,
        auth: auth?,
        tls: tls.unwrap_or_default(),
        proxy: proxy.flatten(),
    })
}

fn headers(context: &mut Context<'_>, parts: &Parts<'_>, place: &Place) -> Arc<[(Arc<str>, Text)]> {
    let mut all: Vec<(Arc<str>, Text)> = Vec::new();
    for (name, value) in parts.headers.into_iter().flatten() {
        let at = place.key(name);
        http::check_header_name(context, name, &at);
        http::check_header_is_ours_to_give(context, name, &at);
        if all.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let finding = Finding::error(&at, "header names do not differ by case").at(Part::Key);
            context.report.add(finding);
        }
        let value = http::text_of(context, value, &at, mask::is_secret_key(name));
        if let Text::Plain(text) = &value {
            http::check_header_value(context, text, &at);
        }
        all.push((name.as_str().into(), value));
    }
    all.into()
}

fn auth(context: &mut Context<'_>, raw: &RawReceiverAuth, place: &Place) -> Option<WebAuth> {
    match (&raw.basic, &raw.bearer) {
        (Some(basic), None) => {
            let (user, password) = http::basic(context, basic, &place.key("basic"))?;
            Some(WebAuth::Basic { user, password })
        }
        (None, Some(token)) => {
            let token = secret::lower(context, token, &place.key("bearer"));
            Some(WebAuth::Bearer(token))
        }
        _ => {
            let lost = ["basic", "bearer"]
                .into_iter()
                .any(|key| context.report.left_out.contains(&place.key(key)));
            if !lost {
                let finding = Finding::error(place, "not exactly one way to authenticate");
                context
                    .report
                    .add(finding.expected("one of `basic` and `bearer`"));
            }
            None
        }
    }
}

/// TLS settings, without those that only dependencies have.
pub fn tls(context: &mut Context<'_>, raw: &RawTls, place: &Place) -> TlsSettings {
    for (key, given) in [
        ("crl", raw.crl.is_some()),
        ("aia", raw.aia.is_some()),
        ("alpn", raw.alpn.is_some()),
    ] {
        if given {
            let finding = Finding::error(&place.key(key), "only dependencies are asked about that");
            context.report.add(finding.at(Part::Key));
        }
    }
    network::tls_alone(context, raw, place)
}

fn proxy(context: &mut Context<'_>, text: &str, place: &Place) -> Option<Arc<str>> {
    let (parsed, lints) = url_lint::parse_http(text);
    // What is only suspicious in a target, such as its port, is usual for a proxy.
    let errors = lints
        .into_iter()
        .filter(|lint| lint.severity == super::super::super::diagnostic::Severity::Error)
        .collect();
    add_lints(context.report, place, errors);
    let (url, user_info) = parsed?;
    if user_info.is_some() {
        let finding = Finding::error(place, "a receiver's proxy takes no user and password");
        context.report.add(finding.expected("`http://host:port`"));
        return None;
    }
    if &*url.path != "/" || url.query.is_some() {
        context.report.error(place, "a proxy's URL has no path");
    }
    Some(format!("{}://{}", url.scheme.id(), url.endpoint).into())
}
