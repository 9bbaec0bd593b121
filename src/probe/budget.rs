//! Budgets: a phase ends when its own budget ends or when the attempt's does, and it is known which of the two it was.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::attempt::Budget;

/// The end of an attempt, and whose budget sets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptEnd {
    pub at: Instant,
    pub of: Budget,
}

impl AttemptEnd {
    pub fn new(started: Instant, budget: Duration, of: Budget) -> Self {
        AttemptEnd {
            at: started + budget,
            of,
        }
    }

    /// The deadline of a phase that begins at `from` and may take `limit`.
    pub fn phase(&self, from: Instant, limit: Duration) -> Deadline {
        let own = from + limit;
        if own < self.at {
            Deadline {
                at: own,
                of: Budget::Phase,
            }
        } else {
            Deadline {
                at: self.at,
                of: self.of,
            }
        }
    }
}

/// When something must end, and whose budget says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub at: Instant,
    pub of: Budget,
}

impl Deadline {
    /// Waits for `work` until the deadline. The error is the budget that ended.
    pub async fn bound<F: Future>(self, work: F) -> Result<F::Output, Budget> {
        tokio::time::timeout_at(self.at, work).await.map_err(|_| self.of)
    }

    /// The earlier of this and `other`.
    pub fn min(self, other: Deadline) -> Deadline {
        if other.at < self.at { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_end_gives_its_name() {
        let start = Instant::now();
        let end = AttemptEnd::new(start, Duration::from_secs(4), Budget::Total);
        assert_eq!(end.phase(start, Duration::from_secs(3)).of, Budget::Phase);
        assert_eq!(end.phase(start, Duration::from_secs(4)).of, Budget::Total);
        let late = end.phase(start + Duration::from_secs(2), Duration::from_secs(3));
        assert_eq!((late.of, late.at), (Budget::Total, end.at));
    }
}
