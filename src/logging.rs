//! Logging to standard output: with time and colour at a terminal, as bare lines for n8n's launcher
//! (which adds time and level), or as JSON.

mod line;
mod repeats;

use std::io::{self, IsTerminal};

use sentry::{ClientInitGuard, integrations::tracing::ErrorLayer};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry, fmt::layer, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use self::{
    line::{JsonLines, TextFields},
    repeats::RepeatLimit,
};
use crate::config;

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

/// The started log. Dropping it tells how many lines were left out, sends the queued reports, and
/// writes the queued lines.
pub(crate) struct Log {
    repeats: RepeatLimit,
    /// The reports, once they have started.
    pub(crate) reports: Option<ClientInitGuard>,
    _lines: WorkerGuard,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.repeats.finish();
    }
}

impl Logging {
    /// Starts logging for the process. A second call does nothing.
    ///
    /// A thread of its own writes the lines. If standard output blocks, lines are dropped: a slow
    /// reader of the log must not stop the runner.
    pub(crate) fn start(self) -> Log {
        let (output, lines) =
            NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(io::stdout());
        let repeats = RepeatLimit::new(self.level, true);
        let reports = RepeatLimit::new(LevelFilter::ERROR, false);
        let errors = self.reported.then(|| ErrorLayer::new().with_filter(reports));
        // Fails only if the embedding program has installed a subscriber of its own, which then
        // stays.
        let _ = registry()
            .with(self.lines(output).with_filter(repeats.clone()))
            .with(errors)
            .try_init();
        Log { repeats, reports: None, _lines: lines }
    }

    fn lines(self, output: NonBlocking) -> Box<dyn Layer<Registry> + Send + Sync> {
        let lines = layer().with_target(false).log_internal_errors(false).with_writer(output);
        match self.format {
            LogFormat::Json => lines.event_format(JsonLines).boxed(),
            LogFormat::Text if io::stdout().is_terminal() => {
                lines.with_ansi(self.colour).fmt_fields(TextFields).boxed()
            }
            LogFormat::Text => {
                let bare = lines.with_ansi(false).without_time().with_level(false);
                bare.fmt_fields(TextFields).boxed()
            }
        }
    }
}

/// Starts logging to standard error, with time and level, for a subcommand whose output is on
/// standard output.
pub(crate) fn to_stderr(level: LevelFilter) {
    let colour = config::colour() && io::stderr().is_terminal();
    let lines = layer().with_target(false).log_internal_errors(false).with_writer(io::stderr);
    let lines = lines.with_ansi(colour).fmt_fields(TextFields);
    // Fails only if a subscriber is installed already, which then stays.
    let _ = registry().with(lines.with_filter(RepeatLimit::new(level, true))).try_init();
}
