//! Evidence as people read it. JSON has all of it; here nothing is said twice, figures that say nothing are left out, and
//! what belongs together stands together.

use crate::model::cause::Cause;
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::Failure;
use crate::report::units::value;

/// A name, and its texts, each of which begins a line.
pub type Entry = (&'static str, Vec<String>);

/// Evidence as it is.
pub fn whole(evidence: &Evidence) -> Vec<Entry> {
    evidence.iter().map(|(key, entry)| (key, texts(entry))).collect()
}

/// The evidence of a failure of `target` (as the headline shows it), in its order.
pub fn for_people(failure: &Failure, target: &str) -> Vec<Entry> {
    let said = failure.evidence.iter();
    said.filter(|(key, entry)| !is_said_elsewhere(key, entry, failure, target))
        .map(|(key, entry)| (key, reworded(key, entry, failure)))
        .filter(|(_, texts)| !texts.is_empty())
        .collect()
}

/// A list of maps has a text for each of them; anything else is one.
fn texts(entry: &Value) -> Vec<String> {
    match entry {
        Value::List(entries) if entries.iter().any(|inner| matches!(inner, Value::Map(_))) => {
            entries.iter().map(value).collect()
        }
        other => vec![value(other)],
    }
}

/// The error chain without what the evidence says already: the system's words for an errno that is named there.
pub fn errors_for_people(failure: &Failure) -> &[Box<str>] {
    match &*failure.chain {
        [only] if only.contains("(os error ") && failure.evidence.get("errno").is_some() => &[],
        chain => chain,
    }
}

fn is_said_elsewhere(key: &str, entry: &Value, failure: &Failure, target: &str) -> bool {
    let evidence = &failure.evidence;
    let has = |other: &str| evidence.get(other).is_some();
    match key {
        "address" => matches!(entry, Value::Text(address) if target.contains(&**address)),
        "call" => has("errno"),
        "budget" => has("waited"),
        // The same for every answer of every server.
        "server" | "rcode" => every_reply_says(evidence, key, entry),
        // The list of certificates has them, and the bad one is known by its position.
        "subject" | "issuer" | "fingerprint" => has("chain"),
        "not_before" => has("chain") && failure.cause != Cause::TlsCertNotYetValid,
        "not_after" => has("chain") && failure.cause != Cause::TlsCertExpired,
        "verifier" => {
            let words = value(entry);
            failure.chain.iter().any(|link| link.ends_with(&*words))
        }
        // Nothing could be sent before there was a connection.
        "sent_bytes" | "received_bytes" => *entry == Value::Integer(0) && is_connecting(failure),
        _ => false,
    }
}

fn is_connecting(failure: &Failure) -> bool {
    failure.phase == Some(crate::model::phase::Phase::Connect)
}

/// Whether each entry of `servers` says the same as this summary of them.
fn every_reply_says(evidence: &Evidence, key: &str, entry: &Value) -> bool {
    let inner = if key == "rcode" { "reply" } else { "server" };
    let Some(Value::List(replies)) = evidence.get("servers") else {
        return false;
    };
    !replies.is_empty() && replies.iter().all(|reply| member(reply, inner) == Some(entry))
}

/// The texts as a person reads them; none where nothing is left to say.
fn reworded(key: &str, entry: &Value, failure: &Failure) -> Vec<String> {
    let evidence = &failure.evidence;
    let text = match (key, entry) {
        ("errno", errno) => match evidence.get("call") {
            Some(call) => format!("{} from {}", value(errno), value(call)),
            None => value(errno),
        },
        ("waited", waited) => match evidence.get("budget") {
            Some(Value::Text(budget)) => format!("{}, until the {budget} budget ended", value(waited)),
            _ => value(waited),
        },
        ("chain_position", Value::Integer(0)) => "0, the leaf".to_owned(),
        ("chain_position", Value::Integer(place)) => format!("{place}, above the leaf"),
        ("servers", Value::List(replies)) if replies.iter().all(is_map) => {
            return replies.iter().map(reply).collect();
        }
        ("chain", Value::List(chain)) => return chain.iter().enumerate().map(certificate).collect(),
        ("faults", Value::List(faults)) => return other_faults(faults, failure),
        ("tcp", Value::Map(figures)) => return telling_figures(figures, failure.cause),
        (_, entry) => return texts(entry),
    };
    vec![text]
}

/// "10.0.0.2:53: AAAA NXDOMAIN in 0.8 ms", and what else there is to the reply.
fn reply(reply: &Value) -> String {
    let text = |key| member(reply, key).map(value);
    let (Some(server), Some(record), Some(answer)) = (text("server"), text("record"), text("reply")) else {
        return value(reply);
    };
    let took = text("elapsed")
        .map(|took| format!(" in {took}"))
        .unwrap_or_default();
    let more = rest(reply, &["server", "record", "reply", "elapsed"]);
    format!("{server}: {record} {answer}{took}{more}")
}

/// "0: CN=api.internal, issued by CN=Our CA, ends 2026-11-20T00:00:00Z, expired".
fn certificate((position, certificate): (usize, &Value)) -> String {
    let text = |key| member(certificate, key).map(value);
    let (Some(subject), Some(issuer), Some(end)) = (text("subject"), text("issuer"), text("not_after"))
    else {
        return value(certificate);
    };
    let by = if subject == issuer {
        "issued by itself".to_owned()
    } else {
        format!("issued by {issuer}")
    };
    let more = rest(certificate, &["subject", "issuer", "not_after", "self_issued"]);
    format!("{position}: {subject}, {by}, ends {end}{more}")
}

/// The other members of a map, each after a comma. What is merely so is said by its name.
fn rest(map: &Value, but: &[&str]) -> String {
    let Value::Map(members) = map else {
        return String::new();
    };
    let others = members.iter().filter(|(key, _)| !but.contains(key));
    others
        .map(|(key, entry)| match entry {
            Value::Bool(true) => format!(", {}", key.replace('_', " ")),
            entry => format!(", {key} {}", value(entry)),
        })
        .collect()
}

/// What else is wrong with the certificates, beside the fault that the cause is.
fn other_faults(faults: &[Value], failure: &Failure) -> Vec<String> {
    let main = Value::from(failure.cause.id());
    let position = failure.evidence.get("chain_position");
    let is_other =
        |fault: &&Value| member(fault, "cause") != Some(&main) || member(fault, "chain_position") != position;
    let in_words = |fault: &Value| {
        let text = |key| member(fault, key).map(value);
        match (text("chain_position"), text("cause"), text("verifier")) {
            (Some(place), Some(cause), Some(words)) => format!("{place}: {cause}, {words}"),
            _ => value(fault),
        }
    };
    faults.iter().filter(is_other).map(in_words).collect()
}

/// TCP_INFO without the counters that are zero and the sizes that explain nothing here.
fn telling_figures(figures: &[(&'static str, Value)], cause: Cause) -> Vec<String> {
    let sizes_matter = matches!(cause, Cause::TcpPathMtuBlackHole | Cause::TcpPeerNotReading);
    let sizes = [
        "send_mss",
        "path_mtu",
        "send_window",
        "acked_bytes",
        "received_bytes",
    ];
    let is_nothing = |entry: &Value| match entry {
        Value::Integer(number) => *number == 0,
        Value::Duration(time) => time.is_zero(),
        _ => false,
    };
    let is_telling = |key: &str, entry: &Value| sizes_matter || (!sizes.contains(&key) && !is_nothing(entry));
    let telling: Vec<String> = figures
        .iter()
        .filter(|(key, entry)| is_telling(key, entry))
        .map(|(key, entry)| format!("{key} {}", value(entry)))
        .collect();
    if telling.is_empty() {
        return telling;
    }
    vec![telling.join(", ")]
}

fn is_map(entry: &Value) -> bool {
    matches!(entry, Value::Map(_))
}

fn member<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    match map {
        Value::Map(members) => members
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure::Failure;
    use crate::report::samples;
    use std::time::Duration;

    fn failure(cause: Cause, evidence: Evidence) -> Failure {
        let record = samples::ok();
        let hop = record.attempts[0].attempt.hops[0].clone();
        let stop = samples::stop(
            crate::model::phase::Phase::Tls,
            crate::model::attempt::Trouble::Closed,
            &["outer", "the chain ends nowhere"],
        );
        let failed = samples::failed(&record.dependency, hop, stop, (cause, "", evidence));
        failed.failure.expect("a failure")
    }

    fn shown(cause: Cause, evidence: Evidence) -> Vec<Entry> {
        for_people(&failure(cause, evidence), "https://10.0.0.7:443/")
    }

    fn map(members: &[(&'static str, Value)]) -> Value {
        Value::Map(members.to_vec())
    }

    #[test]
    fn what_the_headline_and_the_errors_say_is_not_repeated() {
        let evidence = Evidence::new()
            .with("address", "10.0.0.7:443")
            .with("verifier", "the chain ends nowhere")
            .with("errno", "ECONNRESET")
            .with("call", "recv")
            .with("budget", "total")
            .with("waited", Duration::from_secs(1));
        let expected = [
            ("errno", vec!["ECONNRESET from recv".to_owned()]),
            ("waited", vec!["1.00 s, until the total budget ended".to_owned()]),
        ];
        assert_eq!(shown(Cause::TlsReset, evidence), expected);
        let elsewhere = Evidence::new().with("address", "10.0.0.8:443");
        assert_eq!(shown(Cause::TlsReset, elsewhere)[0].0, "address");
    }

    #[test]
    fn nameservers_that_say_different_things_are_summed_up_all_the_same() {
        let replies = |second: &str| {
            let reply = |server: &str, answer: &str| {
                map(&[
                    ("server", server.into()),
                    ("record", "A".into()),
                    ("reply", answer.into()),
                    ("elapsed", Duration::from_millis(2).into()),
                ])
            };
            let list = vec![reply("10.0.0.2:53", "NXDOMAIN"), reply("10.0.0.2:53", second)];
            Evidence::new()
                .with("server", "10.0.0.2:53")
                .with("rcode", "NXDOMAIN")
                .with("servers", Value::List(list))
        };
        let same = shown(Cause::DnsNxdomain, replies("NXDOMAIN"));
        assert_eq!(same.len(), 1, "{same:?}");
        assert_eq!(same[0].1[0], "10.0.0.2:53: A NXDOMAIN in 2.0 ms");
        let keys: Vec<_> = shown(Cause::DnsNxdomain, replies("SERVFAIL"))
            .into_iter()
            .map(|entry| entry.0)
            .collect();
        assert_eq!(keys, ["rcode", "servers"]);
    }

    #[test]
    fn a_certificate_is_described_once_and_its_other_faults_are_kept() {
        let fault = |cause: Cause, words: &str| {
            map(&[
                ("chain_position", 0.into()),
                ("cause", cause.id().into()),
                ("verifier", words.into()),
            ])
        };
        let member = map(&[
            ("subject", "CN=a".into()),
            ("issuer", "CN=b".into()),
            ("not_after", "then".into()),
            ("expired", true.into()),
        ]);
        let evidence = Evidence::new()
            .with("chain_position", 0)
            .with("subject", "CN=a")
            .with("fingerprint", "00")
            .with("not_after", "then")
            .with(
                "faults",
                Value::List(vec![
                    fault(Cause::TlsCertNameInvalid, "x"),
                    fault(Cause::TlsCertExpired, "y"),
                ]),
            )
            .with("chain", Value::List(vec![member]));
        let expected = [
            ("chain_position", vec!["0, the leaf".to_owned()]),
            ("faults", vec!["0: tls.cert.date_invalid.expired, y".to_owned()]),
            (
                "chain",
                vec!["0: CN=a, issued by CN=b, ends then, expired".to_owned()],
            ),
        ];
        assert_eq!(shown(Cause::TlsCertNameInvalid, evidence), expected);
    }

    #[test]
    fn counters_of_the_kernel_are_shown_where_they_tell_something() {
        let figures = || {
            map(&[
                ("state", "ESTABLISHED".into()),
                ("retransmits", 0.into()),
                ("unacked_segments", 3.into()),
                ("path_mtu", 1500.into()),
            ])
        };
        let plain = shown(
            Cause::HttpTimedOutFirstByte,
            Evidence::new().with("tcp", figures()),
        );
        assert_eq!(plain[0].1, ["state ESTABLISHED, unacked_segments 3"]);
        let sizes = shown(Cause::TcpPathMtuBlackHole, Evidence::new().with("tcp", figures()));
        assert!(sizes[0].1[0].ends_with("path_mtu 1500"), "{sizes:?}");
    }
}
