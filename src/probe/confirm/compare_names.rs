//! Every source of the dependency's name, and what stands at the addresses on which they differ.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use crate::model::attempt::ConfirmationResult;
use crate::model::looks::{NamesCompared, Said, SourceAnswers};
use crate::model::order::AttemptOrder;

use super::every_address::host;
use super::not_done;
use super::trial::ask_each;
use crate::net::wall;
use crate::probe::World;

/// Addresses asked of one source, and in all.
const PER_SOURCE: usize = 3;
const IN_ALL: usize = 8;

/// Which C library speaks as "the system" here.
const SYSTEM_RESOLVER: &str = if cfg!(target_env = "musl") {
    "getaddrinfo of musl, which reads no nsswitch.conf"
} else if cfg!(target_env = "gnu") {
    "getaddrinfo of glibc, by nsswitch.conf"
} else {
    "getaddrinfo"
};

pub(super) async fn compare_names(world: &World, order: &AttemptOrder) -> ConfirmationResult {
    let probe = &order.dependency.probe;
    let name = host(probe);
    let Some(settings) = probe.resolve() else {
        return not_done("a nameserver's own name is not compared");
    };
    let began = Instant::now();
    // The addresses have their time after this.
    let by = began + order.budget / 2;
    let sources = world.resolver.sources(&name, settings, by).await;
    let disputed: Vec<SocketAddr> = disputed(&sources)
        .into_iter()
        .map(|ip| SocketAddr::new(ip, probe.endpoint().port))
        .collect();
    let order = AttemptOrder {
        budget: order.budget.saturating_sub(began.elapsed()),
        ..order.clone()
    };
    let (_, trials) = ask_each(world, &order, &disputed).await;
    ConfirmationResult::NamesCompared(Box::new(NamesCompared {
        own_name: is_own(&name),
        at: wall::now(),
        name,
        system_resolver: SYSTEM_RESOLVER,
        sources,
        trials,
    }))
}

/// Addresses of sources that contradict another one: they have no address in common, or the other has none at all.
fn disputed(sources: &[SourceAnswers]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for source in sources {
        let is_contradicted = sources.iter().any(|other| contradict(source, other));
        let news = source.addresses.iter().filter(|_| is_contradicted);
        for address in news.take(PER_SOURCE) {
            if addresses.len() < IN_ALL && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
    }
    addresses
}

fn contradict(one: &SourceAnswers, other: &SourceAnswers) -> bool {
    match (one.said, other.said) {
        (Said::Addresses, Said::Addresses) => !one
            .addresses
            .iter()
            .any(|address| other.addresses.contains(address)),
        (Said::Addresses, Said::Denied) | (Said::Denied, Said::Addresses) => true,
        _ => false,
    }
}

/// Whether it is this host's own name, whole or its first label.
fn is_own(name: &str) -> bool {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is ours and of that length.
    let code = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len()) };
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    let Ok(own) = std::str::from_utf8(&buffer[..end]) else {
        return false;
    };
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    code == 0 && !own.is_empty() && (name.eq_ignore_ascii_case(own) || first(name) == first(own))
}
