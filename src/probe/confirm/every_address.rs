//! Every address of the dependency, of one family or both.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::attempt::ConfirmationResult;
use crate::model::dependency::{Family, Probe, ResolveSettings};
use crate::model::looks::AddressesAsked;
use crate::model::order::AttemptOrder;

use super::trial::ask_each;
use crate::probe::World;

/// Addresses asked at most. More do not belong to one dependency but to a network of them.
const ADDRESSES: usize = 12;

pub(super) async fn every_address(world: &World, order: &AttemptOrder, family: Family) -> ConfirmationResult {
    let began = Instant::now();
    let mut addresses = addresses(world, order, family).await;
    let left_out = addresses.len().saturating_sub(ADDRESSES);
    addresses.truncate(ADDRESSES);
    let order = AttemptOrder {
        budget: order.budget.saturating_sub(began.elapsed()),
        ..order.clone()
    };
    let (depth, trials) = match addresses.len() {
        // It would say no more than the attempt did.
        0 | 1 => Default::default(),
        _ => ask_each(world, &order, &addresses).await,
    };
    ConfirmationResult::EveryAddress(Box::new(AddressesAsked {
        name: host(&order.dependency.probe),
        depth,
        trials,
        left_out,
    }))
}

async fn addresses(world: &World, order: &AttemptOrder, family: Family) -> Vec<SocketAddr> {
    let probe = &order.dependency.probe;
    let settings = ResolveSettings {
        family,
        ..probe.resolve().cloned().unwrap_or_default()
    };
    let endpoint = probe.endpoint();
    let by = Instant::now() + order.dependency.timeouts.resolve.min(order.budget / 3);
    let found = world.resolver.resolve(&endpoint.host, &settings, by).await;
    let port = endpoint.port;
    let addresses = found.addresses.into_iter();
    addresses.map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The name that is looked up.
pub(super) fn host(probe: &Probe) -> Arc<str> {
    Arc::clone(&probe.endpoint().host)
}
