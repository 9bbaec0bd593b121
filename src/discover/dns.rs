//! SRV records (RFC 2782): the target and port of each is a target of ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::Telling;
use super::format::MOST_TARGETS;
use crate::model::discovery::{DnsSource, Target};

/// How long one server may take, and how often it is asked; both as resolv.conf(5) has them unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 2;
const DNS: u16 = 53;
/// MAXNS of resolv.conf(5).
const MOST_SERVERS: usize = 3;

/// Asks again and again until nobody listens any more. A name that nobody answers for keeps what was last answered, which is
/// in `before` at first.
pub async fn run(source: DnsSource, before: Arc<[Target]>, telling: Telling) {
    let mut kept = by_name(&source.names, &before);
    let mut ever = false;
    loop {
        let begun = Instant::now();
        let mut wrong = Vec::new();
        match resolver(&source.servers).await {
            Ok(resolver) => {
                for name in source.names.iter() {
                    match ask(&resolver, name).await {
                        Ok(targets) => {
                            ever = true;
                            kept.insert(Arc::clone(name), targets);
                        }
                        Err(why) => wrong.push(format!("{name}: {why}")),
                    }
                }
            }
            Err(why) => wrong.push(why),
        }
        let mut all: Vec<Target> = kept.values().flatten().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.truncate(MOST_TARGETS);
        // As long as nobody answered for any name, nothing was found: not even that there is nothing.
        let found = ever.then(|| all.into());
        if !telling.looked(found, &wrong).await {
            return;
        }
        tokio::time::sleep_until(begun + source.refresh).await;
    }
}

/// What was found before of these names.
fn by_name(names: &[Arc<str>], before: &[Target]) -> BTreeMap<Arc<str>, Vec<Target>> {
    let of = |name: &Arc<str>| {
        let own = before
            .iter()
            .filter(|target| target.id.split_once(' ').is_some_and(|(own, _)| *own == **name));
        (Arc::clone(name), own.cloned().collect())
    };
    names.iter().map(of).collect()
}

async fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let servers = if servers.is_empty() {
        let text = tokio::fs::read_to_string("/etc/resolv.conf").await;
        system_servers(&text.map_err(|error| format!("/etc/resolv.conf: {error}"))?)
    } else {
        servers.to_vec()
    };
    let server = |address: &SocketAddr| {
        let on_port = |mut connection: ConnectionConfig| {
            connection.port = address.port();
            connection
        };
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(on_port);
        NameServerConfig::new(address.ip(), true, connections.into())
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.edns0 = true;
    // Whether something has changed is what we ask for.
    options.cache_size = 0;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| error.to_string())
}

/// The nameservers of resolv.conf(5), which asks this host where it names none. Zones of addresses are not followed.
fn system_servers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|word| *word == "nameserver")
            .and(words.next())?;
        address.parse::<IpAddr>().ok()
    });
    let mut servers: Vec<SocketAddr> = named
        .take(MOST_SERVERS)
        .map(|address| SocketAddr::new(address, DNS))
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS));
    }
    servers
}

/// The targets of one name. That there is no such name, or no such record, is an answer: there are none.
async fn ask(resolver: &TokioResolver, name: &str) -> Result<Vec<Target>, String> {
    // With the dot at its end, so that no search domain is tried.
    let full = Name::from_ascii(format!("{name}.")).map_err(|error| error.to_string())?;
    let lookup = match resolver.lookup(full, RecordType::SRV).await {
        Ok(lookup) => lookup,
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            return Ok(Vec::new());
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            return Err(format!("the nameserver says {}", none.response_code));
        }
        Err(error) => return Err(error.to_string()),
    };
    let records = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => target(name, srv),
        _ => None,
    });
    let mut all: BTreeMap<Arc<str>, Target> = BTreeMap::new();
    for target in records {
        // One target may be named twice with other weights; the more preferred one counts.
        all.entry(Arc::clone(&target.id)).or_insert(target);
    }
    Ok(all.into_values().collect())
}

/// `None` for a target of ".", which says that the service is decidedly not there (RFC 2782, "Target").
fn target(name: &str, srv: &SRV) -> Option<Target> {
    if srv.target.is_root() {
        return None;
    }
    let with_dot = srv.target.to_ascii().to_ascii_lowercase();
    let host = with_dot.trim_end_matches('.');
    let address: Arc<str> = format!("{host}:{}", srv.port).into();
    let labels = [
        ("__meta_dns_name", name.to_owned()),
        ("__meta_dns_srv_record_target", format!("{host}.")),
        ("__meta_dns_srv_record_port", srv.port.to_string()),
        ("__meta_dns_srv_record_priority", srv.priority.to_string()),
        ("__meta_dns_srv_record_weight", srv.weight.to_string()),
    ];
    Some(Target {
        id: format!("{name} {address}").into(),
        place: format!("SRV {name}").into(),
        address,
        labels: labels.map(|(name, value)| (name.into(), value.into())).into(),
        settings: None,
    })
}

#[cfg(test)]
mod tests;
