//! The clock of an election. A Lease ends while we are suspended too, for which `std::time::Instant` is no clock: on Linux it is
//! CLOCK_MONOTONIC, which stands still then. CLOCK_BOOTTIME goes on (clock_gettime(2)). A virtual machine that its host stops can
//! know of it by civil time alone, so both are read.

use std::sync::Arc;

use crate::model::time::{Moment, Now};
use crate::net::wall;

#[cfg(target_os = "linux")]
const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
/// Elsewhere it goes on in a suspend, or there is nothing better.
#[cfg(not(target_os = "linux"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Tells the time, or what somebody says that it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// The system's.
    pub fn system() -> Clock {
        Clock::driven(|| Now {
            moment: since_boot(),
            wall: wall::now(),
        })
    }

    pub fn driven(now: impl Fn() -> Now + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> Now {
        (self.0)()
    }
}

/// Time since some moment before our start, with that of suspends.
fn since_boot() -> Moment {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours and outlives the call.
    let failed = unsafe { libc::clock_gettime(CLOCK, &raw mut time) } != 0;
    // It cannot fail for a clock that exists, which this one does since Linux 2.6.39.
    debug_assert!(!failed, "there is such a clock");
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
