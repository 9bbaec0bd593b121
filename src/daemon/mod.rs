//! The loop and everything around it.

mod clock;
mod engine_loop;
