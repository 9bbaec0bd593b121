//! The same request on a fresh connection.

use std::net::SocketAddr;

use crate::model::attempt::ConfirmationResult;
use crate::model::evidence::Evidence;
use crate::model::order::{AttemptOrder, Connection};

use super::not_done;
use crate::probe::World;

/// The same attempt on a fresh connection to that address.
pub(super) async fn fresh_connection(
    world: &World,
    mut order: AttemptOrder,
    address: SocketAddr,
    evidence: &mut Evidence,
) -> ConfirmationResult {
    if !order.dependency.probe.is_idempotent() {
        return not_done("the request is not idempotent");
    }
    order.connection = Connection::Address(address);
    let attempt = crate::probe::attempt(world, &order).await;
    evidence.set("fresh_address", address);
    evidence.set("fresh_elapsed", attempt.elapsed);
    evidence.set_some("fresh_status", attempt.status());
    // Whatever the answer says, the connection carried it.
    let worked = attempt.stop().is_none() || attempt.status().is_some();
    ConfirmationResult::FreshConnection { worked }
}
