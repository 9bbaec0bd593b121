//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with these arguments, the first of which is its name.
pub fn main(_args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
