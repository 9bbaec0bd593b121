//! What is announced in a Kubernetes cluster: one file for each role, which makes targets of objects; followers that list and
//! watch them; a store that puts together what they have seen.
//!
//! Least privilege: `list` and `watch` on what the roles look at, and nothing else; in the named namespaces alone where
//! there are such. A kind that may not be listed, or is not served, troubles its role only.

mod access;
mod announce;
mod follow;
mod http_routes;
mod ingresses;
mod object;
mod probes;
mod rights;
mod services;
mod store;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::access::Access;
use self::announce::Context;
use self::follow::{Keep, PACE, Scope, Told, follow};
use self::http_routes::{GatewaySpec, RouteSpec};
use self::ingresses::IngressSpec;
use self::object::{GATEWAY, HTTP_ROUTE, INGRESS, Kind, Lenient, SERVICE, Seen};
use self::probes::ProbeSpec;
use self::services::ServiceSpec;
use self::store::{Kept, Store};
use crate::model::discovery::{KubernetesRole, KubernetesSource, Target, Update};

pub use self::announce::ANNOTATIONS;
pub use self::object::Kind as ResourceKind;
pub use self::probes::modules;
pub use self::rights::{Need, VERBS, needs, rule};

/// Changes come in swarms: they are told when none has come for this long, and after the second time in any case.
const QUIET: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_millis(500);
/// News of followers that may wait.
const QUEUE: usize = 256;

/// Looks for ever, or until nobody listens any more. What cannot be looked at keeps what was found of it before.
pub async fn run(
    name: Arc<str>,
    source: Box<KubernetesSource>,
    before: Arc<[Target]>,
    updates: mpsc::Sender<Update>,
) {
    let (tell, told) = mpsc::channel(QUEUE);
    let context = Arc::new(Context::new(Arc::clone(&source.prefix)));
    let mut source = Watched {
        access: Arc::new(Access::new(source.kubeconfig.clone())),
        store: Store::new(Arc::clone(&context), before),
        followers: JoinSet::new(),
        scopes: 0,
        ingresses_for_probes: false,
        context,
        source,
        tell,
    };
    source.follow_roles();
    source.run(&name, told, &updates).await;
}

struct Watched {
    source: Box<KubernetesSource>,
    context: Arc<Context>,
    access: Arc<Access>,
    store: Store,
    followers: JoinSet<()>,
    scopes: usize,
    ingresses_for_probes: bool,
    tell: mpsc::Sender<Told>,
}

impl Watched {
    fn follow_roles(&mut self) {
        for role in Arc::clone(&self.source.roles).iter().copied() {
            match role {
                KubernetesRole::Services => self.follow::<ServiceSpec>(SERVICE, false, |context, service| {
                    found(services::found(context, &service))
                }),
                KubernetesRole::Ingresses => {
                    self.follow::<IngressSpec>(INGRESS, false, |context, ingress| {
                        found(ingresses::found(context, &ingress))
                    })
                }
                KubernetesRole::HttpRoutes => {
                    self.follow::<Lenient<RouteSpec>>(HTTP_ROUTE, false, |context, route| {
                        let asks = announce::Announced::read(&route, &context.prefix);
                        (!matches!(asks, Ok(None))).then(|| Kept::Route(Box::new(route)))
                    });
                    self.follow::<Lenient<GatewaySpec>>(GATEWAY, true, |_, gateway| {
                        Some(Kept::Gateway(Box::new(gateway)))
                    });
                }
                KubernetesRole::Probes => {
                    self.follow::<Lenient<ProbeSpec>>(object::PROBE, false, |_, probe| {
                        Some(Kept::Probe(Box::new(probe)))
                    })
                }
            }
        }
    }

    /// Follows a kind in each namespace, or in all at once. The selector is for what is announced, and not for what is only
    /// looked up beside it.
    fn follow<S>(&mut self, kind: Kind, beside: bool, keep: fn(&Context, Seen<S>) -> Option<Kept>)
    where
        S: DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    {
        let named = self.source.namespaces.iter().cloned().map(Some);
        let mut namespaces: Vec<Option<Arc<str>>> = named.collect();
        if namespaces.is_empty() {
            namespaces.push(None);
        }
        for namespace in namespaces {
            let scope = Scope {
                index: self.scopes,
                kind,
                namespace,
                selector: self.source.selector.clone().filter(|_| !beside),
            };
            self.scopes += 1;
            self.store.expect(scope.clone(), beside);
            let context = Arc::clone(&self.context);
            let keep: Keep<S> = Box::new(move |object| keep(&context, object));
            self.followers.spawn(follow(
                scope,
                Arc::clone(&self.access),
                PACE,
                keep,
                self.tell.clone(),
            ));
        }
    }

    async fn run(&mut self, name: &Arc<str>, mut told: mpsc::Receiver<Told>, updates: &mpsc::Sender<Update>) {
        // When the first untold change came, and the last one.
        let mut untold: Option<(Instant, Instant)> = None;
        loop {
            let due = untold.map(|(first, last)| (last + QUIET).min(first + AT_MOST));
            // Once it has ended, what comes next is told as it comes.
            let patience = self.store.patience_ends().filter(|end| *end > Instant::now());
            let due = match (due, patience) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let ended = tokio::select! {
                Some(one) = told.recv() => {
                    self.store.take(one);
                    self.look_up_ingresses();
                    let now = Instant::now();
                    untold = Some((untold.map_or(now, |(first, _)| first), now));
                    continue;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => false,
                () = updates.closed() => true,
            };
            if ended {
                return;
            }
            untold = None;
            for news in self.store.news(Instant::now()) {
                let update = Update {
                    source: Arc::clone(name),
                    news,
                };
                if updates.send(update).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Ingresses are looked up for Probes only once there is a Probe that speaks of them: it takes a right of its own.
    fn look_up_ingresses(&mut self) {
        if !self.ingresses_for_probes && self.store.wants_ingresses() {
            self.ingresses_for_probes = true;
            self.follow::<IngressSpec>(INGRESS, true, |_, ingress| Some(Kept::Ingress(Box::new(ingress))));
        }
    }
}

fn found(found: announce::Found) -> Option<Kept> {
    (!found.is_empty()).then(|| Kept::Found(Box::new(found)))
}
