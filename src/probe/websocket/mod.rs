//! The `ws://` and `wss://` probe: the opening handshake of RFC 6455 with its key, and what is said after it.
//!
//! The handshake is an HTTP exchange like any other; afterwards the socket is ours, and frames go over it.

mod frame;

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use regex::bytes::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::model::attempt::{DialogueTrouble, Mismatch, Role, Trouble, WebSocketTrouble};
use crate::model::dependency::{HttpVersion, Step, WebSocketProbe};
use crate::model::order::Connection;
use crate::model::phase::Phase;
use crate::net::sanitize::foreign_text;

use super::auth;
use super::dialogue::note;
use super::http::courtesy;
use super::http::exchange::{Answer, Ask, ask};
use super::http::facts::{has_token, response_facts};
use super::http::prepared::no_credentials;
use super::http::trouble::phase_of;
use super::proxy::io_trouble;
use super::run::{Halt, HopIndex, Run, halt, halt_by};
use super::stream::Io;

use frame::{Frame, MAX_MESSAGE, Opcode, decode, encode};

/// What the key is joined with (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long the peer's part of the closing handshake is waited for.
const CLOSE_WAIT: std::time::Duration = std::time::Duration::from_millis(50);
/// Longest text shown of what the peer said, in characters.
const MAX_TEXT: usize = 160;
/// A normal end (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

/// Opens the WebSocket, pings and talks as the dependency says, and closes it.
pub(crate) async fn attempt(run: &mut Run<'_>, probe: &WebSocketProbe) -> Result<(), Halt> {
    let key = key();
    let request = request(run, probe, &key).await?;
    let answer = ask(run, &request).await?;
    let hop = answer.hop;
    let facts = response_facts(&answer.parts.headers);
    let status = answer.parts.status;
    if status != StatusCode::SWITCHING_PROTOCOLS {
        courtesy(run, &request, answer, facts).await;
        return Err(refused(hop, WebSocketTrouble::Status(status.as_u16())));
    }
    run.hop(hop).response = Some(Box::new(facts));
    if let Some(trouble) = handshake_fault(&answer.parts.headers, &key, probe) {
        run.note_wire(hop, &answer.link.wire);
        return Err(refused(hop, trouble));
    }
    let Answer { parts, mut link, .. } = answer;
    let (io, ahead) = match link.upgraded(parts).await {
        Ok(upgraded) => upgraded,
        Err(err) => return Err(halt_by(Phase::FirstByte, hop, Trouble::Closed, err.as_dyn())),
    };
    let mut socket = Socket {
        hop,
        io,
        buffer: BytesMut::from(&ahead[..]),
    };
    let talked = socket.talk(run, probe).await;
    run.note_wire(hop, &socket.io.wire);
    socket.close().await;
    talked
}

fn refused(hop: HopIndex, trouble: WebSocketTrouble) -> Halt {
    halt(Phase::FirstByte, hop, Trouble::WebSocket(trouble))
}

/// Sixteen bytes that are not the same twice (RFC 6455, section 4.1).
fn key() -> String {
    let random =
        u128::from(RandomState::new().hash_one(0)) << 64 | u128::from(RandomState::new().hash_one(1));
    STANDARD.encode(random.to_be_bytes())
}

/// What a server must answer to the key (RFC 6455, section 4.2.2).
fn accept_of(key: &str) -> String {
    let hash = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{GUID}").as_bytes(),
    );
    STANDARD.encode(hash)
}

async fn request<'a>(run: &mut Run<'_>, probe: &'a WebSocketProbe, key: &str) -> Result<Ask<'a>, Halt> {
    let http = &probe.http;
    let prepared = run.world.prepared.get(&run.order.dependency, http)?;
    let mut headers = prepared.own_headers(&run.world.secrets)?;
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(value) = auth::authorization(run, http).await?
    {
        headers.insert(header::AUTHORIZATION, value);
    }
    headers.remove(header::ACCEPT_ENCODING);
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let unusable = |_| no_credentials("the offered subprotocols cannot be sent in a header".to_owned());
    let key = HeaderValue::try_from(key).map_err(unusable)?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    if !probe.subprotocols.is_empty() {
        let offered = HeaderValue::try_from(probe.subprotocols.join(", ")).map_err(unusable)?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    Ok(Ask {
        target: prepared.target.clone(),
        role: Role::Target,
        method: Method::GET,
        headers,
        body: Bytes::new(),
        version: HttpVersion::Http1,
        proxy: http.proxy.as_ref(),
        tls: Cow::Borrowed(&http.tls),
        resolve: Cow::Borrowed(&http.resolve),
        only: match run.order.connection {
            Connection::Address(address) => Some(address),
            Connection::Reuse | Connection::Fresh => None,
        },
        reuse: false,
        tunnelled: true,
    })
}

/// What is wrong with the head of a 101 (RFC 6455, section 4.1).
fn handshake_fault(headers: &HeaderMap, key: &str, probe: &WebSocketProbe) -> Option<WebSocketTrouble> {
    let got = |name: &HeaderName| {
        headers
            .get(name)
            .map(|value| foreign_text(value.as_bytes(), MAX_TEXT))
    };
    let fault = |header: &'static str, name: &HeaderName, wanted: &str| {
        Some(WebSocketTrouble::Handshake {
            header,
            wanted: wanted.into(),
            got: got(name),
        })
    };
    if !has_token(headers, header::UPGRADE, "websocket") {
        return fault("Upgrade", &header::UPGRADE, "websocket");
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return fault("Connection", &header::CONNECTION, "Upgrade");
    }
    let accept = accept_of(key);
    let accepted = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if accepted.map(|value| value.as_bytes().trim_ascii()) != Some(accept.as_bytes()) {
        return fault("Sec-WebSocket-Accept", &header::SEC_WEBSOCKET_ACCEPT, &accept);
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        let name = &header::SEC_WEBSOCKET_EXTENSIONS;
        return fault("Sec-WebSocket-Extensions", name, "none: no extension was offered");
    }
    let chosen = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let is_good = match chosen {
        None => probe.subprotocols.is_empty(),
        Some(value) => probe
            .subprotocols
            .iter()
            .any(|offered| offered.as_bytes() == value.as_bytes().trim_ascii()),
    };
    if is_good {
        return None;
    }
    let wanted = match probe.subprotocols.join(" or ") {
        none if none.is_empty() => "none: no subprotocol was offered".to_owned(),
        offered => offered,
    };
    fault("Sec-WebSocket-Protocol", &header::SEC_WEBSOCKET_PROTOCOL, &wanted)
}

/// An open WebSocket.
struct Socket {
    hop: HopIndex,
    io: Io,
    buffer: BytesMut,
}

impl Socket {
    async fn talk(&mut self, run: &mut Run<'_>, probe: &WebSocketProbe) -> Result<(), Halt> {
        if probe.ping {
            note(run, self.hop, "ping");
            self.send(run, Opcode::Ping, b"whyd").await?;
            self.wait_for(run, |frame| frame.opcode == Opcode::Pong, "a pong")
                .await?;
        }
        if probe.dialogue.is_empty() {
            return Ok(());
        }
        let patterns = run.world.patterns.get(&run.order.dependency, &probe.dialogue)?;
        for (place, step) in probe.dialogue.iter().enumerate() {
            note(run, self.hop, &format!("step {}", place + 1));
            self.step(run, step, patterns.get(place).and_then(Option::as_ref))
                .await?;
        }
        Ok(())
    }

    async fn step(&mut self, run: &mut Run<'_>, step: &Step, pattern: Option<&Regex>) -> Result<(), Halt> {
        if let (Some(regex), Some(source)) = (pattern, &step.expect) {
            let matches = |frame: &Frame| {
                matches!(frame.opcode, Opcode::Text | Opcode::Binary) && regex.is_match(&frame.payload)
            };
            self.wait_for(run, matches, source).await?;
        }
        if let Some(text) = &step.send {
            let text = run
                .world
                .secrets
                .text(text)
                .map_err(|err| no_credentials(format!("message: {err}")))?;
            self.send(run, Opcode::Text, text.as_bytes()).await?;
        }
        Ok(())
    }

    async fn send(&mut self, run: &mut Run<'_>, opcode: Opcode, payload: &[u8]) -> Result<(), Halt> {
        let began = Instant::now();
        let deadline = run.deadline(run.timeouts().first_byte);
        let written = deadline.bound(self.write(opcode, payload)).await;
        run.spent(self.hop, Phase::Request, began);
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(err)) => Err(self.broken(run, Phase::Request, &err)),
            Err(budget) => Err(halt(Phase::Request, self.hop, Trouble::TimedOut(budget))),
        }
    }

    async fn write(&mut self, opcode: Opcode, payload: &[u8]) -> std::io::Result<()> {
        let mask = (RandomState::new().hash_one(opcode as u8) as u32).to_be_bytes();
        self.io.write_all(&encode(opcode, payload, mask)).await?;
        self.io.flush().await
    }

    /// Waits for a message or control frame that is as wanted. Others are passed over.
    async fn wait_for(
        &mut self,
        run: &mut Run<'_>,
        is_wanted: impl Fn(&Frame) -> bool,
        wanted: &str,
    ) -> Result<(), Halt> {
        let began = Instant::now();
        let deadline = run.deadline(run.timeouts().first_byte);
        let mut heard: Option<Box<str>> = None;
        let waited = deadline.bound(async {
            loop {
                let frame = self.message().await?;
                match frame.opcode {
                    Opcode::Ping => self.write(Opcode::Pong, &frame.payload).await?,
                    Opcode::Close => return Err(closed(&frame.payload)),
                    _ => {
                        if is_wanted(&frame) {
                            return Ok(());
                        }
                        if matches!(frame.opcode, Opcode::Text | Opcode::Binary) {
                            let shown = &frame.payload[..frame.payload.len().min(MAX_TEXT * 8)];
                            heard = Some(foreign_text(shown, MAX_TEXT));
                        }
                    }
                }
            }
        });
        let waited = waited.await;
        run.spent(self.hop, Phase::FirstByte, began);
        if let (Some(heard), Some(facts)) = (&heard, &mut run.hop(self.hop).dialogue) {
            facts.heard = Some(heard.clone());
        }
        match waited {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Broken::Io(err))) => Err(self.broken(run, Phase::FirstByte, &err)),
            Ok(Err(Broken::Frame(why))) => {
                let trouble = WebSocketTrouble::Frame(why.into());
                Err(halt(Phase::FirstByte, self.hop, Trouble::WebSocket(trouble)))
            }
            Ok(Err(Broken::Closed { code, reason })) => {
                let trouble = WebSocketTrouble::Closed { code, reason };
                Err(halt(Phase::FirstByte, self.hop, Trouble::WebSocket(trouble)))
            }
            Err(_) if heard.is_some() => {
                run.spent(self.hop, Phase::Verify, Instant::now());
                let trouble = DialogueTrouble {
                    wanted: wanted.into(),
                    got: heard,
                    code: None,
                    how: Mismatch::Silent,
                };
                Err(halt(Phase::Verify, self.hop, Trouble::Dialogue(trouble)))
            }
            Err(budget) => Err(halt(Phase::FirstByte, self.hop, Trouble::TimedOut(budget))),
        }
    }

    /// The next whole message or control frame.
    async fn message(&mut self) -> Result<Frame, Broken> {
        let mut whole: Option<Frame> = None;
        loop {
            let frame = self.frame().await?;
            match (&mut whole, frame.opcode) {
                (_, Opcode::Close | Opcode::Ping | Opcode::Pong) => {
                    if whole.is_some() && frame.opcode == Opcode::Ping {
                        // A control frame may come in the middle of a message.
                        self.write(Opcode::Pong, &frame.payload).await?;
                        continue;
                    }
                    return Ok(frame);
                }
                (None, Opcode::Continuation) => return Err(Broken::Frame("a continuation of nothing")),
                (None, _) if frame.last => return Ok(frame),
                (None, _) => whole = Some(frame),
                (Some(message), Opcode::Continuation) => {
                    message.payload.extend_from_slice(&frame.payload);
                    if message.payload.len() > MAX_MESSAGE {
                        return Err(Broken::Frame("a message is larger than 1 MiB"));
                    }
                    if frame.last {
                        return Ok(message.clone());
                    }
                }
                (Some(_), _) => return Err(Broken::Frame("a message begins within another one")),
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = decode(&mut self.buffer).map_err(Broken::Frame)? {
                return Ok(frame);
            }
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(Broken::Closed {
                    code: None,
                    reason: "".into(),
                });
            }
        }
    }

    fn broken(&self, run: &mut Run<'_>, phase: Phase, err: &std::io::Error) -> Halt {
        let trouble = io_trouble(err);
        let phase = phase_of(&trouble, phase);
        if run.hop(self.hop).phases.get(phase).is_none() {
            run.spent(self.hop, phase, Instant::now());
        }
        halt_by(phase, self.hop, trouble, err)
    }

    /// Says goodbye. Whether it is heard does not matter.
    async fn close(mut self) {
        let goodbye = async {
            if self.write(Opcode::Close, &NORMAL.to_be_bytes()).await.is_ok() {
                while let Ok(frame) = self.frame().await {
                    if frame.opcode == Opcode::Close {
                        break;
                    }
                }
            }
            let _ = self.io.shutdown().await;
        };
        let _ = tokio::time::timeout(CLOSE_WAIT, goodbye).await;
    }
}

/// Why no message came.
enum Broken {
    Io(std::io::Error),
    Frame(&'static str),
    Closed { code: Option<u16>, reason: Box<str> },
}

impl From<std::io::Error> for Broken {
    fn from(err: std::io::Error) -> Self {
        Broken::Io(err)
    }
}

/// The status code and the reason of a close frame (RFC 6455, section 5.5.1).
fn closed(payload: &[u8]) -> Broken {
    match payload {
        [high, low, reason @ ..] => Broken::Closed {
            code: Some(u16::from_be_bytes([*high, *low])),
            reason: foreign_text(reason, MAX_TEXT),
        },
        _ => Broken::Closed {
            code: None,
            reason: "".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_in_the_rfc() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(key().len(), 24);
        assert_ne!(key(), key());
    }
}
