//! What a target's address says: a URL, a host and port, a host.

use std::collections::BTreeMap;
use std::sync::Arc;

/// An address taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// `None` where it is no URL.
    pub scheme: Option<&'a str>,
    /// With brackets where it is an IPv6 address.
    pub host: &'a str,
    /// Empty where there is none.
    pub port: &'a str,
    /// What follows the authority, without query and fragment.
    pub path: &'a str,
}

impl<'a> Address<'a> {
    pub fn of(text: &'a str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = tail.split(['?', '#']).next().unwrap_or("");
        let (host, port) = split_port(authority);
        Address {
            scheme,
            host,
            port,
            path,
        }
    }

    /// Whether it holds a user or a password, which nobody but the configuration may say.
    pub fn has_user_info(text: &str) -> bool {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        rest[..end].contains('@')
    }

    /// What it is called unless something else is said: without scheme and query, and without `/`, which no name has.
    pub fn name(&self) -> String {
        let port = if self.port.is_empty() { "" } else { ":" };
        let path = self.path.trim_end_matches('/').replace('/', "_");
        format!("{}{port}{}{path}", self.host, self.port)
    }

    /// The URL that is meant where the source says no more.
    pub fn url(&self, text: &str, labels: &BTreeMap<Arc<str>, Arc<str>>) -> String {
        if self.scheme.is_some() {
            return text.to_owned();
        }
        let label = |name: &str| {
            labels
                .get(name)
                .map(|value| &**value)
                .filter(|value| !value.is_empty())
        };
        let (scheme, path) = (label("__scheme__"), label("__metrics_path__"));
        let query = parameters(labels);
        if scheme.is_none() && path.is_none() && query.is_empty() {
            return match self.port {
                "80" => format!("http://{text}"),
                "443" | "8443" => format!("https://{text}"),
                "" => format!("https://{text}"),
                _ if self.path.is_empty() => format!("tcp://{text}"),
                _ => format!("http://{text}"),
            };
        }
        let path = path.unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}://{text}{slash}{path}{query}", scheme.unwrap_or("http"))
    }
}

fn split_port(authority: &str) -> (&str, &str) {
    if let Some(end) = authority.find(']') {
        let (host, rest) = authority.split_at(end + 1);
        return (host, rest.strip_prefix(':').unwrap_or(""));
    }
    match authority.rsplit_once(':') {
        // More colons than one are those of an address without brackets.
        Some((host, port)) if !host.contains(':') => (host, port),
        _ => (authority, ""),
    }
}

/// `__param_NAME` are parameters of the query, as in Prometheus.
fn parameters(labels: &BTreeMap<Arc<str>, Arc<str>>) -> String {
    let given = labels.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("__param_")?;
        Some((name, &**value))
    });
    let mut query = String::new();
    for (name, value) in given {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(
            &url::form_urlencoded::Serializer::new(String::new())
                .append_pair(name, value)
                .finish(),
        );
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, port, name) in [
            ("db-1:9100", "db-1", "9100", "db-1:9100"),
            ("db-1", "db-1", "", "db-1"),
            ("[2001:db8::1]:443", "[2001:db8::1]", "443", "[2001:db8::1]:443"),
            ("2001:db8::1", "2001:db8::1", "", "2001:db8::1"),
            (
                "https://shop.example/a/b/?x=1#y",
                "shop.example",
                "",
                "shop.example_a_b",
            ),
            (
                "http://shop.example:8080/",
                "shop.example",
                "8080",
                "shop.example:8080",
            ),
            ("https://me:pw@shop.example/", "shop.example", "", "shop.example"),
        ] {
            let address = Address::of(text);
            assert_eq!(
                (address.host, address.port, &*address.name()),
                (host, port, name),
                "{text}"
            );
        }
        assert!(Address::has_user_info("https://me:pw@h/"));
        assert!(Address::has_user_info("me@h:1"));
        assert!(!Address::has_user_info("https://h/@x"));
    }

    #[test]
    fn urls_are_those_that_prometheus_would_ask() {
        let url = |text: &str, labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            Address::of(text).url(text, &labels)
        };
        assert_eq!(url("db:5432", &[("job", "db")]), "tcp://db:5432");
        assert_eq!(url("web:443", &[]), "https://web:443");
        assert_eq!(url("web", &[]), "https://web");
        assert_eq!(url("web:80", &[]), "http://web:80");
        assert_eq!(url("web:8080", &[("__scheme__", "https")]), "https://web:8080/");
        assert_eq!(
            url("web:8080", &[("__metrics_path__", "/m")]),
            "http://web:8080/m"
        );
        assert_eq!(
            url(
                "web:1",
                &[
                    ("__param_module", "a b"),
                    ("__param_x", "&"),
                    ("__scheme__", "http")
                ]
            ),
            "http://web:1/?module=a+b&x=%26"
        );
        assert_eq!(
            url("https://web/x?y=1", &[("__scheme__", "http")]),
            "https://web/x?y=1"
        );
    }
}
