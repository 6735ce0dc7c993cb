//! `serpentarium demo`: a broker and a runner in one process, connected by a WebSocket. Its tasks
//! show the behaviour of good, bad and hostile code.

mod local_runner;
mod show;
mod task_run;
mod tasks;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use tracing::level_filters::LevelFilter;

use self::{local_runner::LocalRunner, show::Screen, task_run::follow, tasks::TASKS};
use crate::logging;

/// Time for the runner to start its worker processes and to register.
const START_UP: Duration = Duration::from_secs(30);

/// Shows how the runner handles good code, bad code and hostile code.
///
/// Starts a broker and a runner in this process, connects them by a WebSocket as with n8n, and runs
/// small Code-node tasks.
///
/// Exit codes: 0 every task behaved as described, 1 a task did not.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object per task instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs the demo.
///
/// # Errors
/// The broker, the workers or the runner cannot start.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    logging::to_stderr(LevelFilter::ERROR);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_tasks(args.json))
}

async fn run_tasks(json: bool) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(json);
    let started = Instant::now();
    let mut local = LocalRunner::start().await?;
    tokio::select! {
        () = local.broker.runner_registered() => {}
        end = &mut local.runner => bail!("the runner ended: {}", end?),
        () = tokio::time::sleep(START_UP) => bail!("the runner did not register within {} s", START_UP.as_secs()),
    }
    screen.registered(&local.broker.uri(), started.elapsed());
    let mut runs = Vec::new();
    for task in TASKS {
        screen.begin(task);
        let handle = local.broker.submit(task.settings()?);
        let run = tokio::select! {
            run = follow(task, handle, |text| screen.print(text)) => run,
            end = &mut local.runner => bail!("the runner ended: {}", end?),
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        };
        screen.end(&run);
        runs.push(run);
    }
    local.stop().await;
    screen.summary(&runs, started.elapsed());
    let behaved = runs.iter().all(|run| run.mismatch.is_none());
    Ok(screen.finish(if behaved { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}
