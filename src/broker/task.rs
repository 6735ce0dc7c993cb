//! A task from the side of who submitted it: a handle that hears what is printed, how it ended, and can cancel it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::Shared;
use crate::protocol::{TaskData, TaskFailure, random_id};

/// What a task may print: so many calls and so many bytes are kept for the handle, the rest is dropped. n8n's own cap is
/// 100 calls; this one only keeps a hostile runner from filling our memory.
const MAX_PRINTS: usize = 10_000;
const MAX_PRINT_BYTES: usize = 64 << 20;

/// A task's name in the state; cheap to copy.
pub(crate) type TaskKey = Arc<str>;

/// How a task ended.
#[derive(Debug, Clone)]
pub enum TaskResult {
    /// The runner sent `runner:taskdone`.
    Done(TaskData),
    /// The runner sent `runner:taskerror`.
    Failed(TaskFailure),
    /// The task ran longer than [`BrokerConfig::task_timeout`](super::BrokerConfig::task_timeout).
    TimedOut,
    /// The handle cancelled it.
    Cancelled,
    /// The connection to the runner was lost while the task ran.
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

/// How a task ended, and how long that took.
#[derive(Debug, Clone)]
pub struct TaskReport {
    /// How it ended.
    pub result: TaskResult,
    /// From submission to the settings going out; to the end, where no runner took it.
    pub waited: Duration,
    /// From the settings going out to the end, as seen from here. Zero where no runner took it.
    pub ran: Duration,
}

/// What is heard of a task.
#[derive(Debug)]
pub enum TaskEvent {
    /// One call of `print`: a JSON list of strings, one for each argument (protocol, section 5). [`print_text`] reads it.
    Print(Box<RawValue>),
    /// The end: there is exactly one, and it comes last.
    Ended(Box<TaskReport>),
}

/// A submitted task. Dropping it cancels the task.
pub struct TaskHandle {
    key: TaskKey,
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    ended: bool,
}

/// A task from the broker's side.
pub(crate) struct Task {
    /// Taken when they go out: a task that was started is never matched again.
    pub(crate) settings: Option<Box<RawValue>>,
    pub(crate) stage: Stage,
    /// When the runner must have accepted it, or have finished it.
    pub(crate) deadline: Option<Instant>,
    submitted: Instant,
    started: Option<Instant>,
    events: mpsc::UnboundedSender<TaskEvent>,
    prints: usize,
    print_bytes: usize,
}

/// Where a task stands. The numbers name a place in the queue, and a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the queue.
    Waiting { place: u64 },
    /// Offered to a runner that has not accepted yet. It keeps its place for the case that the runner never does.
    Matched { place: u64, connection: u64 },
    /// The settings are out.
    Running { connection: u64 },
}

/// Both sides of a new task.
pub(crate) fn new(shared: Arc<Shared>, settings: Box<RawValue>) -> (TaskHandle, Task) {
    let (sender, events) = mpsc::unbounded_channel();
    let key = random_id();
    let settings = shared.config.hooks.submitted(&key, settings);
    let task = Task {
        settings: Some(settings),
        stage: Stage::Waiting { place: 0 },
        deadline: None,
        submitted: Instant::now(),
        started: None,
        events: sender,
        prints: 0,
        print_bytes: 0,
    };
    (TaskHandle { key: key.into(), shared, events, ended: false }, task)
}

impl TaskHandle {
    /// The id that the runner knows it by: 22 letters and digits.
    pub fn id(&self) -> &str {
        &self.key
    }

    pub(crate) fn key(&self) -> &TaskKey {
        &self.key
    }

    /// Stops the task: it ends with [`TaskResult::Cancelled`] at once, the runner is told. Without effect on one that
    /// has ended.
    pub fn cancel(&self) {
        self.shared.update(|matching, now| matching.cancel(&self.key, now));
    }

    /// The next thing that is heard of the task; `None` after its end. May be dropped and called again.
    pub async fn event(&mut self) -> Option<TaskEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await.unwrap_or_else(closed);
        self.ended = matches!(event, TaskEvent::Ended(_));
        Some(event)
    }

    /// Waits for the end. What is printed until then is dropped; [`event`](Self::event) hears it.
    pub async fn report(mut self) -> TaskReport {
        loop {
            match self.event().await {
                Some(TaskEvent::Print(_)) => {}
                Some(TaskEvent::Ended(report)) => return *report,
                // The end was heard before.
                None => {
                    return TaskReport {
                        result: TaskResult::BrokerClosed,
                        waited: Duration::ZERO,
                        ran: Duration::ZERO,
                    };
                }
            }
        }
    }

    /// [`report`](Self::report) without the times.
    pub async fn result(self) -> TaskResult {
        self.report().await.result
    }
}

/// The broker's side is gone without a word: it was torn down with its runtime.
fn closed() -> TaskEvent {
    let report = TaskReport {
        result: TaskResult::BrokerClosed,
        waited: Duration::ZERO,
        ran: Duration::ZERO,
    };
    TaskEvent::Ended(Box::new(report))
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
        self.shared.config.hooks.gone(&self.key);
    }
}

impl Task {
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Passes on what the task printed, as long as it prints a reasonable amount.
    pub(crate) fn print(&mut self, params: Box<RawValue>) {
        self.prints += 1;
        self.print_bytes = self.print_bytes.saturating_add(params.get().len());
        if self.prints <= MAX_PRINTS && self.print_bytes <= MAX_PRINT_BYTES {
            // A handle that is gone hears nothing.
            let _ = self.events.send(TaskEvent::Print(params));
        }
    }

    pub(crate) fn end(self, result: TaskResult, now: Instant) {
        let started = self.started.unwrap_or(now);
        let report = TaskReport { result, waited: started - self.submitted, ran: now - started };
        let _ = self.events.send(TaskEvent::Ended(Box::new(report)));
    }
}

/// One `print` as a line of text: the parameters of `logNodeOutput` joined by spaces, strings without the quotes that n8n's
/// console wants around them.
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
    fn a_print_reads_like_pythons() {
        let text = |json: &str| print_text(&RawValue::from_string(json.into()).unwrap());
        assert_eq!(text(r#"["'rows'", "3", "{\"a\": 1}"]"#), "rows 3 {\"a\": 1}");
        assert_eq!(text("[]"), "");
        assert_eq!(text(r#"["'"]"#), "'");
        assert_eq!(text("{\"not\": \"a list\"}"), "{\"not\": \"a list\"}");
    }
}
