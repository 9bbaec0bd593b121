//! One configuration file: its text, its value, and where in the text each value stands.
//!
//! The value is read by serde_yaml. Positions are looked for only when there is something to report, in a second parse
//! by a parser that keeps them.

use std::cell::RefCell;
use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::diagnostic::{Diagnostic, Place, Severity};
use super::key_path::{KeyPath, Step};

/// Keys whose values never appear in a message or in a source line.
const SECRET_KEYS: &[&str] = &[
    "password",
    "client_secret",
    "bearer",
    "token",
    "secret",
    "headers",
    "auth",
    "body",
];
/// Keys below a secret one whose values are not secret.
const PLAIN_BELOW_SECRET: &[&str] = &[
    "file",
    "user",
    "client_id",
    "token_url",
    "scopes",
    "audience",
    "is",
    "matches",
    "name",
];
const MASK: &str = "[redacted]";

/// Whether the value at that path is, or may be, a secret.
pub fn is_secret(path: &KeyPath) -> bool {
    let keys = path.0.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let keys: Vec<&str> = keys.collect();
    let below_expect = keys.contains(&"expect");
    let secret = keys.iter().any(|key| SECRET_KEYS.contains(key)) && !below_expect;
    secret && !keys.last().is_some_and(|last| PLAIN_BELOW_SECRET.contains(last))
}

/// A mistake before it is placed.
#[derive(Clone, Debug)]
struct Problem {
    severity: Severity,
    path: KeyPath,
    /// Mark the key and not its value.
    on_key: bool,
    message: String,
    help: Option<String>,
}

/// A file that is being read, with what was found wrong in it so far.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    text: String,
    problems: RefCell<Vec<Problem>>,
    /// Mistakes with a place of their own: those of the YAML itself.
    placed: RefCell<Vec<Diagnostic>>,
}

impl Source {
    pub fn new(name: String, text: String) -> Self {
        Source {
            name,
            text,
            problems: RefCell::default(),
            placed: RefCell::default(),
        }
    }

    /// Parses the text. A mistake of the YAML itself is noted, and there is no value.
    pub fn value(&self) -> Option<serde_yaml::Value> {
        match serde_yaml::from_str::<serde_yaml::Value>(&self.text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note_yaml_error(&error);
                None
            }
        }
    }

    fn note_yaml_error(&self, error: &serde_yaml::Error) {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        let lines: Vec<&str> = self.text.lines().collect();
        let place = error.location().map(|location| {
            let (line, column) = (location.line(), location.column());
            // Without a value nobody knows what on the line is secret: what may be is not shown at all.
            let shown = !may_hold_a_secret(&lines, line);
            let text = lines.get(line.saturating_sub(1)).filter(|_| shown);
            place_at(
                text.copied().unwrap_or(MASK),
                Extent {
                    line,
                    column,
                    width: 1,
                },
                &[],
            )
        });
        self.placed.borrow_mut().push(Diagnostic {
            severity: Severity::Error,
            file: Some(self.name.clone()),
            place,
            key: String::new(),
            message: format!("this is not YAML that can be read: {message}"),
            help: None,
        });
    }

    pub fn error(&self, path: &KeyPath, message: impl Into<String>, help: Option<String>) {
        self.note(Severity::Error, path, false, message.into(), help);
    }

    pub fn error_on_key(&self, path: &KeyPath, message: impl Into<String>, help: Option<String>) {
        self.note(Severity::Error, path, true, message.into(), help);
    }

    pub fn warning(&self, path: &KeyPath, message: impl Into<String>, help: Option<String>) {
        self.note(Severity::Warning, path, false, message.into(), help);
    }

    fn note(&self, severity: Severity, path: &KeyPath, on_key: bool, message: String, help: Option<String>) {
        self.problems.borrow_mut().push(Problem {
            severity,
            path: path.clone(),
            on_key,
            message,
            help,
        });
    }

    /// All that was noted, placed and in the order of the lines.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let problems = self.problems.borrow();
        let mut found = self.placed.borrow().clone();
        if !problems.is_empty() {
            let documents = MarkedYaml::load_from_str(&self.text).unwrap_or_default();
            let root = documents.first();
            let lines: Vec<&str> = self.text.lines().collect();
            let masks = root.map(masks_by_line).unwrap_or_default();
            found.extend(problems.iter().map(|problem| {
                let mark = root.and_then(|root| locate(root, &problem.path.0, problem.on_key));
                let place = mark.map(|mark| {
                    let text = lines.get(mark.line.saturating_sub(1)).copied();
                    let masks = masks.get(&mark.line).map(Vec::as_slice);
                    place_at(text.unwrap_or(""), mark, masks.unwrap_or_default())
                });
                self.placed(problem, place)
            }));
        }
        found.sort_by_key(|d| {
            d.place
                .as_ref()
                .map_or((0, 0), |place| (place.line, place.column))
        });
        found
    }

    fn placed(&self, problem: &Problem, place: Option<Place>) -> Diagnostic {
        Diagnostic {
            severity: problem.severity,
            file: Some(self.name.clone()),
            place,
            key: problem.path.to_string(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

/// A place with its source line, in which everything secret is masked. The masks are those of that line, in the order of
/// their columns.
fn place_at(text: &str, mark: Extent, masks: &[Extent]) -> Place {
    let source: Vec<char> = text.chars().collect();
    let Extent { line, column, width } = mark;
    let (mut text, mut taken, mut shift, mut shown_width) = (String::new(), 0, 0_isize, width.max(1));
    for mask in masks {
        let (start, end) = (mask.column - 1, (mask.column - 1 + mask.width).min(source.len()));
        if start < taken || end <= start {
            continue;
        }
        text.extend(&source[taken..start]);
        text.push_str(MASK);
        taken = end;
        let change = MASK.len() as isize - (end - start) as isize;
        if mask.column < column {
            shift += change;
        } else if mask.column == column {
            shown_width = MASK.len();
        }
    }
    text.extend(&source[taken.min(source.len())..]);
    let column = column.max(1).saturating_add_signed(shift);
    Place {
        line,
        column,
        width: shown_width,
        text,
    }
}

/// Where secrets stand in the text, by line: values under secret keys, and user info in URLs.
fn masks_by_line(root: &MarkedYaml<'_>) -> HashMap<usize, Vec<Extent>> {
    let mut masks = Vec::new();
    collect_masks(root, &KeyPath::root(), &mut masks);
    let mut by_line: HashMap<usize, Vec<Extent>> = HashMap::new();
    for mask in masks {
        by_line.entry(mask.line).or_default().push(mask);
    }
    for masks in by_line.values_mut() {
        masks.sort_by_key(|mask| mask.column);
    }
    by_line
}

/// Whether a line of a text that is not YAML may hold a secret: it, or a line that it is indented below, has a secret
/// key, or it has an `@`, as a URL with a password does.
fn may_hold_a_secret(lines: &[&str], line: usize) -> bool {
    let Some(above) = lines.get(..line.min(lines.len())) else {
        return false;
    };
    let has_secret_key = |text: &str| {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|word| SECRET_KEYS.contains(&word))
    };
    if above.last().is_some_and(|text| text.contains('@')) {
        return true;
    }
    let mut indent = usize::MAX;
    for text in above.iter().rev().filter(|text| !text.trim().is_empty()) {
        let own = text.len() - text.trim_start().len();
        if own < indent {
            if has_secret_key(text) {
                return true;
            }
            indent = own;
        }
        if indent == 0 {
            break;
        }
    }
    false
}

/// A stretch of one line; line and column from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    line: usize,
    column: usize,
    width: usize,
}

fn extent(node: &MarkedYaml<'_>) -> Extent {
    let (start, end) = (node.span.start, node.span.end);
    let width = if start.line() == end.line() {
        end.col().saturating_sub(start.col())
    } else {
        usize::MAX / 4
    };
    Extent {
        line: start.line(),
        column: start.col() + 1,
        width,
    }
}

/// What a mark is put under: of a mapping or a sequence its first line's start alone.
fn marked_extent(node: &MarkedYaml<'_>) -> Extent {
    match &node.data {
        YamlData::Mapping(_) | YamlData::Sequence(_) => Extent {
            width: 1,
            ..extent(node)
        },
        _ => Extent {
            width: extent(node).width.min(200),
            ..extent(node)
        },
    }
}

fn locate(node: &MarkedYaml<'_>, steps: &[Step], on_key: bool) -> Option<Extent> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(marked_extent(node));
    };
    match (step, &node.data) {
        (Step::Key(key), YamlData::Mapping(mapping)) => {
            let found = mapping.iter().find(|(k, _)| key_text(k).as_deref() == Some(key));
            match found {
                Some((key_node, _)) if rest.is_empty() && on_key => Some(marked_extent(key_node)),
                // Of a value that spans lines, its key is the better mark.
                Some((key_node, value)) if rest.is_empty() && !is_scalar(value) => {
                    Some(marked_extent(key_node))
                }
                Some((_, value)) => locate(value, rest, on_key),
                // A key that is missing is best marked at what lacks it.
                None => Some(marked_extent(node)),
            }
        }
        (Step::Index(index), YamlData::Sequence(items)) => match items.get(*index) {
            Some(item) => locate(item, rest, on_key),
            None => Some(marked_extent(node)),
        },
        _ => Some(marked_extent(node)),
    }
}

fn is_scalar(node: &MarkedYaml<'_>) -> bool {
    matches!(node.data, YamlData::Value(_) | YamlData::Representation(..))
}

fn key_text(node: &MarkedYaml<'_>) -> Option<String> {
    scalar_text(node)
}

fn scalar_text(node: &MarkedYaml<'_>) -> Option<String> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
        YamlData::Representation(text, ..) => Some(text.to_string()),
        _ => None,
    }
}

fn collect_masks(node: &MarkedYaml<'_>, path: &KeyPath, masks: &mut Vec<Extent>) {
    match &node.data {
        YamlData::Mapping(mapping) => {
            for (key, value) in mapping {
                let path = path.key(&key_text(key).unwrap_or_default());
                collect_masks(value, &path, masks);
            }
        }
        YamlData::Sequence(items) => {
            for (i, item) in items.iter().enumerate() {
                collect_masks(item, &path.index(i), masks);
            }
        }
        _ => {
            if is_secret(path) {
                masks.push(extent(node));
            } else if let Some(text) = scalar_text(node)
                && let Some((start, width)) = user_info(&text)
            {
                let quoted = extent(node).width.saturating_sub(text.chars().count()) / 2;
                let whole = extent(node);
                masks.push(Extent {
                    column: whole.column + quoted + start,
                    width,
                    ..whole
                });
            }
        }
    }
}

/// Where the user info of a URL stands within a text, in characters.
fn user_info(text: &str) -> Option<(usize, usize)> {
    let start = text.find("://")? + 3;
    let authority = text[start..].split(['/', '?', '#']).next()?;
    let end = authority.rfind('@')?;
    Some((text[..start].chars().count(), authority[..end].chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let source = Source::new("whyd.yaml".into(), text.into());
        assert_eq!(source.value(), None, "{text}");
        let found = source.diagnostics();
        let place = found[0].place.as_ref();
        place
            .map(|place| place.text.clone())
            .unwrap_or_else(|| panic!("no place: {found:?}"))
    }

    #[test]
    fn what_is_not_yaml_shows_no_secret() {
        for text in [
            "a:\n  password: hunter2: x\n",
            "headers:\n  X-Key: hunter2: x\n",
            "a:\n  auth:\n    bearer:\n\n      hunter2: [}\n",
            "a:\n  url: http://user:hunter2@host/: x\n",
            "a: {auth: {bearer: hunter2}, b: c: d}\n",
        ] {
            assert_eq!(shown(text), MASK, "{text}");
        }
        // What is beside a secret is shown, so that the mistake is found.
        assert_eq!(shown("a:\n  password: x\n  b: c: d\n"), "  b: c: d");
    }

    #[test]
    fn every_one_of_many_mistakes_has_its_line() {
        let count = 500;
        let text: String = (0..count).map(|i| format!("key{i}: x\n")).collect();
        let source = Source::new("whyd.yaml".into(), text);
        for i in 0..count {
            source.error(&KeyPath::root().key(&format!("key{i}")), "wrong", None);
        }
        let found = source.diagnostics();
        assert_eq!(found.len(), count);
        let lines: Vec<usize> = found
            .iter()
            .filter_map(|d| d.place.as_ref())
            .map(|p| p.line)
            .collect();
        assert_eq!(lines, (1..=count).collect::<Vec<_>>());
    }
}
