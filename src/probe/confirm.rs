//! Second looks: what the engine asks for to tell apart what one attempt cannot.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use tokio::time::Instant;

use crate::model::attempt::{Budget, Confirmation, ConfirmationResult, Role};
use crate::model::dependency::{Dependency, Endpoint, HttpProbe, HttpUrl, Probe, Scheme};
use crate::model::evidence::Evidence;
use crate::model::order::{AttemptOrder, ConfirmationKind, ConfirmationOrder, Connection};

use super::World;
use super::http::exchange::{Ask, ask};
use super::http::prepared::Target;
use super::run::Run;
use super::stream::{Layers, Stream};
use super::tcp::{Dial, dial};
use super::tls::client_hello_probe;

/// Makes a second look. It ends within its budget.
pub(crate) async fn confirm(world: &World, order: &ConfirmationOrder) -> Confirmation {
    let began = Instant::now();
    let mut evidence = Evidence::new();
    let attempt = AttemptOrder {
        index: order.index,
        dependency: order.dependency.clone(),
        operation: order.operation,
        number: 1,
        connection: Connection::Fresh,
        budget: order.budget,
        budget_of: Budget::Attempt,
    };
    let result = match &order.kind {
        ConfirmationKind::NotFoundVariants => not_found_variants(world, &attempt).await,
        ConfirmationKind::ClientHello(address) => client_hello(world, &attempt, *address).await,
        ConfirmationKind::FreshConnection(address) => {
            fresh_connection(world, attempt, *address, &mut evidence).await
        }
    };
    Confirmation {
        elapsed: began.elapsed(),
        result,
        evidence,
    }
}

/// The same attempt on a fresh connection to that address.
async fn fresh_connection(
    world: &World,
    mut order: AttemptOrder,
    address: SocketAddr,
    evidence: &mut Evidence,
) -> ConfirmationResult {
    if !order.dependency.probe.is_idempotent() {
        return not_done("the request is not idempotent");
    }
    order.connection = Connection::Address(address);
    let attempt = super::attempt(world, &order).await;
    evidence.set("fresh_address", address);
    evidence.set("fresh_elapsed", attempt.elapsed);
    evidence.set_some("fresh_status", attempt.status());
    // Whatever the answer says, the connection carried it.
    let worked = attempt.stop().is_none() || attempt.status().is_some();
    ConfirmationResult::FreshConnection { worked }
}

/// Whether the peer answers a ClientHello with TLS.
async fn client_hello(world: &World, order: &AttemptOrder, address: SocketAddr) -> ConfirmationResult {
    let mut run = Run::new(world, order);
    let endpoint = order.dependency.probe.endpoint();
    let to = Dial {
        url: order.dependency.probe.target().into(),
        role: Role::Target,
        endpoint,
        resolve: &crate::model::dependency::ResolveSettings::default(),
        only: Some(address),
    };
    let Ok((wire, _)) = dial(&mut run, to).await else {
        return not_done("no connection for the ClientHello");
    };
    let deadline = run.deadline(run.timeouts().tls);
    let io = Layers::Plain(Stream::new(wire));
    let spoke_tls = client_hello_probe(io, &endpoint.host, deadline.at).await;
    ConfirmationResult::ClientHello { spoke_tls }
}

/// Asks for the other spellings of the URL.
async fn not_found_variants(world: &World, order: &AttemptOrder) -> ConfirmationResult {
    let Probe::Http(probe) = &order.dependency.probe else {
        return not_done("not an HTTP probe");
    };
    if !matches!(&*probe.method, "GET" | "HEAD") {
        return not_done("the method is not safe");
    }
    let end = Instant::now() + order.budget;
    let mut found = Vec::new();
    for url in variants(&probe.url) {
        let shown = url.to_string().into();
        // They share the budget: one that stalls leaves nothing for the next.
        let mut order = order.clone();
        order.budget = end.saturating_duration_since(Instant::now());
        if let Some(status) = status_of(world, &order, (&order.dependency, probe), url).await {
            found.push((shown, status));
        }
    }
    ConfirmationResult::NotFoundVariants(found)
}

/// The path with or without its last slash, and the other scheme where both have their usual ports.
fn variants(url: &HttpUrl) -> Vec<HttpUrl> {
    let mut variants = Vec::new();
    if url.path.len() > 1 {
        let path = match url.path.strip_suffix('/') {
            Some(shorter) => shorter.to_owned(),
            None => format!("{}/", url.path),
        };
        variants.push(HttpUrl {
            path: path.into(),
            ..url.clone()
        });
    }
    if url.endpoint.port == url.scheme.default_port() {
        let scheme = match url.scheme {
            Scheme::Http => Scheme::Https,
            Scheme::Https => Scheme::Http,
        };
        variants.push(HttpUrl {
            scheme,
            endpoint: Endpoint {
                host: url.endpoint.host.clone(),
                port: scheme.default_port(),
            },
            ..url.clone()
        });
    }
    variants
}

/// The status with which a variant answers; `None` when it does not.
async fn status_of(
    world: &World,
    order: &AttemptOrder,
    of: (&Arc<Dependency>, &HttpProbe),
    url: HttpUrl,
) -> Option<u16> {
    let (dependency, probe) = of;
    let mut run = Run::new(world, order);
    let prepared = world.prepared.get(dependency, probe).ok()?;
    let target = Arc::new(Target::new(url).ok()?);
    // Secrets go to the dependency's own origin only.
    let mut headers = if target.same_origin(&prepared.target) {
        let mut headers = prepared.own_headers(&world.secrets).ok()?;
        if let Some(value) = super::auth::authorization(&mut run, probe).await.ok()? {
            headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        headers
    } else {
        prepared.open.clone()
    };
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    let request = Ask {
        target,
        role: Role::Target,
        method: prepared.method.clone(),
        headers,
        body: Bytes::new(),
        version: probe.version,
        proxy: probe.proxy.as_ref(),
        tls: Cow::Borrowed(&probe.tls),
        resolve: Cow::Borrowed(&probe.resolve),
        only: None,
        reuse: false,
        tunnelled: false,
    };
    let answer = ask(&mut run, &request).await.ok()?;
    Some(answer.parts.status.as_u16())
}

fn not_done(why: &str) -> ConfirmationResult {
    ConfirmationResult::NotDone(why.into())
}
