//! Other ports of the same address, and the same port once more.

use std::io;
use std::net::SocketAddr;

use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, timeout_at};

use super::packet::{Heard, hear, seen, wait_on};
use super::sign;
use crate::model::attempt::{LookedAt, Seen, Sign};
use crate::probe::error_queue;
use crate::probe::stream::Wire;
use crate::probe::tcp::begin_connect;

/// Ports that most hosts answer on, be it with a reset.
const PORTS: [u16; 4] = [443, 80, 22, 53];
/// The first port of traceroute(8): nothing listens there, so that a host that is alive says so.
const UDP_PORT: u16 = 33_434;

/// The same port once more.
pub(super) async fn again(address: SocketAddr, by: Instant) -> Sign {
    connect(address, LookedAt::Again, by).await
}

/// Other ports, where all is allowed.
pub(super) async fn elsewhere(address: SocketAddr, all: bool, by: Instant) -> Vec<Sign> {
    if !all {
        return Vec::new();
    }
    let others = PORTS.into_iter().filter(|port| *port != address.port());
    let tcp = join_all(others.map(|port| {
        let there = SocketAddr::new(address.ip(), port);
        connect(there, LookedAt::Port(port), by)
    }));
    let (mut signs, udp) = tokio::join!(tcp, udp(address, by));
    signs.push(udp);
    signs
}

async fn connect(address: SocketAddr, looked_at: LookedAt, by: Instant) -> Sign {
    let began = Instant::now();
    let found = match begin_connect(address, None) {
        Err((_, error)) => Seen::Failed(error.raw_os_error().unwrap_or(0)),
        Ok(socket) => {
            let wire = Wire::new(socket, address);
            match timeout_at(by, wire.connected()).await {
                Ok(Ok(())) => Seen::Answered,
                Ok(Err(error)) => match (wire.icmp_errors(), error.raw_os_error()) {
                    (None | Some(None), Some(libc::ECONNREFUSED)) => Seen::Refused,
                    (queued, _) => seen(address.ip(), queued, &error),
                },
                Err(_) => Seen::Silent,
            }
        }
    };
    sign(looked_at, found, began)
}

async fn udp(address: SocketAddr, by: Instant) -> Sign {
    let began = Instant::now();
    let to = SocketAddr::new(address.ip(), UDP_PORT);
    let found = send_datagram(to, by)
        .await
        .unwrap_or_else(|error| Seen::Failed(error.raw_os_error().unwrap_or(0)));
    sign(LookedAt::Udp(UDP_PORT), found, began)
}

async fn send_datagram(to: SocketAddr, by: Instant) -> io::Result<Seen> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    error_queue::want(&socket, to.is_ipv6(), true);
    socket.connect(&to.into())?;
    socket.send(&[])?;
    let socket = wait_on(socket)?;
    let mut byte = [0; 1];
    Ok(match hear(&socket, &mut byte, by).await {
        Heard::Bytes(_) => Seen::Answered,
        Heard::Error(error) => seen(to.ip(), error_queue::drain(&socket), &error),
        Heard::TimedOut => Seen::Silent,
    })
}
