//! Events as lines of text.

use std::fmt::{self, Write as _};

use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::priority;
use crate::net::wall::now as wall_now;

/// Lines for people, and for journald from a service's standard error.
pub struct Lines {
    pub journald: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journald {
            write!(writer, "<{}>", priority(level))?;
        } else {
            let (on, off) = if writer.has_ansi_escapes() {
                (colour(level), "\u{1b}[0m")
            } else {
                ("", "")
            };
            write!(writer, "{} {on}{level:>5}{off} ", wall_now())?;
        }
        let mut line = String::new();
        if event.metadata().target().starts_with(super::ROOM) {
            // The sentence says what the fields say; those are for machines.
            event.record(&mut Message(&mut line));
        } else {
            context.format_fields(Writer::new(&mut line), event)?;
        }
        // A line break would end the entry and lose the priority of the rest.
        let line = if self.journald {
            line.replace(['\n', '\r'], " ")
        } else {
            line
        };
        writeln!(writer, "{line}")
    }
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG | Level::TRACE => "\u{1b}[2m",
    }
}

/// Takes an event's message and leaves its other fields.
struct Message<'a>(&'a mut String);

impl tracing::field::Visit for Message<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
