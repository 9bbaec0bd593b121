//! Puts the rooms together: a plan in, a running daemon out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::Input;
use crate::export::process::ProcessFigures;
use crate::export::resource::Identity;
use crate::model::event::Event;
use crate::model::plan::{Listen, Plan};
use crate::model::record::Record;
use crate::model::silence::{Maintenance, Opening};
use crate::net::reader::Reader;
use crate::net::wall;
use crate::probe::Prober;
use crate::store::{OpenError, Store, Writer, Writing, Written};
use crate::web::{ReloadRequest, Web};

use super::calendar::{self, Calendar};
use super::clock::Clock;
use super::election::Elections;
use super::engine_loop::{Channels, EngineLoop};
use super::exporters::{ExportError, Exporters};
use super::headroom;
use super::monitor;
use super::runtimes::Aside;
use super::teller::{Listener, Teller};

/// Answers of probes that may wait for the loop.
const INPUT_QUEUE: usize = 4096;
/// Questions of readers that may wait.
const READ_QUEUE: usize = 64;
/// Events that may wait for the teller.
const EVENT_QUEUE: usize = 8192;

/// How long a stop waits for the operations under way, and then for exporters. Together they stay below the 10 s that
/// INTERFACES promises.
const DRAIN: Duration = Duration::from_secs(6);
/// Of the drain, how long what was just decided may take to reach its receivers. What does not is kept for the next
/// start, where there is a state directory.
const DELIVER: Duration = Duration::from_millis(1_500);
const FLUSH: Duration = Duration::from_millis(2_500);
/// How long a stop waits for what is being written to the state directory.
const KEEP: Duration = Duration::from_millis(700);

/// What the caller decides beside the plan.
#[derive(Default)]
pub struct Options {
    /// Seed of the engine's jitter; drawn from the system when `None`.
    pub seed: Option<u64>,
    /// Whether events are logged.
    pub logging: bool,
    pub listener: Option<Listener>,
    /// Where requests for a reload go; without it `/-/reload` answers that there is nothing to reload.
    pub reload: Option<mpsc::Sender<ReloadRequest>>,
    /// Where what must survive a restart is kept; without it nothing does.
    pub state_dir: Option<PathBuf>,
    /// Sockets that listen already, which are served in place of the configured address.
    pub sockets: Vec<std::net::TcpListener>,
}

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: std::io::Error,
    },
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    State(#[from] OpenError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    /// The system's error number, where it was a system call that failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            StartError::Listen { error, .. } | StartError::Thread(error) => error.raw_os_error(),
            StartError::Export(_) | StartError::State(_) => None,
        }
    }
}

/// Starts daemons.
pub struct Daemon;

/// A daemon at work. Dropping it ends it at once; [`stop`](Self::stop) ends it in an orderly way.
pub struct Running {
    inputs: mpsc::Sender<Input>,
    reader: Reader,
    process: Arc<ProcessFigures>,
    exporters: Exporters,
    elections: Elections,
    listen_address: Option<SocketAddr>,
    shutdown: watch::Sender<bool>,
    drained: watch::Receiver<bool>,
    engine_loop: JoinHandle<()>,
    teller: JoinHandle<()>,
    web: Option<JoinHandle<()>>,
    /// What looks at this process again and again.
    samplers: Vec<JoinHandle<()>>,
    /// The maintenance windows in force; the calendar sees them change.
    windows: watch::Sender<Arc<[Maintenance]>>,
    clock: Clock,
    /// The thread that writes down what must survive; it writes what waits and ends when this goes.
    state: Option<Writing>,
    /// The thread of the exporters and the listener; it ends with this.
    aside: Option<Aside>,
}

impl Daemon {
    /// Starts watching what the plan names. Must be called within a tokio runtime.
    pub async fn start(plan: Plan, options: Options) -> Result<Running, StartError> {
        let clock = Clock::start();
        let (inputs, input_ends) = mpsc::channel(INPUT_QUEUE);
        let (reader, reads) = Reader::new(READ_QUEUE);
        let (events, event_ends) = mpsc::channel(event_queue(&plan));
        let (shutdown, shutdown_seen) = watch::channel(false);
        let (drained, drained_seen) = watch::channel(false);
        let process = ProcessFigures::new(clock.now().wall).known_as(Identity::of_host(plan.listen.as_ref()));
        let process = Arc::new(process);
        process.reloaded(true, clock.now().wall);

        let State {
            writer,
            writing,
            kept,
        } = match options.state_dir {
            Some(directory) => open_state(directory, inputs.clone(), Arc::clone(&process)).await?,
            None => State::default(),
        };
        // One round exports nothing and serves nobody, so it needs no thread for that.
        let aside = if plan.one_round {
            None
        } else {
            Some(Aside::start().map_err(StartError::Thread)?)
        };
        let beside = aside
            .as_ref()
            .and_then(Aside::handle)
            .cloned()
            .unwrap_or_else(Handle::current);
        let dropped = Arc::new(AtomicU64::new(0));
        let (untold, untold_seen) = watch::channel(None);
        let channels = Channels {
            inputs: input_ends,
            answers: inputs.clone(),
            reads,
            events,
            dropped: Arc::clone(&dropped),
            store: writer.clone(),
            untold,
            beside: beside.clone(),
        };
        let seed = options.seed.unwrap_or_else(random_seed);
        let engine_loop = EngineLoop::new(seed, clock, Arc::new(Prober::new()), channels, kept);

        let exporters = Exporters::start(beside.clone(), plan.otlp.as_ref(), &reader, &process)?;
        let listen_address_and_web = match &plan.listen {
            Some(listen) => {
                let web = Web {
                    reader: reader.clone(),
                    process: Arc::clone(&process),
                    reload: options.reload,
                };
                Some(serve(&beside, listen, options.sockets, web, shutdown_seen)?)
            }
            None => None,
        };
        let (listen_address, web) = listen_address_and_web.unzip();
        let listener = tell_when_drained(options.listener, drained);
        let (traces, alert_logs) = (exporters.traces(), exporters.alert_logs());
        let teller = Teller {
            events: event_ends,
            listener: Some(listener),
            traces,
            alert_logs,
            logging: options.logging,
            dropped,
        };
        let (windows, windows_seen) = watch::channel(Arc::clone(&plan.alerting.maintenance));
        let calendar = Calendar {
            windows: windows_seen,
            inputs: inputs.clone(),
            clock,
        };
        let samplers = if plan.one_round {
            Vec::new()
        } else {
            vec![
                tokio::spawn(headroom::watch(inputs.clone())),
                tokio::spawn(monitor::watch(Arc::clone(&process), inputs.clone())),
                // Not among the probes: thousands of windows are as many conversions.
                beside.spawn(calendar.run()),
            ]
        };
        let elections = Elections::new(inputs.clone(), untold_seen, random_seed());
        let mut running = Running {
            inputs,
            reader,
            process,
            exporters,
            elections,
            listen_address,
            shutdown,
            drained: drained_seen,
            engine_loop: tokio::spawn(engine_loop.run()),
            teller: tokio::spawn(teller.run()),
            web,
            samplers,
            windows,
            clock,
            state: writing,
            aside,
        };
        // One round asks all at once, as the user did: what that runs out of is part of the diagnosis.
        if let Some(resources) = headroom::sample().filter(|_| !plan.one_round) {
            running.send(Input::ResourcesChanged(resources)).await;
        }
        // Before the plan: what another run left to be told must not be told within a window.
        if !plan.alerting.maintenance.is_empty() {
            let openings = running.openings(&plan.alerting.maintenance);
            running.send(Input::CalendarChanged(openings)).await;
        }
        let plan = Arc::new(plan);
        running.send(Input::PlanChanged(Arc::clone(&plan))).await;
        running.elections.change(&plan);
        Ok(running)
    }
}

/// What the state directory gave.
#[derive(Default)]
struct State {
    writer: Option<Writer>,
    writing: Option<Writing>,
    kept: Vec<Record>,
}

/// Opens the state directory and starts the thread that writes there, which answers the engine through `inputs`.
async fn open_state(
    directory: PathBuf,
    inputs: mpsc::Sender<Input>,
    process: Arc<ProcessFigures>,
) -> Result<State, StartError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&directory)).await;
    let opened = opened.map_err(|panicked| StartError::Thread(std::io::Error::other(panicked)))??;
    for warning in &opened.warnings {
        tracing::warn!("{warning}");
    }
    process.state_written(opened.store.trouble());
    if let Some(lost) = opened.lost {
        process.state_was_lost(wall::now(), lost);
    }
    let answer = move |Written { seq, trouble }| {
        let durable = trouble.is_none();
        process.state_written(trouble);
        // The loop is gone only when the process ends.
        let _ = inputs.blocking_send(Input::Persisted { seq, durable });
    };
    let (writer, writing) = Writer::start(opened.store, Box::new(answer)).map_err(StartError::Thread)?;
    Ok(State {
        writer: Some(writer),
        writing: Some(writing),
        kept: opened.records,
    })
}

/// One round tells a few events of each dependency and then that it is done, none of which may be lost.
fn event_queue(plan: &Plan) -> usize {
    if plan.one_round {
        EVENT_QUEUE.max(4 * plan.dependencies.len())
    } else {
        EVENT_QUEUE
    }
}

/// Listens for the end of the work on behalf of [`Running::drained`].
fn tell_when_drained(mut inner: Option<Listener>, drained: watch::Sender<bool>) -> Listener {
    Box::new(move |event| {
        if let Some(inner) = &mut inner {
            inner(event);
        }
        if matches!(event, Event::Drained) {
            drained.send_replace(true);
        }
    })
}

fn serve(
    runtime: &Handle,
    listen: &Listen,
    handed_over: Vec<std::net::TcpListener>,
    web: Web,
    shutdown: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let _here = runtime.enter();
    let refused = |error| StartError::Listen {
        address: listen.address,
        error,
    };
    let listeners = sockets(handed_over, listen.address).map_err(refused)?;
    let address = match listeners.first() {
        Some(first) => first.local_addr().map_err(refused)?,
        None => listen.address,
    };
    let server = crate::web::Server::new(listen, web).map_err(refused)?;
    Ok((address, runtime.spawn(server.serve(listeners, shutdown))))
}

/// What listens: what was handed over, or else a socket of our own.
fn sockets(
    mut handed_over: Vec<std::net::TcpListener>,
    address: SocketAddr,
) -> std::io::Result<Vec<TcpListener>> {
    if handed_over.is_empty() {
        // The standard library sets SO_REUSEADDR, so that a restart finds its port free.
        handed_over.push(std::net::TcpListener::bind(address)?);
    }
    let listening = handed_over.into_iter().map(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    listening.collect()
}

/// Asks again and again until no notification waits. Nothing tells, since nobody but a stop wants to know.
async fn outbox_is_empty(reader: &Reader) {
    while let Ok(receivers) = reader.receivers().await {
        if receivers.iter().all(|receiver| receiver.waiting == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hasher is keyed from the system's randomness.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

impl Running {
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    pub fn process(&self) -> Arc<ProcessFigures> {
        Arc::clone(&self.process)
    }

    /// Where what must not delay the probes runs.
    pub fn beside(&self) -> Handle {
        let aside = self.aside.as_ref().and_then(Aside::handle).cloned();
        aside.unwrap_or_else(Handle::current)
    }

    /// Where the listener really is (the configured port may be 0).
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen_address
    }

    /// Puts another plan in force.
    pub async fn replan(&mut self, plan: Plan) -> Result<(), StartError> {
        self.exporters
            .change(plan.otlp.as_ref(), &self.reader, &self.process)
            .await?;
        let windows = Arc::clone(&plan.alerting.maintenance);
        let before = Arc::clone(&self.windows.borrow());
        if !(windows.is_empty() && before.is_empty()) {
            // The old ones and the new ones, since neither plan may be without its windows for a moment; the calendar follows
            // with the new ones alone.
            let mut openings = self.openings(&before);
            openings.extend(self.openings(&windows));
            self.send(Input::CalendarChanged(openings)).await;
        }
        let plan = Arc::new(plan);
        self.send(Input::PlanChanged(Arc::clone(&plan))).await;
        self.elections.change(&plan);
        self.windows.send_replace(windows);
        Ok(())
    }

    /// Waits until a plan of one round is done.
    pub async fn drained(&mut self) {
        // An error means that the teller is gone, and with it all that could be waited for.
        let _ = self.drained.wait_for(|drained| *drained).await;
    }

    /// Whether the loop has ended although nobody stopped it: a bug, after which nothing is watched.
    pub fn has_died(&self) -> bool {
        self.engine_loop.is_finished()
    }

    /// Stops in an orderly way within 10 s: begins nothing more, lets what is under way end, flushes exports.
    pub async fn stop(mut self) {
        self.send(Input::Stop).await;
        let reader = self.reader.clone();
        let _ = tokio::time::timeout(DRAIN, async {
            self.drained().await;
            let _ = tokio::time::timeout(DELIVER, outbox_is_empty(&reader)).await;
        })
        .await;
        // What this replica had to tell has been told: another one may speak.
        let last = async { tokio::join!(self.exporters.stop(), self.elections.release()) };
        let _ = tokio::time::timeout(FLUSH, last).await;
        self.shutdown.send_replace(true);
        if let Some(web) = self.web.take() {
            let _ = tokio::time::timeout(Duration::from_millis(500), web).await;
        }
        if let Some(writing) = self.state.take() {
            // While the loop still takes the writer's answers.
            let finished = tokio::task::spawn_blocking(move || writing.finish());
            let _ = tokio::time::timeout(KEEP, finished).await;
        }
        self.engine_loop.abort();
        let _ = (&mut self.engine_loop).await;
        // The loop is gone, so the teller ends as soon as it has told what was left.
        let _ = tokio::time::timeout(Duration::from_millis(200), &mut self.teller).await;
    }

    /// Ends at once what is under way: it concludes as abandoned, or with what is known of it.
    pub async fn abandon(&mut self) {
        self.send(Input::Abandon).await;
        // Nothing is waited for but the loop itself.
        let _ = tokio::time::timeout(FLUSH, self.drained()).await;
    }

    fn openings(&self, windows: &[Maintenance]) -> Vec<Opening> {
        calendar::openings(windows, self.clock.now().wall)
    }

    async fn send(&self, input: Input) {
        // The loop ends only with this handle.
        let _ = self.inputs.send(input).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in [&self.engine_loop, &self.teller]
            .into_iter()
            .chain(&self.web)
            .chain(&self.samplers)
        {
            task.abort();
        }
    }
}
