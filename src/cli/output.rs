//! Standard output and the terminal: colour, width, and a reader that goes away.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};

use super::args::Color;
use crate::report::style::Style;
use crate::report::wrap::cut;

/// EX_IOERR of sysexits.h: the output could not be written.
pub const CANNOT_WRITE: u8 = 74;

/// Standard output. A reader that has gone away (`whyd … | head`) is no error: what is left is not written, and the exit
/// status is what it would have been.
pub struct Output {
    stream: Box<dyn Write>,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Open,
    ReaderGone,
    Failed,
}

impl Output {
    pub fn stdout() -> Self {
        Self::to(Box::new(io::stdout()))
    }

    /// Writes there instead.
    pub fn to(stream: Box<dyn Write>) -> Self {
        Output {
            stream,
            state: State::Open,
        }
    }

    /// Writes at once, so that results show up when they come.
    pub fn write(&mut self, text: &str) {
        if self.state != State::Open {
            return;
        }
        let written = self
            .stream
            .write_all(text.as_bytes())
            .and_then(|()| self.stream.flush());
        if let Err(error) = written {
            self.state = if error.kind() == io::ErrorKind::BrokenPipe {
                State::ReaderGone
            } else {
                complain(&format!("cannot write: {error}"));
                State::Failed
            };
        }
    }

    /// The exit status: `code`, unless the output could not be written.
    pub fn exit(&self, code: u8) -> ExitCode {
        if self.state == State::Failed {
            CANNOT_WRITE.into()
        } else {
            code.into()
        }
    }
}

/// An error of ours, to standard error.
pub fn complain(text: &str) {
    say(&format!("error: {text}"));
}

/// A line to standard error. Where even that cannot be written there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// How text on standard output is laid out and dressed.
pub fn stdout_style(color: Color) -> Style {
    let stdout = io::stdout();
    let columns = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Style::for_terminal(columns, wants_color(color, &stdout))
}

/// Whether text on standard error is coloured.
pub fn stderr_color(color: Color) -> bool {
    wants_color(color, &io::stderr())
}

fn wants_color<S: anstream::stream::RawStream>(color: Color, stream: &S) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(stream) != ColorChoice::Never,
    }
}

/// A line on standard error that counts what is done. It is drawn only where a person watches.
pub struct Progress {
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    pub fn new(total: usize) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Progress {
            total,
            done: 0,
            shown: io::stderr().is_terminal() && !dumb,
        }
    }

    /// Progress that nobody sees.
    #[cfg(test)]
    pub fn hidden() -> Self {
        Progress {
            total: 0,
            done: 0,
            shown: false,
        }
    }

    /// Counts one more without drawing.
    pub fn advance(&mut self) {
        self.done += 1;
    }

    /// Draws it; `waiting_for` is one of those that are not done.
    pub fn draw(&self, waiting_for: Option<&str>) {
        if self.shown && self.done < self.total {
            let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
            // One column stays free: some terminals wrap when the last one is written.
            let text = cut(&self.text(waiting_for), usize::from(columns).saturating_sub(1));
            let _ = write!(io::stderr(), "\r\u{1b}[2K{text}");
            let _ = io::stderr().flush();
        }
    }

    /// Takes the line away, so that something else can be written there.
    pub fn erase(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[2K");
            let _ = io::stderr().flush();
        }
    }

    fn text(&self, waiting_for: Option<&str>) -> String {
        let done = format!("{}/{} done", self.done, self.total);
        match waiting_for {
            Some(name) => format!("{done}, waiting for {name}"),
            None => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_changes_nothing_and_a_full_disk_does() {
        let mut output = Output::to(Box::new(Failing(io::ErrorKind::BrokenPipe)));
        output.write("x");
        assert_eq!(
            format!("{:?}", output.exit(1)),
            format!("{:?}", ExitCode::from(1))
        );
        let mut output = Output::to(Box::new(Failing(io::ErrorKind::StorageFull)));
        output.write("x");
        assert_eq!(
            format!("{:?}", output.exit(0)),
            format!("{:?}", ExitCode::from(CANNOT_WRITE))
        );
    }

    #[test]
    fn progress_counts() {
        let mut progress = Progress {
            total: 3,
            done: 0,
            shown: false,
        };
        progress.advance();
        assert_eq!(progress.text(None), "1/3 done");
        assert_eq!(
            progress.text(Some("tcp://a:1")),
            "1/3 done, waiting for tcp://a:1"
        );
    }
}
