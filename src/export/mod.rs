//! What leaves the process about what is watched: metrics (pushed as OTLP, pulled as Prometheus text), traces of
//! operations, and log lines.
//!
//! Metrics are a projection of state: [`snapshot`] reads the pages, [`catalog`] turns them into samples, and the encoders
//! in [`prometheus`] and [`otlp`] only write what the catalogue says.

pub mod alert_logs;
pub mod catalog;
mod labels;
pub mod log;
pub mod otlp;
pub mod process;
pub mod prometheus;
pub(crate) mod random;
pub mod reference;
pub mod resource;
mod sdk;
pub mod snapshot;
pub mod traces;

#[cfg(test)]
pub(crate) mod samples;
