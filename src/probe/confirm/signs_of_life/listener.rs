//! A port of this very host: how many connections wait there to be accepted.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use super::sign;
use crate::model::attempt::{LookedAt, Seen, Sign};

/// The state LISTEN in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The listener's queue as the kernel shows it (proc(5), `/proc/net/tcp`: of a listener, the receive queue counts
/// connections that were made and not accepted).
pub(super) fn queue(address: SocketAddr) -> Sign {
    let began = Instant::now();
    // A socket for IPv6 may take IPv4 as well.
    let tables: &[&str] = match address {
        SocketAddr::V4(_) => &["/proc/net/tcp", "/proc/net/tcp6"],
        SocketAddr::V6(_) => &["/proc/net/tcp6"],
    };
    let texts: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .collect();
    let seen = if texts.is_empty() {
        Seen::NotAllowed
    } else {
        match texts.iter().filter_map(|text| waiting(text, address)).max() {
            Some(waiting) => Seen::Waiting(waiting),
            None => Seen::Nothing,
        }
    };
    sign(LookedAt::OwnListener, seen, began)
}

/// Of the listeners that the address reaches, the longest queue.
fn waiting(table: &str, address: SocketAddr) -> Option<u32> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next()?;
            let (_, state, queues) = (fields.next()?, fields.next()?, fields.next()?);
            let (ip, port) = local.split_once(':')?;
            let is_it = state == LISTEN
                && u16::from_str_radix(port, 16).ok()? == address.port()
                && takes(ip, address.ip());
            let (_, receive) = queues.split_once(':')?;
            is_it.then(|| u32::from_str_radix(receive, 16).ok()).flatten()
        })
        .max()
}

/// Whether a listener bound to that address, in the kernel's hexadecimal words, takes connections to this one.
fn takes(bound: &str, address: IpAddr) -> bool {
    if bound.bytes().all(|digit| digit == b'0') {
        return true;
    }
    let words = |octets: &[u8]| -> String {
        octets
            .chunks_exact(4)
            .map(|four| {
                let word = [four[0], four[1], four[2], four[3]];
                format!("{:08X}", u32::from_ne_bytes(word))
            })
            .collect()
    };
    match address {
        IpAddr::V4(v4) => bound == words(&v4.octets()) || bound == words(&v4.to_ipv6_mapped().octets()),
        IpAddr::V6(v6) => bound == words(&v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_listener_is_found_by_its_port_and_address() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000 0\n\
             1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0\n\
             2: 0100007F:1F92 0100007F:9999 01 00000000:00000005 00:00000000 00000000 0\n";
        let waiting = |text: &str| waiting(table, text.parse().expect("an address"));
        assert_eq!(waiting("127.0.0.1:8080"), Some(2));
        assert_eq!(waiting("127.0.0.2:8080"), None);
        assert_eq!(waiting("127.0.0.2:8081"), Some(0));
        assert_eq!(waiting("127.0.0.1:8082"), None, "a connection is no listener");
        let v6 = "head\n 0: 00000000000000000000000001000000:1F90 0:0 0A 00000000:00000001 0\n";
        assert_eq!(
            super::waiting(v6, "[::1]:8080".parse().expect("an address")),
            Some(1)
        );
    }

    #[test]
    fn a_listener_that_does_not_accept_shows_its_queue() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let held: Vec<_> = (0..2).map(|_| std::net::TcpStream::connect(address)).collect();
        assert_eq!(held.len(), 2);
        assert_eq!(queue(address).seen, Seen::Waiting(2));
        drop(listener);
        assert_eq!(queue(address).seen, Seen::Nothing);
    }
}
