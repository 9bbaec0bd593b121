//! The other spellings of a URL that was not found.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use tokio::time::Instant;

use crate::model::attempt::{ConfirmationResult, Role};
use crate::model::dependency::{Dependency, Endpoint, HttpProbe, HttpUrl, Probe, Scheme};
use crate::model::order::AttemptOrder;

use super::not_done;
use crate::probe::World;
use crate::probe::http::exchange::{Ask, ask};
use crate::probe::http::prepared::Target;
use crate::probe::run::Run;

/// Asks for the other spellings of the URL.
pub(super) async fn variants_that_answer(world: &World, order: &AttemptOrder) -> ConfirmationResult {
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
pub(super) async fn status_of(
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
        if let Some(value) = crate::probe::auth::authorization(&mut run, probe).await.ok()? {
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
