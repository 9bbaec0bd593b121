//! What the edges know of this process's own health, for the rules about the monitor.

use std::sync::Arc;

use super::time::Wall;

/// How the edges do at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfFacts {
    /// One entry for everything that sends data away.
    pub exports: Vec<ExportFacts>,
    /// Why what must survive a restart cannot be written down; `None` while it can, or where there is no directory.
    pub state_trouble: Option<Arc<str>>,
    /// When what another run had written was found damaged, and what became of it.
    pub state_lost: Option<(Wall, Arc<str>)>,
    /// Since when the configuration in force is an older one than the file's, because that was refused.
    pub config_refused: Option<Wall>,
    /// The sources of discovery that cannot look, in the order of the configuration.
    pub discovery: Vec<SourceTrouble>,
}

/// A source of discovery that cannot look, or not at everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTrouble {
    pub source: Arc<str>,
    pub since: Wall,
    /// The error, which holds no secrets.
    pub why: Arc<str>,
    /// What it found last, which goes on being watched.
    pub targets: usize,
    /// Whether that is what another run left, since it has found nothing itself yet.
    pub from_last_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFacts {
    /// `otlp_metrics`, `otlp_traces` and so on.
    pub exporter: &'static str,
    /// Exports that failed since the last one that did not.
    pub failed_in_a_row: u32,
}
