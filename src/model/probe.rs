//! How a dependency is asked: one type for each kind of probe.

use std::sync::Arc;
use std::time::Duration;

use super::dependency::{
    CertExpect, DnsProbe, Endpoint, Family, HttpProbe, Proxy, ResolveSettings, Scheme, TlsSettings,
};
use super::secret::{SecretRef, Text};

/// How a dependency is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    Http(Box<HttpProbe>),
    /// A TCP handshake and nothing more.
    Tcp(TcpProbe),
    /// A TCP and a TLS handshake.
    Tls(TlsProbe),
    Dns(DnsProbe),
    /// An ICMP echo.
    Icmp(IcmpProbe),
    /// gRPC's health check.
    Grpc(Box<GrpcProbe>),
    WebSocket(Box<WebSocketProbe>),
    /// A conversation over TCP: one that is known by its scheme, or the user's own.
    Dialogue(Box<DialogueProbe>),
}

impl Probe {
    /// The host and port that are meant, before any proxy. The port is 0 where there is none.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Probe::Http(http) => &http.url.endpoint,
            Probe::Tcp(tcp) => &tcp.endpoint,
            Probe::Tls(tls) => &tls.endpoint,
            Probe::Dns(dns) => &dns.server,
            Probe::Icmp(icmp) => &icmp.endpoint,
            Probe::Grpc(grpc) => &grpc.http.url.endpoint,
            Probe::WebSocket(socket) => &socket.http.url.endpoint,
            Probe::Dialogue(dialogue) => &dialogue.endpoint,
        }
    }

    /// The target as a URL without secrets.
    pub fn target(&self) -> String {
        match self {
            Probe::Http(http) => http.url.to_string(),
            Probe::Tcp(tcp) => format!("tcp://{}", tcp.endpoint),
            Probe::Tls(tls) => format!("tls://{}", tls.endpoint),
            Probe::Dns(dns) => format!("dns://{}/{}?type={}", dns.server, dns.name, dns.record),
            Probe::Icmp(icmp) => format!("icmp://{}", icmp.endpoint),
            Probe::Grpc(grpc) => grpc.target(),
            Probe::WebSocket(socket) => socket.target(),
            Probe::Dialogue(dialogue) => dialogue.target(),
        }
    }

    /// Whether it is an HTTP request that only reads (RFC 9110, section 9.2.1), so that asking more often changes nothing.
    pub fn only_reads(&self) -> bool {
        match self {
            Probe::Http(http) => matches!(&*http.method, "GET" | "HEAD" | "OPTIONS"),
            _ => false,
        }
    }

    /// Whether a request that may have been carried out can be sent again (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        match self {
            Probe::Http(http) => matches!(
                &*http.method,
                "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
            ),
            Probe::Tcp(_) | Probe::Tls(_) | Probe::Dns(_) | Probe::Icmp(_) | Probe::Grpc(_) => true,
            Probe::WebSocket(socket) => sends_nothing(&socket.dialogue),
            Probe::Dialogue(dialogue) => match &dialogue.talk {
                Talk::Service(_) => true,
                Talk::Steps(steps) => sends_nothing(steps),
            },
        }
    }

    /// The HTTP request that it makes, or is carried by.
    pub fn http(&self) -> Option<&HttpProbe> {
        match self {
            Probe::Http(http) => Some(http),
            Probe::Grpc(grpc) => Some(&grpc.http),
            Probe::WebSocket(socket) => Some(&socket.http),
            Probe::Tcp(_) | Probe::Tls(_) | Probe::Dns(_) | Probe::Icmp(_) | Probe::Dialogue(_) => None,
        }
    }

    /// The proxy that it goes through.
    pub fn proxy(&self) -> Option<&Proxy> {
        match self {
            Probe::Http(_) | Probe::Grpc(_) | Probe::WebSocket(_) => {
                self.http().and_then(|http| http.proxy.as_ref())
            }
            Probe::Tcp(tcp) => tcp.proxy.as_ref(),
            Probe::Tls(tls) => tls.proxy.as_ref(),
            Probe::Dialogue(dialogue) => dialogue.proxy.as_ref(),
            Probe::Dns(_) | Probe::Icmp(_) => None,
        }
    }

    /// How its own name is resolved. A nameserver's is resolved by the system.
    pub fn resolve(&self) -> Option<&ResolveSettings> {
        match self {
            Probe::Http(_) | Probe::Grpc(_) | Probe::WebSocket(_) => self.http().map(|http| &http.resolve),
            Probe::Tcp(tcp) => Some(&tcp.resolve),
            Probe::Tls(tls) => Some(&tls.resolve),
            Probe::Icmp(icmp) => Some(&icmp.resolve),
            Probe::Dialogue(dialogue) => Some(&dialogue.resolve),
            Probe::Dns(_) => None,
        }
    }

    /// The address family that it keeps to.
    pub fn family(&self) -> Family {
        self.resolve().map_or(Family::Any, |resolve| resolve.family)
    }

    /// Whether each fresh connection costs a TLS handshake.
    pub fn speaks_tls(&self) -> bool {
        match self {
            Probe::Http(_) | Probe::Grpc(_) | Probe::WebSocket(_) => {
                self.http().is_some_and(|http| http.url.scheme == Scheme::Https)
            }
            Probe::Tls(_) => true,
            Probe::Dialogue(dialogue) => dialogue.security != Security::None,
            Probe::Tcp(_) | Probe::Dns(_) | Probe::Icmp(_) => false,
        }
    }
}

fn sends_nothing(steps: &[Step]) -> bool {
    steps.iter().all(|step| step.send.is_none())
}

#[derive(Clone, Debug, PartialEq)]
pub struct TcpProbe {
    pub endpoint: Endpoint,
    pub resolve: ResolveSettings,
    pub proxy: Option<Proxy>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TlsProbe {
    pub endpoint: Endpoint,
    pub resolve: ResolveSettings,
    pub tls: TlsSettings,
    pub proxy: Option<Proxy>,
    /// What the certificates must be.
    pub cert: Option<Arc<CertExpect>>,
}

/// An ICMP echo (RFC 792, RFC 4443).
#[derive(Clone, Debug, PartialEq)]
pub struct IcmpProbe {
    /// Its port is 0.
    pub endpoint: Endpoint,
    pub resolve: ResolveSettings,
    /// Echo requests sent at most; the first one answered is enough.
    pub packets: u8,
    /// Longest time to the answer.
    pub latency: Option<Duration>,
}

/// `grpc.health.v1.Health/Check` (the gRPC health checking protocol).
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcProbe {
    /// The request that carries the call; its scheme says whether there is TLS.
    pub http: HttpProbe,
    /// The service asked about; empty means the server as a whole.
    pub service: Arc<str>,
}

impl GrpcProbe {
    /// The path of the call.
    pub const PATH: &'static str = "/grpc.health.v1.Health/Check";

    fn target(&self) -> String {
        let scheme = match self.http.url.scheme {
            Scheme::Http => "grpc",
            Scheme::Https => "grpcs",
        };
        format!("{scheme}://{}/{}", self.http.url.endpoint, self.service)
    }
}

/// A WebSocket opening handshake (RFC 6455), and what is said after it.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocketProbe {
    /// The request that asks for the upgrade; `Http` stands for `ws`, `Https` for `wss`.
    pub http: HttpProbe,
    /// Offered, preferred first; the server must choose one of them where there are any.
    pub subprotocols: Arc<[Arc<str>]>,
    /// Whether a ping must be answered after the handshake.
    pub ping: bool,
    pub dialogue: Arc<[Step]>,
}

impl WebSocketProbe {
    fn target(&self) -> String {
        // `http` becomes `ws`, `https` becomes `wss`.
        let url = self.http.url.to_string();
        format!("ws{}", url.strip_prefix("http").unwrap_or(&url))
    }
}

/// A conversation over TCP, or over TLS from its beginning or from some point on.
#[derive(Clone, Debug, PartialEq)]
pub struct DialogueProbe {
    pub endpoint: Endpoint,
    pub resolve: ResolveSettings,
    pub proxy: Option<Proxy>,
    pub tls: TlsSettings,
    pub security: Security,
    pub talk: Talk,
    /// The URL's path without its slash: the database, for a service that wants one named.
    pub path: Option<Arc<str>>,
    /// A user and a password, where the service knows such. The user may be empty.
    pub login: Option<(Arc<str>, SecretRef)>,
    /// Longest time to the end of the conversation.
    pub latency: Option<Duration>,
    /// What the certificates must be.
    pub cert: Option<Arc<CertExpect>>,
}

impl DialogueProbe {
    fn target(&self) -> String {
        let implicit = self.security == Security::Implicit;
        let scheme = match (&self.talk, implicit) {
            (Talk::Service(service), _) => service.scheme(implicit),
            (Talk::Steps(_), true) => "tls",
            (Talk::Steps(_), false) => "tcp",
        };
        format!("{scheme}://{}", self.endpoint)
    }
}

/// Whether and when a conversation goes over to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    None,
    /// At the service's own request for it, after some words in the clear. A step of the user's may do so as well.
    StartTls,
    /// Before anything is said.
    Implicit,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Talk {
    Service(Service),
    Steps(Arc<[Step]>),
}

/// One step of a conversation of the user's: waits, then speaks, then goes over to TLS, each where it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Source text of a regular expression that what the peer says must match.
    pub expect: Option<Arc<str>>,
    pub send: Option<Text>,
    /// Whether CR LF follows what is sent, where it does not end with a line end itself.
    pub line: bool,
    /// Whether a TLS handshake follows.
    pub starttls: bool,
}

/// A service whose conversation is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Smtp,
    Pop3,
    Imap,
    Ftp,
    Redis,
    Postgres,
    MySql,
    Memcached,
    Amqp,
    Nats,
    Ssh,
    Ldap,
}

impl Service {
    pub const ALL: [Service; 12] = [
        Service::Smtp,
        Service::Pop3,
        Service::Imap,
        Service::Ftp,
        Service::Redis,
        Service::Postgres,
        Service::MySql,
        Service::Memcached,
        Service::Amqp,
        Service::Nats,
        Service::Ssh,
        Service::Ldap,
    ];

    /// The scheme of its URLs, without and with TLS from the beginning. Those that have no such form have one scheme.
    pub const fn scheme(self, implicit_tls: bool) -> &'static str {
        match (self, implicit_tls) {
            (Service::Smtp, false) => "smtp",
            (Service::Smtp, true) => "smtps",
            (Service::Pop3, false) => "pop3",
            (Service::Pop3, true) => "pop3s",
            (Service::Imap, false) => "imap",
            (Service::Imap, true) => "imaps",
            (Service::Ftp, false) => "ftp",
            (Service::Ftp, true) => "ftps",
            (Service::Redis, false) => "redis",
            (Service::Redis, true) => "rediss",
            (Service::Postgres, _) => "postgres",
            (Service::MySql, _) => "mysql",
            (Service::Memcached, _) => "memcached",
            (Service::Amqp, false) => "amqp",
            (Service::Amqp, true) => "amqps",
            (Service::Nats, _) => "nats",
            (Service::Ssh, _) => "ssh",
            (Service::Ldap, false) => "ldap",
            (Service::Ldap, true) => "ldaps",
        }
    }

    /// The service of that scheme, and whether TLS begins at once.
    pub fn of_scheme(scheme: &str) -> Option<(Service, bool)> {
        if scheme == "postgresql" {
            return Some((Service::Postgres, false));
        }
        Service::ALL.into_iter().find_map(|service| {
            [false, true]
                .into_iter()
                .find_map(|tls| (service.scheme(tls) == scheme).then_some((service, tls)))
        })
    }

    /// The port by which it is known (IANA registry).
    pub const fn default_port(self, implicit_tls: bool) -> u16 {
        match (self, implicit_tls) {
            (Service::Smtp, false) => 25,
            (Service::Smtp, true) => 465,
            (Service::Pop3, false) => 110,
            (Service::Pop3, true) => 995,
            (Service::Imap, false) => 143,
            (Service::Imap, true) => 993,
            (Service::Ftp, false) => 21,
            (Service::Ftp, true) => 990,
            (Service::Redis, _) => 6379,
            (Service::Postgres, _) => 5432,
            (Service::MySql, _) => 3306,
            (Service::Memcached, _) => 11211,
            (Service::Amqp, false) => 5672,
            (Service::Amqp, true) => 5671,
            (Service::Nats, _) => 4222,
            (Service::Ssh, _) => 22,
            (Service::Ldap, false) => 389,
            (Service::Ldap, true) => 636,
        }
    }

    /// Whether the conversation can go over to TLS.
    pub const fn has_starttls(self) -> bool {
        matches!(
            self,
            Service::Smtp
                | Service::Pop3
                | Service::Imap
                | Service::Ftp
                | Service::Postgres
                | Service::MySql
                | Service::Ldap
        )
    }

    /// Whether a user and a password are of use.
    pub const fn has_login(self) -> bool {
        matches!(self, Service::Redis)
    }

    /// The service's name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Smtp => "SMTP",
            Service::Pop3 => "POP3",
            Service::Imap => "IMAP",
            Service::Ftp => "FTP",
            Service::Redis => "Redis",
            Service::Postgres => "PostgreSQL",
            Service::MySql => "MySQL",
            Service::Memcached => "memcached",
            Service::Amqp => "AMQP",
            Service::Nats => "NATS",
            Service::Ssh => "SSH",
            Service::Ldap => "LDAP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_leads_to_its_service() {
        for service in Service::ALL {
            for tls in [false, true] {
                let scheme = service.scheme(tls);
                let (found, implicit) = Service::of_scheme(scheme).expect(scheme);
                assert_eq!(found, service);
                assert!(implicit == tls || service.scheme(!tls) == scheme, "{scheme}");
            }
        }
        assert_eq!(Service::of_scheme("postgresql"), Some((Service::Postgres, false)));
        assert_eq!(Service::of_scheme("https"), None);
    }
}
