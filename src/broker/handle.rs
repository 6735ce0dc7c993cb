//! A submitted task, from the submitter's side.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{
    shared::SharedState,
    task::{Task, TaskEvent, TaskKey, TaskReport, TaskResult},
};
use crate::protocol::random_id;

/// A submitted task. Dropping the handle cancels the task.
pub struct TaskHandle {
    key: TaskKey,
    shared: Arc<SharedState>,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    ended: bool,
}

impl TaskHandle {
    pub(crate) fn submit(shared: Arc<SharedState>, settings: Box<RawValue>) -> Self {
        let id = random_id();
        let settings = shared.config.hooks.submitted(&id, settings);
        let (task, events) = Task::new(settings);
        let handle = Self { key: id.into(), shared, events, ended: false };
        handle.shared.update(|matching, now| matching.submit(handle.key.clone(), task, now));
        handle
    }

    /// Returns the task's id at the runner: 22 letters and digits.
    pub fn id(&self) -> &str {
        &self.key
    }

    /// Ends the task at once with [`TaskResult::Cancelled`] and notifies its runner. No effect
    /// after the task's end.
    pub fn cancel(&self) {
        self.shared.update(|matching, now| matching.cancel(&self.key, now));
    }

    /// Returns the next event of the task; `None` after [`TaskEvent::Ended`]. Cancel-safe.
    pub async fn event(&mut self) -> Option<TaskEvent> {
        if self.ended {
            return None;
        }
        // A closed channel means that the broker's runtime was dropped with the task in it.
        let event = self.events.recv().await;
        let event = event.unwrap_or_else(|| TaskEvent::Ended(Box::new(TaskReport::lost())));
        self.ended = matches!(event, TaskEvent::Ended(_));
        Some(event)
    }

    /// Waits for the end and discards prints; [`event`](Self::event) returns them. After
    /// [`TaskEvent::Ended`] was returned, the report is [`TaskResult::BrokerClosed`].
    pub async fn report(mut self) -> TaskReport {
        loop {
            match self.event().await {
                Some(TaskEvent::Print(_)) => {}
                Some(TaskEvent::Ended(report)) => return *report,
                None => return TaskReport::lost(),
            }
        }
    }

    /// Waits as [`report`](Self::report) does. Omits the times.
    pub async fn result(self) -> TaskResult {
        self.report().await.result
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
        self.shared.config.hooks.gone(&self.key);
    }
}
