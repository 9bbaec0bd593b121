//! Which parts of a source line may be shown. A snippet never shows a secret, a misspelt key's secret included.

use std::collections::HashMap;
use std::ops::Range;

use super::source::{Kind, Node};
use crate::model::similar;

const STAND_IN: char = '*';

/// Keys whose values, however deep, may hold secrets.
const SECRET_KEYS: [&str; 12] = [
    "password",
    "bearer",
    "client_secret",
    "headers",
    "auth",
    "body",
    "proxy",
    "oauth2",
    "basic",
    "token",
    "send",
    "routing_key",
];

/// Parts of names that people give to secret things.
const SECRET_PARTS: [&str; 11] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "auth",
    "cookie",
    "bearer",
    "credential",
];

/// Keys of the configuration that are near to a secret one in spelling and hold none.
const PLAIN_KEYS: [&str; 9] = [
    "breaker",
    "body_contains",
    "body_regex",
    "body_not_regex",
    "first_byte",
    "token_url",
    "max_body",
    "user",
    "path",
];

/// Whether a value under this key may be secret. A key that is nearly one of them counts: it may be misspelt.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    if PLAIN_KEYS.contains(&key.as_str()) {
        return false;
    }
    SECRET_PARTS.iter().any(|part| key.contains(part))
        || SECRET_KEYS.iter().any(|known| {
            let near = if known.len() > 5 { 2 } else { 1 };
            similar::distance(&key, known) <= near
        })
}

/// Where secrets stand in a text: column ranges, in characters, by line.
pub type Hidden = HashMap<usize, Vec<Range<usize>>>;

/// The line with everything that may be secret replaced by `*`, character for character. `hidden` is `None` for a text
/// that is not YAML.
pub fn line(hidden: Option<&Hidden>, number: usize, text: &str) -> String {
    let Some(hidden) = hidden else {
        return untrusted_line(text);
    };
    let mut shown: Vec<char> = text.chars().collect();
    for range in hidden.get(&number).into_iter().flatten() {
        for c in shown.iter_mut().take(range.end).skip(range.start) {
            *c = STAND_IN;
        }
    }
    hide_in_urls(&mut shown);
    shown.into_iter().collect()
}

/// Finds every scalar of the tree that may be secret.
pub fn hidden(tree: &Node) -> Hidden {
    let mut hidden = Hidden::new();
    let context = Context {
        secret: false,
        expect: false,
        receiver: false,
    };
    collect(tree, context, &mut hidden);
    hidden
}

#[derive(Clone, Copy)]
struct Context {
    secret: bool,
    /// Within `expect`, whose headers and texts are what a peer sends, not secrets of ours.
    expect: bool,
    /// Within `receivers`, where the path of a URL may be the secret.
    receiver: bool,
}

fn hide(node: &Node, hidden: &mut Hidden) {
    for line in node.start.0..=node.end.0 {
        let from = if line == node.start.0 { node.start.1 } else { 0 };
        let to = if line == node.end.0 {
            node.end.1
        } else {
            usize::MAX
        };
        hidden.entry(line).or_default().push(from..to);
    }
}

/// Hides what follows the host of a URL.
fn hide_path(node: &Node, hidden: &mut Hidden) {
    let Some(text) = node.scalar().filter(|text| text.contains("://")) else {
        return;
    };
    let length = text.chars().count();
    let (line, from) = node.start;
    let (end_line, to) = node.end;
    // As it stands, or in quotes: otherwise (folded, or with escapes) nobody knows what stands where.
    let quote = match to.checked_sub(from).and_then(|shown| shown.checked_sub(length)) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return hide(node, hidden),
    };
    if end_line != line {
        return hide(node, hidden);
    }
    let mut slashes = text.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
    if let Some(path) = slashes.nth(2) {
        let before = text[..path].chars().count();
        hidden
            .entry(line)
            .or_default()
            .push(from + quote + before + 1..from + quote + length);
    }
}

fn collect(node: &Node, context: Context, hidden: &mut Hidden) {
    match &node.kind {
        Kind::Scalar { .. } if context.secret => hide(node, hidden),
        Kind::Scalar { .. } if context.receiver => hide_path(node, hidden),
        Kind::Scalar { .. } => {}
        Kind::Sequence(items) => {
            for item in items {
                collect(item, context, hidden);
            }
        }
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                if context.secret && value.scalar().is_some_and(str::is_empty) {
                    // `password: {hunter2}` is a mapping whose key is the secret.
                    hide(key, hidden);
                }
                collect(value, below(context, key.scalar().unwrap_or(""), value), hidden);
            }
        }
    }
}

/// A scalar, or those of a list.
fn scalars(value: &Node) -> impl Iterator<Item = &str> {
    let items = match &value.kind {
        Kind::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    items.iter().filter_map(Node::scalar)
}

/// The context of a key's value.
fn below(context: Context, key: &str, value: &Node) -> Context {
    let context = Context {
        // It may be misspelt.
        receiver: context.receiver || similar::distance(key, "receivers") <= 3,
        ..context
    };
    match key {
        // `{file: PATH}` and `{credential: NAME}` name a secret and are none; user names are shown by every log; URLs are masked in part.
        // Without a scheme, nobody knows where the path begins.
        key if context.receiver
            && similar::distance(key, "url") <= 1
            && scalars(value).any(|text| !text.contains("://")) =>
        {
            Context {
                secret: true,
                ..context
            }
        }
        // Elsewhere it may be the secret itself, from one who took the key for another.
        "credential" if context.secret => {
            let secret = value.scalar().is_none();
            Context { secret, ..context }
        }
        "file" | "user" | "client_id" | "token_url" | "url" => {
            let secret = context.secret && value.scalar().is_none();
            Context { secret, ..context }
        }
        "proxy" if value.scalar().is_some_and(|text| text.contains("://")) => context,
        "expect" => Context {
            expect: true,
            ..context
        },
        _ => {
            let secret = context.secret || (!context.expect && is_secret_key(key));
            Context { secret, ..context }
        }
    }
}

/// A target of the command line as it may be shown.
pub fn target(text: &str) -> String {
    let mut shown: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    if text.contains("://") {
        hide_in_urls(&mut shown);
    } else {
        // Without a scheme, what stands before the last `@` and after `?` is taken for the same.
        if let Some(sign) = shown.iter().rposition(|c| *c == '@') {
            shown[..sign].fill(STAND_IN);
        }
        if let Some(query) = shown.iter().position(|c| *c == '?') {
            hide_values(&mut shown[query + 1..]);
        }
    }
    shown.into_iter().collect()
}

/// User info and query of every URL on the line: `://…@` and `?…`.
fn hide_in_urls(line: &mut [char]) {
    let mut at = 0;
    while at + 2 < line.len() {
        if line[at..at + 3] != [':', '/', '/'] {
            at += 1;
            continue;
        }
        let start = at + 3;
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | ']');
        let end = (start..line.len()).find(|i| ends(line[*i])).unwrap_or(line.len());
        let authority_end = (start..end)
            .find(|i| matches!(line[*i], '/' | '?' | '#'))
            .unwrap_or(end);
        // A password may hold a `/` by mistake, or even a blank: everything up to the line's last `@` before it ends
        // is taken for user info.
        if let Some(sign) = (start..end).rev().find(|i| line[*i] == '@') {
            let query = (start..sign).find(|i| line[*i] == '?');
            if sign < authority_end || query.is_none() {
                line[start..sign].fill(STAND_IN);
            }
        }
        if let Some(query) = (start..end).find(|i| line[*i] == '?') {
            hide_values(&mut line[query + 1..end]);
        }
        at = end.max(start);
    }
}

/// The values of a query's parameters; `type=` and `transport=`, which DNS targets have, are shown.
fn hide_values(query: &mut [char]) {
    let mut start = 0;
    while start < query.len() {
        let end = (start..query.len())
            .find(|i| query[*i] == '&')
            .unwrap_or(query.len());
        let name_end = (start..end).find(|i| query[*i] == '=').unwrap_or(start);
        let name: String = query[start..name_end].iter().collect();
        if !matches!(name.as_str(), "type" | "transport") {
            let from = if query.get(name_end) == Some(&'=') {
                name_end + 1
            } else {
                start
            };
            query[from..end].fill(STAND_IN);
        }
        start = end + 1;
    }
}

/// A line of a text that is not YAML: nothing is known of what it means, so only a well-known harmless form is shown.
fn untrusted_line(text: &str) -> String {
    const HARMLESS: [&str; 17] = [
        "name",
        "interval",
        "url",
        "defaults",
        "dependencies",
        "timeouts",
        "total",
        "attempt",
        "connect",
        "retry",
        "listen",
        "otlp",
        "labels",
        "expect",
        "limits",
        "vantage",
        "depends_on",
    ];
    let mut shown: Vec<char> = text.chars().collect();
    let begin = text.trim_start_matches([' ', '-', '\t']);
    let key = begin.split(':').next().unwrap_or("").trim();
    let suspicious = begin
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
        .any(|word| !word.is_empty() && is_secret_key(word));
    let skip = text.chars().count() - begin.chars().count();
    if suspicious || !HARMLESS.contains(&key) {
        let known = HARMLESS.contains(&key) || SECRET_KEYS.contains(&key);
        let from = if known {
            skip + key.chars().count() + 1
        } else {
            skip
        };
        for c in shown.iter_mut().skip(from).filter(|c| !c.is_whitespace()) {
            *c = STAND_IN;
        }
    }
    hide_in_urls(&mut shown);
    hide_paths(&mut shown);
    shown.into_iter().collect()
}

/// The paths of URLs, which may be secret where it is not known whose they are.
fn hide_paths(line: &mut [char]) {
    let mut at = 0;
    while at + 2 < line.len() {
        if line[at..at + 3] != [':', '/', '/'] {
            at += 1;
            continue;
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | ']');
        let end = (at..line.len()).find(|i| ends(line[*i])).unwrap_or(line.len());
        if let Some(slash) = (at + 3..end).find(|i| line[*i] == '/') {
            line[slash + 1..end].fill(STAND_IN);
        }
        at = end.max(at + 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;

    fn masked(text: &str, number: usize) -> String {
        let source = Source::new("f".into(), "".into(), text.into());
        line(source.hidden(), number, source.line(number))
    }

    #[test]
    fn secrets_are_hidden_where_keys_are_misspelt_too() {
        for text in [
            "auth: {basic: {user: me, password: hunter2}}",
            "auth: {basic: {user: me, pasword: hunter2}}",
            "heders: {x-foo: hunter2}",
            "headers:\n  X-Thing: hunter2",
            "atuh: {braer: hunter2}",
            "proxy: {url: 'http://p:1', passwd: hunter2}",
            "url: https://me:hunter2@host/x",
            "url: https://host/x?k=hunter2",
            "password: |\n  hunter2",
            "password: [a, hunter2]",
            "password: {hunter2}",
            "password: {credentials: hunter2}",
            "credential: hunter2",
            "my_token: hunter2",
            "receivers: [{slack: {url: 'https://hooks.example/services/hunter2'}}]",
            "receivers:\n- slack: https://hooks.example/hunter2",
            "recievers:\n- {slack: {ulr: \"https://hooks.example/hunter2\"}}",
            "receivers:\n- slack:\n    url: >-\n      https://hooks.example/hunter2",
            "receivers: [{pagerduty: {routing_key: hunter2}}]",
            "receivers: [{webhook: {url: hooks.example/hunter2}}]",
            "receivers: [{alertmanager: {urls: [hooks.example/hunter2]}}]",
            "receivers: [{pagerduty: {routingkey: hunter2}}]",
            "receivers: [{opsgenie: {api_key: hunter2}}]",
        ] {
            for number in 1..=text.lines().count() {
                assert!(
                    !masked(text, number).contains("hunter2"),
                    "{text:?}: {}",
                    masked(text, number)
                );
            }
        }
    }

    #[test]
    fn only_the_keys_that_are_meant_are_secret() {
        let schema = crate::config::schema();
        let definitions = schema["definitions"].as_object().expect("is there");
        let mut secret: Vec<&str> = definitions
            .values()
            .flat_map(|definition| definition["properties"].as_object().into_iter().flatten())
            .map(|(key, _)| key.as_str())
            .filter(|key| is_secret_key(key))
            .collect();
        secret.sort_unstable();
        secret.dedup();
        let meant = [
            "api_key",
            "auth",
            "basic",
            "bearer",
            "body",
            "client_secret",
            // The name of one where a secret is asked for; hidden elsewhere.
            "credential",
            "headers",
            "oauth2",
            "password",
            "proxy",
            "routing_key",
            "send",
        ];
        assert_eq!(secret, meant);
    }

    #[test]
    fn the_rest_is_shown() {
        for text in [
            "interval: 10",
            "auth: {basic: {user: me, password: {file: /run/secrets/x}}}",
            "auth: {basic: {user: me, password: {credential: partner}}}",
            "url: dns://1.1.1.1/example.com?type=AAAA",
            "expect: {headers: {content-type: json}, body_regex: ok}",
            "timeouts: {first_byte: 3s}",
            "receivers: [{name: a, alertmanager: {url: 'http://alertmanager:9093'}, match: {team: a/b}}]",
        ] {
            assert_eq!(masked(text, 1), text);
        }
    }

    #[test]
    fn a_text_that_is_no_yaml_shows_no_secret() {
        for text in [
            "password: hunter2: x",
            "  X-Anything: hunter2: x",
            "hunter2: : x: hunter2",
            "- {name: a, auth: {bearer: hunter2",
            "url: https://me:hunter2@host: x",
            "url: https://hooks.example/services/hunter2: x",
        ] {
            let shown = line(None, 1, text);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(line(None, 1, "  name: a: b"), "  name: a: b");
    }
}
