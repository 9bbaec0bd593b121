//! The `dns://` probe: one question to one DNS server, and what it says.
//!
//! Its phases: `resolve` for the server's own name, `connect` for the TCP handshake (or the making of the UDP socket),
//! `request`, `first_byte` until the whole answer is there, and `verify`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use crate::model::attempt::{
    AddressSource, Attempt, Budget, DnsReply, Hop, Outcome, Resolution, Role, Stop, Trouble, Unexpected,
};
use crate::model::dependency::{DnsProbe, DnsTransport, RecordType, ResolveSettings};
use crate::model::order::{AttemptOrder, Connection};
use crate::model::phase::Phase;
use crate::net::wall;

use super::budget::{AttemptEnd, Deadline};
use super::resolve::Resolver;
use super::resolve::exchange::{Answered, Question, Times, ask};
use super::resolve::names::absolute;

/// At most so many addresses of the server's name are tried.
const MAX_ADDRESSES: usize = 8;
/// After how long an unanswered datagram is sent again, as resolvers do (RFC 1035, section 7.2); then twice that.
const RESEND: Duration = Duration::from_secs(1);
const TXT: RecordType = RecordType(16);

/// Makes the attempt. An address of the server that cannot be reached is left for the next, as a hop of its own.
pub(crate) async fn attempt(probe: &DnsProbe, order: &AttemptOrder, resolver: &Resolver) -> Attempt {
    let started = wall::now();
    let began = Instant::now();
    let mut asking = Asking {
        probe,
        order,
        end: AttemptEnd::new(began, order.budget, order.budget_of),
        url: order.dependency.probe.target().into(),
        hops: Vec::with_capacity(1),
    };
    let outcome = match asking.run(resolver).await {
        Ok(()) => Outcome::Answered,
        Err(stop) => Outcome::Stopped(stop),
    };
    Attempt {
        started,
        elapsed: began.elapsed(),
        hops: asking.hops,
        stale_found: None,
        outcome,
    }
}

struct Asking<'a> {
    probe: &'a DnsProbe,
    order: &'a AttemptOrder,
    end: AttemptEnd,
    url: Arc<str>,
    hops: Vec<Hop>,
}

/// When one address's turn ends, and whose budget says so.
struct Turn {
    connect: Deadline,
    answer: Deadline,
}

impl Asking<'_> {
    async fn run(&mut self, resolver: &Resolver) -> Result<(), Box<Stop>> {
        let Some(name) = absolute(&self.probe.name) else {
            let why = "the name to ask for is not one that DNS can carry";
            return Err(self.stop(None, Trouble::UrlInvalid(why.into())));
        };
        let mut hop = self.new_hop();
        let addresses = self.server(resolver, &mut hop).await;
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(trouble) => {
                self.hops.push(hop);
                return Err(self.stop(Some(Phase::Resolve), trouble));
            }
        };
        let mut left = addresses.len();
        for address in addresses {
            let turn = self.turn(left);
            left -= 1;
            let result = self.ask(address, &name, &turn, &mut hop).await;
            self.hops.push(hop);
            let stop = match result {
                Ok(()) => return Ok(()),
                Err((phase, trouble)) => self.stop(Some(phase), trouble),
            };
            let unreached = matches!(stop.trouble, Trouble::Io { .. } | Trouble::TimedOut(_));
            if !unreached || left == 0 || Instant::now() >= self.end.at {
                return Err(stop);
            }
            if let Some(failed) = self.hops.last_mut() {
                failed.stop = Some(stop);
            }
            hop = self.new_hop();
        }
        // Not reached: the list is not empty, and its last address returns above.
        Err(self.stop(Some(Phase::Resolve), Trouble::NoAddress))
    }

    fn new_hop(&self) -> Hop {
        Hop::new(Arc::clone(&self.url), Role::Target)
    }

    fn stop(&self, phase: Option<Phase>, trouble: Trouble) -> Box<Stop> {
        let chain = chain(&trouble, self.hops.last());
        Box::new(Stop {
            phase,
            hop: self
                .hops
                .len()
                .checked_sub(1)
                .and_then(|at| u16::try_from(at).ok()),
            trouble,
            chain,
        })
    }

    /// The server's addresses.
    async fn server(&self, resolver: &Resolver, hop: &mut Hop) -> Result<Vec<SocketAddr>, Trouble> {
        if let Connection::Address(address) = self.order.connection {
            return Ok(vec![address]);
        }
        let began = Instant::now();
        let deadline = self.end.phase(began, self.order.dependency.timeouts.resolve);
        let server = &self.probe.server;
        let found = resolver
            .resolve(&server.host, &ResolveSettings::default(), deadline.at)
            .await;
        // An address is not looked up: the phase was not reached.
        if found.source != AddressSource::Literal {
            hop.phases.add(Phase::Resolve, began.elapsed());
        }
        let addresses = found.addresses.iter().take(MAX_ADDRESSES);
        let addresses: Vec<_> = addresses.map(|ip| SocketAddr::new(*ip, server.port)).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        hop.resolution = Some(Box::new(found));
        if Instant::now() >= deadline.at {
            return Err(Trouble::TimedOut(deadline.of));
        }
        Err(Trouble::NoAddress)
    }

    /// The time of the next of `left` addresses: an equal part of what the phases allow.
    fn turn(&self, left: usize) -> Turn {
        let now = Instant::now();
        let timeouts = &self.order.dependency.timeouts;
        let parts = u32::try_from(left).unwrap_or(u32::MAX).max(1);
        let share = |limit: Duration| {
            let whole = self.end.phase(now, limit);
            let part = Deadline {
                at: now + whole.at.saturating_duration_since(now) / parts,
                of: Budget::Phase,
            };
            if parts == 1 { whole } else { part }
        };
        Turn {
            connect: share(timeouts.connect),
            answer: share(match self.probe.transport {
                DnsTransport::Udp => timeouts.first_byte,
                DnsTransport::Tcp => timeouts.connect + timeouts.first_byte,
            }),
        }
    }

    async fn ask(
        &self,
        address: SocketAddr,
        name: &Name,
        turn: &Turn,
        hop: &mut Hop,
    ) -> Result<(), (Phase, Trouble)> {
        hop.address = Some(address);
        let answered = ask(Question {
            server: address,
            name,
            record: self.probe.record,
            over_tcp: self.probe.transport == DnsTransport::Tcp,
            without_edns: false,
            times: Times {
                deadline: turn.answer.at,
                connect_by: turn.connect.at.min(turn.answer.at),
                resend: RESEND,
            },
        })
        .await;
        hop.phases.add_all(&answered.wire.phases);
        hop.sent = answered.wire.sent;
        hop.received = answered.wire.received;
        let last = answered.wire.last.unwrap_or(Phase::FirstByte);
        let resolution = hop.resolution.insert(Box::new(resolution(self.probe, answered)));
        // The one answer that was just put there.
        let reply = resolution.answers.first().map(|answer| &answer.reply);
        match reply {
            Some(DnsReply::Records { values, .. }) => {
                let began = Instant::now();
                let verified = verify(self.probe, values);
                hop.phases.add(Phase::Verify, began.elapsed());
                verified.map_err(|unexpected| (Phase::Verify, Trouble::Unexpected(unexpected)))
            }
            Some(DnsReply::TimedOut) => {
                let deadline = if last == Phase::Connect {
                    turn.connect
                } else {
                    turn.answer
                };
                Err((last, Trouble::TimedOut(deadline.of)))
            }
            Some(DnsReply::Io { call, errno }) => {
                let (call, errno) = (*call, *errno);
                Err((last, Trouble::Io { call, errno }))
            }
            _ => Err((Phase::FirstByte, Trouble::DnsAnswer)),
        }
    }
}

fn resolution(probe: &DnsProbe, answered: Answered) -> Resolution {
    let ttl = match &answered.answer.reply {
        DnsReply::Records { ttl, .. } => Some(Duration::from_secs(u64::from(*ttl))),
        _ => None,
    };
    Resolution {
        name: Arc::clone(&probe.name),
        source: AddressSource::Nameserver,
        addresses: answered.addresses,
        ttl,
        answers: vec![answered.answer],
        system: None,
    }
}

/// Each value that is wanted must be among the answers.
fn verify(probe: &DnsProbe, values: &[Box<str>]) -> Result<(), Unexpected> {
    let is_there = |wanted: &str| values.iter().any(|got| is_same(probe.record, wanted, got));
    match probe.expect.iter().find(|wanted| !is_there(wanted)) {
        None => Ok(()),
        Some(wanted) => Err(Unexpected::Record {
            wanted: (**wanted).into(),
            got: values.to_vec(),
        }),
    }
}

/// Addresses by value, texts to the letter, names in any case and with or without the root's dot.
fn is_same(record: RecordType, wanted: &str, got: &str) -> bool {
    if record == TXT {
        return wanted == got;
    }
    match (wanted.parse::<IpAddr>(), got.parse::<IpAddr>()) {
        (Ok(wanted), Ok(got)) => wanted == got,
        _ => {
            let bare = |text: &'_ str| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
            bare(wanted) == bare(got)
        }
    }
}

fn chain(trouble: &Trouble, hop: Option<&Hop>) -> Vec<Box<str>> {
    let resolution = hop.and_then(|hop| hop.resolution.as_deref());
    let answer = resolution.and_then(|resolution| resolution.answers.first());
    match (trouble, answer.map(|answer| &answer.reply)) {
        (Trouble::Io { call, errno }, _) => {
            let error = io::Error::from_raw_os_error(*errno);
            vec![format!("{}: {error}", call.id()).into()]
        }
        (Trouble::DnsAnswer, Some(DnsReply::Malformed(why))) => vec![why.clone()],
        (Trouble::UrlInvalid(why), _) => vec![why.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
