//! Facts in, causes out: one row per cause, and rows for what only looks like it.

mod answers;
mod connections;
mod handshakes;
mod ours_and_names;
mod services;
mod several;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::*;
use crate::model::cause::{Cause, Speed};
use crate::model::dependency::*;
use crate::model::failure::{Confidence, Failure, Finding};
use crate::model::phase::Phase;
use crate::model::time::Wall;

use super::{Context, classify, findings};

/// 2026-11-24T00:00:00Z.
const NOW: Wall = Wall::from_unix_secs(1_795_478_400);
const DAY: i64 = 86_400;

/// One attempt that stopped, on a fresh connection for plain HTTP unless told otherwise.
struct Case {
    attempt: Attempt,
    dependency: Dependency,
    known_host: Option<&'static str>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn dependency() -> Dependency {
    let endpoint = Endpoint {
        host: "shop.example".into(),
        port: 80,
    };
    Dependency {
        name: "shop".into(),
        labels: Arc::from([]),
        probe: Probe::Http(Box::new(HttpProbe {
            url: HttpUrl {
                scheme: Scheme::Http,
                endpoint,
                path: "/health".into(),
                query: None,
            },
            method: "GET".into(),
            headers: Arc::from([]),
            body: None,
            auth: Auth::None,
            version: HttpVersion::Auto,
            redirects: Redirects::default(),
            proxy: None,
            tls: TlsSettings::default(),
            resolve: ResolveSettings::default(),
            expect: Expect::default(),
            max_body: 1 << 20,
            user_agent: "test".into(),
        })),
        host: HostKey {
            name: "shop.example".into(),
            port: 80,
            proxy: None,
        },
        interval: Duration::from_secs(30),
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
        confirm: Confirm::Gentle,
        keepalive: Keepalive::default(),
        fast_below: Duration::from_secs(1),
        depends_on: Arc::from([]),
        unused_proxy: None,
        found: false,
        alerts: Arc::default(),
    }
}

fn hop() -> Hop {
    let mut hop = Hop::new("http://shop.example/health".into(), Role::Target);
    hop.address = Some(address("192.0.2.7:80"));
    hop
}

fn stop(phase: Phase, trouble: Trouble) -> Stop {
    Stop {
        phase: Some(phase),
        hop: Some(0),
        trouble,
        chain: vec!["outer".into(), "inner".into()],
    }
}

/// An attempt that stopped there after 5 ms.
fn case(phase: Phase, trouble: Trouble) -> Case {
    let mut hop = hop();
    let elapsed = Duration::from_millis(5);
    hop.phases.add(phase, elapsed);
    Case {
        attempt: Attempt {
            started: NOW,
            elapsed,
            hops: vec![hop],
            stale_found: None,
            outcome: Outcome::Stopped(Box::new(stop(phase, trouble))),
        },
        dependency: dependency(),
        known_host: None,
    }
}

fn io(phase: Phase, call: Call, errno: i32) -> Case {
    case(phase, Trouble::Io { call, errno })
}

/// A timeout that used up all of a three-second attempt in that phase.
fn timeout(phase: Phase, budget: Budget) -> Case {
    case(phase, Trouble::TimedOut(budget)).took(phase, 2995)
}

fn http(phase: Phase, trouble: HttpTrouble) -> Case {
    case(phase, Trouble::Http(trouble)).hop(|hop| hop.received = 100)
}

fn status(status: u16) -> Case {
    let wanted = "2xx".into();
    let trouble = Trouble::Unexpected(Unexpected::Status { got: status, wanted });
    case(Phase::FirstByte, trouble).hop(|hop| {
        hop.status = Some(status);
        hop.received = 100;
        hop.response = Some(Box::default());
    })
}

/// A stop in the handshake with these facts.
fn tls(trouble: TlsTrouble, facts: impl FnOnce(&mut TlsFacts)) -> Case {
    case(Phase::Tls, Trouble::Tls(trouble)).https(facts)
}

fn certificate(kinds: &[CertificateFaultKind]) -> Case {
    tls(TlsTrouble::Certificate, |tls| {
        tls.chain = vec![leaf(NOW + Duration::from_secs(90 * 86_400))];
        tls.faults = kinds.iter().map(|kind| fault(*kind)).collect();
    })
}

fn fault(kind: CertificateFaultKind) -> CertificateFault {
    CertificateFault {
        position: Some(0),
        kind,
        detail: "the verifier's words".into(),
        issuer_url: None,
        completes_with: Box::default(),
    }
}

fn leaf(not_after: Wall) -> CertificateFacts {
    CertificateFacts {
        subject: "CN=shop.example".into(),
        issuer: "CN=Example CA".into(),
        serial: "01".into(),
        not_before: Wall::from_unix_secs(NOW.unix_secs() - 200 * DAY),
        not_after,
        names: vec!["www.example".into(), "cdn.example".into()],
        is_ca: false,
        self_issued: false,
        signature_algorithm: "ecdsa-with-SHA256".into(),
        key: "EC P-256".into(),
        fingerprint: "ab".into(),
        needed: true,
    }
}

const A: RecordType = RecordType::A;
const AAAA: RecordType = RecordType::AAAA;

fn answer(server: &str, record: RecordType, reply: DnsReply) -> ServerAnswer {
    ServerAnswer {
        server: address(server),
        over_tcp: false,
        how: Asked::default(),
        name: "shop.example".into(),
        record,
        elapsed: Duration::from_millis(2),
        reply,
        extended: vec![],
    }
}

fn records(values: &[&str]) -> DnsReply {
    DnsReply::Records {
        values: values.iter().map(|value| (*value).into()).collect(),
        ttl: 60,
    }
}

const fn rcode(rcode: u16) -> DnsReply {
    DnsReply::Code { rcode, soa: None }
}

const NO_DATA: DnsReply = DnsReply::NoData { soa: None };

fn resolution(answers: Vec<ServerAnswer>) -> Resolution {
    Resolution {
        name: "shop.example".into(),
        source: AddressSource::Nameserver,
        addresses: vec![],
        ttl: None,
        answers,
        system: None,
    }
}

fn resolve(trouble: Trouble, answers: Vec<ServerAnswer>) -> Case {
    case(Phase::Resolve, trouble).hop(|hop| {
        hop.address = None;
        hop.resolution = Some(Box::new(resolution(answers)));
    })
}

impl Case {
    fn hop(mut self, change: impl FnOnce(&mut Hop)) -> Case {
        change(&mut self.attempt.hops[0]);
        self
    }

    fn dependency(mut self, change: impl FnOnce(&mut Dependency)) -> Case {
        change(&mut self.dependency);
        self
    }

    /// Adds time to a phase and to the attempt.
    fn took(mut self, phase: Phase, millis: u64) -> Case {
        let elapsed = Duration::from_millis(millis);
        self.attempt.hops[0].phases.add(phase, elapsed);
        self.attempt.elapsed += elapsed;
        self
    }

    fn https(self, facts: impl FnOnce(&mut TlsFacts)) -> Case {
        self.hop(|hop| {
            hop.url = "https://shop.example/health".into();
            hop.address = Some(address("192.0.2.7:443"));
            let mut tls = TlsFacts {
                server_name: Some("shop.example".into()),
                ..TlsFacts::default()
            };
            facts(&mut tls);
            hop.tls = Some(Box::new(tls));
        })
    }

    fn reused(self) -> Case {
        self.hop(|hop| {
            hop.reused = true;
            hop.idle_before = Some(Duration::from_secs(61));
            hop.sent = 120;
        })
    }

    fn at(self, text: &str) -> Case {
        self.hop(|hop| hop.address = Some(address(text)))
    }

    fn first_bytes(self, bytes: &[u8]) -> Case {
        self.hop(|hop| {
            hop.first_bytes = bytes.into();
            hop.received = bytes.len() as u64;
        })
    }

    fn excerpt(self, text: &str) -> Case {
        self.hop(|hop| {
            hop.response = Some(Box::new(ResponseFacts {
                body_excerpt: Some(text.into()),
                ..ResponseFacts::default()
            }));
        })
    }

    fn tcp(self, change: impl FnOnce(&mut TcpFacts)) -> Case {
        self.hop(|hop| {
            let mut tcp = TcpFacts {
                state: 1,
                ..TcpFacts::default()
            };
            change(&mut tcp);
            hop.tcp = Some(tcp);
        })
    }

    /// Reached by a proxy, with the hop's socket connected to it.
    fn proxied(self, connect_made: bool) -> Case {
        let proxy = Proxy {
            endpoint: Endpoint {
                host: "proxy.example".into(),
                port: 3128,
            },
            tls: false,
            auth: None,
            inherited_from: None,
        };
        self.hop(|hop| {
            hop.role = Role::Proxy;
            if connect_made {
                hop.phases.add(Phase::Proxy, Duration::from_millis(1));
            }
        })
        .dependency(|dependency| {
            if let Probe::Http(http) = &mut dependency.probe {
                http.proxy = Some(proxy);
            }
        })
    }

    fn dns_probe(self, transport: DnsTransport) -> Case {
        self.at("192.0.2.53:53").dependency(|dependency| {
            dependency.probe = Probe::Dns(DnsProbe {
                server: Endpoint {
                    host: "192.0.2.53".into(),
                    port: 53,
                },
                name: "shop.example".into(),
                record: A,
                transport,
                expect: Arc::from([]),
            });
        })
    }

    fn classify(&self) -> Failure {
        let known = |_: &str| self.known_host.map(str::to_owned);
        let context = Context {
            dependency: &self.dependency,
            known_hosts: &known,
            now: NOW,
        };
        classify(&self.attempt, &context).expect("it stopped")
    }

    fn findings(&self) -> Vec<Finding> {
        let context = Context {
            dependency: &self.dependency,
            known_hosts: &|_| None,
            now: NOW,
        };
        findings(&self.attempt, &context)
    }
}

/// What it is, the facts, and what they are taken for.
type Row = (&'static str, Case, Cause, Confidence, Speed);

fn check(rows: Vec<Row>) {
    for (what, case, cause, confidence, speed) in rows {
        let failure = case.classify();
        assert_eq!(failure.cause, cause, "{what}: cause");
        assert_eq!(failure.confidence, confidence, "{what}: confidence");
        assert_eq!(failure.speed, speed, "{what}: speed");
        assert!(!failure.fix.is_empty(), "{what}: no fix");
        assert!(
            !failure.alternatives.contains(&cause),
            "{what}: its own alternative"
        );
        assert_eq!(
            failure.chain.len(),
            case.attempt.stop().map_or(0, |stop| stop.chain.len()),
            "{what}: chain"
        );
    }
}

/// The value of an evidence key, as its text form in a debugger.
fn evidence(failure: &Failure, key: &str) -> String {
    use crate::model::evidence::Value;
    match failure.evidence.get(key) {
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::Duration(duration)) => format!("{duration:?}"),
        Some(Value::Time(time)) => time.to_string(),
        Some(other) => format!("{other:?}"),
        None => "(absent)".into(),
    }
}

#[test]
fn an_answer_has_no_cause() {
    let mut case = case(Phase::Body, Trouble::Closed);
    case.attempt.outcome = Outcome::Answered;
    let context = Context {
        dependency: &case.dependency,
        known_hosts: &|_| None,
        now: NOW,
    };
    assert_eq!(classify(&case.attempt, &context), None);
}

#[test]
fn a_stop_without_any_hop_still_has_a_cause() {
    let mut case = io(Phase::Connect, Call::Socket, super::errno::EMFILE);
    case.attempt.hops.clear();
    let failure = case.classify();
    assert_eq!(failure.cause, Cause::LocalFdExhaustedProcess);
    assert_eq!(failure.confidence, Confidence::Observed);
    assert_eq!(failure.speed, Speed::Fast);
}

/// Every place and manner in which an attempt can stop is understood: `unknown` is left to bugs.
#[test]
fn nothing_that_can_be_told_is_unknown() {
    use super::errno::*;
    let errnos = [
        EPERM,
        EACCES,
        EINVAL,
        ENFILE,
        EMFILE,
        EPIPE,
        EADDRINUSE,
        EADDRNOTAVAIL,
        ENETDOWN,
        ENETUNREACH,
        ECONNABORTED,
        ECONNRESET,
        ENOBUFS,
        ENOTCONN,
        ETIMEDOUT,
        ECONNREFUSED,
        EHOSTDOWN,
        EHOSTUNREACH,
    ];
    let call_of = |phase: Option<Phase>| match phase {
        Some(Phase::Resolve | Phase::Connect) => Call::Connect,
        _ => Call::Receive,
    };
    let budgets = [Budget::Phase, Budget::Attempt, Budget::Total];
    let phases = Phase::ALL.into_iter().map(Some).chain([None]);
    let mut seen = std::collections::BTreeSet::new();
    for phase in phases {
        let mut troubles: Vec<Trouble> = budgets.into_iter().map(Trouble::TimedOut).collect();
        troubles.extend([
            Trouble::Closed,
            Trouble::NoAddress,
            Trouble::DnsAnswer,
            Trouble::Abandoned,
        ]);
        troubles.extend((0..=121).map(|alert| Trouble::Tls(TlsTrouble::AlertReceived(alert))));
        for errno in errnos {
            // These belong to making a connection; later they cannot be.
            let early = matches!(errno, EINVAL | EADDRINUSE | EADDRNOTAVAIL);
            if !(early && call_of(phase) == Call::Receive) {
                let call = call_of(phase);
                troubles.push(Trouble::Io { call, errno });
            }
        }
        for trouble in troubles {
            for dress in [
                |case: Case| case,
                Case::reused,
                |case: Case| case.https(|tls| tls.client_cert_requested = true),
                |case: Case| case.proxied(false),
                |case: Case| case.proxied(true),
                |case: Case| case.dns_probe(DnsTransport::Udp),
                |case: Case| case.dns_probe(DnsTransport::Tcp),
            ] {
                let mut case = dress(case(phase.unwrap_or(Phase::Resolve), trouble.clone()));
                if let Outcome::Stopped(stop) = &mut case.attempt.outcome {
                    stop.phase = phase;
                }
                let failure = case.classify();
                assert_ne!(failure.cause, Cause::Unknown, "{phase:?} {trouble:?}");
                assert!(!failure.fix.is_empty(), "{phase:?} {trouble:?}");
                seen.insert(failure.cause);
            }
        }
    }
    assert!(seen.len() > 30, "{}", seen.len());
}
