//! The process's own limits: sockets are descriptors, and a prober needs many.

use std::collections::BTreeSet;

use crate::engine::{IDLE_CONNECTIONS, IDLE_HOSTS};
use crate::model::plan::Plan;

/// For what is not a probe: the log, the state directory, the listener and its clients, exporters, the runtime.
const OTHERS: usize = 64;

/// How many files may be open at once under that plan: every operation in flight needs one or two, and so does every parked
/// connection and every connection by which an idle timeout is measured.
pub fn open_files_wanted(plan: &Plan) -> u64 {
    let parked = plan
        .dependencies
        .iter()
        .filter(|dependency| dependency.keepalive.reuse)
        .count();
    let measured: BTreeSet<_> = plan
        .dependencies
        .iter()
        .filter(|dependency| dependency.keepalive.discover.is_some())
        .map(|dependency| &dependency.host)
        .collect();
    let idle = measured.len().min(IDLE_HOSTS) * IDLE_CONNECTIONS;
    let in_flight = plan.dependencies.len().min(plan.limits.concurrency as usize);
    (parked + idle + 2 * in_flight + OTHERS) as u64
}

/// Raises the soft limit of open files to the hard one, as the Go runtime does for its programs. Returns the limit in
/// force, or `None` where it cannot be read.
pub fn raise_open_files() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit fills the structure that it is given and has no other effect.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return None;
    }
    if limit.rlim_cur < limit.rlim_max {
        let wanted = libc::rlimit {
            rlim_cur: limit.rlim_max,
            rlim_max: limit.rlim_max,
        };
        // SAFETY: setrlimit reads the structure that it is given; a refusal leaves the old limit in force.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } == 0 {
            limit = wanted;
        }
    }
    Some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_is_at_least_what_it_was() {
        let first = super::raise_open_files().expect("a limit");
        assert!(first >= 64);
        assert_eq!(super::raise_open_files(), Some(first));
    }
}
