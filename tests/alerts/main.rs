//! The rules of alerts over days and fleets, in virtual time: what must page does, and what must not does not.

#[path = "../harness/asked.rs"]
mod asked;
mod fleet;
mod looks;
mod monitor;
mod power;
mod rules;
