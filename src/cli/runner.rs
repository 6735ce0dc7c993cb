//! `serpentarium runner`: serves n8n's task broker.

use std::{process::ExitCode, thread::available_parallelism};

use crate::{
    config::{self, RunnerArgs, RunnerConfig},
    logging, runner,
    workers::{Pool, PoolConfig},
};

/// Run Python tasks for n8n's task broker
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: RunnerArgs,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The settings do not go together, the workers cannot be started, or there is no token for another connection.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = RunnerConfig::new(&args.settings)?;
    logging::start(args.settings.log_level, config::colour());
    // More workers than tasks would only stand by.
    let cores = available_parallelism().map_or(1, Into::into);
    let workers = args.settings.workers.map_or(cores.min(config.max_concurrency), Into::into);
    // One more than the tasks need: for the task that a health check may run beside them.
    let slots = config.max_concurrency.div_ceil(workers) + usize::from(config.health.is_some());
    // One thread: the work is done by the workers, and what is left here is short.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = runner::shutdown::requested()?;
        let pool = Pool::start(&PoolConfig { workers, slots, ..PoolConfig::default() })?;
        runner::run(config, pool, shutdown).await?;
        Ok(ExitCode::SUCCESS)
    })
}
