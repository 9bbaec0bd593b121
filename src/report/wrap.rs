//! Lines that fit: the width of text in columns, wrapping and cutting.
//!
//! The width of a character is approximate and needs no tables: combining marks and other zero-width characters take
//! no column, the wide blocks of East Asian scripts and emoji take two, everything else takes one. Characters of
//! ambiguous width (such as `…`) count as one, which is what terminals do outside East Asian locales. Control
//! characters never get here: foreign text is sanitised where it is read.

/// Columns that a character takes.
pub fn char_width(c: char) -> usize {
    match c as u32 {
        0..=0x1f | 0x7f..=0x9f => 0,
        // Combining marks, zero-width spaces and joiners, direction marks, variation selectors.
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x610..=0x61a
        | 0x64b..=0x65f
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x2064
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f
        | 0xfe20..=0xfe2f
        | 0xfeff
        | 0xe0100..=0xe01ef => 0,
        // Hangul jamo, CJK and its punctuation, kana, Hangul, compatibility forms, full width forms, emoji, CJK planes.
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0x33ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns that a text without colour codes takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// The text, filled with spaces to that many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The text, moved to the right of that many columns.
pub fn pad_left(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{}{text}", " ".repeat(missing))
}

/// The text cut to that many columns, with `…` at its end where something is missing.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let (head, _) = split_at_width(text, room);
    // A first character that is wider than the room is left out, too.
    let head = if width(head) <= room { head } else { "" };
    format!("{head}…")
}

/// The words of the text in lines of at most `columns`. A word that is longer is broken, after a `/`, `.`, `-`, `,`,
/// `&`, `=`, `?` or `_` where there is one. There is always at least one line.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= columns {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while width(rest) > columns {
            let (head, tail) = break_word(rest, columns);
            lines.push(head.to_owned());
            rest = tail;
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Breaks a word that is wider than `columns`, so that the first part fits and neither part is empty.
fn break_word(word: &str, columns: usize) -> (&str, &str) {
    let (head, _) = split_at_width(word, columns);
    let natural = head
        .char_indices()
        .rev()
        .find(|(_, c)| matches!(c, '/' | '.' | '-' | ',' | '&' | '=' | '?' | '_'))
        .map(|(at, c)| at + c.len_utf8());
    // A break far to the left would leave a ragged line; then the word is broken where the line ends.
    match natural {
        Some(at) if at < word.len() && at * 2 >= head.len() => word.split_at(at),
        _ => word.split_at(head.len()),
    }
}

/// The longest head of at most `columns`, but at least one character, and the rest.
fn split_at_width(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += char_width(c);
        if used > columns && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_combining_characters_are_counted_in_columns() {
        assert_eq!(width("abc"), 3);
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本", 2), "…");
        assert_eq!(cut("abc", 3), "abc");
    }

    #[test]
    fn words_wrap_and_long_ones_break_at_their_joints() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(
            wrap("https://api.internal/very/long", 24),
            ["https://api.internal/", "very/long"]
        );
        assert_eq!(wrap(&"x".repeat(10), 4), ["xxxx", "xxxx", "xx"]);
    }

    #[test]
    fn no_line_is_ever_wider() {
        let text = "a 日本語日本語 https://x.y/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz e\u{301}e\u{301} end";
        for columns in 2..40 {
            for line in wrap(text, columns) {
                assert!(width(&line) <= columns, "{columns}: {line}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn wrapping_keeps_every_character_and_fits(text in "\\PC{0,200}", columns in 2_usize..90) {
            let lines = wrap(&text, columns);
            let without_space = |text: &str| text.split_whitespace().collect::<String>();
            proptest::prop_assert_eq!(without_space(&lines.concat()), without_space(&text));
            for line in lines {
                proptest::prop_assert!(width(&line) <= columns, "{} in {:?}", width(&line), line);
            }
        }

        #[test]
        fn cutting_fits_and_keeps_the_beginning(text in "\\PC{0,60}", columns in 2_usize..40) {
            let shown = cut(&text, columns);
            proptest::prop_assert!(width(&shown) <= columns, "{} in {:?}", width(&shown), shown);
            proptest::prop_assert!(text.starts_with(shown.trim_end_matches('…')));
        }
    }
}
