//! What is wrong with a URL before anything is sent: the mistakes that templates, copy and paste, and unset variables make.

/// One remark. An error makes the URL unusable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    pub is_error: bool,
    pub message: String,
    pub help: Option<String>,
}

fn error(message: impl Into<String>, help: &str) -> Lint {
    Lint {
        is_error: true,
        message: message.into(),
        help: (!help.is_empty()).then(|| help.to_owned()),
    }
}

fn warning(message: impl Into<String>, help: &str) -> Lint {
    Lint {
        is_error: false,
        ..error(message, help)
    }
}

/// Placeholders that a template left behind.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("${", "}"),
    ("{{", "}}"),
    ("$(", ")"),
    ("<", ">"),
    ("%(", ")s"),
    ("{", "}"),
];
/// What a program prints for a value that is not there.
const NOTHINGS: &[&str] = &["none", "null", "nil", "undefined", "nan", "[object object]"];
/// Ports that speak TLS, and ports that do not.
const TLS_PORTS: &[u16] = &[443, 8443, 9443];
const PLAIN_PORTS: &[u16] = &[80, 8080];
/// Ports of other protocols, to which an HTTP request makes no sense.
const OTHER_PORTS: &[(u16, &str)] = &[
    (21, "FTP"),
    (22, "SSH"),
    (25, "SMTP"),
    (53, "DNS"),
    (110, "POP3"),
    (143, "IMAP"),
    (389, "LDAP"),
    (465, "SMTP"),
    (587, "SMTP"),
    (636, "LDAP"),
    (993, "IMAP"),
    (995, "POP3"),
    (1433, "SQL Server"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5672, "AMQP"),
    (6379, "Redis"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (11211, "memcached"),
    (27017, "MongoDB"),
];

/// Looks at the text of a URL. The text itself is not repeated where it may hold user info.
pub fn lint(text: &str) -> Vec<Lint> {
    let mut found = Vec::new();
    if text.trim() != text || text.contains([' ', '\t', '\n', '\r']) {
        found.push(error(
            "contains white space",
            "encode a space as %20, or remove it",
        ));
    }
    if let Some(placeholder) = placeholder(text) {
        found.push(error(
            format!("contains `{placeholder}`, which was not filled in"),
            "for the environment write ${env:NAME}",
        ));
        return found;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let mistyped = ["https", "http"].iter().find_map(|scheme| {
            let rest = text.strip_prefix(scheme)?;
            let host = rest.strip_prefix("//").or_else(|| rest.strip_prefix(":/"))?;
            Some((scheme, host)).filter(|_| !host.contains('@'))
        });
        let help = if let Some((scheme, host)) = mistyped {
            format!("write {scheme}://{host}")
        } else if text.starts_with("//") || text.contains(":/") {
            "a URL begins with its scheme and two slashes, such as https://".to_owned()
        } else {
            format!("write https://{text}, or tcp://{text} for a port")
        };
        found.push(error("has no scheme", &help));
        return found;
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host_port = authority.rsplit('@').next().unwrap_or(authority);
    if host_port.is_empty() {
        found.push(error("has no host", ""));
    }
    lint_host(host_port, &mut found);
    lint_port(scheme, host_port, &mut found);
    lint_path(path, &mut found);
    found
}

fn placeholder(text: &str) -> Option<&str> {
    let found = PLACEHOLDERS.iter().find_map(|(open, close)| {
        let start = text.find(open)?;
        let end = text[start..].find(close)? + start + close.len();
        Some(&text[start..end])
    });
    let shell = text.find('$').map(|start| {
        let name = text[start + 1..]
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(text.len(), |n| start + 1 + n);
        &text[start..name]
    });
    let shell =
        shell.filter(|name| name.len() > 1 && name.chars().nth(1).is_some_and(|c| c.is_ascii_uppercase()));
    let printf = ["%s", "%d", "%v"].into_iter().find(|verb| {
        text.find(verb).is_some_and(|at| {
            !text[at + 1..].starts_with(|c: char| c.is_ascii_hexdigit() && verb.ends_with('d'))
        })
    });
    found.or(shell).or(printf)
}

fn lint_host(host_port: &str, found: &mut Vec<Lint>) {
    let host = host_of(host_port);
    if NOTHINGS.contains(&host.to_ascii_lowercase().as_str()) {
        found.push(error(
            format!("has the host `{host}`, which is what an unset value prints as"),
            "",
        ));
    }
    if is_inet_aton(host) {
        found.push(error(
            format!("has the host `{host}`, which some resolvers read as an address and others as a name"),
            "write the address in full, such as 127.0.0.1",
        ));
    }
    let too_long = host.len() > 253 || host.split('.').any(|label| label.len() > 63);
    let empty_label = host.trim_end_matches('.').split('.').any(str::is_empty) && !host.is_empty();
    if too_long && !host.starts_with('[') {
        found.push(error(
            format!("has the host `{host}`, in which a label is longer than 63 bytes or the whole than 253"),
            "",
        ));
    }
    if empty_label && !host.starts_with('[') {
        found.push(error(
            format!("has the host `{host}`, in which a label is empty"),
            "look for two dots in a row",
        ));
    }
}

fn host_of(host_port: &str) -> &str {
    if host_port.starts_with('[') {
        return host_port.split(']').next().unwrap_or(host_port);
    }
    host_port.rsplit_once(':').map_or(host_port, |(host, _)| host)
}

/// Forms that inet_aton(3) takes for an IPv4 address and that are not dotted quads: `1.2.3`, `0x7f.1`, `2130706433`.
fn is_inet_aton(host: &str) -> bool {
    let parts: Vec<&str> = host.split('.').collect();
    let numeric = |part: &&str| {
        let hex = part.strip_prefix("0x").or(part.strip_prefix("0X"));
        match hex {
            Some(digits) => !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()),
            None => !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()),
        }
    };
    let all_numeric = !host.is_empty() && parts.len() <= 4 && parts.iter().all(numeric);
    all_numeric && host.parse::<std::net::Ipv4Addr>().is_err()
}

fn lint_port(scheme: &str, host_port: &str, found: &mut Vec<Lint>) {
    let after_host = if host_port.starts_with('[') {
        host_port.split_once(']').map_or("", |(_, rest)| rest)
    } else {
        host_port.find(':').map_or("", |at| &host_port[at..])
    };
    let Some(port) = after_host.strip_prefix(':') else {
        return;
    };
    let Ok(port) = port.parse::<u16>() else {
        found.push(error(
            format!("has the port `{port}`; expected a number from 1 to 65535"),
            "",
        ));
        return;
    };
    let other = OTHER_PORTS.iter().find(|(other, _)| *other == port);
    match (scheme, other) {
        _ if port == 0 => found.push(error("has the port 0; expected a number from 1 to 65535", "")),
        ("http", _) if TLS_PORTS.contains(&port) => {
            found.push(warning(
                format!("speaks plain HTTP to port {port}, which usually speaks TLS"),
                "write https://",
            ));
        }
        ("https", _) if PLAIN_PORTS.contains(&port) => {
            found.push(warning(
                format!("speaks TLS to port {port}, which usually speaks plain HTTP"),
                "write http://",
            ));
        }
        ("http" | "https", Some((_, protocol))) => found.push(warning(
            format!("speaks HTTP to port {port}, which belongs to {protocol}"),
            "write tcp:// to test that the port answers",
        )),
        _ => {}
    }
}

fn lint_path(path: &str, found: &mut Vec<Lint>) {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    if path.contains("//") {
        found.push(warning(
            "has two slashes in a row in its path",
            "many servers answer 404 or redirect",
        ));
    }
    for segment in path.split('/') {
        if NOTHINGS.contains(&segment.to_ascii_lowercase().as_str()) {
            found.push(error(
                format!("has the path segment `{segment}`, which is what an unset value prints as"),
                "",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> usize {
        lint(text).iter().filter(|lint| lint.is_error).count()
    }

    #[test]
    fn leftovers_of_templates_are_errors() {
        for text in [
            "https://${HOST}/",
            "https://{host}/",
            "https://{{ host }}/x",
            "https://$HOST/",
            "https://h/%s",
            "https://h/undefined/x",
            "https://None/",
            "http://h/users/null",
            "h.example/path",
            "https:/h/",
            "//h/",
            "https://h ost/",
            "https://",
            "https://h..example/",
            "http://1.2.3/",
            "http://0x7f.1/",
            "http://2130706433/",
            "https://h:99999/",
            "https://h:0/",
            "https://<host>/",
            "https://h:port/",
        ] {
            assert!(errors(text) > 0, "{text}");
        }
    }

    #[test]
    fn ordinary_urls_are_not() {
        for text in [
            "https://api.example/health?x=1%20y",
            "http://127.0.0.1:8080/",
            "tcp://db:5432",
            "https://[2001:db8::1]:8443/",
            "https://h/a%2Fb",
            "https://h/price/100%25",
            "dns://1.1.1.1/example.org?type=A",
            "https://user:p@h/",
            "https://xn--bcher-kva.example/",
            "https://nonesuch.example/nullable",
            "http://h/%dc%c4",
        ] {
            assert_eq!(
                lint(text).iter().filter(|lint| lint.is_error).collect::<Vec<_>>(),
                Vec::<&Lint>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn ports_of_other_schemes_are_warnings() {
        for text in ["http://h:443/", "https://h:80/", "http://h:5432/", "https://h//x"] {
            let found = lint(text);
            assert!(found.len() == 1 && !found[0].is_error, "{text}: {found:?}");
        }
    }
}
