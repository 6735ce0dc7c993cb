//! One task in the broker's state: its stage, its events and its result.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::protocol::{TaskData, TaskFailure};

/// Print calls of one task that reach its handle; more are dropped. A runner of n8n stops at 100.
/// The cap keeps a faulty runner from filling the broker's memory.
const MAX_PRINTS: usize = 10_000;
/// Bytes of all print calls of one task that reach its handle; more are dropped.
const MAX_PRINT_BYTES: usize = 64 << 20;

/// A task's id, as a key that is cheap to clone.
pub(crate) type TaskKey = Arc<str>;

/// How a task ended.
#[derive(Debug, Clone)]
pub enum TaskResult {
    /// The runner sent `runner:taskdone`.
    Done(TaskData),
    /// The runner sent `runner:taskerror`.
    Failed(TaskFailure),
    /// The task exceeded [`BrokerConfig::task_timeout`](super::BrokerConfig::task_timeout).
    TimedOut,
    /// The handle cancelled the task.
    Cancelled,
    /// The connection to the runner ended while the task ran.
    RunnerLost,
    /// The broker drained or stopped before the task ended.
    BrokerClosed,
}

impl fmt::Display for TaskResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(data) => f.write_str(data.result.get()),
            Self::Failed(failure) => f.write_str(&failure.message),
            Self::TimedOut => f.write_str("Task execution timed out"),
            Self::Cancelled => f.write_str("Task was cancelled"),
            Self::RunnerLost => f.write_str("The connection to the runner was lost"),
            Self::BrokerClosed => f.write_str("The broker is closing"),
        }
    }
}

/// A task's result and times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskReport {
    /// How the task ended.
    pub result: TaskResult,
    /// Time in the queue: from submission to sending the settings, or to the end if no runner
    /// accepted the task.
    pub waited: Duration,
    /// Time from sending the settings to the end. Zero if no runner accepted the task.
    pub ran: Duration,
}

impl TaskReport {
    /// Returns the report of a task whose broker no longer exists.
    pub(crate) fn lost() -> Self {
        let zero = Duration::ZERO;
        Self { result: TaskResult::BrokerClosed, waited: zero, ran: zero }
    }
}

/// An event of a task.
#[derive(Debug)]
pub enum TaskEvent {
    /// One call of `print`: a JSON list of strings, one per argument. [`print_text`] formats it.
    Print(Box<RawValue>),
    /// The end. Exactly one, and the last event.
    Ended(Box<TaskReport>),
}

/// A task in the broker's state.
pub(crate) struct Task {
    /// `None` once they are sent, so that a started task is never matched again.
    pub(crate) settings: Option<Box<RawValue>>,
    pub(crate) stage: Stage,
    /// The time by which the runner must accept the task, or finish it.
    pub(crate) deadline: Option<Instant>,
    submitted: Instant,
    started: Option<Instant>,
    events: mpsc::UnboundedSender<TaskEvent>,
    prints: usize,
    print_bytes: usize,
}

/// A task's progress. `ticket` is the task's key in the queue: tickets increase, so the queue is
/// first in, first out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the queue.
    Waiting { ticket: u64 },
    /// Sent to a runner that has not accepted it yet. A rejection or a late answer returns it to
    /// the queue.
    Matched { ticket: u64, connection: u64 },
    /// The runner has the settings.
    Running { connection: u64 },
}

/// The stage that a task must be in for a message to apply.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ExpectedStage {
    Matched,
    Running,
}

impl Stage {
    /// Returns whether the task is in the expected stage on this connection.
    pub(crate) fn is(self, expected: ExpectedStage, connection: u64) -> bool {
        match (self, expected) {
            (Self::Matched { connection: on, .. }, ExpectedStage::Matched)
            | (Self::Running { connection: on }, ExpectedStage::Running) => on == connection,
            _ => false,
        }
    }
}

impl Task {
    /// Creates a task and the receiver of its events.
    pub(crate) fn new(settings: Box<RawValue>) -> (Self, mpsc::UnboundedReceiver<TaskEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let task = Self {
            settings: Some(settings),
            stage: Stage::Waiting { ticket: 0 },
            deadline: None,
            submitted: Instant::now(),
            started: None,
            events: sender,
            prints: 0,
            print_bytes: 0,
        };
        (task, events)
    }

    pub(crate) fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Forwards a print to the handle, up to [`MAX_PRINTS`] and [`MAX_PRINT_BYTES`].
    pub(crate) fn print(&mut self, params: Box<RawValue>) {
        self.prints += 1;
        self.print_bytes = self.print_bytes.saturating_add(params.get().len());
        if self.prints <= MAX_PRINTS && self.print_bytes <= MAX_PRINT_BYTES {
            // Fails only after the handle was dropped.
            let _ = self.events.send(TaskEvent::Print(params));
        }
    }

    pub(crate) fn end(self, result: TaskResult, now: Instant) {
        let started = self.started.unwrap_or(now);
        let report = TaskReport { result, waited: started - self.submitted, ran: now - started };
        let _ = self.events.send(TaskEvent::Ended(Box::new(report)));
    }
}

/// Formats one `print` as a line of text: joins the parameters of `logNodeOutput` by spaces.
/// Removes the single quotes that a runner puts around strings for n8n's console.
pub fn print_text(params: &RawValue) -> String {
    let Ok(arguments) = serde_json::from_str::<Vec<String>>(params.get()) else {
        return params.get().to_owned();
    };
    let unquoted = |argument: &String| {
        let text = argument.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        text.unwrap_or(argument).to_owned()
    };
    arguments.iter().map(unquoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_is_joined_as_python_joins_it() {
        let text = |json: &str| print_text(&RawValue::from_string(json.into()).unwrap());
        assert_eq!(text(r#"["'rows'", "3", "{\"a\": 1}"]"#), "rows 3 {\"a\": 1}");
        assert_eq!(text("[]"), "");
        assert_eq!(text(r#"["'"]"#), "'");
        assert_eq!(text("{\"not\": \"a list\"}"), "{\"not\": \"a list\"}");
    }
}
