//! `serpentarium notices`: the licences of what this executable carries.

use std::process::ExitCode;

use super::console::Console;

/// Collected by `scripts/build-python` from the sources that the Python image is built from.
const NOTICES: &str = include_str!(concat!(env!("OUT_DIR"), "/NOTICES.txt"));

/// Prints the licences of the works that this executable carries: CPython, wasi-libc, zlib, tzdata and others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: Args) -> anyhow::Result<ExitCode> {
    let console = Console::default();
    console.out(NOTICES);
    Ok(console.finish(ExitCode::SUCCESS))
}
