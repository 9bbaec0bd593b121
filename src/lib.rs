//! whyd watches the dependencies a service relies on and says why one fails.
//!
//! The rooms, in the order in which data flows through them; ARCHITECTURE.md draws the house.

pub mod model;

pub mod net;

pub mod template;

pub mod clients;

pub mod config;
pub mod engine;

pub mod discover;
pub mod elect;
pub mod export;
pub mod probe;
pub mod report;
pub mod store;
pub mod web;

pub mod daemon;
pub mod deliver;
pub mod lab;

pub mod cli;
