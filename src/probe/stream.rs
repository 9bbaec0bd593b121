//! The socket under everything, and the record of what passed over it.
//!
//! [`Stream`] lies below TLS and counts bytes on the wire; [`Io`] is what HTTP speaks through (the socket itself, or TLS
//! over it, or TLS over TLS to a proxy) and counts the bytes of the application. Both write into one [`Wire`], which
//! outlives the connection's owner: TCP_INFO and the counts can be read after hyper has dropped its end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::model::attempt::{Call, CertificateFacts, IcmpError, StaleKind, TcpFacts};
use crate::model::idle::IdleEnd;

use super::error_queue;
use super::tcp_info;

/// How many of the first bytes are kept.
const FIRST_BYTES: usize = 128;

/// After so many retransmission timeouts in a row a request counts as unheard: two mean that it was sent three times, and
/// with the kernel's tail loss probe four (RFC 8985, section 7).
const UNHEARD_RETRANSMITS: u8 = 2;

/// Whether those bytes, the first that came over HTTP/2 while the connection lay idle, hold a GOAWAY (RFC 9113, sections
/// 4.1 and 6.8).
fn says_goaway(mut frames: &[u8]) -> bool {
    while let [l0, l1, l2, kind, _flags, _, _, _, _, rest @ ..] = frames {
        if *kind == 7 {
            return true;
        }
        let length = usize::from(*l0) << 16 | usize::from(*l1) << 8 | usize::from(*l2);
        frames = rest.get(length..).unwrap_or_default();
    }
    false
}

/// What passed over a socket during one use of it (from [`Wire::begin_use`] on).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes on the wire, below TLS.
    pub sent: u64,
    pub received: u64,
    /// Bytes of the application, above TLS.
    pub app_sent: u64,
    pub app_received: u64,
    /// When the last write to the socket was taken.
    pub last_write: Option<Instant>,
    /// The last write before anything of the application came back: the end of the request.
    pub asked: Option<Instant>,
    pub last_read: Option<Instant>,
    /// A write is waiting for room in the socket.
    pub write_waits: bool,
    /// The last error of the socket: which call, and errno.
    pub error: Option<(Call, i32)>,
    /// When the peer's end of stream (or the error) was seen on the socket.
    pub ended: Option<Instant>,
    /// TLS ended in an orderly way, before the socket did.
    pub close_notify: bool,
    /// The end was found by looking for it, at a time that says nothing.
    looked_for: bool,
    first: FirstBytes,
    app_first: FirstBytes,
}

impl Traffic {
    /// The first bytes received: those of the application where there are any, otherwise those on the wire.
    pub fn first_bytes(&self) -> &[u8] {
        let app = self.app_first.bytes();
        if app.is_empty() { self.first.bytes() } else { app }
    }

    /// The first bytes received above TLS.
    pub fn app_first_bytes(&self) -> &[u8] {
        self.app_first.bytes()
    }

    /// The first bytes received on the wire.
    pub fn wire_first_bytes(&self) -> &[u8] {
        self.first.bytes()
    }
}

#[derive(Clone, Copy, Debug)]
struct FirstBytes {
    length: u8,
    bytes: [u8; FIRST_BYTES],
}

impl Default for FirstBytes {
    fn default() -> Self {
        FirstBytes {
            length: 0,
            bytes: [0; FIRST_BYTES],
        }
    }
}

impl FirstBytes {
    fn add(&mut self, new: &[u8]) {
        let at = usize::from(self.length);
        let take = new.len().min(FIRST_BYTES - at);
        self.bytes[at..at + take].copy_from_slice(&new[..take]);
        self.length += take as u8;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// One TCP connection and its record, shared by whoever speaks over it and whoever reports about it.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    pub peer: SocketAddr,
    traffic: Mutex<Traffic>,
    /// What the peer presented, where the certificates are to be looked at again when the connection is.
    chain: OnceLock<Arc<[CertificateFacts]>>,
}

impl Wire {
    pub fn new(tcp: TcpStream, peer: SocketAddr) -> Arc<Wire> {
        Arc::new(Wire {
            tcp,
            peer,
            traffic: Mutex::default(),
            chain: OnceLock::new(),
        })
    }

    /// Keeps the certificates that the peer presented; the first ones stay.
    pub fn keep_chain(&self, chain: &[CertificateFacts]) {
        self.chain.get_or_init(|| chain.into());
    }

    pub fn chain(&self) -> Option<Arc<[CertificateFacts]>> {
        self.chain.get().cloned()
    }

    /// Waits for the end of the TCP handshake.
    pub async fn connected(&self) -> io::Result<()> {
        super::tcp::connected(&self.tcp).await
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        // The record is plain data, right after every step, whatever panicked elsewhere.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn traffic(&self) -> Traffic {
        *self.lock()
    }

    /// Starts a new record: of the next request on this connection, or of what begins after a proxy's tunnel stands.
    pub fn begin_use(&self) {
        let mut traffic = self.lock();
        let ended = traffic.ended;
        let error = traffic.error;
        let close_notify = traffic.close_notify;
        *traffic = Traffic {
            ended,
            error,
            close_notify,
            ..Traffic::default()
        };
    }

    /// The last ICMP error of a handshake that failed; the outer `None` where the kernel does not tell.
    pub fn icmp_errors(&self) -> Option<Option<IcmpError>> {
        error_queue::drain(&self.tcp)
    }

    /// The connection stands: from now on a passing ICMP error must not end it.
    pub fn stop_queueing_errors(&self) {
        error_queue::want(&self.tcp, self.peer.is_ipv6(), false);
    }

    pub fn tcp_facts(&self) -> Option<TcpFacts> {
        tcp_info::read(&self.tcp)
    }

    /// What lies in the socket without taking it: `Some(Ok(0))` is the peer's FIN, `None` means that nothing has come.
    /// An error is consumed by looking at it, and therefore recorded.
    pub fn peek(&self) -> Option<io::Result<usize>> {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match socket2::SockRef::from(&self.tcp).peek(&mut byte) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => None,
            Err(err) => {
                self.looked_at_the_end();
                self.failed(Call::Receive, &err);
                Some(Err(err))
            }
            Ok(length) => {
                if length == 0 {
                    self.looked_at_the_end();
                }
                Some(Ok(length))
            }
        }
    }

    fn looked_at_the_end(&self) {
        let mut traffic = self.lock();
        if traffic.ended.is_none() {
            traffic.ended = Some(Instant::now());
            traffic.looked_for = true;
        }
    }

    /// Whether the end was found by [`peek`](Self::peek), and not when it came.
    pub fn end_was_looked_for(&self) -> bool {
        self.lock().looked_for
    }

    /// Notes that the connection is of no use any more, if nothing on the wire has said so before.
    pub fn note_end(&self) {
        self.lock().ended.get_or_insert_with(Instant::now);
    }

    /// How the connection ended.
    pub fn end_kind(&self) -> StaleKind {
        match self.lock().error {
            Some((_, libc::ETIMEDOUT)) => StaleKind::Silent,
            Some(_) => StaleKind::Reset,
            None => StaleKind::Closed,
        }
    }

    /// How the connection ended, as exactly as it was seen.
    pub fn end(&self, over_h2: bool) -> IdleEnd {
        let traffic = self.lock();
        match traffic.error {
            Some((_, libc::ETIMEDOUT)) => IdleEnd::Silence,
            Some(_) => IdleEnd::Rst,
            None if over_h2 && says_goaway(traffic.app_first.bytes()) => IdleEnd::GoAway,
            None if traffic.close_notify => IdleEnd::CloseNotify,
            None => IdleEnd::Fin,
        }
    }

    /// Whether the request of this use, all of it handed to the kernel and small enough for one segment, was sent again and
    /// again and nothing of it was acknowledged. A larger one may be too large for the path, which is another story.
    pub fn is_unheard(&self) -> bool {
        let traffic = self.traffic();
        if traffic.sent == 0 || traffic.received > 0 || traffic.write_waits {
            return false;
        }
        let Some(tcp) = self.tcp_facts() else {
            return false;
        };
        let waits_alone = tcp_info::unacknowledged(&self.tcp).is_some_and(|bytes| bytes >= traffic.sent);
        tcp.unacked > 0
            && tcp.retransmits >= UNHEARD_RETRANSMITS
            && traffic.sent <= u64::from(tcp.send_mss)
            && waits_alone
    }

    fn failed(&self, call: Call, err: &io::Error) {
        let mut traffic = self.lock();
        if let (None, Some(errno)) = (traffic.error, err.raw_os_error()) {
            traffic.error = Some((call, errno));
        }
        traffic.ended.get_or_insert_with(Instant::now);
    }
}

/// The socket as tokio's reader and writer. There is one per [`Wire`].
#[derive(Debug)]
pub(crate) struct Stream(Arc<Wire>);

impl Stream {
    pub fn new(wire: Arc<Wire>) -> Stream {
        Stream(wire)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &*self.0;
        loop {
            ready!(wire.tcp.poll_read_ready(cx))?;
            let from = buf.filled().len();
            match wire.tcp.try_read_buf(buf) {
                Ok(length) => {
                    let mut traffic = wire.lock();
                    let now = Instant::now();
                    if length == 0 {
                        traffic.ended.get_or_insert(now);
                        return Poll::Ready(Ok(()));
                    }
                    traffic.last_read = Some(now);
                    traffic.received += length as u64;
                    traffic.first.add(&buf.filled()[from..]);
                    return Poll::Ready(Ok(()));
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => {
                    wire.failed(Call::Receive, &err);
                    return Poll::Ready(Err(err));
                }
            }
        }
    }
}

impl Stream {
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let wire = &*self.0;
        loop {
            if wire.tcp.poll_write_ready(cx)?.is_pending() {
                wire.lock().write_waits = true;
                return Poll::Pending;
            }
            match send(&wire.tcp) {
                Ok(length) => {
                    let mut traffic = wire.lock();
                    traffic.write_waits = false;
                    traffic.sent += length as u64;
                    let now = Instant::now();
                    traffic.last_write = Some(now);
                    if traffic.app_received == 0 {
                        traffic.asked = Some(now);
                    }
                    return Poll::Ready(Ok(length));
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => {
                    wire.failed(Call::Send, &err);
                    return Poll::Ready(Err(err));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match socket2::SockRef::from(&self.0.tcp).shutdown(std::net::Shutdown::Write) {
            // Nothing to shut down any more is as good.
            Err(err) if err.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(err)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// What an application speaks through.
pub(crate) enum Layers {
    Plain(Stream),
    Tls(Box<TlsStream<Layers>>),
    /// Bytes that were read too far (behind a proxy's answer), then the rest.
    Ahead(Bytes, Box<Layers>),
}

impl Layers {
    fn is_tls(&self) -> bool {
        match self {
            Layers::Plain(_) => false,
            Layers::Tls(_) => true,
            Layers::Ahead(_, rest) => rest.is_tls(),
        }
    }
}

impl AsyncRead for Layers {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layers::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Layers::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Layers::Ahead(bytes, rest) => {
                if bytes.is_empty() {
                    return Pin::new(rest).poll_read(cx, buf);
                }
                let take = bytes.len().min(buf.remaining());
                buf.put_slice(&bytes[..take]);
                bytes.advance(take);
                Poll::Ready(Ok(()))
            }
        }
    }
}

macro_rules! to_layer {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Layers::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Layers::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
            Layers::Ahead(_, rest) => {
                let $stream = Pin::new(rest.as_mut());
                $call
            }
        }
    };
}

impl AsyncWrite for Layers {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        to_layer!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        to_layer!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        to_layer!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        to_layer!(self, stream => stream.poll_shutdown(cx))
    }
}

/// A connection ready for an application: its layers, and the record that they write into.
pub(crate) struct Io {
    pub layers: Layers,
    pub wire: Arc<Wire>,
}

impl Io {
    pub fn plain(wire: Arc<Wire>) -> Io {
        Io {
            layers: Layers::Plain(Stream::new(wire.clone())),
            wire,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let from = buf.filled().len();
        ready!(Pin::new(&mut this.layers).poll_read(cx, buf))?;
        let new = &buf.filled()[from..];
        let mut traffic = this.wire.lock();
        traffic.app_received += new.len() as u64;
        if new.is_empty() {
            // The end of a TLS stream (close_notify) comes before the socket's own.
            traffic.ended.get_or_insert_with(Instant::now);
            traffic.close_notify |= this.layers.is_tls();
        } else {
            traffic.app_first.add(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl Io {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = &result {
            self.wire.lock().app_sent += *length as u64;
        }
        result
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.layers).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.layers).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.layers).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.layers).poll_shutdown(cx)
    }
}
