//! The command line: one file for each subcommand.

mod bench;
mod broker;
mod budget;
mod config;
mod console;
mod demo;
mod exec;
mod items;
mod notices;
mod pretty;
mod profile;
mod program;
mod ruler;
mod runner;
mod usage;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{MAY_BE_EMPTY, RunnerArgs, SettingFiles};

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
    Runner(Box<runner::Args>),
    Exec(exec::Args),
    Bench(bench::Args),
    Profile(profile::Args),
    Broker(broker::Args),
    Config(Box<config::Args>),
    Demo(demo::Args),
    Notices(notices::Args),
    #[command(hide = true)]
    Worker(worker::Args),
}

/// Parses the command line of a process that has one thread so far, runs the subcommand (`runner` where none is named), prints its error. The exit code is the
/// process's.
pub fn main() -> ExitCode {
    let words = with_subcommand(std::env::args_os().collect());
    let mut files = SettingFiles::default();
    if takes_settings(&words) {
        // SAFETY: this is the process's first step, and so far its only thread.
        files = match unsafe { SettingFiles::resolve(&RunnerArgs::variables(), &MAY_BE_EMPTY) } {
            Ok(files) => files,
            Err(error) => {
                console::complain(error);
                return ExitCode::FAILURE;
            }
        };
    }
    let parsed = Cli::command().try_get_matches_from(&words);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error, &words),
    };
    let result = match cli.command {
        Command::Runner(args) => runner::run(*args),
        Command::Exec(args) => exec::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Broker(args) => broker::run(args),
        Command::Config(args) => {
            config::run(&args, matches.subcommand().map_or(&matches, |(_, own)| own), &files)
        }
        Command::Demo(args) => demo::run(args),
        Command::Notices(args) => notices::run(args),
        Command::Worker(args) => worker::run(args),
    };
    result.unwrap_or_else(|error| {
        console::complain(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Names the subcommand `runner` where none is named: an operator puts the bare executable in another runner's place.
///
/// Not by way of clap: optional arguments of the runner would be read, and refused, also where another subcommand runs.
fn with_subcommand(mut words: Vec<OsString>) -> Vec<OsString> {
    let own = ["-h", "--help", "-V", "--version"];
    if is_python(&words) {
        words.truncate(1);
    }
    let is_flag = |word: &OsString| {
        word.as_encoded_bytes().starts_with(b"-") && !own.iter().any(|flag| word == flag)
    };
    if words.get(1).is_none_or(is_flag) {
        words.insert(words.len().min(1), "runner".into());
    }
    words
}

/// Whether the command line is one for a Python interpreter that runs a module, `-I -B -m src.main`: that is how n8n and its
/// launcher start n8n's own runner. Here it is the runner, and what is meant for Python means nothing.
fn is_python(words: &[OsString]) -> bool {
    let is_flag = words.get(1).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    is_flag && words.iter().rev().nth(1).is_some_and(|word| word == "-m")
}

/// Whether the subcommand takes the runner's settings, which may stand in files and whose faults exit with 1.
fn takes_settings(words: &[OsString]) -> bool {
    words.get(1).is_some_and(|word| word == "runner" || word == "config")
}

/// Exit code where the command line is wrong.
const USAGE: u8 = 2;

/// Says what is wrong with the command line: in one line where it is a value. A runner that is given a wrong value ends
/// with 1, as n8n's own does.
fn refuse(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let code = if takes_settings(words) { ExitCode::FAILURE } else { USAGE.into() };
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match usage::explain(Cli::command(), error, &words) {
        Some(line) => {
            console::complain(line);
            code
        }
        None => error.exit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> Vec<OsString> {
        with_subcommand(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_runner_is_what_runs_where_nothing_else_is_named() {
        assert_eq!(named(&["s"]), ["s", "runner"]);
        assert_eq!(
            named(&["s", "--max-concurrency", "3"]),
            ["s", "runner", "--max-concurrency", "3"]
        );
        assert_eq!(named(&["s", "-m", "src.main"]), ["s", "runner"]);
        assert_eq!(
            named(&["s", "-I", "-X", "disable_remote_debug", "-m", "src.main"]),
            ["s", "runner"]
        );
        for words in [["s", "exec"], ["s", "--help"], ["s", "-V"], ["s", "no-such-command"]] {
            assert_eq!(named(&words), words);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
