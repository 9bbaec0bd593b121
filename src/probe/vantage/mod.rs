//! One observation of ourselves: what the kernel says of our network, and whether the anchors answer.
//!
//! Anchors are asked all at once, by the same attempts as dependencies are. The first answer from beyond our own link
//! settles what the observation is for, so nobody waits for the others.

mod network;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::model::attempt::{Attempt, Budget, Outcome, Stop};
use crate::model::dependency::{Dependency, DependencyIndex};
use crate::model::order::{AttemptOrder, Connection, OperationId};
use crate::model::phase::Phase;
use crate::model::vantage::{NetworkFacts, VantageFacts, VantageOrder};

use super::World;

/// Where anchors were when they last answered: an anchor is asked whether the network works, not whether names resolve.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Arc<str>, SocketAddr>>);

impl Known {
    fn get(&self, anchor: &str) -> Option<SocketAddr> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(anchor).copied()
    }

    fn learn(&self, anchor: &Arc<str>, address: SocketAddr) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Arc::clone(anchor), address);
    }
}

/// What the kernel says of our network.
pub(crate) fn network() -> Option<NetworkFacts> {
    network::read()
}

/// Makes an observation, within its budget.
pub(crate) async fn observe(world: &World, order: &VantageOrder) -> VantageFacts {
    let network = network::read();
    let mut anchors = vec![None; order.anchors.len()];
    let asked = order.anchors.iter().enumerate();
    let mut asked: FuturesUnordered<_> = asked
        .map(|(place, anchor)| async move { (place, ask(world, anchor, order.budget).await) })
        .collect();
    while let Some((place, attempt)) = asked.next().await {
        let settled = attempt
            .as_deref()
            .is_some_and(|attempt| has_answered(attempt) && is_beyond(network.as_ref(), attempt));
        anchors[place] = attempt;
        if settled {
            break;
        }
    }
    VantageFacts { anchors, network }
}

/// One anchor. `None` when a bug of ours kept it from being asked.
async fn ask(world: &World, anchor: &Arc<Dependency>, budget: Duration) -> Option<Box<Attempt>> {
    let attempt = AssertUnwindSafe(by_name_and_address(world, anchor, budget)).catch_unwind();
    let attempt = attempt.await.ok()?;
    if has_answered(&attempt)
        && anchor.probe.endpoint().address().is_none()
        && let Some(address) = attempt.decisive_hop().and_then(|hop| hop.address)
    {
        world.known.learn(&anchor.name, address);
    }
    Some(Box::new(attempt))
}

/// Asks at the address where it last answered, and by its name as well, in case it has moved.
async fn by_name_and_address(world: &World, anchor: &Arc<Dependency>, budget: Duration) -> Attempt {
    let by_name = attempt(world, anchor, budget, Connection::Fresh);
    let Some(address) = world.known.get(&anchor.name) else {
        return by_name.await;
    };
    let at_address = attempt(world, anchor, budget, Connection::Address(address));
    tokio::pin!(by_name, at_address);
    tokio::select! {
        named = &mut by_name => if has_answered(&named) { named } else {
            let known = at_address.await;
            if has_answered(&known) || ended_in_resolve(&named) { known } else { named }
        },
        known = &mut at_address => if has_answered(&known) { known } else {
            let named = by_name.await;
            if has_answered(&named) || !ended_in_resolve(&named) { named } else { known }
        },
    }
}

async fn attempt(
    world: &World,
    anchor: &Arc<Dependency>,
    budget: Duration,
    connection: Connection,
) -> Attempt {
    let order = AttemptOrder {
        index: DependencyIndex(u32::MAX),
        dependency: Arc::clone(anchor),
        operation: OperationId(0),
        number: 1,
        connection,
        budget,
        budget_of: Budget::Attempt,
        leave_unheard: false,
    };
    super::attempt(world, &order).await
}

/// Whether bytes of its came back.
fn has_answered(attempt: &Attempt) -> bool {
    matches!(attempt.outcome, Outcome::Answered) || attempt.hops.iter().any(|hop| hop.received > 0)
}

fn ended_in_resolve(attempt: &Attempt) -> bool {
    attempt
        .stop()
        .is_some_and(|stop: &Stop| stop.phase == Some(Phase::Resolve))
}

/// Whether it is behind a router, so that its answer speaks for more than our own link.
fn is_beyond(network: Option<&NetworkFacts>, attempt: &Attempt) -> bool {
    let address: Option<IpAddr> = attempt
        .decisive_hop()
        .and_then(|hop| hop.address)
        .map(|address| address.ip());
    match (network, address) {
        (Some(network), Some(address)) => !network.is_own(address) && network.link_of(address).is_none(),
        (None, Some(address)) => !address.is_loopback(),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests;
