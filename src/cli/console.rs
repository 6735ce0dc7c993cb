//! Standard output and standard error of the subcommands. Either may be closed or full.

use std::{
    fmt::Display,
    io::{self, BufWriter, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Standard output and standard error of a subcommand. A failed write stops nothing. A closed pipe
/// is ignored; any other error is reported once and makes the exit code 1.
#[derive(Debug, Default)]
pub(crate) struct Console {
    failed: AtomicBool,
}

impl Console {
    /// Writes to standard output, without a newline.
    pub(crate) fn out(&self, text: impl Display) {
        let mut out = BufWriter::new(io::stdout().lock());
        self.check("standard output", write!(out, "{text}").and_then(|()| out.flush()));
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&self, line: impl Display) {
        self.check("standard error", to_stderr(line));
    }

    /// Returns `code`, or 1 if a write failed.
    pub(crate) fn finish(&self, code: ExitCode) -> ExitCode {
        if self.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { code }
    }

    fn check(&self, stream: &str, result: io::Result<()>) {
        if let Err(error) = result
            && error.kind() != ErrorKind::BrokenPipe
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            print_error(format_args!("cannot write to {stream}: {error}"));
        }
    }
}

/// Prints an error to standard error. Ignores a failed write: there is no other place to report it.
pub(crate) fn print_error(error: impl Display) {
    let _ = to_stderr(format_args!("serpentarium: {error}"));
}

/// Writes a line in one system call, so that lines of other processes cannot split it.
fn to_stderr(line: impl Display) -> io::Result<()> {
    io::stderr().write_all(format!("{line}\n").as_bytes())
}
