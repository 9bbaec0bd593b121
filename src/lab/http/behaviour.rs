//! What a server answers: a pure function from its behaviour, the request and the request's number to bytes.

use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;

use super::Ending;

/// How a server answers every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 with that body.
    Ok { body: Vec<u8> },
    /// That status with those headers and that body. A `Content-Type` among the headers replaces `text/plain`.
    Status {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// 200 at exactly that path, 404 at every other.
    OnlyAt { path: String },
    /// 200 after that time.
    SlowFirstByte { wait: Duration },
    /// By request, over and over: `failures` times the status, then `successes` times 200.
    FlakyThenOk {
        failures: u32,
        status: u16,
        successes: u32,
    },
    /// 429 with that `Retry-After`, in seconds or as a date.
    TooMany { retry_after: String },
    /// Two paths that redirect to each other.
    RedirectLoop,
    /// So many redirects, each to a path not seen before, then 200.
    RedirectChain { hops: u32 },
    /// A redirect to that address, which is meant to be an `http://` one.
    Downgrade { to: String },
    /// Declares a length, sends less of it and closes.
    Truncated { content_length: usize, sent: usize },
    /// Closes in the middle of a chunk.
    ShortChunked,
    /// Claims gzip and sends something else, in full.
    BrokenGzip,
    /// Declares more than it sends, and then sends nothing until the client goes away.
    BodyStall { sent: usize },
    /// A body without end, one byte each time that much has passed: never a gap, never done.
    DripBody { gap: Duration },
    /// One header with that many bytes.
    HugeHeaders { bytes: usize },
    /// Closes in the middle of a header.
    TruncatedHead,
    /// A status line that is none.
    Malformed,
    /// Closes without a byte.
    Empty,
    /// Declares a body, sends that much of it and resets.
    ResetMidResponse { sent: usize },
    /// Never answers.
    Silent,
}

/// What a body that is never completed claims to measure, in bytes.
const CLAIMED_LENGTH: usize = 1_000_000;

impl Behaviour {
    /// 200 with a short body.
    pub fn ok() -> Behaviour {
        Behaviour::Ok {
            body: b"ok\n".to_vec(),
        }
    }

    /// That status without special headers and with its name as body.
    pub fn status(status: u16) -> Behaviour {
        Behaviour::Status {
            status,
            headers: Vec::new(),
            body: reason(status).as_bytes().to_vec(),
        }
    }

    /// The answer to a request; `number` is the request's among all that the server got, from 0.
    pub(super) fn reply(&self, request: &Request, number: u64) -> Reply {
        let complete = |status, headers: &[(&str, &str)], body: &[u8]| {
            Reply::new(message(request, status, headers, body), Then::KeepAlive)
        };
        match self {
            Behaviour::Ok { body } => complete(200, &[], body),
            Behaviour::Status {
                status,
                headers,
                body,
            } => {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                complete(*status, &headers, body)
            }
            Behaviour::OnlyAt { path } if *path == request.path => complete(200, &[], b"here\n"),
            Behaviour::OnlyAt { .. } => complete(404, &[], b"not here\n"),
            Behaviour::SlowFirstByte { wait } => Reply {
                wait: *wait,
                ..complete(200, &[], b"at last\n")
            },
            Behaviour::FlakyThenOk {
                failures,
                status,
                successes,
            } => {
                let cycle = u64::from(*failures) + u64::from(*successes);
                if cycle == 0 || number % cycle >= u64::from(*failures) {
                    complete(200, &[], b"ok\n")
                } else {
                    complete(*status, &[], reason(*status).as_bytes())
                }
            }
            Behaviour::TooMany { retry_after } => {
                complete(429, &[("Retry-After", retry_after)], b"slow down\n")
            }
            Behaviour::RedirectLoop => {
                let to = if request.path == "/there" {
                    "/back"
                } else {
                    "/there"
                };
                complete(302, &[("Location", to)], b"")
            }
            Behaviour::RedirectChain { hops } => {
                let hop = request
                    .path
                    .strip_prefix("/hop/")
                    .map_or(0, |n| n.parse().unwrap_or(0));
                match hop < *hops {
                    true => complete(302, &[("Location", &format!("/hop/{}", hop + 1))], b""),
                    false => complete(200, &[], b"arrived\n"),
                }
            }
            Behaviour::Downgrade { to } => complete(301, &[("Location", to)], b""),
            Behaviour::HugeHeaders { bytes } => complete(200, &[("X-Filler", &"x".repeat(*bytes))], b"ok\n"),
            Behaviour::BrokenGzip => {
                // A true gzip header (RFC 1952, section 2.3), then a deflate block of the reserved type.
                let body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff\xffnot deflate";
                complete(200, &[("Content-Encoding", "gzip")], body)
            }
            broken => broken.break_off(),
        }
    }

    /// The answers that are never completed.
    fn break_off(&self) -> Reply {
        match self {
            Behaviour::Truncated { content_length, sent } => {
                Reply::new(partial(*content_length, *sent), Then::Die)
            }
            Behaviour::ShortChunked => {
                let head = head(200, &[("Transfer-Encoding", "chunked")]);
                Reply::new([head.as_slice(), b"6\r\nchunk \r\nff\r\ncut"].concat(), Then::Die)
            }
            Behaviour::BodyStall { sent } => Reply::new(partial(CLAIMED_LENGTH, *sent), Then::Stall),
            Behaviour::DripBody { gap } => Reply::new(partial(CLAIMED_LENGTH, 0), Then::Drip(*gap)),
            Behaviour::TruncatedHead => Reply::new(b"HTTP/1.1 200 OK\r\nContent-Ty".to_vec(), Then::Die),
            Behaviour::Malformed => Reply::new(b"HTTP/1.1 two hundred\r\n\r\n".to_vec(), Then::Die),
            Behaviour::ResetMidResponse { sent } => {
                Reply::new(partial(CLAIMED_LENGTH, *sent), Then::End(Ending::Reset))
            }
            Behaviour::Silent => Reply::new(Vec::new(), Then::Stall),
            _ => Reply::new(Vec::new(), Then::Die),
        }
    }
}

/// What is needed of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lab) struct Request {
    pub method: String,
    pub target: String,
    /// The target without its query.
    pub path: String,
    pub content_length: usize,
    /// The connection is to be closed after the answer.
    pub close: bool,
}

impl Request {
    /// `None` when the head is not one of HTTP/1.
    pub fn parse(head: &[u8]) -> Option<Request> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            path: target.split('?').next().unwrap_or(target).to_owned(),
            content_length: 0,
            close: version == "HTTP/1.0",
        };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                request.content_length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("connection") {
                request.close = value.trim().eq_ignore_ascii_case("close");
            }
        }
        version.starts_with("HTTP/1.").then_some(request)
    }
}

/// An answer and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Silence before the first byte.
    pub wait: Duration,
    pub bytes: Vec<u8>,
    pub then: Then,
}

impl Reply {
    fn new(bytes: Vec<u8>, then: Then) -> Reply {
        Reply {
            wait: Duration::ZERO,
            bytes,
            then,
        }
    }
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request, unless the client asked for a close.
    KeepAlive,
    End(Ending),
    /// FIN without close_notify, as when a process dies.
    Die,
    /// Nothing, until the client goes away.
    Stall,
    /// One byte each time, until the client goes away.
    Drip(Duration),
}

/// nginx's words for plain HTTP on a TLS port.
pub(super) fn plain_http_to_tls_port() -> Vec<u8> {
    refusal(b"<center>The plain HTTP request was sent to HTTPS port</center>\r\n")
}

/// The answer to what is no HTTP/1 request, such as a ClientHello.
pub(super) fn bad_request() -> Vec<u8> {
    refusal(b"<center>400 Bad Request</center>\r\n")
}

fn refusal(body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let headers = [
        ("Content-Type", "text/html"),
        ("Content-Length", &length),
        ("Connection", "close"),
    ];
    [head(400, &headers).as_slice(), body].concat()
}

fn partial(content_length: usize, sent: usize) -> Vec<u8> {
    let mut bytes = head(200, &[("Content-Length", &content_length.to_string())]);
    bytes.resize(bytes.len() + sent.min(content_length), b'.');
    bytes
}

fn message(request: &Request, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut all = Vec::new();
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        all.push(("Content-Type", "text/plain"));
    }
    // RFC 9110, section 8.6: a 204 has no length, not even zero.
    if status != 204 {
        all.push(("Content-Length", &length));
    }
    all.extend_from_slice(headers);
    let mut bytes = head(status, &all);
    if request.method != "HEAD" && status != 204 && status != 304 {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// A status line, those headers, and the empty line.
pub(in crate::lab) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} {}\r\nServer: whyd-lab\r\n", reason(status));
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unnamed")
}
