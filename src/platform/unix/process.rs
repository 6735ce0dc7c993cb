//! Worker processes, and the pipe to their parent.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream as StdUnixStream, process::ExitStatusExt},
    },
    process::{ExitStatus, Stdio},
};

pub(crate) use tokio::net::unix::{OwnedReadHalf as PipeReader, OwnedWriteHalf as PipeWriter};
use tokio::{net::UnixStream, process::Command};

/// nice(2) increment of a worker: on a busy machine the parent, which answers pings, runs first.
const NICENESS: i32 = 5;

/// `oom_score_adj` (proc(5)) of a worker: the out-of-memory killer takes a worker before its
/// parent. 500 adds half of the machine's memory to its score.
const OOM_SCORE: &str = "500";

/// One end of the pipe between a parent and a worker: a socket.
pub(crate) struct Pipe(UnixStream);

impl Pipe {
    /// Makes a pipe. Returns the parent's end, and the worker's, for its standard input.
    ///
    /// # Errors
    /// No more descriptors can be opened.
    pub(crate) fn pair() -> io::Result<(Self, Stdio)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self(UnixStream::from_std(ours)?), Stdio::from(OwnedFd::from(theirs))))
    }

    /// Returns the worker's end.
    ///
    /// # Errors
    /// Standard input is not a socket.
    pub(crate) fn of_standard_input() -> io::Result<Self> {
        let pipe = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        pipe.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(pipe)?))
    }

    pub(crate) fn into_split(self) -> (PipeReader, PipeWriter) {
        self.0.into_split()
    }
}

/// Detaches a worker from the terminal. In the parent's group Ctrl-C would kill the workers. The
/// parent shuts down gracefully and lets running tasks finish.
pub(crate) fn detach(command: &mut Command) {
    command.process_group(0);
}

/// Lets other processes of the machine go first, and die last. Best effort: a container may forbid
/// it.
pub(crate) fn yield_to_others() {
    let _ = rustix::process::nice(NICENESS);
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
}

/// Returns whether a filter of system calls killed the process.
pub(crate) fn is_killed_by_filter(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS)
}

/// Returns the path of this program for its workers.
#[cfg(target_os = "linux")]
pub(crate) fn own_program() -> std::path::PathBuf {
    // Works after an update has replaced the file.
    "/proc/self/exe".into()
}

/// Returns the path of this program for its workers.
#[cfg(not(target_os = "linux"))]
pub(crate) fn own_program() -> std::path::PathBuf {
    std::env::current_exe().unwrap_or_default()
}
