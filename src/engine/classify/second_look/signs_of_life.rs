//! Nothing answers a connection attempt: what else answers from the address tells a filter from a host that is down.

use crate::model::attempt::{IcmpMeaning, LookedAt, Neighbour, NeighbourState, Seen, Sign, SignsOfLife};
use crate::model::cause::Cause;
use crate::model::dependency::Confirm;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;
use crate::model::phase::Phase;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let failure = question.failure;
    let address = question.target_hop()?.address?;
    let silent = failure.cause == Cause::TcpTimedOut && failure.phase == Some(Phase::Connect);
    let all = question.deep || question.dependency.confirm == Confirm::Full;
    silent.then_some(ConfirmationKind::SignsOfLife { address, all })
}

pub fn looked(failure: &mut Failure, found: &SignsOfLife) {
    let tried: Vec<Value> = neighbour_entry(found)
        .into_iter()
        .chain(found.signs.iter().map(entry))
        .collect();
    failure.evidence.set("tried", Value::List(tried));
    let verdict = judge(found);
    failure.cause = verdict.cause;
    failure.confidence = verdict.confidence;
    failure.alternatives = verdict.alternatives.to_vec();
    for (key, value) in verdict.evidence {
        failure.evidence.set(key, value);
    }
    let at = match failure.evidence.get("address") {
        Some(Value::Text(address)) => address.to_string(),
        _ => "the target".to_owned(),
    };
    failure.fix = verdict.fix.replace("{at}", &at).into();
}

struct Verdict {
    cause: Cause,
    confidence: Confidence,
    alternatives: &'static [Cause],
    evidence: Vec<(&'static str, Value)>,
    /// With `{at}` for the address.
    fix: String,
}

/// The table, in order: what we do ourselves, what a router or a neighbour says, what the host itself shows.
fn judge(found: &SignsOfLife) -> Verdict {
    ourselves(found)
        .or_else(|| this_host(found))
        .or_else(|| got_through(found))
        .or_else(|| nobody_there(found))
        .or_else(|| alive(found))
        .unwrap_or_else(|| silence(found))
}

fn seen(found: &SignsOfLife, wanted: LookedAt) -> Option<&Seen> {
    found
        .signs
        .iter()
        .find(|sign| sign.looked_at == wanted)
        .map(|sign| &sign.seen)
}

/// Our own packet does not leave this host.
fn ourselves(found: &SignsOfLife) -> Option<Verdict> {
    const EPERM: i32 = super::super::errno::EPERM;
    matches!(seen(found, LookedAt::OwnOutput), Some(Seen::Failed(EPERM))).then(|| Verdict {
        cause: Cause::LocalPolicyDenied,
        confidence: Confidence::Confirmed,
        alternatives: &[],
        evidence: vec![("dropped_by", "this host's own firewall, in its output".into())],
        fix: "allow whyd to reach {at}: this host's own firewall drops what it sends there".into(),
    })
}

/// The address is this host's own: its listener's queue can be seen.
fn this_host(found: &SignsOfLife) -> Option<Verdict> {
    if !found.own_address {
        return None;
    }
    let queue = seen(found, LookedAt::OwnListener);
    Some(match queue {
        Some(Seen::Waiting(waiting)) if *waiting > 0 => Verdict {
            cause: Cause::TcpTimedOut,
            confidence: Confidence::Confirmed,
            alternatives: &[],
            evidence: vec![
                ("accept_queue_full", true.into()),
                ("accept_queue_length", (*waiting).into()),
            ],
            fix: format!(
                "make the process at {{at}} accept again: its accept queue is full ({waiting} connections wait), it is stuck \
                 or overloaded"
            ),
        },
        // A host that is asked by itself answers, unless something in it drops the packets.
        Some(Seen::Waiting(_) | Seen::Nothing) => Verdict {
            cause: Cause::TcpTimedOutFiltered,
            confidence: Confidence::Confirmed,
            alternatives: &[],
            evidence: vec![("answered_by", "this host itself".into())],
            fix: "open this host's own firewall for {at}".into(),
        },
        _ => Verdict {
            cause: Cause::TcpTimedOut,
            confidence: Confidence::Observed,
            alternatives: &[Cause::TcpTimedOutFiltered],
            evidence: vec![],
            fix: "look at the process at {at} and at this host's firewall: its accept queue is full, or packets are dropped"
                .into(),
        },
    })
}

/// The same handshake worked, or was refused, when it was tried once more.
fn got_through(found: &SignsOfLife) -> Option<Verdict> {
    match seen(found, LookedAt::Again)? {
        Seen::Answered | Seen::Refused => Some(Verdict {
            cause: Cause::TcpTimedOut,
            confidence: Confidence::Observed,
            alternatives: &[],
            evidence: vec![("handshake_worked_later", true.into())],
            fix: "look for packet loss on the way to {at}, and at its accept queue: handshakes get through at times".into(),
        }),
        Seen::Icmp(icmp) => {
            let cause = match icmp.meaning() {
                IcmpMeaning::Host => Cause::TcpHostUnreachable,
                IcmpMeaning::Network => Cause::TcpNetworkUnreachable,
                IcmpMeaning::Prohibited => Cause::TcpProhibited,
                IcmpMeaning::Port => Cause::TcpRefusedIcmp,
                IcmpMeaning::TooBig | IcmpMeaning::TimeExceeded | IcmpMeaning::Other => return None,
            };
            // Of this host to itself: the neighbour table says more.
            if icmp.from_this_host {
                return None;
            }
            let offender = icmp.offender.map_or_else(|| "a router".to_owned(), |ip| ip.to_string());
            Some(Verdict {
                cause,
                confidence: Confidence::Confirmed,
                alternatives: &[],
                evidence: vec![
                    ("offender", offender.as_str().into()),
                    ("icmp", icmp.meaning().id().into()),
                ],
                fix: format!("look at {offender}, which says {} for {{at}}", icmp.meaning().id()),
            })
        }
        _ => None,
    }
}

fn neighbour(found: &SignsOfLife) -> Option<Neighbour> {
    found.route?.neighbour
}

/// The next hop does not answer: the host itself on our own link, or the gateway.
fn nobody_there(found: &SignsOfLife) -> Option<Verdict> {
    // This host says itself that the host is unreachable when it has asked for the neighbour in vain; the table that was
    // read a moment earlier may still have had it as being asked for.
    let given_up = matches!(
        seen(found, LookedAt::Again),
        Some(Seen::Icmp(icmp)) if icmp.from_this_host && matches!(icmp.meaning(), IcmpMeaning::Host)
    );
    let failed = neighbour(found)?.state == NeighbourState::Failed;
    if !failed && !given_up {
        return None;
    }
    let gateway = found.route.and_then(|route| route.gateway);
    Some(match gateway {
        None => Verdict {
            cause: Cause::TcpTimedOutHostDown,
            confidence: Confidence::Confirmed,
            alternatives: &[],
            evidence: vec![("neighbour", NeighbourState::Failed.id().into())],
            fix: "start the host at {at}, or check its cable and address: nobody answers for it on this link"
                .into(),
        },
        Some(gateway) => Verdict {
            cause: Cause::TcpHostUnreachable,
            confidence: Confidence::Confirmed,
            alternatives: &[],
            evidence: vec![("gateway", gateway.into()), ("neighbour_silent", true.into())],
            fix: format!("repair the gateway {gateway} on the way to {{at}}: it does not answer this host"),
        },
    })
}

/// Something answers from the address, and the port does not.
fn alive(found: &SignsOfLife) -> Option<Verdict> {
    let on_link = found.route.is_some_and(|route| route.gateway.is_none());
    let answering: Vec<String> = found
        .signs
        .iter()
        .filter(|sign| sign.is_alive())
        .map(|sign| words(&sign.looked_at))
        .chain((on_link && neighbour(found).is_some_and(answers)).then(|| "the neighbour table".to_owned()))
        .collect();
    if answering.is_empty() {
        return None;
    }
    let by: Vec<Value> = answering.iter().map(|who| who.as_str().into()).collect();
    let evidence = vec![("answered_by", Value::List(by))];
    Some(match seen(found, LookedAt::StraySegment) {
        // The port's host takes what comes, and drops only what would make a connection.
        Some(Seen::Answered) => Verdict {
            cause: Cause::TcpTimedOut,
            confidence: Confidence::Likely,
            alternatives: &[Cause::TcpTimedOutFiltered],
            evidence: [evidence, vec![("accept_queue_full", "likely".into())]].concat(),
            fix: "look at the process at {at}: its host answers on that port and takes no connection, so that its accept \
                  queue is probably full (or a filter drops what begins a connection)"
                .into(),
        },
        Some(Seen::Silent) => filtered(Confidence::Confirmed, &[], evidence),
        // Without that, a full accept queue looks the same.
        _ => filtered(Confidence::Likely, &[Cause::TcpTimedOut], evidence),
    })
}

fn filtered(
    confidence: Confidence,
    alternatives: &'static [Cause],
    evidence: Vec<(&'static str, Value)>,
) -> Verdict {
    let unless = if alternatives.is_empty() {
        ""
    } else {
        " (unless its accept queue is full, which looks the same)"
    };
    Verdict {
        cause: Cause::TcpTimedOutFiltered,
        confidence,
        alternatives,
        evidence,
        fix: format!("open the firewall for {{at}}: the host is alive and the port is silent{unless}"),
    }
}

/// Whether the neighbour was heard of just now.
fn answers(neighbour: Neighbour) -> bool {
    neighbour.state == NeighbourState::Reachable
}

/// Nothing answers at all.
fn silence(found: &SignsOfLife) -> Verdict {
    let on_link = found.route.is_some_and(|route| route.gateway.is_none());
    if on_link && neighbour(found).is_none_or(|neighbour| neighbour.state == NeighbourState::Incomplete) {
        return Verdict {
            cause: Cause::TcpTimedOutHostDown,
            confidence: Confidence::Likely,
            alternatives: &[Cause::TcpTimedOutFiltered],
            evidence: vec![],
            fix: "start the host at {at}, or check its cable and address: nothing at all answers for it on this link".into(),
        };
    }
    Verdict {
        cause: Cause::TcpTimedOut,
        confidence: Confidence::Observed,
        alternatives: &[Cause::TcpTimedOutFiltered, Cause::TcpTimedOutHostDown],
        evidence: vec![],
        fix: "open the way to {at}: a firewall drops everything, or the host is down; nothing at all answers from it".into(),
    }
}

fn neighbour_entry(found: &SignsOfLife) -> Option<Value> {
    let neighbour = neighbour(found)?;
    let gateway = found.route.and_then(|route| route.gateway);
    let step = match gateway {
        Some(gateway) => format!("the neighbour table for the gateway {gateway}"),
        None => "the neighbour table for the address".to_owned(),
    };
    let rules_out = match (neighbour.state, gateway) {
        (NeighbourState::Reachable, None) => Some("the host being down"),
        (NeighbourState::Reachable, Some(_)) => Some("the first link being down"),
        (NeighbourState::Failed, None) => Some("a firewall: nobody answers on the link"),
        (NeighbourState::Failed, Some(_)) => Some("the target: the gateway is gone"),
        _ => None,
    };
    Some(step_entry(step, neighbour.state.id().to_owned(), rules_out))
}

fn entry(sign: &Sign) -> Value {
    let result = match &sign.seen {
        Seen::Answered if sign.looked_at == LookedAt::OwnOutput => "sent".to_owned(),
        Seen::Answered => "answered".to_owned(),
        Seen::Refused => "refused, so that the host is there".to_owned(),
        Seen::Silent => "silent".to_owned(),
        Seen::Nothing => "nothing listens".to_owned(),
        Seen::Waiting(waiting) => format!("{waiting} connections wait to be accepted"),
        Seen::Icmp(icmp) => match icmp.offender {
            Some(offender) => format!("{} by {offender}", icmp.meaning().id()),
            None => icmp.meaning().id().to_owned(),
        },
        Seen::NotAllowed => "this process may not".to_owned(),
        Seen::Failed(errno) => {
            super::super::errno::name(*errno).map_or_else(|| format!("errno {errno}"), str::to_owned)
        }
    };
    step_entry(words(&sign.looked_at), result, rules_out(sign))
}

fn rules_out(sign: &Sign) -> Option<&'static str> {
    match (&sign.looked_at, &sign.seen) {
        (LookedAt::OwnOutput, Seen::Answered) => Some("this host's own firewall"),
        (LookedAt::StraySegment, Seen::Answered) => {
            Some("the host being down, and a filter for all of the port")
        }
        (LookedAt::StraySegment, Seen::Silent) => Some("a full accept queue, whose host would answer"),
        _ if sign.is_alive() => Some("the host being down"),
        _ => None,
    }
}

fn step_entry(step: String, result: String, rules_out: Option<&'static str>) -> Value {
    let mut map: Vec<(&'static str, Value)> = vec![("step", step.into()), ("result", result.into())];
    if let Some(ruled_out) = rules_out {
        map.push(("rules_out", ruled_out.into()));
    }
    Value::Map(map)
}

fn words(looked_at: &LookedAt) -> String {
    match looked_at {
        LookedAt::OwnListener => "the listener's queue".to_owned(),
        LookedAt::OwnOutput => "sending from this host".to_owned(),
        LookedAt::Echo => "an ICMP echo".to_owned(),
        LookedAt::StraySegment => "a stray segment to the port".to_owned(),
        LookedAt::Again => "the port once more".to_owned(),
        LookedAt::Port(port) => format!("TCP port {port}"),
        LookedAt::Udp(port) => format!("UDP port {port}"),
    }
}
