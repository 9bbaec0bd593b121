//! Names, proxies and TLS: what every probe over TCP has.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::diagnostic::Severity;
use super::super::environment::Environment;
use super::super::raw::choices::{FamilyWord, ProxySetting, TlsVersionWord};
use super::super::raw::{RawProxy, RawTls};
use super::super::report::{Finding, Part, Place};
use super::super::url_lint;
use super::layers::Layers;
use super::{Context, add_lints, secret};
use crate::model::dependency::{
    ClientCert, Endpoint, Family, Probe, Proxy, ResolveSettings, Scheme, TlsMinVersion, TlsSettings,
};
use crate::model::secret::{Secret, SecretRef};

pub fn resolve(layers: &Layers<'_>) -> ResolveSettings {
    let servers = layers.value(|shared| shared.resolve.as_ref()?.servers.clone());
    let addresses = layers.value(|shared| shared.resolve.as_ref()?.addresses.clone());
    ResolveSettings {
        servers: servers
            .into_iter()
            .flat_map(|many| many.0)
            .map(|server| server.0)
            .collect(),
        family: match layers.value(|shared| shared.resolve.as_ref()?.family) {
            Some(FamilyWord::Ipv4) => Family::Ipv4,
            Some(FamilyWord::Ipv6) => Family::Ipv6,
            Some(FamilyWord::Any) | None => Family::Any,
        },
        addresses: addresses
            .into_iter()
            .flat_map(|many| many.0)
            .map(|address| address.0)
            .collect(),
    }
}

/// An address that the chosen family leaves out could never be asked.
pub fn check_family(context: &mut Context<'_>, layers: &Layers<'_>, endpoint: &Endpoint) {
    let Some((family, level)) = layers.pick(|shared| shared.resolve.as_ref()?.family) else {
        return;
    };
    let (admitted, name) = match family {
        FamilyWord::Ipv4 => (Family::Ipv4, "ipv4"),
        FamilyWord::Ipv6 => (Family::Ipv6, "ipv6"),
        FamilyWord::Any => return,
    };
    let left_out = endpoint
        .address()
        .is_some_and(|address| !admitted.admits(address));
    if let Some(place) = layers.place(level, "resolve.family").filter(|_| left_out) {
        let problem = format!(
            "the target is the address {}, which is not of the family {name}",
            endpoint.host
        );
        context.report.error(&place, problem);
    }
}

/// TLS settings, key by key from the closest layer; a client certificate and its key come from the same layer.
pub fn tls(context: &mut Context<'_>, layers: &Layers<'_>) -> TlsSettings {
    let mut merged = RawTls::default();
    let mut places = [None, None, None, None];
    if let Some((ca, level)) = layers.pick(|shared| shared.tls.as_ref()?.ca.clone()) {
        merged.ca = Some(ca);
        places[0] = layers.place(level, "tls.ca");
    }
    if let Some((crl, level)) = layers.pick(|shared| shared.tls.as_ref()?.crl.clone()) {
        merged.crl = Some(crl);
        places[3] = layers.place(level, "tls.crl");
    }
    merged.aia = layers.value(|shared| shared.tls.as_ref()?.aia);
    let cert = layers.pick(|shared| {
        let tls = shared.tls.as_ref()?;
        (tls.client_cert.is_some() || tls.client_key.is_some())
            .then(|| (tls.client_cert.clone(), tls.client_key.clone()))
    });
    if let Some(((cert, key), level)) = cert {
        (merged.client_cert, merged.client_key) = (cert, key);
        places[1] = layers.place(level, "tls");
    }
    merged.only_given_ca = layers.value(|shared| shared.tls.as_ref()?.only_given_ca);
    if let Some((name, level)) = layers.pick(|shared| shared.tls.as_ref()?.server_name.clone()) {
        merged.server_name = Some(name);
        places[2] = layers.place(level, "tls.server_name");
    }
    merged.min_version = layers.value(|shared| shared.tls.as_ref()?.min_version);
    merged.alpn = layers.value(|shared| shared.tls.as_ref()?.alpn.clone());
    lower_tls(context, &merged, places)
}

/// The same for a section that stands alone.
pub fn tls_alone(context: &mut Context<'_>, raw: &RawTls, place: &Place) -> TlsSettings {
    let places = [
        Some(place.key("ca")),
        Some(place.clone()),
        Some(place.key("server_name")),
        Some(place.key("crl")),
    ];
    lower_tls(context, raw, places)
}

/// `places`: of the CA files, of the section with the client certificate, of the server's name, of the revocation lists.
fn lower_tls(context: &mut Context<'_>, raw: &RawTls, places: [Option<Place>; 4]) -> TlsSettings {
    let [ca_place, cert_place, name_place, crl_place] = places;
    let files = raw.ca.iter().flat_map(|many| &many.0);
    let ca = match &ca_place {
        Some(place) => files.map(|file| secret::path(context, file, place)).collect(),
        None => Default::default(),
    };
    let files = raw.crl.iter().flat_map(|many| &many.0);
    let crl = match &crl_place {
        Some(place) => files.map(|file| secret::path(context, file, place)).collect(),
        None => Default::default(),
    };
    let only_given_ca = raw.only_given_ca.unwrap_or_default();
    let client_cert = match (&raw.client_cert, &raw.client_key, cert_place) {
        (Some(cert), key, Some(place)) => {
            let chain = secret::path(context, cert, &place.key("client_cert"));
            let key = match key {
                Some(key) => secret::path(context, key, &place.key("client_key")),
                None => chain.clone(),
            };
            Some(ClientCert { chain, key })
        }
        (None, Some(_), Some(place)) => {
            let finding =
                Finding::error(&place.key("client_key"), "a key without its certificate").at(Part::Key);
            context.report.add(finding.expected("`client_cert` beside it"));
            None
        }
        _ => None,
    };
    if let (Some(name), Some(place)) = (&raw.server_name, &name_place) {
        check_server_name(context, name, place);
    }
    TlsSettings {
        ca,
        only_given_ca,
        crl,
        aia: raw.aia.unwrap_or_default(),
        client_cert,
        server_name: raw
            .server_name
            .as_deref()
            .map(|name| name.to_ascii_lowercase().into()),
        min_version: match raw.min_version {
            Some(TlsVersionWord::Tls13) => TlsMinVersion::Tls13,
            Some(TlsVersionWord::Tls12) | None => TlsMinVersion::Tls12,
        },
        alpn: raw
            .alpn
            .iter()
            .flat_map(|many| &many.0)
            .map(|name| name.as_str().into())
            .collect(),
    }
}

fn check_server_name(context: &mut Context<'_>, name: &str, place: &Place) {
    let is_address = name.parse::<IpAddr>().is_ok();
    let (target, _) = url_lint::parse(&format!("tls://{name}:1"));
    if !is_address && target.is_none() {
        let finding = Finding::error(place, "this is not a host name");
        context
            .report
            .add(finding.expected("a name such as `api.example.com`, without scheme and port"));
    }
}

/// What is to be reached through a proxy.
pub struct Meant<'a> {
    pub scheme: &'a str,
    pub endpoint: &'a Endpoint,
}

pub fn proxy(context: &mut Context<'_>, layers: &Layers<'_>, meant: &Meant<'_>) -> Option<Proxy> {
    let (setting, level) = layers.pick(|shared| shared.proxy.clone())?;
    let place = layers.place(level, "proxy")?;
    match setting {
        ProxySetting::None => None,
        ProxySetting::Url(url) => {
            let full = RawProxy {
                url: Some(url),
                ..RawProxy::default()
            };
            parse(context, &full, (&place, &place), None)
        }
        ProxySetting::Full(full) => {
            if full.url.is_none() {
                context
                    .report
                    .missing(&place, "url", "the proxy's URL such as `http://proxy:3128`");
                return None;
            }
            parse(context, &full, (&place.key("url"), &place), None)
        }
        ProxySetting::Environment => from_environment(context, meant, &place),
    }
}

/// `places`: of the URL, and of the mapping with user and password.
fn parse(
    context: &mut Context<'_>,
    raw: &RawProxy,
    (url_place, place): (&Place, &Place),
    inherited_from: Option<&str>,
) -> Option<Proxy> {
    let text = raw.url.as_deref().unwrap_or("");
    if let Some((scheme, _)) = text.split_once("://")
        && scheme.starts_with("socks")
    {
        let finding = Finding::error(url_place, "only HTTP proxies are supported, not SOCKS");
        context.report.add(finding.expected("`http://host:port`"));
        return None;
    }
    if !text.contains("://") {
        let mut finding = Finding::error(url_place, "the scheme is missing").expected("`http://host:port`");
        if !text.contains('@') && !context.report.is_expanded(url_place) {
            finding = finding.suggest(format!("did you mean `http://{text}`?"));
        }
        context.report.add(finding);
        return None;
    }
    let (parsed, lints) = url_lint::parse_http(text);
    // What is only suspicious in a target, such as its port, is usual for a proxy.
    let lints = lints
        .into_iter()
        .filter(|lint| lint.severity == Severity::Error)
        .collect();
    add_lints(context.report, url_place, lints);
    let (url, user_info) = parsed?;
    if &*url.path != "/" || url.query.is_some() {
        context.report.error(url_place, "a proxy's URL has no path");
    }
    let auth = match (&raw.user, &raw.password, user_info) {
        (None, None, Some(info)) => Some((info.user.into(), SecretRef::Inline(Secret::new(info.password)))),
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            context
                .report
                .error(url_place, "user and password stand in the URL and beside it");
            None
        }
        (Some(user), Some(password), None) => {
            let password = secret::lower(context, password, &place.key("password"));
            Some((user.0.as_str().into(), password))
        }
        (Some(_), None, None) => {
            context
                .report
                .missing(place, "password", "the proxy user's password");
            None
        }
        (None, Some(_), None) => {
            context.report.missing(place, "user", "the proxy user's name");
            None
        }
        (None, None, None) => None,
    };
    Some(Proxy {
        endpoint: url.endpoint,
        tls: url.scheme == Scheme::Https,
        auth,
        inherited_from: inherited_from.map(Into::into),
    })
}

/// The variable by which programs that honour the environment would go through a proxy, and its value: those that curl
/// and most others read, in the order in which they do.
fn of_environment(env: &dyn Environment, meant: &Meant<'_>) -> Option<(&'static str, String)> {
    let names: &[&'static str] = match meant.scheme {
        "http" => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        "https" | "tls" => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["all_proxy", "ALL_PROXY"],
    };
    let (name, value) = names.iter().find_map(|name| {
        env.var(name)
            .filter(|value| !value.is_empty())
            .map(|value| (*name, value))
    })?;
    let no_proxy = env
        .var("no_proxy")
        .or_else(|| env.var("NO_PROXY"))
        .unwrap_or_default();
    (!is_excepted(&no_proxy, meant.endpoint)).then_some((name, value))
}

/// The variable that names a proxy for that target where the configuration says nothing about proxies.
pub fn unused_proxy(context: &Context<'_>, layers: &Layers<'_>, probe: &Probe) -> Option<Arc<str>> {
    let scheme = match probe {
        Probe::Http(http) => http.url.scheme.id(),
        Probe::Tls(_) => "tls",
        // Programs that speak neither HTTP nor TLS know nothing of proxies.
        _ => return None,
    };
    let endpoint = probe.endpoint();
    let is_here = &*endpoint.host == "localhost" || endpoint.address().is_some_and(|ip| ip.is_loopback());
    if is_here || layers.pick(|shared| shared.proxy.clone()).is_some() {
        return None;
    }
    let (name, _) = of_environment(context.env, &Meant { scheme, endpoint })?;
    Some(name.into())
}

fn from_environment(context: &mut Context<'_>, meant: &Meant<'_>, place: &Place) -> Option<Proxy> {
    let (name, value) = of_environment(context.env, meant)?;
    context.report.warning(
        place,
        format!("the proxy is the one that `{name}` in the environment names"),
    );
    let url = if value.contains("://") {
        value
    } else {
        format!("http://{value}")
    };
    context.report.expanded.insert(place.clone());
    let raw = RawProxy {
        url: Some(url),
        ..RawProxy::default()
    };
    parse(context, &raw, (place, place), Some(name))
}

/// Whether `NO_PROXY` names the endpoint: `*`, a host or its parent domain (with or without a leading dot), an address,
/// a network, each with a port if wanted.
fn is_excepted(no_proxy: &str, endpoint: &Endpoint) -> bool {
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let (Some(address), Ok(network)) = (endpoint.address(), entry.parse::<ipnet::IpNet>()) {
                return network.contains(&address);
            }
            if let (Some(address), Ok(other)) = (endpoint.address(), entry.parse::<IpAddr>()) {
                return address == other;
            }
            let (name, port) = match entry.rsplit_once(':') {
                Some((name, port)) => match port.parse::<u16>() {
                    Ok(port) => (name, Some(port)),
                    Err(_) => (entry, None),
                },
                None => (entry, None),
            };
            let name = name
                .trim_start_matches("*.")
                .trim_start_matches('.')
                .to_ascii_lowercase();
            let host = endpoint.host.trim_end_matches('.');
            let named = host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
            named && port.is_none_or(|port| port == endpoint.port)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        let at = |host: &str| Endpoint {
            host: host.into(),
            port: 443,
        };
        for (list, host) in [
            ("*", "a"),
            ("example.com", "example.com"),
            ("example.com", "a.example.com"),
            (".example.com", "a.example.com"),
            ("x, 10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3"),
            ("example.com:443", "example.com"),
        ] {
            assert!(is_excepted(list, &at(host)), "{list} {host}");
        }
        for (list, host) in [
            ("", "a"),
            ("example.com", "badexample.com"),
            ("example.com:80", "example.com"),
            ("10.0.0.0/8", "11.0.0.1"),
        ] {
            assert!(!is_excepted(list, &at(host)), "{list} {host}");
        }
    }
}
