//! Standard output and standard error of the subcommands. Either may be closed or full.
//!
//! Text of others (what code prints, raises and returns, names of files) may hold control
//! characters. Standard error always shows them as escapes; it is read by people, and its lines may
//! stand beside those of a log. Standard output shows them as escapes at a terminal. Elsewhere its
//! bytes pass as they are, because another program reads them.

use std::{
    fmt::{self, Display, Formatter, Write as _},
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::text::{Escaper, Form};

/// Standard output and standard error of a subcommand. A failed write stops nothing. A closed pipe
/// is ignored; any other error is reported once and makes the exit code 1.
#[derive(Debug, Default)]
pub(crate) struct Console {
    failed: AtomicBool,
}

impl Console {
    /// Writes text to standard output, without a newline.
    pub(crate) fn out(&self, text: impl Display) {
        self.out_as(Form::Lines, text);
    }

    /// Writes JSON to standard output, without a newline. Its value stays the same.
    pub(crate) fn out_json(&self, json: impl Display) {
        self.out_as(Form::Json, json);
    }

    /// Writes to standard output as it is: text with styles, whose parts are [`safe`] already.
    pub(crate) fn out_styled(&self, text: impl Display) {
        let mut out = BufWriter::new(io::stdout().lock());
        self.check("standard output", write!(out, "{text}").and_then(|()| out.flush()));
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&self, line: impl Display) {
        self.note_styled(safe(line));
    }

    /// Writes a line to standard error as it is: text with styles, whose parts are [`safe`]
    /// already.
    pub(crate) fn note_styled(&self, line: impl Display) {
        self.check("standard error", to_stderr(line));
    }

    /// Returns `code`, or 1 if a write failed.
    pub(crate) fn finish(&self, code: ExitCode) -> ExitCode {
        if self.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { code }
    }

    fn out_as(&self, form: Form, text: impl Display) {
        if io::stdout().is_terminal() {
            self.out_styled(Escaped { text, form });
        } else {
            self.out_styled(text);
        }
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
    let _ = to_stderr(safe(format_args!("serpentarium: {error}")));
}

/// Shows a text of others as lines: hidden characters but newlines and tabs are escaped.
pub(crate) fn safe(text: impl Display) -> impl Display {
    Escaped { text, form: Form::Lines }
}

/// A text without limit of length, escaped.
struct Escaped<D> {
    text: D,
    form: Form,
}

impl<D: Display> Display for Escaped<D> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaper::new(f, self.form, usize::MAX), "{}", self.text)
    }
}

/// Writes a line in one system call, so that lines of other processes cannot split it.
fn to_stderr(line: impl Display) -> io::Result<()> {
    io::stderr().write_all(format!("{line}\n").as_bytes())
}
