//! `serpentarium notices`: the licences of the works in this executable.

use std::process::ExitCode;

use super::console::Console;

/// `scripts/build-python` collects it from the sources of the Python image.
const NOTICES: &str = include_str!(concat!(env!("OUT_DIR"), "/NOTICES.txt"));

/// Prints the licences of the works in this executable: CPython, wasi-libc, zlib, tzdata and
/// others.
#[derive(Debug, clap::Args)]
pub(crate) struct NoticesArgs {}

pub(crate) fn run(NoticesArgs {}: NoticesArgs) -> anyhow::Result<ExitCode> {
    let console = Console::default();
    console.out(NOTICES);
    Ok(console.finish(ExitCode::SUCCESS))
}
