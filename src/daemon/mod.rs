//! The daemon: one loop that joins the engine and the edges, and everything around it.
//!
//! `run` (the service), `run_once` (one round, for `check`) and [`Daemon::start`] (for `demo` and tests) are the same
//! assembly over different plans.

mod assemble;
mod calendar;
mod clock;
mod discovery;
mod election;
mod engine_loop;
mod exporters;
mod headroom;
mod limits;
mod memory;
mod monitor;
mod once;
mod reading;
mod reload;
mod runtimes;
mod service;
mod systemd;
mod teller;
mod watch_config;

pub use assemble::{Daemon, Options, Running, StartError};
pub use headroom::sample as resources;
pub use limits::{open_files_wanted, raise_open_files};
pub use once::run_once;
pub use runtimes::load_of;
pub use service::{ServiceOptions, run};
pub use systemd::{Handover, HandoverError, take_over};
