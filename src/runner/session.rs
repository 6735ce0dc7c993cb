//! One session: a connection from its registration to its end.
//!
//! One loop handles frames, finished tasks, deadlines and the shutdown. No handler waits. After
//! each one the loop offers the free capacity.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info, warn};

use super::{
    answer,
    calls::{TaskCalls, is_notification},
    config::RunnerConfig,
    connection::{BrokerConnection, ConnectionLost},
    effects::CheckedOutcome,
    health::Health,
    incoming::{Incoming, TaskInput},
    message_queue::MessageQueue,
    offers::Offers,
    phase::{Phase, SessionEnd},
    report::{NodeAndWorkflow, OutcomeKind},
    task::{CancelledTask, RunningTask, SettingsArrival, Tasks},
};
use crate::{
    protocol::{RunnerMessage, TaskLabel},
    sandbox::Job,
    text::brief,
    workers::Pool,
};
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
/// The runner's name for people, sent with its id.
const NAME: &str = "Serpentarium";
/// The task type that the runner runs.
const TASK_TYPE: &str = "python";
/// Interval of the loop without events, as in n8n's runner; expired offers are replaced within it.
const REFRESH: Duration = Duration::from_millis(250);
/// Time limit of the registration after the upgrade.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Rejects a match with an expired or unknown offer. The text is n8n's.
const OFFER_EXPIRED: &str = "Offer expired - not accepted within validity window";
/// Rejects a match beyond the runner's concurrency. The text is n8n's.
const AT_CAPACITY: &str = "No open task slots - runner already at capacity";

/// Serves one connection until it is lost or the shutdown is complete. Losing the connection stops
/// its tasks: no broker waits for their results.
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
            incoming = connection.next() => match incoming {
                Ok(incoming) => session.receive(incoming),
                Err(lost) => break lost,
            },
            (task_id, running, outcome) = session.tasks.finished() => {
                session.finish(task_id, &running, outcome);
            }
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
    // A reconnect during the shutdown would serve no task.
    if let Phase::Stopping(_) = session.phase {
        warn!(running = session.tasks.active(), "connection lost while shutting down: {lost}");
        return SessionEnd::ShutDown;
    }
    let reason = match session.tasks.active() {
        0 => lost.to_string(),
        stopped => format!("{lost}; stopped its {stopped} tasks"),
    };
    let is_normal = lost.is_normal();
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
    /// Time of the last start or end of a task, or of the registration.
    last_activity: Instant,
}

impl Session<'_> {
    /// Returns the next time at which [`run_due_actions`](Self::run_due_actions) must run.
    fn next_deadline(&self, now: Instant) -> Instant {
        let deadline = match self.phase {
            Phase::Registering(due) | Phase::Stopping(due) => Some(due),
            Phase::Serving | Phase::Draining => None,
        };
        let deadlines = [deadline, self.offers.next_end(now)];
        deadlines.into_iter().flatten().fold(now + REFRESH, Instant::min)
    }

    /// Handles passed deadlines and offers the free capacity.
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
            warn!(task_id, "abandoned a task whose settings did not arrive");
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

    /// Returns the idle limit if the runner has reached it.
    fn idle_for_too_long(&self, now: Instant) -> Option<Duration> {
        let idle = self.registered.is_some() && self.tasks.active() == 0;
        self.config.auto_shutdown.filter(|&time| idle && now >= self.last_activity + time)
    }

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Stopping(_)) && self.tasks.active() == 0
    }

    fn receive(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::InfoRequest => {
                self.send(RunnerMessage::Info { name: NAME.into(), types: vec![TASK_TYPE.into()] });
            }
            Incoming::Registered => {
                self.registered = Some(Instant::now());
                self.last_activity = Instant::now();
                self.health.set_registered(true);
                info!(runner = self.config.id, "registered with the broker");
                if let Phase::Registering(_) = self.phase {
                    self.phase = Phase::Serving;
                }
            }
            Incoming::Accept { task_id, offer_id } => {
                self.accept(task_id, &offer_id, Instant::now())
            }
            Incoming::Settings { task_id, settings } => self.start(task_id, settings),
            Incoming::Cancel { task_id, reason } => self.cancel(task_id, &reason),
            Incoming::Answer { task_id, call_id, answer } => match self.tasks.calls(&task_id) {
                Some(calls) => calls.answer(&call_id, answer),
                // Answers to a task's notifications arrive after its end.
                None if is_notification(&call_id) => {}
                None => warn!(task_id, call_id, "dropped an answer for a task that is not running"),
            },
            Incoming::Unrequested { task_id } => {
                warn!(task_id, "dropped data that no task requested")
            }
            Incoming::Drain => {
                info!(running = self.tasks.active(), "the broker is draining: no more offers");
                self.health.set_registered(false);
                if !matches!(self.phase, Phase::Stopping(_)) {
                    self.phase = Phase::Draining;
                }
            }
            Incoming::Refused { error, task_id } => {
                warn!("dropped a frame: {}", brief(&error));
                if let Some(task_id) = task_id {
                    self.refuse_settings(task_id, &format!("Invalid task settings: {error}"));
                }
            }
        }
    }

    fn accept(&mut self, task_id: String, offer_id: &str, now: Instant) {
        if self.tasks.is_active(&task_id) {
            // A rejection names only the task, so it would end the one that runs.
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

    /// Starts a task.
    fn start(&mut self, task_id: String, settings: TaskInput) {
        if !self.expects_settings(&task_id) {
            return;
        }
        let TaskInput { text: input, label, checked } = settings;
        if let Err(error) = checked {
            return self.fail(task_id, &label, &error.to_string());
        }
        let limits = self.config.limits.clone();
        let calls = TaskCalls::new(task_id.clone(), self.queue.clone(), limits.stderr);
        let calls = Arc::new(calls);
        let job = self.pool.run(Job::new(input, limits), calls.clone());
        debug!(task_id, "running");
        let outcome = async move { CheckedOutcome::new(job.await).await };
        self.tasks.start(task_id, label, calls, outcome);
    }

    /// Fails a task whose settings are not readable, if it waits for them.
    fn refuse_settings(&mut self, task_id: String, why: &str) {
        if self.expects_settings(&task_id) {
            self.fail(task_id, &TaskLabel::default(), why);
        }
    }

    /// Returns whether a task waits for its settings. Logs unexpected ones, and fails a task whose
    /// settings are too late.
    fn expects_settings(&mut self, task_id: &str) -> bool {
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

    /// Fails a task before it runs.
    fn fail(&mut self, task_id: String, label: &TaskLabel, why: &str) {
        warn!(task_id, node = label.node_name, "task failed before it ran: {}", brief(why));
        answer::send(
            &self.queue,
            &task_id,
            Err(answer::failure(why, None)),
            label.continue_on_fail,
        );
    }

    fn finish(&mut self, task_id: String, running: &RunningTask, outcome: CheckedOutcome) {
        self.last_activity = Instant::now();
        let CheckedOutcome { result, mut usage, stderr } = outcome;
        if usage.duration.is_zero() {
            // The usage is lost with the worker.
            usage.duration = running.since.elapsed();
        }
        let how = OutcomeKind::of(&result);
        if !matches!(how, OutcomeKind::HostFault(..)) {
            self.health.record_task();
        }
        let size = answer::send(
            &self.queue,
            &task_id,
            answer::reply(result, stderr),
            running.label.continue_on_fail,
        );
        how.log(&task_id, &running.label, usage, size);
    }

    fn cancel(&mut self, task_id: String, reason: &str) {
        self.last_activity = Instant::now();
        match self.tasks.cancel(&task_id) {
            CancelledTask::Running(running) => {
                let node = NodeAndWorkflow(&running.label);
                info!(reason = %brief(reason), "Cancelled task {} {node}", brief(&task_id));
                // A cancellation is no failure of the code: `continueOnFail` does not apply.
                answer::send(&self.queue, &task_id, Err(answer::cancelled(None)), false);
            }
            CancelledTask::Waiting => {
                info!(
                    reason = %brief(reason),
                    "Cancelled task {} (waiting for settings)",
                    brief(&task_id)
                );
            }
            CancelledTask::Unknown => {
                warn!(
                    reason = %brief(reason),
                    "Received cancel for unknown task: {}. Discarding message.",
                    brief(&task_id)
                );
            }
        }
    }

    /// Begins the shutdown: withdraws the offers and sets the deadline of the running tasks.
    fn stop(&mut self) {
        self.offers.clear();
        self.health.set_registered(false);
        self.phase = Phase::Stopping(Instant::now() + self.config.graceful_shutdown);
        info!(
            running = self.tasks.active(),
            "finishing within {:?}", self.config.graceful_shutdown
        );
    }

    /// Ends the shutdown: stops the running tasks and forgets the waiting ones.
    fn stop_tasks(&mut self) {
        let why = format!(
            "The runner was shut down, and the task took longer than {:?}",
            self.config.graceful_shutdown
        );
        for task_id in self.tasks.running() {
            if let CancelledTask::Running(running) = self.tasks.cancel(&task_id) {
                warn!(task_id, "task stopped by the shutdown");
                let reply = Err(answer::cancelled(Some(&why)));
                answer::send(&self.queue, &task_id, reply, running.label.continue_on_fail);
            }
        }
        self.tasks = Tasks::default();
    }

    /// Sends a message that is below every payload limit.
    fn send(&self, message: RunnerMessage) {
        if let Err(error) = self.queue.send(message) {
            warn!("could not send a message: {error}");
        }
    }
}
