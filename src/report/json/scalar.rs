//! The small parts that JSON objects are made of.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::model::attempt::{ConfirmationResult, SignsOfLife};
use crate::model::evidence::{Evidence, Value};
use crate::model::looks::{AddressTrial, NameSource, NamesCompared, Trial};
use crate::model::phase::Phases;

/// Seconds as a number.
pub fn seconds(value: Duration) -> Json {
    value.as_secs_f64().into()
}

/// A text; `null` where it is empty, so that "nothing is known" has one form.
pub fn text(value: &str) -> Json {
    if value.is_empty() {
        Json::Null
    } else {
        value.into()
    }
}

pub fn option_id(id: Option<&'static str>) -> Json {
    id.map_or(Json::Null, Json::from)
}

/// The phases that began, in their order.
pub fn phases(phases: &Phases) -> Json {
    let entries = phases
        .iter()
        .map(|(phase, elapsed)| (phase.id().to_owned(), seconds(elapsed)));
    Json::Object(entries.collect())
}

pub fn evidence(evidence: &Evidence) -> Json {
    let entries = evidence.iter().map(|(key, entry)| (key.to_owned(), value(entry)));
    Json::Object(entries.collect())
}

/// Numbers that JSON cannot hold (not a number, infinity) become `null`.
pub fn value(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(&**text),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Bool(yes) => Json::from(*yes),
        Value::Duration(elapsed) => seconds(*elapsed),
        Value::Time(time) => Json::from(time.to_string()),
        Value::List(values) => values.iter().map(self::value).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, entry)| ((*key).to_owned(), self::value(entry)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

pub fn confirmation_result(result: &ConfirmationResult) -> Json {
    match result {
        ConfirmationResult::NotFoundVariants(variants) => {
            let variants: Json = variants
                .iter()
                .map(|(url, status)| json!({"url": &**url, "status": status}))
                .collect();
            json!({"done": true, "variants": variants})
        }
        ConfirmationResult::ClientHello { spoke_tls } => json!({"done": true, "spoke_tls": spoke_tls}),
        ConfirmationResult::FreshConnection { worked } => json!({"done": true, "worked": worked}),
        ConfirmationResult::SignsOfLife(found) => signs_of_life(found),
        ConfirmationResult::MssClamp(trials) => {
            let trials: Json = trials
                .iter()
                .map(|trial| {
                    json!({"mss": trial.mss, "worked": trial.worked, "elapsed": seconds(trial.elapsed)})
                })
                .collect();
            json!({"done": true, "segment_sizes": trials})
        }
        ConfirmationResult::OtherScheme { url, status } => {
            json!({"done": true, "url": &**url, "status": status})
        }
        ConfirmationResult::LateAlert { alert, ended } => {
            json!({"done": true, "alert": alert, "ended": ended})
        }
        ConfirmationResult::IssuerFetched { url, completes_with } => {
            json!({"done": true, "url": &**url, "completes_with": completes_with})
        }
        ConfirmationResult::Varied(tried) => {
            let tried: Json = tried
                .iter()
                .map(|one| json!({"changed": one.varied.id(), "status": one.status}))
                .collect();
            json!({"done": true, "variations": tried})
        }
        ConfirmationResult::EveryAddress(asked) => json!({
            "done": true,
            "asked_as": asked.depth.id(),
            "addresses": trials(&asked.trials),
            "addresses_not_asked": asked.left_out,
        }),
        ConfirmationResult::NamesCompared(compared) => names_compared(compared),
        ConfirmationResult::NotDone(why) => json!({"done": false, "why": &**why}),
    }
}

fn signs_of_life(found: &SignsOfLife) -> Json {
    let signs: Json = found
        .signs
        .iter()
        .map(|sign| {
            json!({
                "looked_at": sign.looked_at.id(),
                "port": sign.looked_at.port(),
                "seen": sign.seen.id(),
                "elapsed": seconds(sign.elapsed),
            })
        })
        .collect();
    json!({
        "done": true,
        "own_address": found.own_address,
        "route": found.route.map_or(Json::Null, super::hop::route),
        "signs": signs,
    })
}

/// Addresses that were asked one by one. `works` is `null` where neither can be said.
fn trials(trials: &[AddressTrial]) -> Json {
    let trials = trials.iter().map(|trial| {
        let (works, cause) = match trial.verdict {
            Trial::Works => (Some(true), None),
            Trial::Fails(cause) => (Some(false), Some(cause.id())),
            Trial::Unsettled => (None, None),
        };
        json!({
            "address": trial.address.to_string(),
            "works": works,
            "cause": cause,
            "asked": trial.asked,
            "answered": trial.answered,
            "status": trial.status,
            "elapsed": seconds(trial.elapsed),
            "certificate_sha256": trial.certificate.as_deref(),
        })
    });
    trials.collect()
}

fn names_compared(compared: &NamesCompared) -> Json {
    let sources: Json = compared
        .sources
        .iter()
        .map(|source| {
            let kind = match source.source {
                NameSource::HostsFile => "hosts_file",
                NameSource::System => "system",
                NameSource::Nameserver(_) => "nameserver",
            };
            let server = match source.source {
                NameSource::Nameserver(server) => Some(server.to_string()),
                _ => None,
            };
            let addresses: Vec<String> = source.addresses.iter().map(ToString::to_string).collect();
            json!({
                "source": kind,
                "server": server,
                "said": source.said.id(),
                "addresses": addresses,
                "varies": source.varies,
                "ttl": source.ttl.map(seconds),
                "serial": source.serial,
                "aaaa_stalled": source.aaaa_stalled,
            })
        })
        .collect();
    json!({
        "done": true,
        "name": &*compared.name,
        "system_resolver": compared.system_resolver,
        "sources": sources,
        "addresses": trials(&compared.trials),
    })
}
