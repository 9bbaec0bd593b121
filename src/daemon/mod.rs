//! x
mod clock;
mod engine_loop;
