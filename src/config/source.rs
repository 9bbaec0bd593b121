//! One file's text and, on the error path, its tree with places.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_yaml::Value;

use super::mask::{self, Hidden};
use super::path::{KeyPath, Segment};

/// A file as it was read.
#[derive(Debug)]
pub struct Source {
    /// As it is shown.
    pub name: String,
    /// Relative paths in the file start here.
    pub directory: PathBuf,
    pub text: String,
    tree: OnceCell<Option<Node>>,
    /// Where each line begins.
    lines: OnceCell<Vec<usize>>,
    hidden: OnceCell<Option<Hidden>>,
}

/// A position in the text: line and column from 1, columns in characters; and the length to underline on that line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

/// A YAML node and where it stands. Lines from 1, columns from 0, in characters.
#[derive(Clone, Debug)]
pub struct Node {
    pub start: (usize, usize),
    pub end: (usize, usize),
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    /// In the order of the text, duplicates included.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

impl Source {
    pub fn new(name: String, directory: PathBuf, text: String) -> Self {
        Source {
            name,
            directory,
            text,
            tree: OnceCell::new(),
            lines: OnceCell::new(),
            hidden: OnceCell::new(),
        }
    }

    /// The text's tree; `None` when it is not YAML.
    pub fn tree(&self) -> Option<&Node> {
        self.tree.get_or_init(|| parse(&self.text)).as_ref()
    }

    /// Where secrets stand in the text; `None` when it is not YAML.
    pub fn hidden(&self) -> Option<&Hidden> {
        self.hidden.get_or_init(|| self.tree().map(mask::hidden)).as_ref()
    }

    /// The line of that number (from 1), without its end.
    pub fn line(&self, number: usize) -> &str {
        let starts = self.lines.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).collect()
        });
        let start = starts
            .get(number.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len());
        self.text[start..].lines().next().unwrap_or("")
    }

    /// The key and the value at a path, or of the nearest ancestor that there is.
    pub fn find(&self, path: &KeyPath) -> Option<(Option<&Node>, &Node)> {
        let mut key = None;
        let mut node = self.tree()?;
        for segment in &path.0 {
            match child(node, segment) {
                Some((k, v)) => {
                    key = k;
                    node = v;
                }
                None => break,
            }
        }
        Some((key, node))
    }

    /// Where a node's text stands on its first line.
    pub fn position(&self, node: &Node) -> Position {
        let (line, column) = node.start;
        let rest = self.line(line).chars().count().saturating_sub(column);
        let length = if node.end.0 == line {
            node.end.1.saturating_sub(column)
        } else {
            rest
        };
        let length = match &node.kind {
            Kind::Scalar { .. } => length.min(rest),
            // A collection is pointed at, not underlined: its first key or item says enough.
            Kind::Mapping(entries) => match entries.first() {
                Some((first, _)) if first.start.0 == line && first.start.1 == column => {
                    first.end.1.saturating_sub(column)
                }
                _ => 1,
            },
            Kind::Sequence(_) => 1,
        };
        Position {
            line,
            column: column + 1,
            length: length.max(1),
        }
    }

    /// A part of a scalar, when its text stands in the file as it is (not folded, not escaped).
    pub fn position_within(&self, node: &Node, part: &Range<usize>) -> Position {
        let whole = self.position(node);
        let Some(text) = node.scalar() else { return whole };
        let line: String = self.line(whole.line).chars().skip(whole.column - 1).collect();
        let quote = usize::from(line.starts_with(['"', '\'']));
        let stands = line.chars().skip(quote).collect::<String>().starts_with(text);
        match (stands, text.get(..part.start), text.get(part.clone())) {
            (true, Some(before), Some(meant)) => Position {
                line: whole.line,
                column: whole.column + quote + before.chars().count(),
                length: meant.chars().count().max(1),
            },
            _ => whole,
        }
    }
}

fn child<'n>(node: &'n Node, segment: &Segment) -> Option<(Option<&'n Node>, &'n Node)> {
    match (&node.kind, segment) {
        (Kind::Sequence(items), Segment::Index(index)) => items.get(*index).map(|item| (None, item)),
        (Kind::Mapping(entries), Segment::Key(key)) => {
            let own = entries.iter().find(|(k, _)| k.scalar() == Some(key));
            own.map(|(k, v)| (Some(k), v)).or_else(|| {
                let (_, merged) = entries.iter().find(|(k, _)| k.scalar() == Some("<<"))?;
                match &merged.kind {
                    Kind::Sequence(all) => all.iter().find_map(|one| child(one, segment)),
                    _ => child(merged, segment),
                }
            })
        }
        _ => None,
    }
}

/// The tree of the first document; `None` when the text is not YAML.
fn parse(text: &str) -> Option<Node> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        builder.take(event, span)?;
        if builder.root.is_some() {
            break;
        }
    }
    builder.root
}

/// Aliases copy what they name; past this many nodes, the text is not worth it (an expansion bomb).
const MOST_NODES: usize = 5_000_000;

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

struct Open {
    anchor: usize,
    start: (usize, usize),
    items: Vec<Node>,
    mapping: bool,
}

impl Builder {
    /// `None` ends the parse.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let start = (span.start.line(), span.start.col());
        let end = (span.end.line(), span.end.col());
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.finish(Node { start, end, kind }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, start, false),
            Event::MappingStart(anchor, _) => self.open(anchor, start, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                let kind = if open.mapping {
                    let mut items = open.items.into_iter();
                    let mut entries = Vec::new();
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        entries.push((key, value));
                    }
                    Kind::Mapping(entries)
                } else {
                    Kind::Sequence(open.items)
                };
                self.finish(
                    Node {
                        start: open.start,
                        end,
                        kind,
                    },
                    open.anchor,
                )
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor)?.clone();
                self.nodes += count(&node);
                self.finish(node, 0)
            }
            _ => Some(()),
        }
    }

    fn open(&mut self, anchor: usize, start: (usize, usize), mapping: bool) -> Option<()> {
        self.open.push(Open {
            anchor,
            start,
            items: Vec::new(),
            mapping,
        });
        Some(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return None;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Some(())
    }
}

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::Sequence(items) => items.iter().map(count).sum::<usize>() + 1,
        Kind::Mapping(entries) => entries.iter().map(|(k, v)| count(k) + count(v)).sum::<usize>() + 1,
    }
}

/// The keys that a text gives again, each with the path that it shares with the first one.
pub fn duplicates(root: &Node) -> Vec<(KeyPath, &Node)> {
    let mut found = Vec::new();
    walk_duplicates(root, &KeyPath::root(), &mut found);
    found
}

fn walk_duplicates<'n>(node: &'n Node, path: &KeyPath, found: &mut Vec<(KeyPath, &'n Node)>) {
    match &node.kind {
        Kind::Scalar { .. } => {}
        Kind::Sequence(items) => {
            for (i, item) in items.iter().enumerate() {
                walk_duplicates(item, &path.index(i), found);
            }
        }
        Kind::Mapping(entries) => {
            let mut seen: HashSet<&str> = HashSet::new();
            for (key, value) in entries {
                let Some(text) = key.scalar() else { continue };
                if seen.insert(text) {
                    walk_duplicates(value, &path.key(text), found);
                } else {
                    found.push((path.key(text), key));
                }
            }
        }
    }
}

/// The value of a tree, where of two equal keys the first one counts: to go on after a duplicate key.
pub fn to_value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain: true } => match serde_yaml::from_str::<Value>(text) {
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
            _ => Value::String(text.clone()),
        },
        Kind::Scalar { text, .. } => Value::String(text.clone()),
        Kind::Sequence(items) => Value::Sequence(items.iter().map(to_value).collect()),
        Kind::Mapping(entries) => {
            let mut mapping = serde_yaml::Mapping::new();
            for (key, value) in entries {
                let key = to_value(key);
                if !mapping.contains_key(&key) {
                    mapping.insert(key, to_value(value));
                }
            }
            Value::Mapping(mapping)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("f.yaml".into(), PathBuf::new(), text.into())
    }

    #[test]
    fn nodes_are_found_with_their_places() {
        let source = source("a:\n  - name: 'x y'\n    b: {c: 12}\nd: &x {e: 1}\nf: {<<: *x}\n");
        let at = |path: KeyPath| source.position(source.find(&path).expect("is there").1);
        let root = KeyPath::root();
        let item = root.key("a").index(0);
        assert_eq!(
            at(item.key("name")),
            Position {
                line: 2,
                column: 11,
                length: 5
            }
        );
        assert_eq!(
            at(item.key("b").key("c")),
            Position {
                line: 3,
                column: 12,
                length: 2
            }
        );
        assert_eq!(
            at(root.key("f").key("e")),
            Position {
                line: 4,
                column: 11,
                length: 1
            }
        );
        let (_, name) = source.find(&item.key("name")).expect("is there");
        assert_eq!(
            source.position_within(name, &(2..3)),
            Position {
                line: 2,
                column: 14,
                length: 1
            }
        );
    }

    #[test]
    fn duplicates_are_all_found() {
        let source = source("a: 1\nb: {c: 1, c: 2}\na: 3\n");
        let root = source.tree().expect("is YAML");
        let found: Vec<String> = duplicates(root)
            .iter()
            .map(|(path, _)| path.to_string())
            .collect();
        assert_eq!(found, ["b.c", "a"]);
        assert_eq!(to_value(root)["a"], Value::from(1));
    }
}
