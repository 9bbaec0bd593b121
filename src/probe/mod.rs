//! Probes: one attempt each, its facts, and nothing decided.

mod dns;
mod resolve;
mod tls;
