//! Logging: to standard output, with time and colour for people at a terminal, as bare lines for n8n's launcher (which adds
//! time and level), as JSON for machines.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use sentry::integrations::tracing::ErrorLayer;
use tracing::{field::Field, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{format, layer},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// Fields that a line's text has already: they are for machines, and begin like this.
const IN_TEXT: &str = "task.";

/// Lines that wait to be written before more are dropped. Room for all of them is taken at the start.
const LINES: usize = 4096;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A text and its fields; at a terminal with time, level and perhaps colour before it.
    Text,
    /// One JSON object a line: `timestamp`, `level`, `message`, and the fields.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy)]
pub struct Logging {
    /// The least severe lines that are written.
    pub level: LevelFilter,
    /// How they look.
    pub format: LogFormat,
    /// Whether colours are welcome, on a terminal.
    pub colour: bool,
    /// Whether lines of level error go to Sentry as well.
    pub reported: bool,
}

impl Logging {
    /// Starts logging for the process, until the guard is dropped; a second call does nothing.
    ///
    /// Lines are written by a thread of their own, and dropped where nobody reads them: the process has better things to do
    /// than to wait.
    pub fn start(self) -> WorkerGuard {
        let (output, guard) =
            NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(io::stdout());
        let errors = self.reported.then(|| ErrorLayer::new().with_filter(LevelFilter::ERROR));
        // Refused only where a program that embeds this library logs its own way.
        let _ = registry().with(self.lines(output).with_filter(self.level)).with(errors).try_init();
        guard
    }

    fn lines(self, output: NonBlocking) -> Box<dyn Layer<Registry> + Send + Sync> {
        let lines = layer().with_target(false).log_internal_errors(false).with_writer(output);
        match self.format {
            LogFormat::Json => lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .boxed(),
            LogFormat::Text if io::stdout().is_terminal() => {
                lines.with_ansi(self.colour).fmt_fields(format::debug_fn(write_field)).boxed()
            }
            LogFormat::Text => {
                let bare = lines.with_ansi(false).without_time().with_level(false);
                bare.fmt_fields(format::debug_fn(write_field)).boxed()
            }
        }
    }
}

/// Writes one field of a line; the message is the first.
fn write_field(
    line: &mut format::Writer<'_>,
    field: &Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    match field.name() {
        "message" => write!(line, "{value:?}"),
        name if name.starts_with(IN_TEXT) => Ok(()),
        name => write!(line, " {name}={value:?}"),
    }
}
