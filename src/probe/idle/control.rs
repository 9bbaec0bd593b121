//! The connection that is kept busy while others lie idle. What ends it too (a maximum age, a restart, a network that goes
//! away) has nothing to do with lying idle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::idle::ControlFacts;

use super::request::{Asked, Kept, Requests};

/// It is used at least this often.
const AT_LEAST: Duration = Duration::from_secs(20);

pub(super) struct Control<'a> {
    pub requests: &'a Requests<'a>,
    /// How often it is used at first.
    pub every: Duration,
    /// Nanoseconds for which a connection lay idle and was good: a third of that is busy enough.
    pub survived: &'a AtomicU64,
    /// Becomes true when everything else is over.
    pub over: watch::Receiver<bool>,
}

impl Control<'_> {
    /// Keeps it busy until everything else is over, and then uses it once more.
    pub async fn run(mut self, mut kept: Kept) -> ControlFacts {
        let began = Instant::now();
        let mut born = began;
        let mut facts = ControlFacts {
            uses: 1,
            ..ControlFacts::default()
        };
        loop {
            let next = kept.since + self.pause();
            let is_over = tokio::select! {
                // An error means that nobody will say so any more, which is the same.
                _ = self.over.wait_for(|over| *over) => true,
                ended = kept.link.rest(next) => {
                    if ended {
                        facts.ended = Some((kept.ended_at() - born, kept.ended_after()));
                        return facts;
                    }
                    false
                }
            };
            if kept.link.is_dead() {
                facts.ended = Some((kept.ended_at() - born, kept.ended_after()));
                return facts;
            }
            let idle = kept.since.elapsed();
            let address = kept.address;
            match self.requests.again(kept).await {
                Asked::Kept(again) => {
                    kept = again;
                    facts.uses += 1;
                }
                Asked::NotKept => {
                    // It said so, as servers do after so many requests: another one takes its place.
                    facts.uses += 1;
                    facts.renewed = Some(began.elapsed());
                    match self.requests.fresh(address).await {
                        Asked::Kept(fresh) => (kept, born) = (fresh, Instant::now()),
                        _ => return facts,
                    }
                }
                Asked::Dead(_) | Asked::Failed(_) => {
                    facts.ended = Some((born.elapsed(), idle));
                    return facts;
                }
            }
            if is_over {
                facts.alive = true;
                return facts;
            }
        }
    }

    fn pause(&self) -> Duration {
        let survived = Duration::from_nanos(self.survived.load(Ordering::Relaxed));
        self.every.max((survived / 3).min(AT_LEAST))
    }
}
