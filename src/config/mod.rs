//! From what the user wrote to a [`Plan`](crate::model::plan::Plan): checked, complete, every mistake told at once.
//!
//! The flow: [`load`] reads files and expands references (`secrets`), `decode` turns them into the `raw` types,
//! `lower` turns those into the plan. All of them note what is wrong in one `Report`; only when there is something
//! to tell is the text parsed again with places (`source`) and made into [`Diagnostics`].

mod cron;
mod decode;
mod diagnostic;
mod environment;
mod found;
mod load;
mod lower;
mod mask;
mod path;
mod raise;
mod raw;
mod reference;
mod report;
mod secrets;
mod source;
mod suggest;
mod targets;
pub mod url_lint;

pub use cron::Cron;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use environment::{Environment, ProcessEnvironment};
pub use found::{Finder, Found, FoundHere, Planned};
pub use load::{Loaded, dump, dump_as, files, load, load_as};
pub use lower::scale_out::{Overrides, Shard};
pub use mask::target as shown_target;
pub use reference::{reference, schema};
pub use targets::{TargetOptions, TargetPlan, plan_for_targets};
