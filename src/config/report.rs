//! What is wrong, noted while decoding and lowering: by key path. Places in the text are found later, if needed.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use super::diagnostic::Severity;
use super::path::KeyPath;

/// A node of one of the files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index into the sources.
    pub file: usize,
    pub path: KeyPath,
}

impl Place {
    pub fn root(file: usize) -> Self {
        Place {
            file,
            path: KeyPath::root(),
        }
    }

    pub fn key(&self, key: &str) -> Self {
        Place {
            file: self.file,
            path: self.path.key(key),
        }
    }

    pub fn dotted(&self, keys: &str) -> Self {
        Place {
            file: self.file,
            path: self.path.dotted(keys),
        }
    }

    pub fn index(&self, index: usize) -> Self {
        Place {
            file: self.file,
            path: self.path.index(index),
        }
    }
}

/// Which part of the node is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Part {
    #[default]
    Value,
    /// The key itself: it is unknown, or given twice.
    Key,
    /// Bytes of the value's text.
    Within(Range<usize>),
    /// A position in the text, from a parser: line and column from 1.
    At(usize, usize),
}

/// Something to tell the user. No text in it may hold a value that could be secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    pub severity: Severity,
    pub place: Place,
    pub part: Part,
    pub problem: String,
    pub expected: Option<String>,
    pub suggestion: Option<String>,
    /// Another node that the problem names: its place is told with it.
    pub other: Option<(String, Place)>,
}

impl Finding {
    pub fn error(place: &Place, problem: impl Into<String>) -> Self {
        Finding {
            severity: Severity::Error,
            place: place.clone(),
            part: Part::Value,
            problem: problem.into(),
            expected: None,
            suggestion: None,
            other: None,
        }
    }

    pub fn warning(place: &Place, problem: impl Into<String>) -> Self {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(place, problem)
        }
    }

    pub fn at(mut self, part: Part) -> Self {
        self.part = part;
        self
    }

    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    pub fn suggest_opt(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion.or(self.suggestion);
        self
    }

    /// Names another node: "`what` (file:line:col)".
    pub fn see(mut self, what: impl Into<String>, other: &Place) -> Self {
        self.other = Some((what.into(), other.clone()));
        self
    }
}

#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Nodes that could not be decoded and were left out: that they are missing is not told again.
    pub left_out: HashSet<Place>,
    /// Scalars into which something was expanded from the environment: their values are never quoted.
    pub expanded: BTreeSet<Place>,
    seen: HashSet<Finding>,
}

impl Report {
    pub fn add(&mut self, finding: Finding) {
        if self.seen.insert(finding.clone()) {
            self.findings.push(finding);
        }
    }

    pub fn error(&mut self, place: &Place, problem: impl Into<String>) {
        self.add(Finding::error(place, problem));
    }

    pub fn warning(&mut self, place: &Place, problem: impl Into<String>) {
        self.add(Finding::warning(place, problem));
    }

    /// A required key is absent. Says nothing when it was there and could not be used.
    pub fn missing(&mut self, container: &Place, key: &str, expected: &str) {
        if !self.left_out.contains(&container.key(key)) && !self.left_out.contains(container) {
            self.add(Finding::error(container, format!("`{key}` is missing")).expected(expected));
        }
    }

    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Whether the value at this place, or one in it, came from the environment.
    pub fn is_expanded(&self, place: &Place) -> bool {
        within(&self.expanded, place)
    }
}

/// Whether this place, or one in it, is among the others.
pub fn within(others: &BTreeSet<Place>, place: &Place) -> bool {
    // In the order of places, what lies within a node follows the node itself.
    let next = others.range(place..).next();
    next.is_some_and(|next| next.file == place.file && next.path.starts_with(&place.path))
}
