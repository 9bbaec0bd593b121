//! Whether what the ordinary attempts meet can be true together with what was measured.

use std::time::Duration;

use crate::model::attempt::Attempt;
use crate::model::dependency::DependencyIndex;
use crate::model::idle::IdleLimit;
use crate::model::time::Now;

use super::super::Engine;
use super::super::schedule::Alarm;
use super::{GIVEN_UP, Stage};

/// So many observations that cannot be true together with what is known throw it over.
const CONTRADICTIONS: u8 = 3;
impl Engine {
    /// Looks whether an ordinary attempt contradicts what is known of its host's idle timeout. One may be chance (a
    /// restart, say); several call for another measurement.
    pub(in crate::engine) fn check_against_idle(
        &mut self,
        index: DependencyIndex,
        attempt: &Attempt,
        now: Now,
    ) {
        let Some(slot) = self.tables.slot(index) else {
            return;
        };
        let Some(place) = self.idle.by_key.get(&slot.dependency.host).copied() else {
            return;
        };
        let Some(host) = self.idle.hosts.get_mut(place) else {
            return;
        };
        let Some(known) = &host.known else { return };
        if !contradicts(&known.limit, attempt) || !matches!(host.stage, Stage::Waiting { .. }) {
            return;
        }
        host.contradictions += 1;
        let measured = now.wall.seconds_since(known.at).unsigned_abs();
        if host.contradictions >= CONTRADICTIONS
            && measured >= GIVEN_UP.as_secs().min(host.settings.remeasure.as_secs())
        {
            host.contradictions = 0;
            // The search begins with what is known, and finds out whether it still holds.
            let serial = self.idle.serial();
            if let Some(host) = self.idle.hosts.get_mut(place) {
                host.stage = Stage::Waiting { serial };
            }
            self.alarms.set(now.moment, Alarm::IdleDue { place, serial });
        }
    }
}

/// How far an observation must lie beyond what is known to contradict it.
fn clearly_beyond(limit: Duration) -> Duration {
    limit + limit / 10 + Duration::from_secs(1)
}

/// Whether the attempt shows what cannot be if that limit holds: a connection that was good after a longer idle time, or
/// one that had ended after a clearly shorter one.
fn contradicts(limit: &IdleLimit, attempt: &Attempt) -> bool {
    if let Some(stale) = &attempt.stale_found {
        return stale.measured && clearly_beyond(stale.idle) < limit.good_for();
    }
    let Some(hop) = attempt.hops.iter().find(|hop| hop.reused) else {
        return false;
    };
    let (Some(idle), IdleLimit::Ends { high, .. }) = (hop.idle_before, limit) else {
        return false;
    };
    hop.status.is_some() && idle > clearly_beyond(*high)
}
