//! Logging: to standard output, with time and colour for people at a terminal, as bare lines for a log collector.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

/// Starts logging for the process; a second call does nothing.
///
/// On a terminal every line has its time, and colours unless `colour` is off. Elsewhere a line is its level, its text and
/// its fields: what collects the lines adds the time.
pub fn start(level: LevelFilter, colour: bool) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(io::stdout);
    // Refused only where a program that embeds this library logs its own way.
    let _ = if io::stdout().is_terminal() {
        log.with_ansi(colour).try_init()
    } else {
        log.with_ansi(false).without_time().try_init()
    };
}
