//! Logging to standard output: with time and colour at a terminal, as bare lines for n8n's launcher
//! (which adds time and level), or as JSON.

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

/// Prefix of the fields that repeat a part of the message. Only the JSON format shows them.
const IN_TEXT: &str = "task.";

/// Capacity of the queue of lines, allocated at the start. A full queue drops lines.
const LINES: usize = 4096;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// The message and its fields. At a terminal, time and level precede them.
    Text,
    /// One JSON object per line: `timestamp`, `level`, `message`, and the fields.
    Json,
}

/// The settings of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logging {
    /// The least severe level that is written.
    pub(crate) level: LevelFilter,
    /// The format of the lines.
    pub(crate) format: LogFormat,
    /// Whether a terminal shows colours.
    pub(crate) colour: bool,
    /// Whether lines of level error also go to Sentry.
    pub(crate) reported: bool,
}

impl Logging {
    /// Starts logging for the process. Dropping the guard writes the queued lines. A second call
    /// does nothing.
    ///
    /// A thread of its own writes the lines. If standard output blocks, lines are dropped: a slow
    /// reader of the log must not stop the runner.
    pub(crate) fn start(self) -> WorkerGuard {
        let (output, guard) =
            NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(io::stdout());
        let errors = self.reported.then(|| ErrorLayer::new().with_filter(LevelFilter::ERROR));
        // Fails only if the embedding program has installed a subscriber of its own, which then
        // stays.
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

/// Writes one field of a line. The message comes first.
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
