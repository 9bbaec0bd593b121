//! A ClientHello to a port that did not understand plain HTTP.

use std::net::SocketAddr;

use crate::model::attempt::{ConfirmationResult, Role};
use crate::model::dependency::{ResolveSettings, Scheme};
use crate::model::evidence::Evidence;
use crate::model::order::AttemptOrder;

use super::not_done;
use super::other_scheme::status_by;
use crate::probe::World;
use crate::probe::run::Run;
use crate::probe::stream::{Layers, Stream};
use crate::probe::tcp::{Dial, dial};
use crate::probe::tls::client_hello_probe;

/// Whether the peer answers a ClientHello with TLS, and then how it answers by HTTPS.
pub(super) async fn client_hello(
    world: &World,
    order: &AttemptOrder,
    address: SocketAddr,
    evidence: &mut Evidence,
) -> ConfirmationResult {
    let mut run = Run::new(world, order);
    let endpoint = order.dependency.probe.endpoint();
    let to = Dial {
        url: order.dependency.probe.target().into(),
        role: Role::Target,
        endpoint,
        resolve: &ResolveSettings::default(),
        only: Some(address),
    };
    let Ok((wire, _)) = dial(&mut run, to).await else {
        return not_done("no connection for the ClientHello");
    };
    let deadline = run.deadline(run.timeouts().tls);
    let io = Layers::Plain(Stream::new(wire));
    let spoke_tls = client_hello_probe(io, &endpoint.host, deadline.at).await;
    if spoke_tls && let Some((url, Some(status))) = status_by(world, order, Scheme::Https, true).await {
        evidence.set("answers_at", &*url);
        evidence.set("answers_with", status);
    }
    ConfirmationResult::ClientHello { spoke_tls }
}
