//! What a template or a program left behind: `${HOST}`, `{}`, `%s`, `None`, `undefined`.

use std::ops::Range;

use super::Lint;
use crate::config::diagnostic::Severity;

/// Notes every placeholder that was not filled in, and every `%` that is not part of an encoding.
pub fn check(text: &str, lints: &mut Vec<Lint>) {
    let secret = secret_ranges(text);
    let mut at = 0;
    while at < text.len() {
        match placeholder_at(&text[at..]) {
            Some((length, problem)) => {
                let range = at..at + length;
                let token = &text[range.clone()];
                let hidden = secret.iter().any(|hidden| hidden.contains(&at));
                let mut lint = Lint::new(Severity::Error, problem, range);
                if !hidden {
                    lint = lint.quote(token).suggest(suggestion(token));
                }
                lints.push(lint);
                at += length;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
}

/// User info and the query: what stands there is not quoted.
fn secret_ranges(text: &str) -> [Range<usize>; 2] {
    let start = text.find("://").map_or(0, |at| at + 3);
    let query = text.find('?').unwrap_or(text.len());
    let sign = text[start..query.max(start)]
        .rfind('@')
        .map_or(start, |at| start + at);
    [start..sign, query..text.len()]
}

fn suggestion(token: &str) -> Option<String> {
    let name = token
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .or_else(|| token.strip_prefix('$'))?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
    is_name.then(|| format!("did you mean `${{env:{name}}}`?"))
}

/// The length of the placeholder with which the text begins, and what to call it.
fn placeholder_at(text: &str) -> Option<(usize, &'static str)> {
    const VARIABLE: &str = "a variable that was not expanded";
    const PLACEHOLDER: &str = "a placeholder that was not filled in";
    let closed = |open: &str, close: &str| {
        let rest = text.strip_prefix(open)?;
        rest.find(close).map(|at| open.len() + at + close.len())
    };
    let named = |open: &str, close: &str| {
        let length = closed(open, close)?;
        let inside = &text[open.len()..length - close.len()];
        let fits = inside
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        fits.then_some(length)
    };
    match text.as_bytes()[0] {
        b'$' => closed("${", "}")
            .or_else(|| closed("$(", ")"))
            .or_else(|| {
                // `$filter` is a legal part of a path; variables are in capitals.
                let name =
                    text[1..].find(|c: char| !(c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()));
                let length = name.unwrap_or(text.len() - 1);
                (length >= 2 && text[1..].starts_with(|c: char| c.is_ascii_uppercase())).then_some(length + 1)
            })
            .map(|length| (length, VARIABLE)),
        b'{' => closed("{{", "}}")
            .or_else(|| named("{", "}"))
            .map(|length| (length, PLACEHOLDER)),
        b'<' => named("<", ">").map(|length| (length, PLACEHOLDER)),
        b'%' => {
            let hex = text
                .as_bytes()
                .iter()
                .skip(1)
                .take(2)
                .filter(|b| b.is_ascii_hexdigit())
                .count();
            (hex < 2).then(|| match text.as_bytes().get(1) {
                Some(b's' | b'd' | b'v' | b'i' | b'u') => (2, PLACEHOLDER),
                _ => (1, "a `%` that is not followed by two hexadecimal digits"),
            })
        }
        _ => None,
    }
}

/// Segments that a program writes when it has no value. Where such a word may be a real one, it is only a warning.
pub fn check_segments(path: &str, start: usize, lints: &mut Vec<Lint>) {
    let mut at = start;
    for segment in path.split('/') {
        let range = at..at + segment.len();
        at = range.end + 1;
        let severity = match segment {
            "None" | "undefined" | "[object Object]" | "%5Bobject%20Object%5D" => Severity::Error,
            "null" | "nil" | "NaN" => Severity::Warning,
            _ => continue,
        };
        let lint = Lint::new(
            severity,
            "a path segment that says that a value was missing",
            range,
        )
        .quote(segment);
        lints.push(lint);
    }
}

/// The same for hosts; `host` is in lower case.
pub fn check_host(host: &str, range: Range<usize>, lints: &mut Vec<Lint>) {
    const WORDS: [&str; 5] = ["none", "null", "undefined", "nil", "nan"];
    let severity = if WORDS.contains(&host) {
        Severity::Error
    } else if host
        .split('.')
        .any(|label| matches!(label, "undefined" | "null" | "none"))
    {
        Severity::Warning
    } else {
        return;
    };
    lints.push(Lint::new(severity, "a host that says that a value was missing", range).quote(host));
}
