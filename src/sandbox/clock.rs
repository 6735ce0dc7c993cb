//! The clocks of a task.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Start of a virtual clock, since the Unix epoch: 2023-11-14 22:13:20 UTC, a round number of
/// seconds.
const VIRTUAL_START: Duration = Duration::from_secs(1_700_000_000);

/// Time that each reading adds to a virtual clock, so that a loop that waits for time to pass ends.
const TICK: Duration = Duration::from_micros(1);

/// A real clock, or a virtual one that advances only when it is read or slept on.
pub(crate) enum Clock {
    /// The machine's clocks. The monotonic one starts with the task.
    Real(Instant),
    /// Virtual time since the task's start.
    Virtual(Duration),
}

impl Clock {
    pub(crate) fn new(deterministic: bool) -> Self {
        if deterministic { Self::Virtual(Duration::ZERO) } else { Self::Real(Instant::now()) }
    }

    /// Returns the time since the Unix epoch.
    pub(crate) fn wall(&mut self) -> Duration {
        match self {
            Self::Real(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Virtual(_) => VIRTUAL_START.saturating_add(self.monotonic()),
        }
    }

    /// Returns the time since the task's start. Never zero: some code takes zero for "not set".
    pub(crate) fn monotonic(&mut self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed() + TICK,
            Self::Virtual(now) => {
                *now = now.saturating_add(TICK);
                *now
            }
        }
    }

    /// Sleeps, or advances a virtual clock at once.
    pub(crate) async fn sleep(&mut self, time: Duration) {
        if let Self::Real(_) = self {
            tokio::time::sleep(time).await;
        }
        self.pass(time);
    }

    /// Advances a virtual clock. A real one advances by itself.
    pub(crate) fn pass(&mut self, time: Duration) {
        if let Self::Virtual(now) = self {
            *now = now.saturating_add(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_saturates() {
        let mut clock = Clock::new(true);
        clock.pass(Duration::MAX);
        clock.pass(Duration::MAX);
        assert_eq!((clock.monotonic(), clock.wall()), (Duration::MAX, Duration::MAX));
    }
}
