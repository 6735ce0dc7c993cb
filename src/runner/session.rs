//! One connection's life after the upgrade: registration, offers, tasks, and its end.
//!
//! Everything happens in one loop: a frame, a finished task, a moment or the shutdown is handled without waiting for
//! anything, and then the free places are offered.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::frame::coding::CloseCode};
use tracing::{debug, info, warn};

use super::{
    answer,
    calls::{TaskCalls, is_notification},
    config::RunnerConfig,
    connection::{BrokerConnection, ConnectionLost},
    effects,
    health::Health,
    message_queue::{MessageQueue, TooLarge},
    offers::Offers,
    report::{Escaped, NodeAndWorkflow, OutcomeKind},
    task::{CancelledTask, RunningTask, SettingsArrival, Tasks},
};
use crate::{
    protocol::{
        BrokerMessage, ReceivedSettings, RpcStatus, RunnerMessage, TaskData, TaskFailure, TaskLabel,
    },
    sandbox::{Exceeded, Job, Outcome, Usage},
    workers::Pool,
};

/// How the runner calls itself, beside its id.
const NAME: &str = "Serpentarium";
/// What the runner takes.
const TASK_TYPE: &str = "python";
/// How often the places are looked at when nothing happens: the sign of life that a broker expects.
const REFRESH: Duration = Duration::from_millis(250);
/// How long a broker may take to register a runner that it let in.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its time a task may take before it is stopped from here. The worker keeps the time; this is for
/// a worker that hangs.
const OVERTIME: Duration = Duration::from_secs(5);

/// A broker matched an offer that is over, or that this runner never made (n8n's own words).
const OFFER_EXPIRED: &str = "Offer expired - not accepted within validity window";
/// A broker matched an offer that was honoured too often (n8n's own words).
const AT_CAPACITY: &str = "No open task slots - runner already at capacity";
/// The error of a task that was stopped (n8n's own words).
const CANCELLED: &str = "Task was cancelled";

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// All is finished, as it was asked for.
    ShutDown,
    /// There was nothing to do for so long that the runner may end.
    Idle,
    /// The connection is gone.
    Lost {
        /// Why.
        reason: String,
        /// How long the runner was registered, if it was.
        served: Option<Duration>,
        /// Whether the broker closed it as one that it needs no more: as it does where a runner of the same id comes.
        is_normal: bool,
    },
}

/// What the session is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not registered yet; due by then.
    Registering(Instant),
    /// Offering.
    Serving,
    /// Asked by the broker to finish.
    Draining,
    /// Asked to shut down; tasks that run then are stopped.
    Stopping(Instant),
}

/// Serves one connection until it is gone or the shutdown is done. The tasks of a connection that is gone are stopped.
pub(crate) async fn serve(
    mut connection: BrokerConnection,
    config: &RunnerConfig,
    pool: &Pool,
    health: &Health,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) -> SessionEnd {
    let queue = connection.queue().clone();
    let mut session = Session {
        config,
        pool,
        health,
        queue,
        offers: Offers::default(),
        tasks: Tasks::default(),
        phase: Phase::Registering(Instant::now() + REGISTRATION_TIMEOUT),
        registered: None,
        last_activity: Instant::now(),
    };
    let lost = loop {
        let wake = session.next_deadline(Instant::now());
        tokio::select! {
            frame = connection.next() => match frame {
                Ok(frame) => session.receive(&frame),
                Err(lost) => break lost,
            },
            (task_id, running, outcome) = session.tasks.finished() => session.finish(task_id, &running, outcome),
            () = tokio::time::sleep_until(wake.into()) => {}
            () = &mut shutdown, if !matches!(session.phase, Phase::Stopping(_)) => session.stop(),
        }
        if let Err(lost) = session.run_due_actions(Instant::now()) {
            break lost;
        }
        if session.is_finished() {
            connection.close().await;
            return SessionEnd::ShutDown;
        }
        if let Some(time) = session.idle_for_too_long(Instant::now()) {
            info!("idle for {time:?}: ending");
            connection.close().await;
            return SessionEnd::Idle;
        }
    };
    // A connection that ends while it shuts down has nothing left to say to anybody.
    if let Phase::Stopping(_) = session.phase {
        warn!(running = session.tasks.active(), "connection lost while shutting down: {lost}");
        return SessionEnd::ShutDown;
    }
    let stopped = session.tasks.active();
    let reason = if stopped == 0 {
        lost.to_string()
    } else {
        format!("{lost}; stopped its {stopped} tasks")
    };
    let is_normal =
        matches!(&lost, ConnectionLost::Closed(Some(frame)) if frame.code == CloseCode::Normal);
    SessionEnd::Lost { reason, served: session.registered.map(|since| since.elapsed()), is_normal }
}

struct Session<'a> {
    config: &'a RunnerConfig,
    pool: &'a Pool,
    health: &'a Health,
    queue: MessageQueue,
    offers: Offers,
    tasks: Tasks,
    phase: Phase,
    registered: Option<Instant>,
    /// When there was last something to do.
    last_activity: Instant,
}

impl Session<'_> {
    /// When to look again at the latest.
    fn next_deadline(&self, now: Instant) -> Instant {
        let deadline = match self.phase {
            Phase::Registering(due) | Phase::Stopping(due) => Some(due),
            Phase::Serving | Phase::Draining => None,
        };
        let moments = [deadline, self.offers.next_end(now)];
        moments.into_iter().flatten().fold(now + REFRESH, Instant::min)
    }

    /// Does what time and the last event made due.
    fn run_due_actions(&mut self, now: Instant) -> Result<(), ConnectionLost> {
        match self.phase {
            Phase::Registering(due) if due <= now => {
                return Err(ConnectionLost::Broken(format!(
                    "not registered within {REGISTRATION_TIMEOUT:?}"
                )));
            }
            Phase::Stopping(due) if due <= now => self.stop_tasks(),
            _ => {}
        }
        for task_id in self.tasks.abandon_overdue(now) {
            warn!(task_id, "gave up a task whose settings did not come");
        }
        self.offers.expire(now);
        if self.phase == Phase::Serving {
            let taken = self.offers.valid(now) + self.tasks.active();
            for _ in taken..self.config.max_concurrency {
                let offer = self.offers.open(now);
                let valid_for = offer.valid_for.as_millis() as i64;
                self.send(RunnerMessage::TaskOffer {
                    offer_id: offer.id,
                    task_type: TASK_TYPE.into(),
                    valid_for,
                });
            }
        }
        Ok(())
    }

    /// The time without a task that is over, where there is such a limit.
    fn idle_for_too_long(&self, now: Instant) -> Option<Duration> {
        let idle = self.registered.is_some() && self.tasks.active() == 0;
        self.config.auto_shutdown.filter(|&time| idle && now >= self.last_activity + time)
    }

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Stopping(_)) && self.tasks.active() == 0
    }

    fn receive(&mut self, frame: &Utf8Bytes) {
        match BrokerMessage::parse(frame) {
            Ok(message) => self.handle(message, frame.as_ref()),
            Err(error) => {
                warn!("dropped a frame: {}", Escaped(&error.to_string()));
                if let Some(task_id) = BrokerMessage::task_of_bad_settings(frame) {
                    self.refuse_settings(task_id, &format!("Invalid task settings: {error}"));
                }
            }
        }
    }

    fn handle(&mut self, message: BrokerMessage<ReceivedSettings>, frame: &Bytes) {
        match message {
            BrokerMessage::InfoRequest => {
                self.send(RunnerMessage::Info { name: NAME.into(), types: vec![TASK_TYPE.into()] });
            }
            BrokerMessage::RunnerRegistered => {
                self.registered = Some(Instant::now());
                self.last_activity = Instant::now();
                self.health.set_registered(true);
                info!(runner = self.config.id, "registered with the broker");
                if let Phase::Registering(_) = self.phase {
                    self.phase = Phase::Serving;
                }
            }
            BrokerMessage::TaskOfferAccept { task_id, offer_id } => {
                self.accept(task_id, &offer_id, Instant::now())
            }
            BrokerMessage::TaskSettings { task_id, settings } => {
                self.settings(task_id, settings, frame)
            }
            BrokerMessage::TaskCancel { task_id, reason } => self.cancel(task_id, &reason),
            BrokerMessage::RpcResponse { call_id, task_id, status, data } => match self
                .tasks
                .calls(&task_id)
            {
                Some(calls) => calls.answer(&call_id, status, data),
                // The answers to a task's prints come after its end.
                None if is_notification(&call_id) => {}
                None => warn!(task_id, call_id, "dropped an answer for a task that is not running"),
            },
            BrokerMessage::TaskDataResponse { task_id, request_id, data } => match self
                .tasks
                .calls(&task_id)
            {
                Some(calls) => calls.answer(&request_id, RpcStatus::Success, Some(data)),
                None => warn!(task_id, request_id, "dropped data for a task that is not running"),
            },
            BrokerMessage::NodeTypes { task_id, .. } => {
                warn!(task_id, "dropped data that nobody asked for")
            }
            BrokerMessage::Drain => {
                info!(running = self.tasks.active(), "the broker is draining: no more offers");
                self.health.set_registered(false);
                if !matches!(self.phase, Phase::Stopping(_)) {
                    self.phase = Phase::Draining;
                }
            }
        }
    }

    fn accept(&mut self, task_id: String, offer_id: &str, now: Instant) {
        if self.tasks.is_active(&task_id) {
            // To reject it would end the task that runs.
            self.offers.take(offer_id, now);
            warn!(task_id, "dropped a second accept for a task");
            return;
        }
        let reason = if !self.offers.take(offer_id, now) {
            OFFER_EXPIRED
        } else if self.tasks.active() >= self.config.max_concurrency {
            AT_CAPACITY
        } else {
            self.tasks.accept(&task_id, now);
            self.last_activity = now;
            self.send(RunnerMessage::TaskAccepted { task_id });
            return;
        };
        debug!(task_id, "rejected a task: {reason}");
        self.send(RunnerMessage::TaskRejected { task_id, reason: reason.into() });
    }

    /// Runs a task whose settings are in this frame.
    fn settings(&mut self, task_id: String, settings: ReceivedSettings, frame: &Bytes) {
        if !self.is_due(&task_id) {
            return;
        }
        let ReceivedSettings { text, label, checked } = settings;
        if let Err(error) = checked {
            return self.fail(task_id, &label, &error.to_string());
        }
        let calls = Arc::new(TaskCalls::new(task_id.clone(), self.queue.clone()));
        let limits = self.config.limits.clone();
        let time = limits.time;
        let input = self.config.addition.apply(frame.slice_ref(text.as_bytes()));
        let job = self.pool.run(Job::new(input, limits), calls.clone());
        debug!(task_id, "running");
        self.tasks.start(task_id, label, calls, async move {
            let hung = |_| Outcome {
                usage: Usage { duration: time + OVERTIME, ..Usage::default() },
                ..Outcome::failed(Exceeded::Time(time))
            };
            tokio::time::timeout(time + OVERTIME, job).await.unwrap_or_else(hung)
        });
    }

    /// Settings that cannot be read came for a task: if it waits for them, it fails.
    fn refuse_settings(&mut self, task_id: String, why: &str) {
        if self.is_due(&task_id) {
            self.fail(task_id, &TaskLabel::default(), why);
        }
    }

    /// Whether settings for this task are to be used. If not, that is dealt with.
    fn is_due(&mut self, task_id: &str) -> bool {
        match self.tasks.settings_arrived(task_id) {
            SettingsArrival::Expected => return true,
            SettingsArrival::TooLate => {
                let why = "The task's settings came after the runner had stopped waiting for them";
                self.fail(task_id.into(), &TaskLabel::default(), why);
            }
            SettingsArrival::Duplicate => {
                warn!(task_id, "dropped settings for a task that runs already")
            }
            SettingsArrival::UnknownTask => warn!(task_id, "dropped settings for an unknown task"),
        }
        false
    }

    /// Ends a task that never ran.
    fn fail(&mut self, task_id: String, label: &TaskLabel, why: &str) {
        warn!(task_id, node = label.node_name, "task failed before it ran: {}", Escaped(why));
        self.reply(&task_id, Err(answer::failure(why, None)), label.continue_on_fail);
    }

    fn finish(&mut self, task_id: String, running: &RunningTask, outcome: Outcome) {
        self.last_activity = Instant::now();
        let mut usage = outcome.usage;
        if usage.duration.is_zero() {
            // Of a worker that is gone nothing is known.
            usage.duration = running.since.elapsed();
        }
        let Outcome { result, stderr, .. } = outcome;
        let result = effects::interpret(result);
        let how = OutcomeKind::of(&result);
        if !matches!(how, OutcomeKind::Broken(_)) {
            self.health.record_task();
        }
        let size =
            self.reply(&task_id, answer::reply(result, stderr), running.label.continue_on_fail);
        how.log(&task_id, &running.label, usage, size);
    }

    fn cancel(&mut self, task_id: String, reason: &str) {
        self.last_activity = Instant::now();
        match self.tasks.cancel(&task_id) {
            CancelledTask::Running(running) => {
                let place = NodeAndWorkflow(&running.label);
                info!(reason = %Escaped(reason), "Cancelled task {} {place}", Escaped(&task_id));
                // Not a failure of the task, so never a result.
                self.reply(&task_id, Err(answer::failure(CANCELLED, None)), false);
            }
            CancelledTask::Waiting => {
                info!(reason = %Escaped(reason), "Cancelled task {} (waiting for settings)", Escaped(&task_id));
            }
            CancelledTask::Unknown => {
                warn!(reason = %Escaped(reason), "Received cancel for unknown task: {}. Discarding message.", Escaped(&task_id));
            }
        }
    }

    /// The shutdown begins: no more offers, and a while for what runs.
    fn stop(&mut self) {
        self.offers.clear();
        self.health.set_registered(false);
        self.phase = Phase::Stopping(Instant::now() + self.config.graceful_shutdown);
        info!(
            running = self.tasks.active(),
            "finishing within {:?}", self.config.graceful_shutdown
        );
    }

    /// The shutdown's time is over: what still runs is stopped, what waits is forgotten.
    fn stop_tasks(&mut self) {
        let why = format!(
            "The runner was shut down, and the task took longer than {:?}",
            self.config.graceful_shutdown
        );
        for task_id in self.tasks.running() {
            if let CancelledTask::Running(running) = self.tasks.cancel(&task_id) {
                warn!(task_id, "task stopped by the shutdown");
                let reply = Err(answer::failure(CANCELLED, Some(&why)));
                self.reply(&task_id, reply, running.label.continue_on_fail);
            }
        }
        self.tasks = Tasks::default();
    }

    /// Sends a task's one answer; returns the size of its frame.
    fn reply(
        &self,
        task_id: &str,
        reply: Result<TaskData, TaskFailure>,
        continue_on_fail: bool,
    ) -> usize {
        let send =
            |reply| self.queue.send(answer::message(task_id.into(), reply, continue_on_fail));
        let sent = send(reply).or_else(|TooLarge(limit)| send(Err(answer::too_large(limit))));
        sent.unwrap_or_else(|error| {
            warn!(task_id, "a task goes unanswered: {error}");
            0
        })
    }

    /// Sends one of the small messages.
    fn send(&self, message: RunnerMessage) {
        if let Err(error) = self.queue.send(message) {
            warn!("could not send a message: {error}");
        }
    }
}
