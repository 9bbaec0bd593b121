//! What is wrong with a configuration, and where, in a form that a person can act upon.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// The file as it was named; `None` for the command line.
    pub file: Option<String>,
    pub place: Option<Place>,
    /// The key, such as `dependencies[3].timeouts.connect`; empty for the document.
    pub key: String,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
}

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The line itself, its secrets masked.
    pub text: String,
}

/// `file:line:column: error: key: message (help)`, on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some(place) = &self.place {
                write!(f, ":{}:{}", place.line, place.column)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Diagnostic {
    /// With the source line and a mark under what is meant.
    pub fn render(&self, color: bool) -> String {
        let title = if self.key.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.key, self.message)
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(&title)
            .elements(std::iter::empty::<annotate_snippets::Element<'_>>());
        if let Some(place) = &self.place {
            let start = byte_offset(&place.text, place.column - 1);
            let end = byte_offset(&place.text, place.column - 1 + place.width).max(start);
            let mut snippet = Snippet::source(&place.text)
                .line_start(place.line)
                .annotation(AnnotationKind::Primary.span(start..end));
            if let Some(file) = &self.file {
                snippet = snippet.path(file);
            }
            group = group.element(snippet);
        } else if let Some(file) = &self.file {
            group = group.element(annotate_snippets::Origin::path(file));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }
}

fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices()
        .nth(characters)
        .map_or(text.len(), |(offset, _)| offset)
}

/// Everything that is wrong, in the order of the files and of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count()
    }

    /// All of them with their source lines, then how many there are.
    pub fn render(&self, color: bool) -> String {
        let mut text: String = self
            .0
            .iter()
            .map(|diagnostic| diagnostic.render(color) + "\n")
            .collect();
        let (errors, warnings) = (self.errors(), self.0.len() - self.errors());
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        text.push_str(&plural(errors, "error"));
        if warnings > 0 {
            text.push_str(&format!(", {}", plural(warnings, "warning")));
        }
        text.push('\n');
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
