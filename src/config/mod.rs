//! From text to a plan: YAML and the command line, with every mistake reported at once and placed.
//!
//! `raw` is what may be written (and what the JSON Schema and the reference are generated from), `lower` turns it into
//! the plan. Nothing outside this room sees a raw value.

mod decode;
mod diagnostic;
mod dump;
mod environment;
mod expand;
mod key_path;
mod load;
mod lower;
mod raw;
mod reference;
mod scalar;
mod source;
mod targets;
mod url_lint;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use dump::dump;
pub use environment::{Environment, ProcessEnvironment};
pub use load::{Loaded, load};
pub use reference::{reference, schema};
pub use scalar::parse_duration;
pub use targets::{HttpVersionChoice, TargetOptions, TargetPlan, TargetTimeouts, plan_for_targets};
