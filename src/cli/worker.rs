//! `serpentarium worker`: a worker process. Hidden from the help, because only the runner starts
//! it.

use std::process::ExitCode;

/// Runs tasks for a parent process, over a socket on standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The number of tasks that run or wait at once.
    #[arg(long, default_value_t = 64)]
    slots: usize,
}

pub(crate) fn run(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    crate::workers::run_worker(args.slots)?;
    Ok(ExitCode::SUCCESS)
}
