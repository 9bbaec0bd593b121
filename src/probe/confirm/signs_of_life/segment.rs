//! Single TCP segments by a raw socket, where the process may have one.
//!
//! A first one shows whether this host lets our packet out at all: a firewall that drops it in the output says so to the
//! sender of a raw packet, and not to connect(2), which goes on sending again. It dies at the first router.
//!
//! A second one, an acknowledgement of nothing, tells a filter from a listener whose accept queue is full: such a listener
//! drops only what would make a connection, and answers anything else with a reset (RFC 9293, section 3.10.7.2).

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

use super::packet::{Heard, checksum, hear, local_address, payload, random, seen, socket, wait_on};
use super::sign;
use crate::model::attempt::{LookedAt, Seen, Sign};
use crate::probe::error_queue;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// Length of a header without options.
const HEADER: usize = 20;

/// Whether a packet that asks for a connection gets out of this host.
pub(super) fn leaves(peer: SocketAddr) -> Sign {
    let began = Instant::now();
    let seen = match try_to_send(peer) {
        Ok(()) => Seen::Answered,
        Err(seen) => seen,
    };
    sign(LookedAt::OwnOutput, seen, began)
}

fn try_to_send(peer: SocketAddr) -> Result<(), Seen> {
    let raw = raw(peer.ip()).map_err(|_| Seen::NotAllowed)?;
    let failed = |error: io::Error| Seen::Failed(error.raw_os_error().unwrap_or(0));
    if peer.is_ipv6() {
        raw.set_unicast_hops_v6(1).map_err(failed)?;
    } else {
        raw.set_ttl_v4(1).map_err(failed)?;
    }
    let port = reserved_port(peer.ip()).map_err(failed)?;
    let segment = segment(&raw, peer, port.1, SYN).ok_or(Seen::NotAllowed)?;
    raw.send(&segment).map_err(failed)?;
    Ok(())
}

/// Whether the port's host answers a segment that makes no connection. `None` where it cannot be asked.
pub(super) async fn stray(peer: SocketAddr, by: Instant) -> Option<Sign> {
    let began = Instant::now();
    let raw = raw(peer.ip()).ok()?;
    let (_reserved, port) = reserved_port(peer.ip()).ok()?;
    let segment = segment(&raw, peer, port, ACK)?;
    raw.send(&segment).ok()?;
    let raw = wait_on(raw).ok()?;
    // The largest frames of a busy peer are cut to their heads.
    let mut buffer = [0; 128];
    let found = loop {
        match hear(&raw, &mut buffer, by).await {
            Heard::Bytes(length) => {
                let answer = payload(&buffer[..length], peer.is_ipv4());
                if answer.is_some_and(|answer| is_reset(answer, peer.port(), port)) {
                    break Seen::Answered;
                }
            }
            Heard::Error(error) => {
                break seen(peer.ip(), error_queue::drain(&raw), &error);
            }
            Heard::TimedOut => break Seen::Silent,
        }
    };
    Some(sign(LookedAt::StraySegment, found, began))
}

fn raw(peer: IpAddr) -> io::Result<Socket> {
    socket(peer, Type::RAW, Protocol::TCP)
}

/// A port that nothing else uses while the socket lives.
fn reserved_port(peer: IpAddr) -> io::Result<(Socket, u16)> {
    let any: SocketAddr = match peer {
        IpAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Socket::new(Domain::for_address(any), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&any.into())?;
    let port = socket
        .local_addr()?
        .as_socket()
        .map_or(0, |address| address.port());
    Ok((socket, port))
}

/// A segment without options or data (RFC 9293, section 3.1).
fn segment(raw: &Socket, peer: SocketAddr, port: u16, flags: u8) -> Option<Vec<u8>> {
    let from = local_address(raw)?;
    let mut segment = Vec::with_capacity(HEADER);
    segment.extend(port.to_be_bytes());
    segment.extend(peer.port().to_be_bytes());
    segment.extend(random().to_be_bytes());
    segment.extend([(HEADER as u8 / 4) << 4, flags, 0x04, 0, 0, 0, 0, 0]);
    if flags & ACK == 0 {
        segment[8..12].fill(0);
    }
    let sum = checksum(&[
        &octets(from),
        &octets(peer.ip()),
        &[0, 6],
        &[0, HEADER as u8],
        &segment,
    ]);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    Some(segment)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn is_reset(answer: &[u8], from: u16, to: u16) -> bool {
    answer.len() >= HEADER
        && answer[..2] == from.to_be_bytes()
        && answer[2..4] == to.to_be_bytes()
        && answer[13] & RST != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_known_by_its_ports() {
        let mut answer = vec![0; HEADER];
        answer[..4].copy_from_slice(&[0, 80, 0x9c, 0x40]);
        answer[13] = RST | ACK;
        assert!(is_reset(&answer, 80, 40_000));
        assert!(!is_reset(&answer, 81, 40_000));
        assert!(!is_reset(&answer, 80, 40_001));
        answer[13] = ACK;
        assert!(!is_reset(&answer, 80, 40_000));
        assert!(!is_reset(&answer[..10], 80, 40_000));
    }
}
