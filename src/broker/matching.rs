//! The broker's state: queued tasks, offers and running tasks. One struct behind one lock; no
//! method does I/O or waits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::{
    outbox::{CloseReason, Outbox},
    runners::{ConnectedRunner, Runners},
    task::{ExpectedStage, Stage, Task, TaskKey, TaskResult},
};
use crate::protocol::BrokerMessage;

/// The broker's state.
pub(crate) struct Matching {
    runners: Runners,
    tasks: HashMap<TaskKey, Task>,
    /// The queue: tasks without a runner, by ticket.
    waiting: BTreeMap<u64, TaskKey>,
    last_ticket: u64,
    deadlines: BTreeSet<(Instant, TaskKey)>,
    /// The deadline that the sweeper sleeps for.
    armed: Option<Instant>,
    ack_window: Duration,
    task_timeout: Duration,
    draining: bool,
    open_sockets: usize,
    /// The number of registered runners in the last [`wakeups`](Self::wakeups).
    notified_registered: usize,
}

/// The waiters to notify after a change.
pub(crate) struct Wakeups {
    /// The earliest deadline moved forward.
    pub(crate) sweeper: bool,
    /// The broker drains: [`Broker::drain`](super::Broker::drain) may wait for this change.
    pub(crate) draining: bool,
    /// The number of registered runners, if it changed.
    pub(crate) runners: Option<usize>,
}

impl Matching {
    pub(crate) fn new(ack_window: Duration, task_timeout: Duration) -> Self {
        Self {
            runners: Runners::default(),
            tasks: HashMap::new(),
            waiting: BTreeMap::new(),
            last_ticket: 0,
            deadlines: BTreeSet::new(),
            armed: None,
            ack_window,
            task_timeout,
            draining: false,
            open_sockets: 0,
            notified_registered: 0,
        }
    }

    /// Returns the waiters to notify since the last call. Call it after every change.
    pub(crate) fn wakeups(&mut self) -> Wakeups {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let sweeper = first.is_some_and(|at| self.armed.is_none_or(|armed| at < armed));
        if sweeper {
            self.armed = first;
        }
        let registered = self.runners.registered();
        let runners = (registered != self.notified_registered).then_some(registered);
        self.notified_registered = registered;
        Wakeups { sweeper, draining: self.draining, runners }
    }

    // Submitters.

    pub(crate) fn submit(&mut self, key: TaskKey, mut task: Task, now: Instant) {
        if self.draining {
            return task.end(TaskResult::BrokerClosed, now);
        }
        self.last_ticket += 1;
        task.stage = Stage::Waiting { ticket: self.last_ticket };
        self.waiting.insert(self.last_ticket, key.clone());
        self.tasks.insert(key, task);
        self.match_tasks(now);
    }

    pub(crate) fn cancel(&mut self, key: &TaskKey, now: Instant) {
        self.stop(key, "Task was cancelled", TaskResult::Cancelled, now);
    }

    pub(crate) fn tasks_in_flight(&self) -> usize {
        self.tasks.len()
    }

    // Connections.

    /// Adds a connection, which is not registered yet. `None`: the broker drains.
    pub(crate) fn add_connection(&mut self, outbox: Outbox) -> Option<u64> {
        if self.draining {
            return None;
        }
        self.open_sockets += 1;
        Some(self.runners.add(outbox))
    }

    /// Handles the close of a connection's socket.
    pub(crate) fn socket_closed(&mut self, connection: u64, now: Instant) {
        self.open_sockets -= 1;
        self.end_connection(connection, None, now);
    }

    /// Returns the number of open sockets, closing ones included.
    pub(crate) fn open_sockets(&self) -> usize {
        self.open_sockets
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Handles `runner:info`. Ends an older connection of a runner with the same id.
    pub(crate) fn register(&mut self, connection: u64, id: String, now: Instant) {
        if let Some(old) = self.runners.register(connection, id).filter(|old| *old != connection) {
            self.end_connection(old, Some(CloseReason::REPLACED), now);
        }
        self.send(connection, BrokerMessage::RunnerRegistered, now);
    }

    pub(crate) fn is_registered(&mut self, connection: u64) -> bool {
        self.runners.get(connection).is_some_and(|connection| connection.is_registered())
    }

    /// Removes a connection. Its running tasks end as lost; tasks that it had not accepted return
    /// to the queue.
    pub(crate) fn end_connection(
        &mut self,
        connection: u64,
        reason: Option<CloseReason>,
        now: Instant,
    ) {
        let Some(ConnectedRunner { tasks, .. }) = self.runners.remove(connection, reason) else {
            return;
        };
        for key in tasks {
            match self.tasks.get(&key).map(|task| task.stage) {
                Some(Stage::Matched { .. }) => self.requeue(&key, now),
                Some(_) => self.end(&key, TaskResult::RunnerLost, now),
                None => {}
            }
        }
        self.match_tasks(now);
    }

    // Messages of runners.

    pub(crate) fn offer(
        &mut self,
        connection: u64,
        offer: String,
        valid_for: Option<Duration>,
        now: Instant,
    ) {
        if !self.draining {
            self.runners.offer(connection, offer, valid_for, now);
            self.match_tasks(now);
        }
    }

    pub(crate) fn accepted(&mut self, connection: u64, id: &str, now: Instant) {
        let Some((key, task)) = self.task(connection, id, ExpectedStage::Matched) else {
            return;
        };
        let Some(settings) = task.settings.take() else {
            return;
        };
        task.stage = Stage::Running { connection };
        task.started(now);
        self.set_deadline(&key, now.checked_add(self.task_timeout));
        if let Some(runner) = self.runners.get(connection) {
            runner.answered();
        }
        self.send(connection, BrokerMessage::TaskSettings { task_id: id.into(), settings }, now);
    }

    pub(crate) fn rejected(&mut self, connection: u64, id: &str, now: Instant) {
        let Some((key, _)) = self.task(connection, id, ExpectedStage::Matched) else {
            return;
        };
        if let Some(runner) = self.runners.get(connection) {
            runner.answered();
        }
        self.requeue(&key, now);
        self.match_tasks(now);
    }

    /// Handles `runner:taskdone` and `runner:taskerror`. Ignores a task that does not run on this
    /// connection.
    pub(crate) fn finished(&mut self, connection: u64, id: &str, result: TaskResult, now: Instant) {
        if let Some((key, _)) = self.task(connection, id, ExpectedStage::Running) {
            self.end(&key, result, now);
        }
    }

    /// Returns false if the task does not run on this connection; such a call gets no answer.
    pub(crate) fn print(&mut self, connection: u64, id: &str, params: Box<RawValue>) -> bool {
        self.task(connection, id, ExpectedStage::Running)
            .map(|(_, task)| task.print(params))
            .is_some()
    }

    pub(crate) fn runs(&mut self, connection: u64, id: &str) -> bool {
        self.task(connection, id, ExpectedStage::Running).is_some()
    }

    // Deadlines and shutdown.

    /// Handles expired deadlines. Returns the next deadline.
    pub(crate) fn sweep(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, key)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            self.deadlines.remove(&(at, key.clone()));
            match self.tasks.get(&key).map(|task| task.stage) {
                Some(Stage::Matched { connection, .. }) => {
                    self.accept_missed(connection, &key, now)
                }
                Some(Stage::Running { .. }) => {
                    self.stop(&key, "Task execution timed out", TaskResult::TimedOut, now);
                }
                Some(Stage::Waiting { .. }) | None => {}
            }
        }
        self.armed = self.deadlines.first().map(|(at, _)| *at);
        self.armed
    }

    /// Ends queued tasks and refuses new tasks, runners and offers. Running tasks continue.
    pub(crate) fn drain(&mut self) {
        let now = Instant::now();
        self.draining = true;
        self.runners.clear_offers();
        for key in std::mem::take(&mut self.waiting).into_values() {
            self.end(&key, TaskResult::BrokerClosed, now);
        }
        for connection in self.runners.keys() {
            self.send(connection, BrokerMessage::Drain, now);
        }
    }

    /// Ends every task and closes every connection.
    pub(crate) fn close_all(&mut self) {
        let now = Instant::now();
        self.draining = true;
        self.waiting.clear();
        self.deadlines.clear();
        for (_, task) in self.tasks.drain() {
            task.end(TaskResult::BrokerClosed, now);
        }
        for connection in self.runners.keys() {
            self.runners.remove(connection, Some(CloseReason::BROKER_CLOSING));
        }
    }

    // Steps.

    fn match_tasks(&mut self, now: Instant) {
        while let Some((ticket, key)) =
            self.waiting.first_key_value().map(|(ticket, key)| (*ticket, key.clone()))
        {
            let Some((connection, offer_id)) = self.runners.take_offer(now) else {
                return;
            };
            self.waiting.remove(&ticket);
            let Some(task) = self.tasks.get_mut(&key) else {
                continue;
            };
            task.stage = Stage::Matched { ticket, connection };
            self.set_deadline(&key, now.checked_add(self.ack_window));
            if let Some(runner) = self.runners.get(connection) {
                runner.tasks.insert(key.clone());
            }
            self.send(
                connection,
                BrokerMessage::TaskOfferAccept { task_id: key.to_string(), offer_id },
                now,
            );
        }
    }

    /// Requeues a task whose runner did not answer the accept within the window.
    fn accept_missed(&mut self, connection: u64, key: &TaskKey, now: Instant) {
        tracing::warn!(task_id = %key, "runner did not answer an accept in time");
        self.requeue(key, now);
        let reason = "Acknowledgement window elapsed".into();
        self.send(connection, BrokerMessage::TaskCancel { task_id: key.to_string(), reason }, now);
        if self.runners.get(connection).is_some_and(ConnectedRunner::missed) {
            self.end_connection(connection, Some(CloseReason::LATE_ACCEPTS), now);
        }
        self.match_tasks(now);
    }

    /// Returns a task to the queue under its old ticket. The caller calls `match_tasks`.
    fn requeue(&mut self, key: &TaskKey, now: Instant) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let Stage::Matched { ticket, connection } = task.stage else {
            return;
        };
        task.stage = Stage::Waiting { ticket };
        if let Some(runner) = self.runners.get(connection) {
            runner.tasks.remove(key);
        }
        self.set_deadline(key, None);
        if self.draining {
            self.end(key, TaskResult::BrokerClosed, now);
        } else {
            self.waiting.insert(ticket, key.clone());
        }
    }

    /// Ends a task on the broker's initiative and cancels it at its runner.
    fn stop(&mut self, key: &TaskKey, reason: &str, result: TaskResult, now: Instant) {
        let Some(stage) = self.tasks.get(key).map(|task| task.stage) else {
            return;
        };
        self.end(key, result, now);
        if let Stage::Matched { connection, .. } | Stage::Running { connection } = stage {
            self.send(
                connection,
                BrokerMessage::TaskCancel { task_id: key.to_string(), reason: reason.into() },
                now,
            );
        }
    }

    fn end(&mut self, key: &TaskKey, result: TaskResult, now: Instant) {
        self.set_deadline(key, None);
        let Some(task) = self.tasks.remove(key) else {
            return;
        };
        match task.stage {
            Stage::Waiting { ticket } => {
                self.waiting.remove(&ticket);
            }
            Stage::Matched { connection, .. } | Stage::Running { connection } => {
                if let Some(runner) = self.runners.get(connection) {
                    runner.tasks.remove(key);
                }
            }
        }
        task.end(result, now);
    }

    /// Sends a message. A full outbox ends the connection.
    fn send(&mut self, connection: u64, message: BrokerMessage, now: Instant) {
        if self.runners.get(connection).is_some_and(|runner| !runner.send(message)) {
            self.end_connection(connection, Some(CloseReason::OVERFLOW), now);
        }
    }

    fn set_deadline(&mut self, key: &TaskKey, deadline: Option<Instant>) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        if let Some(old) = task.deadline {
            self.deadlines.remove(&(old, key.clone()));
        }
        task.deadline = deadline;
        if let Some(new) = deadline {
            self.deadlines.insert((new, key.clone()));
        }
    }

    /// Returns the task with this id, if it is in the expected stage on this connection. A runner
    /// cannot affect other tasks.
    fn task(
        &mut self,
        connection: u64,
        id: &str,
        expected: ExpectedStage,
    ) -> Option<(TaskKey, &mut Task)> {
        let found =
            self.tasks.get_key_value(id).filter(|(_, task)| task.stage.is(expected, connection));
        let Some(key) = found.map(|(key, _)| key.clone()) else {
            tracing::debug!(
                task_id = id,
                "message about a task that this runner does not have ignored"
            );
            return None;
        };
        self.tasks.get_mut(id).map(|task| (key, task))
    }
}
