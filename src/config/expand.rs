//! `${env:NAME}` and `${env:NAME:-default}` in scalars, after parsing: a value can never change the document's shape.

use std::collections::HashSet;

use serde_yaml::Value;

use super::environment::Environment;
use super::key_path::KeyPath;
use super::source::Source;

/// The paths whose values came from the environment: treated as secret wherever a secret may stand, and never printed.
pub type Expanded = HashSet<KeyPath>;

/// Expands every scalar below `value`.
pub fn expand(value: &mut Value, env: &dyn Environment, source: &Source) -> Expanded {
    let mut expander = Expander {
        env,
        source,
        expanded: Expanded::new(),
    };
    expander.walk(value, &KeyPath::root());
    expander.expanded
}

struct Expander<'a> {
    env: &'a dyn Environment,
    source: &'a Source,
    expanded: Expanded,
}

impl Expander<'_> {
    fn walk(&mut self, value: &mut Value, path: &KeyPath) {
        match value {
            Value::String(text) => {
                if let Some(expanded) = self.text(text, path) {
                    *value = expanded;
                }
            }
            Value::Sequence(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.walk(item, &path.index(i));
                }
            }
            Value::Mapping(mapping) => {
                for (key, item) in mapping.iter_mut() {
                    self.walk(item, &path.key(key.as_str().unwrap_or_default()));
                }
            }
            Value::Tagged(tagged) => self.walk(&mut tagged.value, path),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The expanded value, or `None` when there was nothing to expand. It is a text, whatever it looks like: a password
    /// of `0x10` is not sixteen. Where a number or a boolean is wanted, [`typed`] makes it one.
    fn text(&mut self, text: &str, path: &KeyPath) -> Option<Value> {
        let mut out = String::new();
        let mut rest = text;
        let mut any = false;
        while let Some(start) = rest.find("${env:") {
            let Some(length) = rest[start..].find('}') else {
                self.source
                    .error(path, "`${env:` is not closed", Some("write ${env:NAME}".into()));
                return None;
            };
            let reference = &rest[start + 6..start + length];
            out.push_str(&rest[..start]);
            out.push_str(&self.variable(reference, path)?);
            rest = &rest[start + length + 1..];
            any = true;
        }
        if !any {
            return None;
        }
        out.push_str(rest);
        self.expanded.insert(path.clone());
        Some(Value::String(out))
    }

    fn variable(&self, reference: &str, path: &KeyPath) -> Option<String> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            self.source.error(
                path,
                format!("`{name}` is not the name of an environment variable"),
                None,
            );
            return None;
        }
        let value = self
            .env
            .var(name)
            .filter(|value| default.is_none() || !value.is_empty());
        if value.is_none() && default.is_none() {
            let help = format!("set it, or give a default: ${{env:{name}:-default}}");
            self.source.error(
                path,
                format!("the environment variable {name} is not set"),
                Some(help),
            );
        }
        value.or(default.map(str::to_owned))
    }
}

/// The number or boolean that a text from the environment stands for: `port: ${env:PORT}`.
pub fn typed(text: &str) -> Option<Value> {
    serde_yaml::from_str::<Value>(text)
        .ok()
        .filter(|value| matches!(value, Value::Bool(_) | Value::Number(_)))
}
