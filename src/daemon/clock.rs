//! The one place where the daemon reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::time::{Moment, Now, Wall, nanos};

/// Both clocks of this process. Monotonic time counts from the clock's making.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    pub fn now(&self) -> Now {
        Now {
            moment: Moment::from_nanos(nanos(self.start.elapsed())),
            wall: wall(),
        }
    }

    /// The runtime's instant for a moment of the engine.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        (self.start + Duration::from_nanos(moment.as_nanos())).into()
    }
}

fn wall() -> Wall {
    let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    };
    Wall::from_unix_nanos(nanos)
}
