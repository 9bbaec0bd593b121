//! `whyd run`: the daemon as a service, with its signals.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::config::{Diagnostics, Loaded, Overrides};
use crate::model::plan::{Listen, Plan};
use crate::net::wall;
use crate::report::units::{dependencies_on_hosts, share_of};
use crate::web::ReloadRequest;

use super::assemble::{Daemon, Options, Running};
use super::discovery::Discovery;
use super::reload::{Source, unchangeable};

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
pub fn run(options: ServiceOptions) -> ExitCode {
    let open_files = limits::raise_open_files();
    let state_dir = options.state_dir;
    let source = Source {
        path: options.config,
        listen: options.listen,
        overrides: options.overrides,
    };
    let watch = options.watch_config.then(|| ConfigWatch::new(&source.path));
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(false));
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
    let service = runtime.spawn(start((source, watch), loaded, open_files, state_dir));
    let ended = runtime.block_on(service).unwrap_or_else(|panicked| {
        error!("the service has ended by a bug: {panicked}");
        ExitCode::FAILURE
    });
    // The system's resolver may hold a thread for many seconds more, and nobody waits for its answer.
    runtime.shutdown_background();
    ended
}

async fn start(
    (source, watch): (Source, Option<ConfigWatch>),
    loaded: Loaded,
    open_files: Option<u64>,
    state_dir: Option<PathBuf>,
) -> ExitCode {
    let (reload, reloads) = mpsc::channel(4);
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(failed) => {
            error!("cannot listen for signals: {failed}");
            return ExitCode::FAILURE;
        }
    };
    let mut discovery = Discovery::start(loaded, state_dir.clone());
    let plan = tokio::select! {
        plan = discovery.first_plan() => plan,
        _ = signals.terminate.recv() => return ExitCode::SUCCESS,
        _ = signals.interrupt.recv() => return ExitCode::SUCCESS,
    };
    let listen = plan.listen.clone();
    announce(&plan);
    warn_of_few_descriptors(&plan, open_files);
    let daemon = Options {
        logging: true,
        reload: Some(reload.clone()),
        state_dir,
        ..Options::default()
    };
    match Daemon::start(plan, daemon).await {
        Ok(running) => {
            memory::give_back();
            discovery.show_in(running.process());
            if let Some(watch) = watch {
                watch.start(reload);
            }
            if let Some(address) = running.listen_address() {
                info!(
                    "metrics, API and health are on http{}://{address}",
                    tls_letter(listen.as_ref())
                );
            }
            Service {
                source,
                running,
                discovery,
                reloads,
                listen,
            }
            .serve(signals)
            .await
        }
        Err(failed) => {
            error!("{failed}");
            ExitCode::FAILURE
        }
    }
}

fn tls_letter(listen: Option<&Listen>) -> &'static str {
    if listen.is_some_and(|listen| listen.tls.is_some()) {
        "s"
    } else {
        ""
    }
}

fn announce(plan: &Plan) {
    let hosts: std::collections::BTreeSet<_> = plan.dependencies.iter().map(|d| &d.host).collect();
    info!(
        "whyd {} watches {}",
        env!("CARGO_PKG_VERSION"),
        dependencies_on_hosts(plan.dependencies.len(), hosts.len())
    );
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
}

struct Service {
    source: Source,
    running: Running,
    discovery: Discovery,
    reloads: mpsc::Receiver<ReloadRequest>,
    /// As bound, which a reload does not change.
    listen: Option<Listen>,
}

impl Service {
    async fn serve(mut self, mut signals: Signals) -> ExitCode {
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.hangup.recv() => {
                    // The outcome is in the log.
                    let _ = self.reload().await;
                }
                Some(request) = self.reloads.recv() => {
                    let outcome = self.reload().await;
                    // The client may have gone away meanwhile.
                    let _ = request.reply.send(outcome);
                }
                () = self.discovery.changed() => self.rediscover().await,
                _ = pulse.tick() => if self.running.has_died() {
                    error!("the engine's loop has ended: this is a bug; exiting so that the service manager restarts us");
                    return ExitCode::FAILURE;
                },
            }
        }
        info!("stopping: letting what is under way end");
        tokio::select! {
            () = self.running.stop() => {}
            _ = signals.interrupt.recv() => warn!("interrupted again: stopping at once"),
        }
        info!("stopped");
        ExitCode::SUCCESS
    }

    /// Puts what is found now in force, where it changes anything.
    async fn rediscover(&mut self) {
        let Some(plan) = self.discovery.plan().await else {
            return;
        };
        if let Err(error) = self.running.replan(plan).await {
            error!("what was found cannot be put in force: {error}");
        }
    }

    async fn reload(&mut self) -> Result<String, String> {
        let source = self.source.clone();
        let loaded = tokio::task::spawn_blocking(move || source.load()).await;
        let outcome = match loaded {
            Ok(Ok(loaded)) => self.take(loaded).await,
            Ok(Err(diagnostics)) => Err(plain(&diagnostics)),
            Err(panicked) => Err(format!("reading the configuration failed: {panicked}")),
        };
        self.running.process().reloaded(outcome.is_ok(), wall::now());
        match &outcome {
            Ok(said) => info!("reloaded {}: {said}", self.source.path().display()),
            Err(said) => error!("reload refused, the old configuration stays in force:\n{said}"),
        }
        outcome
    }

    async fn take(&mut self, loaded: Loaded) -> Result<String, String> {
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let plan = self.discovery.reconfigure(loaded).await;
        let mut said = format!("{} dependencies", plan.dependencies.len());
        if let Some(unchanged) = unchangeable(self.listen.as_ref(), plan.listen.as_ref()) {
            warn!("{unchanged}");
            said = format!("{said}; {unchanged}");
        }
        self.running
            .replan(plan)
            .await
            .map_err(|error| error.to_string())?;
        Ok(said)
    }
}

fn plain(diagnostics: &Diagnostics) -> String {
    diagnostics.render(false)
}
