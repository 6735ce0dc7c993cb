//! The broker's state: which tasks wait, which runners offer, what runs where. One struct behind one lock; no I/O, no
//! waiting, nothing that grows with the number of tasks in a single step.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::{
    runners::{Connection, Outbox, Runners},
    task::{Stage, Task, TaskKey, TaskResult},
};
use crate::protocol::BrokerMessage;

/// WebSocket close codes (RFC 6455, section 7.4.1), as n8n uses them.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
pub(crate) const PROTOCOL_ERROR: u16 = 1002;
pub(crate) const POLICY: u16 = 1008;
pub(crate) const TOO_BIG: u16 = 1009;

/// The state.
pub(crate) struct Matching {
    runners: Runners,
    tasks: HashMap<TaskKey, Task>,
    /// Tasks without a runner, by their place in the queue.
    waiting: BTreeMap<u64, TaskKey>,
    next_place: u64,
    deadlines: BTreeSet<(Instant, TaskKey)>,
    /// The deadline that the sweeper sleeps for.
    armed: Option<Instant>,
    ack_window: Duration,
    task_timeout: Duration,
    draining: bool,
    sockets: usize,
    /// Runners that [`wake`](Self::wake) told of.
    told_registered: usize,
}

/// Whom a change concerns.
pub(crate) struct Wake {
    /// There is an earlier deadline.
    pub(crate) sweeper: bool,
    /// Somebody may wait for the end.
    pub(crate) draining: bool,
    /// The number of registered runners, where it changed.
    pub(crate) runners: Option<usize>,
}

impl Matching {
    pub(crate) fn new(ack_window: Duration, task_timeout: Duration) -> Self {
        Self {
            runners: Runners::default(),
            tasks: HashMap::new(),
            waiting: BTreeMap::new(),
            next_place: 0,
            deadlines: BTreeSet::new(),
            armed: None,
            ack_window,
            task_timeout,
            draining: false,
            sockets: 0,
            told_registered: 0,
        }
    }

    /// Whom the last change concerns; to be asked after every one.
    pub(crate) fn wake(&mut self) -> Wake {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let sweeper = first.is_some_and(|at| self.armed.is_none_or(|armed| at < armed));
        if sweeper {
            self.armed = first;
        }
        let registered = self.runners.registered();
        let runners = (registered != self.told_registered).then_some(registered);
        self.told_registered = registered;
        Wake { sweeper, draining: self.draining, runners }
    }

    // Tasks, from the side of who submits them.

    pub(crate) fn submit(&mut self, key: TaskKey, mut task: Task, now: Instant) {
        if self.draining {
            return task.end(TaskResult::BrokerClosed, now);
        }
        self.next_place += 1;
        task.stage = Stage::Waiting { place: self.next_place };
        self.waiting.insert(self.next_place, key.clone());
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

    /// A new connection, not registered yet. `None` where the broker takes no more.
    pub(crate) fn connect(&mut self, outbox: Outbox) -> Option<u64> {
        if self.draining {
            return None;
        }
        self.sockets += 1;
        Some(self.runners.add(outbox))
    }

    /// A connection's socket is gone.
    pub(crate) fn disconnected(&mut self, connection: u64, now: Instant) {
        self.sockets -= 1;
        self.cut(connection, None, now);
    }

    /// Sockets that have not said good-bye yet.
    pub(crate) fn sockets(&self) -> usize {
        self.sockets
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// The answer to `broker:inforequest`. A runner with the same id loses its connection.
    pub(crate) fn register(&mut self, connection: u64, id: String, now: Instant) {
        if let Some(old) = self.runners.register(connection, id).filter(|old| *old != connection) {
            self.cut(old, Some((NORMAL, "Runner connected again")), now);
        }
        self.send(connection, BrokerMessage::RunnerRegistered, now);
    }

    pub(crate) fn is_registered(&mut self, connection: u64) -> bool {
        self.runners.get(connection).is_some_and(|connection| connection.is_registered())
    }

    /// Ends a connection at once; what ran on it is lost, what it had not accepted is matched again.
    pub(crate) fn cut(
        &mut self,
        connection: u64,
        good_bye: Option<(u16, &'static str)>,
        now: Instant,
    ) {
        let Some(Connection { tasks, .. }) = self.runners.remove(connection, good_bye) else {
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

    /// The runner broke the protocol.
    pub(crate) fn cut_for_protocol(&mut self, connection: u64, reason: &'static str, now: Instant) {
        self.cut(connection, Some((PROTOCOL_ERROR, reason)), now);
    }

    // What runners say.

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
        let Some((key, task)) = self.task(connection, id, Expect::Matched) else {
            return;
        };
        let Some(settings) = task.settings.take() else {
            return;
        };
        task.stage = Stage::Running { connection };
        task.started(now);
        self.set_deadline(&key, now.checked_add(self.task_timeout));
        if let Some(connection) = self.runners.get(connection) {
            connection.answered();
        }
        self.send(connection, BrokerMessage::TaskSettings { task_id: id.into(), settings }, now);
    }

    pub(crate) fn rejected(&mut self, connection: u64, id: &str, now: Instant) {
        let Some((key, _)) = self.task(connection, id, Expect::Matched) else {
            return;
        };
        if let Some(connection) = self.runners.get(connection) {
            connection.answered();
        }
        self.requeue(&key, now);
        self.match_tasks(now);
    }

    /// `runner:taskdone` or `runner:taskerror`. Ignored for a task that does not run there, or no longer.
    pub(crate) fn finished(&mut self, connection: u64, id: &str, result: TaskResult, now: Instant) {
        if let Some((key, _)) = self.task(connection, id, Expect::Running) {
            self.end(&key, result, now);
        }
    }

    /// False where the task does not run there: such a call is not answered.
    pub(crate) fn print(&mut self, connection: u64, id: &str, params: Box<RawValue>) -> bool {
        self.task(connection, id, Expect::Running).map(|(_, task)| task.print(params)).is_some()
    }

    pub(crate) fn runs(&mut self, connection: u64, id: &str) -> bool {
        self.task(connection, id, Expect::Running).is_some()
    }

    // Time, and the end.

    /// Acts on what is due. Gives back when to come again.
    pub(crate) fn sweep(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, key)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            self.deadlines.remove(&(at, key.clone()));
            match self.tasks.get(&key).map(|task| task.stage) {
                Some(Stage::Matched { connection, .. }) => self.too_late(connection, &key, now),
                Some(Stage::Running { .. }) => {
                    self.stop(&key, "Task execution timed out", TaskResult::TimedOut, now);
                }
                Some(Stage::Waiting { .. }) | None => {}
            }
        }
        self.armed = self.deadlines.first().map(|(at, _)| *at);
        self.armed
    }

    /// No new tasks, runners or offers; tasks in flight go on.
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

    /// No tasks, no runners.
    pub(crate) fn close_all(&mut self) {
        let now = Instant::now();
        self.draining = true;
        self.waiting.clear();
        self.deadlines.clear();
        for (_, task) in self.tasks.drain() {
            task.end(TaskResult::BrokerClosed, now);
        }
        for connection in self.runners.keys() {
            self.runners.remove(connection, Some((GOING_AWAY, "Broker is closing")));
        }
    }

    // Steps.

    fn match_tasks(&mut self, now: Instant) {
        while let Some((place, key)) =
            self.waiting.first_key_value().map(|(place, key)| (*place, key.clone()))
        {
            let Some((connection, offer_id)) = self.runners.take_offer(now) else {
                return;
            };
            self.waiting.remove(&place);
            let Some(task) = self.tasks.get_mut(&key) else {
                continue;
            };
            task.stage = Stage::Matched { place, connection };
            self.set_deadline(&key, now.checked_add(self.ack_window));
            if let Some(connection) = self.runners.get(connection) {
                connection.tasks.insert(key.clone());
            }
            self.send(
                connection,
                BrokerMessage::TaskOfferAccept { task_id: key.to_string(), offer_id },
                now,
            );
        }
    }

    /// The runner did not answer an accept in time.
    fn too_late(&mut self, connection: u64, key: &TaskKey, now: Instant) {
        tracing::warn!(task_id = %key, "runner did not answer an accept in time");
        self.requeue(key, now);
        let reason = "Acknowledgement window elapsed".into();
        self.send(connection, BrokerMessage::TaskCancel { task_id: key.to_string(), reason }, now);
        if self.runners.get(connection).is_some_and(Connection::missed) {
            self.cut_for_protocol(connection, "Too many late answers to accepts", now);
        }
        self.match_tasks(now);
    }

    /// Back to its place in the queue; does not match.
    fn requeue(&mut self, key: &TaskKey, now: Instant) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let Stage::Matched { place, connection } = task.stage else {
            return;
        };
        task.stage = Stage::Waiting { place };
        if let Some(connection) = self.runners.get(connection) {
            connection.tasks.remove(key);
        }
        self.set_deadline(key, None);
        if self.draining {
            self.end(key, TaskResult::BrokerClosed, now);
        } else {
            self.waiting.insert(place, key.clone());
        }
    }

    /// Ends a task from our side; its runner is told.
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
            Stage::Waiting { place } => {
                self.waiting.remove(&place);
            }
            Stage::Matched { connection, .. } | Stage::Running { connection } => {
                if let Some(connection) = self.runners.get(connection) {
                    connection.tasks.remove(key);
                }
            }
        }
        task.end(result, now);
    }

    /// A runner that does not take what we send is cut off.
    fn send(&mut self, connection: u64, message: BrokerMessage, now: Instant) {
        if self.runners.get(connection).is_some_and(|connection| !connection.send(message)) {
            self.cut(connection, Some((POLICY, "Messages are not read")), now);
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

    /// The task of this id, if it stands so on this connection. What runners say of other tasks is ignored.
    fn task(&mut self, connection: u64, id: &str, expect: Expect) -> Option<(TaskKey, &mut Task)> {
        let found = self.tasks.get_key_value(id).filter(|(_, task)| match (task.stage, expect) {
            (Stage::Matched { connection: on, .. }, Expect::Matched)
            | (Stage::Running { connection: on }, Expect::Running) => on == connection,
            _ => false,
        });
        let Some(key) = found.map(|(key, _)| key.clone()) else {
            tracing::debug!(task_id = id, "a message about a task that this runner does not have");
            return None;
        };
        self.tasks.get_mut(id).map(|task| (key, task))
    }
}

/// How a task must stand for a message to make sense.
#[derive(Clone, Copy)]
enum Expect {
    Matched,
    Running,
}
