//! What is remembered of one dependency's operations for the rules: small, and of fixed size.

use crate::model::cause::Speed;
use crate::model::failure::{OperationRecord, Verdict};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    pub failures_in_a_row: u32,
    pub successes_in_a_row: u32,
    /// How many of the last failures in a row were fast, up to the newest one that was not.
    pub fast_in_a_row: u32,
}

impl Signals {
    /// Takes a conclusive operation into account.
    pub fn note(&mut self, record: &OperationRecord) {
        match (&record.failure, record.verdict) {
            (Some(failure), Verdict::Failed) => {
                self.successes_in_a_row = 0;
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.fast_in_a_row = match failure.speed {
                    Speed::Fast => self.fast_in_a_row.saturating_add(1),
                    Speed::Slow => 0,
                };
            }
            _ => {
                (self.failures_in_a_row, self.fast_in_a_row) = (0, 0);
                self.successes_in_a_row = self.successes_in_a_row.saturating_add(1);
            }
        }
    }

    /// The last conclusive operation failed.
    pub const fn is_failing(&self) -> bool {
        self.failures_in_a_row > 0
    }
}
