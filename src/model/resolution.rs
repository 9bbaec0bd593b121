//! How names became addresses: what each nameserver said to each question, and what the system's own resolver said.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Call;
use super::dependency::RecordType;

/// How the name became addresses, or did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    pub name: Arc<str>,
    pub source: AddressSource,
    pub addresses: Vec<IpAddr>,
    /// The smallest of the answers.
    pub ttl: Option<Duration>,
    /// What each nameserver said to each question.
    pub answers: Vec<ServerAnswer>,
    /// What the system's own resolver said, where it was asked.
    pub system: Option<SystemAnswer>,
}

/// Who spoke for the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// The host is an address.
    Literal,
    /// The configuration gives the addresses.
    Configured,
    HostsFile,
    Nameserver,
    /// getaddrinfo(3).
    System,
}

impl AddressSource {
    pub const fn id(self) -> &'static str {
        match self {
            AddressSource::Literal => "literal",
            AddressSource::Configured => "configured",
            AddressSource::HostsFile => "hosts_file",
            AddressSource::Nameserver => "nameserver",
            AddressSource::System => "system",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServerAnswer {
    pub server: SocketAddr,
    pub over_tcp: bool,
    pub how: Asked,
    /// The name as asked, search domain included.
    pub name: Box<str>,
    pub record: RecordType,
    pub elapsed: Duration,
    pub reply: DnsReply,
    /// Extended DNS Errors (RFC 8914): code and text.
    pub extended: Vec<(u16, Box<str>)>,
}

/// How one question to a nameserver went, besides its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Datagrams sent in vain before the one that was answered, or in all when none was.
    pub unanswered: u8,
    /// The answer did not fit into a datagram (TC), so that it was asked for over TCP.
    pub truncated: bool,
    /// The server answers only what is asked without EDNS (RFC 6891): it can name no extended error.
    pub without_edns: bool,
    /// The server answered from its own zone and not from a cache (AA).
    pub authoritative: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DnsReply {
    /// Records of the type asked for, as they print, and the smallest TTL in seconds.
    Records {
        values: Vec<Box<str>>,
        ttl: u32,
    },
    /// NOERROR without such a record; the owner of the SOA in the authority section.
    NoData {
        soa: Option<Box<str>>,
    },
    /// Another response code (RFC 1035, RFC 6895); the owner of the SOA tells which label is missing.
    Code {
        rcode: u16,
        soa: Option<Box<str>>,
    },
    TimedOut,
    Io {
        call: Call,
        errno: i32,
    },
    /// Truncated over TCP, does not decode, answers another question.
    Malformed(Box<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct SystemAnswer {
    pub elapsed: Duration,
    pub result: Result<Vec<IpAddr>, SystemError>,
}

/// getaddrinfo's error: its code (`EAI_*`), and errno where the code is EAI_SYSTEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError {
    pub code: i32,
    pub errno: Option<i32>,
    /// The budget ended before it answered.
    pub timed_out: bool,
}
