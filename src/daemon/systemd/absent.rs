//! Where there is no systemd.

use std::time::Duration;

use super::Handover;

/// Nothing can be wrong with nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {}

/// A service manager that is not there.
#[derive(Clone, Debug, Default)]
pub struct Manager;

/// # Safety
/// Always safe here.
///
/// # Errors
/// None here.
pub unsafe fn take_over() -> Result<Handover, HandoverError> {
    Ok(Handover::default())
}

impl Manager {
    pub fn is_there(&self) -> bool {
        false
    }

    pub fn watchdog(&self) -> Option<Duration> {
        None
    }

    pub fn ready(&self, _: &str) {}

    pub fn reloading(&self) {}

    pub fn status(&self, _: &str) {}

    pub fn stopping(&self, _: &str) {}

    pub fn failed(&self, _: Option<i32>, _: &str) {}

    pub fn alive(&self) {}
}
