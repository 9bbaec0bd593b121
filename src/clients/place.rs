//! Where the client wanted to go, and where it failed, as far as its text names them. Only a scheme, a host, a port and a
//! path are ever taken out of a text: no user info, no query.

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::compiled;

/// Longest host and path that are believed.
const MAX_HOST: usize = 253;
const MAX_PATH: usize = 200;

/// What a target is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    /// A connection and nothing else: databases, SSH.
    Tcp,
    Tls,
    /// The text does not say.
    Open,
}

/// A host that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub scheme: Scheme,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: Option<u16>,
    /// Without its query; empty where the text names none.
    pub path: String,
    /// Whether the text had a query, which is left out.
    pub had_query: bool,
}

impl Place {
    fn at(host: &str, port: Option<u16>, scheme: Scheme) -> Option<Place> {
        let host = host.trim_matches(|c| matches!(c, '[' | ']' | '.'));
        let fits = !host.is_empty() && host.len() <= MAX_HOST;
        let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        (fits && host.chars().all(is_host) && !host.starts_with('-')).then(|| Place {
            scheme,
            host: host.to_owned(),
            port,
            path: String::new(),
            had_query: false,
        })
    }

    /// The host and port as they stand in a URL.
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether both may be the same endpoint: a name and an address always may, unless their ports differ.
    fn may_be(&self, other: &Place) -> bool {
        if let (Some(one), Some(two)) = (self.effective_port(), other.effective_port())
            && one != two
        {
            return false;
        }
        let (one, two) = (self.host.to_ascii_lowercase(), other.host.to_ascii_lowercase());
        // A resolver that appends search domains words the failure with the longer name.
        let extends =
            |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
        self.is_address() != other.is_address() || one == two || extends(&one, &two) || extends(&two, &one)
    }

    fn effective_port(&self) -> Option<u16> {
        self.port.or(match self.scheme {
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
            Scheme::Tcp | Scheme::Tls | Scheme::Open => None,
        })
    }
}

impl fmt::Display for Place {
    /// As a target of `whyd check`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
            Scheme::Tcp => "tcp://",
            Scheme::Tls => "tls://",
            Scheme::Open => "",
        };
        write!(f, "{scheme}{}{}", self.authority(), self.path)
    }
}

/// The places of a text, before it is known which of them is a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// What was asked for: a URL, or a pool's host.
    pub asked: Option<Place>,
    /// The other end of the connection, or the name, that failed.
    pub failed_at: Option<Place>,
    /// Whether what failed cannot be what was asked for, so that something stands between.
    pub differ: bool,
}

impl Places {
    /// `told` is the text without stack frames, `whole` the one with them: a URL in a line of code is better than none.
    pub fn of(told: &str, whole: &str) -> Places {
        let mut all = urls(told);
        if let Some(pool) = pool(told) {
            all.insert(0, pool);
        }
        let failed_at = failed_at(told);
        let mut hosts: Vec<&str> = all.iter().map(|place| place.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let differ = match (&failed_at, hosts.len()) {
            (Some(failed), 1) => !all.iter().any(|asked| asked.may_be(failed)),
            _ => false,
        };
        let asked = all.into_iter().next().or_else(|| {
            let mut in_code = urls(whole);
            (!in_code.is_empty()).then(|| in_code.swap_remove(0))
        });
        Places {
            asked,
            failed_at,
            differ,
        }
    }
}

/// Hosts whose pages error messages point to.
const DOCUMENTATION: [&str; 14] = [
    "curl.se",
    "httpstatuses.com",
    "developer.mozilla.org",
    "urllib3.readthedocs.io",
    "docs.python.org",
    "docs.aiohttp.org",
    "aka.ms",
    "go.microsoft.com",
    "nodejs.org",
    "docs.rs",
    "github.com",
    "go.dev",
    "www.openssl.org",
    "docs.openssl.org",
];

/// The URLs of a text in their order, at most a few, without those that point to documentation.
fn urls(text: &str) -> Vec<Place> {
    static URL: LazyLock<Regex> =
        LazyLock::new(|| compiled(r#"(?i)\b(https?|wss?)://([^\s"'<>`\\/?#]+)([^\s"'<>`\\?#]*)([?#])?"#));
    let mut found = Vec::new();
    for captures in URL.captures_iter(text).take(32) {
        let group = |n: usize| captures.get(n).map_or("", |found| found.as_str());
        let secure = matches!(group(1).to_ascii_lowercase().as_str(), "https" | "wss");
        let scheme = if secure { Scheme::Https } else { Scheme::Http };
        let authority = group(2).rsplit('@').next().unwrap_or_default();
        let authority = authority.trim_end_matches([')', ',', '.', ';', '}', ':']);
        let Some(mut place) = split_authority(authority, scheme) else {
            continue;
        };
        if DOCUMENTATION.contains(&place.host.as_str()) {
            continue;
        }
        let path = group(3).trim_end_matches([')', ',', '.', ';', '}', ']', ':']);
        place.path = safe_path(path);
        place.had_query = captures.get(4).is_some();
        found.push(place);
        if found.len() == 8 {
            break;
        }
    }
    found
}

/// A path that may stand in a command as it is; anything else is left out.
fn safe_path(path: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/-_.~%+,:@=".contains(c);
    match path.len() <= MAX_PATH && path.chars().all(harmless) {
        true => path.to_owned(),
        false => String::new(),
    }
}

fn split_authority(authority: &str, scheme: Scheme) -> Option<Place> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return Place::at(
            host,
            after.strip_prefix(':').and_then(|port| port.parse().ok()),
            scheme,
        );
    }
    match authority.rsplit_once(':') {
        // More colons make an address without brackets, whose port cannot be told.
        Some((host, port)) if !host.contains(':') => Place::at(host, port.parse().ok(), scheme),
        _ => Place::at(authority, None, scheme),
    }
}

/// urllib3's pool, and the path that follows it.
fn pool(text: &str) -> Option<Place> {
    static POOL: LazyLock<Regex> =
        LazyLock::new(|| compiled(r"(HTTPS?)ConnectionPool\(host='([^']{1,253})', port=(\d{1,5})\)"));
    static PATH: LazyLock<Regex> = LazyLock::new(|| compiled(r"with url: (/[^\s?#)]*)([?#])?"));
    let found = POOL.captures(text)?;
    let scheme = match &found[1] {
        "HTTPS" => Scheme::Https,
        _ => Scheme::Http,
    };
    let mut place = Place::at(&found[2], found[3].parse().ok(), scheme)?;
    if let Some(path) = PATH.captures(text) {
        place.path = safe_path(&path[1]);
        place.had_query = path.get(2).is_some();
    }
    Some(place)
}

/// How clients name the other end of what failed: a pattern with the groups `host` and, where there is one, `port`, and
/// what a plain connection to it is asked by. The first that matches counts.
const FAILED_AT: &[(&str, Scheme)] = &[
    (
        r#"connection to server at "(?P<host>[^"\s]+)"[^\n]{0,60}?port (?P<port>\d+)"#,
        Scheme::Tcp,
    ),
    (
        r"Could not connect to Redis at (?P<host>[^\s:]+):(?P<port>\d+)",
        Scheme::Tcp,
    ),
    (
        r"ssh: (?:connect to host|Could not resolve hostname) (?P<host>[^\s:]+)(?: port (?P<port>\d+))?",
        Scheme::Tcp,
    ),
    (
        r"(?:Connection (?:closed|reset) by|kex_exchange_identification:[^\n]{0,80}?) (?P<host>[\w.:]+) port (?P<port>\d+)",
        Scheme::Tcp,
    ),
    (r"lookup (?P<host>[\w.-]+)(?: on [\w.\[\]:]+)?:", Scheme::Open),
    (r"Connection to (?P<host>[\w.-]+) timed out", Scheme::Open),
    (
        r"Cannot connect to host (?P<host>[\w.-]+|[0-9a-fA-F:]+?):(?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"ConnectionKey\(host='(?P<host>[^']+)', port=(?P<port>\d+)",
        Scheme::Open,
    ),
    (r"Failed to resolve '(?P<host>[^'\s]+)'", Scheme::Open),
    (
        r"getaddrinfo (?:ENOTFOUND|EAI_\w+|ENODATA|ESERVFAIL|ETIMEOUT) (?P<host>[\w.-]+)(?::(?P<port>\d+))?",
        Scheme::Open,
    ),
    (
        r"connect E[A-Z]+ (?P<host>[0-9a-fA-F.:]+):(?P<port>\d{1,5})\b",
        Scheme::Open,
    ),
    (
        r"(?:Could not|Couldn't) resolve (?:host|proxy)(?: name)?:? '?(?P<host>[\w.-]+\w)",
        Scheme::Open,
    ),
    (
        r"Failed to connect to (?P<host>[\w.:-]+) port (?P<port>\d+)",
        Scheme::Open,
    ),
    (r"in connection to (?P<host>[\w.-]+):(?P<port>\d+)", Scheme::Open),
    (
        r"Connect to (?P<host>[\w.-]+):(?P<port>\d+)[^\n]{0,80} failed",
        Scheme::Open,
    ),
    (
        r"Failed to connect to (?P<host>[\w.-]*)/[\d.a-f:]+:(?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"UnknownHostException: (?P<host>[\w-]+(?:\.[\w-]+)+)",
        Scheme::Open,
    ),
    (
        r"(?:dial (?:tcp|udp)[46]? |(?:read|write) tcp \S+->)\[(?P<host>[0-9a-fA-F.:]+)\]:(?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"(?:dial (?:tcp|udp)[46]? |(?:read|write) tcp \S+->)(?P<host>[\w.-]+):(?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"(?:unable to resolve host address|Resolving) '?(?P<host>[\w-]+(?:\.[\w-]+)+)",
        Scheme::Open,
    ),
    (
        r"(?:DNS resolution failed for|name resolution failed for|resolving) (?P<host>[\w.-]+):(?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"(?:target:|dns:///?)(?P<host>[\w-]+(?:\.[\w-]+)+):(?P<port>\d+)",
        Scheme::Open,
    ),
    (r"ipv4:(?P<host>[0-9.]+):(?P<port>\d+)", Scheme::Open),
    (r"ipv6:\[(?P<host>[0-9a-fA-F.:]+)\]:(?P<port>\d+)", Scheme::Open),
    (
        r"Connected to (?P<host>[\w.-]+) \([^)\n]*\) port (?P<port>\d+)",
        Scheme::Open,
    ),
    (
        r"\((?P<host>[A-Za-z0-9][\w-]*(?:\.[\w-]+)+):(?P<port>\d+)\)",
        Scheme::Open,
    ),
    (
        r#"(?:address|hostname): ['"](?P<host>[\w.:-]+)['"]"#,
        Scheme::Open,
    ),
];

fn failed_at(text: &str) -> Option<Place> {
    static PATTERNS: LazyLock<Vec<(Regex, Scheme)>> = LazyLock::new(|| {
        FAILED_AT
            .iter()
            .map(|(pattern, scheme)| (compiled(pattern), *scheme))
            .collect()
    });
    PATTERNS
        .iter()
        .find_map(|(pattern, scheme)| place_of(&pattern.captures(text)?, *scheme))
}

fn place_of(captures: &Captures<'_>, scheme: Scheme) -> Option<Place> {
    let port = captures.name("port").and_then(|port| port.as_str().parse().ok());
    let scheme = match (scheme, port) {
        (Scheme::Open, Some(443 | 8443)) => Scheme::Https,
        (Scheme::Open, Some(80)) => Scheme::Http,
        (scheme, _) => scheme,
    };
    let host = captures.name("host")?.as_str();
    // `Net.java:672` and `client.go:12` are places in a program.
    const SOURCES: [&str; 12] = [
        "c", "cc", "cpp", "cs", "go", "java", "js", "kt", "mjs", "py", "rb", "rs",
    ];
    let extension = host.rsplit('.').next().unwrap_or_default();
    if SOURCES.contains(&extension) {
        return None;
    }
    Place::at(host, port, scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> String {
        Places::of(text, text)
            .asked
            .map(|place| place.to_string())
            .unwrap_or_default()
    }

    fn failed(text: &str) -> String {
        failed_at(text).map(|place| place.to_string()).unwrap_or_default()
    }

    #[test]
    fn urls_lose_what_may_be_secret() {
        assert_eq!(
            asked("GET https://user:pw@api.test:8443/v1/x?token=hunter2 failed"),
            "https://api.test:8443/v1/x"
        );
        assert_eq!(asked("(http://[2001:db8::7]:80/a)."), "http://[2001:db8::7]:80/a");
        assert_eq!(asked("see https://curl.se/docs/sslcerts.html"), "");
        assert_eq!(asked("http://h/$(reboot)"), "http://h");
        assert_eq!(
            asked(
                "HTTPSConnectionPool(host='api.test', port=443): Max retries exceeded with url: /v1?key=hunter2 (Caused by"
            ),
            "https://api.test:443/v1"
        );
    }

    #[test]
    fn the_failing_end_is_found_in_each_client_s_words() {
        for (text, expected) in [
            (
                "dial tcp 10.0.0.7:443: connect: connection refused",
                "https://10.0.0.7:443",
            ),
            ("dial tcp [2001:db8::7]:8080: i/o timeout", "[2001:db8::7]:8080"),
            (
                "dial tcp: lookup api.test on 127.0.0.53:53: no such host",
                "api.test",
            ),
            ("Error: connect ECONNREFUSED ::1:5432", "[::1]:5432"),
            ("getaddrinfo ENOTFOUND api.test", "api.test"),
            (
                "curl: (7) Failed to connect to api.test port 80 after 1 ms",
                "http://api.test:80",
            ),
            ("Connection refused (api.test:80)", "http://api.test:80"),
            (
                "connection to server at \"db.test\" (10.0.0.7), port 5432 failed",
                "tcp://db.test:5432",
            ),
        ] {
            assert_eq!(failed(text), expected, "{text}");
        }
    }

    #[test]
    fn another_host_than_the_one_asked_for_stands_between() {
        let differ = |text: &str| Places::of(text, text).differ;
        assert!(differ(
            "HTTPSConnectionPool(host='api.test', port=443): … Connection to proxy.test timed out."
        ));
        assert!(differ(
            "Get \"https://api.test/\": dial tcp 10.0.0.1:3128: connect: connection refused"
        ));
        assert!(!differ(
            "Get \"https://api.test/\": dial tcp 10.0.0.1:443: connect: connection refused"
        ));
        assert!(!differ(
            "Get \"http://api/\": dial tcp: lookup api.svc.local on 10.0.0.2:53: no such host"
        ));
    }
}
