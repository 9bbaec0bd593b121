//! An ICMP echo, by whatever kind of socket this process may have.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use socket2::{Protocol, Socket, Type};
use tokio::time::Instant;

use super::packet::{Heard, checksum, hear, payload, random, seen, socket, wait_on};
use super::sign;
use crate::model::attempt::{LookedAt, Seen, Sign};
use crate::probe::error_queue;

/// One of them may be lost.
const RESEND: Duration = Duration::from_millis(400);

pub(super) async fn echo(peer: IpAddr, by: Instant) -> Sign {
    let began = Instant::now();
    let found = match ask(peer, by).await {
        Ok(found) => found,
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Seen::NotAllowed,
            errno => Seen::Failed(errno.unwrap_or(0)),
        },
    };
    sign(LookedAt::Echo, found, began)
}

/// An unprivileged socket where the system has those for this group, a raw one where the process may have it.
fn open(peer: IpAddr) -> io::Result<(Socket, bool)> {
    let protocol = if peer.is_ipv6() {
        Protocol::ICMPV6
    } else {
        Protocol::ICMPV4
    };
    match socket(peer, Type::DGRAM, protocol) {
        Ok(socket) => Ok((socket, false)),
        Err(_) => socket(peer, Type::RAW, protocol).map(|socket| (socket, true)),
    }
}

async fn ask(peer: IpAddr, by: Instant) -> io::Result<Seen> {
    let (socket, raw) = open(peer)?;
    let token = random().to_be_bytes();
    let request = request(peer.is_ipv6(), token);
    let socket = wait_on(socket)?;
    let mut buffer = [0; 512];
    while Instant::now() < by {
        match socket.send(&request).await {
            Ok(_) => {}
            // Our own firewall has its own sign.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Ok(Seen::NotAllowed),
            Err(error) => return Ok(Seen::Failed(error.raw_os_error().unwrap_or(0))),
        }
        let until = by.min(Instant::now() + RESEND);
        loop {
            match hear(&socket, &mut buffer, until).await {
                Heard::Bytes(length) => {
                    let message = payload(&buffer[..length], raw && peer.is_ipv4());
                    if message.is_some_and(|message| is_reply(message, peer.is_ipv6(), token)) {
                        return Ok(Seen::Answered);
                    }
                }
                Heard::Error(error) => {
                    return Ok(seen(peer, error_queue::drain(&socket), &error));
                }
                Heard::TimedOut => break,
            }
        }
    }
    Ok(Seen::Silent)
}

/// Type, code, checksum, identifier, sequence (RFC 792, RFC 4443), and a token that comes back.
fn request(v6: bool, token: [u8; 8]) -> Vec<u8> {
    let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0, token[0], token[1], 0, 1];
    message.extend(token);
    if !v6 {
        // For IPv6 the kernel does it, since the addresses are part of it.
        let sum = checksum(&[&message]).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
    }
    message
}

fn is_reply(message: &[u8], v6: bool, token: [u8; 8]) -> bool {
    let kind = if v6 { 129 } else { 0 };
    message.first() == Some(&kind) && message.get(8..16) == Some(&token[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_known_by_its_token() {
        let token = [7; 8];
        let mut reply = request(false, token);
        assert!(!is_reply(&reply, false, token), "the request itself");
        assert_eq!(checksum(&[&reply]), 0, "the sum over a right message is zero");
        reply[0] = 0;
        assert!(is_reply(&reply, false, token));
        assert!(!is_reply(&reply, false, [8; 8]));
        assert!(!is_reply(&reply[..12], false, token));
    }
}
