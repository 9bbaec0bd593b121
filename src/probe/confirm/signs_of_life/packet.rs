//! Packets that the kernel does not make for us, and the sockets for them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{IcmpError, Seen};
use crate::probe::error_queue;

/// A socket for one peer, which alone is heard on it. ICMP errors are queued for it.
pub(super) fn socket(peer: IpAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let peer = SocketAddr::new(peer, 0);
    let socket = Socket::new(Domain::for_address(peer), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    error_queue::want(&socket, peer.is_ipv6(), true);
    socket.connect(&peer.into())?;
    Ok(socket)
}

/// What came of waiting.
pub(super) enum Heard {
    /// As many bytes of the buffer.
    Bytes(usize),
    /// The socket's error; an ICMP message may be queued.
    Error(io::Error),
    TimedOut,
}

/// The socket as tokio waits for it. Its type speaks of UDP, and its calls are the same for every kind of packet.
pub(super) fn wait_on(socket: Socket) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket.into())
}

/// Waits for the next packet, or an error.
pub(super) async fn hear(socket: &UdpSocket, buffer: &mut [u8], by: Instant) -> Heard {
    match timeout_at(by, socket.recv(buffer)).await {
        Ok(Ok(length)) => Heard::Bytes(length),
        Ok(Err(error)) => Heard::Error(error),
        Err(_) => Heard::TimedOut,
    }
}

/// What a raw socket for IPv4 delivers begins with the IP header; the others have none.
pub(super) fn payload(packet: &[u8], v4_raw: bool) -> Option<&[u8]> {
    if !v4_raw {
        return Some(packet);
    }
    let words = usize::from(packet.first()? & 0x0f);
    packet.get(words * 4..)
}

/// The internet checksum (RFC 1071).
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for two in part.chunks(2) {
            let low = two.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([two[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What an error on a socket for the peer shows: the message that is queued for it, if any. One of the peer itself is a
/// sign of its life.
pub(super) fn seen(peer: IpAddr, queued: Option<Option<IcmpError>>, error: &io::Error) -> Seen {
    match queued.flatten() {
        Some(icmp) if icmp.offender == Some(peer) => Seen::Refused,
        Some(icmp) => Seen::Icmp(icmp),
        None => Seen::Failed(error.raw_os_error().unwrap_or(0)),
    }
}

/// A number that nobody can foresee.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// The address from which this host talks to the peer.
pub(super) fn local_address(socket: &Socket) -> Option<IpAddr> {
    Some(socket.local_addr().ok()?.as_socket()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // The example of RFC 1071, section 3.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&bytes]), !0xddf2);
        assert_eq!(checksum(&[&bytes[..4], &bytes[4..]]), !0xddf2);
        assert_eq!(checksum(&[&[0xff]]), 0x00ff);
    }

    #[test]
    fn an_ip_header_is_skipped() {
        let mut packet = vec![0x45; 20];
        packet.extend([1, 2, 3]);
        assert_eq!(payload(&packet, true), Some(&[1, 2, 3][..]));
        assert_eq!(payload(&packet, false).map(<[u8]>::len), Some(23));
        assert_eq!(payload(&[0x4f], true), None);
    }
}
