//! What each cause means, in words. A match without a wildcard: a cause without documentation does not compile.

use super::cause::Cause;

/// The documentation of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseDoc {
    /// The cause in plain words, as a headline says it.
    pub title: &'static str,
    /// What it means: two or three sentences.
    pub meaning: &'static str,
    /// How it is told from others.
    pub told_by: &'static str,
    /// What people often take it for; empty where nothing in particular.
    pub mistaken_for: &'static str,
    /// What to do about it in general; a failure's own fix names the particulars.
    pub fix: &'static str,
    /// How well-known clients word it.
    pub wording: &'static [&'static str],
}

impl Cause {
    pub const fn doc(self) -> CauseDoc {
        CauseDoc {
            title: "",
            meaning: "",
            told_by: "",
            mistaken_for: "",
            fix: "",
            wording: &[],
        }
    }
}
