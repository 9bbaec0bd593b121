//! HTTP proxies: the connection to one, and CONNECT through it.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::model::attempt::{Call, ProxyTrouble, ResponseFacts, Role, Trouble};
use crate::model::dependency::{Endpoint, Proxy, ResolveSettings, TlsSettings};
use crate::model::phase::Phase;

use super::http::facts::{excerpt, response_facts};
use super::run::{Halt, HopIndex, Run, halt, halt_by, halt_nowhere};
use super::secure::{Secure, secure};
use super::stream::{Io, Layers};
use super::tcp::{Dial, dial};
use super::tls::trouble_after_handshake;

/// The largest head of an answer to CONNECT.
const MAX_HEAD: usize = 16 * 1024;

/// What is needed to reach a proxy.
#[derive(Clone, Copy)]
pub(crate) struct Through<'a> {
    pub proxy: &'a Proxy,
    /// The target's; of these the proxy's own name uses the nameservers and the family, never the fixed addresses.
    pub resolve: &'a ResolveSettings,
    /// The target's; of these a TLS connection to the proxy uses the authorities.
    pub tls: &'a TlsSettings,
    pub user_agent: &'a str,
}

/// Connects to the proxy itself, with TLS where it wants that. The hop has the proxy's role.
pub(crate) async fn reach(run: &mut Run<'_>, through: Through<'_>) -> Result<(Io, HopIndex), Halt> {
    let resolve = ResolveSettings {
        addresses: Arc::default(),
        ..through.resolve.clone()
    };
    let to = Dial {
        url: through.proxy.to_string().into(),
        role: Role::Proxy,
        endpoint: &through.proxy.endpoint,
        resolve: &resolve,
        only: None,
    };
    let (wire, hop) = dial(run, to).await?;
    let io = Io::plain(wire);
    if !through.proxy.tls {
        return Ok((io, hop));
    }
    let settings = TlsSettings {
        client_cert: None,
        server_name: None,
        ..through.tls.clone()
    };
    let how = Secure {
        settings: &settings,
        host: &through.proxy.endpoint.host,
        alpn: &[b"http/1.1"],
    };
    let io = secure(run, hop, io, how).await?;
    Ok((io, hop))
}

/// Connects to the proxy and through it to `target`. What is sent afterwards reaches the target.
pub(crate) async fn tunnel(run: &mut Run<'_>, through: Through<'_>, target: &Endpoint) -> Result<Io, Halt> {
    let credentials = credentials(run, through.proxy)?;
    let (mut io, hop) = reach(run, through).await?;
    let began = Instant::now();
    let deadline = run.end.phase(began, run.timeouts().connect);
    let request = connect_request(target, through.user_agent, credentials.as_ref());
    let exchanged = deadline.bound(exchange(&mut io, &request)).await;
    run.spent(hop, Phase::Proxy, began);
    let fail = |run: &mut Run<'_>, stop: Halt| {
        run.note_failed_wire(hop, &io.wire);
        Err(stop)
    };
    let answer = match exchanged {
        Err(budget) => return fail(run, halt(Phase::Proxy, hop, Trouble::TimedOut(budget))),
        Ok(Err(Broken::Io(err))) => {
            let trouble = io_trouble(&err);
            return fail(run, halt_by(Phase::Proxy, hop, trouble, &err));
        }
        Ok(Err(Broken::Malformed)) => {
            let trouble = Trouble::Proxy(ProxyTrouble::Malformed);
            return fail(run, halt(Phase::Proxy, hop, trouble));
        }
        Ok(Ok(answer)) => answer,
    };
    run.note_wire(hop, &io.wire);
    let at = run.hop(hop);
    at.status = Some(answer.status);
    let mut facts = answer.facts;
    if !(200..300).contains(&answer.status) {
        facts.body_excerpt = excerpt(&answer.rest);
        at.response = Some(Box::new(facts));
        let trouble = Trouble::Proxy(ProxyTrouble::Status(answer.status));
        return Err(halt(Phase::Proxy, hop, trouble));
    }
    at.response = Some(Box::new(facts));
    io.wire.begin_use();
    if !answer.rest.is_empty() {
        io.layers = Layers::Ahead(answer.rest, Box::new(io.layers));
    }
    Ok(io)
}

/// The value of `Proxy-Authorization`, where the proxy wants one.
pub(crate) fn credentials(run: &Run<'_>, proxy: &Proxy) -> Result<Option<HeaderValue>, Halt> {
    let Some((user, password)) = &proxy.auth else {
        return Ok(None);
    };
    let password = run.world.secrets.resolve(password).map_err(|err| {
        let text = format!("proxy password: {err}");
        halt_nowhere(Trouble::Credentials(text.as_str().into()), &text)
    })?;
    Ok(Some(basic(user, password.expose())))
}

/// RFC 7617.
pub(crate) fn basic(user: &str, password: &str) -> HeaderValue {
    let mut value = String::from("Basic ");
    STANDARD.encode_string(format!("{user}:{password}"), &mut value);
    // Base64 is always a valid header value; the empty one stands for the impossible.
    let mut value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn connect_request(target: &Endpoint, user_agent: &str, credentials: Option<&HeaderValue>) -> Vec<u8> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if !user_agent.is_empty() {
        request.extend_from_slice(format!("User-Agent: {user_agent}\r\n").as_bytes());
    }
    if let Some(value) = credentials {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

enum Broken {
    Io(io::Error),
    Malformed,
}

impl From<io::Error> for Broken {
    fn from(err: io::Error) -> Self {
        Broken::Io(err)
    }
}

struct Answer {
    status: u16,
    facts: ResponseFacts,
    /// What was read behind the head.
    rest: Bytes,
}

async fn exchange(io: &mut Io, request: &[u8]) -> Result<Answer, Broken> {
    io.write_all(request).await?;
    io.flush().await?;
    let mut read = BytesMut::with_capacity(1024);
    loop {
        if io.read_buf(&mut read).await? == 0 {
            // Some of a head and then the end is no HTTP answer; nothing at all is a close.
            let nothing = read.is_empty();
            return Err(if nothing {
                Broken::Io(io::ErrorKind::UnexpectedEof.into())
            } else {
                Broken::Malformed
            });
        }
        while let Some(length) = head_length(&read) {
            let head = read.split_to(length);
            let (status, headers) = parse_head(&head).ok_or(Broken::Malformed)?;
            if (100..200).contains(&status) {
                continue;
            }
            return Ok(Answer {
                status,
                facts: response_facts(&headers),
                rest: read.freeze(),
            });
        }
        if read.len() > MAX_HEAD {
            return Err(Broken::Malformed);
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Status and headers of a head that ends with its empty line.
fn parse_head(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let text = head.strip_suffix(b"\r\n\r\n")?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let rest = first
        .strip_prefix(b"HTTP/1.1 ")
        .or(first.strip_prefix(b"HTTP/1.0 "))?;
    let status = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        headers.append(name, value);
    }
    (100..1000).contains(&status).then_some((status, headers))
}

pub(crate) fn io_trouble(err: &io::Error) -> Trouble {
    if let Some(trouble) = trouble_after_handshake(err) {
        return trouble;
    }
    match err.raw_os_error() {
        Some(errno) => {
            let call = if errno == libc::EPIPE {
                Call::Send
            } else {
                Call::Receive
            };
            Trouble::Io { call, errno }
        }
        None => Trouble::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_parsed_strictly() {
        let (status, headers) =
            parse_head(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n").unwrap();
        assert_eq!(status, 407);
        assert_eq!(headers["proxy-authenticate"], "Basic realm=\"x\"");
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse_head(b"HTTP/1.1 abc\r\n\r\n").is_none());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n").is_none());
    }
}
