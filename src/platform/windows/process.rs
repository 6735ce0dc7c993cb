//! Worker processes, and the pipe to their parent.

use std::{
    fs::OpenOptions,
    io,
    os::windows::{
        fs::OpenOptionsExt,
        io::{AsHandle, IntoRawHandle, OwnedHandle},
    },
    pin::Pin,
    process::{ExitStatus, Stdio},
    task::{Context, Poll},
};

use futures_util::FutureExt;
use rand::TryRngCore;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf},
    net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions},
    process::Command,
};
use windows_sys::Win32::{
    Storage::FileSystem::FILE_FLAG_OVERLAPPED,
    System::Threading::{BELOW_NORMAL_PRIORITY_CLASS, CREATE_NEW_PROCESS_GROUP},
};

pub(crate) type PipeReader = ReadHalf<Pipe>;
pub(crate) type PipeWriter = WriteHalf<Pipe>;

/// One end of the pipe between a parent and a worker: a named pipe.
pub(crate) enum Pipe {
    Parent(NamedPipeServer),
    Worker(NamedPipeClient),
}

impl Pipe {
    /// Makes a pipe. Returns the parent's end, and the worker's, for its standard input.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn pair() -> io::Result<(Self, Stdio)> {
        // Another process could connect first to a name that it guesses.
        let mut number = [0; 16];
        rand::rngs::OsRng.try_fill_bytes(&mut number).map_err(io::Error::other)?;
        let number = u128::from_le_bytes(number);
        let name = format!(r"\\.\pipe\serpentarium-{}-{number:032x}", std::process::id());
        let ours = ServerOptions::new()
            .first_pipe_instance(true)
            .max_instances(1)
            .reject_remote_clients(true)
            .create(&name)?;
        // By std: tokio would tie the handle to a completion port of this process, for good.
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(&name)?;
        // The other end is there. Without this call nothing is ever read.
        ours.connect().now_or_never().unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))?;
        Ok((Self::Parent(ours), Stdio::from(OwnedHandle::from(theirs))))
    }

    /// Returns the worker's end.
    ///
    /// # Errors
    /// Standard input is not a pipe.
    pub(crate) fn of_standard_input() -> io::Result<Self> {
        let handle = io::stdin().as_handle().try_clone_to_owned()?;
        // SAFETY: nothing else has the handle.
        let pipe = unsafe { NamedPipeClient::from_raw_handle(handle.into_raw_handle()) }?;
        Ok(Self::Worker(pipe))
    }

    pub(crate) fn into_split(self) -> (PipeReader, PipeWriter) {
        tokio::io::split(self)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match self.get_mut() {
            Self::Parent(pipe) => Pin::new(pipe).poll_read(context, buffer),
            Self::Worker(pipe) => Pin::new(pipe).poll_read(context, buffer),
        };
        // The other end is gone: the end of the stream, as on a socket.
        read.map(|read| match read {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            read => read,
        })
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Parent(pipe) => Pin::new(pipe).poll_write(context, data),
            Self::Worker(pipe) => Pin::new(pipe).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Parent(pipe) => Pin::new(pipe).poll_flush(context),
            Self::Worker(pipe) => Pin::new(pipe).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Parent(pipe) => Pin::new(pipe).poll_shutdown(context),
            Self::Worker(pipe) => Pin::new(pipe).poll_shutdown(context),
        }
    }
}

/// Detaches a worker from the console, whose Ctrl-C is for the parent, and gives it a low priority:
/// on a busy machine the parent, which answers pings, runs first.
pub(crate) fn detach(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | BELOW_NORMAL_PRIORITY_CLASS);
    // Windows finds the libraries of its sockets by this variable.
    if let Some(root) = std::env::var_os("SystemRoot") {
        command.env("SystemRoot", root);
    }
}

/// Does nothing: the parent has set the priority.
pub(crate) fn yield_to_others() {}

/// Returns false: there is no filter of system calls.
pub(crate) fn is_killed_by_filter(_status: ExitStatus) -> bool {
    false
}

/// Returns the path of this program for its workers.
pub(crate) fn own_program() -> std::path::PathBuf {
    std::env::current_exe().unwrap_or_default()
}
