//! Foreign text and our own errors, made fit to be shown: no control characters, no secrets, no endless length.

use std::error::Error;

/// Longest text of one error in a chain, in characters.
const MAX_ERROR: usize = 400;
/// Most errors in a chain. One longer than this is a cycle.
const MAX_DEPTH: usize = 16;

/// Bytes from a peer as one line of at most `max` characters: invalid UTF-8 is replaced, line ends and tabs become
/// blanks, other control characters and those that reorder text are left out, and a cut shows as `…`.
pub fn foreign_text(bytes: &[u8], max: usize) -> Box<str> {
    let mut text = String::new();
    let mut length = 0;
    for chunk in bytes.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() {
            None
        } else {
            Some('\u{FFFD}')
        };
        for c in chunk.valid().chars().chain(replacement) {
            let c = match c {
                '\n' | '\t' if text.is_empty() || text.ends_with(' ') => continue,
                '\n' | '\t' => ' ',
                c if is_unprintable(c) => continue,
                c => c,
            };
            if length == max {
                text.pop();
                if max > 0 {
                    text.push('…');
                }
                return text.into();
            }
            text.push(c);
            length += 1;
        }
    }
    text.truncate(text.trim_end().len());
    text.into()
}

/// Control characters, and the format characters by which a text can pass for another one on a screen: marks and
/// overrides of direction, separators of lines and paragraphs, and characters without width.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// The text with user info, query and fragment taken out of every URL in it. In doubt it takes out more.
pub fn scrub_url(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`'))
            .unwrap_or(url.len());
        scrub_one(&url[..end], &mut clean);
        rest = &url[end..];
    }
    clean.push_str(rest);
    clean
}

/// One URL after its `://`. Punctuation of the sentence around it is kept.
fn scrub_one(url: &str, clean: &mut String) {
    let bare = url.trim_end_matches([')', ']', '}', '\'', ',', '.', ';', ':', '!']);
    // A bracket that closes an IPv6 address is part of the authority and not of the sentence.
    let bare = match url.as_bytes().get(bare.len()) {
        Some(b']') if bare.contains('[') => &url[..bare.len() + 1],
        _ => bare,
    };
    let punctuation = &url[bare.len()..];
    let authority = bare.split(['/', '?', '#']).next().unwrap_or_default();
    let after_user = match authority.rfind('@') {
        Some(at) => &bare[at + 1..],
        // A password with a raw slash, question mark or hash ends the authority too early, and what then looks like a
        // port is none. Where the host begins cannot be told. An `@` in the path of an orderly URL stays.
        None if odd_port(authority) && bare.contains('@') => "…",
        None => bare,
    };
    clean.push_str(after_user.split(['?', '#']).next().unwrap_or_default());
    clean.push_str(punctuation);
}

fn odd_port(authority: &str) -> bool {
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    after_address
        .split_once(':')
        .is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The texts of an error and its sources, outer to inner, each scrubbed of URLs' secrets and cut. A text that already
/// ends with its source's loses that part, so that nothing is said twice.
pub fn error_chain(err: &(dyn Error + 'static)) -> Vec<Box<str>> {
    let mut texts = Vec::new();
    let mut next = Some(err);
    while let Some(err) = next.filter(|_| texts.len() < MAX_DEPTH) {
        texts.push(scrub_url(&err.to_string()));
        next = err.source();
    }
    let mut chain: Vec<Box<str>> = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        let own = match texts.get(position + 1) {
            Some(inner) => without_source(text, inner),
            None => text,
        };
        let own = foreign_text(own.as_bytes(), MAX_ERROR);
        if !own.is_empty() && chain.last() != Some(&own) {
            chain.push(own);
        }
    }
    chain
}

/// `outer` without `inner` at its end, where it is `what: inner`, `what (inner)` or `inner` itself.
fn without_source<'a>(outer: &'a str, inner: &str) -> &'a str {
    if inner.is_empty() {
        return outer;
    }
    let own = outer.strip_suffix(inner).or_else(|| {
        outer
            .strip_suffix(')')
            .and_then(|outer| outer.strip_suffix(inner)?.strip_suffix('('))
    });
    match own {
        Some(own) => own.trim_end_matches([':', ' ']),
        None => outer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_printable_line() {
        assert_eq!(
            &*foreign_text(b"HTTP/1.1 400\r\nServer: x\r\n\r\n", 80),
            "HTTP/1.1 400 Server: x"
        );
        assert_eq!(&*foreign_text(b"a\x1b[31mred\x07\0", 80), "a[31mred");
        assert_eq!(&*foreign_text("ab\u{202E}cd\u{200B}e".as_bytes(), 80), "abcde");
        assert_eq!(&*foreign_text(b"a\xffb\xc3", 80), "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn foreign_text_is_cut_by_characters_and_says_so() {
        assert_eq!(&*foreign_text("äöü".as_bytes(), 3), "äöü");
        assert_eq!(&*foreign_text("äöüß".as_bytes(), 3), "äö…");
        assert_eq!(&*foreign_text(b"abc", 0), "");
    }

    #[test]
    fn urls_lose_user_info_query_and_fragment() {
        for (text, clean) in [
            ("https://u:p@host/a?token=1#x", "https://host/a"),
            (
                "error for url (https://u:p@host:8443/a?k=1)",
                "error for url (https://host:8443/a)",
            ),
            (
                "see http://a/b?x and \"http://c@d/e\".",
                "see http://a/b and \"http://d/e\".",
            ),
            ("https://u:p@[::1]:80/x", "https://[::1]:80/x"),
            ("(http://[::1])", "(http://[::1])"),
            ("https://host/@user/", "https://host/@user/"),
            ("https://u:p@w@host/x", "https://host/x"),
            ("https://u:p/w@host/x?mail=a@b", "https://…"),
            ("https://u:p?w@host/x?y", "https://…"),
            ("https://host?mail=a@b", "https://host"),
            ("https://host?token=a)b)", "https://host)"),
            ("no url: a@b?c", "no url: a@b?c"),
        ] {
            assert_eq!(scrub_url(text), clean, "{text}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let source = match &texts[1..] {
            [] => None,
            rest => Some(Box::new(layers(rest))),
        };
        Layer {
            text: texts[0],
            source,
        }
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        let chain = |texts: &[&'static str]| {
            let chain = error_chain(&layers(texts));
            chain.iter().map(|text| text.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(chain(&["sending: refused", "refused"]), ["sending", "refused"]);
        assert_eq!(
            chain(&["client error (Connect)", "Connect"]),
            ["client error", "Connect"]
        );
        assert_eq!(chain(&["same", "same"]), ["same"]);
        assert_eq!(chain(&["outer", "inner"]), ["outer", "inner"]);
        assert_eq!(
            chain(&["GET http://u:p@h/x?t=1 failed", "line\r\nbreak"]),
            ["GET http://h/x failed", "line break"]
        );
    }
}
