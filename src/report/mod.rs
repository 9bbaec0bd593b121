//! How operations are told: as text for people, as JSON for machines, and the generated reference of all causes.
//!
//! Everything here is a pure function of the record: no clock, no terminal, no socket.

pub mod causes;
pub mod examples;
pub mod human;
pub mod json;
pub mod style;
pub mod units;
pub mod waterfall;
pub mod words;
pub mod wrap;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
pub(crate) mod samples;
