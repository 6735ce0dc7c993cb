//! The tasks of one connection: each waits for its settings, runs, or is abandoned.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::{calls::TaskCalls, effects::CheckedOutcome};
use crate::{
    protocol::TaskLabel,
    sandbox::{Failure, Usage},
};

/// Time limit for the settings of an accepted task. A broker sends them within milliseconds.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which an abandoned task is remembered, to answer late settings. 300 s is n8n's own
/// default time-out of a task: later, n8n has failed the task itself.
const ABANDONED_TTL: Duration = Duration::from_secs(300);

/// The tasks of one connection. Dropping them stops the running ones.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    states: HashMap<String, TaskState>,
    jobs: JoinSet<CheckedOutcome>,
    /// Task id by job.
    owners: HashMap<Id, String>,
}

#[derive(Debug)]
enum TaskState {
    /// Accepted; waits for its settings until this deadline.
    Waiting(Instant),
    /// Running.
    Running(RunningTask),
    /// Its settings are overdue. It takes no capacity, and is forgotten at this time.
    Abandoned(Instant),
}

/// A running task.
#[derive(Debug)]
pub(crate) struct RunningTask {
    /// Its label, for the log.
    pub(crate) label: TaskLabel,
    /// Its host calls.
    pub(crate) calls: Arc<TaskCalls>,
    job: AbortHandle,
    /// Time of its start.
    pub(crate) since: Instant,
}

/// The state of a task when its settings arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettingsArrival {
    /// It waits for them.
    Expected,
    /// The runner stopped waiting for them.
    TooLate,
    /// It has settings already.
    Duplicate,
    /// It was never accepted, or is over.
    UnknownTask,
}

/// The state of a task when it was cancelled.
#[derive(Debug)]
pub(crate) enum CancelledTask {
    /// It ran and is now stopped. The broker waits for its final message.
    Running(RunningTask),
    /// It waited for its settings. The broker expects no message.
    Waiting,
    /// No such task exists.
    Unknown,
}

impl Tasks {
    /// Returns the number of tasks that take capacity: waiting or running.
    pub(crate) fn active(&self) -> usize {
        self.states.values().filter(|state| !matches!(state, TaskState::Abandoned(_))).count()
    }

    /// Returns whether the task is waiting or running.
    pub(crate) fn is_active(&self, task_id: &str) -> bool {
        matches!(self.states.get(task_id), Some(TaskState::Waiting(_) | TaskState::Running(_)))
    }

    /// Adds an accepted task, which waits for its settings.
    pub(crate) fn accept(&mut self, task_id: &str, now: Instant) {
        self.states.insert(task_id.into(), TaskState::Waiting(now + SETTINGS_TIMEOUT));
    }

    /// Handles the arrival of a task's settings. The task may run only if they are expected.
    pub(crate) fn settings_arrived(&mut self, task_id: &str) -> SettingsArrival {
        match self.states.get(task_id) {
            None => SettingsArrival::UnknownTask,
            Some(TaskState::Running(_)) => SettingsArrival::Duplicate,
            Some(TaskState::Waiting(_)) => {
                self.states.remove(task_id);
                SettingsArrival::Expected
            }
            Some(TaskState::Abandoned(_)) => {
                self.states.remove(task_id);
                SettingsArrival::TooLate
            }
        }
    }

    /// Runs `job` as the task.
    pub(crate) fn start(
        &mut self,
        task_id: String,
        label: TaskLabel,
        calls: Arc<TaskCalls>,
        job: impl Future<Output = CheckedOutcome> + Send + 'static,
    ) {
        let job = self.jobs.spawn(job);
        self.owners.insert(job.id(), task_id.clone());
        self.states.insert(
            task_id,
            TaskState::Running(RunningTask { label, calls, job, since: Instant::now() }),
        );
    }

    /// Returns the host calls of a running task.
    pub(crate) fn calls(&self, task_id: &str) -> Option<&TaskCalls> {
        match self.states.get(task_id) {
            Some(TaskState::Running(running)) => Some(&running.calls),
            _ => None,
        }
    }

    /// Stops and forgets a task.
    pub(crate) fn cancel(&mut self, task_id: &str) -> CancelledTask {
        match self.states.remove(task_id) {
            None => CancelledTask::Unknown,
            Some(TaskState::Waiting(_) | TaskState::Abandoned(_)) => CancelledTask::Waiting,
            Some(TaskState::Running(running)) => {
                running.stop();
                self.owners.remove(&running.job.id());
                CancelledTask::Running(running)
            }
        }
    }

    /// Returns the next task that ends by itself. Pends while no task runs. Cancel-safe.
    pub(crate) async fn finished(&mut self) -> (String, RunningTask, CheckedOutcome) {
        loop {
            let Some(ended) = self.jobs.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) => (error.id(), lost(&error)),
            };
            // The final message of a cancelled job is sent already.
            let Some(task_id) = self.owners.remove(&id) else { continue };
            if let Some(TaskState::Running(running)) = self.states.remove(&task_id) {
                running.calls.finish();
                return (task_id, running, outcome);
            }
        }
    }

    /// Abandons the tasks with overdue settings and returns their ids.
    pub(crate) fn abandon_overdue(&mut self, now: Instant) -> Vec<String> {
        self.states
            .retain(|_, state| !matches!(state, TaskState::Abandoned(until) if *until <= now));
        let mut abandoned = Vec::new();
        for (task_id, state) in &mut self.states {
            if matches!(state, TaskState::Waiting(due) if *due <= now) {
                *state = TaskState::Abandoned(now + ABANDONED_TTL);
                abandoned.push(task_id.clone());
            }
        }
        abandoned
    }

    /// Returns the ids of the running tasks.
    pub(crate) fn running(&self) -> Vec<String> {
        self.owners.values().cloned().collect()
    }
}

impl RunningTask {
    fn stop(&self) {
        self.calls.close();
        self.job.abort();
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for state in self.states.values() {
            if let TaskState::Running(running) = state {
                running.stop();
            }
        }
    }
}

/// Returns the outcome of a job that panicked. Without it the broker would wait for the task until
/// its time-out.
fn lost(error: &JoinError) -> CheckedOutcome {
    let result = Err(Failure::HostFault(error.to_string()));
    CheckedOutcome { result, usage: Usage::default(), stderr: String::new() }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::runner::message_queue::MessageQueue;

    fn start(
        tasks: &mut Tasks,
        task_id: &str,
        job: impl Future<Output = CheckedOutcome> + Send + 'static,
    ) {
        tasks.accept(task_id, Instant::now());
        assert_eq!(tasks.settings_arrived(task_id), SettingsArrival::Expected);
        let calls = Arc::new(TaskCalls::new(task_id.into(), MessageQueue::new(1000).0, 1));
        tasks.start(task_id.into(), TaskLabel::default(), calls, job);
    }

    fn outcome() -> CheckedOutcome {
        let result = Err(Failure::Broken("test".into()));
        CheckedOutcome { result, usage: Usage::default(), stderr: String::new() }
    }

    #[tokio::test]
    async fn a_task_waits_runs_and_is_removed() {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.settings_arrived("t1"), SettingsArrival::UnknownTask);
        start(&mut tasks, "t1", async { outcome() });
        assert_eq!((tasks.active(), tasks.running()), (1, vec!["t1".to_owned()]));
        assert_eq!(tasks.settings_arrived("t1"), SettingsArrival::Duplicate);
        assert!(tasks.calls("t1").is_some());
        let (task_id, ..) = tasks.finished().await;
        assert_eq!((task_id.as_str(), tasks.active()), ("t1", 0));
        assert_eq!(tasks.settings_arrived("t1"), SettingsArrival::UnknownTask);
    }

    #[tokio::test]
    async fn a_cancelled_task_is_stopped_and_never_finishes() {
        let mut tasks = Tasks::default();
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        start(&mut tasks, "t1", async move {
            let _held = held;
            pending().await
        });
        tokio::task::yield_now().await;
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Running(_)));
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Unknown));
        assert_eq!(tasks.active(), 0);
        let nothing = tokio::time::timeout(Duration::from_millis(50), tasks.finished()).await;
        assert!(nothing.is_err() && released.await.is_err());
    }

    #[tokio::test]
    async fn a_task_that_ends_while_cancelled_is_answered_once() {
        let mut tasks = Tasks::default();
        start(&mut tasks, "t1", async { outcome() });
        tokio::task::yield_now().await;
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Running(_)));
        start(&mut tasks, "t1", pending());
        assert!(tokio::time::timeout(Duration::from_millis(50), tasks.finished()).await.is_err());
        assert!(tasks.is_active("t1"));
    }

    #[tokio::test]
    async fn a_job_that_panics_has_an_outcome() {
        let mut tasks = Tasks::default();
        start(&mut tasks, "t1", async { panic!("test") });
        let (_, _, outcome) = tasks.finished().await;
        assert!(matches!(outcome.result, Err(Failure::HostFault(_))));
    }

    #[test]
    fn a_task_with_overdue_settings_is_abandoned() {
        let now = Instant::now();
        let mut tasks = Tasks::default();
        tasks.accept("t1", now);
        assert!(tasks.abandon_overdue(now).is_empty() && tasks.is_active("t1"));
        assert_eq!(tasks.abandon_overdue(now + SETTINGS_TIMEOUT), ["t1"]);
        assert_eq!(tasks.active(), 0);
        assert!(tasks.abandon_overdue(now + SETTINGS_TIMEOUT).is_empty());
        assert_eq!(
            (tasks.settings_arrived("t1"), tasks.settings_arrived("t1")),
            (SettingsArrival::TooLate, SettingsArrival::UnknownTask)
        );
        tasks.accept("t2", now);
        tasks.abandon_overdue(now + SETTINGS_TIMEOUT);
        tasks.abandon_overdue(now + SETTINGS_TIMEOUT + ABANDONED_TTL);
        assert_eq!(tasks.settings_arrived("t2"), SettingsArrival::UnknownTask);
    }

    #[test]
    fn a_waiting_task_can_be_cancelled() {
        let mut tasks = Tasks::default();
        tasks.accept("t1", Instant::now());
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Waiting));
        assert_eq!(tasks.active(), 0);
    }
}
