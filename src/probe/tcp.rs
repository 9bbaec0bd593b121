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

use crate::model::attempt::{AddressSource, Call, Role, Trouble};
use crate::model::dependency::{Endpoint, ResolveSettings};
use crate::model::phase::Phase;

use super::budget::Deadline;
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
    let socket = match begin_connect(address) {
        Ok(socket) => socket,
        Err((call, err)) => {
            run.spent(hop, Phase::Connect, began);
            return Err(failed(hop, call, &err));
        }
    };
    let wire = Wire::new(socket, address);
    let waited = deadline.bound(wire.connected()).await;
    run.spent(hop, Phase::Connect, began);
    match waited {
        Ok(Ok(())) => Ok(wire),
        Ok(Err(err)) => {
            run.note_wire(hop, &wire);
            Err(failed(hop, Call::Connect, &err))
        }
        Err(budget) => {
            run.note_wire(hop, &wire);
            Err(halt(Phase::Connect, hop, Trouble::TimedOut(budget)))
        }
    }
}

fn failed(hop: HopIndex, call: Call, err: &io::Error) -> Halt {
    let errno = err.raw_os_error().unwrap_or(0);
    halt_by(Phase::Connect, hop, Trouble::Io { call, errno }, err)
}

/// A socket whose handshake has begun. The error says which call failed.
fn begin_connect(address: SocketAddr) -> Result<TcpStream, (Call, io::Error)> {
    let domain = Domain::for_address(address);
    let socket = new_socket(domain).map_err(|err| (Call::Socket, err))?;
    socket.set_tcp_nodelay(true).map_err(|err| (Call::Socket, err))?;
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
