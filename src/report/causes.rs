//! The reference of all causes: docs/causes.md, and what `whyd explain` prints.

use crate::model::cause::Cause;
use crate::model::similar;

use super::examples;
use super::style::{Style, Tone};
use super::units::count;
use super::words;
use super::wrap::{pad, width, wrap};

const INTRODUCTION: &str = "\
# Causes

Generated from the source; do not edit by hand. `whyd explain ID` prints the same.

Every failure has exactly one cause. Its id is stable: it stands in metrics (`error.type`), in JSON and in alerts.
An id begins with the group that it belongs to; where it happened is the failure's `phase`, which is measured and not
read off the id. The usual speed is what to expect: the speed of a real failure is measured, too.

* **speed**: `fast` came back at once, `slow` used up a timeout, `either` depends.
* **fault**: on whose side the mend lies: `local` this host, `network` between, `remote` the dependency, `config`
  somebody's configuration, `unclear` where it cannot be said.
* **retry**: whether asking again can help: `no`, `yes`, `idempotent_only` (the request may have been carried out),
  `with_backoff`.
";

/// docs/causes.md: a table of all causes, then a section for each with a stable anchor.
pub fn causes_reference() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n| id | in plain words | speed | fault | retry |\n|---|---|---|---|---|\n");
    for &cause in Cause::ALL {
        text.push_str(&format!(
            "| [{}](#{}) | {} | {} | {} | {} |\n",
            cause.id(),
            cause.anchor(),
            cell(cause.doc().title),
            cause.usual_speed().id(),
            cause.fault().id(),
            cause.retryable().id()
        ));
    }
    for &cause in Cause::ALL {
        text.push_str(&section(cause));
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn section(cause: Cause) -> String {
    let doc = cause.doc();
    let mut text = format!("\n<a id=\"{}\"></a>\n\n## {}\n\n", cause.anchor(), cause.id());
    if !doc.title.is_empty() {
        text.push_str(&format!("**{}**\n\n", doc.title));
    }
    for (label, part) in [
        ("", doc.meaning),
        ("How it is told: ", doc.told_by),
        ("Often mistaken for: ", doc.mistaken_for),
        ("What to do: ", doc.fix),
    ] {
        if !part.is_empty() {
            text.push_str(&format!("{label}{part}\n\n"));
        }
    }
    text.push_str(&format!(
        "Usually {} · fault {} · retry {}\n",
        cause.usual_speed().id(),
        cause.fault().id(),
        cause.retryable().id()
    ));
    if examples::of(cause).is_some() {
        text.push_str(&format!("\n[An example](examples.md#{})\n", cause.anchor()));
    }
    let heard: Vec<_> = cause.heard().collect();
    if !heard.is_empty() {
        text.push_str("\nClients word it as (heard from them while it was running):\n\n");
        for heard in heard {
            text.push_str(&format!("* {}: {}\n", heard.client, code_span(heard.text)));
        }
    } else if !doc.wording.is_empty() {
        text.push_str("\nClients word it as:\n\n");
        for wording in doc.wording {
            text.push_str(&format!("* {}\n", code_span(wording)));
        }
    }
    text
}

/// A Markdown code span that may hold backticks itself.
fn code_span(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// Columns of an id in the table; a longer one has its title below it.
const ID_COLUMN: usize = 34;

/// All causes in a compact table, grouped by the first part of their ids.
pub fn list(style: &Style) -> String {
    let mut text = String::new();
    for group in Cause::ALL.chunk_by(|a, b| group_of(a.id()) == group_of(b.id())) {
        let Some(first) = group.first() else { continue };
        let gap = if text.is_empty() { "" } else { "\n" };
        let heading = style.paint(Tone::Heading, group_of(first.id()));
        text.push_str(&format!("{gap}{heading}\n"));
        let widest = group.iter().map(|cause| width(cause.id())).max().unwrap_or(0);
        for cause in group {
            for line in list_lines(*cause, widest.min(ID_COLUMN), style) {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    }
    text.push_str(&format!(
        "\n{}. `whyd explain ID` says more.\n",
        count(Cause::ALL.len(), "cause")
    ));
    text
}

/// The id with its title in a column beside it.
fn list_lines(cause: Cause, column: usize, style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(2 + column + 2).max(8);
    let mut titles = wrap(cause.doc().title, room).into_iter();
    let mut lines = Vec::new();
    if width(cause.id()) > column {
        lines.push(format!("  {}", cause.id()));
    } else {
        lines.push(format!(
            "  {}  {}",
            pad(cause.id(), column),
            titles.next().unwrap_or_default()
        ));
    }
    lines.extend(titles.map(|title| format!("  {}  {title}", " ".repeat(column))));
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn group_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(group, _)| group)
}

/// Everything about one cause.
pub fn explain(cause: Cause, style: &Style) -> String {
    let doc = cause.doc();
    let mut text = format!("{}\n", style.paint(Tone::Strong, cause.id()));
    let mut paragraph = |indent: usize, tone: Option<Tone>, words: &str| {
        for line in wrap(words, style.width - indent) {
            let line = tone.map_or(line.clone(), |tone| style.paint(tone, &line));
            text.push_str(&format!("{}{line}\n", " ".repeat(indent)));
        }
    };
    paragraph(0, None, doc.title);
    if !doc.meaning.is_empty() {
        paragraph(0, None, "");
        paragraph(0, None, doc.meaning);
    }
    let speed = words::usual_speed(cause.usual_speed());
    let retry = words::retryable(cause.retryable());
    for (label, part) in [
        ("How it is told", doc.told_by),
        ("Often mistaken for", doc.mistaken_for),
        ("Usual speed", speed),
        ("Fault", words::fault(cause.fault())),
        ("Can a retry help", retry),
        ("What to do", doc.fix),
    ] {
        if !part.is_empty() {
            paragraph(0, None, "");
            paragraph(0, Some(Tone::Heading), label);
            paragraph(2, None, part);
        }
    }
    let mut heard = cause.heard().peekable();
    if heard.peek().is_some() || !doc.wording.is_empty() {
        paragraph(0, None, "");
        paragraph(0, Some(Tone::Heading), "How clients word it");
        if heard.peek().is_none() {
            doc.wording.iter().for_each(|wording| paragraph(2, None, wording));
        }
        for heard in heard {
            paragraph(2, Some(Tone::Faint), heard.client);
            paragraph(4, None, heard.text);
        }
    }
    if let Some(example) = examples::of(cause) {
        text.push_str(&format!(
            "\n{}\n",
            style.paint(Tone::Heading, "What check shows, for example")
        ));
        for line in example.lines() {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Causes that somebody who wrote `text` may have meant, best first, at most five: ids of which it is a part, then ids
/// within a small edit distance.
pub fn suggestions(text: &str) -> Vec<Cause> {
    let wanted = text.trim().to_ascii_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut ranked: Vec<(usize, Cause)> = Cause::ALL
        .iter()
        .filter_map(|cause| closeness(&wanted, cause.id()).map(|rank| (rank, *cause)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    // All of a group that was named; of what is merely similar, the nearest.
    let group = ranked.iter().filter(|(rank, _)| *rank == 0).count();
    ranked
        .into_iter()
        .take(group.max(5))
        .map(|(_, cause)| cause)
        .collect()
}

/// Smaller is closer; `None` is not close. Each part of what was written must resemble a part of the id, so that a part
/// that was left out does not matter.
fn closeness(wanted: &str, id: &str) -> Option<usize> {
    if id.starts_with(wanted) {
        return Some(0);
    }
    if wanted.len() >= 3 && id.contains(wanted) {
        return Some(1);
    }
    let mut distance = 2;
    for part in wanted.split('.') {
        let nearest = id.split('.').map(|other| similar::distance(part, other)).min()?;
        // A third of the letters may be wrong; more is another word.
        if nearest > (part.chars().count() / 3).min(4) {
            return None;
        }
        distance += nearest;
    }
    Some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::assert_current;

    #[test]
    fn a_misspelt_id_finds_its_cause() {
        assert_eq!(suggestions("tls.cert.expird"), [Cause::TlsCertExpired]);
        assert_eq!(suggestions("expird"), [Cause::TlsCertExpired]);
        assert_eq!(suggestions("nxdomian"), [Cause::DnsNxdomain]);
        assert_eq!(
            suggestions("tcp.refused"),
            [Cause::TcpRefusedRst, Cause::TcpRefusedIcmp]
        );
        assert_eq!(suggestions("dns.servfail"), [Cause::DnsServfail]);
        assert_eq!(suggestions(""), []);
        assert_eq!(suggestions("completely different"), []);
    }

    #[test]
    fn the_list_and_every_explanation_fit_the_line() {
        let style = Style::default();
        for line in list(&style).lines() {
            assert!(width(line) <= 80, "{line}");
        }
        for &cause in Cause::ALL {
            let text = explain(cause, &style);
            assert!(text.starts_with(cause.id()));
            for line in text.lines() {
                assert!(width(line) <= 80, "{line}");
            }
        }
    }

    #[test]
    fn the_reference_in_docs_is_current() {
        assert_current("docs/causes.md", &causes_reference());
    }

    #[test]
    fn the_reference_has_an_anchor_for_each_cause() {
        let text = causes_reference();
        for cause in Cause::ALL {
            assert!(
                text.contains(&format!("<a id=\"{}\"></a>", cause.anchor())),
                "{cause}"
            );
            assert!(text.contains(&format!("(#{})", cause.anchor())), "{cause}");
        }
    }
}
