//! What happens to the service itself, as log lines.

use std::path::Path;

use tracing::{error, info};

use super::kinds::Kind;
use crate::report::units::dependencies_on_hosts;

/// It begins to watch.
pub fn started(version: &str, watched: usize, hosts: usize) {
    info!(
        message_id = Kind::Started.message_id(),
        version,
        count = watched,
        "whyd {version} watches {}",
        dependencies_on_hosts(watched, hosts),
    );
}

/// It was asked to end.
pub fn stopping() {
    info!(
        message_id = Kind::Stopping.message_id(),
        "stopping: letting what is under way end"
    );
}

/// The configuration was read again and is in force.
pub fn reloaded(path: &Path, said: &str) {
    info!(
        message_id = Kind::Reloaded.message_id(),
        path = %path.display(),
        "reloaded {}: {said}",
        path.display(),
    );
}

/// The configuration was read again and is not good: `brief` says why in a line, `whole` at length.
pub fn reload_refused(path: &Path, brief: &str, whole: &str) {
    error!(
        message_id = Kind::ReloadRefused.message_id(),
        path = %path.display(),
        reason = brief,
        "reload refused, the old configuration stays in force:\n{whole}",
    );
}

/// Says why the service does not start: on standard error whatever the format of the log, since it is for whoever started it.
/// Where that is the journal, the lines have the priority of an error, and stay with the unit though the process ends at once.
pub fn complain(text: &str) {
    let is_journal = super::stderr_is_the_journal();
    let mark = if is_journal { "<3>" } else { "" };
    for line in text.lines() {
        eprintln!("{mark}{line}");
    }
}
