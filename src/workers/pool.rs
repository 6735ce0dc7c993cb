//! The parent's side: starts workers, hands out jobs, carries host calls, notices death, starts afresh.

use std::{
    collections::HashMap,
    future::Future,
    io,
    os::fd::OwnedFd,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::oneshot,
    task::{AbortHandle, JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    PoolConfig, WorkersError,
    pipe::{Event, Inbox, Order, Outbox, Unsent, outbox, write},
};
use crate::{
    sandbox::{
        Answer, End, Extras, HostCalls, Job, Outcome, Stopped, Usage, aside, fitting, text, within,
    },
    sync::lock,
};

/// How often a worker with jobs is asked whether it still moves.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A worker that has not moved for this long is killed. Its loop comes round every few milliseconds.
const SILENCE: Duration = Duration::from_secs(15);

/// A worker that dies sooner than this after its start is started again only after this time, lest a broken machine
/// starts workers without end.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The pool. Cheap to clone; dropping the last clone ends the workers.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Arc<Worker>>,
    supervisors: Vec<JoinHandle<()>>,
    next_job: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Ends the supervisors, and with them the processes.
        self.supervisors.iter().for_each(JoinHandle::abort);
    }
}

impl Pool {
    /// Starts the workers. Returns before they are ready; jobs wait for them.
    ///
    /// Must be called within a tokio runtime, which must also poll the futures of [`Pool::run`].
    ///
    /// # Errors
    /// A worker process cannot be started.
    pub fn start(config: &PoolConfig) -> Result<Self, WorkersError> {
        let mut workers = Vec::new();
        let mut supervisors = Vec::new();
        for index in 0..config.workers.max(1) {
            let (outbox, queue) = outbox();
            let worker = Arc::new(Worker::new(outbox));
            let incarnation = Incarnation::start(config, &worker, queue)?;
            supervisors.push(tokio::spawn(supervise(
                index,
                config.clone(),
                worker.clone(),
                incarnation,
            )));
            workers.push(worker);
        }
        let inner = Inner { workers, supervisors, next_job: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs a job on the worker that has the fewest. Dropping the future stops the job.
    ///
    /// Host calls come to `host` on the runtime of the pool; a pending one is dropped when the job ends.
    pub fn run(
        &self,
        job: Job,
        host: Arc<dyn HostCalls>,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let id = self.inner.next_job.fetch_add(1, Ordering::Relaxed);
        let pool = self.inner.clone();
        async move {
            let Some(worker) = pool.workers.iter().min_by_key(|worker| worker.rank()) else {
                return lost("the pool has no workers".into());
            };
            let (sender, receiver) = oneshot::channel();
            let mut running = worker.begin(id, job, host, sender);
            let outcome =
                receiver.await.unwrap_or_else(|_| lost("the worker process is gone".into()));
            running.ended = true;
            outcome
        }
    }

    /// The process ids of the workers that live now, for operators and tests.
    pub fn process_ids(&self) -> Vec<u32> {
        self.inner.workers.iter().filter_map(|worker| lock(&worker.state).process).collect()
    }
}

/// One place for a worker process; processes come and go in it.
#[derive(Debug)]
struct Worker {
    load: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    process: Option<u32>,
    jobs: HashMap<u64, Running>,
    /// The way to the process. Between two processes orders wait in it for the next.
    outbox: Outbox,
    /// When the process was last heard of, or had nothing to say.
    heard: Instant,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("process", &self.process)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// A job on a worker. Dropping it drops its pending host calls.
struct Running {
    outcome: oneshot::Sender<Outcome>,
    host: Arc<dyn HostCalls>,
    /// Each returns its number at its end.
    calls: JoinSet<u64>,
    /// Those of them that somebody waits for, by number.
    places: HashMap<u64, AbortHandle>,
    /// Calls that may wait for an answer at once. The worker sees to the guest's own limit; this holds for one that is
    /// broken into, and leaves room for calls that have ended there and are about to end here.
    most_calls: usize,
    /// Time until a call fails. The worker keeps it as well; here it ends what nobody waits for any more.
    call_time: Duration,
    /// Bytes of the largest answer.
    call_bytes: u64,
}

/// A job's place on a worker, held by the future that waits for it.
struct Place<'a> {
    worker: &'a Worker,
    job: u64,
    ended: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.worker.load.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            let mut state = lock(&self.worker.state);
            if state.jobs.remove(&self.job).is_some() {
                state.send(&Order::Cancel { job: self.job }, Vec::new());
            }
        }
    }
}

impl State {
    fn send(&self, order: &Order, payload: impl AsRef<[u8]> + Send + 'static) {
        if let Err(error) = self.outbox.send(order, payload) {
            tracing::error!(%error, "an order to a worker was not sent");
        }
    }
}

impl Worker {
    fn new(outbox: Outbox) -> Self {
        let state = State { process: None, jobs: HashMap::new(), outbox, heard: Instant::now() };
        Self { load: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// The lower, the better a place for the next job: a living process first, then the fewest jobs.
    fn rank(&self) -> (bool, usize) {
        (lock(&self.state).process.is_none(), self.load.load(Ordering::Relaxed))
    }

    fn begin(
        &self,
        id: u64,
        job: Job,
        host: Arc<dyn HostCalls>,
        outcome: oneshot::Sender<Outcome>,
    ) -> Place<'_> {
        self.load.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        if state.jobs.is_empty() {
            state.heard = Instant::now();
        }
        let running = Running {
            outcome,
            host,
            calls: JoinSet::new(),
            places: HashMap::new(),
            most_calls: 2 * (job.limits.in_flight as usize + 1),
            call_time: job.limits.call_time,
            call_bytes: job.limits.call_bytes,
        };
        state.jobs.insert(id, running);
        let order = Order::Run { job: id, limits: job.limits, deterministic: job.deterministic };
        state.send(&order, job.input);
        Place { worker: self, job: id, ended: false }
    }

    /// Acts on what the process says.
    fn hear(&self, event: Event, payload: Vec<u8>) -> io::Result<()> {
        lock(&self.state).heard = Instant::now();
        match event {
            Event::Pong => {}
            Event::Done { job, stop, usage, stderr } => {
                let Some(running) = lock(&self.state).jobs.remove(&job) else {
                    return Ok(());
                };
                let stopped = Stopped { stop, stdout: payload, usage, stderr };
                tokio::spawn(async move {
                    // The one who waited may have gone.
                    let _ = running.outcome.send(stopped.outcome().await);
                });
            }
            Event::Tell { job, name } => {
                let host = lock(&self.state).jobs.get(&job).map(|running| running.host.clone());
                if let Some(host) = host {
                    host.tell(&name, json(payload)?);
                }
            }
            Event::Call { job, call, name } => {
                let mut state = lock(&self.state);
                let outbox = state.outbox.clone();
                let Some(running) = state.jobs.get_mut(&job) else {
                    return Ok(());
                };
                while let Some(ended) = running.calls.try_join_next() {
                    // One that was given up has no place any more.
                    let _ = ended.map(|call| running.places.remove(&call));
                }
                if running.calls.len() >= running.most_calls {
                    return outbox
                        .send(&Order::Answer { call, ok: false }, "too many calls at once");
                }
                let (host, time, most) =
                    (running.host.clone(), running.call_time, running.call_bytes);
                let place = running.calls.spawn(async move {
                    let (ok, text) =
                        fitting(text(answer(&*host, time, &name, payload).await), most);
                    if let Err(error) = outbox.send(&Order::Answer { call, ok }, text) {
                        // A short text fits in every frame.
                        let _ = outbox.send(&Order::Answer { call, ok: false }, error.to_string());
                    }
                    call
                });
                running.places.insert(call, place);
            }
            Event::Forget { job, call } => {
                let mut state = lock(&self.state);
                if let Some(place) =
                    state.jobs.get_mut(&job).and_then(|running| running.places.remove(&call))
                {
                    place.abort();
                }
            }
        }
        Ok(())
    }

    /// Ends every job with the news that its process is gone. Returns the queue of orders for the next process.
    fn reset(&self, reason: &str) -> Unsent {
        let (outbox, queue) = outbox();
        let mut state = lock(&self.state);
        state.outbox = outbox;
        state.process = None;
        for (_, running) in state.jobs.drain() {
            // The one who waited may have gone.
            let _ = running.outcome.send(lost(reason.to_owned()));
        }
        queue
    }
}

/// Asks the host.
async fn answer(host: &dyn HostCalls, time: Duration, name: &str, params: Vec<u8>) -> Answer {
    match aside::parse(params, json).await {
        Some(Ok(params)) => within(time, name, host.call(name, params)).await,
        _ => Err("the parameters of a host call are one JSON value".into()),
    }
}

/// A payload as JSON. A worker checks what it sends; one that is broken into may not.
fn json(payload: Vec<u8>) -> io::Result<Box<RawValue>> {
    Ok(RawValue::from_string(String::from_utf8(payload).map_err(io::Error::other)?)?)
}

/// The outcome of a job whose worker is gone. What it used went with it.
fn lost(reason: String) -> Outcome {
    let end = End::WorkerLost(reason);
    Outcome { end, extras: Extras::default(), usage: Usage::default(), stderr: String::new() }
}

/// One process in a worker's place.
struct Incarnation {
    child: Child,
    pipe: UnixStream,
    queue: Unsent,
}

impl Incarnation {
    fn start(config: &PoolConfig, worker: &Worker, queue: Unsent) -> io::Result<Self> {
        let (child, pipe) = spawn(config)?;
        lock(&worker.state).process = child.id();
        Ok(Self { child, pipe, queue })
    }

    /// Carries frames until the process is gone; says how it ended.
    async fn serve(mut self, worker: &Worker) -> String {
        let (input, output) = self.pipe.into_split();
        let stopped = tokio::select! {
            ended = listen(worker, Inbox::new(input)) => ended,
            // A broken pipe is heard as an end, too, with all that the process said before.
            () = async { if write(self.queue, output).await.is_err() { std::future::pending().await } } => Ok(()),
            silent = watch(worker) => Err(silent),
        };
        let reason = match &stopped {
            Ok(()) => String::new(),
            Err(error) => format!(", stopped because {error}"),
        };
        if stopped.is_err() {
            // Where it cannot be killed it is gone already.
            let _ = self.child.start_kill();
        }
        match self.child.wait().await {
            Ok(status) => format!("the worker process ended ({status}{reason})"),
            Err(error) => format!("the worker process ended ({error}{reason})"),
        }
    }
}

/// Starts a process with one end of a pipe as its standard input.
fn spawn(config: &PoolConfig) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(&config.program)
        .args(["worker", "--slots", &config.slots.to_string()])
        // A worker needs no environment, and must not know the runner's tokens.
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // Its own group: a terminal's Ctrl-C is for the parent, which lets running tasks finish.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

/// Hears the process until it closes the pipe.
async fn listen(worker: &Worker, mut inbox: Inbox) -> io::Result<()> {
    while let Some((event, payload)) = inbox.next().await? {
        worker.hear(event, payload)?;
    }
    Ok(())
}

/// Asks a process that has jobs whether it still moves; returns when it has been silent for too long.
async fn watch(worker: &Worker) -> io::Error {
    loop {
        tokio::time::sleep(PING_INTERVAL).await;
        let state = lock(&worker.state);
        if state.jobs.is_empty() {
            continue;
        }
        if state.heard.elapsed() > SILENCE {
            return io::Error::other(format!("it did not move for {} s", SILENCE.as_secs()));
        }
        state.send(&Order::Ping, []);
    }
}

/// Keeps a process in a worker's place for as long as the pool lives.
async fn supervise(
    index: usize,
    config: PoolConfig,
    worker: Arc<Worker>,
    mut incarnation: Incarnation,
) {
    loop {
        let started = Instant::now();
        let end = incarnation.serve(&worker).await;
        let mut queue = worker.reset(&end);
        tracing::warn!(worker = index, "{end}; starting a new one");
        if started.elapsed() < RESTART_PAUSE {
            tokio::time::sleep(RESTART_PAUSE).await;
        }
        incarnation = loop {
            match Incarnation::start(&config, &worker, queue) {
                Ok(incarnation) => break incarnation,
                Err(error) => {
                    let reason = format!("cannot start a worker process: {error}");
                    tracing::error!(worker = index, "{reason}");
                    queue = worker.reset(&reason);
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
            }
        };
    }
}
