//! The phases of an attempt, and how long each took.

use std::fmt;
use std::time::Duration;

use super::time::nanos;

/// The steps of one attempt, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// From the name to addresses.
    Resolve,
    /// The TCP handshake (or, for a DNS probe over UDP, making the socket).
    Connect,
    /// CONNECT to a proxy, from its first byte to the end of the answer's head.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Writing the request.
    Request,
    /// From the end of the request to the response's head.
    FirstByte,
    /// Reading the body to its end.
    Body,
    /// Holding the answer against what the user expects.
    Verify,
}

impl Phase {
    pub const ALL: [Phase; 8] = [
        Phase::Resolve,
        Phase::Connect,
        Phase::Proxy,
        Phase::Tls,
        Phase::Request,
        Phase::FirstByte,
        Phase::Body,
        Phase::Verify,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
            Phase::Tls => "tls",
            Phase::Request => "request",
            Phase::FirstByte => "first_byte",
            Phase::Body => "body",
            Phase::Verify => "verify",
        }
    }

    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Time spent in each phase that began. A phase that was not reached has no timing (which is not zero).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phases([u64; 8]);

const NOT_REACHED: u64 = u64::MAX;

impl Default for Phases {
    fn default() -> Self {
        Phases([NOT_REACHED; 8])
    }
}

impl Phases {
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        let stored = self.0[phase.index()];
        (stored != NOT_REACHED).then(|| Duration::from_nanos(stored))
    }

    /// Adds time to a phase, which by that has begun.
    pub fn add(&mut self, phase: Phase, elapsed: Duration) {
        let stored = &mut self.0[phase.index()];
        let before = if *stored == NOT_REACHED { 0 } else { *stored };
        *stored = before.saturating_add(nanos(elapsed)).min(NOT_REACHED - 1);
    }

    /// Adds every phase of `other`: an attempt's phases are the sums over its hops.
    pub fn add_all(&mut self, other: &Phases) {
        for (phase, elapsed) in other.iter() {
            self.add(phase, elapsed);
        }
    }

    /// The phases that began, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        Phase::ALL
            .into_iter()
            .filter_map(|phase| self.get(phase).map(|elapsed| (phase, elapsed)))
    }

    pub fn sum(&self) -> Duration {
        self.iter().map(|(_, elapsed)| elapsed).sum()
    }

    /// The phase that took the most time.
    pub fn longest(&self) -> Option<(Phase, Duration)> {
        self.iter().max_by_key(|(_, elapsed)| *elapsed)
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(phase, elapsed)| (phase.id(), elapsed)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_not_reached_has_no_timing() {
        let mut phases = Phases::default();
        assert_eq!(phases.get(Phase::Tls), None);
        phases.add(Phase::Tls, Duration::ZERO);
        assert_eq!(phases.get(Phase::Tls), Some(Duration::ZERO));
        phases.add(Phase::Tls, Duration::from_millis(2));
        phases.add(Phase::Tls, Duration::from_millis(3));
        assert_eq!(phases.get(Phase::Tls), Some(Duration::from_millis(5)));
        assert_eq!(phases.iter().count(), 1);
    }
}
