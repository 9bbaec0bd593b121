//! How the text is dressed. Colour only repeats what the words and marks already say.

use anstyle::{AnsiColor, Style as Ansi};

/// The narrowest and the widest text that is laid out, in columns.
pub const WIDTH_MIN: usize = 40;
pub const WIDTH_MAX: usize = 100;
/// Where the width is not known.
pub const WIDTH_DEFAULT: usize = 80;

/// The width of a line and whether it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns; no line is wider.
    pub width: usize,
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            width: WIDTH_DEFAULT,
            color: false,
        }
    }
}

impl Style {
    /// A style for a terminal of that many columns (`None` where there is no terminal).
    pub fn for_terminal(columns: Option<usize>, color: bool) -> Style {
        Style {
            width: columns.unwrap_or(WIDTH_DEFAULT).clamp(WIDTH_MIN, WIDTH_MAX),
            color,
        }
    }

    /// The text in that tone; unchanged where there is no colour.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let ansi = tone.ansi();
        format!("{}{text}{}", ansi.render(), ansi.render_reset())
    }
}

/// What a piece of text is, rather than what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    Strong,
    Faint,
    Heading,
}

impl Tone {
    const fn ansi(self) -> Ansi {
        match self {
            Tone::Good => AnsiColor::Green.on_default().bold(),
            Tone::Warning => AnsiColor::Yellow.on_default().bold(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Strong => Ansi::new().bold(),
            Tone::Faint => Ansi::new().dimmed(),
            Tone::Heading => AnsiColor::Cyan.on_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_nothing_is_added() {
        let plain = Style::default();
        assert_eq!(plain.paint(Tone::Bad, "x"), "x");
        let colored = Style { color: true, ..plain };
        assert!(colored.paint(Tone::Bad, "x").contains("\u{1b}["));
    }

    #[test]
    fn the_width_is_bounded() {
        assert_eq!(Style::for_terminal(None, false).width, 80);
        assert_eq!(Style::for_terminal(Some(300), false).width, 100);
        assert_eq!(Style::for_terminal(Some(3), false).width, 40);
    }
}
