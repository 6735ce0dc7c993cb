//! The parent's state of one worker: its process, its jobs and their host calls.
//!
//! A slot outlives its process: a new process takes over the slot of one that ended.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    fault::{Violation, WorkerFault},
    jobs::{JobTable, RunningJob},
    liveness::{Liveness, MAX_SILENCE, TICK},
    pipe::{FrameQueue, FrameSender, MAX_HEADER, SMALL, WorkerEvent, WorkerRequest, frame_queue},
};
use crate::{
    sandbox::{Failure, HostCalls, Job, Outcome},
    sync::lock,
};

/// Bytes of a header beside standard error: a name, or the reason of a task's end.
const HEADER_REST: u64 = 16 << 10;

/// Bytes of a header for each byte of standard error: JSON writes a control character as `\u001b`.
const HEADER_PER_STDERR: u64 = 6;

/// One worker of the pool.
#[derive(Debug)]
pub(crate) struct WorkerSlot {
    load: AtomicUsize,
    /// Bytes of the largest header that the jobs of the process allow.
    max_header: AtomicUsize,
    state: Mutex<SlotState>,
    /// Tells the reader of the pipe that a job was cancelled.
    cancelled: Notify,
}

pub(super) struct SlotState {
    process: Option<u32>,
    pub(super) jobs: JobTable,
    /// The queue to the process. Requests that arrive between two processes wait in it.
    pub(super) sender: FrameSender,
    pub(super) liveness: Liveness,
    /// Whether the parent itself keeps the pipe unread.
    is_paused: bool,
    /// Whether a large payload is arriving.
    is_receiving: bool,
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotState")
            .field("process", &self.process)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// A job's share of a worker's load. Dropping it before [`complete`](Self::complete) cancels the
/// job.
pub(crate) struct JobReservation<'a> {
    slot: &'a WorkerSlot,
    job: u64,
    completed: bool,
}

impl JobReservation<'_> {
    /// Records that the job has its outcome.
    pub(crate) fn complete(&mut self) {
        self.completed = true;
    }
}

impl Drop for JobReservation<'_> {
    fn drop(&mut self) {
        self.slot.load.fetch_sub(1, Ordering::Relaxed);
        if !self.completed {
            let mut state = self.slot.state();
            if state.jobs.cancel(self.job) {
                state.send(&WorkerRequest::Cancel { job: self.job }, Vec::new());
                self.slot.cancelled.notify_waiters();
            }
        }
    }
}

impl SlotState {
    fn send(&self, request: &WorkerRequest, payload: impl AsRef<[u8]> + Send + 'static) {
        if let Err(error) = self.sender.send(request, payload) {
            tracing::error!(%error, "could not send a request to a worker");
        }
    }

    fn ping(&mut self) {
        if self.liveness.ping(Instant::now()) {
            self.send(&WorkerRequest::Ping, []);
        }
    }
}

/// What becomes of an event and its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The payload is read, and the event handled.
    Read,
    /// The event is handled without its payload, whose content does not matter.
    Handle,
    /// Nothing is kept: the job was cancelled.
    Ignore,
}

/// While it lives, the parent keeps the pipe of a worker unread. The worker is not to blame then.
pub(crate) struct Pause<'a>(&'a WorkerSlot);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_paused = false;
        state.liveness.heard();
    }
}

/// The key by which the pool chooses a worker: the smallest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    has_no_process: bool,
    owes_an_answer: bool,
    jobs: usize,
}

impl WorkerSlot {
    /// Creates a slot without a process, which will run `slots` jobs at once. `sender` queues the
    /// requests to the first process.
    pub(crate) fn new(slots: usize, sender: FrameSender) -> Self {
        let state = SlotState {
            process: None,
            jobs: JobTable::new(slots),
            sender,
            liveness: Liveness::default(),
            is_paused: false,
            is_receiving: false,
        };
        Self {
            load: AtomicUsize::new(0),
            max_header: AtomicUsize::new(0),
            state: Mutex::new(state),
            cancelled: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, SlotState> {
        lock(&self.state)
    }

    /// Returns the id of the running process.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.state().process
    }

    /// Records a new process, and pings it: until it has started, it owes an answer.
    pub(crate) fn set_process(&self, id: Option<u32>) {
        let mut state = self.state();
        state.process = id;
        state.ping();
    }

    /// Records that the process is set up. Its start takes no time of its jobs.
    pub(crate) fn started(&self) {
        let mut state = self.state();
        state.liveness.heard();
        state.jobs.start();
    }

    /// Returns the sort key for the next job: workers with a process first, then those that owe no
    /// answer to a ping, then by the number of jobs.
    pub(crate) fn rank(&self) -> Rank {
        let state = self.state();
        Rank {
            has_no_process: state.process.is_none(),
            owes_an_answer: state.liveness.owes(Instant::now()) && !state.is_paused,
            jobs: self.load.load(Ordering::Relaxed),
        }
    }

    /// Returns the bytes of the largest header that the process may send.
    pub(crate) fn max_header(&self) -> usize {
        self.max_header.load(Ordering::Relaxed).max(HEADER_REST as usize)
    }

    /// Sends a job to the worker. `outcome` receives its outcome.
    pub(crate) fn begin(
        &self,
        id: u64,
        job: Job,
        host: Arc<dyn HostCalls>,
        outcome: oneshot::Sender<Outcome>,
    ) -> JobReservation<'_> {
        self.load.fetch_add(1, Ordering::Relaxed);
        let header =
            job.limits.stderr.saturating_mul(HEADER_PER_STDERR).saturating_add(HEADER_REST);
        let header = usize::try_from(header).unwrap_or(MAX_HEADER);
        let mut state = self.state();
        self.max_header.fetch_max(header, Ordering::Relaxed);
        let running = RunningJob::new(job.limits.clone(), host, outcome).out(job.out);
        state.jobs.insert(id, running);
        let request = WorkerRequest::Run { job: id, limits: job.limits, seed: job.seed };
        state.send(&request, job.input);
        JobReservation { slot: self, job: id, completed: false }
    }

    /// Checks and pings the process, once a second. `late` is the time by which this call is late.
    ///
    /// # Errors
    /// The process was silent for [`MAX_SILENCE`], or did not end a job in time.
    pub(crate) fn tick(&self, late: Duration) -> Result<(), WorkerFault> {
        let mut state = self.state();
        if state.is_paused {
            state.jobs.extend(TICK + late);
            return Ok(());
        }
        // The parent was stopped, or too busy to read.
        if late > TICK {
            state.jobs.extend(late);
            return Ok(());
        }
        if !state.is_receiving
            && let Some(time) = state.jobs.time_out(Instant::now())
        {
            return Err(WorkerFault::Overtime(time));
        }
        if state.liveness.tick() {
            return Err(WorkerFault::Silent(MAX_SILENCE));
        }
        state.ping();
        Ok(())
    }

    /// Counts an event whose payload of `size` bytes is not read yet.
    ///
    /// # Errors
    /// A correct worker never sends this event.
    pub(crate) fn admit(&self, event: &WorkerEvent, size: usize) -> Result<Admission, Violation> {
        let mut state = self.state();
        if size <= SMALL {
            state.liveness.heard();
        } else {
            state.is_receiving = true;
        }
        let size = size as u64;
        if let WorkerEvent::Ready { .. } = event {
            return Err(Violation::ReadyTwice);
        }
        let Some(job) = event.job() else {
            Violation::check_bytes("bytes behind the answer to a ping", size, 0)?;
            state.liveness.pong()?;
            state.jobs.pong();
            return Ok(Admission::Handle);
        };
        let runs = state.jobs.admit(job, event, size)?;
        Ok(match (runs, event.has_content()) {
            (true, true) => Admission::Read,
            (true, false) => Admission::Handle,
            (false, _) => Admission::Ignore,
        })
    }

    /// Records that a large payload has arrived.
    pub(crate) fn received(&self) {
        let mut state = self.state();
        state.is_receiving = false;
        state.liveness.heard();
    }

    /// Keeps the pipe unread while the host of a job has no capacity for a call. Returns false if
    /// the job was cancelled meanwhile.
    pub(crate) async fn wait_for_host(&self, job: u64) -> bool {
        loop {
            // Create it before the check: `notify_waiters` reaches only futures that exist already.
            let cancelled = self.cancelled.notified();
            let Some(host) = self.state().jobs.get_mut(job).map(|job| job.host.clone()) else {
                return false;
            };
            let Some(capacity) = host.capacity() else { return true };
            let _pause = self.pause();
            tokio::select! {
                () = capacity => {}
                () = cancelled => {}
            }
        }
    }

    pub(super) fn pause(&self) -> Pause<'_> {
        self.state().is_paused = true;
        Pause(self)
    }

    /// Ends every job as lost. Returns the queue of requests for the next process.
    pub(crate) fn reset(&self, reason: &str) -> FrameQueue {
        let (sender, queue) = frame_queue();
        let mut state = self.state();
        state.sender = sender;
        state.process = None;
        state.liveness = Liveness::default();
        (state.is_paused, state.is_receiving) = (false, false);
        self.max_header.store(0, Ordering::Relaxed);
        for running in state.jobs.reset() {
            // Fails if the caller dropped the job's future.
            let _ = running.outcome.send(worker_lost(reason.to_owned()));
        }
        queue
    }
}

/// Returns the outcome of a job whose worker is lost, and its usage with it.
pub(crate) fn worker_lost(reason: String) -> Outcome {
    Outcome::failed(Failure::WorkerLost(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Limits, NoHost};

    fn slot() -> WorkerSlot {
        WorkerSlot::new(2, frame_queue().0)
    }

    fn ticks_until_silent(slot: &WorkerSlot) -> usize {
        (1..100).find(|_| slot.tick(Duration::ZERO).is_err()).expect("it is silent")
    }

    #[test]
    fn a_worker_is_silent_after_15_s() {
        let slot = slot();
        assert_eq!(ticks_until_silent(&slot), 16);
        slot.set_process(Some(1));
        assert_eq!(slot.admit(&WorkerEvent::Pong, 0), Ok(Admission::Handle));
        assert_eq!(ticks_until_silent(&slot), 16);
    }

    #[test]
    fn a_parent_that_does_not_read_blames_no_worker() {
        let slot = slot();
        let pause = slot.pause();
        for _ in 0..100 {
            assert!(slot.tick(Duration::ZERO).is_ok());
        }
        drop(pause);
        for _ in 0..100 {
            assert!(slot.tick(Duration::from_secs(20)).is_ok());
        }
        assert_eq!(ticks_until_silent(&slot), 16);
    }

    #[test]
    fn the_pool_prefers_workers_that_owe_nothing() {
        let rank =
            |has_no_process, owes_an_answer, jobs| Rank { has_no_process, owes_an_answer, jobs };
        let mut ranks = [
            rank(true, false, 0),
            rank(false, true, 0),
            rank(false, false, 2),
            rank(false, false, 1),
        ];
        ranks.sort();
        assert_eq!(
            ranks,
            [
                rank(false, false, 1),
                rank(false, false, 2),
                rank(false, true, 0),
                rank(true, false, 0)
            ]
        );
    }

    #[test]
    fn the_largest_header_follows_the_jobs() {
        let slot = slot();
        assert_eq!(slot.max_header(), 16 << 10);
        let (sender, _outcome) = oneshot::channel();
        let job = Job::new("", Limits::default());
        let _job = slot.begin(0, job, Arc::new(NoHost), sender);
        assert_eq!(slot.max_header(), (6 * 64 + 16) << 10);
        slot.reset("test");
        assert_eq!(slot.max_header(), 16 << 10);
    }
}
