//! By what an alert may hang together with others: its nature and its factors, taken from the operation that showed it.
//!
//! Only what is relevant for the cause counts. Everything behind one proxy shares the proxy, but only failures of the
//! proxy are explained by it; everything asks the same nameserver, but only failures to resolve are explained by that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, Rule, Subject};
use crate::model::attempt::{DnsReply, Hop, IcmpTrouble, Role, TlsFacts, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::{Dependency, Probe};
use crate::model::evidence::Value;
use crate::model::failure::{Failure, OperationRecord};
use crate::model::incident::Factor;
use crate::model::time::Wall;

use super::super::alert::Alert;

/// Failures of one network that began further apart than this are not taken for one: addresses near each other fail for
/// reasons of their own, too.
const NETWORK_WITHIN: Duration = Duration::from_secs(120);

/// What alerts must have alike to become one incident, besides a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nature {
    Cause(Cause),
    /// Of what is no failure: the rule, or the first of its family.
    Rule(Rule),
}

impl Nature {
    pub fn of(rule: Rule, cause: Option<Cause>) -> Nature {
        match (rule, cause) {
            (
                Rule::DependencyDownFast
                | Rule::DependencyDownSlow
                | Rule::DependencyFailingOften
                | Rule::SloBurnFast
                | Rule::SloBurnMedium
                | Rule::SloBurnSlow
                | Rule::Flapping,
                Some(cause),
            ) => Nature::Cause(cause),
            (Rule::DependencyDownSlow, None) => Nature::Rule(Rule::DependencyDownFast),
            (Rule::CertificateExpiringSoon | Rule::CertificateExpired, _) => {
                Nature::Rule(Rule::CertificateExpiring)
            }
            (Rule::SloBurnMedium | Rule::SloBurnSlow, None) => Nature::Rule(Rule::SloBurnFast),
            (rule, _) => Nature::Rule(rule),
        }
    }

    /// Stable, for ids.
    pub const fn id(self) -> &'static str {
        match self {
            Nature::Cause(cause) => cause.id(),
            Nature::Rule(rule) => rule.id(),
        }
    }
}

/// Whether the rule says that a dependency is down.
pub const fn is_down(rule: Rule) -> bool {
    matches!(rule, Rule::DependencyDownFast | Rule::DependencyDownSlow)
}

/// The dependency that an alert is about.
pub fn dependency_of(key: &AlertKey) -> Option<&Arc<str>> {
    match &key.subject {
        Subject::Dependency(name) => Some(name),
        Subject::Host(_) | Subject::Monitor => None,
    }
}

/// By what one alert may be joined with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub nature: Nature,
    pub cause: Option<Cause>,
    /// The most telling first; never empty.
    pub factors: Vec<Factor>,
    /// When its condition began to hold.
    pub pending: Wall,
}

impl Card {
    pub fn of(key: &AlertKey, alert: &Alert) -> Card {
        let cause = alert.text.cause;
        let nature = Nature::of(key.rule, cause);
        let mut factors = match (&key.subject, &alert.record) {
            (Subject::Monitor, _) => vec![Factor::Monitor],
            (Subject::Host(host), _) => vec![Factor::Host(host.to_string().into())],
            (Subject::Dependency(_), Some(record)) => shown_by(record, nature),
            (Subject::Dependency(_), None) => Vec::new(),
        };
        if let Subject::Dependency(name) = &key.subject {
            factors.push(Factor::Dependency(Arc::clone(name)));
        }
        factors.sort();
        factors.dedup();
        Card {
            nature,
            cause,
            factors,
            pending: super::pending_since(&alert.state),
        }
    }
}

/// What two share, where one is an incident that began at `since`. In its order.
pub fn shared(incident: &[Factor], since: Wall, card: &Card) -> Vec<Factor> {
    let apart = card.pending.unix_nanos().abs_diff(since.unix_nanos());
    let near = u128::from(apart) <= NETWORK_WITHIN.as_nanos();
    let counts = |factor: &&Factor| near || !matches!(factor, Factor::Network(..));
    incident
        .iter()
        .filter(counts)
        .filter(|factor| card.factors.contains(factor))
        .cloned()
        .collect()
}

/// The factors that an operation shows, for a failure of that nature.
fn shown_by(record: &OperationRecord, nature: Nature) -> Vec<Factor> {
    let dependency = &*record.dependency;
    let hop = record
        .attempts
        .last()
        .and_then(|last| last.attempt.decisive_hop());
    let place = Place { dependency, hop };
    match nature {
        Nature::Cause(cause) => {
            let failure = record.failure.as_ref().filter(|failure| failure.cause == cause);
            match failure {
                Some(failure) => of_failure(&place, record, failure),
                // The operation shows something else, so that it says nothing about this cause.
                None => Vec::new(),
            }
        }
        Nature::Rule(Rule::CertificateExpiring) => {
            place.tls().and_then(first_to_expire).into_iter().collect()
        }
        Nature::Rule(Rule::DnsAnswersDiffer | Rule::AddressBroken) => place.host_name().into_iter().collect(),
        Nature::Rule(_) => vec![place.host()],
    }
}

fn of_failure(place: &Place<'_>, record: &OperationRecord, failure: &Failure) -> Vec<Factor> {
    let cause = failure.cause;
    let group = cause.id().split('.').next().unwrap_or("");
    let mut factors = Vec::new();
    match group {
        "proxy" => factors.extend(place.proxy()),
        "dns" => dns(place, cause, &mut factors),
        "tls" if cause.id().starts_with("tls.cert.") => certificate(place, failure, &mut factors),
        // What is wrong is here: with this host's limits, policy or clock.
        "local" => factors.push(Factor::Monitor),
        "tcp" | "icmp" => {
            factors.extend(offender(place, record, failure));
            factors.extend(place.address().map(Factor::Address));
            if is_of_the_way(cause) {
                factors.extend(place.address().map(network));
            }
            if cause == Cause::TcpNoRoute {
                factors.push(Factor::Monitor);
            }
            factors.extend(place.host_name());
            factors.push(place.host());
        }
        _ => {
            if is_of_the_server(cause) {
                factors.extend(place.address().map(Factor::Address));
                factors.extend(place.host_name());
            }
            factors.push(place.host());
        }
    }
    factors
}

/// `tcp.timed_out*` and `tcp.address_unreachable*`: whole networks are lost in these ways.
fn is_of_the_way(cause: Cause) -> bool {
    let id = cause.id();
    cause != Cause::TcpTimedOutStale
        && (id.starts_with("tcp.timed_out") || id.starts_with("tcp.address_unreachable"))
}

/// Whether it is the machine, or the load balancer, that fails in this way, rather than one service on it: then what
/// else fails so at its address is the same failure.
fn is_of_the_server(cause: Cause) -> bool {
    let id = cause.id();
    id.starts_with("tls.")
        || id.starts_with("http.timed_out")
        || matches!(
            cause,
            Cause::HttpEmptyResponse | Cause::Http502 | Cause::Http503 | Cause::Http504 | Cause::H2Goaway
        )
}

/// Where an operation failed.
struct Place<'a> {
    dependency: &'a Dependency,
    hop: Option<&'a Hop>,
}

impl Place<'_> {
    fn proxy(&self) -> Option<Factor> {
        let proxy = self.dependency.probe.proxy()?;
        Some(Factor::Proxy(proxy.to_string().into()))
    }

    fn tls(&self) -> Option<&TlsFacts> {
        self.hop?.tls.as_deref()
    }

    /// The target's address. Behind a proxy it is not known: the connection is to the proxy.
    fn address(&self) -> Option<IpAddr> {
        let hop = self.hop?;
        let by_proxy =
            hop.role == Role::Proxy || (hop.role == Role::Target && self.dependency.probe.proxy().is_some());
        let address = hop.address?.ip().to_canonical();
        // What listens on loopback has nothing to do with what else does.
        (!by_proxy && !address.is_loopback()).then_some(address)
    }

    fn is_loopback(&self) -> bool {
        self.hop
            .and_then(|hop| hop.address)
            .is_some_and(|at| at.ip().to_canonical().is_loopback())
    }

    /// The name and port that the failing hop asked: a redirect or a token endpoint may lead elsewhere.
    fn authority(&self) -> Option<&str> {
        let hop = self.hop.filter(|hop| hop.role != Role::Proxy)?;
        let (_, rest) = hop.url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        (!authority.is_empty()).then_some(authority)
    }

    fn host(&self) -> Factor {
        // A port that is the scheme's own is left out of URLs, so that the key of the dependency itself is the better one.
        let own = &self.dependency.host;
        let elsewhere = self
            .authority()
            .filter(|authority| name_part(authority) != &*own.name);
        Factor::Host(match elsewhere {
            Some(authority) => authority.into(),
            None => crate::model::dependency::Endpoint {
                host: Arc::clone(&own.name),
                port: own.port,
            }
            .to_string()
            .into(),
        })
    }

    fn host_name(&self) -> Option<Factor> {
        let name = match self.authority() {
            Some(authority) => name_part(authority),
            None => &self.dependency.host.name,
        };
        let local = self.is_loopback()
            || name == "localhost"
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        (!local).then(|| Factor::HostName(name.into()))
    }
}

/// A URL's authority without its port.
fn name_part(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn dns(place: &Place<'_>, cause: Cause, factors: &mut Vec<Factor>) {
    let resolution = place.hop.and_then(|hop| hop.resolution.as_deref());
    let about_the_name = matches!(
        cause,
        Cause::DnsNxdomain
            | Cause::DnsNodata
            | Cause::DnsMismatchHostsFile
            | Cause::DnsMismatchSplitHorizon
            | Cause::DnsMismatchStale
    );
    if about_the_name {
        let name = resolution.map(|resolution| Factor::HostName(Arc::clone(&resolution.name)));
        factors.extend(name.or_else(|| place.host_name()));
        return;
    }
    let mut resolver = |text: String| factors.push(Factor::Resolver(text.into()));
    let answers = resolution.map_or(&[][..], |resolution| &resolution.answers);
    let failed = answers
        .iter()
        .filter(|answer| !matches!(answer.reply, DnsReply::Records { .. }));
    let mut named = false;
    for answer in failed {
        named = true;
        resolver(answer.server.to_string());
    }
    if named {
        return;
    }
    match (&place.dependency.probe, place.hop.and_then(|hop| hop.address)) {
        (Probe::Dns(_), Some(address)) => resolver(address.to_string()),
        (Probe::Dns(dns), None) => resolver(dns.server.to_string()),
        // getaddrinfo does not say whom it asked.
        _ => resolver("system".to_owned()),
    }
}

fn certificate(place: &Place<'_>, failure: &Failure, factors: &mut Vec<Factor>) {
    let fingerprint = match failure.evidence.get("fingerprint") {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => place
            .tls()
            .and_then(|tls| tls.chain.first())
            .map(|leaf| leaf.fingerprint.clone()),
    };
    factors.extend(fingerprint.map(|text| Factor::Certificate(text.into())));
    // Who issued a certificate explains only why it is not trusted.
    let by_issuer = matches!(
        failure.cause,
        Cause::TlsCertUnknownRoot | Cause::TlsCertMissingIntermediate
    );
    let issuer = place
        .tls()
        .and_then(|tls| tls.chain.last())
        .map(|last| &last.issuer);
    if let Some(issuer) = issuer.filter(|issuer| by_issuer && !issuer.is_empty()) {
        factors.push(Factor::Issuer(issuer.clone().into()));
    }
    factors.extend(place.host_name());
    factors.push(place.host());
}

/// The certificate of the chain that ends first.
fn first_to_expire(tls: &TlsFacts) -> Option<Factor> {
    let first = tls.chain.iter().min_by_key(|certificate| certificate.not_after)?;
    Some(Factor::Certificate(first.fingerprint.clone().into()))
}

/// Who answered in the target's place: by ICMP, at the attempt or at a second look.
fn offender(place: &Place<'_>, record: &OperationRecord, failure: &Failure) -> Option<Factor> {
    let from_evidence = match failure.evidence.get("offender") {
        Some(Value::Text(text)) => text.parse::<IpAddr>().ok(),
        _ => None,
    };
    let by_attempt = || {
        let icmp = place.hop?.connect.as_deref()?.icmp.as_ref()?;
        icmp.offender.filter(|_| !icmp.from_this_host)
    };
    let by_echo = || match &record.attempts.last()?.attempt.stop()?.trouble {
        Trouble::Icmp(IcmpTrouble::Unreachable { offender, .. }) => *offender,
        _ => None,
    };
    let offender = from_evidence.or_else(by_attempt).or_else(by_echo)?;
    let target = place.hop.and_then(|hop| hop.address).map(|address| address.ip());
    let from_this_host = place
        .hop
        .and_then(|hop| hop.connect.as_deref())
        .and_then(|facts| facts.icmp.as_ref())
        .is_some_and(|icmp| icmp.from_this_host && icmp.offender == Some(offender));
    (Some(offender) != target && !offender.is_loopback() && !from_this_host)
        .then_some(Factor::Offender(offender))
}

/// The /24, or the /48, that an address is in.
fn network(address: IpAddr) -> Factor {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Factor::Network(Ipv4Addr::new(a, b, c, 0).into(), 24)
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Factor::Network(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into(), 48)
        }
    }
}
