//! The host and the port of a URL.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Lint, Parts};
use crate::config::diagnostic::Severity;
use crate::model::dependency::{Endpoint, Service};

fn error(problem: &str, range: std::ops::Range<usize>) -> Lint {
    Lint::new(Severity::Error, problem, range)
}

/// Reads the authority. `None` exactly when an error was noted.
pub fn read(parts: &Parts<'_>, lints: &mut Vec<Lint>) -> Option<Endpoint> {
    let text = parts.get(&parts.authority);
    let start = parts.authority.start;
    let (host_text, port_text) = match split_port(text) {
        Ok(split) => split,
        Err(lint) => {
            lints.push(Lint {
                range: start..start + text.len(),
                ..lint
            });
            return None;
        }
    };
    let default = match parts.scheme {
        "http" | "ws" => Some(80),
        "https" | "tls" | "wss" | "grpcs" => Some(443),
        "dns" => Some(53),
        "icmp" => Some(0),
        other => Service::of_scheme(other).map(|(service, tls)| service.default_port(tls)),
    };
    let port_start = start + text.len() - port_text.map_or(0, str::len);
    let port = port((parts.scheme, port_text), default, port_start, lints);
    let host = if host_text.is_empty() {
        lints.push(error("the host is missing", start..start + text.len().max(1)));
        None
    } else {
        address_or_name(host_text, start, lints)
    };
    let endpoint = Endpoint {
        host: host?.into(),
        port: port?,
    };
    if port_text.is_some() {
        check_port_of_other(parts.scheme, endpoint.port, port_start, lints);
    }
    Some(endpoint)
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), Lint> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return Err(error("the address has no closing bracket", 0..0));
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((&text[..inside.len() + 2], Some(port))),
            None if after.is_empty() => Ok((text, None)),
            None => Err(error("something stands between the address and the port", 0..0)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        let lint = error("an IPv6 address must stand in brackets", 0..0);
        return Err(lint.suggest(Some(format!("did you mean `[{text}]`?"))));
    }
    Ok(match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

fn port(
    (scheme, text): (&str, Option<&str>),
    default: Option<u16>,
    start: usize,
    lints: &mut Vec<Lint>,
) -> Option<u16> {
    const EXPECTED: &str = "a port from 1 to 65535";
    let Some(text) = text else {
        if default.is_none() {
            let form = match scheme {
                "grpc" => "`grpc://host:port/service`",
                _ => "`tcp://host:port`",
            };
            lints.push(error("the port is missing", start..start).expected(form));
        }
        return default;
    };
    let range = start..start + text.len();
    if text.is_empty() {
        lints.push(error("the port is missing after the colon", range).expected(EXPECTED));
        return None;
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Some(port),
        _ => {
            let problem = if text.bytes().all(|b| b.is_ascii_digit()) {
                "there is no such port"
            } else {
                "the port is not a number"
            };
            lints.push(error(problem, range).quote(text).expected(EXPECTED));
            None
        }
    }
}

/// Ports by which another protocol is known.
const OTHERS: [(u16, &str); 13] = [
    (22, "SSH"),
    (25, "SMTP"),
    (53, "DNS"),
    (143, "IMAP"),
    (587, "SMTP"),
    (1433, "SQL Server"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5672, "AMQP"),
    (6379, "Redis"),
    (9092, "Kafka"),
    (11211, "memcached"),
    (27017, "MongoDB"),
];

/// Whether a port is known for a protocol that is neither HTTP nor TLS.
pub fn is_port_of_other(port: u16) -> bool {
    OTHERS.iter().any(|(known, _)| *known == port)
}

fn check_port_of_other(scheme: &str, port: u16, start: usize, lints: &mut Vec<Lint>) {
    let (problem, suggestion) = match (scheme, port) {
        ("http", 443 | 8443) => (
            format!("port {port} usually speaks TLS"),
            Some("did you mean `https://`?"),
        ),
        ("ws", 443 | 8443) => (
            format!("port {port} usually speaks TLS"),
            Some("did you mean `wss://`?"),
        ),
        ("https" | "tls", 80) => (
            "port 80 usually speaks plain HTTP".into(),
            Some("did you mean `http://`?"),
        ),
        ("dns", 853) => ("port 853 is DNS over TLS, which is not spoken here".into(), None),
        ("dns", 443) => (
            "port 443 is DNS over HTTPS, which is not spoken here".into(),
            None,
        ),
        ("http" | "https", _) => match OTHERS.iter().find(|(known, _)| *known == port) {
            Some((_, protocol)) => (
                format!("port {port} usually speaks {protocol}"),
                Some("did you mean `tcp://`?"),
            ),
            None => return,
        },
        _ => return,
    };
    let range = start..start + port.to_string().len();
    lints.push(Lint::new(Severity::Warning, problem, range).suggest(suggestion.map(str::to_owned)));
}

fn address_or_name(text: &str, start: usize, lints: &mut Vec<Lint>) -> Option<String> {
    let range = start..start + text.len();
    if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        if inside.contains('%') {
            lints.push(error("an address with a zone is not supported", range));
            return None;
        }
        return match inside.parse::<Ipv6Addr>() {
            Ok(address) => Some(address.to_string()),
            Err(_) => {
                lints.push(error("this is not an IPv6 address", range).quote(inside));
                None
            }
        };
    }
    if looks_numeric(text) {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(address.to_string());
        }
        // What inet_aton reads in its own way: `1.2.3` is 1.2.0.3, `0x7f.1` is 127.0.0.1, `010.0.0.1` is 8.0.0.1.
        let read_as = match url::Host::parse(text) {
            Ok(url::Host::Ipv4(address)) => Some(format!(
                "some programs read it as `{address}`: write that if it is meant"
            )),
            _ => None,
        };
        let lint = error(
            "this is neither a name nor an IPv4 address of four decimal numbers",
            range,
        );
        lints.push(lint.quote(text).suggest(read_as));
        return None;
    }
    name(text, start, lints)
}

/// Whether the last label is a number (WHATWG URL, "ends in a number"): such a host can only be an address.
fn looks_numeric(text: &str) -> bool {
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// A DNS name in ASCII and lower case (RFC 1123, section 2.1; RFC 5891 for others; `_` as services have it, RFC 2782).
pub fn name(text: &str, start: usize, lints: &mut Vec<Lint>) -> Option<String> {
    let range = start..start + text.len();
    let ascii = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(domain)) => domain,
            _ => {
                lints.push(error("this is not a valid international host name", range));
                return None;
            }
        }
    };
    let bare = ascii.strip_suffix('.').unwrap_or(&ascii);
    if bare.len() > 253 {
        lints.push(error("a host name has at most 253 characters", range));
        return None;
    }
    for label in bare.split('.') {
        if let Some(problem) = label_problem(label) {
            let lint = error(problem, range.clone()).quote(text);
            lints.push(lint.expected("labels of letters, digits and hyphens, parted by dots"));
            return None;
        }
    }
    super::placeholder::check_host(bare, range, lints);
    Some(ascii)
}

fn label_problem(label: &str) -> Option<&'static str> {
    if label.is_empty() {
        Some("a host name with an empty label")
    } else if label.len() > 63 {
        Some("a label of a host name has at most 63 characters")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("a label of a host name does not begin or end with a hyphen")
    } else if !label
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    {
        Some("a character that a host name does not have")
    } else {
        None
    }
}
