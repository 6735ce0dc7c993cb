//! `serpentarium demo`: a broker and a runner in one process, connected by a WebSocket, and tasks
//! that show the behaviour of good, bad and hostile code.

mod local_runner;
mod show;
mod tasks;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use serde_json::Value;

use self::{
    local_runner::LocalRunner,
    show::Screen,
    tasks::{DemoTask, Expect, TASKS},
};
use crate::{
    broker::{TaskEvent, TaskHandle, TaskResult, print_text},
    config,
};

/// Time for the runner to start its worker processes and to register.
const START_UP: Duration = Duration::from_secs(30);

/// Shows how the runner handles good code, bad code and hostile code.
///
/// Starts a broker and a runner in this process, connects them by a WebSocket as with n8n, and runs
/// small Code-node tasks.
///
/// Exit codes: 0 every task behaved as described, 1 a task did not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object per task instead of the table.
    #[arg(long)]
    json: bool,
}

/// One task of the demo, and how it ended.
struct TaskRun {
    task: &'static DemoTask,
    result: TaskResult,
    prints: Vec<String>,
    /// Time from sending the settings to receiving the result.
    took: Duration,
    /// The difference from the expected behaviour, if there is one.
    mismatch: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// The broker, the workers or the runner cannot start.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let colour = config::colour() && io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_target(false)
        .with_ansi(colour);
    let log = log.log_internal_errors(false);
    // Fails only if a subscriber is installed already, which then stays.
    let _ = log.with_writer(io::stderr).try_init();
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
            run = watch(task, handle, &screen) => run,
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

/// Follows a task to its end, and compares the result with the expected one.
async fn watch(task: &'static DemoTask, mut handle: TaskHandle, screen: &Screen) -> TaskRun {
    let mut prints = Vec::new();
    let (result, took) = loop {
        match handle.event().await {
            Some(TaskEvent::Print(print)) => {
                let text = print_text(&print);
                screen.print(&text);
                prints.push(text);
            }
            Some(TaskEvent::Ended(report)) => break (report.result, report.ran),
            None => break (TaskResult::BrokerClosed, Duration::ZERO),
        }
    };
    let mismatch = mismatch(task, &result, &prints);
    TaskRun { task, result, prints, took, mismatch }
}

/// Describes the first difference from the expected prints and result.
fn mismatch(task: &DemoTask, result: &TaskResult, prints: &[String]) -> Option<String> {
    if prints != task.prints {
        return Some(format!("expected the prints {:?}, got {prints:?}", task.prints));
    }
    match (&task.expect, result) {
        (Expect::Result(expected), TaskResult::Done(data)) => {
            let value = |text| serde_json::from_str::<Value>(text).ok();
            (value(data.result.get()) != value(expected))
                .then(|| format!("expected the result {expected}"))
        }
        (Expect::Error { text, line }, TaskResult::Failed(failure)) => {
            let got = failure.details.get("lineNumber").and_then(Value::as_u64);
            (!failure.message.contains(text) || got != *line)
                .then(|| format!("expected an error with '{text}', line {line:?}"))
        }
        (Expect::Result(expected), _) => Some(format!("expected the result {expected}")),
        (Expect::Error { text, .. }, _) => Some(format!("expected an error with '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::protocol::{TaskData, TaskFailure};

    fn done(json: &str) -> TaskResult {
        let result = RawValue::from_string(json.into()).unwrap();
        TaskResult::Done(TaskData { result, custom_data: None, static_data: None })
    }

    #[test]
    fn every_expected_result_is_json_and_matches_itself() {
        for task in TASKS {
            let prints: Vec<_> = task.prints.iter().map(ToString::to_string).collect();
            let as_expected = match task.expect {
                Expect::Result(json) => done(json),
                Expect::Error { text, line } => {
                    let details = line
                        .map(|line| ("lineNumber".to_owned(), line.into()))
                        .into_iter()
                        .collect();
                    TaskResult::Failed(TaskFailure { message: format!("Oh: {text}!"), details })
                }
            };
            assert_eq!(mismatch(task, &as_expected, &prints), None, "{}", task.name);
            assert!(
                mismatch(task, &done("\"something else\""), &prints).is_some(),
                "{}",
                task.name
            );
            assert!(mismatch(task, &TaskResult::RunnerLost, &prints).is_some(), "{}", task.name);
            task.settings().unwrap();
        }
    }

    #[test]
    fn missing_prints_are_a_mismatch() {
        let task = TASKS.iter().find(|task| !task.prints.is_empty()).unwrap();
        assert!(mismatch(task, &done("[]"), &[]).is_some());
    }
}
