//! How a task ended, and what it used.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Exceeded, aside, reply};

/// The end of one task with what it used on the way: every task has exactly one.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it left beside its result; nothing, unless it returned.
    pub extras: Extras,
    /// What it used.
    pub usage: Usage,
    /// What the guest wrote to standard error, cut at [`Limits::stderr`](super::Limits::stderr) bytes; bytes that are
    /// not UTF-8 are replaced.
    pub stderr: String,
}

/// How a task ended.
#[derive(Debug)]
pub enum End {
    /// The code returned this value: one valid JSON text.
    Returned(Box<RawValue>),
    /// The code raised an exception, did not compile, or returned what JSON cannot carry.
    Raised(Exception),
    /// The task went over one of its limits.
    Exceeded(Exceeded),
    /// The guest broke: it trapped, left early, or its output was not the one JSON value that is agreed. The text says which.
    Broken(String),
    /// The worker process that ran the task is gone (killed, out of memory); the text says how it ended.
    WorkerLost(String),
}

/// What a task leaves beside its result.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extras {
    /// Data about this execution that the code set, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<BTreeMap<String, String>>,
    /// Data that the workflow keeps from one execution to the next, where the code changed it: one JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_data: Option<Box<RawValue>>,
}

/// How an instance stopped, with its output not read yet: reading is for whoever needs the outcome, once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Stop {
    /// It came to its end; what it wrote to standard output is beside this.
    Output,
    /// See [`End::Exceeded`].
    Exceeded(Exceeded),
    /// See [`End::Broken`].
    Broken(String),
}

/// An instance that has stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// How.
    pub stop: Stop,
    /// Where it came to its end, all that it wrote to standard output: from the guest, and unchecked.
    pub stdout: Vec<u8>,
    /// What it used.
    pub usage: Usage,
    /// See [`Outcome::stderr`].
    pub stderr: String,
}

impl Stopped {
    /// One that never ran.
    pub(crate) fn at_once(stop: Stop) -> Self {
        Self { stop, stdout: Vec::new(), usage: Usage::default(), stderr: String::new() }
    }

    /// Reads the output. A large one is read on another thread.
    pub(crate) async fn outcome(self) -> Outcome {
        let Self { stop, stdout, usage, stderr } = self;
        let (end, extras) = match stop {
            Stop::Output => {
                let unread = || {
                    (End::Broken("the guest's output could not be read".into()), Extras::default())
                };
                aside::parse(stdout, reply::read).await.unwrap_or_else(unread)
            }
            Stop::Exceeded(limit) => (End::Exceeded(limit), Extras::default()),
            Stop::Broken(reason) => (End::Broken(reason), Extras::default()),
        };
        Outcome { end, extras, usage, stderr }
    }
}

/// A failure of user code, as the guest reports it. The guest is not trusted: these are texts to show, nothing more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// The exception's text; its type where it has no text. Never empty.
    pub message: String,
    /// The traceback through the user's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The line of the user's code that raised it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_number: Option<u32>,
    /// The item that was being worked on, where the code runs once for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ItemContext>,
}

/// Which item a failure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemContext {
    /// The item's index, from 0.
    pub item_index: u32,
}

/// What a task used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Units of fuel burnt.
    pub fuel: u64,
    /// The largest size of the guest's linear memory in bytes. It grows in steps of up to 16 MiB, of which the last counts whole.
    pub memory: u64,
    /// Wall-clock time from start to end.
    pub duration: Duration,
}
