//! From names to addresses, with every answer of every nameserver kept.

mod answer;
mod conf;
pub(crate) mod exchange;
pub(crate) mod names;
mod plain;
mod sources;
mod system;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{AddressSource, Asked, DnsReply, Resolution, ServerAnswer};
use crate::model::dependency::{Family, RecordType, ResolveSettings};

pub(super) use conf::ResolvConf;
use conf::SystemFiles;
use exchange::{Answered, Question, Times, Wire, ask};
use names::{absolute, candidates, printed};
use plain::PlainServers;

/// The least time that one nameserver gets before the next is asked.
const LEAST_SHARE: Duration = Duration::from_millis(200);
/// The least and the most time before a datagram is sent again.
const RESEND: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// How long a family that is still silent is waited for when the other one has answered with records.
///
/// RFC 8305 (section 3) connects after 50 ms and never knows. The C library, and with it most clients, waits for its
/// whole timeout: such a lookup is really slow, and a family whose queries vanish is worth naming
/// (`dns.aaaa_stalled`). So it is waited for much longer than any healthy server takes, but not for as long as to endanger
/// the attempt: this, or half of the server's time where that is less. Then it is recorded as timed out.
const LATE_FAMILY: Duration = Duration::from_secs(1);

/// How often the system's resolver may be asked at once.
const SYSTEM_PLACES: usize = 32;

/// Resolves names as the system would, but with its own eyes.
#[derive(Debug)]
pub(crate) struct Resolver {
    files: SystemFiles,
    /// The system's resolver blocks a thread each time, for as long as it likes: an outage must not take them all.
    system_places: Arc<Semaphore>,
    /// Counts lookups, for `options rotate`.
    turn: AtomicUsize,
    plain_servers: PlainServers,
}

/// Whom to ask, and how.
struct Inquiry<'a> {
    servers: &'a [SocketAddr],
    /// The first to be asked.
    first: usize,
    records: &'static [RecordType],
    over_tcp: bool,
    /// The most that one server gets.
    patience: Duration,
    deadline: Instant,
    plain_servers: &'a PlainServers,
}

impl Resolver {
    pub fn new() -> Self {
        Resolver::with_files("/etc/resolv.conf".into(), "/etc/hosts".into())
    }

    pub fn with_files(resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        Resolver {
            files: SystemFiles::new(resolv_conf, hosts),
            system_places: Arc::new(Semaphore::new(SYSTEM_PLACES)),
            turn: AtomicUsize::new(0),
            plain_servers: PlainServers::default(),
        }
    }

    /// Never fails: without addresses, `answers` and `system` say why.
    ///
    /// The order: a literal address; configured addresses; the hosts file; the nameservers (the configured ones, or the
    /// system's with its search list); and, when the system's nameservers gave nothing, the system's own resolver,
    /// which is not asked when no time is left for it.
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
            resolution.addresses = admitted(&[address], settings.family);
            return resolution;
        }
        if !settings.addresses.is_empty() {
            resolution.source = AddressSource::Configured;
            resolution.addresses = admitted(&settings.addresses, settings.family);
            return resolution;
        }
        if !settings.servers.is_empty() {
            let defaults = ResolvConf::default();
            let mut inquiry = self.inquiry(&defaults, settings.family, deadline);
            inquiry.servers = &settings.servers;
            let names: Vec<Name> = absolute(host).into_iter().collect();
            inquiry.ask(&names, &mut resolution).await;
            return resolution;
        }
        let conf = self.files.conf();
        let listed = conf.hosts_file(host);
        if !listed.is_empty() {
            resolution.source = AddressSource::HostsFile;
            resolution.addresses = interleaved(&admitted(listed, settings.family));
            if !resolution.addresses.is_empty() {
                return resolution;
            }
        }
        let mut inquiry = self.inquiry(&conf.resolv, settings.family, deadline);
        if conf.resolv.rotate {
            inquiry.first = self.turn.fetch_add(1, Ordering::Relaxed);
        }
        let names = candidates(host, &conf.resolv.search, conf.resolv.ndots);
        inquiry.ask(&names, &mut resolution).await;
        if resolution.addresses.is_empty() {
            self.ask_system(settings.family, deadline, &mut resolution).await;
        }
        resolution
    }

    /// nsswitch may know what DNS does not. Nothing is recorded when it could not be asked in time.
    async fn ask_system(&self, family: Family, deadline: Instant, resolution: &mut Resolution) {
        if Instant::now() >= deadline {
            return;
        }
        let place = Arc::clone(&self.system_places).acquire_owned();
        // The semaphore is never closed.
        let Ok(Ok(place)) = timeout_at(deadline, place).await else {
            return;
        };
        let answer = system::ask(&resolution.name, family, deadline, place).await;
        if let Ok(addresses) = &answer.result
            && !addresses.is_empty()
        {
            resolution.source = AddressSource::System;
            resolution.addresses = addresses.clone();
        }
        resolution.system = Some(answer);
    }
}

impl Resolver {
    fn inquiry<'a>(&'a self, conf: &'a ResolvConf, family: Family, deadline: Instant) -> Inquiry<'a> {
        Inquiry {
            servers: &conf.servers,
            first: 0,
            records: match family {
                Family::Ipv4 => &[RecordType::A],
                Family::Ipv6 => &[RecordType::AAAA],
                Family::Any if conf.no_aaaa => &[RecordType::A],
                Family::Any => &[RecordType::A, RecordType::AAAA],
            },
            over_tcp: conf.use_vc,
            patience: conf.timeout * conf.attempts,
            deadline,
            plain_servers: &self.plain_servers,
        }
    }
}

impl Inquiry<'_> {
    /// Tries the names in turn until one has addresses.
    async fn ask(&self, names: &[Name], resolution: &mut Resolution) {
        resolution.source = AddressSource::Nameserver;
        if names.is_empty() {
            resolution.answers.extend(self.unaskable(&resolution.name));
        }
        for name in names {
            self.ask_for(name, resolution).await;
            if !resolution.addresses.is_empty() || Instant::now() >= self.deadline {
                break;
            }
        }
        resolution.addresses = interleaved(&resolution.addresses);
    }

    /// Asks the servers in turn. What one of them has settled is not asked of the next: the records, that there are none,
    /// or that there is no such name. Once there are addresses, nobody else is asked.
    async fn ask_for(&self, name: &Name, resolution: &mut Resolution) {
        let mut open = self.records.to_vec();
        for nth in 0..self.servers.len() {
            let server = self.servers[(self.first.wrapping_add(nth)) % self.servers.len()];
            let times = self.times(self.servers.len() - nth);
            for answered in self.ask_one(server, name, &open, times).await {
                match &answered.answer.reply {
                    DnsReply::Records { ttl, .. } => {
                        let ttl = Duration::from_secs(u64::from(*ttl));
                        resolution.ttl = Some(resolution.ttl.map_or(ttl, |least| least.min(ttl)));
                        open.retain(|record| *record != answered.answer.record);
                    }
                    DnsReply::NoData { .. } => open.retain(|record| *record != answered.answer.record),
                    DnsReply::Code { rcode: 3, .. } => open.clear(),
                    _ => {}
                }
                resolution.addresses.extend(answered.addresses);
                resolution.answers.push(answered.answer);
            }
            let done = open.is_empty() || !resolution.addresses.is_empty();
            if done || Instant::now() >= self.deadline {
                break;
            }
        }
    }

    /// The time of one server when `left` are still to be asked.
    fn times(&self, left: usize) -> Times {
        let now = Instant::now();
        let remaining = self.deadline.saturating_duration_since(now);
        let share = remaining / u32::try_from(left).unwrap_or(u32::MAX).max(1);
        let share = share.clamp(LEAST_SHARE, self.patience.max(LEAST_SHARE));
        let deadline = (now + share).min(self.deadline);
        Times {
            deadline,
            connect_by: deadline,
            resend: (share / 3).clamp(RESEND[0], RESEND[1]),
        }
    }

    /// One server, about one record or both at once.
    async fn ask_one(
        &self,
        server: SocketAddr,
        name: &Name,
        records: &[RecordType],
        times: Times,
    ) -> Vec<Answered> {
        let question = |record| Question {
            server,
            name,
            record,
            over_tcp: self.over_tcp,
            without_edns: self.plain_servers.contains(server),
            times,
        };
        let answered = match records {
            [] => Vec::new(),
            [record] => vec![ask(question(*record)).await],
            [one, other, ..] => ask_both(question(*one), question(*other)).await,
        };
        for answered in &answered {
            self.plain_servers.learn(&answered.answer);
        }
        answered
    }

    /// The answer, in place of a server's, to a name that DNS cannot carry.
    fn unaskable(&self, host: &str) -> Option<ServerAnswer> {
        Some(ServerAnswer {
            server: *self.servers.first()?,
            over_tcp: self.over_tcp,
            how: Asked::default(),
            name: host.into(),
            record: *self.records.first()?,
            elapsed: Duration::ZERO,
            reply: DnsReply::Malformed("not asked: the name is not one that DNS can carry".into()),
            extended: Vec::new(),
        })
    }
}

/// Both at once, and their answers in the order of the questions. When one has answered with records, the other is
/// waited for as [`LATE_FAMILY`] says.
async fn ask_both(one: Question<'_>, other: Question<'_>) -> Vec<Answered> {
    let started = Instant::now();
    let (mut first, mut second) = (Box::pin(ask(one)), Box::pin(ask(other)));
    tokio::select! {
        answered = &mut first => {
            let late = wait_for(second, other, &answered, started).await;
            vec![answered, late]
        }
        answered = &mut second => {
            let late = wait_for(first, one, &answered, started).await;
            vec![late, answered]
        }
    }
}

/// The later of two answers, `answered` being the earlier.
async fn wait_for(
    late: impl Future<Output = Answered>,
    question: Question<'_>,
    answered: &Answered,
    started: Instant,
) -> Answered {
    if !matches!(answered.answer.reply, DnsReply::Records { .. }) {
        // It keeps to its deadline by itself.
        return late.await;
    }
    let now = Instant::now();
    let half = question.times.deadline.saturating_duration_since(now) / 2;
    let late = timeout_at(now + half.min(LATE_FAMILY), late).await;
    late.unwrap_or_else(|_| silent(&question, started.elapsed()))
}

fn silent(question: &Question<'_>, elapsed: Duration) -> Answered {
    Answered {
        answer: ServerAnswer {
            server: question.server,
            over_tcp: question.over_tcp,
            how: Asked::default(),
            name: printed(question.name),
            record: question.record,
            elapsed,
            reply: DnsReply::TimedOut,
            extended: Vec::new(),
        },
        addresses: Vec::new(),
        wire: Wire::default(),
    }
}

fn admitted(addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
    let admitted = addresses.iter().filter(|address| family.admits(**address));
    admitted.copied().collect()
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
