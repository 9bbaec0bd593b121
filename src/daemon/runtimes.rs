//! The runtimes: one for the loop and the probes, sized by what the plan asks of it, and one for what must never delay
//! them.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::model::dependency::Dependency;
use crate::model::plan::Plan;

/// CPU time of one operation, from the benchmark, rounded up: a plain one, and one with a TLS handshake.
const PLAIN_COST: Duration = Duration::from_micros(150);
const TLS_COST: Duration = Duration::from_micros(1_000);
/// The share of a core up to which one thread is enough.
const COMFORTABLE: f64 = 0.4;

/// Threads for the probes. A thread more than needed is not free: at a low rate each event wakes a sleeping thread, which
/// costs more than the probe's own work.
pub fn workers(plan: &Plan) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // What will be found is not known yet.
    let fewest = if plan.discovery.is_empty() {
        1
    } else {
        cores.min(2)
    };
    ((load_of(plan) / COMFORTABLE).ceil() as usize).clamp(fewest, cores)
}

/// The share of a core that the plan's probes ask for, by the benchmark.
pub fn load_of(plan: &Plan) -> f64 {
    plan.dependencies.iter().map(|dependency| load(dependency)).sum()
}

/// The share of a core that a dependency asks for.
fn load(dependency: &Dependency) -> f64 {
    let cost = if dependency.probe.speaks_tls() && !dependency.keepalive.reuse {
        TLS_COST
    } else {
        PLAIN_COST
    };
    cost.as_secs_f64() / dependency.interval.as_secs_f64().max(0.001)
}

/// The runtime of the loop and the probes.
///
/// # Errors
/// The system gives no threads.
pub fn for_probes(workers: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("whyd-probes")
        .enable_all()
        .build()
}

/// A thread of its own for exporters and the listener: encoding the figures of ten thousand dependencies takes tens of
/// milliseconds, during which no probe may wait.
#[derive(Debug)]
pub struct Aside(Option<Runtime>);

impl Aside {
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("whyd-export")
            .enable_all()
            .build()?;
        Ok(Aside(Some(runtime)))
    }

    /// `None` only while it is being dropped.
    pub fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A runtime that is dropped within another would block it.
            runtime.shutdown_background();
        }
    }
}
