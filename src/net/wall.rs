//! Civil time, as the edges read it. The engine never does: it is told.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::Wall;

/// What the system's clock says now.
pub fn now() -> Wall {
    let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    };
    Wall::from_unix_nanos(nanos)
}
