//! Exponential backoff with jitter between attempts to connect.

use std::time::Duration;

use rand::Rng;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait. A runner should return soon after its broker does.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles the wait with each consecutive failure.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts one more failure and returns the wait before the next attempt, at least
    /// `retry_after`.
    ///
    /// Up to a quarter of the wait is random, so that runners that lost the same broker do not
    /// return all at once.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let wait = doubled.mul_f64(rand::rng().random_range(0.75..=1.0));
        wait.max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_short_to_a_few_seconds() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(None) <= FIRST);
        let waits: Vec<_> = (0..100).map(|_| backoff.next(None)).collect();
        assert!(waits[0] < waits[9] && waits.iter().all(|&wait| wait <= LONGEST));
    }

    #[test]
    fn the_broker_may_ask_for_a_longer_wait() {
        let asked = Duration::from_secs(7);
        assert_eq!(Backoff::default().next(Some(asked)), asked);
    }
}
