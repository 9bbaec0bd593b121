//! URLs: linted as text, parsed, and taken apart into what the probes need.

use std::sync::Arc;

use crate::config::url_lint;
use crate::model::dependency::{Endpoint, HttpUrl, Scheme};

use super::Entry;

/// Schemes that are known and come with a later version.
const LATER: &[&str] = &["icmp", "grpc", "grpcs", "ws", "wss", "smtp", "redis"];

/// A target, parsed.
pub enum Target {
    Http(HttpTarget),
    Tcp(Endpoint),
    Tls(Endpoint),
    Dns {
        server: Endpoint,
        name: Arc<str>,
        record: Option<String>,
        tcp: bool,
    },
}

pub struct HttpTarget {
    pub url: HttpUrl,
    /// From `user:password@`.
    pub user_info: Option<(String, String)>,
}

/// Lints and parses the URL at `key`; what is wrong is noted and gives `None`.
pub fn target<T>(entry: &Entry<'_, T>, key: &str, text: &str) -> Option<Target> {
    if entry.is_pruned(key) {
        return None;
    }
    let lints = url_lint::lint(text);
    for lint in &lints {
        if lint.is_error {
            entry.error(key, lint.message.clone(), lint.help.clone());
        } else {
            entry.warning(key, lint.message.clone(), lint.help.clone());
        }
    }
    if lints.iter().any(|lint| lint.is_error) {
        return None;
    }
    let (scheme, _) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => http(entry, key, text).map(Target::Http),
        "tcp" => host_port(entry, key, text).map(Target::Tcp),
        "tls" => host_port(entry, key, text).map(Target::Tls),
        "dns" => dns(entry, key, text),
        later if LATER.contains(&later) => {
            entry.error(
                key,
                format!("{later}:// is known and not supported by this version"),
                None,
            );
            None
        }
        other => {
            let help = "known here: http, https, tcp, tls, dns".to_owned();
            entry.error(key, format!("the scheme `{other}` is unknown"), Some(help));
            None
        }
    }
}

/// An http or https URL at `key`.
pub fn http<T>(entry: &Entry<'_, T>, key: &str, text: &str) -> Option<HttpTarget> {
    let parsed = match url::Url::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            entry.error(key, format!("is not a URL: {error}"), None);
            return None;
        }
    };
    let scheme = match parsed.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => {
            entry.error(
                key,
                format!("has the scheme `{other}`; expected http or https"),
                None,
            );
            return None;
        }
    };
    let host = parsed.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let endpoint = Endpoint {
        host: host.into(),
        port: parsed.port().unwrap_or(scheme.default_port()),
    };
    let user_info = (!parsed.username().is_empty() || parsed.password().is_some()).then(|| {
        (
            decoded(parsed.username()),
            decoded(parsed.password().unwrap_or_default()),
        )
    });
    let url = HttpUrl {
        scheme,
        endpoint,
        path: parsed.path().into(),
        query: parsed.query().map(Arc::from),
    };
    Some(HttpTarget { url, user_info })
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// `scheme://host:port` and nothing more.
fn host_port<T>(entry: &Entry<'_, T>, key: &str, text: &str) -> Option<Endpoint> {
    let parsed = generic(entry, key, text)?;
    if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
        entry.error(
            key,
            "has a path; a tcp:// or tls:// target is a host and a port",
            None,
        );
        return None;
    }
    let host = parsed.host_str().unwrap_or_default();
    let default = (parsed.scheme() == "tls").then_some(443);
    match parsed.port().or(default) {
        Some(port) => ascii_host(entry, key, host).map(|host| Endpoint { host, port }),
        None => {
            entry.error(
                key,
                "has no port",
                Some(format!("write {}://{host}:PORT", parsed.scheme())),
            );
            None
        }
    }
}

/// `dns://resolver[:port]/name?type=A&transport=tcp`.
fn dns<T>(entry: &Entry<'_, T>, key: &str, text: &str) -> Option<Target> {
    let parsed = generic(entry, key, text)?;
    let host = ascii_host(entry, key, parsed.host_str().unwrap_or_default())?;
    let server = Endpoint {
        host,
        port: parsed.port().unwrap_or(53),
    };
    let name = parsed.path().trim_start_matches('/');
    if name.is_empty() || name.contains('/') {
        let help = "write dns://resolver/name?type=A".to_owned();
        entry.error(key, "names nothing to ask for", Some(help));
        return None;
    }
    let (mut record, mut tcp) = (None, false);
    for (option, value) in parsed.query_pairs() {
        match (&*option, &*value) {
            ("type", value) => record = Some(value.to_owned()),
            ("transport", "tcp") => tcp = true,
            ("transport", "udp") => tcp = false,
            _ => {
                let help = "known here: type=A, transport=udp or tcp".to_owned();
                entry.error(
                    key,
                    format!("`{option}={value}` is not an option of dns://"),
                    Some(help),
                );
            }
        }
    }
    Some(Target::Dns {
        server,
        name: name.trim_end_matches('.').into(),
        record,
        tcp,
    })
}

fn generic<T>(entry: &Entry<'_, T>, key: &str, text: &str) -> Option<url::Url> {
    match url::Url::parse(text) {
        Ok(parsed) if parsed.host_str().is_some_and(|host| !host.is_empty()) => Some(parsed),
        Ok(_) => {
            entry.error(key, "has no host", None);
            None
        }
        Err(error) => {
            entry.error(key, format!("is not a URL: {error}"), None);
            None
        }
    }
}

/// The `url` crate applies IDNA to http and https alone.
fn ascii_host<T>(entry: &Entry<'_, T>, key: &str, host: &str) -> Option<Arc<str>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => Some(name.into()),
        Ok(url::Host::Ipv4(address)) => Some(address.to_string().into()),
        Ok(url::Host::Ipv6(address)) => Some(address.to_string().into()),
        Err(error) => {
            entry.error(key, format!("`{bare}` is not a host: {error}"), None);
            None
        }
    }
}
