//! Starts a worker process, carries frames to and from it, and replaces it when it ends.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    config::PoolConfig,
    lockdown::LockdownWatch,
    pipe::{FrameQueue, FrameReader, WorkerEvent, write_frames},
    slot::WorkerSlot,
    stderr,
};
use crate::text::brief;

/// Interval of the pings to a worker that has jobs.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Time since a worker's last event after which the parent kills it. Its event loop runs every few
/// milliseconds, so only a stopped process or a hang in the engine reaches 15 s.
const MAX_SILENCE: Duration = Duration::from_secs(15);

/// Pause before the restart of a worker that lived for less. A broken machine must not start
/// processes in a tight loop.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Time to read the last lines of a process that has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running worker process and the parent's end of its pipe. Dropping it kills the process.
pub(crate) struct WorkerProcess {
    child: Child,
    pipe: UnixStream,
    queue: FrameQueue,
    /// Logs the standard error of the process.
    stderr: Option<JoinHandle<()>>,
}

impl WorkerProcess {
    /// Starts a process for `slot`, which gets the requests in `queue`.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn start(
        index: usize,
        config: &PoolConfig,
        slot: &WorkerSlot,
        queue: FrameQueue,
    ) -> io::Result<Self> {
        let (mut child, pipe) = spawn(config)?;
        let stderr = child.stderr.take().map(|text| tokio::spawn(stderr::forward(index, text)));
        slot.set_process_id(child.id());
        Ok(Self { child, pipe, queue, stderr })
    }

    /// Carries frames until the process ends. Returns a text that says how it ended.
    async fn serve(mut self, slot: &WorkerSlot, lockdown: &LockdownWatch) -> String {
        let (input, output) = self.pipe.into_split();
        let write = async {
            if write_frames(self.queue, output).await.is_err() {
                // A broken pipe also ends the reading side, which first delivers the last events.
                std::future::pending().await
            }
        };
        let stopped = tokio::select! {
            ended = receive(slot, lockdown, FrameReader::new(input)) => ended,
            () = write => Ok(()),
            silent = watch(slot) => Err(silent),
        };
        let reason = match &stopped {
            Ok(()) => String::new(),
            Err(error) => format!(", stopped because {error}"),
        };
        if stopped.is_err() {
            // Fails only if the process has ended.
            let _ = self.child.start_kill();
        }
        let ended = self.child.wait().await;
        if let Some(stderr) = self.stderr {
            // Fails if the process left its standard error to another one.
            let _ = timeout(LAST_LINES, stderr).await;
        }
        match ended {
            Ok(status) if is_violation(status) => {
                "the worker process was killed by SIGSYS: it made a system call that its lockdown \
                 forbids"
                    .into()
            }
            Ok(status) => format!("the worker process ended ({status}{reason})"),
            Err(error) => format!("the worker process ended ({error}{reason})"),
        }
    }
}

/// Returns whether the filter of system calls killed the process.
fn is_violation(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS)
}

/// Starts a process with one end of a socket pair as its standard input.
fn spawn(config: &PoolConfig) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(&config.program)
        .args(["worker", "--slots", &config.slots.to_string()])
        .args(["--lockdown", &config.lockdown.to_string()])
        // The environment holds the runner's tokens, which a compromised worker must not read.
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // In the parent's group a terminal's Ctrl-C would kill the workers. The parent shuts down
        // gracefully and lets running tasks finish.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

/// Receives events until the process closes the pipe.
async fn receive(
    slot: &WorkerSlot,
    lockdown: &LockdownWatch,
    mut reader: FrameReader,
) -> io::Result<()> {
    match reader.receive().await? {
        Some((WorkerEvent::Ready { lockdown: report }, _)) => {
            lockdown.record(report).map_err(io::Error::other)?;
        }
        Some(_) => return Err(io::Error::other("its first event does not say that it is ready")),
        None => return Ok(()),
    }
    while let Some((event, payload)) = reader.receive().await? {
        slot.handle(event, payload)?;
    }
    Ok(())
}

/// Pings the process while it has jobs. Returns once it was silent for [`MAX_SILENCE`].
async fn watch(slot: &WorkerSlot) -> io::Error {
    loop {
        tokio::time::sleep(PING_INTERVAL).await;
        if !slot.ping(MAX_SILENCE) {
            return io::Error::other(format!("it did not move for {} s", MAX_SILENCE.as_secs()));
        }
    }
}

/// Replaces the slot's process whenever it ends. Runs until the pool aborts it.
pub(crate) async fn supervise(
    index: usize,
    config: PoolConfig,
    slot: Arc<WorkerSlot>,
    mut process: WorkerProcess,
    lockdown: Arc<LockdownWatch>,
) {
    loop {
        let started = Instant::now();
        let end = process.serve(&slot, &lockdown).await;
        let mut queue = slot.reset(&end);
        tracing::warn!(worker = index, "{}; starting a new one", brief(&end));
        if started.elapsed() < RESTART_PAUSE {
            tokio::time::sleep(RESTART_PAUSE).await;
        }
        process = loop {
            match WorkerProcess::start(index, &config, &slot, queue) {
                Ok(process) => break process,
                Err(error) => {
                    let reason = format!("cannot start a worker process: {error}");
                    tracing::error!(worker = index, "{reason}");
                    queue = slot.reset(&reason);
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
            }
        };
    }
}
