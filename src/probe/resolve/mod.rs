//! From names to addresses, with every answer of every nameserver kept.

mod conf;
pub(crate) mod exchange;
mod system;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{AddressSource, DnsReply, Resolution};
use crate::model::dependency::{Family, RecordType, ResolveSettings};

use conf::{SystemConf, SystemFiles};
use exchange::{Answered, Question, ask};

/// The least time that one nameserver gets before the next is asked.
const LEAST_SHARE: Duration = Duration::from_millis(200);

/// How often the system's resolver may be asked at once.
const SYSTEM_PLACES: usize = 32;

/// Resolves names as the system would, but with its own eyes.
#[derive(Debug)]
pub(crate) struct Resolver {
    files: SystemFiles,
    /// The system's resolver blocks a thread each time, for as long as it likes: an outage must not take them all.
    system_places: Semaphore,
}

impl Resolver {
    pub fn new() -> Self {
        Resolver::with_files("/etc/resolv.conf".into(), "/etc/hosts".into())
    }

    pub fn with_files(resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        Resolver {
            files: SystemFiles::new(resolv_conf, hosts),
            system_places: Semaphore::new(SYSTEM_PLACES),
        }
    }

    /// Never fails: without addresses, `answers` and `system` say why.
    ///
    /// The order: a literal address; configured addresses; the hosts file; the nameservers (the configured ones, or the
    /// system's with its search list); and, when the system's nameservers gave nothing, the system's own resolver.
    pub async fn resolve(&self, host: &str, settings: &ResolveSettings, deadline: Instant) -> Resolution {
        let mut resolution = Resolution {
            name: host.into(),
            source: AddressSource::Literal,
            addresses: Vec::new(),
            ttl: None,
            answers: Vec::new(),
            system: None,
        };
        if let Ok(address) = host.parse() {
            resolution.addresses = vec![address];
            return resolution;
        }
        if !settings.addresses.is_empty() {
            resolution.source = AddressSource::Configured;
            resolution.addresses = admitted(settings.addresses.iter().copied(), settings.family);
            return resolution;
        }
        if !settings.servers.is_empty() {
            let names = [absolute(host)];
            self.ask_servers(
                &names,
                &settings.servers,
                settings.family,
                deadline,
                &mut resolution,
            )
            .await;
            return resolution;
        }
        let conf = self.files.conf();
        let listed = admitted(conf.hosts_file(host).into_iter(), settings.family);
        if !listed.is_empty() {
            resolution.source = AddressSource::HostsFile;
            resolution.addresses = listed;
            return resolution;
        }
        let names = candidates(host, &conf);
        self.ask_servers(&names, &conf.servers, settings.family, deadline, &mut resolution)
            .await;
        if resolution.addresses.is_empty() {
            let answer = match timeout_at(deadline, self.system_places.acquire()).await {
                Ok(_place) => system::ask(host, settings.family, deadline).await,
                Err(_) => system::not_asked(),
            };
            if let Ok(addresses) = &answer.result
                && !addresses.is_empty()
            {
                resolution.source = AddressSource::System;
                resolution.addresses = addresses.clone();
            }
            resolution.system = Some(answer);
        }
        resolution
    }

    async fn ask_servers(
        &self,
        names: &[Option<Name>],
        servers: &[SocketAddr],
        family: Family,
        deadline: Instant,
        resolution: &mut Resolution,
    ) {
        resolution.source = AddressSource::Nameserver;
        for name in names.iter().flatten() {
            for (i, server) in servers.iter().enumerate() {
                let share = share(deadline, servers.len() - i);
                let (answers, settled) = both_families(*server, name, family, share).await;
                for answered in answers {
                    if let DnsReply::Records { ttl, .. } = &answered.answer.reply {
                        let ttl = Duration::from_secs(u64::from(*ttl));
                        resolution.ttl = Some(resolution.ttl.map_or(ttl, |least| least.min(ttl)));
                    }
                    resolution.addresses.extend(answered.addresses);
                    resolution.answers.push(answered.answer);
                }
                if settled || Instant::now() >= deadline {
                    break;
                }
            }
            if !resolution.addresses.is_empty() || Instant::now() >= deadline {
                break;
            }
        }
        resolution.addresses = interleaved(&resolution.addresses);
    }
}

/// The deadline of one server when `left` are still to be asked.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let remaining = deadline.saturating_duration_since(now);
    let share = remaining / u32::try_from(left).unwrap_or(u32::MAX).max(1);
    (now + share.max(LEAST_SHARE)).min(deadline)
}

/// A and AAAA at once. The flag says that the server settled the matter, so that no other need be asked.
///
/// When one has answered with records, the other may take half of the server's time and no more: the C library would
/// wait for it too, and a family whose queries vanish is worth knowing (`dns.aaaa_stalled`), but the answer that came
/// must leave time to be used.
async fn both_families(
    server: SocketAddr,
    name: &Name,
    family: Family,
    deadline: Instant,
) -> (Vec<Answered>, bool) {
    let question = |record, deadline| Question {
        server,
        name,
        record,
        over_tcp: false,
        deadline,
    };
    let now = Instant::now();
    let halfway = now + deadline.saturating_duration_since(now) / 2;
    let answers = match family {
        Family::Ipv4 => vec![ask(question(RecordType::A, deadline)).await],
        Family::Ipv6 => vec![ask(question(RecordType::AAAA, deadline)).await],
        Family::Any => {
            let (a, aaaa) = tokio::join!(
                ask(question(RecordType::A, halfway)),
                ask(question(RecordType::AAAA, halfway))
            );
            let silent = |answered: &Answered| matches!(answered.answer.reply, DnsReply::TimedOut);
            if silent(&a) && silent(&aaaa) {
                // Nobody answered: the other half of the time is theirs as well.
                let again = tokio::join!(
                    ask(question(RecordType::A, deadline)),
                    ask(question(RecordType::AAAA, deadline))
                );
                let elapsed = now.elapsed();
                let whole = |mut answered: Answered| {
                    answered.answer.elapsed = elapsed;
                    answered
                };
                vec![whole(again.1), whole(again.0)]
            } else {
                vec![aaaa, a]
            }
        }
    };
    let settled = answers.iter().any(|answered| match &answered.answer.reply {
        DnsReply::Records { .. } | DnsReply::NoData { .. } => true,
        DnsReply::Code { rcode, .. } => *rcode == 3,
        DnsReply::TimedOut | DnsReply::Io { .. } | DnsReply::Malformed(_) => false,
    });
    (answers, settled)
}

fn absolute(host: &str) -> Option<Name> {
    let mut name = Name::from_str(host).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The names to try, as resolv.conf(5) says: with enough dots the name itself comes first, otherwise the search list.
fn candidates(host: &str, conf: &SystemConf) -> Vec<Option<Name>> {
    let own = absolute(host);
    if host.ends_with('.') {
        return vec![own];
    }
    let searched = conf.search.iter().map(|domain| {
        let relative = Name::from_str(host).ok()?;
        let mut name = relative.append_domain(domain).ok()?;
        name.set_fqdn(true);
        Some(name)
    });
    let searched: Vec<_> = searched.collect();
    if host.matches('.').count() >= conf.ndots {
        std::iter::once(own).chain(searched).collect()
    } else {
        searched.into_iter().chain(std::iter::once(own)).collect()
    }
}

fn admitted(addresses: impl Iterator<Item = IpAddr>, family: Family) -> Vec<IpAddr> {
    addresses.filter(|address| family.admits(*address)).collect()
}

/// IPv6 and IPv4 in turn, beginning with IPv6 (RFC 8305, section 4), without repetitions.
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut v6 = addresses.iter().filter(|address| address.is_ipv6());
    let mut v4 = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            return ordered;
        }
        for address in six.into_iter().chain(four) {
            if !ordered.contains(address) {
                ordered.push(*address);
            }
        }
    }
}
