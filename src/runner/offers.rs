//! The offers that are open: free places that the broker may fill.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rand::Rng;

use crate::protocol::random_id;

/// How long an offer stands at least: n8n's own value.
const VALIDITY: Duration = Duration::from_millis(5000);
/// Up to this much longer, at random, so that a runner's offers do not all end at once.
const SPREAD_MS: u64 = 500;
/// How much longer an accept is honoured: it may have been on its way when the offer ended.
const GRACE: Duration = Duration::from_millis(100);

/// An offer that was just made.
#[derive(Debug)]
pub(super) struct Offer {
    /// Its id, to be named in the accept.
    pub id: String,
    /// How long the broker may take it up.
    pub valid_for: Duration,
}

/// The offers of one connection.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// When each ends, for the broker.
    ends: HashMap<String, Instant>,
}

impl Offers {
    /// Makes a new offer.
    pub(super) fn open(&mut self, now: Instant) -> Offer {
        let valid_for = VALIDITY + Duration::from_millis(rand::rng().random_range(0..SPREAD_MS));
        let id = random_id();
        self.ends.insert(id.clone(), now + valid_for);
        Offer { id, valid_for }
    }

    /// Offers that the broker may still take up. One in its grace time no longer counts: it is replaced at once.
    pub(super) fn standing(&self, now: Instant) -> usize {
        self.ends.values().filter(|&&end| now < end).count()
    }

    /// Uses an offer up. False if it is unknown, used, or over.
    pub(super) fn take(&mut self, id: &str, now: Instant) -> bool {
        self.ends.remove(id).is_some_and(|end| now < end + GRACE)
    }

    /// Forgets the offers whose grace time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.ends.retain(|_, end| now < *end + GRACE);
    }

    /// When the next standing offer ends.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        self.ends.values().copied().filter(|&end| now < end).min()
    }

    /// Withdraws all offers.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_offer_stands_for_its_time_and_is_honoured_a_little_longer() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let offer = offers.open(now);
        assert!((5000..5500).contains(&offer.valid_for.as_millis()));
        let end = now + offer.valid_for;
        assert_eq!((offers.standing(end - MS), offers.standing(end)), (1, 0));
        assert_eq!((offers.next_end(now), offers.next_end(end)), (Some(end), None));
        offers.expire(end + GRACE - MS);
        assert!(offers.take(&offer.id, end + GRACE - MS));
        assert!(!offers.take(&offer.id, now), "an offer is good once");
    }

    #[test]
    fn an_offer_is_not_honoured_after_its_grace_time() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let (one, two) = (offers.open(now), offers.open(now));
        assert_ne!(one.id, two.id);
        assert!(!offers.take(&one.id, now + one.valid_for + GRACE));
        offers.expire(now + two.valid_for + GRACE);
        assert!(!offers.take(&two.id, now));
    }

    #[test]
    fn withdrawn_and_unknown_offers_are_not_honoured() {
        let now = Instant::now();
        let mut offers = Offers::default();
        let offer = offers.open(now);
        offers.clear();
        assert!(!offers.take(&offer.id, now) && !offers.take("other", now));
    }
}
