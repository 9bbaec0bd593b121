//! The vocabulary that every room speaks: time, plans, facts, causes, verdicts, events and the read model.
//!
//! Standard library only, no behaviour that reaches outside.

pub mod alert;
pub mod alert_policy;
pub mod attempt;
pub mod cause;
pub mod cause_docs;
pub mod confirmation;
pub mod dependency;
pub mod dialogue;
pub mod discovery;
pub mod event;
pub mod evidence;
pub mod expect;
pub mod failure;
pub mod headroom;
pub mod histogram;
pub mod http_trouble;
pub mod idle;
pub mod incident;
pub mod looks;
pub mod monitor;
pub mod network;
pub mod notification;
pub mod order;
pub mod page;
pub mod phase;
pub mod plan;
pub mod probe;
pub mod receiver;
pub mod record;
pub mod resolution;
pub mod secret;
pub mod share;
pub mod signals;
pub mod silence;
pub mod similar;
pub mod time;
pub mod tls;
pub mod vantage;
