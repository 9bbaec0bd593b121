//! Whether this host knows what time it is: certificates, alerts and traces depend on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::finding::Finding;
use crate::report::units::duration;

/// Seconds since 1970 before which this program did not exist (2025-01-01): a clock that says so was never set.
const EARLIEST: u64 = 1_735_689_600;
/// From which it is said. Time servers far away keep a clock within tens of milliseconds.
const WIDE: Duration = Duration::from_secs(1);

pub struct Facts {
    pub since_1970: Duration,
    pub kernel: Option<Kernel>,
}

/// What the kernel thinks of its clock (adjtimex(2)).
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub synchronised: bool,
    /// The clock is at most that far off, as far as who synchronises it knows.
    pub off_by: Duration,
}

impl Facts {
    pub fn gather() -> Self {
        Facts {
            since_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            kernel: kernel(),
        }
    }
}

#[cfg(target_os = "linux")]
fn kernel() -> Option<Kernel> {
    // SAFETY: all-zero is a valid timex; its modes are none, so that adjtimex only reads and needs no privilege.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: it fills the structure that it is given.
    let state = unsafe { libc::adjtimex(&mut timex) };
    if state < 0 {
        return None;
    }
    Some(Kernel {
        synchronised: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        off_by: Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(0)),
    })
}

#[cfg(not(target_os = "linux"))]
fn kernel() -> Option<Kernel> {
    None
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let fix = "timedatectl set-ntp true (in a container or a pod: on its host)";
    if facts.since_1970.as_secs() < EARLIEST {
        let seen = "was never set: certificates look as if they were not valid yet";
        return vec![Finding::problem("clock", seen).fix(fix)];
    }
    let Some(kernel) = facts.kernel else {
        return Vec::new();
    };
    let found = if !kernel.synchronised {
        let seen = "the kernel knows of nothing that synchronises it: what certificates and alerts say of time may be wrong";
        Finding::warning("clock", seen).fix(fix)
    } else if kernel.off_by > WIDE {
        let seen = format!("is synchronised, but may be off by {}", duration(kernel.off_by));
        Finding::warning("clock", seen).fix("timedatectl timesync-status, or chronyc tracking")
    } else {
        let off_by = duration(kernel.off_by);
        Finding::ok("clock", format!("is synchronised, and off by {off_by} at most"))
    };
    vec![found]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn level(since_1970: u64, synchronised: bool, off_by: u64) -> Level {
        let kernel = Some(Kernel {
            synchronised,
            off_by: Duration::from_millis(off_by),
        });
        let facts = Facts {
            since_1970: Duration::from_secs(since_1970),
            kernel,
        };
        judge(&facts)[0].level
    }

    #[test]
    fn a_clock_that_nobody_sets_is_told() {
        assert_eq!(level(1_800_000_000, true, 20), Level::Ok);
        assert_eq!(level(1_800_000_000, true, 1_500), Level::Warning);
        assert_eq!(level(1_800_000_000, false, 16_000), Level::Warning);
        assert_eq!(level(3_600, true, 0), Level::Problem);
    }
}
