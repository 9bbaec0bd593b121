//! The facts of one attempt, as a probe observed them. Facts only: no cause, no verdict, no decision.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::phase::{Phase, Phases};
use super::time::Wall;

pub use super::confirmation::{Confirmation, ConfirmationResult, Variation, Varied};
pub use super::dialogue::{
    DialogueFacts, DialogueTrouble, GrpcStatusFrom, GrpcTrouble, IcmpTrouble, Mismatch, WebSocketTrouble,
};
pub use super::http_trouble::{H2Frame, H2Trouble, HttpTrouble, RedirectTrouble};
pub use super::network::{
    ConnectFacts, IcmpError, IcmpMeaning, LookedAt, Neighbour, NeighbourState, Route, Seen, SegmentTrial,
    Sign, SignsOfLife,
};
pub use super::resolution::{
    AddressSource, Asked, DnsReply, Resolution, ServerAnswer, SystemAnswer, SystemError,
};
pub use super::tls::{
    CertificateFacts, CertificateFault, CertificateFaultKind, RevocationFacts, RevocationSource, Standing,
    TlsFacts,
};

/// One request with all its hops. It has exactly one outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub started: Wall,
    pub elapsed: Duration,
    /// Every connection or reuse of one, in order: addresses tried, redirects followed, the proxy.
    pub hops: Vec<Hop>,
    /// A parked connection that was found dead before anything was sent on it, and was replaced for free.
    pub stale_found: Option<StaleConnection>,
    pub outcome: Outcome,
}

impl Attempt {
    /// The attempt's phases: sums over its hops.
    pub fn phases(&self) -> Phases {
        let mut sum = Phases::default();
        for hop in &self.hops {
            sum.add_all(&hop.phases);
        }
        sum
    }

    /// The hop in which the attempt stopped, or else its last one.
    pub fn decisive_hop(&self) -> Option<&Hop> {
        match &self.outcome {
            Outcome::Stopped(stop) => stop.hop.and_then(|i| self.hops.get(usize::from(i))),
            Outcome::Answered => None,
        }
        .or(self.hops.last())
    }

    pub fn stop(&self) -> Option<&Stop> {
        match &self.outcome {
            Outcome::Stopped(stop) => Some(stop),
            Outcome::Answered => None,
        }
    }

    /// Status of the last response whose head arrived.
    pub fn status(&self) -> Option<u16> {
        self.hops.iter().rev().find_map(|hop| hop.status)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything asked for was done and everything expected was found.
    Answered,
    Stopped(Box<Stop>),
}

/// One connection's part in an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// What was asked, without secrets.
    pub url: Arc<str>,
    pub role: Role,
    /// The peer's address; `None` when no address was reached for.
    pub address: Option<SocketAddr>,
    pub reused: bool,
    /// How long the connection lay idle before this use.
    pub idle_before: Option<Duration>,
    pub phases: Phases,
    pub protocol: Option<Protocol>,
    pub status: Option<u16>,
    /// Bytes written to and read from the socket by this use of it, below TLS.
    pub sent: u64,
    pub received: u64,
    /// How long nothing had been read when this use ended; `None` when nothing was read, or where it is not known. It
    /// tells a body that stopped coming from one that came too slowly.
    pub quiet: Option<Duration>,
    /// TCP_INFO at the end of this use.
    pub tcp: Option<TcpFacts>,
    /// What else is known of a connection that could not be made.
    pub connect: Option<Box<ConnectFacts>>,
    pub resolution: Option<Box<Resolution>>,
    pub tls: Option<Box<TlsFacts>>,
    pub response: Option<Box<ResponseFacts>>,
    /// Of a conversation: how far it came.
    pub dialogue: Option<Box<DialogueFacts>>,
    /// The first bytes that the peer sent, kept only when the hop failed before a response was understood.
    pub first_bytes: Box<[u8]>,
    /// Why this hop failed, when the attempt went on to another address.
    pub stop: Option<Box<Stop>>,
}

impl Hop {
    pub fn new(url: Arc<str>, role: Role) -> Self {
        Hop {
            url,
            role,
            address: None,
            reused: false,
            idle_before: None,
            phases: Phases::default(),
            protocol: None,
            status: None,
            sent: 0,
            received: 0,
            quiet: None,
            tcp: None,
            connect: None,
            resolution: None,
            tls: None,
            response: None,
            dialogue: None,
            first_bytes: Box::default(),
            stop: None,
        }
    }
}

/// Whom the hop's socket is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Target,
    Proxy,
    /// The OAuth2 token endpoint.
    TokenEndpoint,
}

impl Role {
    pub const fn id(self) -> &'static str {
        match self {
            Role::Target => "target",
            Role::Proxy => "proxy",
            Role::TokenEndpoint => "token_endpoint",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
}

impl Protocol {
    pub const fn id(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        }
    }
}

/// Where and how an attempt (or a hop that another address replaced) stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// `None` for what has no place: an unusable URL, an interruption.
    pub phase: Option<Phase>,
    /// Index into the attempt's hops.
    pub hop: Option<u16>,
    pub trouble: Trouble,
    /// The error chain from the outermost to the innermost text, without secrets.
    pub chain: Vec<Box<str>>,
}

/// What stopped it, in the edge's own terms.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    UrlInvalid(Box<str>),
    /// The name gave no usable address; the hop's `resolution` has every answer.
    NoAddress,
    /// A system call failed.
    Io {
        call: Call,
        errno: i32,
    },
    /// A budget ended.
    TimedOut(Budget),
    /// The peer closed in an orderly way where more was needed.
    Closed,
    Tls(TlsTrouble),
    Proxy(ProxyTrouble),
    Http(HttpTrouble),
    H2(H2Trouble),
    Redirect(RedirectTrouble),
    /// An answer came and is not what the user expects.
    Unexpected(Unexpected),
    /// The answer to a DNS probe was an answer, but not a good one; the hop's `resolution` has it.
    DnsAnswer,
    /// A secret or a file that the probe needs could not be had; the text says which, never its content.
    Credentials(Box<str>),
    /// The token endpoint did not give a token.
    Token(TokenTrouble),
    Icmp(IcmpTrouble),
    Grpc(GrpcTrouble),
    WebSocket(WebSocketTrouble),
    Dialogue(DialogueTrouble),
    /// A bug of ours, caught.
    Panicked(Box<str>),
    Abandoned,
    Other(Box<str>),
}

/// The system call that failed. Which one it was decides what an errno means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Socket,
    Bind,
    Connect,
    Send,
    Receive,
    /// Reading a file (a CA file, a key).
    File,
}

impl Call {
    pub const fn id(self) -> &'static str {
        match self {
            Call::Socket => "socket",
            Call::Bind => "bind",
            Call::Connect => "connect",
            Call::Send => "send",
            Call::Receive => "recv",
            Call::File => "read",
        }
    }
}

/// Which budget ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The phase's own.
    Phase,
    /// What a parked connection is given to have its request acknowledged: some retransmissions, after which nothing of it
    /// had been.
    Acknowledgement,
    Attempt,
    Total,
}

impl Budget {
    pub const fn id(self) -> &'static str {
        match self {
            Budget::Phase => "phase",
            Budget::Acknowledgement => "acknowledgement",
            Budget::Attempt => "attempt",
            Budget::Total => "total",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum TlsTrouble {
    /// A fatal alert from the peer, by number (RFC 8446, section 6).
    AlertReceived(u8),
    /// The peer's bytes are not TLS; the hop's `first_bytes` has them.
    NotTls,
    /// Our verifier refused the chain; `TlsFacts::faults` has every fault.
    Certificate,
    /// No version or cipher in common, found on our side.
    Incompatible(Box<str>),
    /// The peer chose an ALPN protocol that was not offered or none where one is needed.
    Alpn(Box<str>),
    /// The peer broke the protocol in another way.
    Misbehaved(Box<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProxyTrouble {
    /// CONNECT was answered with this status (not 2xx); `ResponseFacts` has Proxy-Status and the like.
    Status(u16),
    /// What came is not an HTTP answer.
    Malformed,
}

/// The first expectation that did not hold. Text from the peer is sanitised and cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Unexpected {
    Status {
        got: u16,
        wanted: Box<str>,
    },
    Header {
        name: Box<str>,
        wanted: Box<str>,
        got: Option<Box<str>>,
    },
    Body {
        wanted: Box<str>,
        excerpt: Box<str>,
    },
    Latency {
        got: Duration,
        limit: Duration,
    },
    /// A certificate is valid, and is not what is wanted.
    Certificate {
        /// Position in the presented chain, leaf 0.
        position: u8,
        wanted: Box<str>,
        got: Box<str>,
        certificate: Box<CertificateFacts>,
    },
    /// Of a DNS probe: this value is not among the answers.
    Record {
        wanted: Box<str>,
        got: Vec<Box<str>>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum TokenTrouble {
    Status { status: u16, error: Option<Box<str>> },
    Malformed,
}

/// A parked connection found dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleConnection {
    pub kind: StaleKind,
    pub address: SocketAddr,
    /// From the end of its last use to its end, where that was seen; otherwise to when it was found.
    pub idle: Duration,
    /// Whether `idle` is the moment of the end itself.
    pub measured: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StaleKind {
    /// FIN (or a TLS close_notify, or GOAWAY).
    Closed,
    /// RST.
    Reset,
    /// Nothing came, and our bytes were not acknowledged.
    Silent,
}

impl StaleKind {
    pub const ALL: [StaleKind; 3] = [StaleKind::Closed, StaleKind::Reset, StaleKind::Silent];

    pub const fn id(self) -> &'static str {
        match self {
            StaleKind::Closed => "closed",
            StaleKind::Reset => "reset",
            StaleKind::Silent => "silent",
        }
    }
}

/// From the kernel's TCP_INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFacts {
    /// Kernel's state number: 1 established, 2 SYN sent, 7 close, 8 close wait.
    pub state: u8,
    pub retransmits: u8,
    pub backoff: u8,
    pub probes: u8,
    pub rtt: Duration,
    pub unacked: u32,
    pub total_retransmits: u32,
    pub send_mss: u32,
    pub path_mtu: u32,
    /// The peer's advertised window, where the kernel tells it.
    pub send_window: Option<u32>,
    pub bytes_acked: Option<u64>,
    pub bytes_received: Option<u64>,
    pub not_sent: Option<u32>,
    /// Segments that the peer holds beyond a gap: they are shorter than the ones that went missing, often.
    pub sacked: u32,
    /// Size of the largest segment received lately; 536 until there was a larger one.
    pub receive_mss: u32,
    /// Segments received beyond a gap, where the kernel counts them.
    pub out_of_order: Option<u32>,
}

/// Headers of the response that explain something; sanitised, never cookies or credentials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseFacts {
    pub server: Option<Box<str>>,
    pub via: Option<Box<str>>,
    /// RFC 9209, of all intermediaries.
    pub proxy_status: Option<Box<str>>,
    /// By which squid names an error page of its own: its template, and an errno.
    pub squid_error: Option<Box<str>>,
    pub retry_after: Option<RetryAfter>,
    /// `Date`, to the second: when the peer says that it is.
    pub date: Option<Wall>,
    /// Without its query.
    pub location: Option<Box<str>>,
    pub content_type: Option<Box<str>>,
    pub content_encoding: Option<Box<str>>,
    pub content_length: Option<u64>,
    /// `Keep-Alive: timeout=`, in seconds.
    pub keep_alive_timeout: Option<u32>,
    pub connection_close: bool,
    /// `WWW-Authenticate` or `Proxy-Authenticate`: the scheme alone.
    pub authenticate: Option<Box<str>>,
    /// Bytes of body read, before decoding.
    pub body_bytes: u64,
    /// The start of the body, only of responses with a status of 400 or above.
    pub body_excerpt: Option<Box<str>>,
}

/// RFC 9110, section 10.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(u64),
    At(Wall),
}
