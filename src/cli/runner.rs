//! `serpentarium runner`: serves n8n's task broker.

use std::{process::ExitCode, thread::available_parallelism};

use tracing::{info, warn};

use crate::{
    config::{self, RunnerArgs},
    error_reports,
    logging::Logging,
    runner,
    workers::{Pool, PoolConfig},
};

/// Run Python tasks for n8n's task broker
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: RunnerArgs,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The settings do not go together, the workers cannot be started, or there is no token for another connection.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.settings.config()?;
    let sentry = args.settings.sentry.config();
    let _log = Logging {
        level: args.settings.log_level,
        format: args.settings.log,
        colour: config::colour(),
        reported: sentry.is_some(),
    }
    .start();
    // Dropped, and with it the last reports sent, at the end.
    let _reports = sentry.and_then(|config| {
        let reports = error_reports::start(&config);
        reports
            .inspect(|_| info!("Sentry ready"))
            .inspect_err(|error| warn!("cannot report to Sentry: {error}"))
            .ok()
    });
    let workers = workers(&args.settings);
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

/// The number of worker processes: one for each core unless it is set. More than there are tasks would only stand by.
pub(crate) fn workers(settings: &RunnerArgs) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    settings.workers.map_or(cores.min(settings.max_concurrency.get()), Into::into)
}
