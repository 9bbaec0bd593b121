//! What the rules look at, and what they find.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::attempt::{Attempt, Budget, ConnectFacts, Hop, Protocol, Role, Stop, Trouble};
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::{Dependency, DnsTransport, Probe, Proxy};
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::Confidence;
use crate::model::phase::Phase;

use super::Context;
use super::recognise::{Spoken, recognise};

/// One stop with everything around it: the attempt's own, or that of one address that another one replaced.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub attempt: &'a Attempt,
    pub stop: &'a Stop,
    /// Where it stopped; `None` when no hop was begun.
    pub hop: Option<&'a Hop>,
    pub context: &'a Context<'a>,
}

impl<'a> Scene<'a> {
    pub fn dependency(&self) -> &'a Dependency {
        self.context.dependency
    }

    pub fn phase(&self) -> Option<Phase> {
        self.stop.phase
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.hop.and_then(|hop| hop.address)
    }

    /// What the probe found out about a connection that could not be made.
    pub fn connect_facts(&self) -> Option<&'a ConnectFacts> {
        self.hop.and_then(|hop| hop.connect.as_deref())
    }

    /// Whether the peer's address is this host itself, so that nothing stands between.
    pub fn is_to_this_host(&self) -> bool {
        self.address().is_some_and(|address| address.ip().is_loopback())
            || self.connect_facts().is_some_and(|facts| facts.own_address)
    }

    pub fn proxy(&self) -> Option<&'a Proxy> {
        self.dependency().probe.proxy()
    }

    pub fn role(&self) -> Role {
        match self.hop {
            Some(hop) => hop.role,
            None if self.proxy().is_some() => Role::Proxy,
            None => Role::Target,
        }
    }

    /// Whether the stop lies on the way to the proxy or in its CONNECT, so that it says nothing about the target. What
    /// comes after CONNECT is the target's, and so is a response that a proxy forwards.
    pub fn is_at_proxy(&self) -> bool {
        if self.phase() == Some(Phase::Proxy) {
            return true;
        }
        if self.role() != Role::Proxy {
            return false;
        }
        let connect_made = self.hop.is_some_and(|hop| hop.phases.get(Phase::Proxy).is_some());
        match self.phase() {
            Some(Phase::Resolve | Phase::Connect) => true,
            Some(Phase::Tls) => !connect_made && self.proxy().is_some_and(|proxy| proxy.tls),
            _ => false,
        }
    }

    /// Whether the request went to a proxy that forwards plain requests (absolute form, no CONNECT): then the response
    /// may be the proxy's own.
    pub fn is_forwarded(&self) -> bool {
        self.proxy().is_some()
            && self
                .hop
                .is_some_and(|hop| hop.role != Role::Proxy && hop.url.starts_with("http://"))
    }

    /// The DNS probe, when the dependency is a nameserver.
    pub fn dns_transport(&self) -> Option<DnsTransport> {
        match &self.dependency().probe {
            Probe::Dns(dns) => Some(dns.transport),
            _ => None,
        }
    }

    /// Whether the request went out in the clear.
    pub fn is_plain_http(&self) -> bool {
        const IN_THE_CLEAR: [&str; 3] = ["http://", "ws://", "grpc://"];
        self.dependency().probe.http().is_some()
            && self.hop.is_some_and(|hop| {
                hop.tls.is_none() && IN_THE_CLEAR.iter().any(|scheme| hop.url.starts_with(scheme))
            })
    }

    pub fn first_bytes(&self) -> &'a [u8] {
        self.hop.map_or(&[], |hop| &hop.first_bytes)
    }

    pub fn speaks_h2(&self) -> bool {
        self.hop.is_some_and(|hop| hop.protocol == Some(Protocol::Http2))
    }

    /// Whether any part of a response was seen on this use of the connection. With TLS or HTTP/2, bytes received are no
    /// sign of that: a close_notify, a session ticket or a SETTINGS frame counts among them.
    pub fn response_begun(&self) -> bool {
        let Some(hop) = self.hop else { return false };
        let framed = hop.tls.is_some() || self.speaks_h2();
        let received = !hop.first_bytes.is_empty() || (!framed && hop.received > 0);
        let only_frames = match &*hop.first_bytes {
            // Records of TLS: alert, handshake, and application data that held nothing of the application.
            [0x14..=0x17, 0x03, ..] => hop.tls.is_some(),
            bytes => self.speaks_h2() && recognise(bytes) == Some(Spoken::Http2),
        };
        hop.status.is_some() || (received && !only_frames)
    }

    /// Time in the phase in which it stopped, on the hop where it stopped. For what was found wrong with a whole answer
    /// it is the time that the answer took.
    pub fn phase_elapsed(&self) -> Duration {
        let whole = self.attempt.elapsed;
        match (self.hop, self.phase()) {
            (Some(hop), Some(Phase::Verify)) => hop.phases.sum(),
            (Some(hop), Some(phase)) => hop.phases.get(phase).unwrap_or(whole),
            _ => whole,
        }
    }

    pub fn budget(&self) -> Option<Budget> {
        match self.stop.trouble {
            Trouble::TimedOut(budget) => Some(budget),
            _ => None,
        }
    }

    /// Fast or slow: a timeout that was used up is slow whatever its length.
    pub fn speed(&self, found: &Found) -> Speed {
        if found.used_up_a_timeout || self.budget().is_some() {
            Speed::Slow
        } else if self.phase_elapsed() < self.dependency().fast_below {
            Speed::Fast
        } else {
            Speed::Slow
        }
    }

    /// `name:port` of the peer that is meant: the proxy where the stop is the proxy's, otherwise the hop's host.
    pub fn peer(&self) -> String {
        if self.is_at_proxy()
            && let Some(proxy) = self.proxy()
        {
            return proxy.endpoint.to_string();
        }
        match self.hop.and_then(|hop| authority(&hop.url)) {
            Some(authority) => authority.to_owned(),
            None => self.dependency().probe.endpoint().to_string(),
        }
    }

    /// The host without its port.
    pub fn host(&self) -> String {
        let peer = self.peer();
        match peer.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                host.trim_matches(['[', ']']).to_owned()
            }
            _ => peer.trim_matches(['[', ']']).to_owned(),
        }
    }
}

/// `localhost` and names below it (RFC 6761, section 6.3): both loopback addresses stand for it, and a service listens
/// on one of them as a rule.
pub fn is_localhost(name: &str) -> bool {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let last = bare.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// The authority of a URL.
pub fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|authority| !authority.is_empty())
}

/// What a rule concludes.
#[derive(Clone, Debug)]
pub struct Found {
    pub cause: Cause,
    pub confidence: Confidence,
    pub alternatives: Vec<Cause>,
    pub evidence: Evidence,
    /// Whether the failure came by waiting for a timeout to its end, where the trouble itself does not say so.
    pub used_up_a_timeout: bool,
    /// A fix that only the rule can word; otherwise `fix` words it.
    pub fix: Option<String>,
}

impl Found {
    /// The fact itself says so.
    pub fn observed(cause: Cause) -> Found {
        Found {
            cause,
            confidence: Confidence::Observed,
            alternatives: Vec::new(),
            evidence: Evidence::new(),
            used_up_a_timeout: false,
            fix: None,
        }
    }

    /// The best explanation, and what else it could be.
    pub fn likely(cause: Cause, alternatives: &[Cause]) -> Found {
        Found {
            confidence: Confidence::Likely,
            ..Found::observed(cause).or(alternatives)
        }
    }

    /// What remains possible.
    pub fn or(mut self, alternatives: &[Cause]) -> Found {
        for &cause in alternatives {
            if cause != self.cause && !self.alternatives.contains(&cause) {
                self.alternatives.push(cause);
            }
        }
        self
    }

    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Found {
        self.evidence.set(key, value);
        self
    }

    pub fn with_some(mut self, key: &'static str, value: Option<impl Into<Value>>) -> Found {
        self.evidence.set_some(key, value);
        self
    }

    pub fn slow(mut self) -> Found {
        self.used_up_a_timeout = true;
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Found {
        self.fix = Some(fix.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        assert_eq!(authority("https://a.example/x?…"), Some("a.example"));
        assert_eq!(authority("http://[::1]:80"), Some("[::1]:80"));
        assert_eq!(authority("nonsense"), None);
        assert_eq!(authority("http:///x"), None);
    }
}
