//! The worker's side: a process with one busy thread, a sandbox, and a pipe to its parent on standard input.

use std::{
    collections::HashMap,
    io,
    os::{fd::AsFd, unix::net::UnixStream as StdUnixStream},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::{net::UnixStream, sync::oneshot, task::AbortHandle};

use super::{
    error::WorkersError,
    pipe::{Event, FrameReader, FrameSender, Request, frame_queue, write_frames},
};
use crate::{
    sandbox::{Answer, Exit, HostCalls, Job, PendingAnswer, RawOutcome, ReadyInstance, Sandbox},
    sync::lock,
};

/// How much sooner than its parent the machine's out-of-memory killer should take a worker (`oom_score_adj`).
const OOM_SCORE: &str = "500";

/// How far a worker steps back behind its parent and the rest of the machine when cores are short (`nice`).
const NICENESS: i32 = 5;

/// Runs as a worker until the parent closes the pipe. This is what the hidden subcommand `worker` does.
///
/// # Errors
/// The sandbox cannot be built, standard input is not the pipe to a parent, or the pipe breaks.
pub fn run(slots: usize) -> Result<(), WorkersError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Look for orders and timers after every step of a guest, so that a cancel or a time-out takes effect at once.
        .event_interval(1)
        .build()?;
    runtime.block_on(serve(slots))?;
    // Guests may still be running: they end with the process.
    std::process::exit(0);
}

async fn serve(slots: usize) -> Result<(), WorkersError> {
    // Both best effort: where they are not allowed, the kernel decides without them.
    let _ = rustix::process::nice(NICENESS);
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let pipe = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    pipe.set_nonblocking(true)?;
    let (input, output) = UnixStream::from_std(pipe)?.into_split();
    let (sender, queue) = frame_queue();
    tokio::spawn(write_frames(queue, output));
    let worker = Worker {
        // One more, for the instance that waits.
        sandbox: Sandbox::builder().slots(slots + 1).build()?,
        spare: Arc::default(),
        sender,
        calls: Arc::default(),
        running: Arc::default(),
    };
    worker.spare.refill(&worker.sandbox).await;
    let mut reader = FrameReader::new(input);
    while let Some((request, payload)) = reader.receive().await? {
        worker.handle(request, payload)?;
    }
    Ok(())
}

struct Worker {
    sandbox: Sandbox,
    spare: Arc<Spare>,
    sender: FrameSender,
    calls: Arc<CallTable>,
    running: Arc<Mutex<HashMap<u64, AbortHandle>>>,
}

impl Worker {
    fn handle(&self, request: Request, payload: Vec<u8>) -> io::Result<()> {
        match request {
            Request::Run { job, limits, seed } => {
                self.start(job, Job { input: payload.into(), limits, seed });
            }
            Request::Cancel { job } => {
                if let Some(task) = lock(&self.running).remove(&job) {
                    task.abort();
                }
            }
            Request::Answer { call, ok } => {
                let text = String::from_utf8(payload).map_err(io::Error::other)?;
                self.calls
                    .answer(call, if ok { Ok(RawValue::from_string(text)?) } else { Err(text) });
            }
            Request::Ping => self.sender.send(&Event::Pong, [])?,
        }
        Ok(())
    }

    fn start(&self, id: u64, job: Job) {
        let host =
            Arc::new(PipeHost { job: id, sender: self.sender.clone(), calls: self.calls.clone() });
        let (sandbox, sender, running) =
            (self.sandbox.clone(), self.sender.clone(), self.running.clone());
        let (spare, ready) = (self.spare.clone(), self.spare.take());
        let task = tokio::spawn(async move {
            // Whatever happens in here, the parent hears of an end.
            let ran = AssertUnwindSafe(sandbox.run_in(ready, job, host)).catch_unwind().await;
            let panicked = || Exit::Broken("the host of the task panicked".into());
            let (outcome, finished) =
                ran.unwrap_or_else(|_| (RawOutcome::not_run(panicked()), None));
            if is_last(&running, id) {
                report(&sender, id, outcome);
                // The report goes out first: nobody waits for what comes now.
                tokio::task::yield_now().await;
                drop(finished);
                if lock(&running).is_empty() {
                    spare.refill(&sandbox).await;
                }
            } else {
                // The next one takes the same memory while the processor still has it at hand.
                drop(finished);
                report(&sender, id, outcome);
            }
        });
        // The task cannot have run yet: this is the only thread.
        lock(&self.running).insert(id, task.abort_handle());
    }
}

/// Takes a job from those that run; whether none is left.
fn is_last(running: &Mutex<HashMap<u64, AbortHandle>>, job: u64) -> bool {
    let mut running = lock(running);
    running.remove(&job);
    running.is_empty()
}

/// A fresh instance that waits for the next job, so that the job need not wait for it.
#[derive(Default)]
struct Spare(Mutex<Option<ReadyInstance>>);

impl Spare {
    fn take(&self) -> Option<ReadyInstance> {
        lock(&self.0).take()
    }

    /// Makes one where there is none. Where it cannot be made, the next job says why.
    async fn refill(&self, sandbox: &Sandbox) {
        if lock(&self.0).is_none() {
            let ready = sandbox.prepare().await;
            *lock(&self.0) = ready;
        }
    }
}

/// Sends how a job stopped to the parent, which reads and checks the output: it would not trust this process with that.
fn report(sender: &FrameSender, job: u64, outcome: RawOutcome) {
    let RawOutcome { exit, stdout, usage, stderr } = outcome;
    if let Err(error) = sender.send(&Event::Done { job, exit, usage, stderr }, stdout) {
        let exit = Exit::Broken(format!("the result cannot be sent: {error}"));
        // A short text fits in every frame.
        let _ = sender.send(&Event::Done { job, exit, usage, stderr: String::new() }, []);
    }
}

/// Host calls of one job, over the pipe.
struct PipeHost {
    job: u64,
    sender: FrameSender,
    calls: Arc<CallTable>,
}

impl HostCalls for PipeHost {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        let (pending, answer) = CallTable::register(&self.calls, self.job, &self.sender);
        let event = Event::Call { job: self.job, call: pending.id, name: name.into() };
        let params = Box::<str>::from(params).into_boxed_bytes();
        let sender = self.sender.clone();
        // Whoever gives up what waits here also lets its parameters go, which nobody counts any more once they are sent.
        let unsent = if sender.is_full() { Err(params) } else { Ok(sender.send(&event, params)) };
        Box::pin(async move {
            let _pending = pending;
            let sent = match unsent {
                Ok(sent) => sent,
                Err(params) => {
                    sender.wait_for_capacity().await;
                    sender.send(&event, params)
                }
            };
            sent.map_err(|error| error.to_string())?;
            answer.await.unwrap_or_else(|_| Err("the runner is gone".into()))
        })
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        let event = Event::Notify { job: self.job, name: name.into() };
        // Parameters that are over the pipe's limit are over the task's; nobody waits for what is told.
        let _ = self.sender.send(&event, Box::<str>::from(params).into_boxed_bytes());
    }
}

/// Calls that wait for their answer.
#[derive(Default)]
struct CallTable {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
}

/// A call's place among those that wait; dropping it gives the place up, here and at the parent.
struct RegisteredCall {
    id: u64,
    job: u64,
    calls: Arc<CallTable>,
    sender: FrameSender,
}

impl CallTable {
    fn register(
        this: &Arc<Self>,
        job: u64,
        sender: &FrameSender,
    ) -> (RegisteredCall, oneshot::Receiver<Answer>) {
        let id = this.next.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        lock(&this.waiting).insert(id, answer);
        (RegisteredCall { id, job, calls: this.clone(), sender: sender.clone() }, receiver)
    }

    fn answer(&self, call: u64, answer: Answer) {
        if let Some(sender) = lock(&self.waiting).remove(&call) {
            // The task may have ended meanwhile.
            let _ = sender.send(answer);
        }
    }
}

impl Drop for RegisteredCall {
    fn drop(&mut self) {
        if lock(&self.calls.waiting).remove(&self.id).is_some() {
            // Where the pipe is broken, the process ends.
            let _ = self.sender.send(&Event::DropCall { job: self.job, call: self.id }, []);
        }
    }
}
