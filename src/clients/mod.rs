//! Errors of other people's clients, read: from the text that somebody has in hand to a cause of the vocabulary.
//!
//! Our own errors are never told by their text; foreign ones can be told by nothing else, and this room is the only one
//! that does. Each text is read three times, always in linear time and of a bounded length: for the client that wrote it
//! and the wrappers around the cause (`wrapper`), for the cause itself by an ordered table of what operating systems, TLS
//! libraries and clients say (`rules`), and for the host and the proxy it names (`place`).
//!
//! What a text cannot settle is not settled here: then the first cause is the most general honest one, and the
//! alternatives come with what tells them apart.

mod context;
mod place;
mod rules;
mod text;
mod wrapper;

#[cfg(test)]
mod tests;

use regex::{Regex, RegexBuilder};

use crate::model::cause::Cause;
use crate::model::failure::Confidence;

pub use place::{Place, Scheme};
pub use wrapper::Wrapper;

/// What a text says, as far as it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// [`Cause::Unknown`] where nothing was recognised.
    pub cause: Cause,
    /// `Observed` where the words leave nothing open, else `Likely`.
    pub confidence: Confidence,
    /// What else the same words are said of, likelier ones first.
    pub alternatives: Vec<Cause>,
    /// What tells them apart, or what the text does not hold; may be empty.
    pub told_apart: String,
    /// The client or library that words its errors like this, where it is clear.
    pub client: Option<&'static str>,
    /// What stands around the cause and says nothing about it.
    pub wrappers: Vec<Wrapper>,
    /// The words that name the cause, without secrets. Empty where nothing was recognised.
    pub words: String,
    /// Where the client wanted to go.
    pub place: Option<Place>,
    /// The proxy that it went through, where the text names it.
    pub proxy: Option<Place>,
}

impl Explanation {
    pub fn is_recognised(&self) -> bool {
        self.cause != Cause::Unknown
    }
}

/// Reads an error message, a log line or a traceback. Never fails: what is not understood is [`Cause::Unknown`].
pub fn explain(text: &str) -> Explanation {
    let whole = text::bounded(text);
    let told = text::without_frames(&whole);
    let places = place::Places::of(&told, &whole);
    let context = context::Context::of(text::settled(&told), &places);
    let wrappers = wrapper::around(&told);
    let client = wrapper::client(&whole);
    let (place, proxy) = ends(places, context.through);
    let Some(verdict) = rules::judge(text::settled(&told), &context) else {
        return Explanation {
            cause: Cause::Unknown,
            confidence: Confidence::Likely,
            alternatives: Vec::new(),
            told_apart: String::new(),
            client,
            wrappers,
            words: String::new(),
            place,
            proxy,
        };
    };
    Explanation {
        cause: verdict.cause,
        confidence: match verdict.alternatives.is_empty() {
            true => Confidence::Observed,
            false => Confidence::Likely,
        },
        alternatives: verdict.alternatives,
        told_apart: verdict.told_apart,
        client,
        wrappers,
        words: text::shown(&verdict.words),
        place,
        proxy,
    }
}

/// The target and the proxy among the places of a text.
fn ends(places: place::Places, through: context::Through) -> (Option<Place>, Option<Place>) {
    match through {
        context::Through::Proxy => (places.asked, places.failed_at),
        context::Through::Direct | context::Through::Open => (places.asked.or(places.failed_at), None),
    }
}

/// A pattern of ours, compiled. The patterns are constants and a test compiles every one, so this cannot fail in a
/// program that passed its tests; a pattern that did not compile would match nothing.
fn compiled(pattern: &str) -> Regex {
    let built = RegexBuilder::new(pattern).size_limit(1 << 22).build();
    debug_assert!(built.is_ok(), "{pattern}: {built:?}");
    built.unwrap_or_else(|_| {
        Regex::new("[^\\s\\S]").unwrap_or_else(|_| unreachable!("an empty class compiles"))
    })
}
