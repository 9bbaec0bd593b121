//! The figures that the edges keep about this process: failed exports, reloads, dropped traces, the build.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::model::discovery::{DiscoveryView, SourceView};
use crate::model::monitor::{ExportFacts, SelfFacts, SourceTrouble};
use crate::model::time::Wall;
use crate::net::wall::now as wall_now;

use super::resource::Identity;

/// What sends data away, as the `exporter` attribute names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exporter {
    OtlpMetrics,
    OtlpTraces,
    OtlpLogs,
}

impl Exporter {
    pub const ALL: [Exporter; 3] = [Exporter::OtlpMetrics, Exporter::OtlpTraces, Exporter::OtlpLogs];

    pub const fn id(self) -> &'static str {
        match self {
            Exporter::OtlpMetrics => "otlp_metrics",
            Exporter::OtlpTraces => "otlp_traces",
            Exporter::OtlpLogs => "otlp_logs",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The version of this build, as `whyd.build.info`, `service.version` and the user agent give it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an instrument says about who made it: the name of the OTLP scope.
pub const SCOPE: &str = "whyd";

/// Counters of the edges. Shared by the exporters, the web and the daemon; every method is cheap and takes `&self`.
#[derive(Debug)]
pub struct ProcessFigures {
    started: Wall,
    identity: Identity,
    export_failures: [AtomicU64; Exporter::ALL.len()],
    /// Exports that failed since the last one that did not.
    failed_in_a_row: [AtomicU32; Exporter::ALL.len()],
    points_rejected: AtomicU64,
    traces_dropped: AtomicU64,
    reload: Mutex<Option<Reload>>,
    state: Mutex<Option<StateDirectory>>,
    state_lost: OnceLock<(Wall, Arc<str>)>,
    discovery: Mutex<Arc<DiscoveryView>>,
}

/// How the state directory is doing: why it cannot be written, if it cannot.
type StateDirectory = Option<Arc<str>>;

/// How the last reload went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    pub success: bool,
    /// When a configuration was last put into force.
    pub applied: Option<Wall>,
    /// Since when the file holds something that was refused.
    pub refused: Option<Wall>,
}

/// [`ProcessFigures`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessView {
    /// Since when the counters run.
    pub since: Wall,
    /// By [`Exporter::ALL`].
    pub export_failures: [u64; Exporter::ALL.len()],
    /// Data points that a collector refused in an otherwise successful export.
    pub points_rejected: u64,
    /// Operations that were not sent as traces because the queue was full or the export failed.
    pub traces_dropped: u64,
    /// `None` until the first configuration was loaded.
    pub reload: Option<Reload>,
    /// Whether what must survive a restart is on disk; `None` without a state directory.
    pub state_writable: Option<bool>,
}

impl ProcessFigures {
    /// All zero; counters run from `started`. The identity is drawn at random, until [`known_as`](Self::known_as) gives a better one.
    pub fn new(started: Wall) -> Self {
        ProcessFigures {
            started,
            identity: Identity::random(),
            export_failures: Default::default(),
            failed_in_a_row: Default::default(),
            points_rejected: AtomicU64::new(0),
            traces_dropped: AtomicU64::new(0),
            reload: Mutex::new(None),
            state: Mutex::new(None),
            state_lost: OnceLock::new(),
            discovery: Mutex::default(),
        }
    }

    /// An export did not arrive after all its retries, or was refused in part.
    pub fn export_failed(&self, exporter: Exporter) {
        self.export_failures[exporter.index()].fetch_add(1, Ordering::Relaxed);
        let row = &self.failed_in_a_row[exporter.index()];
        // Saturating: a row that long says no more than a longer one, and must not begin anew.
        row.store(row.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }

    /// An export arrived, and all of it was taken.
    pub fn export_arrived(&self, exporter: Exporter) {
        self.failed_in_a_row[exporter.index()].store(0, Ordering::Relaxed);
    }

    /// Exporters ended, and what comes in their place has not failed yet.
    pub fn exporters_changed(&self) {
        for row in &self.failed_in_a_row {
            row.store(0, Ordering::Relaxed);
        }
    }

    /// How everything that sends data away does.
    pub fn exports(&self) -> Vec<ExportFacts> {
        let facts = |exporter: Exporter| ExportFacts {
            exporter: exporter.id(),
            failed_in_a_row: self.failed_in_a_row[exporter.index()].load(Ordering::Relaxed),
        };
        Exporter::ALL.into_iter().map(facts).collect()
    }

    /// What the rules about this process look at.
    pub fn facts(&self) -> SelfFacts {
        let reload = *self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        SelfFacts {
            exports: self.exports(),
            state_trouble: self.state_trouble(),
            state_lost: self.state_lost.get().cloned(),
            config_refused: reload.and_then(|last| last.refused),
            discovery: self.discovery().sources.iter().filter_map(trouble).collect(),
        }
    }

    pub fn points_rejected(&self, count: u64) {
        self.points_rejected.fetch_add(count, Ordering::Relaxed);
    }

    pub fn traces_dropped(&self, count: u64) {
        self.traces_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Gives the process the identity that exports carry.
    #[must_use]
    pub fn known_as(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Who exports, as the resource's attributes say it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The configuration was read, at the start or by a reload: put into force at that time, or refused while the old one
    /// stays in force.
    pub fn reloaded(&self, success: bool, at: Wall) {
        // The value is `Copy` and set in one step: a panic elsewhere cannot leave it half written.
        let mut reload = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reload.and_then(|last| last.applied);
        let refused_before = reload.and_then(|last| last.refused);
        *reload = Some(Reload {
            success,
            applied: if success { Some(at) } else { before },
            refused: (!success).then(|| refused_before.unwrap_or(at)),
        });
    }

    pub fn snapshot(&self) -> ProcessView {
        ProcessView {
            since: self.started,
            export_failures: std::array::from_fn(|i| self.export_failures[i].load(Ordering::Relaxed)),
            points_rejected: self.points_rejected.load(Ordering::Relaxed),
            traces_dropped: self.traces_dropped.load(Ordering::Relaxed),
            reload: *self.reload.lock().unwrap_or_else(PoisonError::into_inner),
            state_writable: self.state().as_ref().map(Option::is_none),
        }
    }

    /// How discovery does now.
    pub fn discovered(&self, view: DiscoveryView) {
        *self.discovery.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// How discovery did when it last told.
    pub fn discovery(&self) -> Arc<DiscoveryView> {
        Arc::clone(&self.discovery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state directory was written to; or why it could not be.
    pub fn state_written(&self, trouble: Option<Arc<str>>) {
        *self.state() = Some(trouble);
    }

    /// What another run had written was found damaged.
    pub fn state_was_lost(&self, at: Wall, what: Arc<str>) {
        // The directory is opened once.
        let _ = self.state_lost.set((at, what));
    }

    /// Why what must survive a restart is in memory only; `None` where it is not, or where there is no state directory.
    pub fn state_trouble(&self) -> Option<Arc<str>> {
        self.state().as_ref()?.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<StateDirectory>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be said of a source that cannot look.
fn trouble(view: &SourceView) -> Option<SourceTrouble> {
    Some(SourceTrouble {
        source: Arc::clone(&view.name),
        since: view.failing?,
        why: view.last_failure.as_ref().map_or("", |(_, why)| &**why).into(),
        targets: view.targets,
        from_last_run: view.kept,
    })
}

impl Default for ProcessFigures {
    /// All zero from now on.
    fn default() -> Self {
        ProcessFigures::new(wall_now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reload_keeps_the_time_of_the_configuration_in_force() {
        let figures = ProcessFigures::new(Wall::from_unix_secs(1));
        assert_eq!(figures.snapshot().reload, None);
        figures.reloaded(true, Wall::from_unix_secs(7));
        figures.reloaded(false, Wall::from_unix_secs(9));
        assert_eq!(
            figures.snapshot().reload,
            Some(Reload {
                success: false,
                applied: Some(Wall::from_unix_secs(7)),
                refused: Some(Wall::from_unix_secs(9)),
            })
        );
        figures.reloaded(false, Wall::from_unix_secs(11));
        assert_eq!(figures.facts().config_refused, Some(Wall::from_unix_secs(9)));
        figures.reloaded(true, Wall::from_unix_secs(12));
        assert_eq!(figures.facts().config_refused, None);
    }

    #[test]
    fn failures_are_counted_by_exporter() {
        let figures = ProcessFigures::new(Wall::default());
        figures.export_failed(Exporter::OtlpTraces);
        figures.export_failed(Exporter::OtlpTraces);
        figures.export_failed(Exporter::OtlpMetrics);
        assert_eq!(figures.snapshot().export_failures, [1, 2, 0]);
    }

    #[test]
    fn a_row_of_failures_ends_with_an_export_that_arrives_or_with_its_exporter() {
        let figures = ProcessFigures::new(Wall::default());
        let rows = || -> Vec<u32> {
            figures
                .exports()
                .iter()
                .map(|facts| facts.failed_in_a_row)
                .collect()
        };
        for _ in 0..3 {
            figures.export_failed(Exporter::OtlpMetrics);
        }
        figures.export_failed(Exporter::OtlpLogs);
        assert_eq!(rows(), [3, 0, 1]);
        figures.export_arrived(Exporter::OtlpMetrics);
        assert_eq!(rows(), [0, 0, 1]);
        figures.exporters_changed();
        assert_eq!(rows(), [0, 0, 0]);
        assert_eq!(
            figures.snapshot().export_failures,
            [3, 0, 1],
            "counters do not go back"
        );
    }
}
