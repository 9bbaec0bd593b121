//! From an endpoint to a connected socket: the name's addresses in order, each with a hop of its own.
//!
//! An address that fails is left at once for the next. One that stays silent gets its share of the connect budget, so
//! that the addresses behind it have their turn (the sequential form of RFC 8305, section 5).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::model::attempt::{AddressSource, Call, ConnectFacts, Role, Trouble};
use crate::model::dependency::{Endpoint, ResolveSettings};
use crate::model::phase::Phase;

use super::budget::Deadline;
use super::error_queue;
use super::neighbours;
use super::run::{Halt, HopIndex, Run, halt, halt_by};
use super::stream::Wire;

/// At most so many addresses of one name are tried.
const MAX_ADDRESSES: usize = 8;

/// Whom to connect to, and as what it is reported.
pub(crate) struct Dial<'a> {
    pub url: Arc<str>,
    pub role: Role,
    pub endpoint: &'a Endpoint,
    pub resolve: &'a ResolveSettings,
    /// This address and no other; nothing is looked up.
    pub only: Option<SocketAddr>,
}

/// Resolves and connects. The hop is that of the address that answered, or of the last one that did not.
pub(crate) async fn dial(run: &mut Run<'_>, dial: Dial<'_>) -> Result<(Arc<Wire>, HopIndex), Halt> {
    let mut hop = run.add_hop(dial.url.clone(), dial.role);
    let addresses = match dial.only {
        Some(address) => vec![address],
        None => resolve(run, hop, &dial).await?,
    };
    let began = Instant::now();
    let whole = run.end.phase(began, run.timeouts().connect);
    let mut left = addresses.len();
    for address in addresses {
        run.hop(hop).address = Some(address);
        let deadline = share(whole, left);
        left -= 1;
        let failed = match connect(run, hop, address, deadline).await {
            Ok(wire) => return Ok((wire, hop)),
            Err(stop) => stop,
        };
        if left == 0 || is_ours(&failed.trouble) || Instant::now() >= whole.at {
            return Err(failed);
        }
        run.hop(hop).stop = Some(failed);
        hop = run.add_hop(dial.url.clone(), dial.role);
    }
    // Not reached: the list is not empty, and its last address returns above.
    Err(halt(Phase::Connect, hop, Trouble::NoAddress))
}

pub(crate) async fn resolve(
    run: &mut Run<'_>,
    hop: HopIndex,
    dial: &Dial<'_>,
) -> Result<Vec<SocketAddr>, Halt> {
    let began = Instant::now();
    let deadline = run.end.phase(began, run.timeouts().resolve);
    let resolver = &run.world.resolver;
    // The resolver keeps to the deadline by itself; the bound is for what it cannot interrupt.
    let found = deadline
        .bound(resolver.resolve(&dial.endpoint.host, dial.resolve, deadline.at))
        .await;
    let resolution = match found {
        Ok(resolution) => resolution,
        Err(budget) => {
            run.spent(hop, Phase::Resolve, began);
            return Err(halt(Phase::Resolve, hop, Trouble::TimedOut(budget)));
        }
    };
    // An address is not looked up: the phase was not reached.
    if !matches!(
        resolution.source,
        AddressSource::Literal | AddressSource::Configured
    ) {
        run.spent(hop, Phase::Resolve, began);
    }
    let addresses: Vec<SocketAddr> = resolution
        .addresses
        .iter()
        .take(MAX_ADDRESSES)
        .map(|ip| SocketAddr::new(*ip, dial.endpoint.port))
        .collect();
    run.hop(hop).resolution = Some(Box::new(resolution));
    if addresses.is_empty() {
        // A phase that failed has begun, whatever spoke for the name.
        if run.hop(hop).phases.get(Phase::Resolve).is_none() {
            run.spent(hop, Phase::Resolve, began);
        }
        let trouble = if Instant::now() >= deadline.at {
            Trouble::TimedOut(deadline.of)
        } else {
            Trouble::NoAddress
        };
        return Err(halt(Phase::Resolve, hop, trouble));
    }
    Ok(addresses)
}

/// The part of the connect budget that the next of `left` addresses may use.
pub(crate) fn share(whole: Deadline, left: usize) -> Deadline {
    if left <= 1 {
        return whole;
    }
    let now = Instant::now();
    let remaining = whole.at.saturating_duration_since(now);
    let parts = u32::try_from(left).unwrap_or(u32::MAX);
    Deadline {
        at: now + remaining / parts,
        of: crate::model::attempt::Budget::Phase,
    }
    .min(whole)
}

/// Whether the failure lies on our side, so that another address would fail in the same way.
fn is_ours(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Io {
            errno: libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM,
            ..
        }
    )
}

async fn connect(
    run: &mut Run<'_>,
    hop: HopIndex,
    address: SocketAddr,
    deadline: Deadline,
) -> Result<Arc<Wire>, Halt> {
    let began = Instant::now();
    let socket = match begin_connect(address, run.segment) {
        Ok(socket) => socket,
        Err((call, err)) => {
            run.spent(hop, Phase::Connect, began);
            run.hop(hop).connect = Some(Box::new(refused_at_once(address, &err)));
            return Err(failed(hop, call, &err));
        }
    };
    let wire = Wire::new(socket, address);
    let waited = deadline.bound(wire.connected()).await;
    run.spent(hop, Phase::Connect, began);
    let stop = match waited {
        Ok(Ok(())) => {
            wire.stop_queueing_errors();
            return Ok(wire);
        }
        Ok(Err(err)) => failed(hop, Call::Connect, &err),
        Err(budget) => halt(Phase::Connect, hop, Trouble::TimedOut(budget)),
    };
    run.note_wire(hop, &wire);
    run.hop(hop).connect = Some(Box::new(ended_in_handshake(address, &wire)));
    Err(stop)
}

/// What there is to learn when connect(2) itself refuses.
fn refused_at_once(address: SocketAddr, err: &io::Error) -> ConnectFacts {
    // Out of ports and without an address of the family are the same errno. A datagram socket tells them apart: it
    // needs the same source address, and takes its port from a space of its own.
    let in_doubt = err.raw_os_error() == Some(libc::EADDRNOTAVAIL);
    ConnectFacts {
        at_once: true,
        has_source: in_doubt.then(|| has_source(address)),
        port_range: if in_doubt { port_range() } else { None },
        own_address: error_queue::is_own(address.ip()),
        ..ConnectFacts::default()
    }
}

fn has_source(address: SocketAddr) -> bool {
    let domain = Domain::for_address(address);
    let connected = Socket::new(domain, Type::DGRAM, None).and_then(|socket| socket.connect(&address.into()));
    !matches!(&connected, Err(err) if matches!(err.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENETUNREACH)))
}

/// `ip_local_port_range` of this network namespace; it holds for IPv6 too.
fn port_range() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What there is to learn when the handshake failed, or was given up.
fn ended_in_handshake(address: SocketAddr, wire: &Wire) -> ConnectFacts {
    let queue = wire.icmp_errors();
    let icmp = queue.flatten();
    ConnectFacts {
        queue_read: queue.is_some(),
        icmp,
        own_address: error_queue::is_own(address.ip()),
        // Only a neighbour that did not answer makes this host send the message to itself.
        route: icmp
            .filter(|icmp| icmp.from_this_host)
            .and_then(|_| neighbours::route(address.ip())),
        ..ConnectFacts::default()
    }
}

fn failed(hop: HopIndex, call: Call, err: &io::Error) -> Halt {
    let errno = err.raw_os_error().unwrap_or(0);
    halt_by(Phase::Connect, hop, Trouble::Io { call, errno }, err)
}

/// A socket whose handshake has begun. The error says which call failed.
pub(crate) fn begin_connect(
    address: SocketAddr,
    segment: Option<u16>,
) -> Result<TcpStream, (Call, io::Error)> {
    let domain = Domain::for_address(address);
    let socket = new_socket(domain).map_err(|err| (Call::Socket, err))?;
    socket.set_tcp_nodelay(true).map_err(|err| (Call::Socket, err))?;
    error_queue::want(&socket, address.is_ipv6(), true);
    if let Some(segment) = segment {
        // Before connect(2), so that the peer is told as well and keeps to it.
        socket
            .set_tcp_mss(segment.into())
            .map_err(|err| (Call::Socket, err))?;
    }
    match socket.connect(&address.into()) {
        Err(err) if err.raw_os_error() != Some(libc::EINPROGRESS) => return Err((Call::Connect, err)),
        _ => {}
    }
    TcpStream::from_std(socket.into()).map_err(|err| (Call::Socket, err))
}

/// Linux makes the socket non-blocking in the same call.
#[cfg(target_os = "linux")]
fn new_socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

#[cfg(not(target_os = "linux"))]
fn new_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Waits for the end of the TCP handshake.
pub(crate) async fn connected(tcp: &TcpStream) -> io::Result<()> {
    tcp.ready(Interest::WRITABLE).await?;
    match tcp.take_error()? {
        Some(err) => Err(err),
        None => Ok(()),
    }
}
