//! `serpentarium notices`: the licences of what this executable carries.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Collected by `scripts/build-python` from the sources that the Python image is built from.
const NOTICES: &str = include_str!(concat!(env!("OUT_DIR"), "/NOTICES.txt"));

/// Prints the licences of the works that this executable carries: CPython, wasi-libc, zlib, tzdata and others.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(Args {}: Args) -> anyhow::Result<ExitCode> {
    // A reader that has seen enough (`| head`) closes the pipe.
    match io::stdout().write_all(NOTICES.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
