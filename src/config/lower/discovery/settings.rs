//! What a target may say of itself: keys of a dependency, written by somebody who is not trusted with files, the
//! environment, secrets, or with sending what they please to whom they please.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::super::super::decode::{decode, list};
use super::super::super::raw::RawDependency;
use super::super::super::report::{Finding, Part, Place, Report};
use super::super::super::suggest;
use crate::model::discovery::why_unread;

/// What may be said with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Anything,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A mapping of these keys.
    Keys(&'static [&'static str]),
}

/// The keys that a target may give. What would make a request carry what the target's author chose (`headers`, `body`,
/// `auth`, `dialogue`, other methods), go elsewhere (`proxy`, `resolve`), name files (`tls`), or look further than the
/// target itself (`confirm: full`) is the configuration's alone.
pub const ALLOWED: &[(&str, Allowed)] = &[
    ("alerts", Allowed::Anything),
    ("breaker", Allowed::Anything),
    ("confirm", Allowed::Words(&["off", "gentle"])),
    ("deadline", Allowed::Anything),
    ("depends_on", Allowed::Anything),
    ("expect", Allowed::Anything),
    ("fast_below", Allowed::Anything),
    ("http_version", Allowed::Anything),
    ("icmp", Allowed::Anything),
    ("interval", Allowed::Anything),
    ("keepalive", Allowed::Keys(&["reuse"])),
    ("labels", Allowed::Anything),
    ("method", Allowed::Words(&["GET", "HEAD", "OPTIONS"])),
    ("name", Allowed::Anything),
    ("redirects", Allowed::Keys(&["limit"])),
    ("retry", Allowed::Anything),
    ("starttls", Allowed::Anything),
    ("timeouts", Allowed::Anything),
    ("tls", Allowed::Keys(&["server_name", "min_version", "alpn"])),
    ("websocket", Allowed::Anything),
];

/// Whoever may write an annotation must not make us a load on others.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// What a target may need: each makes more to search for whoever looks for causes.
const MOST_NEEDED: usize = 32;

/// What a target says, laid upon what holds for all that its source finds. What is wrong is noted, at `place`.
pub fn lay(base: &Value, text: &str, place: &Place, report: &mut Report) -> RawDependency {
    let Some(given) = read(text, place, report) else {
        return RawDependency::default();
    };
    for (key, value) in &given {
        check(key, value, place, report);
    }
    let mut whole = base.clone();
    merge(&mut whole, Value::Mapping(given.clone()));
    let mut raw: RawDependency = decode(&mut whole, place, report);
    fit(&mut raw, &given);
    if let Some(interval) = raw.interval.filter(|_| given.contains_key("interval"))
        && interval.0 < SHORTEST_INTERVAL
    {
        let finding = Finding::error(&place.key("interval"), "a target may not ask for this often");
        report.add(finding.expected("at least 1s"));
    }
    let needed = raw
        .depends_on
        .as_ref()
        .filter(|_| given.contains_key("depends_on"));
    if needed.is_some_and(|needed| needed.0.len() > MOST_NEEDED) {
        let finding = Finding::error(&place.key("depends_on"), "a target may not need this many");
        report.add(finding.expected(format!("at most {MOST_NEEDED}")));
    }
    raw
}

/// Budgets that hold for all are lowered to fit those that are given more closely, as inherited ones are.
pub fn fit(raw: &mut RawDependency, given: &Mapping) {
    let own = given.get("timeouts").and_then(Value::as_mapping);
    let is_own = |key: &str| own.is_some_and(|own| own.contains_key(key));
    let mut bound = Duration::MAX;
    if let Some(interval) = raw.interval.filter(|_| given.contains_key("interval")) {
        bound = interval.0;
    }
    let Some(timeouts) = raw.timeouts.as_mut() else {
        return;
    };
    for (key, value) in [
        ("total", &mut timeouts.total),
        ("attempt", &mut timeouts.attempt),
        ("resolve", &mut timeouts.resolve),
        ("connect", &mut timeouts.connect),
        ("tls", &mut timeouts.tls),
        ("first_byte", &mut timeouts.first_byte),
        ("body", &mut timeouts.body),
    ] {
        let Some(value) = value else { continue };
        if !is_own(key) {
            value.0 = value.0.min(bound);
        } else if matches!(key, "total" | "attempt") {
            bound = bound.min(value.0);
        }
    }
}

fn read(text: &str, place: &Place, report: &mut Report) -> Option<Mapping> {
    if let Some(why) = why_unread(text) {
        report.error(place, why);
        return None;
    }
    match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Mapping(given)) => Some(given),
        Ok(Value::Null) => Some(Mapping::new()),
        Ok(_) => {
            let finding = Finding::error(place, "the settings are not keys of a dependency");
            report.add(finding.expected("a mapping such as `interval: 10s`"));
            None
        }
        Err(error) => {
            let at = error
                .location()
                .map(|at| format!(", line {} column {}", at.line(), at.column()));
            let problem = format!("the settings are not YAML{}", at.unwrap_or_default());
            report.error(place, problem);
            None
        }
    }
}

fn check(key: &Value, value: &Value, place: &Place, report: &mut Report) {
    let Some(key) = key.as_str() else {
        report.error(place, "a key that is not a text");
        return;
    };
    let at = place.key(key);
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == key) else {
        let finding = Finding::error(&at, "a target may not say this of itself").at(Part::Key);
        let near = suggest::nearest(key, ALLOWED.iter().map(|(known, _)| *known));
        report.add(finding.suggest(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`dependency` of the entry in `discovery` may".into(),
        }));
        return;
    };
    if refers(value) {
        let problem = "a target may not refer to files or the environment";
        report.error(&at, problem);
    }
    match allowed {
        Allowed::Anything => {}
        Allowed::Words(words) => {
            let given = match value {
                Value::Bool(false) => Some("off"),
                other => other.as_str(),
            };
            if !given.is_some_and(|given| words.contains(&given)) {
                let finding = Finding::error(&at, "a target may not say this of itself");
                report.add(finding.expected(format!("one of {}", list(words))));
            }
        }
        Allowed::Keys(keys) => {
            for below in value.as_mapping().into_iter().flat_map(Mapping::keys) {
                let below = below.as_str().unwrap_or("?");
                if !keys.contains(&below) {
                    let finding = Finding::error(&at.key(below), "a target may not say this of itself");
                    report.add(finding.expected(format!("only {}", list(keys))));
                }
            }
        }
    }
}

/// Whether it says `${env:…}`, which is not followed here and must not look as if it were, or `{file: …}` anywhere.
fn refers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Sequence(items) => items.iter().any(refers),
        Value::Mapping(entries) => entries
            .iter()
            .any(|(key, value)| matches!(key.as_str(), Some("file" | "credential")) || refers(value)),
        Value::Tagged(_) => true,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Mappings are merged key by key, and all else is taken from `over`.
pub fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Mapping(under), Value::Mapping(over)) => {
            for (key, value) in over {
                match under.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => {
                        under.insert(key, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}
