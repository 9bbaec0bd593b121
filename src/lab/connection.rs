//! One connection as a server of the lab holds it: plain or TLS, with a buffer of what was read and not yet used, and
//! with the ways to end it that a well-behaved library would not offer.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest head of a request that is read, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// close_notify where there is TLS, then FIN.
    Fin,
    /// RST.
    Reset,
}

/// The transport of a connection.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Does the TLS handshake where the server speaks TLS; `None` when it failed, which a client's refusal is as well.
    pub async fn accept(stream: TcpStream, tls: Option<&TlsAcceptor>) -> Option<Transport> {
        match tls {
            None => Some(Transport::Plain(stream)),
            Some(acceptor) => {
                let stream = acceptor.accept(stream).await.ok()?;
                Some(Transport::Tls(Box::new(stream)))
            }
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A connection with what was read ahead. Every error means that the peer is gone, and ends whatever was going on.
pub(super) struct Connection {
    transport: Transport,
    ahead: Vec<u8>,
}

impl Connection {
    pub fn new(transport: Transport) -> Self {
        Connection {
            transport,
            ahead: Vec::new(),
        }
    }

    /// Reads up to and with the empty line that ends a request's head; what follows it stays for the next read.
    ///
    /// # Errors
    /// `InvalidData` when it is longer than 64 KiB or does not begin with a letter, as every method does and a
    /// ClientHello does not; anything else means that the peer went away first.
    pub async fn read_head(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if self
                .ahead
                .first()
                .is_some_and(|first| !first.is_ascii_alphabetic())
            {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let rest = self.ahead.split_off(end + 4);
                return Ok(std::mem::replace(&mut self.ahead, rest));
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.read_more().await?;
        }
    }

    /// Reads exactly that many bytes.
    pub async fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.read_more().await?;
        }
        let rest = self.ahead.split_off(count);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Reads up to and with the end of a line.
    pub async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\n") {
                let rest = self.ahead.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.ahead, rest));
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.transport.read_buf(&mut self.ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// Does nothing for that long. An error means that the peer closed or reset the connection meanwhile.
    pub async fn stay_silent(&mut self, wait: Duration) -> io::Result<()> {
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            closed = self.read_until_closed() => Err(closed),
        }
    }

    /// Does nothing until the peer closes or resets the connection. What arrives is thrown away.
    pub async fn wait_for_close(&mut self) {
        self.read_until_closed().await;
    }

    async fn read_until_closed(&mut self) -> io::Error {
        let mut scratch = [0; 4096];
        loop {
            match self.transport.read(&mut scratch).await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Ends our direction and leaves the other open.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.transport.shutdown().await
    }

    /// Ends the connection in that way.
    pub async fn end(mut self, ending: Ending) {
        match ending {
            Ending::Fin => {
                // The kernel answers a close with unread data by RST, so what has arrived is read first.
                self.drain();
                let _ = self.transport.shutdown().await;
                self.drain();
            }
            Ending::Reset => {
                // Lingering for zero seconds makes close(2) send RST; nothing can be done where it is refused.
                let _ = SockRef::from(self.transport.tcp()).set_linger(Some(Duration::ZERO));
            }
        }
    }

    /// Closes the socket with no more ado, as the kernel does for a process that dies: no close_notify, FIN.
    pub fn drop_dead(self) {
        self.drain();
    }

    /// Empties the socket's receive queue without waiting. It asks the socket itself: the runtime's notion of what is
    /// readable lags behind.
    fn drain(&self) {
        let socket = SockRef::from(self.transport.tcp());
        let mut scratch = [0; 4096];
        while matches!((&*socket).read(&mut scratch), Ok(read) if read > 0) {}
    }

    pub fn into_parts(self) -> (Transport, Vec<u8>) {
        (self.transport, self.ahead)
    }
}

/// Where `needle` begins in `haystack`.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
