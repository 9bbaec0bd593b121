//! Foreign text made fit to be read: bounded, in one form, without stack frames; and made fit to be shown again, without
//! what may be secret.

use std::sync::LazyLock;

use regex::Regex;

use super::compiled;
use crate::net::sanitize::{foreign_text, scrub_url};

/// Bytes that are read of a text. A longer one is cut in its middle: wrappers stand at one end, the inner cause at the
/// other, and which at which depends on the language.
const MAX_BYTES: usize = 256 * 1024;
/// Characters of the words that are shown again.
const MAX_SHOWN: usize = 200;

/// The text without its middle where it is too long, without terminal colours, and with plain quotes and spaces.
pub fn bounded(text: &str) -> String {
    static COLOUR: LazyLock<Regex> = LazyLock::new(|| compiled("\u{1b}\\[[0-9;]*[A-Za-z]"));
    let text = if text.len() <= MAX_BYTES {
        text.to_owned()
    } else {
        let head = &text[..floor(text, MAX_BYTES / 2)];
        let tail = &text[floor(text, text.len() - MAX_BYTES / 2)..];
        format!("{head}\n{tail}")
    };
    // Quotes that a language escaped when it printed a text inside another.
    let text = COLOUR
        .replace_all(&text, "")
        .replace("\\'", "'")
        .replace("\\\"", "\"");
    text.chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201C}' | '\u{201D}' => '"',
            '\u{A0}' => ' ',
            c => c,
        })
        .filter(|c| *c != '\r')
        .collect()
}

/// The nearest place at or before `at` where the text may be cut.
pub(super) fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The lines that say something, without the frames of a stack trace and the lines of code that some languages print
/// with them: those hold words such as `timeout` that nothing follows from.
pub fn without_frames(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_python_frame = false;
    let is_dump = [
        "[Symbol(",
        "config: {",
        "options: ",
        "_currentUrl",
        "socket: {",
        "bytesWritten:",
    ]
    .iter()
    .any(|mark| text.contains(mark));
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if indent >= 2 && trimmed.starts_with("File \"") {
            in_python_frame = true;
            continue;
        }
        // The code of a frame is indented deeper than its `File` line; exception groups draw a bar before both.
        if in_python_frame && indent >= 4 {
            continue;
        }
        in_python_frame = false;
        if is_frame(trimmed, indent) || is_dump && indent >= 2 && is_dull_property(trimmed) {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// A property of an object that JavaScript printed with its error (`timeout: 1000,`), unless it may say what failed.
fn is_dull_property(trimmed: &str) -> bool {
    const TELLING: [&str; 22] = [
        "code",
        "errno",
        "syscall",
        "address",
        "port",
        "host",
        "hostname",
        "message",
        "reason",
        "cause",
        "[cause]",
        "type",
        "status",
        "statusCode",
        "statusText",
        "event",
        "library",
        "data",
        "error",
        "[errors]",
        "name",
        "url",
    ];
    let Some((key, _)) = trimmed.split_once(": ") else {
        return false;
    };
    let key = key.trim_matches(['\'', '"']);
    let is_key = key.starts_with("[Symbol(")
        || key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    is_key && !key.is_empty() && !TELLING.contains(&key)
}

/// Frames of Java, .NET, JavaScript (`at …`) and Ruby (`from …`), and lines that only point at something.
fn is_frame(trimmed: &str, indent: usize) -> bool {
    let frame = indent > 0 && (trimmed.starts_with("at ") || trimmed.starts_with("from "));
    let elided = trimmed.starts_with("... ") && trimmed.ends_with(" more");
    let marks = !trimmed.is_empty()
        && trimmed
            .chars()
            .all(|c| matches!(c, '^' | '~' | ' ' | '|' | '-' | '+'));
    // An error of JavaScript begins its first frame on the line after its message, so that none holds both.
    frame && !trimmed.contains("Error:") || elided || marks
}

/// The lines that settle it, where a client says so itself: with `-v` curl tells all that it tried, and its last line
/// what came of it. Where that is only that it could not connect, the lines before say why.
pub fn settled(told: &str) -> &str {
    let Some(at) = told.rfind("curl: (") else {
        return told;
    };
    let verdict = &told[at..];
    // A traceback of a library that wraps libcurl repeats the line, and is told by all of it.
    let own_line = at == 0 || told[..at].ends_with('\n');
    match own_line && !verdict.starts_with("curl: (7)") {
        true => verdict,
        false => told,
    }
}

/// A piece of the text as one line that may be shown: without user info, without the values of a query, cut.
pub fn shown(piece: &str) -> String {
    static QUERY: LazyLock<Regex> = LazyLock::new(|| compiled(r#"(/[^\s?"'<>]*)\?[^\s"'<>)]*"#));
    static BEARER: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r"(?i)\b((?:proxy-)?authorization|cookie|set-cookie|x-api-key|password|passwd|token|secret|api[_-]?key)\b(\W{1,4})[^\n]*",
        )
    });
    let piece = scrub_url(piece);
    let piece = QUERY.replace_all(&piece, "$1");
    let piece = BEARER.replace_all(&piece, "$1$2…");
    foreign_text(piece.as_bytes(), MAX_SHOWN).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_their_code_are_left_out() {
        let python = "Traceback (most recent call last):\n  File \"/app/x.py\", line 3, in get\n    raise Timeout(\n        ^^^^\nValueError: inner\n\nDuring handling of the above exception, another exception occurred:\n\n  File \"y.py\", line 1\n    wait(timeout=1)\nOuter: [Errno 111] Connection refused\n";
        let kept = without_frames(python);
        assert!(
            kept.contains("ValueError: inner") && kept.contains("Outer: [Errno 111]"),
            "{kept}"
        );
        assert!(!kept.contains("imeout"), "{kept}");
        let java = "java.net.ConnectException: Connection refused\n\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)\n\t... 3 more\nCaused by: x\n";
        assert_eq!(
            without_frames(java),
            "java.net.ConnectException: Connection refused\nCaused by: x\n"
        );
    }

    #[test]
    fn a_huge_text_keeps_both_ends() {
        let text = format!("outer {}é inner", "ö".repeat(MAX_BYTES));
        let bounded = bounded(&text);
        assert!(bounded.len() <= MAX_BYTES + 1);
        assert!(bounded.starts_with("outer") && bounded.ends_with("inner"));
    }

    #[test]
    fn secrets_are_not_shown_again() {
        for (piece, expected) in [
            (
                "GET https://u:p@h/x?token=hunter2 failed",
                "GET https://h/x failed",
            ),
            (
                "with url: /health?token=hunter2 (Caused by",
                "with url: /health (Caused by",
            ),
            ("Authorization: Bearer hunter2", "Authorization: …"),
            ("password=hunter2 host=db", "password=…"),
        ] {
            assert_eq!(shown(piece), expected);
        }
    }
}
