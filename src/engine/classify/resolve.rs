//! From the answers of nameservers to the cause.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::attempt::{
    AddressSource, Call, DnsReply, Resolution, ServerAnswer, SystemAnswer, SystemError, Trouble,
};
use crate::model::cause::Cause;
use crate::model::dependency::{DnsTransport, RecordType};
use crate::model::evidence::Value;
use crate::model::phase::Phase;

use super::errno;
use super::names;
use super::precedence::{ACROSS_NAMESERVERS, WITHIN_NAMESERVER, place};
use super::scene::{Found, Scene};

/// systemd-resolved's stub, which nothing serves inside a container.
pub const RESOLVED_STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let resolution = scene.hop.and_then(|hop| hop.resolution.as_deref());
    let resolving = scene.phase() == Some(Phase::Resolve);
    let over_udp = scene.dns_transport() == Some(DnsTransport::Udp);
    let found = match &scene.stop.trouble {
        Trouble::NoAddress | Trouble::DnsAnswer => match resolution {
            Some(resolution) => from_resolution(scene, resolution),
            None => Found::observed(Cause::DnsFailed),
        },
        Trouble::TimedOut(_) if resolving => match resolution {
            Some(resolution) => timed_out(resolution),
            None => Found::observed(Cause::DnsTimedOut),
        },
        Trouble::TimedOut(_) if scene.dns_transport().is_some() && waits_for_answer(scene) => {
            Found::observed(Cause::DnsTimedOut)
        }
        Trouble::Io { call, errno } if resolving || (over_udp && scene.dns_transport().is_some()) => {
            let cut = resolution.is_some_and(|resolution| resolution.answers.iter().any(|a| a.how.truncated));
            let found = io(*call, *errno);
            match found.cause {
                Cause::DnsUnreachable if cut => Found {
                    cause: Cause::DnsFailed,
                    ..found
                },
                _ => found,
            }
        }
        Trouble::Io { .. } | Trouble::Closed
            if scene.dns_transport().is_some() && waits_for_answer(scene) =>
        {
            Found::observed(Cause::DnsFailed)
        }
        Trouble::Other(reason) if resolving => Found::observed(Cause::DnsFailed).with("reason", &**reason),
        _ => return None,
    };
    Some(match resolution {
        Some(resolution) => describe(found, scene, resolution),
        None => found,
    })
}

fn waits_for_answer(scene: &Scene<'_>) -> bool {
    matches!(
        scene.phase(),
        Some(Phase::Request | Phase::FirstByte | Phase::Body | Phase::Verify)
    )
}

/// A system call on a connected UDP socket: its errors are our own limits, the resolver's host, or the way to it.
fn io(call: Call, errno: i32) -> Found {
    let cause = match errno {
        errno::EMFILE => Cause::LocalFdExhaustedProcess,
        errno::ENFILE | errno::ENOBUFS | errno::ENOMEM => Cause::LocalFdExhaustedSystem,
        // UDP takes its port when the socket is bound or connected; a port is never in another's way otherwise.
        errno::EADDRINUSE => Cause::LocalPortExhausted,
        // Over IPv6 an administrative prohibition by a router arrives as EACCES, and only on the way back.
        errno::EACCES if call == Call::Receive => Cause::DnsUnreachable,
        errno::EPERM | errno::EACCES => Cause::LocalPolicyDenied,
        errno::ETIMEDOUT => return Found::observed(Cause::DnsTimedOut).slow(),
        errno if errno == errno::ECONNREFUSED || no_way_there(errno) => Cause::DnsUnreachable,
        _ => Cause::DnsFailed,
    };
    Found::observed(cause).with_some("errno", errno::name(errno))
}

fn no_way_there(errno: i32) -> bool {
    matches!(
        errno,
        errno::ENETUNREACH
            | errno::EHOSTUNREACH
            | errno::ENETDOWN
            | errno::EHOSTDOWN
            | errno::EINVAL
            | errno::EADDRNOTAVAIL
            | errno::EAFNOSUPPORT
    )
}

/// Whether that record was never answered although the address of the other family was.
pub fn stalled(resolution: &Resolution, record: RecordType) -> bool {
    let other = if record == RecordType::A {
        RecordType::AAAA
    } else {
        RecordType::A
    };
    let of = |wanted: RecordType| {
        resolution
            .answers
            .iter()
            .filter(move |answer| answer.record == wanted)
    };
    of(other).any(|answer| matches!(answer.reply, DnsReply::Records { .. }))
        && of(record).next().is_some()
        && of(record).all(|answer| answer.reply == DnsReply::TimedOut)
}

/// The budget of resolving ended. What is known by then may still say more.
fn timed_out(resolution: &Resolution) -> Found {
    let answered_a = resolution
        .answers
        .iter()
        .any(|a| a.record == RecordType::A && matches!(a.reply, DnsReply::Records { .. }));
    let answered_aaaa = resolution
        .answers
        .iter()
        .any(|a| a.record == RecordType::AAAA && a.reply != DnsReply::TimedOut);
    if answered_a && !answered_aaaa {
        return Found::observed(Cause::DnsAaaaStalled);
    }
    let judged = across(&judge(resolution));
    match judged {
        Some(found) if found.cause != Cause::DnsNodata && found.cause != Cause::DnsTimedOut => {
            found.or(&[Cause::DnsTimedOut])
        }
        _ => Found::observed(Cause::DnsTimedOut),
    }
}

fn from_resolution(scene: &Scene<'_>, resolution: &Resolution) -> Found {
    if let Some(found) = contradiction(resolution) {
        return found;
    }
    if let Some(found) = across(&judge(resolution)) {
        return found;
    }
    if let Some(SystemAnswer {
        result: Err(error), ..
    }) = &resolution.system
    {
        return from_system(error);
    }
    match resolution.source {
        // There are addresses or records, but of no family that may be used.
        AddressSource::Literal | AddressSource::Configured | AddressSource::HostsFile => {
            Found::observed(Cause::DnsNodata).with("source", resolution.source.id())
        }
        _ if resolution.answers.is_empty() && scene.dns_transport().is_none() => {
            Found::likely(Cause::DnsUnreachable, &[Cause::DnsFailed])
                .with("nameservers", 0)
                .fix("no nameserver is configured: set one in /etc/resolv.conf, or `resolve.servers`")
        }
        _ if resolution.answers.is_empty() => Found::observed(Cause::DnsFailed),
        _ => Found::observed(Cause::DnsNodata),
    }
}

/// One nameserver denies what another one answers, about the same name and type.
fn contradiction(resolution: &Resolution) -> Option<Found> {
    let denied = |answer: &&ServerAnswer| {
        matches!(
            answer.reply,
            DnsReply::NoData { .. } | DnsReply::Code { rcode: 3, .. }
        )
    };
    let answered = |answer: &&ServerAnswer| matches!(answer.reply, DnsReply::Records { .. });
    resolution.answers.iter().filter(denied).find(|no| {
        resolution.answers.iter().filter(answered).any(|yes| {
            yes.server != no.server && yes.record == no.record && yes.name.eq_ignore_ascii_case(&no.name)
        })
    })?;
    Some(Found::observed(Cause::DnsMismatchSplitHorizon))
}

/// What one answer says, if it is not the record asked for.
fn cause_of(answer: &ServerAnswer) -> Option<Cause> {
    Some(match &answer.reply {
        DnsReply::Records { .. } => return None,
        DnsReply::NoData { .. } => Cause::DnsNodata,
        DnsReply::Code { rcode: 2, .. } => Cause::DnsServfail,
        DnsReply::Code { rcode: 3, .. } => Cause::DnsNxdomain,
        DnsReply::Code { rcode: 5, .. } => Cause::DnsRefused,
        DnsReply::Code { .. } | DnsReply::Malformed(_) => Cause::DnsFailed,
        DnsReply::TimedOut => Cause::DnsTimedOut,
        DnsReply::Io { call, errno } => match io(*call, *errno).cause {
            // It did answer, over UDP. Only what did not fit there could not be had.
            Cause::DnsUnreachable if answer.how.truncated => Cause::DnsFailed,
            cause => cause,
        },
    })
}

/// Each nameserver's verdict about the name itself. Search domains are tried before it and fail in the ordinary way, so
/// they count only when the name itself was never asked.
fn judge(resolution: &Resolution) -> Vec<Cause> {
    let wanted = resolution.name.trim_end_matches('.');
    let is_itself = |answer: &&ServerAnswer| answer.name.trim_end_matches('.').eq_ignore_ascii_case(wanted);
    let asked_itself = resolution.answers.iter().any(|answer| is_itself(&answer));
    let mut verdicts: Vec<(std::net::SocketAddr, Cause)> = Vec::new();
    for answer in &resolution.answers {
        if asked_itself && !is_itself(&answer) {
            continue;
        }
        let Some(cause) = cause_of(answer) else {
            continue;
        };
        match verdicts.iter_mut().find(|(server, _)| *server == answer.server) {
            Some((_, known)) => {
                if place(&WITHIN_NAMESERVER, cause) < place(&WITHIN_NAMESERVER, *known) {
                    *known = cause;
                }
            }
            None => verdicts.push((answer.server, cause)),
        }
    }
    verdicts.into_iter().map(|(_, cause)| cause).collect()
}

fn across(verdicts: &[Cause]) -> Option<Found> {
    let first = verdicts
        .iter()
        .copied()
        .min_by_key(|cause| place(&ACROSS_NAMESERVERS, *cause))?;
    let found = if verdicts.iter().all(|cause| *cause == first) || is_final(first) {
        Found::observed(first)
    } else {
        Found::likely(first, verdicts)
    };
    Some(if first == Cause::DnsTimedOut {
        found.slow()
    } else {
        found
    })
}

/// Answers that are about the name, whatever other nameservers have.
fn is_final(cause: Cause) -> bool {
    matches!(cause, Cause::DnsNxdomain | Cause::DnsNodata)
}

/// getaddrinfo's code hides most: EAI_AGAIN stands for SERVFAIL, REFUSED, a dead resolver and an empty resolv.conf alike.
fn from_system(error: &SystemError) -> Found {
    let name = names::getaddrinfo(error.code);
    let found = if error.timed_out {
        Found::observed(Cause::DnsTimedOut).slow()
    } else {
        match name {
            "EAI_NONAME" => Found::likely(Cause::DnsNxdomain, &[Cause::DnsNodata]),
            "EAI_NODATA" | "EAI_ADDRFAMILY" => Found::observed(Cause::DnsNodata),
            _ => Found::likely(
                Cause::DnsFailed,
                &[
                    Cause::DnsServfail,
                    Cause::DnsRefused,
                    Cause::DnsUnreachable,
                    Cause::DnsTimedOut,
                ],
            ),
        }
    };
    let found = if error.timed_out {
        found
    } else {
        found.with("getaddrinfo", name)
    };
    found.with_some("errno", error.errno.and_then(errno::name))
}

fn describe(mut found: Found, scene: &Scene<'_>, resolution: &Resolution) -> Found {
    found.evidence.set("name", &*resolution.name);
    let deciding = resolution
        .answers
        .iter()
        .rev()
        .find(|answer| cause_of(answer) == Some(found.cause));
    if let Some(answer) = deciding {
        describe_answer(&mut found, answer);
    }
    if found.cause == Cause::DnsNxdomain {
        let suggestion = (scene.context.known_hosts)(&resolution.name);
        found.evidence.set_some("did_you_mean", suggestion);
    }
    if !resolution.answers.is_empty() {
        found.evidence.set("servers", servers(resolution));
    }
    found
}

/// What the answer that decides has to say.
fn describe_answer(found: &mut Found, answer: &ServerAnswer) {
    let evidence = &mut found.evidence;
    evidence.set("server", answer.server);
    evidence.set("transport", transport(answer));
    if answer.how.truncated {
        evidence.set("truncated_over_udp", true);
    }
    match &answer.reply {
        DnsReply::Code { rcode, .. } => evidence.set("rcode", names::rcode(*rcode)),
        DnsReply::Malformed(how) => evidence.set("malformed", &**how),
        DnsReply::Io { errno, .. } => evidence.set_some("errno", errno::name(*errno)),
        DnsReply::TimedOut if answer.how.unanswered > 0 => {
            evidence.set("datagrams_unanswered", answer.how.unanswered);
        }
        _ => {}
    }
    if let Some((code, text)) = most_telling(&answer.extended) {
        evidence.set("extended_error_code", code);
        evidence.set("extended_error", names::extended_dns_error(code));
        if !text.is_empty() {
            evidence.set("extended_error_text", text);
        }
    }
    if let DnsReply::Code {
        rcode: 3,
        soa: Some(zone),
    } = &answer.reply
    {
        evidence.set("zone", &**zone);
        evidence.set_some("missing", missing_labels(&answer.name, zone));
    }
}

/// Of several extended errors (a resolver may send one for each thing that it tried) the one that says most: what is
/// wrong with the zone, before whom it could not reach, before "Other".
fn most_telling(extended: &[(u16, Box<str>)]) -> Option<(u16, &str)> {
    let rank = |code: u16| match code {
        _ if names::is_about_dnssec(code) || names::is_policy(code) => 0,
        0 | 13 => 2,
        _ => 1,
    };
    extended
        .iter()
        .min_by_key(|(code, _)| rank(*code))
        .map(|(code, text)| (*code, &**text))
}

fn transport(answer: &ServerAnswer) -> &'static str {
    if answer.over_tcp { "tcp" } else { "udp" }
}

/// The part of `name` that the zone, whose SOA denied it, does not have.
fn missing_labels<'n>(name: &'n str, zone: &str) -> Option<&'n str> {
    let name = name.trim_end_matches('.');
    let zone = zone.trim_end_matches('.');
    if zone.is_empty() {
        return name.rsplit('.').next().filter(|label| !label.is_empty());
    }
    let cut = name.len().checked_sub(zone.len())?;
    let (labels, rest) = (name.get(..cut)?, name.get(cut..)?);
    if !rest.eq_ignore_ascii_case(zone) {
        return None;
    }
    labels.strip_suffix('.').filter(|labels| !labels.is_empty())
}

/// Every answer, as a list of maps.
pub fn servers(resolution: &Resolution) -> Value {
    Value::List(resolution.answers.iter().map(|a| server(resolution, a)).collect())
}

fn server(resolution: &Resolution, answer: &ServerAnswer) -> Value {
    let mut map: Vec<(&'static str, Value)> = vec![
        ("server", answer.server.into()),
        ("record", answer.record.to_string().into()),
        ("reply", reply(&answer.reply).into()),
        ("elapsed", answer.elapsed.into()),
    ];
    if answer.over_tcp {
        map.push(("transport", transport(answer).into()));
    }
    if answer.how.truncated {
        map.push(("truncated_over_udp", true.into()));
    }
    if answer.how.without_edns {
        map.push(("without_edns", true.into()));
    }
    if !answer.name.eq_ignore_ascii_case(&resolution.name) {
        map.push(("name", (&*answer.name).into()));
    }
    if let DnsReply::Records { values, .. } = &answer.reply {
        map.push((
            "values",
            Value::List(values.iter().map(|v| (&**v).into()).collect()),
        ));
    }
    if let Some((code, _)) = most_telling(&answer.extended) {
        map.push(("extended_error", names::extended_dns_error(code).into()));
    }
    Value::Map(map)
}

fn reply(reply: &DnsReply) -> String {
    match reply {
        DnsReply::Records { .. } => "records".into(),
        DnsReply::NoData { .. } => "no data".into(),
        DnsReply::Code { rcode, .. } => names::rcode(*rcode).into(),
        DnsReply::TimedOut => "timed out".into(),
        DnsReply::Io { errno, .. } => {
            errno::name(*errno).map_or_else(|| format!("errno {errno}"), str::to_owned)
        }
        DnsReply::Malformed(how) => format!("malformed: {how}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_that_denies_tells_what_is_missing() {
        assert_eq!(missing_labels("api.shop.example", "shop.example."), Some("api"));
        assert_eq!(missing_labels("a.b.shop.example.", "Shop.Example"), Some("a.b"));
        assert_eq!(missing_labels("api.internal", "."), Some("internal"));
        assert_eq!(missing_labels("shop.example", "shop.example"), None);
        assert_eq!(missing_labels("myshop.example", "shop.example"), None);
        assert_eq!(missing_labels("x", "longer.example"), None);
    }
}
