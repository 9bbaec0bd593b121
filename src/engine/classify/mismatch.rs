//! Sources of one name that contradict each other: when that is a fault, and which.
//!
//! Different answers are the ordinary case: lists rotate, a CDN gives each nameserver the addresses near to it, caches are
//! of different ages. So a difference alone says nothing. It is a fault when a source denies what another one has, when
//! one sends its clients to addresses that fail while those of the other work, when one gives private addresses and the
//! other public ones, when a zone's older serial number is served beside a newer one, when one still gives what all
//! others gave formerly, and when this host's own hosts file overrules what DNS steadily says.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::cause::{Cause, FindingId};
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{Confidence, Finding};
use crate::model::looks::{NameSource, NamesCompared, Said, SourceAnswers, Trial};

use super::names;
use super::second_look::trial;

/// For how long a source may go on with what the others gave up: a few times the TTL, and caches' own habits.
const GRACE: Duration = Duration::from_secs(600);
const TTLS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    HostsFile,
    SplitHorizon,
    Stale,
}

/// Sources that contradict each other, and what that is.
#[derive(Debug)]
pub struct Mismatch<'a> {
    compared: &'a NamesCompared,
    kind: Kind,
    pub confidence: Confidence,
    pub alternatives: Vec<Cause>,
    /// The one that misleads.
    pub wrong: &'a SourceAnswers,
    /// One that contradicts it.
    against: &'a SourceAnswers,
    /// What gave it away.
    because: &'static str,
    /// The addresses of `wrong` fail, and those of the other work.
    pub is_harmful: bool,
}

/// Holds the sources against each other.
pub fn judge(compared: &NamesCompared) -> Option<Mismatch<'_>> {
    let judging = Judging { compared };
    let hosts = judging.of(|source| source == NameSource::HostsFile).next();
    match hosts {
        // What nameservers say to each other does not matter here: this host does not ask them.
        Some(hosts) if !compared.own_name => judging.hosts_file(hosts),
        Some(_) => None,
        None => judging.nameservers().or_else(|| judging.system()),
    }
}

struct Judging<'a> {
    compared: &'a NamesCompared,
}

impl<'a> Judging<'a> {
    fn of(&self, wanted: impl Fn(NameSource) -> bool) -> impl Iterator<Item = &'a SourceAnswers> {
        self.compared
            .sources
            .iter()
            .filter(move |source| wanted(source.source))
    }

    fn servers(&self) -> impl Iterator<Item = &'a SourceAnswers> + Clone {
        self.compared
            .sources
            .iter()
            .filter(|source| matches!(source.source, NameSource::Nameserver(_)))
    }

    fn answering(&self) -> Vec<&'a SourceAnswers> {
        self.servers()
            .filter(|source| source.said == Said::Addresses)
            .collect()
    }

    /// An override is a fact of this host's own configuration. Only where DNS gives changing answers may its address be
    /// one of those that are given at other times.
    fn hosts_file(&self, hosts: &'a SourceAnswers) -> Option<Mismatch<'a>> {
        let servers = self.answering();
        let against = servers.first().copied()?;
        if servers
            .iter()
            .any(|server| have_met(hosts, server) || !can_be_compared(hosts, server))
        {
            return None;
        }
        let harmful = servers.iter().copied().find(|server| self.harms(hosts, server));
        let changing = servers
            .iter()
            .any(|server| server.varies || known(server).len() > server.addresses.len());
        if harmful.is_none() && changing {
            return None;
        }
        Some(Mismatch {
            is_harmful: harmful.is_some(),
            because: "no nameserver gives the address that the hosts file has",
            ..self.found(Kind::HostsFile, hosts, harmful.unwrap_or(against))
        })
    }

    fn nameservers(&self) -> Option<Mismatch<'a>> {
        let servers = self.answering();
        let denies = self.servers().find(|source| source.said == Said::Denied);
        if let (Some(denies), Some(knows)) = (denies, servers.first().copied()) {
            return Some(Mismatch {
                because: "one nameserver denies the name that another one has",
                ..self.found(Kind::SplitHorizon, denies, knows)
            });
        }
        let pairs = || {
            servers
                .iter()
                .flat_map(|one| servers.iter().map(move |other| (*one, *other)))
        };
        pairs()
            .find_map(|(old, new)| self.older_zone(old, new))
            .or_else(|| pairs().find_map(|(old, new)| self.left_behind(old, new)))
            .or_else(|| pairs().find_map(|(wrong, against)| self.elsewhere(wrong, against)))
    }

    /// Two authorities of one zone, of which one has an older copy.
    fn older_zone(&self, old: &'a SourceAnswers, new: &'a SourceAnswers) -> Option<Mismatch<'a>> {
        let is_older = is_before(old.serial?, new.serial?);
        (is_older && are_disjoint(old, new)).then(|| Mismatch {
            is_harmful: self.harms(old, new),
            because: "it serves an older serial number of the zone",
            ..self.found(Kind::Stale, old, new)
        })
    }

    /// One still gives what the other gave formerly, long after the other has moved on to what the first never gave.
    fn left_behind(&self, old: &'a SourceAnswers, new: &'a SourceAnswers) -> Option<Mismatch<'a>> {
        let ttl = old.ttl.max(new.ttl).unwrap_or_default();
        let grace = GRACE.max(ttl * TTLS).as_secs();
        let given_up = |address: &IpAddr| {
            !new.addresses.contains(address)
                && new.before.iter().any(|seen| {
                    let since = self.compared.at.seconds_since(seen.last);
                    seen.address == *address && since >= i64::try_from(grace).unwrap_or(i64::MAX)
                })
        };
        let moved_on = |address: &IpAddr| {
            !known(old).contains(address) && new.before.iter().any(|seen| seen.address == *address)
        };
        let is_left = !old.addresses.is_empty()
            && old.addresses.iter().all(given_up)
            && new.addresses.iter().all(moved_on);
        is_left.then(|| Mismatch {
            is_harmful: self.harms(old, new),
            because: "it still gives what the other source gave formerly",
            ..self.found(Kind::Stale, old, new)
        })
    }

    /// Addresses of another place altogether: of which those of one fail, or which are private where the others are not.
    fn elsewhere(&self, wrong: &'a SourceAnswers, against: &'a SourceAnswers) -> Option<Mismatch<'a>> {
        if !are_disjoint(wrong, against) || have_met(wrong, against) || wrong.varies || against.varies {
            return None;
        }
        let is_harmful = self.harms(wrong, against);
        let one_private = all_private(wrong) && !against.addresses.iter().copied().any(is_private);
        if !is_harmful && !one_private {
            return None;
        }
        let because = match is_harmful {
            true => "its addresses fail, and those of the other source work",
            false => "it gives private addresses, and the other source public ones",
        };
        let (kind, other) = match wrong.says_stale {
            true => (Kind::Stale, Cause::DnsMismatchSplitHorizon),
            false => (Kind::SplitHorizon, Cause::DnsMismatchStale),
        };
        Some(Mismatch {
            is_harmful,
            because,
            confidence: Confidence::Likely,
            alternatives: vec![other],
            ..self.found(kind, wrong, against)
        })
    }

    /// The system's resolver against the nameservers that it is told to ask.
    fn system(&self) -> Option<Mismatch<'a>> {
        let system = self.of(|source| source == NameSource::System).next()?;
        let servers = self.answering();
        let against = servers.first().copied()?;
        if system.said == Said::Denied {
            return Some(Mismatch {
                because: "the system's resolver denies the name that its nameservers have",
                ..self.found(Kind::SplitHorizon, system, against)
            });
        }
        if !servers.iter().all(|server| are_disjoint(system, server)) {
            return None;
        }
        let left = servers.iter().find_map(|server| self.left_behind(system, server));
        left.or_else(|| {
            servers.iter().find_map(|server| {
                // A cache of this host is the likeliest to stand between the two.
                let found = self.elsewhere(system, server)?;
                Some(Mismatch {
                    kind: Kind::Stale,
                    alternatives: vec![Cause::DnsMismatchSplitHorizon],
                    ..found
                })
            })
        })
    }

    fn found(&self, kind: Kind, wrong: &'a SourceAnswers, against: &'a SourceAnswers) -> Mismatch<'a> {
        Mismatch {
            compared: self.compared,
            kind,
            // They were asked several times.
            confidence: Confidence::Confirmed,
            alternatives: Vec::new(),
            wrong,
            against,
            because: "",
            is_harmful: false,
        }
    }

    /// All addresses of `wrong` that were asked fail, and one of the other works.
    fn harms(&self, wrong: &SourceAnswers, against: &SourceAnswers) -> bool {
        let (works, fails) = trial::sides(&self.compared.trials);
        let asked = |source: &SourceAnswers| {
            let trials = self.compared.trials.iter();
            let addresses = source.addresses.clone();
            trials
                .filter(move |trial| addresses.contains(&trial.address.ip()))
                .map(|trial| trial.address)
                .collect::<Vec<_>>()
        };
        let wrong = asked(wrong);
        !wrong.is_empty()
            && wrong
                .iter()
                .all(|at| fails.iter().any(|(trial, _)| trial.address == *at))
            && asked(against)
                .iter()
                .any(|at| works.iter().any(|trial| trial.address == *at))
    }
}

/// What a source gives now or gave at any time.
fn known(source: &SourceAnswers) -> Vec<IpAddr> {
    let mut known = source.addresses.clone();
    for seen in &source.before {
        if !known.contains(&seen.address) {
            known.push(seen.address);
        }
    }
    known
}

/// Whether both have addresses of a common family.
fn can_be_compared(one: &SourceAnswers, other: &SourceAnswers) -> bool {
    let in_common = |v6: bool| {
        let of = |source: &SourceAnswers| source.addresses.iter().any(|address| address.is_ipv6() == v6);
        of(one) && of(other)
    };
    in_common(true) || in_common(false)
}

fn are_disjoint(one: &SourceAnswers, other: &SourceAnswers) -> bool {
    can_be_compared(one, other)
        && !one
            .addresses
            .iter()
            .any(|address| other.addresses.contains(address))
}

/// Whether they ever gave the same address, at whatever time.
fn have_met(one: &SourceAnswers, other: &SourceAnswers) -> bool {
    let others = known(other);
    known(one).iter().any(|address| others.contains(address))
}

fn all_private(source: &SourceAnswers) -> bool {
    !source.addresses.is_empty() && source.addresses.iter().copied().all(is_private)
}

/// Not of the public network (RFC 1918, 6598, 3927, 4193, 4291, 1122).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            v6.is_loopback() || v6.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

/// Serial number arithmetic (RFC 1982, section 3.2).
fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

impl Mismatch<'_> {
    pub fn cause(&self) -> Cause {
        match self.kind {
            Kind::HostsFile => Cause::DnsMismatchHostsFile,
            Kind::SplitHorizon => Cause::DnsMismatchSplitHorizon,
            Kind::Stale => Cause::DnsMismatchStale,
        }
    }

    pub fn finding(&self) -> Finding {
        let id = match self.kind {
            Kind::HostsFile => FindingId::DnsMismatchHostsFile,
            Kind::SplitHorizon => FindingId::DnsMismatchSplitHorizon,
            Kind::Stale => FindingId::DnsMismatchStale,
        };
        let mut evidence = self.evidence();
        evidence.set("confidence", self.confidence.id());
        if !self.alternatives.is_empty() {
            let ids: Vec<&str> = self.alternatives.iter().map(|cause| cause.id()).collect();
            evidence.set("alternatives", ids);
        }
        Finding {
            id,
            evidence,
            fix: self.fix().into(),
        }
    }

    pub fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new()
            .with("name", &*self.compared.name)
            .with("differs", shown(self.wrong.source))
            .with("because", self.because);
        sources(&mut evidence, self.compared);
        if self.is_harmful {
            evidence.set("harm", "its addresses fail while those of another source work");
        }
        if let Some((one, other)) = self.certificates() {
            evidence.set("certificate_sha256", one);
            evidence.set("certificate_sha256_elsewhere", other);
        }
        evidence
    }

    /// The certificates at the addresses of both sides, where they are different ones.
    fn certificates(&self) -> Option<(&str, &str)> {
        let at = |source: &SourceAnswers| {
            let trials = self.compared.trials.iter();
            trials
                .filter(|trial| source.addresses.contains(&trial.address.ip()))
                .find_map(|trial| trial.certificate.as_deref())
        };
        let (one, other) = (at(self.wrong)?, at(self.against)?);
        (one != other).then_some((one, other))
    }

    pub fn fix(&self) -> String {
        let name = &self.compared.name;
        let list = |addresses: &[IpAddr]| {
            let texts: Vec<String> = addresses.iter().take(3).map(ToString::to_string).collect();
            texts.join(", ")
        };
        let wrong = shown(self.wrong.source);
        let (has, others) = (list(&self.wrong.addresses), list(&self.against.addresses));
        match (self.kind, self.wrong.said) {
            (Kind::HostsFile, _) => {
                format!("remove {name} from /etc/hosts ({has}), or correct it: nameservers say {others}")
            }
            (Kind::SplitHorizon, Said::Denied) if self.wrong.source == NameSource::System => {
                format!(
                    "let the system's resolver find {name} (nsswitch.conf): its nameservers have it at {others}"
                )
            }
            (Kind::SplitHorizon, Said::Denied) => {
                format!(
                    "make {wrong} know {name}, or do not list it beside nameservers that have it at {others}"
                )
            }
            (Kind::SplitHorizon, _) => {
                format!(
                    "list only nameservers with the same view of {name}: {wrong} says {has}, others say {others}"
                )
            }
            (Kind::Stale, _) => {
                format!("renew what {wrong} has of {name}: it says {has}, others say {others} by now")
            }
        }
    }
}

fn shown(source: NameSource) -> String {
    match source {
        NameSource::HostsFile => "/etc/hosts".into(),
        NameSource::System => "the system's resolver".into(),
        NameSource::Nameserver(server) => server.to_string(),
    }
}

/// Every source with what it said, and every address that was asked for it.
pub fn sources(evidence: &mut Evidence, compared: &NamesCompared) {
    let all = compared.sources.iter().map(source).collect();
    evidence.set("sources", Value::List(all));
    if compared
        .sources
        .iter()
        .any(|source| source.source == NameSource::System)
    {
        evidence.set("system_resolver", compared.system_resolver);
    }
    if !compared.trials.is_empty() {
        evidence.set("addresses_asked", trial::evidence(&compared.trials));
    }
}

fn source(source: &SourceAnswers) -> Value {
    let mut map: Vec<(&'static str, Value)> = vec![
        ("source", shown(source.source).into()),
        ("said", source.said.id().into()),
    ];
    if !source.addresses.is_empty() {
        map.push(("addresses", source.addresses.clone().into()));
    }
    if source.varies {
        map.push(("varies", true.into()));
    }
    if let Some(ttl) = source.ttl {
        map.push(("ttl", ttl.into()));
    }
    if let Some(serial) = source.serial {
        map.push(("serial", serial.into()));
    }
    if source.says_stale {
        map.push(("says_stale", true.into()));
    }
    if let Some(error) = source.error {
        let name = match error.timed_out {
            true => "timed out",
            false => names::getaddrinfo(error.code),
        };
        map.push(("getaddrinfo", name.into()));
    }
    let gone = source
        .before
        .iter()
        .filter(|seen| !source.addresses.contains(&seen.address));
    let gone: Vec<Value> = gone
        .map(|seen| {
            Value::Map(vec![
                ("address", seen.address.into()),
                ("until", seen.last.into()),
            ])
        })
        .collect();
    if !gone.is_empty() {
        map.push(("formerly", Value::List(gone)));
    }
    Value::Map(map)
}

/// Whether any address of that source fails.
pub fn leads_to(mismatch: &Mismatch<'_>, address: &str) -> bool {
    let fails = |trial: &&crate::model::looks::AddressTrial| matches!(trial.verdict, Trial::Fails(_));
    mismatch.compared.trials.iter().filter(fails).any(|trial| {
        trial.address.to_string() == address && mismatch.wrong.addresses.contains(&trial.address.ip())
    })
}

#[cfg(test)]
mod tests;
