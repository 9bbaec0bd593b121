//! The service manager: what it handed over, what it is told, and the question to the engine's loop whose answer feeds its
//! watchdog. Without one nothing happens.
//!
//! **When we are ready.** READY=1 goes out when the configuration is in force, the exporters and the listener have started and
//! what another run left is restored: when the engine's loop has answered a question that was put behind the plan. It does not
//! wait for the first round, as `/-/ready` does: first probes are spread over a minute, so that a start job (and with it the
//! boot) would last for as long, and no dependency may make our own start fail by being slow.
//!
//! **The watchdog** is fed by answers of the loop, which are asked for from the exporters' thread: a timer alone cannot feed it,
//! and neither can a loop that has stopped.

#[cfg_attr(not(target_os = "linux"), path = "absent.rs")]
mod notify;
mod status;
mod turn_away;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::model::event::Event;
use crate::net::reader::Reader;

use super::teller::Listener;

pub use notify::{HandoverError, Manager, take_over};
use status::Board;

/// What the service manager handed over at the start.
#[derive(Debug, Default)]
pub struct Handover {
    pub manager: Manager,
    /// Sockets that listen already (sd_listen_fds(3)): they are served instead of the configured address.
    pub sockets: Vec<TcpListener>,
}

impl Handover {
    /// There is no daemon to serve what it was started for, and starting it again helps nobody. Returns at once where there are
    /// no sockets; otherwise it blocks for seconds, so that starts do not follow each other too quickly.
    pub fn turn_away(&self, why: &str) {
        turn_away::turn_away(&self.sockets, turn_away::TURNS_AWAY, why);
    }
}

/// How many questions the loop is asked in the time after which the watchdog bites. Two would do (sd_watchdog_enabled(3)); one
/// more leaves room for an answer that comes late.
const QUESTIONS: u32 = 3;

/// Wakes who writes the status line when an event changes what it says.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Notify>);

impl Changes {
    /// Listens to events on behalf of the status line.
    pub fn listener(&self) -> Listener {
        let changed = Arc::clone(&self.0);
        Box::new(move |event| {
            if tells(event) {
                changed.notify_one();
            }
        })
    }
}

/// Whether an event changes what the status line says.
const fn tells(event: &Event) -> bool {
    matches!(
        event,
        Event::StateChanged { .. } | Event::PlanApplied { .. } | Event::VantageChanged(_)
    )
}

/// Keeps the service manager informed. Dropping it ends that.
#[derive(Debug)]
pub struct Informed {
    manager: Manager,
    board: Arc<Board>,
    telling: Option<JoinHandle<()>>,
    feeding: Option<JoinHandle<()>>,
}

impl Informed {
    /// Says that we are ready, once the engine's loop has answered, and keeps on telling. `beside` is where that runs: not among
    /// the probes. Returns at once where there is nobody to tell.
    pub async fn start(manager: Manager, changes: Changes, reader: Reader, beside: &Handle) -> Informed {
        let board = Arc::new(Board::new(reader.clone(), changes));
        let mut informed = Informed {
            manager: manager.clone(),
            board: Arc::clone(&board),
            telling: None,
            feeding: None,
        };
        if !manager.is_there() {
            return informed;
        }
        // An error means that the loop has gone already, and with it what could be ready.
        if let Ok(line) = board.line().await {
            manager.ready(&line);
        }
        informed.telling = Some(beside.spawn(board.keep_telling(manager.clone())));
        informed.feeding = manager
            .watchdog()
            .map(|period| beside.spawn(feed(manager, reader, period / QUESTIONS)));
        informed
    }

    /// A reload begins, whoever asked for it.
    pub fn reloading(&self) {
        self.manager.reloading();
    }

    /// Ends what [`reloading`](Self::reloading) began, however it went: a service that does not say READY again is given up.
    /// `refused` says in a line why the old configuration is still in force, if it is.
    pub async fn reloaded(&self, refused: Option<&str>) {
        self.board.set_refused(refused);
        if self.manager.is_there()
            && let Ok(line) = self.board.line().await
        {
            self.manager.ready(&line);
        }
    }

    /// From now on only the watchdog is fed, for as long as the loop answers.
    pub fn stopping(&mut self) {
        if let Some(telling) = self.telling.take() {
            telling.abort();
        }
        self.manager.stopping("stopping: letting what is under way end");
    }
}

impl Drop for Informed {
    fn drop(&mut self) {
        for task in self.telling.iter().chain(&self.feeding) {
            task.abort();
        }
    }
}

/// Feeds the watchdog with every answer of the loop, until the loop has gone.
async fn feed(manager: Manager, reader: Reader, period: Duration) {
    // An answer that does not come is waited for: that is what the watchdog is for.
    while reader.engine().await.is_ok() {
        manager.alive();
        tokio::time::sleep(period).await;
    }
}

#[cfg(test)]
mod tests;
