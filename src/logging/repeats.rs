//! Limits the lines of one kind: a fault that repeats must not fill the log or Sentry's quota.

use std::{
    collections::HashMap,
    fmt::{Debug, Write},
    io,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata,
    callsite::Identifier,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::layer::{Context, Filter};

use crate::{
    sync::lock,
    text::{Escaper, Form},
};

/// Errors of one kind in each [`WINDOW`]. Each is a report to Sentry.
const ERRORS: u32 = 10;

/// Warnings of one kind in each [`WINDOW`]. A broker or a runner can provoke them with each frame.
const WARNINGS: u32 = 100;

/// Time in which the lines of one kind are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The target of the lines that tell how many were left out. They are not limited: there is one for
/// each kind and window.
const SUMMARY: &str = "repeats";

/// Characters of a message in a summary.
const MESSAGE_CHARS: usize = 200;

/// A filter for lines of a level that leaves out warnings and errors of a kind which repeats too
/// often. A kind is a place in the source: task ids and counts do not make another kind.
#[derive(Clone)]
pub(crate) struct RepeatLimit {
    level: LevelFilter,
    window: Duration,
    /// Whether it logs how many lines it left out.
    tells: bool,
    kinds: Arc<Mutex<HashMap<Identifier, Kind>>>,
}

/// The lines of a kind in the current window.
struct Kind {
    begun: Instant,
    lines: u32,
    left_out: LeftOut,
}

/// The lines that were left out.
#[derive(Default)]
struct LeftOut {
    count: u64,
    is_error: bool,
    /// The message of the first one.
    message: String,
}

impl RepeatLimit {
    pub(crate) fn new(level: LevelFilter, tells: bool) -> Self {
        Self { level, window: WINDOW, tells, kinds: Arc::default() }
    }

    /// Counts a line. Returns whether it is written.
    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        let most = match *metadata.level() {
            Level::ERROR => ERRORS,
            Level::WARN => WARNINGS,
            _ => return true,
        };
        if metadata.target() == SUMMARY {
            return true;
        }
        let (now, id) = (Instant::now(), metadata.callsite());
        let fresh = || Kind { begun: now, lines: 0, left_out: LeftOut::default() };
        let mut kinds = lock(&self.kinds);
        let kind = kinds.entry(id.clone()).or_insert_with(fresh);
        if now.duration_since(kind.begun) >= self.window && kind.left_out.count == 0 {
            *kind = fresh();
        }
        if kind.lines < most {
            kind.lines += 1;
            return true;
        }
        kind.left_out.count += 1;
        if kind.left_out.count == 1 {
            kind.left_out.message = message(event);
            kind.left_out.is_error = most == ERRORS;
            let rest = self.window.saturating_sub(now.duration_since(kind.begun));
            if self.end_after(rest, id).is_err() {
                // The next line tries again, or begins a window.
                kind.left_out = LeftOut::default();
            }
        }
        false
    }

    /// Ends the window of a kind after a time, on a thread of its own: no other line may come.
    ///
    /// # Errors
    /// No thread can be started.
    fn end_after(&self, rest: Duration, id: Identifier) -> io::Result<()> {
        let kinds = Arc::downgrade(&self.kinds);
        let tells = self.tells;
        let end = move || {
            thread::sleep(rest);
            let Some(kinds) = kinds.upgrade() else { return };
            let ended = lock(&kinds).remove(&id);
            if let (true, Some(kind)) = (tells, ended) {
                kind.left_out.tell();
            }
        };
        thread::Builder::new().name("log-repeats".into()).spawn(end).map(drop)
    }

    /// Ends all windows, and logs how many lines were left out.
    pub(crate) fn finish(&self) {
        let kinds = std::mem::take(&mut *lock(&self.kinds));
        if self.tells {
            kinds.into_values().for_each(|kind| kind.left_out.tell());
        }
    }
}

impl LeftOut {
    fn tell(&self) {
        let Self { count, is_error, message } = self;
        match (count, is_error) {
            (0, _) => {}
            (_, true) => {
                tracing::error!(target: SUMMARY, count, "left out further errors of this kind: {message}")
            }
            (_, false) => {
                tracing::warn!(target: SUMMARY, count, "left out further warnings of this kind: {message}")
            }
        }
    }
}

/// Returns the message of an event, escaped and cut.
fn message(event: &Event<'_>) -> String {
    #[derive(Default)]
    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                let mut escaper = Escaper::new(&mut self.0, Form::Line, MESSAGE_CHARS);
                // Writing to a String fails only if the value's own `Debug` does.
                let _ = write!(escaper, "{value:?}").and_then(|()| escaper.finish());
            }
        }
    }

    let mut message = Message::default();
    event.record(&mut message);
    message.0
}

impl<S> Filter<S> for RepeatLimit {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.level { Interest::always() } else { Interest::never() }
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, S>) -> bool {
        self.admits(event)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer, fmt::layer, layer::SubscriberExt, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that `log` writes through a limit, and its summaries.
    fn lines(log: impl FnOnce()) -> Vec<String> {
        let (written, limit) = (Lines::default(), RepeatLimit::new(LevelFilter::INFO, true));
        let output = written.clone();
        let lines = layer().without_time().with_ansi(false).with_target(false);
        let lines = lines.with_writer(move || output.clone()).with_filter(limit.clone());
        tracing::subscriber::with_default(registry().with(lines), || {
            log();
            limit.finish();
        });
        let text = String::from_utf8(lock(&written.0).clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn errors_of_one_kind_obeyed() {
        let lines = lines(|| (0..ERRORS).for_each(|at| tracing::error!("number {at}")));
        assert_eq!(lines.len(), ERRORS as usize);
    }

    #[test]
    fn errors_of_one_kind_violated() {
        let lines = lines(|| (0..ERRORS + 5).for_each(|at| tracing::error!("\x1b number {at}")));
        assert_eq!(lines.len(), ERRORS as usize + 1);
        let summary = lines.last().unwrap();
        let expected = r"ERROR left out further errors of this kind: \u{1b} number 10";
        assert!(summary.contains(expected) && summary.ends_with("count=5"), "{summary}");
    }

    #[test]
    fn warnings_of_one_kind_violated() {
        let lines = lines(|| (0..WARNINGS + 5).for_each(|at| tracing::warn!("number {at}")));
        assert_eq!(lines.len(), WARNINGS as usize + 1);
    }

    #[test]
    fn kinds_and_other_levels_have_no_common_limit() {
        let lines = lines(|| {
            (0..ERRORS).for_each(|_| tracing::error!("one"));
            (0..ERRORS).for_each(|_| tracing::error!("two"));
            (0..1000).for_each(|_| tracing::info!("three"));
            tracing::debug!("not of the level");
        });
        assert_eq!(lines.len(), 1000 + 2 * ERRORS as usize);
    }
}
