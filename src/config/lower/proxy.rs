//! Proxies: as configured, or from the environment when that is asked for, and then said out loud.

use std::net::IpAddr;

use crate::config::environment::Environment;
use crate::config::raw;
use crate::model::dependency::{Endpoint, Proxy, Scheme};
use crate::model::secret::{Secret, SecretRef};

use super::credentials::secret;
use super::{Entry, url};

/// The proxy for a target; `None` goes without.
pub fn lower<T>(
    entry: &Entry<'_, T>,
    raw: Option<&raw::Proxy>,
    target: (Scheme, &Endpoint),
    env: &dyn Environment,
) -> Option<Proxy> {
    let raw = raw.filter(|_| !entry.is_pruned("proxy"))?;
    match raw.url.as_str() {
        "none" => None,
        "environment" => {
            let (variable, text) = inherited(target, env)?;
            let mut proxy = parse(entry, &text)?;
            proxy.inherited_from = Some(variable.into());
            let said = format!("goes through the proxy {proxy}, which {variable} names");
            entry.warning("proxy.url", said, None);
            Some(proxy)
        }
        text => {
            let mut proxy = parse(entry, text)?;
            if let Some(user) = &raw.user {
                let password = raw
                    .password
                    .as_ref()
                    .map_or(SecretRef::Inline(Secret::new("")), secret);
                proxy.auth = Some((user.as_str().into(), password));
            } else if raw.password.is_some() {
                entry.error("proxy.password", "is given without proxy.user", None);
            }
            Some(proxy)
        }
    }
}

fn parse<T>(entry: &Entry<'_, T>, text: &str) -> Option<Proxy> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    if with_scheme.starts_with("socks") {
        let help = "expected http:// or https://".to_owned();
        entry.error(
            "proxy.url",
            "SOCKS proxies are not supported by this version",
            Some(help),
        );
        return None;
    }
    let url::HttpTarget { url, user_info } = url::http(entry, "proxy.url", &with_scheme)?;
    let auth = user_info.map(|(user, password)| (user.into(), SecretRef::Inline(Secret::new(password))));
    Some(Proxy {
        endpoint: url.endpoint,
        tls: url.scheme == Scheme::Https,
        auth,
        inherited_from: None,
    })
}

/// The variable that names a proxy for the target, and its value, unless NO_PROXY exempts it. Upper-case HTTP_PROXY is
/// left out when the process looks like a CGI program (httpoxy), as curl and Go do.
fn inherited(
    (scheme, endpoint): (Scheme, &Endpoint),
    env: &dyn Environment,
) -> Option<(&'static str, String)> {
    let names: &[&'static str] = match scheme {
        Scheme::Http if env.var("REQUEST_METHOD").is_some() => &["http_proxy"],
        Scheme::Http => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        Scheme::Https => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let exempt = env
        .var("no_proxy")
        .or_else(|| env.var("NO_PROXY"))
        .unwrap_or_default();
    if is_exempt(endpoint, &exempt) {
        return None;
    }
    names
        .iter()
        .find_map(|name| Some((*name, env.var(name).filter(|value| !value.is_empty())?)))
}

/// NO_PROXY as curl and Go read it: names with their subdomains, addresses, networks, `*`.
fn is_exempt(endpoint: &Endpoint, list: &str) -> bool {
    let host = endpoint.host.to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' '])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .any(|item| {
            let item = item.to_ascii_lowercase();
            let (name, port) = match item.rsplit_once(':') {
                Some((name, port)) if port.parse::<u16>().is_ok() && !name.contains(':') => {
                    (name, port.parse().ok())
                }
                _ => (item.as_str(), None),
            };
            let port_fits = port.is_none_or(|port: u16| port == endpoint.port);
            let name_fits = match (name.parse::<ipnet::IpNet>(), address) {
                (Ok(network), Some(address)) => network.contains(&address),
                _ => {
                    let bare = name.trim_start_matches("*.").trim_start_matches('.');
                    name == "*" || host == bare || host.ends_with(&format!(".{bare}"))
                }
            };
            port_fits && name_fits
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        let at = |host: &str| Endpoint {
            host: host.into(),
            port: 443,
        };
        let list = "localhost, .internal,10.0.0.0/8,example.org:8080,192.0.2.7";
        for (host, exempt) in [
            ("localhost", true),
            ("api.internal", true),
            ("internal", true),
            ("10.1.2.3", true),
            ("192.0.2.7", true),
            ("11.0.0.1", false),
            ("example.org", false),
            ("notinternal", false),
        ] {
            assert_eq!(is_exempt(&at(host), list), exempt, "{host}");
        }
        assert!(is_exempt(&at("anything"), "*"));
    }
}
