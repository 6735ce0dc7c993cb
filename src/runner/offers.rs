//! Open offers: each lets the broker assign one task.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rand::Rng;

use crate::protocol::random_id;

/// Least validity of an offer: the value of n8n's own runner.
const VALIDITY: Duration = Duration::from_millis(5000);
/// Random extra validity in milliseconds, so that offers do not all expire at once.
const JITTER_MS: u64 = 500;
/// Extra time in which an accept counts: it may have been in transit when the offer expired.
const GRACE: Duration = Duration::from_millis(100);

/// A new offer.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Its id, which the accept names.
    pub(crate) id: String,
    /// Validity from now, for the broker.
    pub(crate) valid_for: Duration,
}

/// The offers of one connection.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// End of validity by offer id.
    ends: HashMap<String, Instant>,
}

impl Offers {
    /// Adds an offer.
    pub(crate) fn open(&mut self, now: Instant) -> Offer {
        let valid_for = VALIDITY + Duration::from_millis(rand::rng().random_range(0..JITTER_MS));
        let id = random_id();
        self.ends.insert(id.clone(), now + valid_for);
        Offer { id, valid_for }
    }

    /// Returns the number of valid offers. An offer in its grace time does not count: the session
    /// replaces it at once.
    pub(crate) fn valid(&self, now: Instant) -> usize {
        self.ends.values().filter(|&&end| now < end).count()
    }

    /// Consumes an offer. Returns false if it is unknown, used, or past its grace time.
    pub(crate) fn take(&mut self, id: &str, now: Instant) -> bool {
        self.ends.remove(id).is_some_and(|end| now < end + GRACE)
    }

    /// Removes the offers past their grace time.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.ends.retain(|_, end| now < *end + GRACE);
    }

    /// Returns the end of the offer that expires next.
    pub(crate) fn next_end(&self, now: Instant) -> Option<Instant> {
        self.ends.values().copied().filter(|&end| now < end).min()
    }

    /// Withdraws all offers.
    pub(crate) fn clear(&mut self) {
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_accept_counts_until_the_grace_time_ends() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let offer = offers.open(now);
        assert!((5000..5500).contains(&offer.valid_for.as_millis()));
        let end = now + offer.valid_for;
        assert_eq!((offers.valid(end - MS), offers.valid(end)), (1, 0));
        assert_eq!((offers.next_end(now), offers.next_end(end)), (Some(end), None));
        offers.expire(end + GRACE - MS);
        assert!(offers.take(&offer.id, end + GRACE - MS));
        assert!(!offers.take(&offer.id, now), "an offer is good once");
    }

    #[test]
    fn an_accept_after_the_grace_time_does_not_count() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let (one, two) = (offers.open(now), offers.open(now));
        assert_ne!(one.id, two.id);
        assert!(!offers.take(&one.id, now + one.valid_for + GRACE));
        offers.expire(now + two.valid_for + GRACE);
        assert!(!offers.take(&two.id, now));
    }

    #[test]
    fn withdrawn_and_unknown_offers_do_not_count() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let offer = offers.open(now);
        offers.clear();
        assert!(!offers.take(&offer.id, now) && !offers.take("other", now));
    }
}
