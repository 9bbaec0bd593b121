//! One host: what its dependencies share. Windows, the retry budget, the concurrency cap, the rate of second looks.

use std::time::Duration;

use crate::model::attempt::{StaleConnection, StaleKind};
use crate::model::dependency::HostKey;
use crate::model::event::SuppressReason;
use crate::model::page::HostView;
use crate::model::time::{Moment, Wall};

use super::alert::{HostTerms, Marks};
use super::clock::Shown;
use super::places::{Places, Queue};
use super::retry::RetryBudget;
use super::window::Windows;

#[derive(Debug)]
pub struct Host {
    pub key: HostKey,
    pub since: Wall,
    /// How many dependencies of the plan are on it.
    pub members: u32,
    pub windows: Windows,
    pub budget: RetryBudget,
    pub suppressed: [u64; 2],
    pub places: Places,
    /// Dependencies that are due and wait for a place on this host.
    pub waiting: Queue,
    idle_timeout: Option<(StaleKind, Duration)>,
    looks: Looks,
    /// What it has shown of the time.
    pub shown: Shown,
    /// By what its alerts are raised; made of its dependencies when a plan comes into force.
    pub terms: Option<Box<HostTerms>>,
    /// Which of its alerts are not quiet.
    pub marks: Marks,
}

impl Host {
    pub fn new(key: HostKey, since: Wall, attempts: u8) -> Self {
        Host {
            key,
            since,
            members: 0,
            windows: Windows::default(),
            budget: RetryBudget::new(attempts),
            suppressed: [0; 2],
            places: Places::default(),
            waiting: Queue::default(),
            idle_timeout: None,
            looks: Looks::default(),
            shown: Shown::default(),
            terms: None,
            marks: Marks::default(),
        }
    }

    pub fn count_suppressed(&mut self, reason: SuppressReason) {
        self.suppressed[reason.index()] += 1;
    }

    /// A parked connection ended while idle, and when it did is known.
    pub fn saw_idle_end(&mut self, stale: &StaleConnection) {
        if stale.measured {
            self.idle_timeout = Some((stale.kind, stale.idle));
        }
    }

    /// How a connection that lay idle was last seen to end, and after how long.
    pub const fn seen_idle_timeout(&self) -> Option<(StaleKind, Duration)> {
        self.idle_timeout
    }

    /// Whether one more second look may be made now; takes it from the allowance when so.
    pub fn allows_look(&mut self, per_minute: u32, now: Moment) -> bool {
        self.looks.take(per_minute, now)
    }

    pub fn view(&self, cap: u32, now: Moment) -> HostView {
        HostView {
            key: self.key.clone(),
            since: self.since,
            windows: self.windows.figures(now),
            suppressed: self.suppressed,
            retry_budget: self.budget.available(),
            in_flight: self.places.in_flight,
            cap,
            idle_timeout: self.idle_timeout,
            idle: None,
        }
    }
}

/// The allowance of second looks: they are extra traffic, and port probes alarm intrusion detection.
#[derive(Debug, Default)]
struct Looks {
    minute: u64,
    made: u32,
}

impl Looks {
    fn take(&mut self, per_minute: u32, now: Moment) -> bool {
        let minute = now.as_nanos() / 60_000_000_000;
        if minute != self.minute {
            *self = Looks { minute, made: 0 };
        }
        let allowed = self.made < per_minute;
        self.made += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_looks_are_limited_per_minute() {
        let mut looks = Looks::default();
        let early = Moment::from_secs(60);
        assert!(looks.take(2, early) && looks.take(2, early) && !looks.take(2, early));
        assert!(looks.take(2, Moment::from_secs(120)));
        assert!(!looks.take(0, Moment::from_secs(180)));
    }
}
