//! The outcome of a task before its reply is parsed. A worker process sends it over the pipe: only
//! the parent parses.

use serde::{Deserialize, Serialize};

use super::{
    files::TaskPath,
    limits::{Exceeded, Limits, size},
    offload,
    outcome::{Failure, Outcome, Usage},
    reply,
    returned_files::AllowedFiles,
};

/// The end of a run, before its output is parsed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// The entry point returned. The reply is in [`RawOutcome::stdout`].
    Output,
    /// See [`Failure::Exceeded`].
    Exceeded(Exceeded),
    /// See [`Failure::Broken`].
    Broken(String),
    /// See [`Failure::HostFault`].
    HostFault(String),
}

/// An instance that has stopped, with its reply not parsed yet.
#[derive(Debug)]
pub(crate) struct RawOutcome {
    pub exit: Exit,
    /// All that the guest wrote to standard output, unchecked.
    pub stdout: Vec<u8>,
    pub usage: Usage,
    /// See [`Outcome::stderr`].
    pub stderr: String,
}

impl RawOutcome {
    /// Returns the outcome of a task that never ran.
    pub(crate) fn not_run(exit: Exit) -> Self {
        Self { exit, stdout: Vec::new(), usage: Usage::default(), stderr: String::new() }
    }

    /// Parses the reply of a task with these limits, a large one on another thread. `out`: the
    /// directories whose files it hands back.
    pub(crate) async fn parse(self, limits: &Limits, out: Vec<TaskPath>) -> Outcome {
        let allowed = AllowedFiles::new(out, limits);
        let Self { exit, stdout, usage, stderr } = self;
        let mut result = match exit {
            Exit::Output => offload::parse(stdout, move |stdout| reply::parse(stdout, &allowed))
                .await
                .unwrap_or_else(|| {
                    Err(Failure::HostFault("the guest's output could not be read".into()))
                }),
            Exit::Exceeded(limit) => Err(Failure::Exceeded(limit)),
            Exit::Broken(reason) => Err(Failure::Broken(reason)),
            Exit::HostFault(reason) => Err(Failure::HostFault(reason)),
        };
        if let Err(Failure::Raised(exception)) = &mut result
            && exception.limit.is_some()
        {
            exception.append(&format!(
                "\nHint: The memory limit of the task is {}.",
                size(limits.memory)
            ));
            exception.limit = Some(Exceeded::Memory(limits.memory));
        }
        Outcome { result, usage, stderr }
    }
}
