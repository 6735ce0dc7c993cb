//! Where subcommands write: standard output and standard error, either of which may be gone or full.

use std::{
    fmt::Display,
    io::{self, BufWriter, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Standard output and standard error of a subcommand. A write that fails stops nothing: where its reader has gone it is
/// nobody's loss, anything else is said once and makes the exit code 1.
#[derive(Debug, Default)]
pub(crate) struct Console {
    failed: AtomicBool,
}

impl Console {
    /// Writes to standard output, as it is.
    pub(crate) fn out(&self, text: impl Display) {
        let mut out = BufWriter::new(io::stdout().lock());
        self.check("standard output", write!(out, "{text}").and_then(|()| out.flush()));
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&self, line: impl Display) {
        self.check("standard error", to_stderr(line));
    }

    /// The exit code: the task's own unless something could not be written.
    pub(crate) fn finish(&self, code: ExitCode) -> ExitCode {
        if self.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { code }
    }

    fn check(&self, stream: &str, result: io::Result<()>) {
        if let Err(error) = result
            && error.kind() != ErrorKind::BrokenPipe
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            complain(format_args!("cannot write to {stream}: {error}"));
        }
    }
}

/// Says on standard error what went wrong, if anybody can hear it.
pub(crate) fn complain(error: impl Display) {
    let _ = to_stderr(format_args!("serpentarium: {error}"));
}

/// Text of others, fit for a terminal: nothing in it moves the cursor or changes colours.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// One line in one write: whole beside the lines of others.
fn to_stderr(line: impl Display) -> io::Result<()> {
    io::stderr().write_all(format!("{line}\n").as_bytes())
}
