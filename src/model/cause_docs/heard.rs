//! How clients really worded each cause: texts that they printed when it was running.
//!
//! `heard.tsv` is chosen from `tests/client_errors/` by its `collect/heard.py`, and a test holds every line to that corpus.

use crate::model::cause::Cause;

const TABLE: &str = include_str!("heard.tsv");

/// What one client in one version printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Such as `curl 8.14.1`.
    pub client: &'static str,
    pub text: &'static str,
}

impl Cause {
    /// How clients worded it, in the order of their languages; empty where none was heard.
    pub fn heard(self) -> impl Iterator<Item = Heard> {
        TABLE.lines().filter_map(move |line| {
            let (id, rest) = line.split_once('\t')?;
            let (client, text) = rest.split_once('\t')?;
            (id == self.id()).then_some(Heard { client, text })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_a_cause_and_holds_no_secret() {
        for line in TABLE.lines() {
            let id = line.split('\t').next().unwrap_or_default();
            assert!(id.parse::<Cause>().is_ok(), "{line}");
            assert_eq!(line.split('\t').count(), 3, "{line}");
            assert!(!line.contains("hunter2"), "{line}");
        }
        assert!(Cause::TcpRefusedRst.heard().count() > 3);
    }
}
