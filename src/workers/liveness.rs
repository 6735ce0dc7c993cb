//! Finds a worker that does not move, by pings.
//!
//! The parent pings each worker once a second, also an idle one. One ping is on its way at a time.
//! Silence counts in seconds that the parent itself ran, so a parent that was stopped blames no
//! worker.

use std::time::Duration;

use tokio::time::Instant;

use super::fault::Violation;

/// Interval of the pings and of the checks of a worker.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// Silence after which the parent kills a worker. Its event loop turns every few milliseconds; one
/// bulk memory instruction, on a machine that swaps, may take seconds.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(15);

/// Age of an unanswered ping from which new jobs prefer other workers: a hundred turns of a worker's
/// event loop.
const OWES_AFTER: Duration = Duration::from_millis(100);

/// The pings of one worker process.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// The time at which the unanswered ping was sent.
    pinged: Option<Instant>,
    /// Ticks since the last event.
    silent: u32,
}

impl Liveness {
    /// Records an event.
    pub(crate) fn heard(&mut self) {
        self.silent = 0;
    }

    /// Records the answer to a ping.
    ///
    /// # Errors
    /// No ping waits for an answer.
    pub(crate) fn pong(&mut self) -> Result<(), Violation> {
        self.heard();
        self.pinged.take().map(|_| ()).ok_or(Violation::UnknownPong)
    }

    /// Returns whether the worker owes an answer for longer than a worker that runs needs.
    pub(crate) fn owes(&self, now: Instant) -> bool {
        self.pinged.is_some_and(|at| now.duration_since(at) > OWES_AFTER)
    }

    /// Counts a second. Returns whether the worker was silent for too long.
    pub(crate) fn tick(&mut self) -> bool {
        self.silent += 1;
        TICK * self.silent > MAX_SILENCE
    }

    /// Returns whether to send a ping now, and counts it as sent.
    pub(crate) fn ping(&mut self, now: Instant) -> bool {
        let is_due = self.pinged.is_none();
        self.pinged.get_or_insert(now);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_owes_from_100_ms_until_its_answer() {
        let (mut liveness, sent) = (Liveness::default(), Instant::now());
        assert!(liveness.ping(sent) && !liveness.owes(sent + OWES_AFTER));
        let late = sent + OWES_AFTER + Duration::from_millis(1);
        assert!(liveness.owes(late) && !liveness.ping(late), "one ping at a time");
        assert_eq!(liveness.pong(), Ok(()));
        assert!(!liveness.owes(late));
        assert_eq!(liveness.pong(), Err(Violation::UnknownPong));
    }

    #[test]
    fn silence_is_counted_since_the_last_event() {
        let mut liveness = Liveness::default();
        for _ in 0..15 {
            assert!(!liveness.tick());
        }
        liveness.heard();
        for _ in 0..15 {
            assert!(!liveness.tick());
        }
        assert!(liveness.tick());
    }
}
