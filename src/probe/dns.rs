//! The `dns://` probe: one question to one DNS server, and what it says.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use crate::model::attempt::{
    AddressSource, Attempt, Budget, Call, DnsReply, Hop, Outcome, Resolution, Role, Stop, Trouble, Unexpected,
};
use crate::model::dependency::{DnsProbe, DnsTransport, ResolveSettings};
use crate::model::order::AttemptOrder;
use crate::model::phase::Phase;
use crate::model::time::Wall;

use super::resolve::Resolver;
use super::resolve::exchange::{Question, ask};

/// Makes the attempt. Resolving the server's own name is the phase `resolve`; the question and its answer are
/// `first_byte`.
pub(crate) async fn attempt(probe: &DnsProbe, order: &AttemptOrder, resolver: &Resolver) -> Attempt {
    let started = Instant::now();
    let wall = Wall::from_unix_nanos(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
    );
    let url: Arc<str> = order.dependency.probe.target().into();
    let mut hop = Hop::new(url, Role::Target);
    let result = run(probe, order, resolver, &mut hop).await;
    let outcome = match result {
        Ok(()) => Outcome::Answered,
        Err((phase, trouble)) => Outcome::Stopped(Box::new(Stop {
            phase: Some(phase),
            hop: Some(0),
            chain: chain(&trouble, &hop),
            trouble,
        })),
    };
    Attempt {
        started: wall,
        elapsed: started.elapsed(),
        hops: vec![hop],
        stale_found: None,
        outcome,
    }
}

async fn run(
    probe: &DnsProbe,
    order: &AttemptOrder,
    resolver: &Resolver,
    hop: &mut Hop,
) -> Result<(), (Phase, Trouble)> {
    let end = Instant::now() + order.budget;
    let timeouts = &order.dependency.timeouts;
    let began = Instant::now();
    let by = (began + timeouts.resolve).min(end);
    let server = resolver
        .resolve(&probe.server.host, &ResolveSettings::default(), by)
        .await;
    hop.phases.add(Phase::Resolve, began.elapsed());
    let Some(address) = server.addresses.first().copied() else {
        hop.resolution = Some(Box::new(server));
        return Err((Phase::Resolve, Trouble::NoAddress));
    };
    let address = SocketAddr::new(address, probe.server.port);
    hop.address = Some(address);
    let Ok(mut name) = Name::from_str(&probe.name) else {
        return Err((
            Phase::Request,
            Trouble::UrlInvalid("the name to ask for is not a DNS name".into()),
        ));
    };
    name.set_fqdn(true);
    let began = Instant::now();
    let phase_end = began + timeouts.first_byte;
    let question = Question {
        server: address,
        name: &name,
        record: probe.record,
        over_tcp: probe.transport == DnsTransport::Tcp,
        deadline: phase_end.min(end),
    };
    let answered = ask(question).await;
    let took = began.elapsed();
    let reply = answered.answer.reply.clone();
    hop.resolution = Some(Box::new(Resolution {
        name: Arc::clone(&probe.name),
        source: AddressSource::Nameserver,
        addresses: answered.addresses,
        ttl: None,
        answers: vec![answered.answer],
        system: None,
    }));
    let budget = if phase_end <= end {
        Budget::Phase
    } else {
        order.budget_of
    };
    let began = Instant::now();
    let judged = judge(probe, &reply, budget);
    match &judged {
        // Without a socket nothing was asked.
        Err((Phase::Connect, _)) => hop.phases.add(Phase::Connect, took),
        _ => hop.phases.add(Phase::FirstByte, took),
    }
    if matches!(reply, DnsReply::Records { .. }) && !probe.expect.is_empty() {
        hop.phases.add(Phase::Verify, began.elapsed());
    }
    judged
}

fn judge(probe: &DnsProbe, reply: &DnsReply, budget: Budget) -> Result<(), (Phase, Trouble)> {
    match reply {
        DnsReply::Records { values, .. } => {
            let missing = probe
                .expect
                .iter()
                .find(|wanted| !values.iter().any(|value| **value == ***wanted));
            match missing {
                Some(wanted) => {
                    let unexpected = Unexpected::Record {
                        wanted: (**wanted).into(),
                        got: values.clone(),
                    };
                    Err((Phase::Verify, Trouble::Unexpected(unexpected)))
                }
                None => Ok(()),
            }
        }
        DnsReply::TimedOut => Err((Phase::FirstByte, Trouble::TimedOut(budget))),
        DnsReply::Io {
            call: call @ (Call::Socket | Call::Bind),
            errno,
        } => Err((
            Phase::Connect,
            Trouble::Io {
                call: *call,
                errno: *errno,
            },
        )),
        // What the resolver's socket said is kept in the resolution, where the cause is looked for.
        DnsReply::Io { .. } | DnsReply::NoData { .. } | DnsReply::Code { .. } | DnsReply::Malformed(_) => {
            Err((Phase::FirstByte, Trouble::DnsAnswer))
        }
    }
}

fn chain(trouble: &Trouble, hop: &Hop) -> Vec<Box<str>> {
    let reply = hop
        .resolution
        .as_ref()
        .and_then(|resolution| resolution.answers.first())
        .map(|a| &a.reply);
    match (trouble, reply) {
        (Trouble::DnsAnswer, Some(DnsReply::Malformed(why))) => vec![why.clone()],
        (Trouble::DnsAnswer, Some(DnsReply::Io { call, errno })) => {
            vec![format!("{}: {}", call.id(), std::io::Error::from_raw_os_error(*errno)).into()]
        }
        _ => Vec::new(),
    }
}
