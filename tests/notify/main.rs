//! What is told of alerts, in virtual time: the engine with its rules, its incidents and its outbox, against receivers that
//! take, fail, refuse and are not there, and a store that is only as far as it is.

#[path = "../harness/asked.rs"]
mod asked;
mod doubts;
mod fleet;
mod kills;
mod peers;
mod properties;
mod scenarios;
mod world;
