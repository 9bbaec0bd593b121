//! What second looks found: facts, as a probe observed them.

use std::time::Duration;

use super::evidence::Evidence;
use super::looks::{AddressesAsked, NamesCompared};
use super::network::{SegmentTrial, SignsOfLife};

/// What a second look found.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfirmationResult {
    /// Other spellings of a URL that was not found, and the status of each.
    NotFoundVariants(Vec<(Box<str>, u16)>),
    /// A ClientHello was sent to a port that did not like plain HTTP.
    ClientHello { spoke_tls: bool },
    /// The same request on a fresh connection to the same address.
    FreshConnection { worked: bool },
    /// What else answers from an address whose port does not.
    SignsOfLife(Box<SignsOfLife>),
    /// The same in small segments, and in the usual ones again.
    MssClamp(Vec<SegmentTrial>),
    /// The URL with the other scheme, and the status with which it answers.
    OtherScheme { url: Box<str>, status: Option<u16> },
    /// After a handshake without a client certificate and without a request: the alert that came, and whether the peer
    /// ended the connection.
    LateAlert { alert: Option<u8>, ended: bool },
    /// A certificate was fetched from there; the subjects with which the chain is complete then, none where it is not.
    IssuerFetched {
        url: Box<str>,
        completes_with: Box<[Box<str>]>,
    },
    /// The same request with one difference at a time, in the order in which they were tried.
    Varied(Vec<Variation>),
    /// Every address of the dependency, asked on its own.
    EveryAddress(Box<AddressesAsked>),
    /// Every source of the dependency's name, asked beside the others.
    NamesCompared(Box<NamesCompared>),
    /// It could not be done; why.
    NotDone(Box<str>),
}

/// One request that differed from the first in one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    pub varied: Varied,
    /// `None` when it was not answered.
    pub status: Option<u16>,
}

/// In what a request differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varied {
    /// The same again: whether it is refused every time.
    Nothing,
    /// A browser's User-Agent.
    UserAgent,
    /// A browser's Accept and Accept-Language.
    Accept,
    /// No content coding.
    AcceptEncoding,
    /// HTTP/1.1 where it may have been HTTP/2.
    HttpVersion,
    /// Everything that a browser sends.
    Everything,
}

impl Varied {
    pub const fn id(self) -> &'static str {
        match self {
            Varied::Nothing => "nothing",
            Varied::UserAgent => "user_agent",
            Varied::Accept => "accept",
            Varied::AcceptEncoding => "accept_encoding",
            Varied::HttpVersion => "http_version",
            Varied::Everything => "everything",
        }
    }
}

/// A finished second look: its result and what is worth keeping as evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmation {
    pub elapsed: Duration,
    pub result: ConfirmationResult,
    pub evidence: Evidence,
}
