//! Addresses, each asked on its own, as far as the dependency's request may be repeated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::model::attempt::Attempt;
use crate::model::dependency::{Dependency, Probe, Scheme, Security, TcpProbe, TlsProbe};
use crate::model::looks::{AddressTrial, Depth, Trial};
use crate::model::order::{AttemptOrder, Connection};

use crate::probe::World;

/// How often an address is asked before anything is said of it.
const ROUNDS: u8 = 2;
/// Working addresses that are asked again beside those that failed: as a control of the moment, not for their own sake.
const CONTROLS: usize = 2;

/// Asks all of them at once; and where some answered and others did not, those that did not once more, with a few of the
/// others beside them.
pub(super) async fn ask_each(
    world: &World,
    order: &AttemptOrder,
    addresses: &[SocketAddr],
) -> (Depth, Vec<AddressTrial>) {
    let (dependency, depth) = repeatable(&order.dependency);
    let order = AttemptOrder {
        dependency,
        ..order.clone()
    };
    let end = Instant::now() + order.budget;
    let mut trials: Vec<AddressTrial> = addresses.iter().map(|address| untried(*address)).collect();
    let everyone: Vec<usize> = (0..trials.len()).collect();
    ask(world, &order, end, (&everyone, &mut trials)).await;
    for _ in 1..ROUNDS {
        let (good, bad): (Vec<usize>, Vec<usize>) =
            (0..trials.len()).partition(|place| trials[*place].answered == trials[*place].asked);
        if good.is_empty() || bad.is_empty() || Instant::now() >= end {
            break;
        }
        let again: Vec<usize> = bad.into_iter().chain(good.into_iter().take(CONTROLS)).collect();
        ask(world, &order, end, (&again, &mut trials)).await;
    }
    (depth, trials)
}

fn untried(address: SocketAddr) -> AddressTrial {
    AddressTrial {
        address,
        asked: 0,
        answered: 0,
        elapsed: Duration::ZERO,
        status: None,
        certificate: None,
        attempts: Vec::new(),
        verdict: Trial::Unsettled,
    }
}

/// One round. A round leaves half of the time for one after it.
async fn ask(
    world: &World,
    order: &AttemptOrder,
    end: Instant,
    (places, trials): (&[usize], &mut [AddressTrial]),
) {
    let remaining = end.saturating_duration_since(Instant::now());
    let is_first = trials.iter().all(|trial| trial.asked == 0);
    let budget = if is_first { remaining / 2 } else { remaining };
    let asked = places.iter().map(|place| {
        let order = AttemptOrder {
            connection: Connection::Address(trials[*place].address),
            budget,
            ..order.clone()
        };
        async move { (*place, crate::probe::attempt(world, &order).await) }
    });
    for (place, attempt) in join_all(asked).await {
        note(&mut trials[place], attempt);
    }
}

fn note(trial: &mut AddressTrial, attempt: Attempt) {
    trial.asked += 1;
    trial.answered += u8::from(attempt.stop().is_none());
    trial.elapsed = attempt.elapsed;
    trial.status = attempt.status().or(trial.status);
    let chains = attempt.hops.iter().filter_map(|hop| hop.tls.as_deref());
    let leaf = chains.filter_map(|tls| tls.chain.first()).next();
    if let Some(leaf) = leaf {
        trial.certificate = Some(leaf.fingerprint.clone());
    }
    trial.attempts.push(attempt);
}

/// The dependency as it may be asked several times over: on connections of its own that are not kept, and, where what it
/// says may change something, only until the connection stands.
fn repeatable(dependency: &Arc<Dependency>) -> (Arc<Dependency>, Depth) {
    let harmless = is_harmless(&dependency.probe);
    if harmless && !dependency.keepalive.reuse {
        return (Arc::clone(dependency), Depth::Probe);
    }
    let mut copy = Dependency::clone(dependency);
    copy.keepalive.reuse = false;
    if harmless {
        return (Arc::new(copy), Depth::Probe);
    }
    copy.probe = connecting(&dependency.probe);
    (Arc::new(copy), Depth::Connection)
}

fn is_harmless(probe: &Probe) -> bool {
    match probe {
        Probe::Http(http) => matches!(&*http.method, "GET" | "HEAD" | "OPTIONS"),
        // Failed logins add up to a locked account.
        Probe::Dialogue(dialogue) => probe.is_idempotent() && dialogue.login.is_none(),
        _ => probe.is_idempotent(),
    }
}

fn connecting(probe: &Probe) -> Probe {
    let endpoint = probe.endpoint().clone();
    let resolve = probe.resolve().cloned().unwrap_or_default();
    let tls = match probe {
        Probe::Dialogue(dialogue) if dialogue.security == Security::Implicit => {
            Some((&dialogue.tls, dialogue.cert.clone()))
        }
        _ => {
            let https = probe.http().filter(|http| http.url.scheme == Scheme::Https);
            https.map(|http| (&http.tls, http.expect.cert.clone()))
        }
    };
    match tls {
        None => Probe::Tcp(TcpProbe {
            endpoint,
            resolve,
            proxy: None,
        }),
        Some((tls, cert)) => Probe::Tls(TlsProbe {
            endpoint,
            resolve,
            tls: tls.clone(),
            proxy: None,
            cert,
        }),
    }
}
