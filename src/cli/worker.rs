//! `serpentarium worker`: a worker process. Hidden from the help, because only the runner starts
//! it.

use std::{path::PathBuf, process::ExitCode};

use crate::workers::{self, Lockdown};

/// Runs tasks for a parent process, over a socket on standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The number of tasks that run or wait at once.
    #[arg(long, default_value_t = 64)]
    slots: usize,
    /// How much the operating system must lock the process in.
    #[arg(long, default_value_t)]
    lockdown: Lockdown,
    /// The file of the image.
    #[arg(long)]
    image: Option<PathBuf>,
}

pub(crate) fn run(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    workers::run_worker(args.slots, args.lockdown, args.image)?;
    Ok(ExitCode::SUCCESS)
}
