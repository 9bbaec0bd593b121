//! What stopped an HTTP exchange.

#[derive(Clone, Debug, PartialEq)]
pub enum HttpTrouble {
    /// The status line or a header cannot be parsed.
    Malformed,
    /// The head is larger than we take.
    HeadTooLarge,
    /// The connection ended within the response's head, after some of it.
    HeadTruncated,
    /// The body is shorter than Content-Length.
    ShortBody { expected: u64, got: u64 },
    /// The chunked body did not come to its end.
    ShortChunked,
    /// The content coding did not decode.
    Decoding(Box<str>),
    /// HTTP/2 where HTTP/1 was spoken, or the reverse.
    Version(Box<str>),
    /// Another violation of the protocol.
    Protocol(Box<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct H2Trouble {
    pub frame: H2Frame,
    /// RFC 9113, section 7.
    pub reason: u32,
    /// Whether the peer sent it (otherwise we did).
    pub remote: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum H2Frame {
    GoAway,
    Reset,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RedirectTrouble {
    /// This URL was seen before in the same attempt.
    Loop(Box<str>),
    /// More than the limit.
    TooMany(u8),
    /// From https to http.
    Downgrade(Box<str>),
    /// `Location` is missing or not a URL.
    Unusable(Box<str>),
}
