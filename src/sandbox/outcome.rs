//! The outcome of a task, and its usage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{files::TaskFile, limits::Exceeded};

/// The outcome of one task. Every task has exactly one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The result, or the failure.
    pub result: Result<Completed, Failure>,
    /// The usage, also of a task that failed.
    pub usage: Usage,
    /// Standard error of the guest, cut at [`Limits::stderr`](super::Limits::stderr) bytes.
    /// Invalid UTF-8 is replaced.
    pub stderr: String,
}

impl Outcome {
    /// Returns the outcome of a failed task whose usage is unknown.
    #[cfg(feature = "runner")]
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
    /// Side effects that the guest reports: one JSON object. The sandbox does not read it. The
    /// guest is not trusted, so the reader must check it.
    pub effects: Option<Box<RawValue>>,
    /// The files below the directories that were asked for ([`Program::out`](super::Program::out)),
    /// sorted within each directory by an honest guest. Content and names are the guest's choice.
    pub files: Vec<TaskFile>,
}

/// The reason that a task did not complete.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The code raised an exception, did not compile, or returned a value without a JSON form.
    #[error(transparent)]
    Raised(#[from] Exception),
    /// The task exceeded one of its limits.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The guest trapped, exited early, or broke the reply format. The text says which. Code can
    /// do all of it, so this is no fault of the host.
    #[error("Python stopped unexpectedly: {0}")]
    Broken(String),
    /// The host could not run the task, or could not pass its result on. The text says why. Code
    /// cannot cause it.
    #[error("The sandbox failed: {0}")]
    HostFault(String),
    /// The worker process of the task ended (killed, out of memory). The text says how.
    #[error("{0}")]
    WorkerLost(String),
}

/// A failure of user code, as the guest reports it. The guest is not trusted: show these texts, but
/// do not act on them.
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
    /// The position of the failure in the input: one JSON object of at most 4 KiB. The sandbox
    /// does not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Box<RawValue>>,
    /// The limit that the task ran into, for a `MemoryError`:
    /// [`Limits::memory`](field@super::Limits::memory). Its value ends `message` and `description`,
    /// as a hint. In JSON: the name of the limit.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "limit_name")]
    pub limit: Option<Exceeded>,
}

impl Exception {
    /// Appends a text to `message` and `description`, in which a reader sees either.
    pub(crate) fn append(&mut self, text: &str) {
        self.message.push_str(text);
        if let Some(description) = &mut self.description {
            description.push_str(text);
        }
    }
}

/// The name of a limit, which a guest gives without a value.
mod limit_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Exceeded;

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Memory,
    }

    pub(super) fn serialize<S: Serializer>(
        limit: &Option<Exceeded>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        limit.as_ref().map(Exceeded::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Exceeded>, D::Error> {
        let Name::Memory = Name::deserialize(deserializer)?;
        Ok(Some(Exceeded::Memory(0)))
    }
}

/// The resources that a task used.
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
