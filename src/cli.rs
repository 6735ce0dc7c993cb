//! The command line: one file for each subcommand.

mod broker;
mod demo;
mod exec;
mod runner;
mod usage;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Runs untrusted Python behind glass: each task in a fresh CPython in WebAssembly, with no files, no network, no
/// environment, under fuel, memory and time limits.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 120, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    runner: runner::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Runner(runner::Args),
    Exec(exec::Args),
    Broker(broker::Args),
    Demo(demo::Args),
    #[command(hide = true)]
    Worker(worker::Args),
}

/// Parses the command line, runs the subcommand (`runner` where none is named), prints its error. The exit code is the
/// process's.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let result = match cli.command.unwrap_or(Command::Runner(cli.runner)) {
        Command::Runner(args) => runner::run(args),
        Command::Exec(args) => exec::run(args),
        Command::Broker(args) => broker::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Worker(args) => worker::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("serpentarium: {error:#}");
        ExitCode::FAILURE
    })
}

/// Says what is wrong with the command line: in one line where it is a value.
fn refuse(error: &clap::Error) -> ExitCode {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    match usage::explain(Cli::command(), error, &words) {
        Some(line) => {
            eprintln!("serpentarium: {line}");
            ExitCode::FAILURE
        }
        None => error.exit(),
    }
}
