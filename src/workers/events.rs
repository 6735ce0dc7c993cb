//! Handles the events of a worker: outcomes, notifications and host calls of its jobs.

use std::{pin::pin, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{
    account::Account,
    fault::Violation,
    in_flight::{CountedAnswer, InFlight},
    jobs::RunningJob,
    pipe::{FrameSender, SMALL, WorkerEvent, WorkerRequest},
    slot::WorkerSlot,
};
use crate::sandbox::{
    Answer, HostCalls, RawOutcome, answer_text, call_params, limit_answer, parse_offloaded,
    time_out,
};

impl WorkerSlot {
    /// Handles an admitted event of the process, and returns once the next one may be read.
    ///
    /// # Errors
    /// The payload is not what the event says.
    pub(crate) async fn handle(
        &self,
        event: WorkerEvent,
        payload: Vec<u8>,
    ) -> Result<(), Violation> {
        match event {
            // `ready` and `admit` have handled them.
            WorkerEvent::Ready { .. } | WorkerEvent::Pong => {}
            WorkerEvent::Done { job, exit, usage, stderr } => {
                let Some(running) = self.state().jobs.end(job) else { return Ok(()) };
                let outcome = RawOutcome { exit, stdout: payload, usage, stderr };
                tokio::spawn(async move {
                    let parsed = outcome.parse(running.account.limits(), running.out).await;
                    // Fails if the caller dropped the job's future.
                    let _ = running.outcome.send(parsed);
                });
            }
            WorkerEvent::Notify { job, name } => {
                let _pause = self.pause_for(&payload);
                if let Some(params) = json(payload).await? {
                    let host = self.state().jobs.get_mut(job).map(|running| running.host.clone());
                    if let Some(host) = host {
                        host.notify(&name, params);
                    }
                }
            }
            WorkerEvent::Stderr { job } => {
                let host = self.state().jobs.get_mut(job).map(|running| running.host.clone());
                if let Some(host) = host {
                    host.stderr(&payload);
                }
            }
            WorkerEvent::Call { job, call, name } => {
                let _pause = self.pause_for(&payload);
                let is_large = payload.len() > SMALL;
                let params = json(payload).await?;
                let taken = self.call(job, call, name, params);
                if is_large && let Some(taken) = taken {
                    // Resolves with an error: the sender is dropped once the host has the call.
                    let _ = taken.await;
                }
            }
            WorkerEvent::DropCall { job, call } => {
                let mut state = self.state();
                let running = state.jobs.get_mut(job);
                if let Some(handle) = running.and_then(|job| job.abort_handles.remove(&call)) {
                    handle.abort();
                }
            }
        }
        Ok(())
    }

    /// Pauses the watch of the worker for the time in which the parent itself works on a large
    /// payload.
    fn pause_for(&self, payload: &[u8]) -> Option<super::slot::Pause<'_>> {
        (payload.len() > SMALL).then(|| self.pause())
    }

    /// Starts a host call, whose answer goes back to the process. The returned channel closes once
    /// the host has taken the call. `params` is `None` if the runtime is shutting down.
    fn call(
        &self,
        job: u64,
        call: u64,
        name: String,
        params: Option<Box<RawValue>>,
    ) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        let sender = state.sender.clone();
        let running = state.jobs.get_mut(job)?;
        while let Some(ended) = running.calls.try_join_next() {
            // An aborted call has no handle any more.
            let _ = ended.map(|call| running.abort_handles.remove(&call?));
        }
        let (taken, is_taken) = oneshot::channel();
        let host = running.host.clone();
        let time = running.account.limits().call_time;
        let reply = Reply::new(call, running, sender);
        let handle = running.calls.spawn(async move {
            reply.send(answer(&*host, time, &name, params?, taken).await);
            Some(call)
        });
        running.abort_handles.insert(call, handle);
        Some(is_taken)
    }
}

/// The way of an answer back to the worker.
struct Reply {
    call: u64,
    /// Bytes of the largest answer.
    largest: u64,
    /// Bytes of all answers on their way.
    total: u64,
    in_flight: Arc<InFlight>,
    sender: FrameSender,
}

impl Reply {
    fn new(call: u64, job: &RunningJob, sender: FrameSender) -> Self {
        let limits = job.account.limits();
        let (largest, total) = (limits.call_bytes, Account::total_bytes(limits));
        Self { call, largest, total, in_flight: job.account.in_flight().clone(), sender }
    }

    /// Sends an answer, unless the worker has stopped waiting for it.
    fn send(self, answer: Answer) {
        let Self { call, largest, total, in_flight, sender } = self;
        // Ends before the worker can have the answer, and so can begin another call.
        if !in_flight.end_call(call) {
            return;
        }
        let (ok, text) = limit_answer(answer_text(answer), largest);
        let sent = CountedAnswer::new(text, total, in_flight).and_then(|text| {
            let request = WorkerRequest::Answer { call, ok };
            sender.send(&request, text).map_err(|error| error.to_string())
        });
        if let Err(error) = sent {
            // A short text fits in every frame.
            let _ = sender.send(&WorkerRequest::Answer { call, ok: false }, error);
        }
    }
}

/// Calls the host. Drops `taken` once the host has the call.
async fn answer(
    host: &dyn HostCalls,
    time: Duration,
    name: &str,
    params: Box<RawValue>,
    taken: oneshot::Sender<()>,
) -> Answer {
    let mut answer = pin!(time_out(time, name, host.call(name, params)));
    let mut taken = Some(taken);
    std::future::poll_fn(|context| {
        let polled = answer.as_mut().poll(context);
        taken = None;
        polled
    })
    .await
}

/// Checks the parameters of a call or a notification. A worker checks as well, but may be taken
/// over.
///
/// Returns `None` if the runtime is shutting down.
async fn json(payload: Vec<u8>) -> Result<Option<Box<RawValue>>, Violation> {
    Ok(parse_offloaded(payload, call_params).await.transpose()?)
}
