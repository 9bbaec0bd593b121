//! Conversations in the user's own words: expect, send, starttls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use crate::model::attempt::Trouble;
use crate::model::dependency::{Dependency, Step};
use crate::probe::http::prepared::no_credentials;
use crate::probe::run::{Halt, halt_nowhere};

use super::talk::Talk;

/// The expressions of a conversation's steps, compiled once per dependency; a step that expects nothing has none.
pub(crate) type Patterns = Arc<[Option<Regex>]>;

#[derive(Default)]
pub(crate) struct PatternCache(Mutex<HashMap<Arc<str>, Entry>>);

type Entry = (Arc<Dependency>, Patterns);

impl PatternCache {
    /// The patterns of this very dependency; those of one of the same name from before a reload do not count.
    pub fn get(&self, dependency: &Arc<Dependency>, steps: &[Step]) -> Result<Patterns, Halt> {
        {
            let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, patterns)) = cache.get(&dependency.name)
                && Arc::ptr_eq(of, dependency)
            {
                return Ok(patterns.clone());
            }
        }
        let compiled: Result<Vec<Option<Regex>>, Halt> = steps
            .iter()
            .map(|step| step.expect.as_deref().map(compile).transpose())
            .collect();
        let patterns: Patterns = compiled?.into();
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(dependency.name.clone(), (dependency.clone(), patterns.clone()));
        Ok(patterns)
    }

    pub fn forget(&self, dependency: &str) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.remove(dependency);
    }
}

/// `^` and `$` stand for the ends of lines, which may be CR LF.
fn compile(source: &str) -> Result<Regex, Halt> {
    RegexBuilder::new(source)
        .multi_line(true)
        .crlf(true)
        .build()
        .map_err(|_| {
            // `config` compiled it to validate it.
            let text = format!("not a regular expression: {source}");
            halt_nowhere(Trouble::Other(text.as_str().into()), &text)
        })
}

pub(super) async fn run(talk: &mut Talk<'_, '_>, steps: &[Step]) -> Result<(), Halt> {
    let patterns = talk.run.world.patterns.get(&talk.run.order.dependency, steps)?;
    for (place, step) in steps.iter().enumerate() {
        talk.step(&format!("step {}", place + 1));
        if let (Some(regex), Some(source)) = (patterns.get(place).and_then(Option::as_ref), &step.expect) {
            expect(talk, regex, source).await?;
        }
        if let Some(text) = &step.send {
            let text = talk
                .secrets()
                .text(text)
                .map_err(|err| no_credentials(format!("step {}: {err}", place + 1)))?;
            let mut words = text.as_bytes().to_vec();
            if step.line && !words.ends_with(b"\n") {
                words.extend_from_slice(b"\r\n");
            }
            talk.say(&words).await?;
        }
        if step.starttls {
            talk.secure().await?;
        }
    }
    Ok(())
}

/// Listens until something matches. What was said up to the end of that line is used up by it; what does not match is
/// passed over, as lines of a banner are.
async fn expect(talk: &mut Talk<'_, '_>, regex: &Regex, source: &str) -> Result<(), Halt> {
    loop {
        if let Some(found) = regex.find(&talk.heard) {
            let (start, end) = (found.start(), found.end());
            let line_start = talk.heard[..start]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let line_end = talk.heard[end..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(talk.heard.len(), |at| end + at + 1);
            let line = talk.heard[line_start..line_end].to_vec();
            talk.heard.drain(..line_end);
            talk.remember(&line);
            return Ok(());
        }
        talk.hear(source).await?;
    }
}
