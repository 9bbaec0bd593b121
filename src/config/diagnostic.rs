//! What the user is told: every mistake with its place, the line it stands on, and what to write instead.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask;
use super::report::{Finding, Part, Place, Report};
use super::source::{Position, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake, or one thing that is probably not meant.
/// What stands for a file's name where there is none.
pub const COMMAND_LINE: &str = "command line";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// The file's name, or `command line`.
    pub file: String,
    /// `None` for what has no place in a text: the command line, or a file that cannot be read.
    pub position: Option<Position>,
    /// The line it stands on, with secrets hidden.
    pub source_line: Option<String>,
    /// The key, such as `dependencies[3].timeouts.total`; empty for a whole file.
    pub key: String,
    pub problem: String,
    pub expected: Option<String>,
    pub suggestion: Option<String>,
}

impl Diagnostic {
    /// One about a whole file.
    pub fn file(file: &str, problem: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            file: file.to_owned(),
            position: None,
            source_line: None,
            key: String::new(),
            problem: problem.into(),
            expected: None,
            suggestion: None,
        }
    }

    /// As `render` shows it, for several lines of a terminal.
    pub fn render(&self, color: bool) -> String {
        let title = self.headline();
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut group = Group::with_title(level.primary_title(title));
        match (&self.source_line, self.position) {
            (Some(line), Some(at)) => {
                let start = byte_offset(line, at.column - 1);
                let end = byte_offset(line, at.column - 1 + at.length).max(start);
                let mut mark = AnnotationKind::Primary.span(start..end);
                if let Some(expected) = &self.expected {
                    mark = mark.label(format!("expected {expected}"));
                }
                group = group.element(
                    Snippet::source(line.as_str())
                        .line_start(at.line)
                        .path(self.file.as_str())
                        .annotation(mark),
                );
            }
            _ => {
                // Of the command line the person who typed it needs not be told.
                if self.file != COMMAND_LINE {
                    group = group.element(Level::NOTE.message(format!("in {}", self.file)));
                }
                if let Some(expected) = &self.expected {
                    group = group.element(Level::NOTE.message(format!("expected {expected}")));
                }
            }
        }
        if let Some(suggestion) = &self.suggestion {
            group = group.element(Level::HELP.message(suggestion.as_str()));
        }
        renderer.render(&[group])
    }

    fn headline(&self) -> String {
        if self.key.is_empty() {
            self.problem.clone()
        } else {
            format!("{}: {}", self.key, self.problem)
        }
    }
}

fn byte_offset(line: &str, chars: usize) -> usize {
    line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at)
}

/// One line: `file:line:col: key: problem; expected …; suggestion`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.position {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        let warning = if self.severity == Severity::Warning {
            "warning: "
        } else {
            ""
        };
        write!(f, ": {warning}{}", self.headline())?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order of the text. At least one is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count()
    }

    /// For people: each with its source line, and a count at the end.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for one in &self.0 {
            text.push_str(one.render(color).trim_end());
            text.push_str("\n\n");
        }
        let (errors, warnings) = (self.errors(), self.0.len() - self.errors());
        text.push_str(&count(errors, "error"));
        if warnings > 0 {
            text.push_str(", ");
            text.push_str(&count(warnings, "warning"));
        }
        text.push('\n');
        text
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// One line each.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{one}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Gives every finding its place in the text: sorted by file and place.
pub fn place(report: &Report, sources: &[Source]) -> Vec<Diagnostic> {
    let mut placed: Vec<(usize, Diagnostic)> = report
        .findings
        .iter()
        .map(|finding| (finding.place.file, place_one(finding, sources)))
        .collect();
    placed.sort_by(|(file_a, a), (file_b, b)| {
        (file_a, a.position, &a.key, &a.problem).cmp(&(file_b, b.position, &b.key, &b.problem))
    });
    placed.into_iter().map(|(_, diagnostic)| diagnostic).collect()
}

fn place_one(finding: &Finding, sources: &[Source]) -> Diagnostic {
    let source = sources.get(finding.place.file);
    let position = source.and_then(|source| locate(source, &finding.place, &finding.part));
    let source_line = source
        .zip(position)
        .map(|(source, at)| mask::line(source.hidden(), at.line, source.line(at.line)));
    let mut problem = finding.problem.clone();
    if let Some((what, other)) = &finding.other {
        let name = sources.get(other.file).map_or("?", |source| source.name.as_str());
        problem.push_str(&format!(" ({what} at {name}"));
        if let Some(at) = sources
            .get(other.file)
            .and_then(|s| locate(s, other, &Part::Value))
        {
            problem.push_str(&format!(":{}:{}", at.line, at.column));
        }
        problem.push(')');
    }
    Diagnostic {
        severity: finding.severity,
        file: source.map_or_else(|| COMMAND_LINE.to_owned(), |source| source.name.clone()),
        position,
        source_line,
        key: finding.place.path.to_string(),
        problem,
        expected: finding.expected.clone(),
        suggestion: finding.suggestion.clone(),
    }
}

fn locate(source: &Source, place: &Place, part: &Part) -> Option<Position> {
    if let Part::At(line, column) = part {
        return Some(Position {
            line: *line,
            column: *column,
            length: 1,
        });
    }
    let (key, value) = source.find(&place.path)?;
    let node = match (part, key) {
        (Part::Key, Some(key)) => key,
        _ => value,
    };
    Some(match part {
        Part::Within(range) => source.position_within(node, range),
        _ => source.position(node),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::path::KeyPath;

    #[test]
    fn a_finding_gets_its_place_and_a_masked_line() {
        let text = "dependencies:\n  - {name: a, intervall: 5s, auth: {bearer: hunter2}}\n";
        let sources = [Source::new("f.yaml".into(), "".into(), text.into())];
        let mut report = Report::default();
        let path = KeyPath::root().key("dependencies").index(0).key("intervall");
        let place_of = Place { file: 0, path };
        report.add(
            Finding::error(&place_of, "unknown key")
                .at(Part::Key)
                .suggest("did you mean `interval`?"),
        );
        let all = Diagnostics(place(&report, &sources));
        assert_eq!(
            all.to_string(),
            "f.yaml:2:15: dependencies[0].intervall: unknown key; did you mean `interval`?"
        );
        let shown = all.render(false);
        assert!(
            shown.contains("2 |   - {name: a, intervall: 5s, auth: {bearer: *******}}"),
            "{shown}"
        );
        assert!(shown.contains("^^^^^^^^^"), "{shown}");
        assert!(shown.ends_with("1 error\n"), "{shown}");
    }
}
