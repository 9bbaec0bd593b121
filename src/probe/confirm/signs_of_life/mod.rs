//! Signs of life: a connection attempt got no answer; does anything else answer from that address?
//!
//! What is harmless is looked at always: this host's own tables, an ICMP echo, the same port once more, and (with the
//! privilege for raw sockets) whether our own packet leaves this host and whether the port's host answers a stray segment.
//! Other ports and a UDP datagram alarm intrusion detection, so that they are tried only where all is allowed.

mod echo;
mod listener;
mod packet;
mod ports;
mod segment;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::attempt::{ConfirmationResult, LookedAt, NeighbourState, Seen, Sign, SignsOfLife};
use crate::probe::{error_queue, neighbours};

/// How long an answer is waited for: several round trips of any sane path.
const PATIENCE: Duration = Duration::from_millis(1200);
/// How long a neighbour is given by the kernel, and the last router by its: three questions, a second apart, and some.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_millis(3300);
/// How often the neighbour table is looked at while it makes up its mind.
const STEP: Duration = Duration::from_millis(50);

/// Looks for signs of life of an address whose port did not answer.
pub(super) async fn signs_of_life(address: SocketAddr, all: bool, budget: Duration) -> ConfirmationResult {
    let began = Instant::now();
    let end = began + budget;
    let own_address = address.ip().is_loopback() || error_queue::is_own(address.ip());
    let mut found = SignsOfLife {
        own_address,
        route: neighbours::route(address.ip()),
        signs: Vec::new(),
    };
    if own_address {
        found.signs.push(listener::queue(address));
    }
    found.signs.push(segment::leaves(address));
    // Its answer may come late: the last router says that the host is gone only after three seconds.
    let again = tokio::spawn(ports::again(address, end.min(began + NEIGHBOUR_PATIENCE)));
    let by = end.min(began + PATIENCE);
    let (echo, stray, elsewhere) = tokio::join!(
        echo::echo(address.ip(), by),
        segment::stray(address, by),
        ports::elsewhere(address, all, by)
    );
    found.signs.push(echo);
    found.signs.extend(stray);
    found.signs.extend(elsewhere);
    if found.signs.iter().any(Sign::is_alive) || own_address {
        again.abort();
    } else {
        settle_neighbour(&mut found, address, end.min(began + NEIGHBOUR_PATIENCE)).await;
        if is_gone(&found) {
            again.abort();
        } else if let Ok(sign) = again.await {
            found.signs.push(sign);
        }
    }
    ConfirmationResult::SignsOfLife(Box::new(found))
}

/// Waits until the kernel knows whether the neighbour answers.
async fn settle_neighbour(found: &mut SignsOfLife, address: SocketAddr, by: Instant) {
    loop {
        found.route = neighbours::route(address.ip());
        let state = found
            .route
            .and_then(|route| route.neighbour)
            .map(|neighbour| neighbour.state);
        let unsettled = matches!(
            state,
            Some(NeighbourState::Incomplete | NeighbourState::Probing | NeighbourState::Stale)
        );
        if !unsettled || Instant::now() >= by {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
}

fn is_gone(found: &SignsOfLife) -> bool {
    let neighbour = found.route.and_then(|route| route.neighbour);
    neighbour.is_some_and(|neighbour| neighbour.state == NeighbourState::Failed)
}

fn sign(looked_at: LookedAt, seen: Seen, began: Instant) -> Sign {
    Sign {
        looked_at,
        seen,
        elapsed: began.elapsed(),
    }
}
