//! Metrics pushed as OTLP.

mod encode;
mod table;
mod wire;
