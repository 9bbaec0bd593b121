//! The rules of alerts over days and fleets, in virtual time: what must page does, and what must not does not.

mod fleet;
mod looks;
mod monitor;
mod power;
mod rules;
