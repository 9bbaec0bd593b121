//! Probes: one attempt each, its facts, and nothing decided.
