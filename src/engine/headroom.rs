//! Descriptors and ports, watched before they run out: with little left we do less, and say so, instead of failing in the
//! dependencies' names.

use crate::model::cause::Cause;
use crate::model::event::Event;
use crate::model::headroom::{HeadroomView, Resources, Scarce};
use crate::model::time::{Moment, Now};

use super::{Engine, Output};

/// Descriptors that are kept out of reach of probes: for the listener, exporters, files and the store.
const RESERVE: u64 = 32;
/// What one operation may need at once: its socket, and a datagram socket for each of two DNS questions.
const FILES_PER_OPERATION: u64 = 3;
/// Descriptors are scarce below a tenth of the limit, and not scarce any more from a sixth of it on.
const SCARCE_BELOW: u64 = 10;
const AMPLE_FROM: u64 = 6;
/// For how long after a connection that found no port ports are scarce: TIME_WAIT lasts for a minute on Linux.
const PORTS_SCARCE_FOR: std::time::Duration = std::time::Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Headroom {
    resources: Option<Resources>,
    files_scarce: bool,
    no_port_at: Option<Moment>,
    /// Operations that may be under way at once, as far as descriptors go.
    cap: Option<u32>,
    told: Option<Scarce>,
}

impl Headroom {
    fn take(&mut self, resources: Resources, in_flight: u32) {
        let limit = resources.open_files_limit;
        let left = limit.saturating_sub(resources.open_files);
        self.files_scarce = if self.files_scarce {
            left < limit / AMPLE_FROM
        } else {
            left < limit / SCARCE_BELOW
        };
        let room = left.saturating_sub(RESERVE) / FILES_PER_OPERATION;
        let cap = u64::from(in_flight).saturating_add(room).max(1);
        self.cap = u32::try_from(cap).ok();
        self.resources = Some(resources);
    }

    /// How many operations may be under way, of those that the plan allows.
    pub fn cap(&self, limit: u32) -> u32 {
        self.cap.map_or(limit, |cap| cap.min(limit))
    }

    /// What is scarce now: then nothing is done that need not be.
    pub fn scarce(&self, now: Moment) -> Option<Scarce> {
        let no_port = self.no_port_at.is_some_and(|at| now.since(at) < PORTS_SCARCE_FOR);
        if self.files_scarce {
            Some(Scarce::OpenFiles)
        } else {
            no_port.then_some(Scarce::Ports)
        }
    }

    pub fn view(&self, limit: u32) -> HeadroomView {
        HeadroomView {
            resources: self.resources,
            scarce: self.told,
            cap: self.cap.filter(|cap| *cap < limit),
        }
    }
}

impl Engine {
    pub(super) fn resources_changed(&mut self, resources: Resources, now: Now, out: &mut Vec<Output>) {
        self.headroom.take(resources, self.in_flight);
        self.tell_headroom(now, out);
        self.use_new_room(now, out);
        // Those that wait for a place among all wait on no host.
        self.start_waiting(u32::MAX, now, out);
    }

    /// An attempt of ours failed for want of something.
    pub(super) fn note_want(&mut self, cause: Cause, now: Now, out: &mut Vec<Output>) {
        match cause {
            Cause::LocalPortExhausted => self.headroom.no_port_at = Some(now.moment),
            Cause::LocalFdExhaustedProcess => self.headroom.files_scarce = true,
            _ => return,
        }
        self.tell_headroom(now, out);
    }

    fn tell_headroom(&mut self, now: Now, out: &mut Vec<Output>) {
        let scarce = self.headroom.scarce(now.moment);
        if scarce == self.headroom.told {
            return;
        }
        self.headroom.told = scarce;
        // Kept connections are descriptors and ports that can be had back.
        out.push(Output::KeepConnections(scarce.is_none()));
        out.push(Output::Observed(Event::HeadroomChanged {
            scarce,
            resources: self.headroom.resources,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(open_files: u64, open_files_limit: u64) -> Resources {
        Resources {
            open_files,
            open_files_limit,
            ports: None,
        }
    }

    #[test]
    fn fewer_descriptors_allow_fewer_operations_and_never_none() {
        let mut headroom = Headroom::default();
        assert_eq!(headroom.cap(2000), 2000, "nothing is known yet");
        headroom.take(files(100, 1024), 0);
        assert_eq!(headroom.cap(2000), 297);
        assert_eq!(headroom.cap(100), 100);
        headroom.take(files(700, 1024), 200);
        assert_eq!(headroom.cap(2000), 297, "what is under way has its descriptors");
        headroom.take(files(1024, 1024), 0);
        assert_eq!(headroom.cap(2000), 1);
        headroom.take(files(100, u64::MAX), 0);
        assert_eq!(headroom.cap(2000), 2000);
    }

    #[test]
    fn scarcity_has_two_thresholds_so_that_it_does_not_flicker() {
        let mut headroom = Headroom::default();
        let at = Moment::from_secs(1);
        for (open, scarce) in [(800, false), (930, true), (900, true), (840, false), (900, false)] {
            headroom.take(files(open, 1024), 0);
            assert_eq!(headroom.scarce(at).is_some(), scarce, "{open} open");
        }
        headroom.no_port_at = Some(at);
        assert_eq!(headroom.scarce(at), Some(Scarce::Ports));
        assert_eq!(headroom.scarce(Moment::from_secs(61)), None);
    }
}
