//! `whyd demo`: a small lab of misbehaving dependencies on loopback, watched through an ordinary configuration file by
//! the same assembly as `whyd run`.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::config::{self, Diagnostics, ProcessEnvironment};
use crate::daemon::{Daemon, Options, StartError};
use crate::model::dependency::DependencyIndex;
use crate::net::reader::{Reader, Stopped};

mod dependencies;
mod directory;
mod screen;
mod table;

pub use dependencies::{DemoLab, DemoLabError, ExpectedVerdict};
pub use screen::Screen;
pub use table::{Row, Standing, fixes, low_table, table};

/// What `whyd demo` was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoOptions {
    /// End after that time; otherwise on Ctrl-C.
    pub for_: Option<Duration>,
}

/// Why the demo did not come to an orderly end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Lab(#[from] DemoLabError),
    #[error("cannot write")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the demo's own configuration is refused, which is a bug:\n{0}")]
    Config(Diagnostics),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Time between two drawings on a terminal.
const REDRAW: Duration = Duration::from_millis(500);
/// Dependencies asked for in one page.
const PAGE: usize = 256;

/// Starts the lab and a daemon over its configuration file, and shows what that daemon finds until it is told to stop.
///
/// # Errors
/// See [`DemoError`].
pub async fn run(options: DemoOptions) -> Result<(), DemoError> {
    let lab = DemoLab::start().await?;
    let path = lab.write_config()?;
    let loaded = config::load(&path, &ProcessEnvironment).map_err(DemoError::Config)?;
    let stop = stop(options.for_)?;
    let running = Daemon::start(loaded.plan, Options::default()).await?;
    let mut screen = Screen::stdout();
    let shown = watch(&running.reader(), running.listen_address(), &mut screen, stop).await;
    running.stop().await;
    shown
}

/// Ends on Ctrl-C, on SIGTERM, or after that time.
///
/// # Errors
/// The signals cannot be listened for.
pub fn stop(after: Option<Duration>) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let time = async {
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Draws the table again and again until `stop` ends, and then prints it for good, with what to do about each failure.
///
/// # Errors
/// The output is closed, or the engine has stopped.
pub async fn watch<W: Write>(
    reader: &Reader,
    listening: Option<SocketAddr>,
    screen: &mut Screen<W>,
    stop: impl Future<Output = ()>,
) -> Result<(), DemoError> {
    tokio::pin!(stop);
    if !screen.is_live() {
        screen.print(&introduction(listening))?;
    }
    let mut ticks = tokio::time::interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick(), if screen.is_live() => {
                let rows = rows(reader).await?;
                let mut text = picture(&rows, listening, screen);
                if !screen.has_room_for(text.lines().count()) {
                    text = low_picture(&rows, listening, screen);
                }
                screen.draw(&text)?;
            }
        }
    }
    let rows = rows(reader).await?;
    let mut text = picture(&rows, listening, screen);
    let fixes = fixes(&rows, screen.width());
    if !fixes.is_empty() {
        text.push_str("\nwhat to do\n");
        text.push_str(&fixes);
    }
    screen.print(&text)?;
    Ok(())
}

/// Every dependency as the read model has it now, in the plan's order.
///
/// # Errors
/// The engine has stopped.
pub async fn rows(reader: &Reader) -> Result<Vec<Row>, Stopped> {
    let mut rows = Vec::new();
    let mut from = Some(DependencyIndex(0));
    while let Some(start) = from {
        let page = reader.page(start, PAGE).await?;
        for view in page.dependencies {
            // A dependency that went away between the page and this question is left out.
            if let Some(detail) = reader.detail(&view.dependency.name).await? {
                rows.push(Row::of(&detail));
            }
        }
        from = page.next;
    }
    Ok(rows)
}

fn picture<W: Write>(rows: &[Row], listening: Option<SocketAddr>, screen: &Screen<W>) -> String {
    let mut text = table(rows, screen.width(), screen.color);
    text.push_str(LEGEND);
    if let Some(address) = listening {
        text.push_str(&format!(
            "metrics: http://{address}/metrics\nAPI: http://{address}/api/v1/dependencies\n"
        ));
    }
    text
}

/// What fits 24 rows while it is redrawn; the whole picture comes at the end.
fn low_picture<W: Write>(rows: &[Row], listening: Option<SocketAddr>, screen: &Screen<W>) -> String {
    let mut text = low_table(rows, screen.width(), screen.color);
    text.push_str("(cause): it answers, and this was masked. What to do: at the end, after Ctrl-C.\n");
    if let Some(address) = listening {
        text.push_str(&format!("metrics: http://{address}/metrics\n"));
    }
    text
}

const LEGEND: &str = "
(cause): it answers, and this was masked by a retry or a fresh connection
fast: the failure came at once; slow: it used up a timeout
r/s: operations that needed a retry / kept connections found stale
";

fn introduction(listening: Option<SocketAddr>) -> String {
    match listening {
        Some(address) => format!("whyd watches its lab; metrics are at http://{address}/metrics\n\n"),
        None => "whyd watches its lab\n\n".to_owned(),
    }
}

#[cfg(test)]
mod tests;
