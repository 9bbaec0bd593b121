//! Both clocks, read together for the engine.

use std::time::{Duration, Instant};

use crate::model::time::{Moment, Now, nanos};
use crate::net::wall;

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
            wall: wall::now(),
        }
    }

    /// The runtime's instant for a moment of the engine.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        (self.start + Duration::from_nanos(moment.as_nanos())).into()
    }
}
