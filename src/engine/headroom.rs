//! Descriptors and ports, watched before they run out: with little left we do less, and say so, instead of failing in the
//! dependencies' names.

use std::time::Duration;

use crate::model::cause::Cause;
use crate::model::event::Event;
use crate::model::headroom::{HeadroomView, Resources, Scarce};
use crate::model::time::{Moment, Now};

use super::{Engine, Output};

/// Descriptors that are kept out of reach of probes: for the listener, exporters, files and the store.
const RESERVE: u64 = 32;
/// What one operation may need at once: its socket, and a datagram socket for each of two DNS questions.
const FILES_PER_OPERATION: u64 = 3;
/// Descriptors are scarce below a tenth of the limit.
const SCARCE_BELOW: u64 = 10;
/// For how long they stay so: what is given up for want of them (kept connections above all) would take them again at once.
const FILES_SCARCE_FOR: Duration = Duration::from_secs(300);
/// For how long after a connection that found no port ports are scarce: TIME_WAIT lasts for a minute on Linux.
const PORTS_SCARCE_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Headroom {
    resources: Option<Resources>,
    few_files_at: Option<Moment>,
    no_port_at: Option<Moment>,
    /// Operations that may be under way at once, as far as descriptors go.
    cap: Option<u32>,
    told: Option<Scarce>,
}

impl Headroom {
    fn take(&mut self, resources: Resources, in_flight: u32, now: Moment) {
        let limit = resources.open_files_limit;
        let left = limit.saturating_sub(resources.open_files);
        if left < limit / SCARCE_BELOW {
            self.few_files_at = Some(now);
        }
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
        let within = |at: Option<Moment>, span| at.is_some_and(|at| now.since(at) < span);
        if within(self.few_files_at, FILES_SCARCE_FOR) {
            Some(Scarce::OpenFiles)
        } else {
            within(self.no_port_at, PORTS_SCARCE_FOR).then_some(Scarce::Ports)
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
        self.headroom.take(resources, self.places.in_flight, now.moment);
        self.tell_headroom(now, out);
        self.use_new_room(now, out);
        // Those that wait for a place among all wait on no host.
        self.start_waiting(u32::MAX, now, out);
    }

    /// An attempt of ours failed for want of something.
    pub(super) fn note_want(&mut self, cause: Cause, now: Now, out: &mut Vec<Output>) {
        match cause {
            Cause::LocalPortExhausted => self.headroom.no_port_at = Some(now.moment),
            Cause::LocalFdExhaustedProcess => self.headroom.few_files_at = Some(now.moment),
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
        let mut take = |resources, in_flight| {
            headroom.take(resources, in_flight, Moment::ZERO);
            headroom.cap(2000)
        };
        assert_eq!(take(files(100, 1024), 0), 297);
        assert_eq!(
            take(files(700, 1024), 200),
            297,
            "what is under way has its descriptors"
        );
        assert_eq!(take(files(1024, 1024), 0), 1);
        assert_eq!(take(files(100, u64::MAX), 0), 2000);
        assert_eq!(Headroom::default().cap(2000), 2000, "nothing is known yet");
    }

    #[test]
    fn scarcity_lasts_for_a_while_so_that_it_does_not_flicker() {
        let mut headroom = Headroom::default();
        let at = Moment::from_secs;
        headroom.take(files(800, 1024), 0, at(10));
        assert_eq!(headroom.scarce(at(10)), None);
        headroom.take(files(930, 1024), 0, at(20));
        headroom.take(files(300, 1024), 0, at(30));
        assert_eq!(
            headroom.scarce(at(30)),
            Some(Scarce::OpenFiles),
            "what was given up would take them again"
        );
        assert_eq!(headroom.scarce(at(320)), None);
        headroom.no_port_at = Some(at(400));
        assert_eq!(headroom.scarce(at(401)), Some(Scarce::Ports));
        assert_eq!(headroom.scarce(at(460)), None);
    }
}
