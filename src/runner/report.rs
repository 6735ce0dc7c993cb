//! The log line of a finished task.

use std::fmt;

use tracing::{error, info};

use super::effects::Returned;
use crate::{
    protocol::TaskLabel,
    sandbox::{Failure, Usage},
    text::brief,
};

/// The kind of an outcome, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutcomeKind {
    /// A result.
    Completed,
    /// A failure that user code can cause. The text names its kind.
    Failed(&'static str),
    /// A fault of the runner, which user code cannot cause: its kind, and the reason.
    HostFault(&'static str, String),
}

impl OutcomeKind {
    /// Classifies the result of a task.
    pub(crate) fn of(result: &Result<Returned, Failure>) -> Self {
        match result {
            Ok(_) => Self::Completed,
            Err(Failure::Raised(_)) => Self::Failed("exception"),
            Err(Failure::Exceeded(limit)) => Self::Failed(limit.name()),
            Err(Failure::Broken(_)) => Self::Failed("broken"),
            Err(Failure::HostFault(reason)) => Self::HostFault("host fault", reason.clone()),
            Err(Failure::WorkerLost(reason)) => Self::HostFault("worker lost", reason.clone()),
        }
    }

    /// Writes the log line. It holds no text of user code, which may contain secrets.
    pub(crate) fn log(self, task_id: &str, label: &TaskLabel, usage: Usage, size: usize) {
        let line = LogLine { task_id, label, usage, size };
        let Usage { fuel, memory, duration } = usage;
        let took = duration.as_secs_f64() * 1000.0;
        let TaskLabel { node_name: node, workflow_name: workflow, .. } = label;
        let (how, why) = match &self {
            Self::Completed => ("Completed", None),
            Self::Failed(why) | Self::HostFault(why, _) => ("Failed", Some(*why)),
        };
        info!(
            fuel,
            memory,
            why,
            task.id = task_id,
            task.node = node,
            task.workflow = workflow,
            task.bytes = size,
            task.milliseconds = took,
            "{how} task {line}"
        );
        if let Self::HostFault(why, reason) = self {
            error!(task_id, reason, "A task ended by a fault of the runner or its Python: {why}");
        }
    }
}

/// `{id} in {duration} ({size}) for node "{node}" ({node id}) in workflow "{workflow}"
/// ({workflow id})`. The format is stable: operators grep for it.
struct LogLine<'a> {
    task_id: &'a str,
    label: &'a TaskLabel,
    usage: Usage,
    size: usize,
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { task_id, label, usage, size } = self;
        let size = bytesize::ByteSize::b(*size as u64).display().iec();
        write!(f, "{} in {:.1?} ({size}) ", brief(task_id), usage.duration)?;
        write!(f, "{}", NodeAndWorkflow(label))
    }
}

/// Node and workflow of a task, in the words of n8n's own runner.
pub(crate) struct NodeAndWorkflow<'a>(pub(crate) &'a TaskLabel);

impl fmt::Display for NodeAndWorkflow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let TaskLabel { node_name, node_id, workflow_name, workflow_id, .. } = self.0;
        write!(f, "for node \"{}\" ({}) ", brief(node_name), brief(node_id))?;
        write!(f, "in workflow \"{}\" ({})", brief(workflow_name), brief(workflow_id))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_log_line_has_the_format_of_n8n() {
        let label = TaskLabel {
            node_name: "Code".into(),
            workflow_name: "My \"flow\"\n".into(),
            ..TaskLabel::default()
        };
        let usage = Usage { duration: Duration::from_micros(12_345), ..Usage::default() };
        let line = LogLine { task_id: "abc", label: &label, usage, size: 2048 }.to_string();
        let expected = [
            r#"abc in 12.3ms (2.0 KiB) for node "Code" (Unknown)"#,
            r#"in workflow "My "flow"\n" (Unknown)"#,
        ];
        assert_eq!(line, expected.join(" "));
    }
}
