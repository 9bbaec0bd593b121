//! From a YAML value to a raw type with every error, not only the first: decode, note the error, take the offending
//! node out, decode again.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::mask;
use super::path::{KeyPath, Segment};
use super::raw::values::MARK;
use super::report::{Finding, Part, Place, Report};
use super::suggest;
use crate::model::alert::{Rule, RuleScope};

/// After this many in one entry, the rest is left untold: the entry is something else altogether.
const MOST_ERRORS: usize = 50;

/// Decodes the value at `place`. What cannot be decoded is noted and left out.
pub fn decode<T: DeserializeOwned + Default>(value: &mut Value, place: &Place, report: &mut Report) -> T {
    let mut gaps = Gaps::default();
    for _ in 0..MOST_ERRORS {
        match serde_path_to_error::deserialize::<_, T>(&*value) {
            Ok(decoded) => return decoded,
            Err(error) => {
                let path = KeyPath::from(error.path());
                let text = error.inner().to_string();
                let original = gaps.original(&path);
                let whole = Place {
                    file: place.file,
                    path: place.path.join(&original),
                };
                if reinterpret(value, &path, &whole, report) {
                    continue;
                }
                let part = Wrong {
                    value,
                    path: &path,
                    place: &whole,
                };
                if !report.left_out.contains(&whole) {
                    let (finding, meant) = explain(&part, &text, report);
                    report.add(finding);
                    report.left_out.extend(meant);
                }
                report.left_out.insert(whole);
                if path.0.is_empty() || !remove(value, &path) {
                    return T::default();
                }
                gaps.note(&original);
            }
        }
    }
    T::default()
}

/// A scalar that came whole from the environment is a text, because no one can tell what it is meant to be until a
/// number or a truth value is asked for. Then it is read as YAML would read it. True when that changed it.
fn reinterpret(value: &mut Value, path: &KeyPath, place: &Place, report: &Report) -> bool {
    if !report.expanded.contains(place) {
        return false;
    }
    let Some(Value::String(text)) = get_mut(value, path).map(|found| &*found) else {
        return false;
    };
    let read = serde_yaml::from_str::<Value>(text);
    let Ok(other @ (Value::Number(_) | Value::Bool(_))) = read else {
        return false;
    };
    if let Some(found) = get_mut(value, path) {
        *found = other;
    }
    true
}

struct Wrong<'a> {
    value: &'a Value,
    path: &'a KeyPath,
    place: &'a Place,
}

/// Turns an error's text into a finding. Serde's own texts quote values, so nothing of them is kept but what was
/// expected; the value itself is told only where it cannot be a secret.
/// Also returns the place of the key that a misspelt one was probably meant to be.
fn explain(wrong: &Wrong<'_>, text: &str, report: &Report) -> (Finding, Option<Place>) {
    if let Some((key, known)) = unknown_field(text) {
        return explain_unknown(wrong, key, &known);
    }
    let found = get(wrong.value, wrong.path);
    let secret = report.is_expanded(wrong.place) || may_be_secret(&wrong.place.path, found);
    let (expected, hint) = match text.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK)) {
        Some((expected, hint)) => (
            expected.to_owned(),
            Some(hint).filter(|hint| !hint.is_empty() && !secret),
        ),
        None => {
            let expected = text
                .rsplit_once(", expected ")
                .map_or("something else", |(_, expected)| expected);
            (plain_expected(expected).to_owned(), None)
        }
    };
    let problem = format!(
        "found {}",
        found.map_or("nothing".to_owned(), |value| describe(value, secret))
    );
    let hint = hint
        .map(str::to_owned)
        .or_else(|| found.filter(|_| !secret).and_then(|v| hint_for(v, &expected)));
    (
        Finding::error(wrong.place, problem)
            .expected(expected)
            .suggest_opt(hint),
        None,
    )
}

fn explain_unknown(wrong: &Wrong<'_>, key: &str, known: &[&str]) -> (Finding, Option<Place>) {
    let finding = Finding::error(wrong.place, "unknown key").at(Part::Key);
    if let Some(rule) = Rule::from_id(key) {
        // It is a rule, but not of this place.
        let place = match rule.scope() {
            RuleScope::Monitor => "it is about whyd itself: it belongs under `alerts.monitor.rules`",
            RuleScope::Dependency | RuleScope::Host => {
                "it is about dependencies: it belongs under `rules` of `alerts` there, in `defaults` or in `alerts.overrides`"
            }
        };
        if known.iter().any(|known| Rule::from_id(known).is_some()) {
            return (finding.suggest(place), None);
        }
    }
    match suggest::nearest(key, known.iter().copied()) {
        Some(meant) => {
            let parent = wrong.place.path.parent().unwrap_or_default();
            let place = Place {
                file: wrong.place.file,
                path: parent.key(meant),
            };
            (finding.suggest(format!("did you mean `{meant}`?")), Some(place))
        }
        None => (finding.expected(format!("one of {}", list(known))), None),
    }
}

pub fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn is_number(found: Option<&Value>) -> bool {
    matches!(found, Some(Value::Number(_) | Value::Bool(_)))
}

fn may_be_secret(path: &KeyPath, found: Option<&Value>) -> bool {
    // A word in place of a proxy's URL is a misspelt word.
    let is_word = |value: &Value| value.as_str().is_some_and(|text| !text.contains([':', '@', '.']));
    let misspelt = path.last_key() == Some("proxy") && found.is_some_and(is_word);
    // The path of a receiver's URL may be the secret; other texts with a colon are not quoted there either.
    let receiver = path.keys().next() == Some("receivers") && found.is_some_and(|value| !is_word(value));
    !misspelt && (receiver && !is_number(found) || path.keys().any(mask::is_secret_key))
}

/// Takes serde's "unknown field `a`, expected one of `b`, `c`" apart. A test pins the form.
fn unknown_field(text: &str) -> Option<(&str, Vec<&str>)> {
    let rest = text.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once("`, ").or_else(|| rest.split_once('`'))?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((key, known))
}

/// Serde's words in ours.
fn plain_expected(expected: &str) -> &str {
    if expected.starts_with("struct ") || expected == "a map" {
        "a mapping (`key: value`)"
    } else if expected == "a sequence" {
        "a list"
    } else if expected == "a string" {
        "a text"
    } else if expected == "a boolean" {
        "`true` or `false`"
    } else {
        expected
    }
}

fn hint_for(value: &Value, expected: &str) -> Option<String> {
    match (value, expected) {
        (Value::String(text), "`true` or `false`") => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => Some("write `true`".into()),
            "no" | "off" | "false" | "n" => Some("write `false`".into()),
            _ => None,
        },
        (Value::Number(number), "a text") => Some(format!("write it in quotes: \"{number}\"")),
        (Value::Bool(value), "a text") => Some(format!("write it in quotes: \"{value}\"")),
        (Value::String(text), _) if expected.starts_with("a whole number") && text.parse::<u64>().is_ok() => {
            Some(format!("write it without quotes: {text}"))
        }
        _ => None,
    }
}

/// What a value is; a scalar's text too, where it may be told.
fn describe(value: &Value, secret: bool) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) if !secret => format!("`{value}`"),
        Value::Number(number) if !secret => format!("the number `{number}`"),
        Value::String(text) if !secret && is_short(text) => format!("the text `{text}`"),
        Value::Bool(_) => "a truth value".into(),
        Value::Number(_) => "a number".into(),
        Value::String(_) => "another text".into(),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "a mapping".into(),
        Value::Tagged(_) => "a tagged value".into(),
    }
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= 40 && !text.contains("://") && !text.chars().any(char::is_control)
}

fn get<'v>(value: &'v Value, path: &KeyPath) -> Option<&'v Value> {
    path.0.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get(key.as_str()),
        Segment::Index(index) => value.get(*index),
    })
}

fn get_mut<'v>(value: &'v mut Value, path: &KeyPath) -> Option<&'v mut Value> {
    path.0.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key.as_str()),
        Segment::Index(index) => value.get_mut(*index),
    })
}

/// Which items were taken out of which list, by the indexes and paths of the text.
#[derive(Default)]
struct Gaps(HashMap<KeyPath, Vec<usize>>);

impl Gaps {
    /// The path in the text of a path in the value, whose lists have lost items.
    fn original(&self, path: &KeyPath) -> KeyPath {
        let mut original = KeyPath::root();
        for segment in &path.0 {
            let segment = match segment {
                Segment::Key(key) => Segment::Key(key.clone()),
                Segment::Index(index) => {
                    let mut index = *index;
                    for gap in self.0.get(&original).into_iter().flatten() {
                        index += usize::from(*gap <= index);
                    }
                    Segment::Index(index)
                }
            };
            original.0.push(segment);
        }
        original
    }

    fn note(&mut self, original: &KeyPath) {
        if let (Some(Segment::Index(index)), Some(parent)) = (original.0.last(), original.parent()) {
            let gaps = self.0.entry(parent).or_default();
            gaps.push(*index);
            gaps.sort_unstable();
        }
    }
}

/// Takes a node out.
fn remove(value: &mut Value, path: &KeyPath) -> bool {
    let Some((last, rest)) = path.0.split_last() else {
        return false;
    };
    match (get_mut(value, &KeyPath(rest.to_vec())), last) {
        (Some(Value::Mapping(entries)), Segment::Key(key)) => entries.remove(key.as_str()).is_some(),
        (Some(Value::Sequence(items)), Segment::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::RawDependency;

    fn errors(yaml: &str) -> Vec<String> {
        let mut value: Value = serde_yaml::from_str(yaml).expect("is YAML");
        let mut report = Report::default();
        let _: RawDependency = decode(&mut value, &Place::root(0), &mut report);
        let mut lines: Vec<String> = report
            .findings
            .iter()
            .map(|f| {
                let mut line = format!("{}: {}", f.place.path, f.problem);
                if let Some(expected) = &f.expected {
                    line.push_str(&format!("; expected {expected}"));
                }
                if let Some(hint) = &f.suggestion {
                    line.push_str(&format!("; {hint}"));
                }
                line
            })
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn every_error_of_an_entry_is_told() {
        let found = errors(
            "name: a\nintervall: 5s\ntimeouts: {total: 10, conect: 1s}\nretry: {attempts: 0}\n\
             keepalive: {reuse: yes}\nexpect: {json: [{path: 1}, {pth: a}]}\n",
        );
        assert_eq!(
            found,
            [
                "expect.json[0].path: found the number `1`; expected a text; write it in quotes: \"1\"",
                "expect.json[1].pth: unknown key; did you mean `path`?",
                "intervall: unknown key; did you mean `interval`?",
                "keepalive.reuse: found the text `yes`; expected `true` or `false`; write `true`",
                "retry.attempts: found the number `0`; expected a whole number from 1 to 20",
                "timeouts.conect: unknown key; did you mean `connect`?",
                "timeouts.total: found the number `10`; expected a duration above zero such as `300ms`, `5s`, `2m` \
                 or `1h`; a unit is missing: did you mean `10s`?",
            ]
        );
    }

    #[test]
    fn values_that_may_be_secret_are_not_quoted() {
        for yaml in [
            "auth: {bearer: 12.5}",
            "auth: hunter2",
            "headers: {x: 12.5}",
            "auth: {basic: {password: [12.5]}}",
        ] {
            let found = errors(yaml).join("\n");
            assert!(!found.is_empty(), "{yaml}");
            assert!(!found.contains("hunter2") && !found.contains("12.5"), "{found}");
        }
    }

    #[test]
    fn a_bad_item_of_a_list_does_not_hide_the_next() {
        let found = errors("resolve: {servers: [10.0.0.1, x, 10.0.0.2, y]}");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("resolve.servers[1]: found the text `x`"));
        assert!(found[1].starts_with("resolve.servers[3]: found the text `y`"));
        assert_eq!(errors("resolve: {servers: [x, y, z]}").len(), 3);
    }

    #[test]
    fn a_whole_reference_may_become_a_number() {
        let mut value: Value =
            serde_yaml::from_str("retry: {attempts: '4'}\nlabels: {tier: '1'}").expect("is YAML");
        let mut report = Report::default();
        let root = Place::root(0);
        report.expanded.insert(root.dotted("retry.attempts"));
        report.expanded.insert(root.dotted("labels.tier"));
        let raw: RawDependency = decode(&mut value, &root, &mut report);
        assert!(!report.has_errors());
        assert_eq!(raw.retry.and_then(|r| r.attempts).map(|n| n.0), Some(4));
    }
}
