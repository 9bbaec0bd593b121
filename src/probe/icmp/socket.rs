//! A socket for ICMP echoes: a datagram one where the system allows it, a raw one where we may open it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::model::attempt::Call;

use super::error_queue::{self, Reported};
use super::packet::{Family, behind_ip_header};

/// More than any answer to a request of ours has.
const MAX_PACKET: usize = 1500;

/// A connected socket: what comes is from its peer, and what routers say about its packets comes back as errors.
pub(super) struct EchoSocket {
    fd: AsyncFd<Socket>,
    family: Family,
    pub is_raw: bool,
}

/// Why there is no socket.
pub(super) enum NoSocket {
    /// The system allows neither kind: errno of each.
    NoPermission {
        datagram: i32,
        raw: i32,
    },
    Failed(Call, io::Error),
}

/// What came.
pub(super) enum Event {
    /// A message, from its ICMP header on.
    Message(Vec<u8>),
    Reported(Reported),
    /// An error of the socket of which the error queue says nothing.
    Failed(io::Error),
}

impl EchoSocket {
    /// A datagram socket is tried first (`net.ipv4.ping_group_range`, which holds for IPv6 too), then a raw one, which
    /// takes CAP_NET_RAW.
    pub fn open(peer: IpAddr) -> Result<EchoSocket, NoSocket> {
        let (family, domain, protocol) = match peer {
            IpAddr::V4(_) => (Family::V4, Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Family::V6, Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket, is_raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(datagram) if is_refusal(&datagram) => match Socket::new(domain, Type::RAW, Some(protocol)) {
                Ok(socket) => (socket, true),
                Err(raw) if is_refusal(&raw) => {
                    let errno = |err: io::Error| err.raw_os_error().unwrap_or(0);
                    return Err(NoSocket::NoPermission {
                        datagram: errno(datagram),
                        raw: errno(raw),
                    });
                }
                Err(err) => return Err(NoSocket::Failed(Call::Socket, err)),
            },
            Err(err) => return Err(NoSocket::Failed(Call::Socket, err)),
        };
        let failed = |err| NoSocket::Failed(Call::Socket, err);
        socket.set_nonblocking(true).map_err(failed)?;
        error_queue::enable(&socket, peer).map_err(failed)?;
        socket
            .connect(&SocketAddr::new(peer, 0).into())
            .map_err(|err| NoSocket::Failed(Call::Connect, err))?;
        // SAFETY: the socket owns its descriptor, which stays the same and open until the `AsyncFd` is dropped with it.
        let registered =
            unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::ERROR) };
        let fd = registered.map_err(|err| failed(err.into()))?;
        Ok(EchoSocket { fd, family, is_raw })
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// Sends a message. A full send buffer is an error like any other: one packet always fits.
    pub fn send(&self, message: &[u8]) -> io::Result<usize> {
        let mut socket = self.fd.get_ref();
        socket.write(message)
    }

    /// Waits for what comes next.
    pub async fn next(&self) -> io::Result<Event> {
        loop {
            let mut ready = self.fd.ready(Interest::READABLE | Interest::ERROR).await?;
            if let Some(reported) = error_queue::take(self.fd.get_ref()) {
                // The same report is the socket's pending error as well: it must not be taken for a second one.
                let _ = self.fd.get_ref().take_error();
                return Ok(Event::Reported(reported));
            }
            let mut buffer = vec![0; MAX_PACKET];
            let mut socket = self.fd.get_ref();
            match socket.read(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    let message = if self.is_raw && self.family == Family::V4 {
                        behind_ip_header(&buffer).to_vec()
                    } else {
                        buffer
                    };
                    return Ok(Event::Message(message));
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(err) => return Ok(Event::Failed(err)),
            }
        }
    }
}

fn is_refusal(err: &io::Error) -> bool {
    matches!(err.raw_os_error(), Some(libc::EACCES | libc::EPERM))
        // macOS has datagram sockets for everyone; a kernel without ping sockets says that it knows no such protocol.
        || matches!(err.raw_os_error(), Some(libc::EPROTONOSUPPORT))
}
