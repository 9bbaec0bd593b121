//! Every source of a name, asked beside the others: the hosts file, the system's resolver, each nameserver on its own.
//!
//! A lookup ends with the first source that answers, as it should. Here all of them are asked, and again when they do not
//! say the same: answers that rotate then show that they do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use tokio::time::{Instant, sleep, timeout_at};

use crate::model::attempt::{AddressSource, DnsReply, Resolution, ServerAnswer, SystemAnswer, SystemError};
use crate::model::dependency::{Family, RecordType, ResolveSettings};
use crate::model::looks::{NameSource, Said, SourceAnswers};

use super::conf::ResolvConf;
use super::exchange::{Question, Times, ask};
use super::names::{absolute, candidates};
use super::{RESEND, Resolver, interleaved, system};

/// How often sources that disagree are asked, in all.
const ROUNDS: usize = 3;
/// Between two rounds: time enough for a list that rotates by the question, none for a look that somebody waits for.
const PAUSE: Duration = Duration::from_millis(150);
/// Addresses kept of one source.
const ADDRESSES: usize = 32;
/// Extended DNS Errors (RFC 8914): "Stale Answer" and "Stale NXDOMAIN Answer".
const STALE: [u16; 2] = [3, 19];
const SOA: RecordType = RecordType(6);
/// getaddrinfo's ways of saying that there is no such name, or no address to it. glibc has EAI_NODATA (-5) still.
const DENIED: [i32; 2] = [libc::EAI_NONAME, -5];

/// What one source said in one round.
struct Heard {
    source: NameSource,
    said: Said,
    addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
    answers: Vec<ServerAnswer>,
    error: Option<SystemError>,
}

impl Resolver {
    /// Asks every source that counts for these settings. None for an address, and for addresses that the configuration
    /// gives.
    pub async fn sources(
        &self,
        host: &str,
        settings: &ResolveSettings,
        deadline: Instant,
    ) -> Vec<SourceAnswers> {
        if host.parse::<IpAddr>().is_ok() || !settings.addresses.is_empty() {
            return Vec::new();
        }
        let mut sources: Vec<SourceAnswers> = Vec::new();
        for round in 0..ROUNDS {
            let left = u32::try_from(ROUNDS - round).unwrap_or(1);
            let now = Instant::now();
            let by = now + deadline.saturating_duration_since(now) / left;
            for heard in self.round(host, settings, by, !hangs(&sources)).await {
                match sources.iter_mut().find(|known| known.source == heard.source) {
                    Some(known) => add(known, heard),
                    None => sources.push(first(heard)),
                }
            }
            if agree(&sources) || Instant::now() + PAUSE >= deadline {
                break;
            }
            sleep(PAUSE).await;
        }
        if !agree(&sources) {
            for source in &mut sources {
                source.serial = self.serial(host, source, deadline).await;
            }
        }
        sources
    }

    async fn round(
        &self,
        host: &str,
        settings: &ResolveSettings,
        by: Instant,
        ask_system: bool,
    ) -> Vec<Heard> {
        let own = ResolvConf::default();
        let conf = self.files.conf();
        let is_system = settings.servers.is_empty();
        let (resolv, servers) = match is_system {
            true => (&conf.resolv, &conf.resolv.servers[..]),
            false => (&own, &settings.servers[..]),
        };
        let names: Vec<Name> = match is_system {
            true => candidates(host, &resolv.search, resolv.ndots),
            false => absolute(host).into_iter().collect(),
        };
        let nameservers = servers
            .iter()
            .map(|server| self.nameserver(*server, &names, resolv, by));
        let system = async {
            match is_system && ask_system {
                true => self.system(host, by).await,
                false => None,
            }
        };
        let (nameservers, system) = futures_util::join!(join_all(nameservers), system);
        let mut heard = Vec::with_capacity(nameservers.len() + 2);
        let listed = conf.hosts_file(host);
        if is_system && !listed.is_empty() {
            heard.push(Heard {
                source: NameSource::HostsFile,
                said: Said::Addresses,
                addresses: listed.to_vec(),
                ttl: None,
                answers: Vec::new(),
                error: None,
            });
        }
        heard.extend(system);
        heard.extend(nameservers);
        heard
    }

    /// One nameserver alone, by the whole list of names that the lookup would try.
    async fn nameserver(&self, server: SocketAddr, names: &[Name], conf: &ResolvConf, by: Instant) -> Heard {
        let mut inquiry = self.inquiry(conf, Family::Any, by);
        // Also where the system leaves AAAA out, or the dependency one family: the comparison is about the name.
        inquiry.records = &[RecordType::A, RecordType::AAAA];
        let servers = [server];
        inquiry.servers = &servers;
        let mut resolution = Resolution {
            name: Arc::from(""),
            source: AddressSource::Nameserver,
            addresses: Vec::new(),
            ttl: None,
            answers: Vec::new(),
            system: None,
        };
        inquiry.ask(names, &mut resolution).await;
        let said = match resolution.answers.iter().all(|answer| denies(&answer.reply)) {
            _ if !resolution.addresses.is_empty() => Said::Addresses,
            true if !resolution.answers.is_empty() => Said::Denied,
            _ => Said::Nothing,
        };
        Heard {
            source: NameSource::Nameserver(server),
            said,
            addresses: resolution.addresses,
            ttl: resolution.ttl,
            answers: resolution.answers,
            error: None,
        }
    }

    /// `None` when it could not be asked in time.
    async fn system(&self, host: &str, by: Instant) -> Option<Heard> {
        let place = Arc::clone(&self.system_places).acquire_owned();
        // The semaphore is never closed.
        let Ok(Ok(place)) = timeout_at(by, place).await else {
            return None;
        };
        let SystemAnswer { result, .. } = system::ask(host, Family::Any, by, place).await;
        let (said, addresses, error) = match result {
            Ok(addresses) if !addresses.is_empty() => (Said::Addresses, interleaved(&addresses), None),
            Ok(_) => (Said::Denied, Vec::new(), None),
            Err(error) if !error.timed_out && DENIED.contains(&error.code) => {
                (Said::Denied, Vec::new(), Some(error))
            }
            Err(error) => (Said::Nothing, Vec::new(), Some(error)),
        };
        Some(Heard {
            source: NameSource::System,
            said,
            addresses,
            ttl: None,
            answers: Vec::new(),
            error,
        })
    }

    /// The serial number of the zone from which an authoritative nameserver answered. Of a cache it would say how old the
    /// cached SOA is and nothing more.
    async fn serial(&self, host: &str, source: &SourceAnswers, deadline: Instant) -> Option<u32> {
        let NameSource::Nameserver(server) = source.source else {
            return None;
        };
        let answered = source
            .answers
            .iter()
            .find(|answer| matches!(answer.reply, DnsReply::Records { .. }))?;
        if !answered.how.authoritative {
            return None;
        }
        let asked = if answered.name.is_empty() {
            host
        } else {
            &answered.name
        };
        let zone = match self.soa(server, asked, deadline).await? {
            DnsReply::NoData { soa: Some(zone) } => zone,
            DnsReply::Records { values, .. } => return serial_of(&values),
            _ => return None,
        };
        match self.soa(server, &zone, deadline).await? {
            DnsReply::Records { values, .. } => serial_of(&values),
            _ => None,
        }
    }

    async fn soa(&self, server: SocketAddr, name: &str, deadline: Instant) -> Option<DnsReply> {
        let name = absolute(name)?;
        let question = Question {
            server,
            name: &name,
            record: SOA,
            over_tcp: false,
            without_edns: self.plain_servers.contains(server),
            times: Times {
                deadline,
                connect_by: deadline,
                resend: RESEND[0],
            },
        };
        Some(ask(question).await.answer.reply)
    }
}

/// The third field of a SOA's text (RFC 1035, section 3.3.13).
fn serial_of(values: &[Box<str>]) -> Option<u32> {
    values.first()?.split_ascii_whitespace().nth(2)?.parse().ok()
}

fn denies(reply: &DnsReply) -> bool {
    matches!(reply, DnsReply::NoData { .. } | DnsReply::Code { rcode: 3, .. })
}

fn first(heard: Heard) -> SourceAnswers {
    let mut addresses = heard.addresses;
    addresses.truncate(ADDRESSES);
    SourceAnswers {
        source: heard.source,
        said: heard.said,
        addresses,
        varies: false,
        ttl: heard.ttl,
        serial: None,
        says_stale: says_stale(&heard.answers),
        aaaa_stalled: aaaa_stalled(&heard.answers),
        answers: heard.answers,
        error: heard.error,
        before: Vec::new(),
    }
}

fn add(known: &mut SourceAnswers, heard: Heard) {
    if known.said != heard.said {
        known.said = Said::Nothing;
    }
    let news = heard
        .addresses
        .iter()
        .filter(|address| !known.addresses.contains(address));
    let news: Vec<IpAddr> = news.copied().collect();
    let gone = known
        .addresses
        .iter()
        .any(|address| !heard.addresses.contains(address));
    known.varies |= !news.is_empty() || gone;
    known.addresses.extend(news);
    known.addresses.truncate(ADDRESSES);
    known.ttl = match (known.ttl, heard.ttl) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    known.says_stale &= says_stale(&heard.answers);
    known.aaaa_stalled &= aaaa_stalled(&heard.answers);
    known.answers = heard.answers;
    known.error = heard.error;
}

fn says_stale(answers: &[ServerAnswer]) -> bool {
    answers
        .iter()
        .flat_map(|answer| &answer.extended)
        .any(|(code, _)| STALE.contains(code))
}

fn aaaa_stalled(answers: &[ServerAnswer]) -> bool {
    let of = |record| answers.iter().filter(move |answer| answer.record == record);
    of(RecordType::A).any(|answer| matches!(answer.reply, DnsReply::Records { .. }))
        && of(RecordType::AAAA).next().is_some()
        && of(RecordType::AAAA).all(|answer| answer.reply == DnsReply::TimedOut)
}

/// Whether the system's resolver did not answer in time: its thread goes on waiting, and another one would as well.
fn hangs(sources: &[SourceAnswers]) -> bool {
    sources.iter().any(|source| {
        source.source == NameSource::System && source.error.is_some_and(|error| error.timed_out)
    })
}

/// Whether nothing is to be cleared up by asking again: everybody said the same.
fn agree(sources: &[SourceAnswers]) -> bool {
    let Some((one, others)) = sources.split_first() else {
        return true;
    };
    let same = |other: &SourceAnswers| {
        other.said == one.said
            && other.addresses.len() == one.addresses.len()
            && other
                .addresses
                .iter()
                .all(|address| one.addresses.contains(address))
    };
    others.iter().all(same) && sources.iter().all(|source| !source.aaaa_stalled)
}
