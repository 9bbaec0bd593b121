//! The `icmp://` probe: an echo request, and what comes back of it.
//!
//! Its phases: `resolve`, `connect` for making the socket, `request`, and `first_byte` until the answer.

mod error_queue;
mod packet;
mod socket;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::attempt::{Call, IcmpTrouble, Role, Trouble};
use crate::model::dependency::IcmpProbe;
use crate::model::order::Connection;
use crate::model::phase::Phase;

use super::budget::Deadline;
use super::run::{Halt, HopIndex, Run, halt, halt_by};
use super::tcp::{Dial, resolve, share};

use error_queue::Reported;
use packet::{Echo, PAYLOAD};
use socket::{EchoSocket, Event, NoSocket};

/// Asks each address of the name until one answers. An address that fails is a hop of its own.
pub(crate) async fn attempt(run: &mut Run<'_>, probe: &IcmpProbe) -> Result<(), Halt> {
    let url: Arc<str> = run.order.dependency.probe.target().into();
    let mut hop = run.add_hop(url.clone(), Role::Target);
    let addresses = match run.order.connection {
        Connection::Address(address) => vec![address],
        Connection::Reuse | Connection::Fresh => {
            let to = Dial {
                url: url.clone(),
                role: Role::Target,
                endpoint: &probe.endpoint,
                resolve: &probe.resolve,
                only: None,
            };
            resolve(run, hop, &to).await?
        }
    };
    let whole = run.deadline(run.timeouts().first_byte);
    let mut left = addresses.len();
    for address in addresses {
        run.hop(hop).address = Some(address);
        let deadline = share(whole, left);
        left -= 1;
        let failed = match echo(run, hop, (address, probe.packets), deadline).await {
            Ok(()) => return Ok(()),
            Err(stop) => stop,
        };
        let no_permission = matches!(failed.trouble, Trouble::Icmp(IcmpTrouble::NoPermission { .. }));
        if left == 0 || no_permission || Instant::now() >= whole.at {
            return Err(failed);
        }
        run.hop(hop).stop = Some(failed);
        hop = run.add_hop(url.clone(), Role::Target);
    }
    // Not reached: the list is not empty, and its last address returns above.
    Err(halt(Phase::Connect, hop, Trouble::NoAddress))
}

async fn echo(
    run: &mut Run<'_>,
    hop: HopIndex,
    (address, packets): (SocketAddr, u8),
    deadline: Deadline,
) -> Result<(), Halt> {
    let began = Instant::now();
    let opened = EchoSocket::open(address.ip());
    run.spent(hop, Phase::Connect, began);
    let socket = match opened {
        Ok(socket) => socket,
        Err(NoSocket::NoPermission { datagram, raw }) => {
            let trouble = Trouble::Icmp(IcmpTrouble::NoPermission { datagram, raw });
            return Err(halt(Phase::Connect, hop, trouble));
        }
        Err(NoSocket::Failed(call, err)) => {
            let errno = err.raw_os_error().unwrap_or(0);
            return Err(halt_by(Phase::Connect, hop, Trouble::Io { call, errno }, &err));
        }
    };
    let mut echo = Echo {
        family: socket.family(),
        identifier: socket.is_raw.then(|| RandomState::new().hash_one(address) as u16),
        sequence: 0,
        payload: payload(address.ip()),
    };
    for left in (1..=packets.max(1)).rev() {
        echo.sequence += 1;
        send(run, hop, &socket, &echo)?;
        let turn = share(deadline, usize::from(left));
        let began = Instant::now();
        let answered = turn.bound(answer(run, hop, &socket, &echo)).await;
        run.spent(hop, Phase::FirstByte, began);
        match answered {
            Ok(answered) => return answered,
            Err(budget) if left == 1 => return Err(halt(Phase::FirstByte, hop, Trouble::TimedOut(budget))),
            Err(_) => {}
        }
    }
    // Not reached: at least one packet is sent, and the last one returns above.
    Err(halt(Phase::FirstByte, hop, Trouble::TimedOut(deadline.of)))
}

fn send(run: &mut Run<'_>, hop: HopIndex, socket: &EchoSocket, echo: &Echo) -> Result<(), Halt> {
    let began = Instant::now();
    let sent = socket.send(&echo.request());
    run.spent(hop, Phase::Request, began);
    match sent {
        Ok(length) => {
            run.hop(hop).sent += length as u64;
            Ok(())
        }
        Err(err) => {
            let trouble = Trouble::Io {
                call: Call::Send,
                errno: err.raw_os_error().unwrap_or(0),
            };
            Err(halt_by(Phase::Request, hop, trouble, &err))
        }
    }
}

/// Waits for the answer to a request, or for an error in its place.
async fn answer(run: &mut Run<'_>, hop: HopIndex, socket: &EchoSocket, echo: &Echo) -> Result<(), Halt> {
    loop {
        let failed = match socket.next().await {
            Ok(Event::Message(message)) => {
                if echo.is_answered_by(&message) {
                    run.hop(hop).received += message.len() as u64;
                    return Ok(());
                }
                continue;
            }
            Ok(Event::Reported(reported)) if !says_unreachable(&reported) => continue,
            Ok(Event::Reported(Reported {
                kind, code, offender, ..
            })) => {
                let trouble = IcmpTrouble::Unreachable { kind, code, offender };
                return Err(halt(Phase::FirstByte, hop, Trouble::Icmp(trouble)));
            }
            Ok(Event::Failed(err)) | Err(err) => err,
        };
        let trouble = Trouble::Io {
            call: Call::Receive,
            errno: failed.raw_os_error().unwrap_or(0),
        };
        return Err(halt_by(Phase::FirstByte, hop, trouble, &failed));
    }
}

/// Whether a report means that the request did not arrive. A packet that is too large for a link cannot be meant: ours
/// are smaller than any.
fn says_unreachable(reported: &Reported) -> bool {
    reported.errno != libc::EMSGSIZE
}

/// Something that nobody else sends at this moment.
fn payload(address: IpAddr) -> [u8; PAYLOAD] {
    let mut payload = *b"whyd echo (health check)";
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(u64::from(std::process::id()));
    payload[..8].copy_from_slice(&(hasher.finish() ^ RandomState::new().hash_one(address)).to_be_bytes());
    payload
}

#[cfg(test)]
mod tests;
