//! Connections kept between operations: at most one per dependency.
//!
//! A parked connection has a task that waits for its end, so that it is known when and how the peer closed it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::attempt::StaleConnection;
use crate::model::dependency::{Endpoint, Scheme};

use super::http::link::Link;
use super::stream::Wire;

/// More than this many connections are not kept.
const MAX_PARKED: usize = 16_384;

/// To whom a connection leads. One that leads elsewhere than what is asked now is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub scheme: Scheme,
    pub endpoint: Endpoint,
    pub proxy: Option<Endpoint>,
}

struct Parked {
    way: Way,
    link: Link,
    since: Instant,
}

/// What became of a parked connection.
pub(crate) enum Taken {
    /// It looks alive; since when it lies idle.
    Alive(Box<Link>, Instant),
    Dead(StaleConnection),
}

/// The parked connections, by dependency.
#[derive(Default)]
pub(crate) struct Pool {
    parked: Mutex<HashMap<Arc<str>, Parked>>,
    forgotten: AtomicU64,
    /// Nothing is kept for the time being.
    closed: AtomicBool,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the dependency's connection, if it leads that way.
    pub fn take(&self, dependency: &str, way: &Way) -> Option<Taken> {
        let parked = self.lock().remove(dependency)?;
        if parked.way != *way {
            return None;
        }
        Some(if parked.link.is_dead() {
            Taken::Dead(stale(&parked.link.wire, parked.since))
        } else {
            Taken::Alive(Box::new(parked.link), parked.since)
        })
    }

    /// Keeps a connection that came to the end of a complete answer, unless something was forgotten since `as_of` (see
    /// [`forgotten`](Self::forgotten)): it may have been that very dependency.
    pub fn park(&self, dependency: Arc<str>, way: Way, mut link: Link, as_of: u64) {
        link.detach();
        let parked = Parked {
            way,
            link,
            since: Instant::now(),
        };
        let mut pool = self.lock();
        if self.forgotten() != as_of || self.closed.load(Ordering::Relaxed) {
            return;
        }
        if pool.len() < MAX_PARKED || pool.contains_key(&dependency) {
            let replaced = pool.insert(dependency, parked);
            drop(pool);
            // Closing a socket is not done under the lock.
            drop(replaced);
        }
    }

    /// Closes the dependency's connection, and lets attempts that are under way keep none.
    pub fn forget(&self, dependency: &str) {
        let mut pool = self.lock();
        // Counted under the lock, so that none is parked between the count and the removal.
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        let forgotten = pool.remove(dependency);
        drop(pool);
        drop(forgotten);
    }

    /// Whether connections are kept from now on. Where they are not, those that are kept are closed.
    pub fn keep(&self, keep: bool) {
        let mut pool = self.lock();
        // Set under the lock, so that none is parked after the others are gone.
        self.closed.store(!keep, Ordering::Relaxed);
        let gone = if keep {
            HashMap::new()
        } else {
            std::mem::take(&mut *pool)
        };
        drop(pool);
        drop(gone);
    }

    /// How often something was forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Whether the dependency's parked connection is known to have ended.
    #[cfg(test)]
    pub fn has_ended(&self, dependency: &str, way: &Way) -> bool {
        let pool = self.lock();
        pool.get(dependency)
            .is_some_and(|parked| parked.way == *way && parked.link.wire.traffic().ended.is_some())
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }
}

/// The end of a connection that lay idle since then.
pub(crate) fn stale(wire: &Wire, since: Instant) -> StaleConnection {
    let seen = wire.traffic().ended;
    // An end that was seen only now, by looking, is no measurement of when it came.
    let measured = seen.is_some() && !wire.end_was_looked_for();
    StaleConnection {
        kind: wire.end_kind(),
        address: wire.peer,
        idle: seen.unwrap_or_else(Instant::now).saturating_duration_since(since),
        measured,
    }
}
