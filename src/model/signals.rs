//! What the rules of alerts remember of operations, as it survives a restart: counts and bits, no moments.

use std::sync::Arc;

use super::alert::Subject;
use super::dependency::HostKey;
use super::time::Wall;

/// Counts of a host's five minutes, in the order in which its windows have them.
pub type HostSlot = [u32; 9];

#[derive(Clone, Debug, PartialEq)]
pub struct KeptSignals {
    pub at: Wall,
    pub counts: KeptCounts,
}

impl KeptSignals {
    /// Whose operations they are.
    pub fn subject(&self) -> Subject {
        match &self.counts {
            KeptCounts::Dependency(kept) => Subject::Dependency(Arc::clone(&kept.name)),
            KeptCounts::Host { host, .. } => Subject::Host(host.clone()),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum KeptCounts {
    Dependency(Box<KeptDependency>),
    /// The last hour's slots, the newest first.
    Host {
        host: HostKey,
        hour: Vec<HostSlot>,
    },
}

/// What is kept of one dependency's operations.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptDependency {
    pub name: Arc<str>,
    /// Another host under the same name begins anew.
    pub host: HostKey,
    pub failures_in_a_row: u32,
    pub successes_in_a_row: u32,
    pub fast_in_a_row: u32,
    /// The last verdicts as bits, newest first (1 failed); how many there are, and how many of them no alert told as "down".
    pub verdicts: u64,
    pub seen: u8,
    pub untold: u8,
    /// Failures and operations by slots of 30 s, 5 m, 30 m and 3 h, the newest first.
    pub rings: [Vec<(u16, u16)>; 4],
    /// How often operations took how long, by the logarithm of that.
    pub latency: Vec<u16>,
    pub last_failed: Option<Wall>,
    pub down_ended: Option<Wall>,
    pub names_differ: u8,
    pub broken: u8,
}
