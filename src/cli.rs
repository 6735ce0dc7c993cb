//! The command line: one file for each subcommand.

mod exec;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs untrusted Python behind glass: each task in a fresh CPython in WebAssembly, with no files, no network, no
/// environment, under fuel, memory and time limits.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(exec::Args),
    #[command(hide = true)]
    Worker(worker::Args),
}

/// Parses the command line, runs the subcommand, prints its error. The exit code is the process's.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let result = match command {
        Command::Exec(args) => exec::run(args),
        Command::Worker(args) => worker::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("serpentarium: {error:#}");
        ExitCode::FAILURE
    })
}
