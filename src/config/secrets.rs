//! `${env:NAME}` and `${env:NAME:-default}`: expanded after parsing, in scalars only.

use serde_yaml::Value;

use super::environment::Environment;
use super::report::{Finding, Part, Place, Report};

/// Replaces every reference in every string value (not in keys). A variable that is not set and has no default is an
/// error; `$${env:…}` stands for the text `${env:…}`.
pub fn expand(value: &mut Value, place: &Place, env: &dyn Environment, report: &mut Report) {
    match value {
        Value::String(text) => {
            if text.contains("${env:") {
                let expansion = expand_text(text, env);
                if expansion.changed {
                    report.expanded.insert(place.clone());
                }
                *text = expansion.text;
                if !expansion.problems.is_empty() {
                    // Nothing more is said of a value that is not whole.
                    report.left_out.insert(place.clone());
                    *value = Value::Null;
                }
                for problem in expansion.problems {
                    report.add(problem.finding(place));
                }
            }
        }
        Value::Sequence(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                if holds_reference(item) {
                    expand(item, &place.index(i), env, report);
                }
            }
        }
        Value::Mapping(entries) => {
            for (key, item) in entries.iter_mut() {
                if holds_reference(item) {
                    expand(item, &place.key(key.as_str().unwrap_or("?")), env, report);
                }
            }
        }
        Value::Tagged(tagged) => expand(&mut tagged.value, place, env, report),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether there is anything to do below: most of a large file has no reference, and needs no paths built for it.
fn holds_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${env:"),
        Value::Sequence(items) => items.iter().any(holds_reference),
        Value::Mapping(entries) => entries.values().any(holds_reference),
        Value::Tagged(tagged) => holds_reference(&tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A text with its references replaced, and what was wrong with them.
pub struct Expansion {
    pub text: String,
    pub changed: bool,
    problems: Vec<Problem>,
}

enum Problem {
    Unset {
        name: String,
        at: std::ops::Range<usize>,
    },
    Malformed {
        at: std::ops::Range<usize>,
    },
}

impl Problem {
    fn finding(self, place: &Place) -> Finding {
        match self {
            Problem::Unset { name, at } => {
                Finding::error(place, format!("the environment variable `{name}` is not set"))
                    .at(Part::Within(at))
                    .suggest(format!("set it, or give a default: `${{env:{name}:-default}}`"))
            }
            Problem::Malformed { at } => {
                Finding::error(place, "this reference to the environment is not complete")
                    .at(Part::Within(at))
                    .expected("`${env:NAME}` or `${env:NAME:-default}`")
            }
        }
    }
}

fn expand_text(text: &str, env: &dyn Environment) -> Expansion {
    let mut result = Expansion {
        text: String::with_capacity(text.len()),
        changed: false,
        problems: Vec::new(),
    };
    let mut at = 0;
    while let Some(found) = text[at..].find("${env:") {
        let start = at + found;
        if text[at..start].ends_with('$') {
            result.text.push_str(&text[at..start - 1]);
            result.text.push_str("${env:");
            at = start + "${env:".len();
            continue;
        }
        result.text.push_str(&text[at..start]);
        let inner = start + "${env:".len();
        let Some(length) = text[inner..].find('}') else {
            result.problems.push(Problem::Malformed {
                at: start..text.len(),
            });
            at = text.len();
            break;
        };
        let reference = &text[inner..inner + length];
        let end = inner + length + 1;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            result.problems.push(Problem::Malformed { at: start..end });
        } else {
            // As in the shell, `:-` also stands in for a variable that is set and empty.
            let value = env
                .var(name)
                .filter(|value| default.is_none() || !value.is_empty());
            match value.as_deref().or(default) {
                Some(value) => {
                    result.text.push_str(value);
                    result.changed = true;
                }
                None => result.problems.push(Problem::Unset {
                    name: name.to_owned(),
                    at: start..end,
                }),
            }
        }
        at = end;
    }
    result.text.push_str(&text[at..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn references_are_replaced() {
        let env = HashMap::from([("A", "1"), ("EMPTY", "")]);
        let expanded = |text: &str| expand_text(text, &env).text;
        assert_eq!(expanded("x${env:A}y${env:B:-2}"), "x1y2");
        assert_eq!(expanded("${env:EMPTY:-d}|${env:EMPTY}"), "d|");
        assert_eq!(expanded("$${env:A} $A ${A}"), "${env:A} $A ${A}");
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        let env = HashMap::new();
        for text in ["${env:NOPE}", "${env:", "${env:}", "${env:1A}", "${env:A B}"] {
            assert_eq!(expand_text(text, &env).problems.len(), 1, "{text}");
        }
    }

    #[test]
    fn places_of_expanded_scalars_are_kept() {
        let mut value: Value = serde_yaml::from_str("a: [x, '${env:A}']\nb: 1").expect("is YAML");
        let mut report = Report::default();
        expand(
            &mut value,
            &Place::root(0),
            &HashMap::from([("A", "s")]),
            &mut report,
        );
        assert_eq!(value["a"][1], Value::from("s"));
        assert!(report.is_expanded(&Place::root(0).key("a")));
        assert!(!report.is_expanded(&Place::root(0).key("b")));
    }
}
