//! The daemon as a whole, from outside: the real binary with a configuration file, servers of the lab on loopback, its
//! listener, its signals, its log and its exit status.

#[path = "../harness/mod.rs"]
mod harness;

mod alerts;
mod doctor;
mod figures;
mod listener;
mod log;
mod maintenance;
mod names;
mod otlp;
mod receivers;
mod reload;
mod secrets;
mod state;
mod stop;
mod swap;
mod watch_config;
mod web;
