//! Decisions: pure, synchronous, standard library only.

pub mod classify;
