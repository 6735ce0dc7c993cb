//! Door for fuzz/: a session that takes frames without a connection.

use std::{
    ptr::NonNull,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt;
use reqwest::Url;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{MessageQueue, Offers, Phase, REGISTRATION_TIMEOUT, RunnerConfig, Session, Tasks};
use crate::{
    runner::{
        config::Credentials,
        health::Health,
        incoming::{IncomingQueue, IncomingReader},
        message_queue::{QueuedFrame, text_of},
    },
    workers::{Pool, fuzzing::FuzzSlot},
};

/// A session over a worker slot without a process.
pub struct FuzzSession {
    // Fields drop in order: the session borrows the settings.
    session: Session<'static>,
    _settings: Settings,
    incoming: IncomingQueue,
    sent: UnboundedReceiver<QueuedFrame>,
    /// The slot of its one worker.
    pub slot: FuzzSlot,
    passed: Duration,
}

/// What a session borrows. Each execution of a fuzzer makes one, so it must not leak.
struct Settings(NonNull<(RunnerConfig, Pool, Health)>);

impl Drop for Settings {
    fn drop(&mut self) {
        // SAFETY: `FuzzSession::new` leaked the box, and the session is gone.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl FuzzSession {
    /// Makes a session before its registration.
    pub fn new(max_payload: usize) -> Self {
        let slot = FuzzSlot::default();
        let (queue, sent) = MessageQueue::new(max_payload);
        let broker = Url::parse("http://127.0.0.1:1").unwrap();
        let config = RunnerConfig::new(broker, Credentials { grant: None, auth: None });
        let reader = IncomingReader::new(config.addition.clone(), config.limits.call_bytes);
        let pool = slot.pool();
        let health = Health::new(pool.clone());
        let settings = Settings(NonNull::from(Box::leak(Box::new((config, pool, health)))));
        // SAFETY: the allocation lives until `settings` drops, after the session, and nothing
        // writes to it.
        let (config, pool, health) = unsafe { settings.0.as_ref() };
        let session = Session {
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
        Self {
            session,
            _settings: settings,
            incoming: IncomingQueue::new(reader),
            sent,
            slot,
            passed: Duration::ZERO,
        }
    }

    /// Handles a frame of the broker, and what follows from it. Returns false at the session's end.
    pub fn frame(&mut self, frame: &str) -> bool {
        self.incoming.push(Bytes::copy_from_slice(frame.as_bytes()));
        // The frames of a fuzzer are small, so none is read on another thread.
        if let Some(incoming) = self.incoming.pop().now_or_never() {
            self.session.receive(incoming);
        }
        self.pass(0)
    }

    /// Lets this many milliseconds pass. Returns false at the session's end.
    pub fn pass(&mut self, milliseconds: u64) -> bool {
        self.passed += Duration::from_millis(milliseconds);
        self.session.run_due_actions(Instant::now() + self.passed).is_ok()
            && !self.session.is_finished()
    }

    /// Polls the tasks and handles those that have ended.
    pub async fn finish_tasks(&mut self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        while let Some((task_id, running, outcome)) = self.session.tasks.finished().now_or_never() {
            self.session.finish(task_id, &running, outcome);
        }
    }

    /// Begins the shutdown.
    pub fn stop(&mut self) {
        self.session.stop();
    }

    /// Returns the next frame to the broker.
    pub fn next_sent(&mut self) -> Option<String> {
        self.sent.try_recv().ok().and_then(text_of)
    }

    /// Returns the active tasks, the valid offers, and the limit of both together.
    pub fn load(&self) -> (usize, usize, usize) {
        let offers = self.session.offers.valid(Instant::now() + self.passed);
        (self.session.tasks.active(), offers, self.session.config.max_concurrency)
    }
}
