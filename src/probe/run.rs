//! One attempt under way: its end, its hops so far, and how it is told where it stopped.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::attempt::{Attempt, Hop, Outcome, Role, StaleConnection, Stop, Trouble};
use crate::model::dependency::{HttpUrl, Timeouts};
use crate::model::order::AttemptOrder;
use crate::model::phase::Phase;
use crate::model::time::Wall;
use crate::net::sanitize::{error_chain, foreign_text};
use crate::net::wall;

use super::World;
use super::budget::{AttemptEnd, Deadline};
use super::http::link::Link;
use super::pool::Way;
use super::stream::Wire;

/// Where and why an attempt ends before its answer.
pub(crate) type Halt = Box<Stop>;

/// A hop's place in the attempt.
pub(crate) type HopIndex = usize;

/// What an attempt gathers while it runs.
pub(crate) struct Run<'a> {
    pub world: &'a World,
    pub order: &'a AttemptOrder,
    pub began: Instant,
    pub end: AttemptEnd,
    pub hops: Vec<Hop>,
    pub stale_found: Option<StaleConnection>,
    /// The largest TCP segment that its connections may use, where a second look limits it.
    pub segment: Option<u16>,
    /// How often something had been forgotten when this began.
    forgotten: u64,
    started: Wall,
}

impl<'a> Run<'a> {
    pub fn new(world: &'a World, order: &'a AttemptOrder) -> Run<'a> {
        let began = Instant::now();
        Run {
            world,
            order,
            began,
            end: AttemptEnd::new(began, order.budget, order.budget_of),
            hops: Vec::with_capacity(1),
            stale_found: None,
            segment: None,
            forgotten: world.pool.forgotten(),
            started: wall::now(),
        }
    }

    pub fn timeouts(&self) -> &'a Timeouts {
        &self.order.dependency.timeouts
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The deadline of a phase that begins now.
    pub fn deadline(&self, limit: Duration) -> Deadline {
        self.end.phase(Instant::now(), limit)
    }

    /// Whether that URL has the origin of the dependency's own.
    pub fn is_home(&self, url: &HttpUrl) -> bool {
        let http = self.order.dependency.probe.http();
        http.is_some_and(|http| http.url.scheme == url.scheme && http.url.endpoint == url.endpoint)
    }

    /// Keeps the connection, unless its dependency may have been removed or changed meanwhile.
    pub fn park(&self, way: Way, link: Link) {
        let name = self.order.dependency.name.clone();
        self.world.pool.park(name, way, link, self.forgotten);
    }

    pub fn add_hop(&mut self, url: Arc<str>, role: Role) -> HopIndex {
        self.hops.push(Hop::new(url, role));
        self.hops.len() - 1
    }

    pub fn hop(&mut self, index: HopIndex) -> &mut Hop {
        &mut self.hops[index]
    }

    /// Adds the time since `from` to a phase of a hop.
    pub fn spent(&mut self, hop: HopIndex, phase: Phase, from: Instant) {
        self.hop(hop).phases.add(phase, from.elapsed());
    }

    /// Writes down what the hop's connection carried, and what the kernel knows of it.
    pub fn note_wire(&mut self, hop: HopIndex, wire: &Wire) {
        let traffic = wire.traffic();
        let hop = self.hop(hop);
        hop.sent = traffic.sent;
        hop.received = traffic.received;
        hop.tcp = wire.tcp_facts();
        hop.quiet = traffic.last_read.map(|last| last.elapsed());
    }

    /// As [`note_wire`](Self::note_wire), for a hop that failed before a response was understood.
    pub fn note_failed_wire(&mut self, hop: HopIndex, wire: &Wire) {
        self.note_wire(hop, wire);
        self.hop(hop).first_bytes = wire.traffic().first_bytes().into();
    }

    /// The finished attempt.
    pub fn finish(self, outcome: Outcome) -> Attempt {
        Attempt {
            started: self.started,
            elapsed: self.began.elapsed(),
            hops: self.hops,
            stale_found: self.stale_found,
            outcome,
        }
    }
}

/// A stop in a phase of a hop.
pub(crate) fn halt(phase: Phase, hop: HopIndex, trouble: Trouble) -> Halt {
    Box::new(Stop {
        phase: Some(phase),
        hop: u16::try_from(hop).ok(),
        trouble,
        chain: Vec::new(),
    })
}

/// A stop with the chain of the error that it comes from.
pub(crate) fn halt_by(phase: Phase, hop: HopIndex, trouble: Trouble, err: &(dyn Error + 'static)) -> Halt {
    let mut stop = halt(phase, hop, trouble);
    stop.chain = chain(err);
    stop
}

/// Longest text of one error, in characters: a peer's own words may be part of it.
const MAX_ERROR: usize = 300;

/// The error's texts from the outermost to the innermost, sanitised and cut.
pub(crate) fn chain(err: &(dyn Error + 'static)) -> Vec<Box<str>> {
    error_chain(err)
        .iter()
        .map(|text| foreign_text(text.as_bytes(), MAX_ERROR))
        .collect()
}

/// A stop before anything was tried.
pub(crate) fn halt_nowhere(trouble: Trouble, text: &str) -> Halt {
    Box::new(Stop {
        phase: None,
        hop: None,
        trouble,
        chain: vec![text.into()],
    })
}
