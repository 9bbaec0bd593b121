//! Typed decoding that finds every mistake: decode, note the mistake with its place, prune what is wrong, decode again.

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::model::similar;

use super::expand::{Expanded, typed};
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
        if expanded.contains(&base.join(&present)) && retype(&mut value, &found) {
            continue;
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
        let expected = message.split("expected ").nth(1).unwrap_or("something else");
        source.error(
            path,
            format!("this value cannot be used here; expected {expected}"),
            None,
        );
    } else {
        source.error(path, message.to_owned(), None);
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

/// Makes a number or a boolean of the text at that path, which came from the environment. `false` when it is none, or
/// when that was done before.
fn retype(value: &mut Value, path: &KeyPath) -> bool {
    let Some(node) = node_mut(value, path) else {
        return false;
    };
    let typed = node.as_str().and_then(typed);
    match typed {
        Some(typed) => {
            *node = typed;
            true
        }
        None => false,
    }
}

fn node_mut<'a>(value: &'a mut Value, path: &KeyPath) -> Option<&'a mut Value> {
    path.0.iter().try_fold(value, |node, step| match (step, node) {
        (Step::Key(key), Value::Mapping(mapping)) => mapping.get_mut(key.as_str()),
        (Step::Index(index), Value::Sequence(items)) => items.get_mut(*index),
        _ => None,
    })
}

/// Takes the value at that path out of the document. `false` when there is nothing to take.
fn prune(value: &mut Value, path: &KeyPath, removed: &mut Vec<(KeyPath, usize)>) -> bool {
    let Some((parent, last)) = path.parent() else {
        return false;
    };
    let Some(node) = node_mut(value, &parent) else {
        return false;
    };
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
    use super::super::expand::expand;
    use super::super::raw;
    use super::super::scalar::TextOrFile;
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn what_comes_from_the_environment_is_the_text_that_it_is() {
        let text = "\
name: ${env:NUMBER}
url: http://localhost/
headers: {X-A: '${env:HEX}', X-B: '${env:EXPONENT}', X-C: '${env:FLAG}'}
keepalive: {reuse: '${env:FLAG}'}
breaker: {failure_share: '${env:SHARE}'}
retry: {attempts: '${env:NUMBER}'}
";
        let env = HashMap::from([
            ("NUMBER", "7"),
            ("HEX", "0x10"),
            ("EXPONENT", "1e5"),
            ("FLAG", "true"),
            ("SHARE", "0.5"),
        ]);
        let source = Source::new("whyd.yaml".into(), text.into());
        let mut value = source.value().expect("YAML");
        let expanded = expand(&mut value, &env, &source);
        let decoded = decode::<raw::Dependency>(value, &KeyPath::root(), &source, &expanded);
        let Some(Decoded { value, pruned }) = decoded else {
            panic!("{:?}", source.diagnostics());
        };
        assert!(pruned.is_empty() && source.diagnostics().is_empty());
        assert_eq!(value.name, "7");
        let headers: Vec<&TextOrFile> = value.headers.values().collect();
        for (header, wanted) in headers.into_iter().zip(["0x10", "1e5", "true"]) {
            assert!(
                *header == TextOrFile::Text(wanted.into()),
                "{wanted} has become another text"
            );
        }
        assert_eq!(value.keepalive.reuse, Some(true));
        assert_eq!(value.breaker.failure_share, Some(0.5));
        assert_eq!(value.retry.attempts, Some(7));
    }
}
