//! The parent's state of one worker: its process id, its jobs and their host calls.
//!
//! A slot outlives its process: a new process takes over the slot of one that ended.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::pipe::{FrameQueue, FrameSender, WorkerEvent, WorkerRequest, frame_queue};
use crate::{
    sandbox::{
        Answer, Failure, HostCalls, Job, Outcome, RawOutcome, answer_text, call_params,
        limit_answer, parse_offloaded, time_out,
    },
    sync::lock,
};

/// One worker of the pool.
#[derive(Debug)]
pub(crate) struct WorkerSlot {
    load: AtomicUsize,
    state: Mutex<SlotState>,
}

struct SlotState {
    process: Option<u32>,
    jobs: HashMap<u64, RunningJob>,
    /// The queue to the process. Requests that arrive between two processes wait in it.
    sender: FrameSender,
    /// Time of the last event, or of the first job after an idle time.
    last_event: Instant,
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotState")
            .field("process", &self.process)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// A job on a worker. Dropping it drops its pending host calls.
struct RunningJob {
    outcome: oneshot::Sender<Outcome>,
    host: Arc<dyn HostCalls>,
    /// The calls in progress. Each returns its number.
    calls: JoinSet<u64>,
    /// Handles of the calls that the worker still waits for, by number.
    abort_handles: HashMap<u64, AbortHandle>,
    /// Limit of concurrent calls. The worker enforces the task's own limit; this one bounds a
    /// compromised worker. It is twice as large, because a call ends in the worker first.
    max_calls: usize,
    /// Time limit of one call. The worker enforces it as well; here it ends abandoned calls.
    call_time: Duration,
    /// Largest answer, in bytes.
    call_bytes: u64,
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
            let mut state = lock(&self.slot.state);
            if state.jobs.remove(&self.job).is_some() {
                state.send(&WorkerRequest::Cancel { job: self.job }, Vec::new());
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
}

impl WorkerSlot {
    /// Creates a slot without a process. `sender` queues the requests to the first one.
    pub(crate) fn new(sender: FrameSender) -> Self {
        let state =
            SlotState { process: None, jobs: HashMap::new(), sender, last_event: Instant::now() };
        Self { load: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Returns the id of the running process.
    pub(crate) fn process_id(&self) -> Option<u32> {
        lock(&self.state).process
    }

    /// Records the id of a new process.
    pub(crate) fn set_process_id(&self, id: Option<u32>) {
        lock(&self.state).process = id;
    }

    /// Returns the sort key for the next job: slots with a process first, then by the number of
    /// jobs.
    pub(crate) fn rank(&self) -> (bool, usize) {
        (lock(&self.state).process.is_none(), self.load.load(Ordering::Relaxed))
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
        let mut state = lock(&self.state);
        if state.jobs.is_empty() {
            state.last_event = Instant::now();
        }
        let running = RunningJob {
            outcome,
            host,
            calls: JoinSet::new(),
            abort_handles: HashMap::new(),
            max_calls: 2 * (job.limits.in_flight as usize + 1),
            call_time: job.limits.call_time,
            call_bytes: job.limits.call_bytes,
        };
        state.jobs.insert(id, running);
        let request = WorkerRequest::Run { job: id, limits: job.limits, seed: job.seed };
        state.send(&request, job.input);
        JobReservation { slot: self, job: id, completed: false }
    }

    /// Pings the process if it has jobs. Returns false if it was silent for longer than `limit`.
    pub(crate) fn ping(&self, limit: Duration) -> bool {
        let state = lock(&self.state);
        if state.jobs.is_empty() {
            return true;
        }
        if state.last_event.elapsed() > limit {
            return false;
        }
        state.send(&WorkerRequest::Ping, []);
        true
    }

    /// Handles an event of the process.
    ///
    /// # Errors
    /// The event violates the protocol of the pipe.
    pub(crate) fn handle(&self, event: WorkerEvent, payload: Vec<u8>) -> io::Result<()> {
        lock(&self.state).last_event = Instant::now();
        match event {
            // `process` handles the first event.
            WorkerEvent::Ready { .. } => return Err(io::Error::other("it was ready twice")),
            WorkerEvent::Pong => {}
            WorkerEvent::Done { job, exit, usage, stderr } => {
                let Some(running) = lock(&self.state).jobs.remove(&job) else {
                    return Ok(());
                };
                let outcome = RawOutcome { exit, stdout: payload, usage, stderr };
                tokio::spawn(async move {
                    // Fails if the caller dropped the job's future.
                    let _ = running.outcome.send(outcome.parse().await);
                });
            }
            WorkerEvent::Notify { job, name } => {
                let host = lock(&self.state).jobs.get(&job).map(|running| running.host.clone());
                if let Some(host) = host {
                    host.notify(&name, json(payload)?);
                }
            }
            WorkerEvent::Call { job, call, name } => return self.call(job, call, name, payload),
            WorkerEvent::DropCall { job, call } => {
                let mut state = lock(&self.state);
                let running = state.jobs.get_mut(&job);
                if let Some(handle) = running.and_then(|job| job.abort_handles.remove(&call)) {
                    handle.abort();
                }
            }
        }
        Ok(())
    }

    /// Starts a host call, whose answer goes back to the process.
    fn call(&self, job: u64, call: u64, name: String, params: Vec<u8>) -> io::Result<()> {
        let mut state = lock(&self.state);
        let sender = state.sender.clone();
        let Some(running) = state.jobs.get_mut(&job) else {
            return Ok(());
        };
        while let Some(ended) = running.calls.try_join_next() {
            // An aborted call has no handle any more.
            let _ = ended.map(|call| running.abort_handles.remove(&call));
        }
        if running.calls.len() >= running.max_calls {
            return sender
                .send(&WorkerRequest::Answer { call, ok: false }, "too many calls at once");
        }
        let (host, time, limit) = (running.host.clone(), running.call_time, running.call_bytes);
        let handle = running.calls.spawn(async move {
            let answer = answer(&*host, time, &name, params).await;
            let (ok, text) = limit_answer(answer_text(answer), limit);
            if let Err(error) = sender.send(&WorkerRequest::Answer { call, ok }, text) {
                // A short text fits in every frame.
                let _ = sender.send(&WorkerRequest::Answer { call, ok: false }, error.to_string());
            }
            call
        });
        running.abort_handles.insert(call, handle);
        Ok(())
    }

    /// Ends every job as lost. Returns the queue of requests for the next process.
    pub(crate) fn reset(&self, reason: &str) -> FrameQueue {
        let (sender, queue) = frame_queue();
        let mut state = lock(&self.state);
        state.sender = sender;
        state.process = None;
        for (_, running) in state.jobs.drain() {
            // Fails if the caller dropped the job's future.
            let _ = running.outcome.send(worker_lost(reason.to_owned()));
        }
        queue
    }
}

/// Calls the host.
async fn answer(host: &dyn HostCalls, time: Duration, name: &str, params: Vec<u8>) -> Answer {
    match parse_offloaded(params, json).await {
        Some(Ok(params)) => time_out(time, name, host.call(name, params)).await,
        _ => Err("the parameters of a host call are one JSON value".into()),
    }
}

/// Checks that a payload is JSON. A worker checks as well, but may be compromised.
fn json(payload: Vec<u8>) -> io::Result<Box<RawValue>> {
    call_params(payload).map_err(io::Error::other)
}

/// Returns the outcome of a job whose worker is lost, and its usage with it.
pub(crate) fn worker_lost(reason: String) -> Outcome {
    Outcome::failed(Failure::WorkerLost(reason))
}
