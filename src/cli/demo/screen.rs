//! Where the table is drawn: in place on a terminal, once on anything else.

use std::io::{self, IsTerminal, Stdout, Write};

/// Columns where the output is no terminal, or does not say its size.
const DEFAULT_WIDTH: usize = 80;
/// Wider than this the table gains nothing.
const WIDTH_MAXIMUM: usize = 120;

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// What is drawn on.
pub struct Screen<W> {
    out: W,
    /// Redraw in place; otherwise only what is final is printed.
    live: bool,
    pub color: bool,
    /// Rows of the terminal that the last drawing takes, which the next one replaces.
    drawn: usize,
    size: fn() -> Option<Size>,
}

impl Screen<Stdout> {
    /// Standard output, live when it is a terminal that can move its cursor. Colour follows `NO_COLOR` and the like.
    pub fn stdout() -> Screen<Stdout> {
        let out = io::stdout();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Screen {
            live: out.is_terminal() && !dumb,
            color: anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never,
            drawn: 0,
            size: terminal_size,
            out,
        }
    }
}

impl<W: Write> Screen<W> {
    #[cfg(test)]
    pub fn new(out: W, live: bool, size: fn() -> Option<Size>) -> Screen<W> {
        Screen {
            out,
            live,
            color: false,
            drawn: 0,
            size,
        }
    }

    #[cfg(test)]
    pub fn into_inner(self) -> W {
        self.out
    }

    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Columns to make the text for.
    pub fn width(&self) -> usize {
        match (self.size)() {
            Some(size) if self.live => size.columns.min(WIDTH_MAXIMUM),
            _ => DEFAULT_WIDTH,
        }
    }

    /// Replaces the last drawing, on a terminal; does nothing elsewhere. What is higher than the terminal is cut, since
    /// lines that scrolled out of sight could not be replaced.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn draw(&mut self, text: &str) -> io::Result<()> {
        if !self.live {
            return Ok(());
        }
        let size = (self.size)().unwrap_or(Size {
            columns: usize::MAX,
            rows: usize::MAX,
        });
        // The last row stays free for the cursor, and one more where something is left out.
        let room = size.rows.saturating_sub(1);
        let rows = |line: &str| columns(line).div_ceil(size.columns).max(1);
        let whole = text.lines().map(rows).sum::<usize>() <= room;
        let mut shown = String::new();
        let mut drawn = 0;
        for (i, line) in text.lines().enumerate() {
            if !whole && drawn + rows(line) + 1 > room {
                let left_out = format!("… {} more lines\n", text.lines().count() - i);
                drawn += rows(&left_out);
                shown.push_str(&left_out);
                break;
            }
            drawn += rows(line);
            shown.extend([line, "\n"]);
        }
        self.replace(&shown)?;
        self.drawn = drawn;
        Ok(())
    }

    /// Whether a text of so many lines can be drawn whole.
    pub fn has_room_for(&self, lines: usize) -> bool {
        !self.live || (self.size)().is_none_or(|size| lines < size.rows)
    }

    /// Prints text that stays, in the place of the last drawing.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.replace(text)
    }

    /// Writes over the last drawing, line by line, and clears what is left of it. Clearing it first would flicker, and
    /// terminals that keep what is cleared would fill their history with it.
    fn replace(&mut self, text: &str) -> io::Result<()> {
        if self.drawn == 0 {
            self.out.write_all(text.as_bytes())?;
            return self.out.flush();
        }
        let width = (self.size)().map_or(usize::MAX, |size| size.columns);
        let mut over = format!("\x1b[{}A\r", self.drawn);
        for line in text.lines() {
            over.push_str(line);
            // After a row that is full the cursor still stands on its last character, which must not be cleared.
            let columns = columns(line);
            let full = columns > 0 && columns.is_multiple_of(width);
            over.push_str(if full { "\r\n" } else { "\x1b[K\n" });
        }
        over.push_str("\x1b[J");
        self.drawn = 0;
        self.out.write_all(over.as_bytes())?;
        self.out.flush()
    }
}

/// Columns that a line takes: its characters without the sequences that colour it.
fn columns(line: &str) -> usize {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().chars().count();
    let others = parts.map(|part| {
        part.split_once('m')
            .map_or(part, |(_, text)| text)
            .chars()
            .count()
    });
    first + others.sum::<usize>()
}

/// The size of the terminal at standard output.
fn terminal_size() -> Option<Size> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which points to one that lives until the call returns.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0).then(|| Size {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: fn() -> Option<Size> = || {
        Some(Size {
            columns: 100,
            rows: 4,
        })
    };

    #[test]
    fn a_terminal_is_redrawn_in_place() {
        let mut screen = Screen::new(Vec::new(), true, SMALL);
        assert_eq!(screen.width(), 100);
        screen.draw("a\nb\n").unwrap();
        screen.draw("c\n").unwrap();
        screen.print("final\n").unwrap();
        let out = String::from_utf8(screen.into_inner()).unwrap();
        assert_eq!(out, "a\nb\n\x1b[2A\rc\x1b[K\n\x1b[J\x1b[1A\rfinal\x1b[K\n\x1b[J");
    }

    #[test]
    fn what_is_higher_than_the_terminal_is_cut_while_live_and_whole_at_the_end() {
        let mut screen = Screen::new(Vec::new(), true, SMALL);
        screen.draw("1\n2\n3\n4\n5\n").unwrap();
        screen.print("1\n2\n3\n4\n5\n").unwrap();
        let out = String::from_utf8(screen.into_inner()).unwrap();
        assert_eq!(
            out,
            "1\n2\n… 3 more lines\n\x1b[3A\r1\x1b[K\n2\x1b[K\n3\x1b[K\n4\x1b[K\n5\x1b[K\n\x1b[J"
        );
    }

    #[test]
    fn lines_that_wrap_are_taken_away_whole() {
        let mut screen = Screen::new(Vec::new(), true, || Some(Size { columns: 10, rows: 9 }));
        // 25 characters in three rows, whatever their colour.
        screen
            .draw(&format!("\x1b[31m{}\x1b[0m\n", "x".repeat(25)))
            .unwrap();
        screen.print("final\n").unwrap();
        let out = String::from_utf8(screen.into_inner()).unwrap();
        assert!(out.ends_with("\x1b[3A\rfinal\x1b[K\n\x1b[J"), "{out:?}");
    }

    #[test]
    fn a_full_row_keeps_its_last_character() {
        let mut screen = Screen::new(Vec::new(), true, || Some(Size { columns: 3, rows: 9 }));
        screen.draw("abc\n").unwrap();
        screen.draw("abd\n").unwrap();
        let out = String::from_utf8(screen.into_inner()).unwrap();
        assert_eq!(out, "abc\n\x1b[1A\rabd\r\n\x1b[J");
    }

    #[test]
    fn elsewhere_only_the_final_text_appears() {
        let mut screen = Screen::new(Vec::new(), false, SMALL);
        assert_eq!(screen.width(), 80);
        screen.draw("a\n").unwrap();
        screen.print("final\n").unwrap();
        assert_eq!(screen.into_inner(), b"final\n");
    }
}
