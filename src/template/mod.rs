//! Users' templates for titles and texts of notifications: minijinja with a fixed set of variables, bounded work, and no
//! access to files or to anything else. `config` tries a template when it is loaded; `deliver` renders it.
//!
//! The language is Jinja's (loops, conditions, `set`, the usual filters) without macros, blocks, includes and imports.

mod facts;
mod sample;
mod target;

use std::io;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use crate::model::similar::closest;

pub use facts::{Facts, VARIABLES};
pub use target::{TARGET_VARIABLES, TargetFacts, TargetTemplate};

/// Instructions of a template's run: some hundred for each of a thousand alerts. A loop over everything that there is in a
/// loop over everything ends here, after some tens of milliseconds.
const FUEL: u64 = 300_000;
/// Bytes that a template may write. No receiver takes as much.
const LONGEST: usize = 256 * 1024;
/// Bytes of a template.
const LONGEST_SOURCE: usize = 64 * 1024;
/// Calls and nesting, far below what a thread's stack holds.
const DEPTH: usize = 50;
/// Edits that a mistyped variable may have.
const NEAR: usize = 3;

/// How the values of variables are written. What the template itself says stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    None,
    /// `&`, `<` and `>` as entities (docs.slack.dev, "Formatting message text").
    Slack,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", at(*line))]
pub struct Fault {
    /// From 1.
    pub line: Option<usize>,
    pub what: String,
    /// What to write instead.
    pub instead: Option<String>,
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line} of the template)"))
        .unwrap_or_default()
}

/// Compiles the template and tries it on notifications of every kind.
///
/// # Errors
/// The first mistake: of syntax, a variable, filter or attribute that there is not, or more work than is allowed.
pub fn check(source: &str) -> Result<(), Fault> {
    if source.len() > LONGEST_SOURCE {
        return Err(fault(format!(
            "the template is longer than {LONGEST_SOURCE} bytes"
        )));
    }
    let environment = environment(Escape::None);
    let template = environment
        .template_from_str(source)
        .map_err(|error| described(&error))?;
    let variables = VARIABLES.iter().map(|(name, _)| *name);
    if let Some(wrong) = first_unknown(&environment, (&template, source), variables) {
        return Err(wrong);
    }
    for order in sample::orders() {
        let facts = Facts {
            order: &order,
            text: "the usual text",
        };
        render(source, &facts, Escape::None)?;
    }
    Ok(())
}

/// The first variable, by name, that there is not.
fn first_unknown<'v>(
    environment: &Environment<'_>,
    (template, source): (&minijinja::Template<'_, '_>, &str),
    variables: impl Iterator<Item = &'v str> + Clone,
) -> Option<Fault> {
    let known = |name: &str| {
        variables.clone().any(|known| known == name) || environment.globals().any(|(known, _)| known == name)
    };
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| !known(name));
    unknown.sort();
    let name = unknown.first()?;
    let near = closest(name, variables.clone(), NEAR);
    Some(Fault {
        line: line_of(source, name),
        what: format!("there is no variable {name:?}"),
        instead: near.map(str::to_owned),
    })
}

/// The template's text for a notification.
///
/// # Errors
/// Something is wrong that [`check`] did not meet, or it is more work than is allowed.
pub fn render(source: &str, facts: &Facts<'_>, escape: Escape) -> Result<String, Fault> {
    let environment = environment(escape);
    let template = environment
        .template_from_str(source)
        .map_err(|error| described(&error))?;
    let mut text = Bounded::new(LONGEST);
    template
        .render_captured_to(facts.values(), &mut text)
        .map_err(|error| described(&error))?;
    Ok(text.text().trim_end().to_owned())
}

fn environment(escape: Escape) -> Environment<'static> {
    let mut environment = Environment::new();
    // So that a mistake is shown with what was written.
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_auto_escape_callback(move |_| match escape {
        Escape::None => AutoEscape::None,
        Escape::Slack => AutoEscape::Custom("slack".into()),
    });
    environment.set_formatter(|out, state, value| {
        let plain = value.is_safe() || !matches!(state.auto_escape(), AutoEscape::Custom(_));
        if plain || value.is_undefined() {
            return minijinja::escape_formatter(out, state, value);
        }
        Ok(out.write_str(&escape_slack(&value.to_string()))?)
    });
    environment
}

/// What Slack takes for markup, as entities.
pub fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Takes so much and leaves out the rest.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Bounded {
    fn new(most: usize) -> Self {
        let bytes = Vec::new();
        Bounded { bytes, most }
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.most - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fault(what: String) -> Fault {
    Fault {
        line: None,
        what,
        instead: None,
    }
}

fn described(error: &minijinja::Error) -> Fault {
    let place = error
        .template_source()
        .zip(error.range())
        .and_then(|(source, range)| source.get(range));
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => format!("there is no `{}`", place.unwrap_or("such value")),
        (ErrorKind::OutOfFuel, _) => "the template is too much work: it loops too often".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Fault {
        line: error.line(),
        what,
        instead: None,
    }
}

/// Where the name stands first.
fn line_of(source: &str, name: &str) -> Option<usize> {
    let at = source.find(name)?;
    Some(source[..at].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests;
