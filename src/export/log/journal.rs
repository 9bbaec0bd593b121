//! Lines as entries of systemd's journal, with fields (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
//!
//! tracing-journald writes to the socket on the thread that logs, which is a probe's or the teller's: a journal that does not
//! read would hold them. Here an entry goes through the log's bounded queue like any line, and the one thread that writes it
//! falls back to a plain line on standard error where the journal does not take it.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{is_ours, priority, writer};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// By what name lines are found (`journalctl -t`), as in `SYSLOG_IDENTIFIER`.
const IDENTIFIER: &str = "whyd";
/// Longest value of one field, in bytes: what the journal takes as one line (`LineMax=`, journald.conf(5)). Together with the
/// other fields it fits into a datagram, whose usual limit is 208 KiB (`net.core.wmem_default`).
const VALUE: usize = 48 * 1024;
/// Longest name of a field, in bytes (`journal_field_valid` in systemd's src/libsystemd/sd-journal/journal-file.c).
const NAME: usize = 64;

/// Whether standard error leads to the journal: whether it is the very stream that systemd made for it (systemd.exec(5),
/// `$JOURNAL_STREAM`).
pub fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(own) = io::stderr().as_fd().try_clone_to_owned() else {
        return false;
    };
    let metadata = std::fs::File::from(own).metadata();
    metadata.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Makes entries of events and queues them.
pub struct Entries {
    queue: writer::Queue,
}

impl Entries {
    pub fn new(queue: writer::Queue) -> Entries {
        Entries { queue }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Entries {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Queueing does not fail.
        let _ = (&self.queue).write_all(&entry(event));
    }
}

/// An event as an entry. Other crates' fields stay in the text, since their names may mean anything.
pub fn entry(event: &tracing::Event<'_>) -> Vec<u8> {
    let metadata = event.metadata();
    let mut said = Said {
        has_fields: is_ours(metadata.target()),
        says_all: metadata.target().starts_with(super::ROOM),
        ..Said::default()
    };
    event.record(&mut said);
    let mut entry = plain(
        priority(*metadata.level()),
        &format!("{}{}", said.message, said.rest),
    );
    for (name, value) in &said.fields {
        put(&mut entry, name, value);
    }
    entry
}

/// An entry without fields of its own. What every entry begins with: see [`line`].
pub fn plain(priority: u8, message: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(message.len() + 64);
    put(&mut entry, "PRIORITY", &priority.to_string());
    put(&mut entry, "MESSAGE", message);
    put(&mut entry, "SYSLOG_IDENTIFIER", IDENTIFIER);
    entry
}

/// A value without a line break stands after `=`; any other follows its length in little endian.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    let value = bounded(value);
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

fn bounded(value: &str) -> &str {
    let mut end = value.len().min(VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// What an event says.
#[derive(Default)]
struct Said {
    /// Its fields are fields of the entry.
    has_fields: bool,
    /// The message says what the fields say.
    says_all: bool,
    message: String,
    /// The fields, as they follow the message in the text.
    rest: String,
    fields: Vec<(String, String)>,
}

impl Said {
    fn take(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            let _ = self.message.write_fmt(value);
            return;
        }
        let value = value.to_string();
        if !self.says_all {
            let _ = write!(self.rest, " {}={value}", field.name());
        }
        if self.has_fields
            && let Some(name) = field_name(field.name())
        {
            self.fields.push((name, value));
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format_args!("{value:?}"));
    }
}

/// As the journal has names: capitals, digits and underscores, and no underscore in front, which marks what the journal itself
/// found out.
fn field_name(name: &str) -> Option<String> {
    let name: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
            _ => '_',
        })
        .take(NAME)
        .collect();
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
    let is_ours_to_set = !matches!(&*name, "MESSAGE" | "PRIORITY" | "SYSLOG_IDENTIFIER");
    (is_name && is_ours_to_set).then_some(name)
}

/// Takes whole entries, one with each write. What the journal does not take goes to standard error as a plain line.
pub struct Sink<W> {
    socket: UnixDatagram,
    path: &'static str,
    instead: W,
}

impl Sink<io::Stderr> {
    /// # Errors
    /// There is no journal to write to.
    pub fn open() -> io::Result<Self> {
        Sink::new(SOCKET, io::stderr())
    }
}

impl<W: Write> Sink<W> {
    fn new(path: &'static str, instead: W) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // Tried and not kept: a journal that restarts may listen on a new socket.
        socket.connect(path)?;
        Ok(Sink {
            socket: UnixDatagram::unbound()?,
            path,
            instead,
        })
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        if self.socket.send_to(entry, self.path).is_err() {
            self.instead.write_all(line(entry).as_bytes())?;
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.instead.flush()
    }
}

/// An entry as one line with its priority in front (sd-daemon(3)), which the journal understands on standard error.
fn line(entry: &[u8]) -> String {
    let value = |wanted: &str| {
        let found = fields(entry).find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value).unwrap_or_default()
    };
    let message = value("MESSAGE").replace(['\n', '\r'], " ");
    format!("<{}>{message}\n", value("PRIORITY"))
}

/// The fields of an entry of our own making.
fn fields(entry: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = entry;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b'\n'))?;
        let name = &rest[..end];
        let after = &rest[end + 1..];
        let (value, next) = if rest[end] == b'=' {
            let length = after.iter().position(|byte| *byte == b'\n')?;
            (&after[..length], &after[length + 1..])
        } else {
            let (length, after) = after.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            (after.get(..length)?, after.get(length + 1..)?)
        };
        rest = next;
        Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
    })
}

#[cfg(test)]
mod tests;
