//! The `serpentarium` command.

use std::process::ExitCode;

use serpentarium::allocator::LargePages;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

fn main() -> ExitCode {
    serpentarium::cli::main()
}
