//! One hop of an attempt: a connection, or the reuse of one, with everything that was observed on it.

use serde_json::{Map, Value as Json, json};

use crate::model::attempt::{
    CertificateFacts, CertificateFault, CertificateFaultKind, ConnectFacts, DnsReply, Hop, Route,
};
use crate::model::attempt::{
    DialogueFacts, Resolution, ResponseFacts, RetryAfter, RevocationFacts, ServerAnswer, Standing, Stop,
    SystemAnswer, TcpFacts, TlsFacts,
};

use super::scalar::{phases, seconds};
use crate::report::words;

pub fn hop(hop: &Hop) -> Json {
    let mut object = Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    put("url", Json::from(&*hop.url));
    put("role", hop.role.id().into());
    put("address", hop.address.map(words::address).into());
    put("reused", hop.reused.into());
    put("idle_before", hop.idle_before.map_or(Json::Null, seconds));
    put("phases", phases(&hop.phases));
    put("protocol", hop.protocol.map(|protocol| protocol.id()).into());
    put("status", hop.status.into());
    put("bytes_sent", hop.sent.into());
    put("bytes_received", hop.received.into());
    put("tcp", hop.tcp.as_ref().map_or(Json::Null, tcp));
    put("connect", hop.connect.as_deref().map_or(Json::Null, connect));
    put("tls", hop.tls.as_deref().map_or(Json::Null, tls));
    put(
        "resolution",
        hop.resolution.as_deref().map_or(Json::Null, resolution),
    );
    put("response", hop.response.as_deref().map_or(Json::Null, response));
    put("dialogue", hop.dialogue.as_deref().map_or(Json::Null, dialogue));
    put("first_bytes", first_bytes(&hop.first_bytes));
    put("stopped", hop.stop.as_deref().map_or(Json::Null, stopped));
    Json::Object(object)
}

/// How far a conversation came.
fn dialogue(facts: &DialogueFacts) -> Json {
    json!({"step": facts.step, "heard": facts.heard})
}

/// Bytes that were not understood, with everything but printable ASCII escaped as in `\x15\x03`.
fn first_bytes(bytes: &[u8]) -> Json {
    if bytes.is_empty() {
        Json::Null
    } else {
        bytes.escape_ascii().to_string().into()
    }
}

/// Why this hop was given up while the attempt went on.
fn stopped(stop: &Stop) -> Json {
    let chain: Json = stop.chain.iter().map(|link| Json::from(&**link)).collect();
    json!({
        "phase": stop.phase.map(|phase| phase.id()),
        "what": words::trouble(&stop.trouble),
        "chain": chain,
    })
}

fn tcp(facts: &TcpFacts) -> Json {
    json!({
        "state": facts.state,
        "rtt": seconds(facts.rtt),
        "retransmits": facts.retransmits,
        "total_retransmits": facts.total_retransmits,
        "backoff": facts.backoff,
        "probes": facts.probes,
        "unacked": facts.unacked,
        "not_sent": facts.not_sent,
        "bytes_acked": facts.bytes_acked,
        "bytes_received": facts.bytes_received,
        "send_mss": facts.send_mss,
        "path_mtu": facts.path_mtu,
        "send_window": facts.send_window,
        "sacked": facts.sacked,
        "receive_mss": facts.receive_mss,
        "out_of_order": facts.out_of_order,
    })
}

fn connect(facts: &ConnectFacts) -> Json {
    let icmp = facts.icmp.map_or(Json::Null, |icmp| {
        json!({
            "type": icmp.kind,
            "code": icmp.code,
            "meaning": icmp.meaning().id(),
            "offender": icmp.offender.map(|ip| ip.to_string()),
            "from_this_host": icmp.from_this_host,
        })
    });
    json!({
        "at_once": facts.at_once,
        "icmp": icmp,
        "queue_read": facts.queue_read,
        "has_source": facts.has_source,
        "local_ports": facts.port_range.map(|(first, last)| json!([first, last])),
        "own_address": facts.own_address,
        "route": facts.route.map_or(Json::Null, route),
    })
}

pub fn route(route: Route) -> Json {
    let neighbour = route.neighbour.map_or(Json::Null, |neighbour| {
        json!({
            "state": neighbour.state.id(),
            "confirmed_ago": neighbour.confirmed.map_or(Json::Null, seconds),
        })
    });
    json!({
        "gateway": route.gateway.map(|ip| ip.to_string()),
        "neighbour": neighbour,
    })
}

fn tls(facts: &TlsFacts) -> Json {
    let chain: Json = facts.chain.iter().map(certificate).collect();
    let faults: Json = facts.faults.iter().map(fault).collect();
    let revocation: Json = facts.revocation.iter().map(revocation).collect();
    json!({
        "version": facts.version,
        "cipher": facts.cipher,
        "alpn": facts.alpn,
        "server_name": facts.server_name,
        "resumed": facts.resumed,
        "finished": facts.finished,
        "client_cert_requested": facts.client_cert_requested,
        "client_cert_sent": facts.client_cert_sent,
        "certificates": chain,
        "faults": faults,
        "system_trusts": facts.system_trusts,
        "must_staple": facts.must_staple,
        "stapled": facts.stapled,
        "revocation": revocation,
    })
}

fn revocation(facts: &RevocationFacts) -> Json {
    let (revoked_at, reason, detail) = match &facts.standing {
        Standing::Revoked { at, reason } => (Some(at.to_string()), *reason, None),
        Standing::NoProof(why) => (None, None, Some(&**why)),
        Standing::Good | Standing::Unknown => (None, None, None),
    };
    json!({
        "position": facts.position,
        "source": facts.source.id(),
        "said_by": facts.said_by,
        "standing": facts.standing.id(),
        "revoked_at": revoked_at,
        "reason": reason,
        "detail": detail,
        "this_update": facts.this_update.map(|time| time.to_string()),
        "next_update": facts.next_update.map(|time| time.to_string()),
    })
}

fn certificate(facts: &CertificateFacts) -> Json {
    json!({
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "not_before": facts.not_before.to_string(),
        "not_after": facts.not_after.to_string(),
        "names": facts.names,
        "is_ca": facts.is_ca,
        "self_issued": facts.self_issued,
        "signature_algorithm": facts.signature_algorithm,
        "key": facts.key,
        "fingerprint_sha256": facts.fingerprint,
        "needed": facts.needed,
    })
}

fn fault(fault: &CertificateFault) -> Json {
    json!({
        "position": fault.position,
        "kind": fault_kind(fault.kind),
        "detail": fault.detail,
    })
}

const fn fault_kind(kind: CertificateFaultKind) -> &'static str {
    match kind {
        CertificateFaultKind::Encoding => "encoding",
        CertificateFaultKind::BadSignature => "bad_signature",
        CertificateFaultKind::CaAsLeaf => "ca_as_leaf",
        CertificateFaultKind::Purpose => "purpose",
        CertificateFaultKind::Revoked => "revoked",
        CertificateFaultKind::SelfSigned => "self_signed",
        CertificateFaultKind::UnknownRoot => "unknown_root",
        CertificateFaultKind::MissingIntermediate => "missing_intermediate",
        CertificateFaultKind::NameMismatch => "name_mismatch",
        CertificateFaultKind::WeakSignature => "weak_signature",
        CertificateFaultKind::NotYetValid => "not_yet_valid",
        CertificateFaultKind::Expired => "expired",
    }
}

fn resolution(facts: &Resolution) -> Json {
    let addresses: Json = facts
        .addresses
        .iter()
        .map(|address| Json::from(address.to_string()))
        .collect();
    let answers: Json = facts.answers.iter().map(answer).collect();
    json!({
        "name": &*facts.name,
        "source": facts.source.id(),
        "addresses": addresses,
        "ttl": facts.ttl.map(seconds),
        "answers": answers,
        "system": facts.system.as_ref().map(system),
    })
}

/// One nameserver's answer. `reply` names its kind; the other keys hold what that kind has, or `null`.
fn answer(answer: &ServerAnswer) -> Json {
    let reply = reply(&answer.reply);
    let extended: Json = answer
        .extended
        .iter()
        .map(|(code, text)| json!({"code": code, "text": text}))
        .collect();
    json!({
        "server": answer.server.to_string(),
        "transport": if answer.over_tcp { "tcp" } else { "udp" },
        "truncated": answer.how.truncated,
        "edns": !answer.how.without_edns,
        "authoritative": answer.how.authoritative,
        "name": answer.name,
        "type": answer.record.to_string(),
        "elapsed": seconds(answer.elapsed),
        "reply": reply.kind,
        "values": reply.values,
        "ttl": reply.ttl,
        "rcode": reply.rcode,
        "soa": reply.soa,
        "detail": reply.detail,
        "extended_errors": extended,
    })
}

/// The parts of a reply; an absent one is `null`.
#[derive(Default)]
struct Reply {
    kind: &'static str,
    values: Json,
    ttl: Json,
    rcode: Json,
    soa: Json,
    detail: Json,
}

fn reply(reply: &DnsReply) -> Reply {
    let of = |kind| Reply {
        kind,
        ..Reply::default()
    };
    match reply {
        DnsReply::Records { values, ttl } => Reply {
            values: values.iter().map(|record| Json::from(&**record)).collect(),
            // A TTL is whole seconds on the wire.
            ttl: (*ttl).into(),
            rcode: 0.into(),
            ..of("records")
        },
        DnsReply::NoData { soa } => Reply {
            rcode: 0.into(),
            soa: json!(soa),
            ..of("no_data")
        },
        DnsReply::Code { rcode, soa } => Reply {
            rcode: (*rcode).into(),
            soa: json!(soa),
            ..of("code")
        },
        DnsReply::TimedOut => of("timed_out"),
        DnsReply::Io { call, errno } => Reply {
            detail: match words::errno_name(*errno) {
                Some(name) => format!("{} {name}", call.id()).into(),
                None => format!("{} errno {errno}", call.id()).into(),
            },
            ..of("io_error")
        },
        DnsReply::Malformed(why) => Reply {
            detail: Json::from(&**why),
            ..of("malformed")
        },
    }
}

fn system(answer: &SystemAnswer) -> Json {
    let (addresses, error) = match &answer.result {
        Ok(addresses) => {
            let addresses: Json = addresses
                .iter()
                .map(|address| Json::from(address.to_string()))
                .collect();
            (addresses, Json::Null)
        }
        Err(error) => {
            let error = json!({"code": error.code, "errno": error.errno, "timed_out": error.timed_out});
            (Json::Null, error)
        }
    };
    json!({"elapsed": seconds(answer.elapsed), "addresses": addresses, "error": error})
}

fn response(facts: &ResponseFacts) -> Json {
    json!({
        "server": facts.server,
        "via": facts.via,
        "proxy_status": facts.proxy_status,
        "squid_error": facts.squid_error,
        "retry_after": facts.retry_after.map(retry_after),
        "location": facts.location,
        "content_type": facts.content_type,
        "content_encoding": facts.content_encoding,
        "content_length": facts.content_length,
        "keep_alive_timeout": facts.keep_alive_timeout,
        "connection_close": facts.connection_close,
        "authenticate": facts.authenticate,
        "body_bytes": facts.body_bytes,
        "body_excerpt": facts.body_excerpt,
    })
}

/// Seconds as a number, or the time.
fn retry_after(value: RetryAfter) -> Json {
    match value {
        RetryAfter::Seconds(seconds) => seconds.into(),
        RetryAfter::At(time) => time.to_string().into(),
    }
}
