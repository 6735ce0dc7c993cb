//! The time that a task sees.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a deterministic task's clocks start: 2023-11-14 22:13:20 UTC.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// What reading a deterministic clock adds to it, so that code which waits for time to pass comes to an end.
const TICK: Duration = Duration::from_micros(1);

/// Real time, or a time that passes only when it is read or slept.
pub(crate) enum Clock {
    /// The machine's clocks; the monotonic one starts with the task.
    Real(Instant),
    /// Time since the task's start, counted in ticks and sleeps.
    Virtual(Duration),
}

impl Clock {
    pub(crate) fn new(deterministic: bool) -> Self {
        if deterministic { Self::Virtual(Duration::ZERO) } else { Self::Real(Instant::now()) }
    }

    /// Time since the Unix epoch.
    pub(crate) fn wall(&mut self) -> Duration {
        match self {
            Self::Real(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Virtual(_) => EPOCH.saturating_add(self.monotonic()),
        }
    }

    /// Time since a point that does not change during the task. Never zero, which some code takes for "not set".
    pub(crate) fn monotonic(&mut self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed() + TICK,
            Self::Virtual(now) => {
                *now = now.saturating_add(TICK);
                *now
            }
        }
    }

    /// Sleeps. Virtual time passes at once.
    pub(crate) async fn sleep(&mut self, time: Duration) {
        if let Self::Real(_) = self {
            tokio::time::sleep(time).await;
        }
        self.pass(time);
    }

    /// Time went by: the virtual clock does not notice by itself.
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
    fn virtual_time_comes_to_an_end_without_a_panic() {
        let mut clock = Clock::new(true);
        clock.pass(Duration::MAX);
        clock.pass(Duration::MAX);
        assert_eq!((clock.monotonic(), clock.wall()), (Duration::MAX, Duration::MAX));
    }
}
