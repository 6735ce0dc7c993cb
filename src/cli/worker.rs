//! `serpentarium worker`: hidden; the runner starts it.

use std::process::ExitCode;

/// Runs tasks for a parent process, over a pipe on standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks that run or wait at the same time.
    #[arg(long, default_value_t = 64)]
    slots: usize,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::workers::run_worker(args.slots)?;
    Ok(ExitCode::SUCCESS)
}
