//! `serpentarium demo`: broker and runner in one process, talking over a real WebSocket, and tasks that show what happens.

mod machine;
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
    machine::Machine,
    show::Screen,
    tasks::{DemoTask, Expect, TASKS},
};
use crate::{
    broker::{TaskEvent, TaskHandle, TaskResult, print_text},
    config,
};

/// How long the runner may take to register: worker processes and all.
const START_UP: Duration = Duration::from_secs(30);

/// Shows what the runner does with good code, bad code and hostile code.
///
/// Starts a broker and a runner in this process, which talk over a real WebSocket as they do with n8n, and runs small
/// Code-node tasks. Exit codes: 0 every task behaved as its description says, 1 one did not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object for each task instead of the table.
    #[arg(long)]
    json: bool,
}

/// What became of one task.
struct Performance {
    task: &'static DemoTask,
    result: TaskResult,
    prints: Vec<String>,
    /// From the settings going out to the answer.
    took: Duration,
    /// What is not as it should be.
    surprise: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// The broker, the workers or the runner cannot start.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let colour = config::colour() && io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_target(false)
        .with_ansi(colour);
    let log = log.log_internal_errors(false);
    // Refused only where somebody logs already.
    let _ = log.with_writer(io::stderr).try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(perform(args.json))
}

async fn perform(json: bool) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(json);
    let started = Instant::now();
    let mut machine = Machine::start().await?;
    tokio::select! {
        () = machine.broker.runner_registered() => {}
        end = &mut machine.runner => bail!("the runner ended: {}", end?),
        () = tokio::time::sleep(START_UP) => bail!("the runner did not register within {} s", START_UP.as_secs()),
    }
    screen.registered(&machine.broker.uri(), started.elapsed());
    let mut performances = Vec::new();
    for task in TASKS {
        screen.begin(task);
        let handle = machine.broker.submit(task.settings()?);
        let performance = tokio::select! {
            performance = watch(task, handle, &screen) => performance,
            end = &mut machine.runner => bail!("the runner ended: {}", end?),
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        };
        screen.end(&performance);
        performances.push(performance);
    }
    machine.stop().await;
    screen.summary(&performances, started.elapsed());
    let behaved = performances.iter().all(|performance| performance.surprise.is_none());
    Ok(screen.finish(if behaved { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// Follows a task to its end, and compares it with what it should do.
async fn watch(task: &'static DemoTask, mut handle: TaskHandle, screen: &Screen) -> Performance {
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
    let surprise = surprise(task, &result, &prints);
    Performance { task, result, prints, took, surprise }
}

/// What is not as the task says it should be.
fn surprise(task: &DemoTask, result: &TaskResult, prints: &[String]) -> Option<String> {
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
    fn every_expected_result_is_json_and_meets_itself() {
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
            assert_eq!(surprise(task, &as_expected, &prints), None, "{}", task.name);
            assert!(
                surprise(task, &done("\"something else\""), &prints).is_some(),
                "{}",
                task.name
            );
            assert!(surprise(task, &TaskResult::RunnerLost, &prints).is_some(), "{}", task.name);
            task.settings().unwrap();
        }
    }

    #[test]
    fn prints_that_are_missing_are_a_surprise() {
        let task = TASKS.iter().find(|task| !task.prints.is_empty()).unwrap();
        assert!(surprise(task, &done("[]"), &[]).is_some());
    }
}
