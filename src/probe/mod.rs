//! Probes: one attempt each, its facts, and nothing decided.

// The prober that shakes hands is not written yet.
#[allow(dead_code, unused_imports)]
mod tls;
