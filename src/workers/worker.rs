//! The main loop of a worker process: one thread, a sandbox, and a pipe to the parent on standard
//! input.

use std::{
    collections::HashMap,
    io,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::{sync::oneshot, task::AbortHandle};

use super::{
    error::WorkersError,
    frame_reader::FrameReader,
    lockdown::{Lockdown, LockdownReport, lock_down},
    pipe::{FrameSender, WorkerEvent, WorkerRequest, frame_queue, write_frames},
};
use crate::{
    platform::process::{Pipe, yield_to_others},
    sandbox::{
        Answer, Exit, HostCalls, Job, PendingAnswer, RawOutcome, ReadyInstance, Sandbox,
        parse_offloaded,
    },
    sync::lock,
};

/// Runs as a worker until the parent closes the pipe: the body of the hidden subcommand `worker`.
///
/// Tasks run on `image`, by default on the one in the executable. Locks the process in before the
/// first job, as `lockdown` says. Call it from a process that has
/// only one thread, because Landlock restricts the calling thread only.
///
/// # Errors
/// The sandbox cannot be built, standard input is not the pipe to a parent, or the pipe breaks.
pub fn run(slots: usize, lockdown: Lockdown, image: Option<PathBuf>) -> Result<(), WorkersError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Polls the pipe and the timers after every step of a guest, so that a cancellation or a
        // time-out takes effect at once.
        .event_interval(1)
        .build()?;
    runtime.block_on(serve(slots, lockdown, image))?;
    // Ends the running guests as well.
    std::process::exit(0);
}

async fn serve(
    slots: usize,
    lockdown: Lockdown,
    image: Option<PathBuf>,
) -> Result<(), WorkersError> {
    yield_to_others();
    let (input, output) = Pipe::of_standard_input()?.into_split();
    let (sender, queue) = frame_queue();
    let writer = tokio::spawn(write_frames(queue, output));
    // One more slot, for the spare instance.
    let mut builder = Sandbox::builder().slots(slots + 1);
    if let Some(image) = image {
        builder = builder.image(image);
    }
    let worker = Worker {
        sandbox: builder.build()?,
        spare: Arc::default(),
        sender,
        calls: Arc::default(),
        running: Arc::default(),
    };
    for _ in 0..SET_UP_ATTEMPTS {
        worker.spare.refill(&worker.sandbox).await;
    }
    let report = match lockdown {
        Lockdown::Off => LockdownReport::default(),
        Lockdown::Required | Lockdown::BestEffort => lock_down(&input),
    };
    worker.sender.send(&WorkerEvent::Ready { lockdown: report }, [])?;
    if lockdown == Lockdown::Required && report.missing().is_some() {
        // Takes no job. The parent says why, once it has the report.
        drop(worker);
        let _ = writer.await;
        return Ok(());
    }
    let mut reader = FrameReader::new(input);
    while let Some((request, payload)) = reader.receive().await.map_err(io::Error::from)? {
        worker.handle(request, payload).await?;
    }
    Ok(())
}

/// Attempts to make the first instance. For it wasmtime seals the memory file of the image, which
/// the kernel may refuse once (see `Sandbox::ready_instance`), and which the lockdown forbids later.
const SET_UP_ATTEMPTS: usize = 2;

struct Worker {
    sandbox: Sandbox,
    spare: Arc<Spare>,
    sender: FrameSender,
    calls: Arc<CallTable>,
    running: Arc<Mutex<HashMap<u64, AbortHandle>>>,
}

impl Worker {
    async fn handle(&self, request: WorkerRequest, payload: Vec<u8>) -> io::Result<()> {
        match request {
            WorkerRequest::Run { job, limits, seed } => {
                self.start(job, Job { input: payload.into(), limits, seed, out: Vec::new() });
            }
            WorkerRequest::Cancel { job } => {
                if let Some(task) = lock(&self.running).remove(&job) {
                    task.abort();
                }
            }
            WorkerRequest::Answer { call, ok } => {
                // The next request waits, so answers keep their order. Guests run meanwhile.
                let read = parse_offloaded(payload, move |payload| answer(payload, ok)).await;
                let read = read.ok_or_else(|| io::Error::other("an answer could not be read"))?;
                self.calls.answer(call, read?);
            }
            WorkerRequest::Ping => self.sender.send(&WorkerEvent::Pong, [])?,
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
            // A panic must not leave the parent waiting for the end of the job.
            let ran = AssertUnwindSafe(sandbox.run_in(ready, job, host)).catch_unwind().await;
            let panicked = || Exit::HostFault("the host of the task panicked".into());
            let (outcome, finished) =
                ran.unwrap_or_else(|_| (RawOutcome::not_run(panicked()), None));
            if is_last(&running, id) {
                report(&sender, id, outcome);
                // Lets the writer send the report before the cleanup, for which no one waits.
                tokio::task::yield_now().await;
                drop(finished);
                if lock(&running).is_empty() {
                    spare.refill(&sandbox).await;
                }
            } else {
                // Frees the memory first: the next job takes it while it is still in the cache.
                drop(finished);
                report(&sender, id, outcome);
            }
        });
        // The task has not run yet: the runtime has one thread.
        lock(&self.running).insert(id, task.abort_handle());
    }
}

/// Reads the payload of an answer.
fn answer(payload: Vec<u8>, ok: bool) -> io::Result<Answer> {
    let text = String::from_utf8(payload).map_err(io::Error::other)?;
    Ok(if ok { Ok(RawValue::from_string(text)?) } else { Err(text) })
}

/// Removes a job from the running ones. Returns whether none is left.
fn is_last(running: &Mutex<HashMap<u64, AbortHandle>>, job: u64) -> bool {
    let mut running = lock(running);
    running.remove(&job);
    running.is_empty()
}

/// An instance prepared for the next job, which then starts without the cost of making one.
#[derive(Default)]
struct Spare(Mutex<Option<ReadyInstance>>);

impl Spare {
    fn take(&self) -> Option<ReadyInstance> {
        lock(&self.0).take()
    }

    /// Prepares an instance if there is none. If that fails, the next job reports the error.
    async fn refill(&self, sandbox: &Sandbox) {
        if lock(&self.0).is_none() {
            let ready = sandbox.prepare().await;
            *lock(&self.0) = ready;
        }
    }
}

/// Reports the end of a job. The parent parses and checks the output: a guest may have compromised
/// this process.
fn report(sender: &FrameSender, job: u64, outcome: RawOutcome) {
    let RawOutcome { exit, stdout, usage, stderr } = outcome;
    if let Err(error) = sender.send(&WorkerEvent::Done { job, exit, usage, stderr }, stdout) {
        let exit = Exit::HostFault(format!("the result cannot be sent: {error}"));
        // A short text fits in every frame.
        let _ = sender.send(&WorkerEvent::Done { job, exit, usage, stderr: String::new() }, []);
    }
}

/// The host calls of one job, over the pipe.
struct PipeHost {
    job: u64,
    sender: FrameSender,
    calls: Arc<CallTable>,
}

impl HostCalls for PipeHost {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        let (pending, answer) = CallTable::register(&self.calls, self.job, &self.sender);
        let event = WorkerEvent::Call { job: self.job, call: pending.id, name: name.into() };
        let params = Box::<str>::from(params).into_boxed_bytes();
        let sender = self.sender.clone();
        // A full backlog delays the call. Dropping the future then frees its parameters; once
        // queued, they would stay in memory uncounted.
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
        let event = WorkerEvent::Notify { job: self.job, name: name.into() };
        // Fails only for parameters over the limit of the pipe, which is above the task's own.
        let _ = self.sender.send(&event, Box::<str>::from(params).into_boxed_bytes());
    }

    fn stderr(&self, bytes: &[u8]) {
        // Fails only for text over the limit of the pipe, which is above the task's own.
        let _ = self.sender.send(&WorkerEvent::Stderr { job: self.job }, bytes.to_vec());
    }
}

/// The calls that wait for an answer.
#[derive(Default)]
struct CallTable {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
}

/// A call's entry in the table. Dropping it removes the entry and tells the parent to drop the
/// call.
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
            // Fails if the task has ended.
            let _ = sender.send(answer);
        }
    }
}

impl Drop for RegisteredCall {
    fn drop(&mut self) {
        if lock(&self.calls.waiting).remove(&self.id).is_some() {
            // Fails only if the pipe is broken, which ends the process.
            let _ = self.sender.send(&WorkerEvent::DropCall { job: self.job, call: self.id }, []);
        }
    }
}
