//! Starts a worker process, carries frames to and from it, and replaces it when it ends.

use std::{
    ffi::OsStr,
    io,
    panic::AssertUnwindSafe,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    io::AsyncRead,
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    config::PoolConfig,
    fault::{Violation, WorkerFault},
    frame_reader::FrameReader,
    liveness::TICK,
    lockdown::LockdownWatch,
    pipe::{FrameQueue, SMALL, WorkerEvent, write_frames},
    slot::{Admission, WorkerSlot},
    stderr,
};
use crate::{
    platform::process::{Pipe, detach, is_killed_by_filter},
    text::brief,
};

/// Pause before the restart of a worker that lived for less. A broken machine must not start
/// processes in a tight loop.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Time from the end of a worker's pipe to the end of its process.
const EXIT_TIME: Duration = Duration::from_secs(1);

/// Time to read the last lines of a process that has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running worker process and the parent's end of its pipe. Dropping it kills the process.
pub(crate) struct WorkerProcess {
    child: Child,
    pipe: Pipe,
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
        slot.set_process(child.id());
        Ok(Self { child, pipe, queue, stderr })
    }

    /// Carries frames until the process ends.
    async fn serve(mut self, slot: &WorkerSlot, lockdown: &LockdownWatch) -> ProcessEnd {
        let (input, output) = self.pipe.into_split();
        let write = async {
            if write_frames(self.queue, output).await.is_err() {
                // A broken pipe also ends the reading side, which first delivers the last events.
                std::future::pending().await
            }
        };
        let carry = async {
            let mut reader = FrameReader::new(input);
            match ready(slot, lockdown, &mut reader).await? {
                true => receive(slot, reader).await,
                false => Ok(()),
            }
        };
        let stopped = tokio::select! {
            ended = carry => ended,
            () = write => Ok(()),
            fault = watch(slot) => Err(fault),
        };
        // A process may close its pipe and stay.
        let is_over = stopped.is_ok() && timeout(EXIT_TIME, self.child.wait()).await.is_ok();
        if !is_over {
            // Fails only if the process has ended.
            let _ = self.child.start_kill();
        }
        let status = self.child.wait().await;
        if let Some(stderr) = self.stderr {
            // Fails if the process left its standard error to another one.
            let _ = timeout(LAST_LINES, stderr).await;
        }
        ProcessEnd::new(status, stopped)
    }
}

/// How a process ended.
struct ProcessEnd {
    how: String,
    /// Whether the process did what a correct worker never does.
    is_violation: bool,
}

impl ProcessEnd {
    fn new(status: io::Result<ExitStatus>, stopped: Result<(), WorkerFault>) -> Self {
        if status.as_ref().is_ok_and(|status| is_killed_by_filter(*status)) {
            let how = "the worker process was killed by SIGSYS: it made a system call that its \
                       lockdown forbids";
            return Self { how: how.into(), is_violation: true };
        }
        let reason = match &stopped {
            Ok(()) => String::new(),
            Err(fault) => format!(", stopped because {fault}"),
        };
        let how = match status {
            Ok(status) => format!("the worker process ended ({status}{reason})"),
            Err(error) => format!("the worker process ended ({error}{reason})"),
        };
        Self { how, is_violation: stopped.is_err_and(|fault| fault.is_violation()) }
    }

    /// Returns the end of a process whose host calls panicked in the parent.
    fn of_panic() -> Self {
        let how = "the worker process was stopped: the host of a task panicked".into();
        Self { how, is_violation: false }
    }

    /// A violation is an error, as the worker may be taken over.
    fn log(&self, worker: usize) {
        let how = brief(&self.how);
        if self.is_violation {
            tracing::error!(worker, "{how}; starting a new one");
        } else {
            tracing::warn!(worker, "{how}; starting a new one");
        }
    }
}

/// Starts a process with one end of a pipe as its standard input.
fn spawn(config: &PoolConfig) -> io::Result<(Child, Pipe)> {
    let (ours, theirs) = Pipe::pair()?;
    let mut command = Command::new(&config.program);
    command
        .args(["worker", "--slots", &config.slots.to_string()])
        .args(["--lockdown", &config.lockdown.to_string()])
        .args(config.image.iter().flat_map(|path| [OsStr::new("--image"), path.as_os_str()]))
        // The environment holds the runner's tokens, which a compromised worker must not read.
        .env_clear()
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    detach(&mut command);
    Ok((command.spawn()?, ours))
}

/// Receives the first event: the process is set up and locked in. Returns false if it closed the
/// pipe.
async fn ready<R: AsyncRead + Unpin>(
    slot: &WorkerSlot,
    lockdown: &LockdownWatch,
    reader: &mut FrameReader<R>,
) -> Result<bool, WorkerFault> {
    match reader.head(|| slot.max_header()).await? {
        Some((WorkerEvent::Ready { lockdown: report }, 0)) => {
            lockdown.record(report)?;
            slot.started();
            Ok(true)
        }
        Some(_) => Err(Violation::NotReady.into()),
        None => Ok(false),
    }
}

/// Receives events until the process closes the pipe. Decides on each payload before reading it.
pub(crate) async fn receive<R: AsyncRead + Unpin>(
    slot: &WorkerSlot,
    mut reader: FrameReader<R>,
) -> Result<(), WorkerFault> {
    while let Some((event, size)) = reader.head(|| slot.max_header()).await? {
        let mut admission = slot.admit(&event, size)?;
        if let (Admission::Read, WorkerEvent::Call { job, .. }) = (admission, &event)
            && !slot.wait_for_host(*job).await
        {
            admission = Admission::Ignore;
        }
        let payload = match admission {
            Admission::Read => reader.payload(size).await?,
            Admission::Handle | Admission::Ignore => {
                reader.discard(size).await?;
                Vec::new()
            }
        };
        if size > SMALL {
            slot.received();
        }
        if admission != Admission::Ignore {
            slot.handle(event, payload).await?;
        }
    }
    Ok(())
}

/// Checks the process once a second. Returns once it must be stopped.
async fn watch(slot: &WorkerSlot) -> WorkerFault {
    loop {
        let asleep = Instant::now();
        tokio::time::sleep(TICK).await;
        if let Err(fault) = slot.tick(asleep.elapsed().saturating_sub(TICK)) {
            return fault;
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
        // The host's methods run in `serve`, too. Dropping the process kills it.
        let end = AssertUnwindSafe(process.serve(&slot, &lockdown)).catch_unwind().await;
        let end = end.unwrap_or_else(|_| ProcessEnd::of_panic());
        let mut queue = slot.reset(&end.how);
        end.log(index);
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_forbidden_system_call_is_an_error_of_the_lockdown() {
        const CORE_DUMPED: i32 = 0x80;
        for status in [libc::SIGSYS, libc::SIGSYS | CORE_DUMPED] {
            for stopped in [Ok(()), Err(WorkerFault::Silent(TICK))] {
                let end = ProcessEnd::new(Ok(ExitStatus::from_raw(status)), stopped);
                assert!(end.is_violation, "logged as an error");
                assert!(end.how.contains("a system call that its lockdown forbids"));
            }
        }
        let end = ProcessEnd::new(Ok(ExitStatus::from_raw(libc::SIGKILL)), Ok(()));
        assert!(!end.is_violation);
    }
}
