//! The `serpentarium` binary: parse, call, print the error.

use std::process::ExitCode;

fn main() -> ExitCode {
    serpentarium::cli::main()
}
