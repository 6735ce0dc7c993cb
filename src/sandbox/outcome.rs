//! How a task ended, and what it used.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits::Exceeded;

/// The end of one task. Every task has exactly one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What the code returned, or why it did not.
    pub result: Result<Completed, Failure>,
    /// What the task used, also where it failed.
    pub usage: Usage,
    /// What the guest wrote to standard error, cut at [`Limits::stderr`](super::Limits::stderr)
    /// bytes. Invalid UTF-8 is replaced.
    pub stderr: String,
}

impl Outcome {
    /// The outcome of a task of which nothing but its failure is known.
    pub(crate) fn failed(failure: impl Into<Failure>) -> Self {
        Self { result: Err(failure.into()), usage: Usage::default(), stderr: String::new() }
    }
}

/// A task whose code returned.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Completed {
    /// The returned value: one valid JSON text.
    pub value: Box<RawValue>,
    /// What the task changed beside its result: one JSON object. The sandbox passes it on unread,
    /// and the guest is not trusted: its reader must check it.
    pub effects: Option<Box<RawValue>>,
}

/// Why a task did not complete.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The code raised an exception, did not compile, or returned what JSON cannot carry.
    #[error(transparent)]
    Raised(#[from] Exception),
    /// The task went over one of its limits.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The guest trapped, exited early, or broke the reply format. The text says which.
    #[error("Python stopped unexpectedly: {0}")]
    Broken(String),
    /// The worker process that ran the task is gone (killed, out of memory). The text says how it
    /// ended.
    #[error("{0}")]
    WorkerLost(String),
}

/// A failure of user code, as the guest reports it. The guest is not trusted: show these texts, do
/// not act on them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
#[non_exhaustive]
pub struct Exception {
    /// The exception's text, or its type where it has no text. Never empty; at most 64 KiB.
    pub message: String,
    /// The traceback through the user's own code. At most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The line of the user's code that raised it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_number: Option<u32>,
    /// What the code was working on: one JSON object of at most 4 KiB, which the sandbox passes on
    /// unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Box<RawValue>>,
}

/// What a task used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Units of fuel consumed.
    pub fuel: u64,
    /// The largest size of the guest's linear memory in bytes. The guest's heap grows in steps of
    /// up to 16 MiB, so this is at most one step more than the code needed.
    pub memory: u64,
    /// Wall-clock time from start to end.
    pub duration: Duration,
}
