//! Typed decoding that finds every mistake: decode, note the mistake with its place, prune what is wrong, decode again.

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::model::similar;

use super::expand::Expanded;
use super::key_path::{KeyPath, Step};
use super::source::{Source, is_secret};

/// Mistakes within one entry after which decoding gives up on it.
const LIMIT: usize = 100;
/// Edits within which a known key is offered for an unknown one.
const KEY_DISTANCE: usize = 3;

/// An entry that decoded, perhaps without some of its parts.
pub struct Decoded<T> {
    pub value: T,
    /// What was wrong and therefore left out: rules about these are not checked, since they would mislead.
    pub pruned: Vec<KeyPath>,
}

/// Decodes `value`, which stands at `base`. `None` when something required is missing or wrong.
pub fn decode<T: DeserializeOwned>(
    mut value: Value,
    base: &KeyPath,
    source: &Source,
    expanded: &Expanded,
) -> Option<Decoded<T>> {
    let mut pruned: Vec<KeyPath> = Vec::new();
    let mut removed: Vec<(KeyPath, usize)> = Vec::new();
    for _ in 0..LIMIT {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(value) => return Some(Decoded { value, pruned }),
            Err(error) => error,
        };
        let found = steps(error.path());
        let message = error.into_inner().to_string();
        let present = original(&found, &removed);
        if let Some(field) = between_backticks(&message, "missing field ") {
            let missing = present.key(field);
            if !pruned.contains(&missing) {
                source.error(&base.join(&present), format!("`{field}` is missing"), None);
            }
            return None;
        }
        report(&message, &base.join(&present), source, expanded);
        pruned.push(present.clone());
        if !prune(&mut value, &found, &mut removed) {
            return None;
        }
    }
    None
}

fn report(message: &str, path: &KeyPath, source: &Source, expanded: &Expanded) {
    if let Some(field) = between_backticks(message, "unknown field ") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let distance = KEY_DISTANCE.min(field.chars().count().div_ceil(2));
        let help = match similar::closest(field, known.iter().copied(), distance) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no keys are expected here".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        source.error_on_key(path, format!("unknown key `{field}`"), Some(help));
    } else if expanded.contains(path) || is_secret(path) {
        let expected = message
            .split("expected ")
            .nth(1)
            .map_or("something else", in_yaml);
        source.error(
            path,
            format!("this value cannot be used here; expected {expected}"),
            None,
        );
    } else if let Some((found, expected)) = mistyped(message) {
        source.error(path, format!("is {found}; expected {}", in_yaml(expected)), None);
    } else {
        source.error(path, message.to_owned(), None);
    }
}

/// Serde's "invalid type: FOUND, expected WHAT", taken apart.
fn mistyped(message: &str) -> Option<(&str, &str)> {
    message.strip_prefix("invalid type: ")?.rsplit_once(", expected ")
}

/// What serde expects, for people who write YAML: the names of our types mean nothing to them.
fn in_yaml(expected: &str) -> &str {
    if expected.starts_with("struct ") || expected == "a map" {
        "a map of keys, such as {key: value}"
    } else if expected == "a sequence" {
        "a list, such as [one, two]"
    } else {
        expected
    }
}

fn between_backticks<'a>(message: &'a str, after: &str) -> Option<&'a str> {
    message.strip_prefix(after)?.strip_prefix('`')?.split('`').next()
}

fn steps(path: &serde_path_to_error::Path) -> KeyPath {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    };
    KeyPath(path.iter().filter_map(step).collect())
}

/// The path in the document as it was before items were taken out of its sequences.
fn original(found: &KeyPath, removed: &[(KeyPath, usize)]) -> KeyPath {
    let mut path = KeyPath::root();
    for step in &found.0 {
        path = match step {
            Step::Key(key) => path.key(key),
            Step::Index(index) => {
                let mut taken: Vec<usize> = removed
                    .iter()
                    .filter(|(sequence, _)| *sequence == path)
                    .map(|(_, i)| *i)
                    .collect();
                taken.sort_unstable();
                let index = taken
                    .into_iter()
                    .fold(*index, |index, gone| index + usize::from(gone <= index));
                path.index(index)
            }
        };
    }
    path
}

/// Takes the value at that path out of the document. `false` when there is nothing to take.
fn prune(value: &mut Value, path: &KeyPath, removed: &mut Vec<(KeyPath, usize)>) -> bool {
    let Some((parent, last)) = path.parent() else {
        return false;
    };
    let mut node = value;
    for step in &parent.0 {
        let next = match (step, node) {
            (Step::Key(key), Value::Mapping(mapping)) => mapping.get_mut(key.as_str()),
            (Step::Index(index), Value::Sequence(items)) => items.get_mut(*index),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => return false,
        }
    }
    match (last, node) {
        (Step::Key(key), Value::Mapping(mapping)) => mapping.remove(key.as_str()).is_some(),
        (Step::Index(index), Value::Sequence(items)) if *index < items.len() => {
            items.remove(*index);
            let sequence = original(&parent, removed);
            let place = original(path, removed);
            if let Some((_, Step::Index(place))) = place.parent() {
                removed.push((sequence, *place));
            }
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_what_they_are_in_yaml() {
        let message = "invalid type: string \"a, expected b\", expected struct Keepalive";
        let (found, expected) = mistyped(message).expect("a type");
        assert_eq!(found, "string \"a, expected b\"");
        assert_eq!(in_yaml(expected), "a map of keys, such as {key: value}");
        assert_eq!(in_yaml("a boolean"), "a boolean");
        assert_eq!(mistyped("unknown variant"), None);
    }
}
