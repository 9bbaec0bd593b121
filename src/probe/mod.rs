//! Probes: one attempt each, its facts, and nothing decided.
//!
//! A [`Prober`] makes attempts and second looks as the engine orders them. Every connection is our own: nothing is
//! retried, pooled or sent again behind the engine's back.

mod auth;
mod budget;
mod confirm;
mod connect;
mod dialogue;
mod dns;
mod error_queue;
mod expect;
mod grpc;
pub mod host;
mod http;
mod icmp;
mod idle;
mod neighbours;
mod pool;
mod proxy;
mod resolve;
mod run;
mod secure;
mod stream;
mod tcp;
mod tcp_info;
#[cfg(test)]
mod tests;
mod tls;
mod vantage;
mod websocket;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::model::attempt::{Attempt, Confirmation, ConfirmationResult, Outcome, Stop, Trouble, Unexpected};
use crate::model::dependency::{CertExpect, Expect, Probe};
use crate::model::evidence::Evidence;
use crate::model::idle::IdleRound;
use crate::model::order::{AttemptOrder, ConfirmationOrder, IdleOrder};
use crate::model::phase::Phase;
use crate::model::vantage::{VantageFacts, VantageOrder};
use crate::net::sanitize::foreign_text;
use crate::net::secret::Secrets;
use crate::net::wall;

use auth::Tokens;
use dialogue::PatternCache;
use http::prepared::PreparedCache;
use pool::Pool;
use resolve::Resolver;
use run::{Halt, Run, halt};
use tls::TlsClients;

/// Makes attempts and second looks. Cheap to clone; the clones share everything.
#[derive(Clone)]
pub struct Prober(Arc<World>);

/// What attempts share.
pub(crate) struct World {
    resolver: Resolver,
    tls: TlsClients,
    secrets: Secrets,
    pool: Pool,
    prepared: PreparedCache,
    tokens: Tokens,
    known: vantage::Known,
    patterns: PatternCache,
}

impl Default for Prober {
    fn default() -> Self {
        Prober::new()
    }
}

impl Prober {
    pub fn new() -> Prober {
        Prober(Arc::new(World {
            resolver: Resolver::new(),
            tls: TlsClients::new(),
            secrets: Secrets::new(),
            pool: Pool::default(),
            prepared: PreparedCache::default(),
            tokens: Tokens::default(),
            known: vantage::Known::default(),
            patterns: PatternCache::default(),
        }))
    }

    /// Makes one attempt. It ends within the order's budget, and a bug of ours is an attempt that says so.
    pub async fn attempt(&self, order: &AttemptOrder) -> Attempt {
        attempt(&self.0, order).await
    }

    /// Makes one second look, within its budget.
    pub async fn confirm(&self, order: &ConfirmationOrder) -> Confirmation {
        let looking = AssertUnwindSafe(confirm::confirm(&self.0, order)).catch_unwind();
        looking.await.unwrap_or_else(|panic| Confirmation {
            elapsed: std::time::Duration::ZERO,
            result: ConfirmationResult::NotDone(panic_text(&*panic)),
            evidence: Evidence::new(),
        })
    }

    /// Looks at our own network and asks the anchors, within the order's budget.
    pub async fn observe(&self, order: &VantageOrder) -> VantageFacts {
        vantage::observe(&self.0, order).await
    }

    /// Whether connections are kept between operations at all; closes those that are when not.
    pub fn keep_connections(&self, keep: bool) {
        self.0.pool.keep(keep);
    }

    /// Makes one round of an idle measurement, which takes as long as its longest rung.
    pub async fn idle_round(&self, order: &IdleOrder) -> IdleRound {
        let round = AssertUnwindSafe(idle::round(&self.0, order)).catch_unwind();
        round
            .await
            .unwrap_or_else(|panic| IdleRound::NotMade(panic_text(&*panic)))
    }

    /// Forgets what is kept for a dependency that was removed or changed: its parked connection above all.
    pub fn forget(&self, dependency: &str) {
        self.0.pool.forget(dependency);
        self.0.prepared.forget(dependency);
        self.0.patterns.forget(dependency);
    }

    /// How many connections are kept.
    pub fn parked(&self) -> usize {
        self.0.pool.len()
    }
}

/// Makes one attempt; a panic inside becomes its outcome.
pub(crate) async fn attempt(world: &World, order: &AttemptOrder) -> Attempt {
    if let Probe::Dns(probe) = &order.dependency.probe {
        let mut run = Run::new(world, order);
        let asked = AssertUnwindSafe(dns::attempt(probe, order, &world.resolver)).catch_unwind();
        return match asked.await {
            Ok(attempt) => attempt,
            Err(panic) => {
                run.hops.clear();
                run.finish(Outcome::Stopped(panicked(&*panic)))
            }
        };
    }
    let mut run = Run::new(world, order);
    // The run is plain data: what a panic leaves of it is still true.
    let done = AssertUnwindSafe(go(&mut run)).catch_unwind().await;
    let outcome = match done {
        Ok(Ok(())) => Outcome::Answered,
        Ok(Err(stop)) => Outcome::Stopped(stop),
        Err(panic) => Outcome::Stopped(panicked(&*panic)),
    };
    run.finish(outcome)
}

/// Makes the attempt that the run was begun for.
pub(crate) async fn go(run: &mut Run<'_>) -> Result<(), Halt> {
    let of_http = |expect: &'_ Expect| (expect.latency, expect.cert.clone());
    let (result, (latency, cert)) = match &run.order.dependency.probe {
        Probe::Icmp(probe) => (icmp::attempt(run, probe).await, (probe.latency, None)),
        Probe::Grpc(probe) => (grpc::attempt(run, probe).await, of_http(&probe.http.expect)),
        Probe::WebSocket(probe) => (websocket::attempt(run, probe).await, of_http(&probe.http.expect)),
        Probe::Dialogue(probe) => (
            dialogue::attempt(run, probe).await,
            (probe.latency, probe.cert.clone()),
        ),
        Probe::Http(probe) => return http::attempt(run, probe).await,
        Probe::Tcp(probe) => return connect::tcp(run, probe).await,
        Probe::Tls(probe) => return connect::tls(run, probe).await,
        // Made by its own room, before this is called.
        Probe::Dns(_) => return Ok(()),
    };
    result?;
    verify(run, latency, cert.as_deref())
}

/// Holds what an answered probe took and showed against what the user expects.
fn verify(run: &mut Run<'_>, latency: Option<Duration>, cert: Option<&CertExpect>) -> Result<(), Halt> {
    if latency.is_none() && cert.is_none() {
        return Ok(());
    }
    let (began, got) = (Instant::now(), run.elapsed());
    let hop = run.hops.len().saturating_sub(1);
    let chain = run.hop(hop).tls.as_ref().map(|tls| &tls.chain);
    let unexpected = cert
        .zip(chain)
        .and_then(|(wanted, chain)| expect::certificates(wanted, chain, wall::now()))
        .or_else(|| {
            let limit = latency.filter(|limit| got > *limit)?;
            Some(Unexpected::Latency { got, limit })
        });
    run.spent(hop, Phase::Verify, began);
    match unexpected {
        Some(unexpected) => Err(halt(Phase::Verify, hop, Trouble::Unexpected(unexpected))),
        None => Ok(()),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Box<Stop> {
    let text = panic_text(panic);
    Box::new(Stop {
        phase: None,
        hop: None,
        trouble: Trouble::Panicked(text.clone()),
        chain: vec![text],
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> Box<str> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    foreign_text(text.as_bytes(), 200)
}
