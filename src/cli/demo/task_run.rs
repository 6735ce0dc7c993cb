//! Runs one task of the demo, and compares it with the expectation.

use std::time::Duration;

use serde_json::Value;

use super::tasks::{DemoTask, Expect};
use crate::broker::{TaskEvent, TaskHandle, TaskResult, print_text};

/// One task of the demo, and how it ended.
pub(crate) struct TaskRun {
    pub task: &'static DemoTask,
    pub result: TaskResult,
    pub prints: Vec<String>,
    /// Time from sending the settings to receiving the result.
    pub took: Duration,
    /// The difference from the expected behaviour, if there is one.
    pub mismatch: Option<String>,
}

/// Follows a task to its end, and compares the result with the expected one. Calls `show_print` for
/// each print as it happens.
pub(crate) async fn follow(
    task: &'static DemoTask,
    mut handle: TaskHandle,
    show_print: impl Fn(&str),
) -> TaskRun {
    let mut prints = Vec::new();
    let (result, took) = loop {
        match handle.event().await {
            Some(TaskEvent::Print(print)) => {
                let text = print_text(&print);
                show_print(&text);
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
    use crate::cli::demo::tasks::TASKS;
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
