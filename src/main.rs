//! Arguments go in, an exit status comes out; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    whyd::cli::main(std::env::args_os())
}
