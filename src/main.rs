//! The `serpentarium` binary: parse, call, print the error.

use std::process::ExitCode;

use serpentarium::allocator::LargePages;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

fn main() -> ExitCode {
    serpentarium::cli::main()
}
