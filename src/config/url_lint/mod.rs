//! URLs are looked at before anything is sent: what a resolver or a proxy would take in silence is told here.

mod host;
mod placeholder;
mod services;

use std::ops::Range;

use super::diagnostic::Severity;
use super::suggest;
use crate::model::dependency::{DnsTransport, Endpoint, HttpUrl, RecordType, Scheme, Service};

/// What a target's URL says.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Http {
        url: HttpUrl,
        user_info: Option<UserInfo>,
    },
    Tcp(Endpoint),
    Tls(Endpoint),
    Dns {
        server: Endpoint,
        name: String,
        record: RecordType,
        transport: DnsTransport,
    },
    /// The port is 0.
    Icmp(Endpoint),
    Grpc {
        /// The URL of the health service's call: `https` stands for `grpcs`.
        url: HttpUrl,
        service: String,
    },
    WebSocket {
        /// `http` stands for `ws`, `https` for `wss`.
        url: HttpUrl,
        user_info: Option<UserInfo>,
    },
    Service {
        service: Service,
        /// Whether TLS begins at once.
        tls: bool,
        endpoint: Endpoint,
        /// Without its slash; `None` when there is none.
        path: Option<String>,
        user_info: Option<UserInfo>,
    },
}

impl Target {
    /// The scheme with which it is written.
    pub fn scheme(&self) -> &'static str {
        match self {
            Target::Http { .. } => "http",
            Target::Tcp(_) => "tcp",
            Target::Tls(_) => "tls",
            Target::Dns { .. } => "dns",
            Target::Icmp(_) => "icmp",
            Target::Grpc { url, .. } if url.scheme == Scheme::Https => "grpcs",
            Target::Grpc { .. } => "grpc",
            Target::WebSocket { url, .. } if url.scheme == Scheme::Https => "wss",
            Target::WebSocket { .. } => "ws",
            Target::Service { service, tls, .. } => service.scheme(*tls),
        }
    }

    /// The host and port that are meant.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Target::Http { url, .. } | Target::Grpc { url, .. } | Target::WebSocket { url, .. } => {
                &url.endpoint
            }
            Target::Tcp(endpoint) | Target::Tls(endpoint) | Target::Icmp(endpoint) => endpoint,
            Target::Dns { server, .. } => server,
            Target::Service { endpoint, .. } => endpoint,
        }
    }
}

/// The user's name and password of a URL, percent-decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInfo {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Something that is wrong with a URL, or probably so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    pub severity: Severity,
    /// Says what is wrong without quoting the URL.
    pub problem: String,
    /// The part of the URL that is meant: never user info or a query's value.
    pub quote: Option<String>,
    pub expected: Option<&'static str>,
    /// May hold parts of the URL (never user info or the query).
    pub suggestion: Option<String>,
    /// Bytes of the URL's text.
    pub range: Range<usize>,
}

impl Lint {
    fn new(severity: Severity, problem: impl Into<String>, range: Range<usize>) -> Self {
        Lint {
            severity,
            problem: problem.into(),
            quote: None,
            expected: None,
            suggestion: None,
            range,
        }
    }

    fn quote(mut self, quote: &str) -> Self {
        self.quote = Some(quote.to_owned());
        self
    }

    fn expected(mut self, expected: &'static str) -> Self {
        self.expected = Some(expected);
        self
    }

    fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// The whole message; without parts of the URL unless `quoting`.
    pub fn message(&self, quoting: bool) -> String {
        match &self.quote {
            Some(quote) if quoting => format!("{}: `{quote}`", self.problem),
            _ => self.problem.clone(),
        }
    }
}

pub use host::is_port_of_other;

const KNOWN: [&str; 10] = [
    "http", "https", "tcp", "tls", "dns", "icmp", "grpc", "grpcs", "ws", "wss",
];
const SCHEMES: &str = "`https://`, `http://`, `tcp://`, `tls://`, `dns://`, `icmp://`, `grpc://`, `ws://`, or a service's \
                       such as `postgres://`";

fn is_known(scheme: &str) -> bool {
    KNOWN.contains(&scheme) || Service::of_scheme(scheme).is_some()
}

/// Reads a URL. The target is there exactly when no lint is an error.
pub fn parse(text: &str) -> (Option<Target>, Vec<Lint>) {
    let mut lints = Vec::new();
    let target = read(text, &mut lints);
    let refused = lints.iter().any(|lint| lint.severity == Severity::Error);
    (target.filter(|_| !refused), lints)
}

/// Reads a URL that must be `http` or `https`.
pub fn parse_http(text: &str) -> (Option<(HttpUrl, Option<UserInfo>)>, Vec<Lint>) {
    let (target, mut lints) = parse(text);
    match target {
        Some(Target::Http { url, user_info }) => (Some((url, user_info)), lints),
        Some(_) => {
            lints.push(
                Lint::new(
                    Severity::Error,
                    "this URL has another scheme",
                    0..text.find(':').unwrap_or(text.len()),
                )
                .expected("`http://` or `https://`"),
            );
            (None, lints)
        }
        None => {
            for lint in lints.iter_mut().filter(|lint| lint.expected == Some(SCHEMES)) {
                lint.expected = Some("`http://` or `https://`");
            }
            (None, lints)
        }
    }
}

/// A URL's parts, as byte ranges of its text.
struct Parts<'a> {
    text: &'a str,
    scheme: &'a str,
    /// Without user info.
    authority: Range<usize>,
    user_info: Option<Range<usize>>,
    path: Range<usize>,
    query: Option<Range<usize>>,
    fragment: Option<Range<usize>>,
}

impl<'a> Parts<'a> {
    fn get(&self, range: &Range<usize>) -> &'a str {
        &self.text[range.clone()]
    }
}

fn read(text: &str, lints: &mut Vec<Lint>) -> Option<Target> {
    let error = |problem: &str, range| Lint::new(Severity::Error, problem, range);
    if text.trim().is_empty() {
        lints.push(error("the URL is empty", 0..text.len()).expected(SCHEMES));
        return None;
    }
    if let Some((at, c)) = text
        .char_indices()
        .find(|(_, c)| c.is_whitespace() || c.is_control())
    {
        let outer = text.trim().len() != text.len();
        lints.push(
            error("a blank or control character in the URL", at..at + c.len_utf8()).suggest(Some(if outer {
                "remove it".into()
            } else {
                "write a blank as `%20`".into()
            })),
        );
        return None;
    }
    placeholder::check(text, lints);
    if lints.iter().any(|lint| lint.severity == Severity::Error) {
        return None;
    }
    let Some(separator) = scheme_end(text) else {
        missing_scheme(text, lints);
        return None;
    };
    let scheme = text[..separator].to_ascii_lowercase();
    if !is_known(&scheme) {
        unknown_scheme(&scheme, separator, lints);
        return None;
    }
    if let Some(second) = scheme_end(&text[separator + 3..]) {
        lints.push(error("the scheme is there twice", 0..separator + 3 + second));
        return None;
    }
    let parts = split(text, &scheme, separator + 3);
    if let Some(fragment) = &parts.fragment {
        let lint = Lint::new(Severity::Warning, "a fragment is never sent", fragment.clone());
        lints.push(lint.suggest(Some("remove it".into())));
    }
    let endpoint = host::read(&parts, lints);
    if matches!(scheme.as_str(), "tcp" | "tls" | "dns" | "icmp" | "grpc" | "grpcs")
        && let Some(user_info) = &parts.user_info
    {
        lints.push(error("URLs of this scheme have no user info", user_info.clone()));
    }
    if let Some((service, tls)) = Service::of_scheme(&scheme) {
        return services::service(&parts, (service, tls), endpoint?, lints);
    }
    match scheme.as_str() {
        "icmp" => services::icmp(&parts, endpoint?, lints),
        "grpc" | "grpcs" => services::grpc(&parts, endpoint?, lints),
        "ws" | "wss" => read_http(&parts, endpoint?, lints).and_then(services::websocket),
        "http" | "https" => read_http(&parts, endpoint?, lints),
        "dns" => read_dns(&parts, endpoint?, lints),
        _ => {
            let rest = parts.path.start..text.len();
            if !rest.is_empty() && &text[rest.clone()] != "/" {
                lints.push(
                    error("this scheme takes a host and a port, and nothing after it", rest)
                        .expected("`tcp://host:port` or `tls://host:port`"),
                );
            }
            Some(if scheme == "tcp" {
                Target::Tcp(endpoint?)
            } else {
                Target::Tls(endpoint?)
            })
        }
    }
}

/// Where `://` stands, when what is before it looks like a scheme.
fn scheme_end(text: &str) -> Option<usize> {
    let at = text.find("://")?;
    let scheme = &text[..at];
    let looks = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    looks.then_some(at)
}

fn missing_scheme(text: &str, lints: &mut Vec<Lint>) {
    // `http:host`, `http:/host`, `http//host` and `//host` are all meant to be URLs.
    let rest = ["https", "http"].iter().find_map(|scheme| {
        let rest = text.strip_prefix(scheme)?;
        let stripped = rest.trim_start_matches([':', '/']);
        (stripped.len() < rest.len()).then(|| format!("{scheme}://{stripped}"))
    });
    let meant = rest.unwrap_or_else(|| format!("https://{}", text.trim_start_matches([':', '/'])));
    // What holds user info or a query is not repeated.
    let suggestion = (!text.contains(['@', '?', '$', '{', '%'])).then(|| format!("did you mean `{meant}`?"));
    let lint = Lint::new(Severity::Error, "the scheme is missing", 0..text.len());
    lints.push(lint.expected(SCHEMES).suggest(suggestion));
}

fn unknown_scheme(scheme: &str, length: usize, lints: &mut Vec<Lint>) {
    let services = Service::ALL.iter().map(|service| service.scheme(false));
    let meant = suggest::nearest(scheme, KNOWN.into_iter().chain(services))
        .map(|known| format!("did you mean `{known}://`?"));
    lints.push(
        Lint::new(Severity::Error, "this scheme is not known", 0..length)
            .quote(scheme)
            .expected(SCHEMES)
            .suggest(meant),
    );
}

fn split<'a>(text: &'a str, scheme: &'a str, start: usize) -> Parts<'a> {
    let find = |from: usize, to: usize, set: &[char]| text[from..to].find(set).map_or(to, |at| from + at);
    let fragment_at = find(start, text.len(), &['#']);
    let query_at = find(start, fragment_at, &['?']);
    let path_at = find(start, query_at, &['/', '\\']);
    let sign = text[start..path_at].rfind('@').map(|at| start + at);
    Parts {
        text,
        scheme,
        authority: sign.map_or(start, |at| at + 1)..path_at,
        user_info: sign.map(|at| start..at),
        path: path_at..query_at,
        query: (query_at < fragment_at).then(|| query_at + 1..fragment_at),
        fragment: (fragment_at < text.len()).then_some(fragment_at..text.len()),
    }
}

fn read_http(parts: &Parts<'_>, endpoint: Endpoint, lints: &mut Vec<Lint>) -> Option<Target> {
    let scheme = if matches!(parts.scheme, "https" | "wss") {
        Scheme::Https
    } else {
        Scheme::Http
    };
    check_path(parts, lints);
    let parsed = match url::Url::parse(parts.text) {
        Ok(parsed) => parsed,
        Err(error) => {
            // The crate's messages are fixed texts, they quote nothing.
            lints.push(Lint::new(
                Severity::Error,
                format!("not a URL: {error}"),
                0..parts.text.len(),
            ));
            return None;
        }
    };
    let user_info = parts.user_info.as_ref().map(|_| UserInfo {
        user: decode_percent(parsed.username()),
        password: decode_percent(parsed.password().unwrap_or("")),
    });
    let url = HttpUrl {
        scheme,
        endpoint,
        path: parsed.path().into(),
        query: parsed.query().map(Into::into),
    };
    Some(Target::Http { url, user_info })
}

pub fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok());
        match hex
            .and_then(|two| u8::from_str_radix(two, 16).ok())
            .filter(|_| bytes[at] == b'%')
        {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn check_path(parts: &Parts<'_>, lints: &mut Vec<Lint>) {
    let path = parts.get(&parts.path);
    let start = parts.path.start;
    if let Some(at) = path.find('\\') {
        lints.push(
            Lint::new(
                Severity::Error,
                "a backslash in the URL",
                start + at..start + at + 1,
            )
            .suggest(Some("write `/`, or `%5C` if it is meant".into())),
        );
    }
    if let Some(at) = path.find("//") {
        let mut single = path.to_owned();
        while single.contains("//") {
            single = single.replace("//", "/");
        }
        lints.push(
            Lint::new(
                Severity::Warning,
                "two slashes in the path",
                start + at..start + at + 2,
            )
            .suggest(Some(format!("did you mean `{single}`?"))),
        );
    }
    placeholder::check_segments(path, start, lints);
}

fn read_dns(parts: &Parts<'_>, server: Endpoint, lints: &mut Vec<Lint>) -> Option<Target> {
    const FORM: &str = "`dns://server[:port]/name?type=A`";
    let path = parts.get(&parts.path);
    let name = path.strip_prefix('/').unwrap_or("");
    if name.is_empty() || name.contains('/') {
        let problem = if name.is_empty() {
            "the name to ask for is missing"
        } else {
            "one name is asked for"
        };
        lints.push(Lint::new(Severity::Error, problem, parts.path.clone()).expected(FORM));
        return None;
    }
    let name = if name == "." {
        Some(name.to_owned())
    } else {
        host::name(name, parts.path.start + 1, lints)
    };
    let (mut record, mut transport) = (RecordType::A, DnsTransport::Udp);
    let query = parts.query.clone().unwrap_or(parts.path.end..parts.path.end);
    let mut at = query.start;
    for pair in parts.get(&query).split('&') {
        let range = at..at + pair.len();
        at = range.end + 1;
        match pair.split_once('=') {
            None if pair.is_empty() => {}
            Some(("type", value)) => match record_type(value) {
                Some(known) => record = known,
                None => {
                    let meant = suggest::nearest(value, RecordType::names());
                    lints.push(
                        Lint::new(Severity::Error, "this record type is not known", range)
                            .quote(value)
                            .expected("a record type such as `A`, `AAAA`, `MX` or `TYPE64`")
                            .suggest(meant.map(|name| format!("did you mean `{name}`?"))),
                    );
                }
            },
            Some(("transport", "udp")) => transport = DnsTransport::Udp,
            Some(("transport", "tcp")) => transport = DnsTransport::Tcp,
            Some(("transport", _)) => lints.push(
                Lint::new(Severity::Error, "this transport is not known", range).expected("`udp` or `tcp`"),
            ),
            _ => lints.push(
                Lint::new(Severity::Error, "this parameter is not known", range)
                    .expected("`type` or `transport`"),
            ),
        }
    }
    Some(Target::Dns {
        server,
        name: name?,
        record,
        transport,
    })
}

fn record_type(text: &str) -> Option<RecordType> {
    RecordType::from_name(text).or_else(|| {
        let number = text.strip_prefix("TYPE").or_else(|| text.strip_prefix("type"))?;
        number.parse().ok().map(RecordType)
    })
}

#[cfg(test)]
mod tests;
