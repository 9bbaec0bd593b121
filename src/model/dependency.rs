//! What is watched: a dependency, its target, and everything the user may say about how to ask it.
//!
//! Only `config` builds these (from a file or from the command line); they never hold runtime state.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::alert_policy::AlertPolicy;
use super::secret::{SecretRef, Text};

pub use super::expect::{CertExpect, Expect, HeaderExpect, HeaderIs, JsonExpect, StatusSet};
pub use super::probe::{
    DialogueProbe, GrpcProbe, IcmpProbe, Probe, Security, Service, Step, Talk, TcpProbe, TlsProbe,
    WebSocketProbe,
};

/// A dependency's place in the engine's table. It stays the same while the dependency stays in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DependencyIndex(pub u32);

/// One dependency as the plan holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Unique within the plan.
    pub name: Arc<str>,
    /// The user's labels, sorted by name.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub probe: Probe,
    /// The group over which retries, stale connections and concurrency are counted.
    pub host: HostKey,
    pub interval: Duration,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub breaker: BreakerPolicy,
    pub confirm: Confirm,
    pub keepalive: Keepalive,
    /// A failure that came back sooner than this, without using up a timeout, is fast.
    pub fast_below: Duration,
    /// Names of dependencies that this one needs.
    pub depends_on: Arc<[Arc<str>]>,
    /// When it raises alerts, and of what severity. Shared by those with the same thresholds.
    pub alerts: Arc<AlertPolicy>,
    /// The variable of the environment by which other programs here would go through a proxy to this target, where the
    /// configuration says nothing about one: it is not used, and may be why those programs get further.
    pub unused_proxy: Option<Arc<str>>,
    /// It was found by discovery, and is not named in the configuration itself.
    pub found: bool,
}

/// A host in the sense of the retry statistics: the configured name, the port, and the proxy by which it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey {
    pub name: Arc<str>,
    pub port: u16,
    pub proxy: Option<Arc<str>>,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host_port(f, &self.name, self.port)?;
        match &self.proxy {
            Some(proxy) => write!(f, " via {proxy}"),
            None => Ok(()),
        }
    }
}

fn write_host_port(f: &mut fmt::Formatter<'_>, name: &str, port: u16) -> fmt::Result {
    // What has no ports (ICMP) has port 0.
    match (name.contains(':'), port) {
        (true, 0) => write!(f, "[{name}]"),
        (false, 0) => f.write_str(name),
        (true, port) => write!(f, "[{name}]:{port}"),
        (false, port) => write!(f, "{name}:{port}"),
    }
}

/// A configured name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A DNS name in ASCII (IDNA applied), or an address without brackets.
    pub host: Arc<str>,
    pub port: u16,
}

impl Endpoint {
    /// The host as an address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host_port(f, &self.host, self.port)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const fn id(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// An HTTP URL without user info (that became `auth`) and without fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    pub scheme: Scheme,
    pub endpoint: Endpoint,
    /// Begins with `/`; without the query.
    pub path: Arc<str>,
    /// Without the `?`. It may hold a secret and is never printed.
    pub query: Option<Arc<str>>,
}

impl HttpUrl {
    /// What is sent as the request target.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        }
    }

    /// The authority as a `Host` header has it: the port only when it is not the scheme's own.
    pub fn authority(&self) -> String {
        let shown = self.endpoint.to_string();
        if self.endpoint.port == self.scheme.default_port() {
            let cut = shown.rfind(':').unwrap_or(shown.len());
            shown[..cut].to_owned()
        } else {
            shown
        }
    }
}

/// The URL without its query, which may hold a secret (`?…` stands for it).
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.id(), self.authority(), self.path)?;
        if self.query.is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}

/// One HTTP exchange, redirects included.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    pub url: HttpUrl,
    /// Upper case.
    pub method: Arc<str>,
    /// Sent as they are, after our own defaults (`Host`, `User-Agent`, `Accept`, `Accept-Encoding`), which they replace.
    pub headers: Arc<[(Arc<str>, Text)]>,
    pub body: Option<Text>,
    pub auth: Auth,
    pub version: HttpVersion,
    pub redirects: Redirects,
    pub proxy: Option<Proxy>,
    pub tls: TlsSettings,
    pub resolve: ResolveSettings,
    pub expect: Expect,
    /// Bytes of body, before decoding, after which reading stops; the rest is not an error but is not looked at.
    pub max_body: u64,
    pub user_agent: Arc<str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1, or what ALPN agrees upon over TLS.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge otherwise.
    Http2,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Auth {
    #[default]
    None,
    Basic {
        user: Arc<str>,
        password: SecretRef,
    },
    Bearer(SecretRef),
    /// RFC 6749, section 4.4. The token is fetched before the attempt and kept until shortly before it expires.
    ClientCredentials(Arc<ClientCredentials>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClientCredentials {
    pub token_url: HttpUrl,
    pub client_id: Arc<str>,
    pub client_secret: SecretRef,
    pub scopes: Arc<[Arc<str>]>,
    pub audience: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirects {
    /// How many are followed; 0 takes the redirect itself for the answer.
    pub limit: u8,
    /// Whether one from https to http is followed.
    pub allow_downgrade: bool,
}

impl Default for Redirects {
    fn default() -> Self {
        Redirects {
            limit: 10,
            allow_downgrade: false,
        }
    }
}

/// An HTTP proxy: CONNECT for https targets, absolute-form requests for http ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    pub endpoint: Endpoint,
    /// Whether the connection to the proxy itself is TLS.
    pub tls: bool,
    pub auth: Option<(Arc<str>, SecretRef)>,
    /// Where it was taken from, when it was not the dependency's own configuration (`HTTPS_PROXY`, say).
    pub inherited_from: Option<Arc<str>>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.tls { "https" } else { "http" },
            self.endpoint
        )
    }
}

/// What is trusted, and what is shown to the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// PEM files whose certificates are trusted besides the system's.
    pub ca: Arc<[PathBuf]>,
    /// Whether the system's own roots are left out.
    pub only_given_ca: bool,
    /// Files with certificate revocation lists, PEM or DER.
    pub crl: Arc<[PathBuf]>,
    /// Whether a missing intermediate may be fetched from where the certificate says that its issuer is to be had (RFC
    /// 5280, section 4.2.2.1), to prove that it is just that.
    pub aia: bool,
    /// PEM with the chain, and the key in the same file or another.
    pub client_cert: Option<ClientCert>,
    /// Name for SNI and verification, in place of the URL's host.
    pub server_name: Option<Arc<str>>,
    pub min_version: TlsMinVersion,
    /// Protocols offered by a `tls://` probe; HTTP probes choose their own.
    pub alpn: Arc<[Arc<str>]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCert {
    pub chain: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// How names become addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResolveSettings {
    /// Nameservers to ask instead of the system's; none means the system's own (hosts file, then resolv.conf).
    pub servers: Arc<[SocketAddr]>,
    pub family: Family,
    /// Fixed addresses that stand for the name, as curl's `--resolve` has them; nothing is looked up.
    pub addresses: Arc<[IpAddr]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl Family {
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::Ipv4 => address.is_ipv4(),
            Family::Ipv6 => address.is_ipv6(),
        }
    }
}

/// A question to one DNS server.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsProbe {
    pub server: Endpoint,
    pub name: Arc<str>,
    pub record: RecordType,
    pub transport: DnsTransport,
    /// Values of which each must be among the answers (addresses, names or texts as they print).
    pub expect: Arc<[Arc<str>]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsTransport {
    /// UDP, and TCP when the answer was truncated.
    #[default]
    Udp,
    Tcp,
}

/// A DNS record type by its number (IANA registry); the common ones print by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    pub const A: RecordType = RecordType(1);
    pub const AAAA: RecordType = RecordType(28);

    const NAMES: [(&'static str, u16); 11] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("CAA", 257),
        ("HTTPS", 65),
    ];

    /// The type of that name, in any case.
    pub fn from_name(name: &str) -> Option<RecordType> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, number)| RecordType(*number))
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(name, _)| *name)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// Budgets. Each phase is bounded by its own; `attempt` bounds one attempt, `total` the operation with its retries and
/// backoff. No phase exceeds `attempt`, `attempt` not `total`, `total` not the interval.
///
/// `connect` also bounds the CONNECT to a proxy together with what the proxy does behind it; `first_byte` begins with
/// the first byte of the request; `body` bounds the gap between two reads of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    pub first_byte: Duration,
    pub body: Duration,
    pub attempt: Duration,
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            resolve: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(3),
            first_byte: Duration::from_secs(8),
            body: Duration::from_secs(8),
            attempt: Duration::from_secs(10),
            total: Duration::from_secs(25),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means no retry.
    pub attempts: u8,
    /// First backoff; the n-th is drawn from 0 to `min(max, initial · 2ⁿ)`.
    pub initial: Duration,
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 3,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(2),
        }
    }
}

/// When retries and second looks are suppressed for a dependency that keeps failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Share of failed operations, 0 to 1, over the last `window` operations.
    pub failure_share: f32,
    /// How many operations the share is taken over (at most 32).
    pub window: u8,
    /// Fewest operations before it may act.
    pub minimum: u8,
    /// How long it suppresses before an operation may use retries again.
    pub pause: Duration,
    /// Whether the scheduled attempt itself is left out while it acts (`circuit.open`).
    pub refuse: bool,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        BreakerPolicy {
            failure_share: 0.5,
            window: 10,
            minimum: 5,
            pause: Duration::from_secs(60),
            refuse: false,
        }
    }
}

/// How far second looks may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confirm {
    Off,
    #[default]
    Gentle,
    Full,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// Keep the connection between operations and use it again.
    pub reuse: bool,
    /// Measure after how long an idle connection is closed, and how.
    pub discover: Option<Arc<IdleSearch>>,
}

/// How a host's idle timeout is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleSearch {
    /// Idle times to try, ascending.
    pub ladder: Arc<[Duration]>,
    /// How long a result is believed.
    pub remeasure: Duration,
}

impl IdleSearch {
    /// Around the limits that are known: 60 s (AWS ALB), 75 s (nginx), 240 s (Azure load balancer), 350 s (AWS NLB and NAT
    /// gateway), 600 s (Google Cloud), 900 s (many firewalls).
    pub const LADDER: [u64; 9] = [55, 65, 230, 250, 340, 360, 590, 620, 910];
    pub const REMEASURE: Duration = Duration::from_secs(86_400);
}

impl Default for IdleSearch {
    fn default() -> Self {
        IdleSearch {
            ladder: Self::LADDER.into_iter().map(Duration::from_secs).collect(),
            remeasure: Self::REMEASURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_print_without_their_query() {
        let url = HttpUrl {
            scheme: Scheme::Https,
            endpoint: Endpoint {
                host: "2001:db8::1".into(),
                port: 443,
            },
            path: "/a".into(),
            query: Some("token=secret".into()),
        };
        assert_eq!(url.to_string(), "https://[2001:db8::1]/a?…");
        assert_eq!(url.path_and_query(), "/a?token=secret");
        let other = HttpUrl {
            endpoint: Endpoint {
                host: "h".into(),
                port: 8443,
            },
            query: None,
            ..url
        };
        assert_eq!(other.to_string(), "https://h:8443/a");
    }
}
