//! An example of each cause: what `whyd check` printed when the tests met it.
//!
//! docs/examples.md is made of real runs (see tests/harness/examples.rs) and is read back here, so that `whyd explain`
//! shows the same.

use crate::model::cause::Cause;

const DOCUMENT: &str = include_str!("../../docs/examples.md");

/// What `whyd check` prints for that cause; `None` where no run of `check` ends in it.
pub fn of(cause: Cause) -> Option<&'static str> {
    let heading = format!("\n## {}\n\n```text\n", cause.id());
    let (_, after) = DOCUMENT.split_once(heading.as_str())?;
    after.split_once("```\n").map(|(example, _)| example)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::golden::assert_current;

    const INTRODUCTION: &str = "\
# Examples

What `whyd check` printed when the tests met each cause, on loopback and in networks of namespaces; so addresses and
times are those of a test. Made by them; do not edit by hand. `whyd explain ID` shows the same.
";

    /// Causes that no run of `check` shows, and why.
    const WITHOUT: &[(Cause, &str)] = &[
        (
            Cause::ConfigUrlInvalid,
            "the command line refuses such a URL before it asks anything",
        ),
        (Cause::CircuitOpen, "only the daemon leaves an operation out"),
    ];

    /// Causes that no test meets with `check` yet.
    const NOT_YET: &[Cause] = &[
        Cause::LocalFdExhaustedSystem,
        Cause::LocalPortExhausted,
        Cause::LocalClockSkew,
        Cause::VantageOffline,
        Cause::TcpRefusedIcmp,
        Cause::TcpTimedOutFiltered,
        Cause::TcpTimedOutHostDown,
        Cause::TcpNoRoute,
        Cause::TcpNetworkUnreachable,
        Cause::TcpHostUnreachable,
        Cause::TcpProhibited,
        Cause::TcpResetDuringConnect,
        Cause::TcpTimedOutStale,
        Cause::TcpPathMtuBlackHole,
        Cause::TcpPeerNotReading,
        Cause::IcmpTimedOut,
        Cause::IcmpUnreachable,
        Cause::IcmpNoPermission,
        Cause::AddressIpv4Broken,
        Cause::AssertCert,
        Cause::Unknown,
    ];

    fn document() -> String {
        let new = std::env::var_os("WHYD_EXAMPLES");
        let mut text = INTRODUCTION.to_owned();
        for &cause in Cause::ALL {
            let file = new
                .as_ref()
                .map(|directory| Path::new(directory).join(format!("{cause}.txt")));
            let found = file.and_then(|file| std::fs::read_to_string(file).ok());
            let example = found.or_else(|| of(cause).map(str::to_owned));
            if let Some(example) = example {
                let anchor = cause.anchor();
                text.push_str(&format!(
                    "\n<a id=\"{anchor}\"></a>\n\n## {cause}\n\n```text\n{example}```\n"
                ));
            }
        }
        text
    }

    #[test]
    fn the_document_is_made_of_the_examples() {
        assert_current("docs/examples.md", &document());
    }

    #[test]
    fn an_example_shows_its_cause_as_it_is_called_now() {
        for &cause in Cause::ALL {
            let Some(example) = of(cause) else { continue };
            assert!(example.contains(&format!("  {cause}, ")), "{example}");
            let words = |text: &str| {
                text.split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .to_lowercase()
            };
            let title = words(cause.doc().title);
            assert!(words(example).contains(&title), "not {title:?} in:\n{example}");
            for machine in ["/tmp", "/root", "/home"] {
                assert!(!example.contains(machine), "{machine} in:\n{example}");
            }
        }
    }

    #[test]
    fn every_cause_has_an_example_or_a_reason() {
        for &cause in Cause::ALL {
            let reason = WITHOUT.iter().find(|(without, _)| *without == cause);
            let (has, reasoned) = (of(cause).is_some(), reason.is_some() || NOT_YET.contains(&cause));
            assert!(has != reasoned, "{cause}: an example {has}, a reason {reasoned}");
        }
    }
}
