//! The tasks of one connection, each in one state: waiting for its settings, running, or given up.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::calls::TaskCalls;
use crate::{
    protocol::TaskLabel,
    sandbox::{Failure, Outcome},
};

/// How long an accepted task's settings may take; a broker sends them within milliseconds.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a task that was given up is remembered, to answer settings that come after all: as long as n8n's own time-out.
const ABANDONED_TTL: Duration = Duration::from_secs(300);

/// The tasks of one connection. Dropping them stops those that run.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    states: HashMap<String, TaskState>,
    jobs: JoinSet<Outcome>,
    /// The task that each job belongs to.
    owners: HashMap<Id, String>,
}

#[derive(Debug)]
enum TaskState {
    /// Accepted; its settings are due by then.
    Waiting(Instant),
    /// Running.
    Running(RunningTask),
    /// Its settings never came; it holds no place, and is forgotten then.
    Abandoned(Instant),
}

/// A task that runs.
#[derive(Debug)]
pub(crate) struct RunningTask {
    /// What it is, for the log.
    pub label: TaskLabel,
    /// Its host calls.
    pub calls: Arc<TaskCalls>,
    job: AbortHandle,
    /// When it began.
    pub since: Instant,
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

/// What a cancelled task was doing.
#[derive(Debug)]
pub(crate) enum CancelledTask {
    /// It ran, and was stopped; it needs an answer.
    Running(RunningTask),
    /// It waited for its settings; nobody waits for an answer.
    Waiting,
    /// There is no such task.
    Unknown,
}

impl Tasks {
    /// Tasks that hold a place.
    pub(crate) fn active(&self) -> usize {
        self.states.values().filter(|state| !matches!(state, TaskState::Abandoned(_))).count()
    }

    /// Whether a task of this id holds a place.
    pub(crate) fn is_active(&self, task_id: &str) -> bool {
        matches!(self.states.get(task_id), Some(TaskState::Waiting(_) | TaskState::Running(_)))
    }

    /// A task was accepted, and waits for its settings.
    pub(crate) fn accept(&mut self, task_id: &str, now: Instant) {
        self.states.insert(task_id.into(), TaskState::Waiting(now + SETTINGS_TIMEOUT));
    }

    /// Settings came. Unless they are due now, the task does not wait for them (any more).
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

    /// A task runs from here on.
    pub(crate) fn start(
        &mut self,
        task_id: String,
        label: TaskLabel,
        calls: Arc<TaskCalls>,
        job: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let job = self.jobs.spawn(job);
        self.owners.insert(job.id(), task_id.clone());
        self.states.insert(
            task_id,
            TaskState::Running(RunningTask { label, calls, job, since: Instant::now() }),
        );
    }

    /// The host calls of a running task.
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

    /// The next task that ends by itself. For ever pending while none runs; may be dropped and called again.
    pub(crate) async fn finished(&mut self) -> (String, RunningTask, Outcome) {
        loop {
            let Some(ended) = self.jobs.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) => (error.id(), lost(&error)),
            };
            // A job without an owner was cancelled and is answered.
            let Some(task_id) = self.owners.remove(&id) else { continue };
            if let Some(TaskState::Running(running)) = self.states.remove(&task_id) {
                running.calls.close();
                return (task_id, running, outcome);
            }
        }
    }

    /// Gives up the tasks whose settings did not come, and returns them.
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

    /// The ids of the tasks that run.
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

/// The outcome of a job that ended without one: a panic, which is a fault of ours, must not leave a task unanswered.
fn lost(error: &JoinError) -> Outcome {
    Outcome::failed(Failure::Broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::runner::message_queue::MessageQueue;

    fn start(
        tasks: &mut Tasks,
        task_id: &str,
        job: impl Future<Output = Outcome> + Send + 'static,
    ) {
        tasks.accept(task_id, Instant::now());
        assert_eq!(tasks.settings_arrived(task_id), SettingsArrival::Expected);
        let calls = Arc::new(TaskCalls::new(task_id.into(), MessageQueue::new(1000).0));
        tasks.start(task_id.into(), TaskLabel::default(), calls, job);
    }

    fn outcome() -> Outcome {
        Outcome::failed(Failure::Broken("test".into()))
    }

    #[tokio::test]
    async fn a_task_waits_runs_and_is_gone() {
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
    async fn a_task_that_ended_while_it_was_cancelled_is_answered_once_also_if_its_id_comes_again()
    {
        let mut tasks = Tasks::default();
        start(&mut tasks, "t1", async { outcome() });
        tokio::task::yield_now().await;
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Running(_)));
        start(&mut tasks, "t1", pending());
        assert!(tokio::time::timeout(Duration::from_millis(50), tasks.finished()).await.is_err());
        assert!(tasks.is_active("t1"));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_an_outcome() {
        let mut tasks = Tasks::default();
        start(&mut tasks, "t1", async { panic!("test") });
        let (_, _, outcome) = tasks.finished().await;
        assert!(matches!(outcome.result, Err(Failure::Broken(_))));
    }

    #[test]
    fn a_task_whose_settings_do_not_come_gives_its_place_back_and_is_told_when_they_do() {
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
    fn a_task_that_waits_can_be_cancelled() {
        let mut tasks = Tasks::default();
        tasks.accept("t1", Instant::now());
        assert!(matches!(tasks.cancel("t1"), CancelledTask::Waiting));
        assert_eq!(tasks.active(), 0);
    }
}
