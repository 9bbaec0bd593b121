//! `whyd run`: the daemon as a service, with its signals.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::config::{Diagnostics, Loaded, Overrides, Severity};
use crate::export::log;
use crate::model::plan::{Listen, Plan};
use crate::net::wall;
use crate::report::units::share_of;
use crate::web::ReloadRequest;

use super::assemble::{Daemon, Options, Running};
use super::discovery::Discovery;
use super::reading::{self, Reading};
use super::reload::{Source, unchangeable};
use super::systemd::{Changes, Handover, Informed};

use super::watch_config::ConfigWatch;
use super::{limits, memory, runtimes};

/// The exit status for a bad configuration: EX_CONFIG of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;
/// How often the service looks whether its loop is alive.
const PULSE: Duration = Duration::from_secs(1);

/// What the command line gives.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    pub config: PathBuf,
    pub listen: Option<SocketAddr>,
    /// Where what must survive a restart is kept.
    pub state_dir: Option<PathBuf>,
    /// Which share of the work is this replica's, and where it watches from.
    pub overrides: Overrides,
    /// Whether the configuration is read again when its files have changed.
    pub watch_config: bool,
}

/// Runs until SIGTERM or SIGINT. 0 after a clean stop, 78 for a bad configuration, 1 for anything else.
pub fn run(options: ServiceOptions, handover: Handover) -> ExitCode {
    let open_files = limits::raise_open_files();
    let source = Source {
        path: options.config,
        listen: options.listen,
        overrides: options.overrides,
    };
    let watch = options.watch_config.then(|| ConfigWatch::new(&source.path));
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            log::complain(&diagnostics.render(false));
            let brief = brief(&diagnostics);
            handover
                .manager
                .failed(None, &format!("the configuration is refused: {brief}"));
            handover.turn_away("whyd's configuration is refused: its log says why (journalctl -u whyd)");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let runtime = match runtimes::for_probes(runtimes::workers(&loaded.plan)) {
        Ok(runtime) => runtime,
        Err(failed) => {
            error!("cannot start the probes' threads: {failed}");
            return ExitCode::FAILURE;
        }
    };
    // On a thread of the runtime and not on this one, which would have to wake another for each event.
    let start = Start {
        source,
        watch,
        open_files,
        state_dir: options.state_dir,
        handover,
    };
    let service = runtime.spawn(start.run(loaded));
    let ended = runtime.block_on(service).unwrap_or_else(|panicked| {
        error!("the service has ended by a bug: {panicked}");
        ExitCode::FAILURE
    });
    // The system's resolver may hold a thread for many seconds more, and a dead mount for ever. Nobody waits for their answers.
    runtime.shutdown_background();
    ended
}

/// What a start needs besides the plan.
struct Start {
    source: Source,
    watch: Option<ConfigWatch>,
    /// The limit in force, where it is known.
    open_files: Option<u64>,
    state_dir: Option<PathBuf>,
    handover: Handover,
}

impl Start {
    async fn run(self, loaded: Loaded) -> ExitCode {
        let (reload, reloads) = mpsc::channel(4);
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(failed) => {
                error!("cannot listen for signals: {failed}");
                return ExitCode::FAILURE;
            }
        };
        let mut discovery = Discovery::start(loaded, self.state_dir.clone());
        let plan = tokio::select! {
            plan = discovery.first_plan() => plan,
            _ = signals.terminate.recv() => return ExitCode::SUCCESS,
            _ = signals.interrupt.recv() => return ExitCode::SUCCESS,
        };
        let listen = plan.listen.clone();
        announce(&plan);
        warn_of_few_descriptors(&plan, self.open_files);
        let Handover { manager, sockets } = self.handover;
        let is_handed_over = !sockets.is_empty();
        let changes = Changes::default();
        let daemon = Options {
            logging: true,
            reload: Some(reload.clone()),
            state_dir: self.state_dir,
            sockets,
            listener: manager.is_there().then(|| changes.listener()),
            ..Options::default()
        };
        let running = match Daemon::start(plan, daemon).await {
            Ok(running) => running,
            Err(failed) => {
                error!("{failed}");
                manager.failed(failed.errno(), &failed.to_string());
                return ExitCode::FAILURE;
            }
        };
        memory::give_back();
        discovery.show_in(running.process());
        if let Some(watch) = self.watch {
            watch.start(reload);
        }
        if let (Some(listen), Some(address)) = (&listen, running.listen_address()) {
            say_where(listen, address, is_handed_over);
        }
        let informed = Informed::start(manager, changes, running.reader(), &running.beside()).await;
        let service = Service {
            source: self.source,
            reading: Reading::default(),
            running,
            discovery,
            reloads,
            listen,
            informed,
        };
        service.serve(signals).await
    }
}

/// Where the listener is. What the configuration says of its address does not hold where systemd hands over a socket; the rest
/// of it does.
fn say_where(listen: &Listen, address: SocketAddr, is_handed_over: bool) {
    let tls = if listen.tls.is_some() { "s" } else { "" };
    info!("metrics, API and health are on http{tls}://{address}");
    if !is_handed_over {
        return;
    }
    if listen.address == address {
        info!("the listener's socket was handed over by systemd");
    } else {
        warn!(
            "the listener's socket was handed over by systemd: {address} is served, and listen.address ({}) is passed over",
            listen.address
        );
    }
    if listen.auth.is_some() && listen.tls.is_none() && !address.ip().is_loopback() {
        warn!("listen.auth: without tls, the password crosses the network in the clear");
    }
}

fn announce(plan: &Plan) {
    let hosts: std::collections::BTreeSet<_> = plan.dependencies.iter().map(|d| &d.host).collect();
    log::started(env!("CARGO_PKG_VERSION"), plan.dependencies.len(), hosts.len());
    if let Some(scale_out) = &plan.scale_out {
        info!("{}", share_of(scale_out, plan.dependencies.len()));
    }
    if let Some(otlp) = &plan.otlp {
        info!("exporting OTLP to {} every {:?}", otlp.endpoint, otlp.interval);
    }
}

fn warn_of_few_descriptors(plan: &Plan, open_files: Option<u64>) {
    let wanted = limits::open_files_wanted(plan);
    if let Some(limit) = open_files.filter(|limit| *limit < wanted) {
        warn!(
            "up to {wanted} open files may be needed and the limit is {limit}: raise LimitNOFILE or ulimit -n"
        );
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Somebody wants us to end. It may be dropped at any time.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Service {
    source: Source,
    reading: Reading,
    running: Running,
    discovery: Discovery,
    reloads: mpsc::Receiver<ReloadRequest>,
    /// As bound, which a reload does not change.
    listen: Option<Listen>,
    informed: Informed,
}

/// What there is to do.
enum Task {
    /// Reads the configuration again, for whoever asks, or for a signal.
    Reload(Option<ReloadRequest>),
    /// Looks at what was found.
    Rediscover,
}

/// Why a reload did not put the new configuration in force.
struct Refusal {
    /// In a line.
    brief: String,
    /// All of it.
    whole: String,
}

impl Service {
    async fn serve(mut self, mut signals: Signals) -> ExitCode {
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            let task = tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.hangup.recv() => Task::Reload(None),
                Some(request) = self.reloads.recv() => Task::Reload(Some(request)),
                () = self.discovery.changed() => Task::Rediscover,
                _ = pulse.tick() => if self.running.has_died() {
                    error!("the engine's loop has ended: this is a bug; exiting so that the service manager restarts us");
                    return ExitCode::FAILURE;
                } else {
                    continue;
                },
            };
            // It may wait for files that do not answer. What was begun of it is not taken back by an end.
            tokio::select! {
                () = self.perform(task) => {}
                () = signals.end() => break,
            }
        }
        self.informed.stopping();
        log::stopping();
        tokio::select! {
            () = self.running.stop() => {}
            _ = signals.interrupt.recv() => warn!("interrupted again: stopping at once"),
        }
        info!("stopped");
        ExitCode::SUCCESS
    }

    async fn perform(&mut self, task: Task) {
        match task {
            Task::Rediscover => self.rediscover().await,
            // The outcome is in the log.
            Task::Reload(None) => drop(self.reload().await),
            Task::Reload(Some(request)) => {
                let outcome = self.reload().await;
                // The client may have gone away meanwhile.
                let _ = request.reply.send(outcome);
            }
        }
    }

    /// Puts what is found now in force, where it changes anything.
    async fn rediscover(&mut self) {
        let Some(plan) = self.discovery.plan().await else {
            return;
        };
        if let Err(error) = self.running.replan(plan).await {
            error!("what was found cannot be put in force: {error}");
            self.discovery.not_in_force();
        }
    }

    async fn reload(&mut self) -> Result<String, String> {
        self.informed.reloading();
        let source = self.source.clone();
        let loaded = self.reading.within(reading::LIMIT, move || source.load()).await;
        let outcome = match loaded {
            Ok(Ok(loaded)) => self.take(loaded).await.map_err(Refusal::of),
            Ok(Err(diagnostics)) => Err(Refusal {
                brief: brief(&diagnostics),
                whole: diagnostics.render(false),
            }),
            Err(unread) => Err(Refusal::of(format!("{}: {unread}", self.source.path().display()))),
        };
        self.running.process().reloaded(outcome.is_ok(), wall::now());
        match &outcome {
            Ok(said) => log::reloaded(self.source.path(), said),
            Err(refusal) => log::reload_refused(self.source.path(), &refusal.brief, &refusal.whole),
        }
        // Last, since whoever waits for it may look at the log.
        let refused = outcome.as_ref().err().map(|refusal| &*refusal.brief);
        self.informed.reloaded(refused).await;
        outcome.map_err(|refusal| refusal.whole)
    }

    async fn take(&mut self, loaded: Loaded) -> Result<String, String> {
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let prepared = self.discovery.prepare(loaded).await?;
        let plan = prepared.plan();
        let mut said = format!("{} dependencies", plan.dependencies.len());
        if let Some(unchanged) = unchangeable(self.listen.as_ref(), plan.listen.as_ref()) {
            warn!("{unchanged}");
            said = format!("{said}; {unchanged}");
        }
        // Discovery begins to look by it only when it is in force: nothing that was found is lost by one that is refused.
        self.running
            .replan(plan)
            .await
            .map_err(|error| error.to_string())?;
        self.discovery.adopt(prepared).await;
        Ok(said)
    }
}

impl Refusal {
    fn of(text: String) -> Refusal {
        Refusal {
            brief: text.clone(),
            whole: text,
        }
    }
}

/// The first thing that is wrong, and how many more there are.
fn brief(diagnostics: &Diagnostics) -> String {
    let mut errors = diagnostics.0.iter().filter(|one| one.severity == Severity::Error);
    let first = errors.next().map(|one| one.to_string()).unwrap_or_default();
    match errors.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}
