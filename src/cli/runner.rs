//! `serpentarium runner`: serves n8n's task broker.

use std::{pin::pin, process::ExitCode, thread::available_parallelism};

use tracing::{info, warn};

use super::absent::warn_of_absent;
use crate::{
    config::{self, RunnerArgs},
    error_reports,
    logging::Logging,
    net::descriptors,
    runner,
    sandbox::ImageInfo,
    workers::{Lockdown, Pool, PoolConfig, set_dumpable},
};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The settings are inconsistent, the limit of open files is too low, a worker cannot start, a part
/// of a required lockdown is missing, or no token is left for another connection.
pub(crate) fn run(args: RunnerArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    let sentry = args.sentry.config();
    let mut log = Logging {
        level: args.log_level,
        format: args.log,
        colour: config::colour(),
        reported: sentry.is_some(),
    }
    .start();
    name_image(&args.image.info()?);
    log.reports = sentry.and_then(|config| {
        let reports = error_reports::start(&config);
        reports
            .inspect(|_| info!("Sentry ready"))
            .inspect_err(|error| warn!("cannot report to Sentry: {error}"))
            .ok()
    });
    let workers = workers(&args);
    // One more slot: a health check may run a task beside the broker's.
    let slots = config.max_concurrency.div_ceil(workers) + usize::from(config.health.is_some());
    // One thread suffices: the workers compute, and this process forwards messages.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut shutdown = pin!(runner::shutdown::requested()?);
        descriptors::raise_limit();
        runner::descriptors::require(workers, config.health.is_some())?;
        let lockdown = args.lockdown;
        let image = args.image.path().map(Into::into);
        let pool = PoolConfig { workers, slots, lockdown, image, ..PoolConfig::default() };
        let pool = Pool::start(&pool)?;
        match lockdown {
            Lockdown::Required => tokio::select! {
                ready = pool.ready() => ready?,
                () = &mut shutdown => return Ok(ExitCode::SUCCESS),
            },
            Lockdown::BestEffort => {}
            // For debuggers. `main` has forbidden them. Best effort.
            Lockdown::Off => drop(set_dumpable(true)),
        }
        // Beside the tasks: the end of the runtime drops it.
        let policy = args.policy.policy().unwrap_or_default();
        tokio::spawn(warn_of_absent(pool.clone(), policy));
        runner::run(config, pool, shutdown.as_mut()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Logs which packages tasks can import: the first line of the log.
fn name_image(image: &ImageInfo) {
    let packages: Vec<_> =
        image.packages.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    info!(
        "image {} {}: Python {} with {}",
        image.name,
        image.version,
        image.python,
        packages.join(", ")
    );
}

/// Returns the number of worker processes: as set, or one per core, at most one per concurrent
/// task.
pub(crate) fn workers(settings: &RunnerArgs) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    settings.workers.map_or(cores.min(settings.max_concurrency.get()), Into::into)
}
