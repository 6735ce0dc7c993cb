//! The command line: one file for each subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs untrusted Python behind glass: each task in a fresh CPython in WebAssembly, with no files, no network, no
/// environment, under fuel, memory and time limits.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {}

/// Parses the command line, runs the subcommand, prints its error. The exit code is the process's.
pub fn main() -> ExitCode {
    let _cli = Cli::parse();
    ExitCode::SUCCESS
}
