//! The few lines that join the commands with `config`, `daemon` and `demo`.
//!
//! Placeholder: those rooms are being built; each function here says so in place of doing its work.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{CheckArgs, DemoArgs, Global, RunArgs};
use super::output::complain;
use crate::model::failure::OperationRecord;
use crate::model::plan::Plan;

const MISSING: &str = "this build is unfinished: the part that does this is not in it";
/// EX_SOFTWARE of sysexits.h.
const SOFTWARE: u8 = 70;

/// The targets of the command line as a plan of one round.
pub struct Targets {
    pub plan: Plan,
    /// What was understood without being said, such as a scheme.
    pub notes: Vec<String>,
    /// Names of the plan's dependencies, in the order of the targets.
    pub order: Vec<Arc<str>>,
}

/// `Err` is the rendered diagnostics.
pub fn plan_for_targets(
    _args: &CheckArgs,
    _data: Option<String>,
    _global: &Global,
) -> Result<Targets, String> {
    Err(MISSING.to_owned())
}

/// Asks every dependency once by the daemon's own loop and hands over each operation as it concludes.
pub fn run_round(_plan: Plan, _global: &Global, _on: impl FnMut(Arc<OperationRecord>)) -> Result<(), String> {
    Err(MISSING.to_owned())
}

pub fn run_daemon(_args: &RunArgs, _global: &Global) -> ExitCode {
    complain(MISSING);
    SOFTWARE.into()
}

pub fn run_demo(_args: &DemoArgs, _global: &Global) -> ExitCode {
    complain(MISSING);
    SOFTWARE.into()
}

/// A configuration that is good, with its rendered warnings.
pub struct Loaded {
    pub plan: Plan,
    pub warnings: Vec<String>,
}

/// `Err` is the rendered diagnostics.
pub fn load(_path: &Path, _color: bool) -> Result<Loaded, String> {
    Err(MISSING.to_owned())
}

/// The effective configuration as YAML. `Err` is the rendered diagnostics.
pub fn dump(_path: &Path, _color: bool) -> Result<String, String> {
    Err(MISSING.to_owned())
}

pub fn schema() -> serde_json::Value {
    serde_json::json!({})
}
