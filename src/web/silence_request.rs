//! What a person sends to make a silence, read strictly: every mistake at once, each under its key.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::alert::{Rule, Severity};
use crate::model::cause::Cause;
use crate::model::silence::Matcher;
use crate::model::similar::closest;
use crate::model::time::Wall;

/// Every key.
const KEYS: [&str; 6] = ["matchers", "owner", "reason", "from", "until", "for"];
const MATCHERS: usize = 32;
/// Characters of an owner, of a reason, of a pattern.
const OWNER: usize = 200;
const REASON: usize = 2000;
const PATTERN: usize = 500;
/// Edits that a mistyped word may have.
const NEAR: usize = 3;

/// A silence as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// At least one: a silence that nobody is told of anything by is written `dependency=*`.
    pub matchers: Vec<Matcher>,
    pub owner: String,
    pub reason: String,
    pub from: Wall,
    pub until: Wall,
}

/// What is wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem {
            key: key.into(),
            problem: problem.into(),
        });
    }

    /// The value, or its mistake under that key.
    fn take<T>(&mut self, key: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|problem| self.add(key, problem)).ok()
    }
}

/// Reads the body of a request. Times without `from` count from `now`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(body: &[u8], now: Wall) -> Result<Wanted, Vec<Problem>> {
    let mut problems = Problems::default();
    let object = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            return Err(vec![Problem {
                key: "body".into(),
                problem: "an object is needed".into(),
            }]);
        }
        Err(error) => {
            return Err(vec![Problem {
                key: "body".into(),
                problem: format!("this is not JSON: {error}"),
            }]);
        }
    };
    for key in object.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let meant = closest(key, KEYS, NEAR).map(|meant| format!("; did you mean `{meant}`?"));
        problems.add(key, format!("there is no such key{}", meant.unwrap_or_default()));
    }
    let matchers = matchers(object.get("matchers"), &mut problems);
    let owner = text(&object, "owner", OWNER);
    let owner = problems.take("owner", owner);
    let reason = text(&object, "reason", REASON);
    let reason = problems.take("reason", reason);
    let times = times(&object, now, &mut problems);
    match (owner, reason, times, problems.0) {
        (Some(owner), Some(reason), Some((from, until)), problems) if problems.is_empty() => Ok(Wanted {
            matchers,
            owner,
            reason,
            from,
            until,
        }),
        (.., problems) => Err(problems),
    }
}

/// A text that is needed.
fn text(object: &Map<String, Value>, key: &str, most: usize) -> Result<String, String> {
    match object.get(key) {
        None | Some(Value::Null) => Err("it is needed".to_owned()),
        Some(Value::String(text)) if text.trim().is_empty() => Err("it is empty".to_owned()),
        Some(Value::String(text)) => plain(text.trim(), most).map(str::to_owned),
        Some(_) => Err("a text is needed".to_owned()),
    }
}

/// It ends up in logs and in terminals.
fn plain(text: &str, most: usize) -> Result<&str, String> {
    if text.chars().any(char::is_control) {
        Err("line breaks and control characters are not taken".to_owned())
    } else if text.chars().count() > most {
        Err(format!("it is longer than {most} characters"))
    } else {
        Ok(text)
    }
}

/// `from` and `until`, the latter perhaps by way of `for`.
fn times(object: &Map<String, Value>, now: Wall, problems: &mut Problems) -> Option<(Wall, Wall)> {
    let mut read = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(given) => problems.take(key, time(given)).map(Some),
    };
    let (from, until) = (read("from"), read("until"));
    let from = from?.unwrap_or(now);
    let lasts = match object.get("for") {
        None | Some(Value::Null) => None,
        Some(given) => Some(problems.take("for", lasting(given))?),
    };
    let (key, until) = match (until?, lasts) {
        (Some(_), Some(_)) => {
            problems.add("for", "either this or `until`, not both");
            return None;
        }
        (None, None) => {
            problems.add(
                "until",
                "when does it end? `until` is a time, `for` a duration such as 2h",
            );
            return None;
        }
        (Some(until), None) => ("until", until),
        (None, Some(lasts)) => ("for", later(from, lasts)),
    };
    if until <= from {
        problems.add(key, format!("it ends before it begins ({from})"));
        None
    } else if until <= now {
        problems.add(key, format!("it ends in the past: {until}"));
        None
    } else {
        Some((from, until))
    }
}

/// The end of time is far enough for what lasts longer than clocks count.
fn later(from: Wall, lasts: Duration) -> Wall {
    let nanos = i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX);
    Wall::from_unix_nanos(from.unix_nanos().saturating_add(nanos))
}

/// RFC 3339, with any offset.
fn time(given: &Value) -> Result<Wall, String> {
    let wanted = "a time is needed, such as 2026-11-24T18:00:00Z";
    let text = given.as_str().ok_or(wanted)?;
    let parsed: jiff::Timestamp = text.parse().map_err(|_| wanted)?;
    let nanos = i64::try_from(parsed.as_nanosecond()).map_err(|_| "no clock shows that time")?;
    Ok(Wall::from_unix_nanos(nanos))
}

/// `90s`, `30m`, `2h`, `3d`, `1w`, and several of them as in `1h30m`.
fn lasting(given: &Value) -> Result<Duration, String> {
    let wanted = || "a duration is needed, such as 30m, 2h or 1d".to_owned();
    let text = given.as_str().ok_or_else(wanted)?;
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wanted)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wanted())?;
        let unit = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |end| digits + end);
        let of_unit = match &rest[digits..unit] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            other => return Err(format!("{other:?} is not a unit: use s, m, h, d or w")),
        };
        seconds = number
            .checked_mul(of_unit)
            .and_then(|more| seconds.checked_add(more))
            .ok_or_else(|| "it is too long".to_owned())?;
        rest = &rest[unit..];
    }
    match seconds {
        0 => Err(wanted()),
        _ => Ok(Duration::from_secs(seconds)),
    }
}

fn matchers(given: Option<&Value>, problems: &mut Problems) -> Vec<Matcher> {
    let list = match given {
        None | Some(Value::Null) => {
            problems.add(
                "matchers",
                "at least one is needed, such as \"dependency=payments\"",
            );
            return Vec::new();
        }
        Some(Value::Array(list)) => list,
        Some(_) => {
            problems.add("matchers", "a list is needed, such as [\"dependency=payments\"]");
            return Vec::new();
        }
    };
    if list.is_empty() {
        problems.add(
            "matchers",
            "at least one is needed; \"dependency=*\" is all of them",
        );
    } else if list.len() > MATCHERS {
        problems.add("matchers", format!("at most {MATCHERS} are taken"));
        return Vec::new();
    }
    let read = list.iter().enumerate().filter_map(|(place, one)| {
        let key = format!("matchers[{place}]");
        let matcher = match one {
            Value::String(text) => Matcher::parse(text).ok_or_else(|| {
                "a label and a pattern are needed, as in team=checkout or env!=prod".to_owned()
            }),
            Value::Object(object) => matcher_of(object),
            _ => Err(
                "a text such as \"team=checkout\" is needed, or an object with label and pattern".to_owned(),
            ),
        };
        problems.take(&key, matcher.and_then(checked))
    });
    read.collect()
}

fn matcher_of(object: &Map<String, Value>) -> Result<Matcher, String> {
    let known = ["label", "pattern", "negated"];
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("there is no such key: {key}"));
    }
    let text = |key: &str| {
        let given = object.get(key).ok_or_else(|| format!("{key} is needed"))?;
        given.as_str().ok_or_else(|| format!("{key} is a text"))
    };
    let negated = match object.get("negated") {
        None => false,
        Some(given) => given.as_bool().ok_or("negated is true or false")?,
    };
    Ok(Matcher {
        label: text("label")?.into(),
        pattern: text("pattern")?.into(),
        negated,
    })
}

/// Labels of ours have values that are known, so that a mistyped one is not met when the alert comes through.
fn checked(matcher: Matcher) -> Result<Matcher, String> {
    let label = &*matcher.label;
    let begins = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "{label:?} is not a label's name (letters, digits and `_`)"
        ));
    }
    plain(&matcher.pattern, PATTERN)?;
    let values: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("alert", Rule::ALL.iter().map(|rule| rule.id()).collect()),
        (
            "severity",
            Severity::ALL.iter().map(|severity| severity.id()).collect(),
        ),
        ("cause", Cause::ALL.iter().map(|cause| cause.id()).collect()),
    ]);
    match values.get(label) {
        Some(values) if !matcher.pattern.contains('*') && !values.contains(&&*matcher.pattern) => {
            let meant = closest(&matcher.pattern, values.iter().copied(), NEAR);
            let meant = meant
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_default();
            Err(format!("there is no {label} {:?}{meant}", &*matcher.pattern))
        }
        _ => Ok(matcher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Wall = Wall::from_unix_secs(1_795_489_331);

    fn good() -> Value {
        json!({"matchers": ["dependency=pay*", {"label": "env", "pattern": "prod", "negated": true}],
               "owner": " jo ", "reason": "renewal", "for": "2h"})
    }

    fn asked(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Wanted, Vec<String>> {
        let Value::Object(mut object) = good() else {
            panic!("an object")
        };
        change(&mut object);
        let body = Value::Object(object).to_string();
        read(body.as_bytes(), NOW).map_err(|problems| problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn a_good_one_is_understood() {
        let wanted = asked(|_| {}).expect("it is good");
        assert_eq!((&*wanted.owner, &*wanted.reason), ("jo", "renewal"));
        assert_eq!((wanted.from, wanted.until.seconds_since(NOW)), (NOW, 7200));
        let shown: Vec<String> = wanted.matchers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["dependency=pay*", "env!=prod"]);
        let times = asked(|object| {
            object.remove("for");
            object.insert("from".into(), "2026-11-24T05:02:11+01:00".into());
            object.insert("until".into(), "2026-11-24T06:02:11Z".into());
        });
        let times = times.expect("it is good");
        assert_eq!(
            (times.from.seconds_since(NOW), times.until.seconds_since(NOW)),
            (3600, 10_800)
        );
        let from_then = asked(|object| {
            object.insert("from".into(), "2026-11-24T04:02:11Z".into());
            object.insert("for".into(), "1d1h30m".into());
        });
        assert_eq!(
            from_then.expect("it is good").until.seconds_since(NOW),
            3600 + 91_800
        );
    }

    #[test]
    fn every_mistake_is_told_under_its_key() {
        let none = read(b"{\"reson\": \"x\"}", NOW).expect_err("nothing is there");
        let keys: Vec<&str> = none.iter().map(|problem| &*problem.key).collect();
        assert_eq!(keys, ["reson", "matchers", "owner", "reason", "until"]);
        assert!(none[0].problem.contains("did you mean `reason`?"), "{none:?}");
        for (body, wrong) in [
            ("", "this is not JSON"),
            ("[]", "an object is needed"),
            ("{", "this is not JSON"),
        ] {
            let problems = read(body.as_bytes(), NOW).expect_err("it is bad");
            assert!(
                problems[0].key == "body" && problems[0].problem.starts_with(wrong),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn each_key_is_held_to_what_it_may_be() {
        for (key, value, wrong) in [
            ("owner", json!(""), "owner: it is empty"),
            ("owner", json!(null), "owner: it is needed"),
            ("owner", json!(7), "owner: a text is needed"),
            ("reason", json!("a\nb"), "reason: line breaks"),
            (
                "reason",
                json!("x".repeat(2001)),
                "reason: it is longer than 2000",
            ),
            ("for", json!("0h"), "for: a duration is needed"),
            ("for", json!("2"), "for: a duration is needed"),
            ("for", json!("2y"), "for: \"y\" is not a unit"),
            ("for", json!("-2h"), "for: a duration is needed"),
            ("for", json!(7200), "for: a duration is needed"),
            ("for", json!("99999999999999999999d"), "for: a duration is needed"),
            ("for", json!("9999999999999999999d"), "for: it is too long"),
            (
                "until",
                json!("2026-11-24T06:02:11Z"),
                "for: either this or `until`",
            ),
            ("from", json!("tomorrow"), "from: a time is needed"),
            ("from", json!("2026-11-24T00:00:00Z"), "for: it ends in the past"),
            ("matchers", json!([]), "matchers: at least one is needed"),
            ("matchers", json!("a=b"), "matchers: a list is needed"),
            ("matchers", json!(vec!["a=b"; 33]), "matchers: at most 32"),
            (
                "matchers",
                json!(["a"]),
                "matchers[0]: a label and a pattern are needed",
            ),
            (
                "matchers",
                json!(["a=b", "1a=b"]),
                "matchers[1]: \"1a\" is not a label's name",
            ),
            ("matchers", json!([7]), "matchers[0]: a text such as"),
            (
                "matchers",
                json!([{"label": "a"}]),
                "matchers[0]: pattern is needed",
            ),
            (
                "matchers",
                json!([{"label": "a", "pattern": "b", "negatd": true}]),
                "matchers[0]: there is no such key",
            ),
            (
                "matchers",
                json!(["alert=dependency_dwn_fast"]),
                "did you mean `dependency_down_fast`?",
            ),
            (
                "matchers",
                json!(["severity=page"]),
                "matchers[0]: there is no severity \"page\"",
            ),
            (
                "matchers",
                json!(["cause=tls.cert.expired"]),
                "matchers[0]: there is no cause",
            ),
        ] {
            let shown = value.to_string();
            let problems = asked(|object| drop(object.insert(key.into(), value))).expect_err(&shown);
            assert!(
                problems.len() == 1 && problems[0].contains(wrong),
                "{key} {shown}: {problems:?}"
            );
        }
        for good in ["alert=slo_*", "cause=tls.*", "severity!=critical", "dependency=*"] {
            let wanted = asked(|object| drop(object.insert("matchers".into(), json!([good]))));
            assert!(wanted.is_ok(), "{good}: {wanted:?}");
        }
    }

    #[test]
    fn an_end_must_lie_after_the_beginning() {
        let problems = asked(|object| {
            object.remove("for");
            object.insert("from".into(), "2026-11-24T06:02:11Z".into());
            object.insert("until".into(), "2026-11-24T05:02:11Z".into());
        });
        assert_eq!(
            problems.expect_err("it ends before it begins"),
            ["until: it ends before it begins (2026-11-24T06:02:11Z)"]
        );
    }
}
