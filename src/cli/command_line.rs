//! Parses the command line and runs the subcommand.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::{
    bench, broker, config, console, demo, exec, exit_code::USAGE, image, notices, profile, runner,
    usage, worker,
};
use crate::{
    config::{MAY_BE_EMPTY, RunnerArgs, SettingFiles},
    workers::set_dumpable,
};

/// Runs untrusted Python: each task in a fresh CPython in WebAssembly, with no files, no network
/// and no environment, under fuel, memory and time limits.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs Python tasks for n8n's task broker.
    Runner(Box<RunnerArgs>),
    Exec(exec::ExecArgs),
    Bench(bench::BenchArgs),
    Profile(profile::ProfileArgs),
    Broker(broker::BrokerArgs),
    Image(image::ImageArgs),
    Config(Box<config::ConfigArgs>),
    Demo(demo::DemoArgs),
    Notices(notices::NoticesArgs),
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

/// Runs the subcommand that the command line names (`runner` if it names none), and prints its
/// error. Returns the exit code of the process.
///
/// Call it from a process that has only one thread: it may change the environment.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    // A worker opens its `/proc/self/pagemap` first; see `workers::lockdown`.
    if words.get(1).is_none_or(|word| word != "worker") {
        // The environment may hold tokens. Fails only on kernels without the call.
        let _ = set_dumpable(false);
    }
    if let Some(image) = notices::asked_versions(&words) {
        return notices::print_versions(image.as_deref());
    }
    let words = with_subcommand(words);
    let mut files = SettingFiles::default();
    if takes_settings(&words) {
        // SAFETY: no other thread exists yet, as this function requires of its caller.
        files = match unsafe { SettingFiles::resolve(&RunnerArgs::variables(), &MAY_BE_EMPTY) } {
            Ok(files) => files,
            Err(error) => {
                console::print_error(error);
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
        Command::Image(args) => image::run(args),
        Command::Config(args) => {
            config::run(&args, matches.subcommand().map_or(&matches, |(_, own)| own), &files)
        }
        Command::Demo(args) => demo::run(args),
        Command::Notices(args) => notices::run(args),
        Command::Worker(args) => worker::run(args),
    };
    result.unwrap_or_else(|error| {
        console::print_error(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Parses a command line. Returns the error that [`main`] would print.
#[cfg(fuzzing)]
pub(crate) fn parse(words: Vec<OsString>) -> Result<(), String> {
    let words = with_subcommand(words);
    let parsed = Cli::command().try_get_matches_from(&words);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let Err(error) = parsed else { return Ok(()) };
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Err(usage::explain(Cli::command(), &error, &words).unwrap_or_else(|| error.to_string()))
}

/// Inserts the subcommand `runner` if none is named: an operator may replace another runner's
/// executable with this one.
///
/// With the runner's arguments flattened into the top level, clap would read and check the runner's
/// variables for every subcommand.
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

/// Returns whether the command line is for a Python interpreter that runs a module, such as `-I -B
/// -m src.main`. n8n and its launcher start n8n's own runner like that. The runner then ignores the
/// arguments.
fn is_python(words: &[OsString]) -> bool {
    let is_flag = words.get(1).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    is_flag && words.iter().rev().nth(1).is_some_and(|word| word == "-m")
}

/// Returns whether the subcommand takes the runner's settings. Their values may come from files,
/// and a bad value exits with 1.
fn takes_settings(words: &[OsString]) -> bool {
    words.get(1).is_some_and(|word| word == "runner" || word == "config")
}

/// Prints the error of the command line; in one line if a value is wrong. The runner exits with 1,
/// as n8n's own does.
fn refuse(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let code = if takes_settings(words) { ExitCode::FAILURE } else { USAGE.into() };
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match usage::explain(Cli::command(), error, &words) {
        Some(line) => {
            console::print_error(line);
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
    fn without_a_subcommand_the_runner_runs() {
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
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }
}
