//! Facts of the probes that do not end with an HTTP answer: ICMP, gRPC, WebSocket and conversations over TCP.

use std::net::IpAddr;

/// How far a conversation came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialogueFacts {
    /// The step last begun, in a few words: `greeting`, `EHLO`, `STARTTLS`, `step 2`.
    pub step: Box<str>,
    /// What the peer said last; sanitised and cut.
    pub heard: Option<Box<str>>,
}

/// The peer's word is not the one that was expected; which step that was is in the hop's [`DialogueFacts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueTrouble {
    /// In words, or the user's regular expression.
    pub wanted: Box<str>,
    /// What was said instead; sanitised and cut. `None` when the peer closed without a word.
    pub got: Option<Box<str>>,
    /// The service's own code of the error: an SMTP reply code, a SQLSTATE, the first word of a Redis error.
    pub code: Option<Box<str>>,
    pub how: Mismatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Something else was said.
    Other,
    /// The peer ended the connection.
    Closed,
    /// Something was said and then nothing more, until the time was over.
    Silent,
    /// The service wants a user and a password, and none was given.
    LoginWanted,
    /// The service does not take the user and the password.
    LoginRefused,
    /// The service does not offer to go over to TLS.
    NoStartTls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IcmpTrouble {
    /// Neither kind of socket may be opened: `errno` of the datagram one, and of the raw one.
    NoPermission { datagram: i32, raw: i32 },
    /// Somebody said that the destination cannot be reached (RFC 792, RFC 4443, section 3.1).
    Unreachable {
        kind: u8,
        code: u8,
        /// Who said so. Our own address where it was this host, whose neighbour did not answer.
        offender: Option<IpAddr>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcTrouble {
    Status {
        /// The status code (google.golang.org/grpc/codes).
        code: u32,
        /// Percent-decoded, sanitised and cut.
        message: Option<Box<str>>,
        from: GrpcStatusFrom,
    },
    /// The health answer's serving status by its number (0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN).
    NotServing(u32),
    /// The health answer does not decode.
    Undecodable,
}

/// What a gRPC status was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatusFrom {
    Trailers,
    /// A response of trailers only.
    Head,
    /// There was none: it follows from the HTTP status.
    HttpStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebSocketTrouble {
    /// Anything but 101.
    Status(u16),
    /// 101, and this header is missing or wrong; what it should be, and what it is.
    Handshake {
        header: &'static str,
        wanted: Box<str>,
        got: Option<Box<str>>,
    },
    /// The peer broke the protocol after the handshake.
    Frame(Box<str>),
    /// The peer closed although something was still expected: its status code (RFC 6455, section 7.4) and reason.
    Closed { code: Option<u16>, reason: Box<str> },
}
