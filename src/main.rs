//! Arguments go in, an exit status comes out; everything else is in the library.

use std::process::ExitCode;

/// musl's own allocator takes one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    whyd::cli::main(std::env::args_os())
}
