//! Texts cut to what a receiver takes, on the boundary of a character, and never without saying so.

/// Shows that something was cut.
const CUT: char = '…';

/// At most so many characters.
pub fn chars(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) if most == 0 => String::new(),
        Some(_) => {
            let mut cut: String = text.chars().take(most - 1).collect();
            cut.truncate(cut.trim_end().len());
            cut.push(CUT);
            cut
        }
    }
}

/// At most so many characters, cut where a line ends if one ends in the second half.
pub fn lines(text: &str, most: usize) -> String {
    let cut = chars(text, most);
    if cut.len() == text.len() {
        return cut;
    }
    match cut.rfind('\n') {
        Some(end) if end * 2 >= cut.len() => format!("{}\n{CUT}", &cut[..end]),
        _ => cut,
    }
}

/// On one line: line ends become blanks, other control characters go.
pub fn one_line(text: &str, most: usize) -> String {
    crate::net::sanitize::foreign_text(text.as_bytes(), most).into()
}

/// The first names, and how many more there are.
pub fn names<'a>(all: impl ExactSizeIterator<Item = &'a str>, most: usize) -> String {
    let count = all.len();
    // One more name is as short as "and 1 more".
    let shown = if count == most + 1 { count } else { count.min(most) };
    let mut text = all.take(shown).collect::<Vec<_>>().join(", ");
    if count > shown {
        text.push_str(&format!(" and {} more", count - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_on_a_character_and_is_seen() {
        assert_eq!(chars("äöü", 3), "äöü");
        assert_eq!(chars("äöüß", 3), "äö…");
        assert_eq!(chars("a b", 2), "a…".to_owned());
        assert_eq!(chars("ab", 0), "");
        assert_eq!(lines("one\ntwo\nthree", 10), "one\ntwo\n…");
        assert_eq!(lines("one\ntwo", 7), "one\ntwo");
        assert_eq!(lines("a\nlonglonglong", 8), "a\nlongl…");
        for most in 0..12 {
            assert!(lines("€€\n€€€\n€€€€€€", most).chars().count() <= most + 1);
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        assert_eq!(names(["a", "b", "c"].into_iter(), 5), "a, b, c");
        assert_eq!(names(["a", "b", "c"].into_iter(), 2), "a, b, c");
        assert_eq!(names(["a", "b", "c", "d"].into_iter(), 2), "a, b and 2 more");
        assert_eq!(names([].into_iter(), 2), "");
    }

    #[test]
    fn one_line_has_no_line_ends() {
        assert_eq!(one_line("a\r\nBcc: b", 20), "a Bcc: b");
    }
}
