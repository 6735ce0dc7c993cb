//! Grant tokens: what a runner gets for the auth token, good for one connection within half a minute (protocol, section 1).

use std::{
    collections::VecDeque,
    hint::black_box,
    time::{Duration, Instant},
};

use rand::RngCore;

/// Unused grant tokens at a time; the oldest makes room. A runner that keeps asking cannot make us grow.
const MAX_GRANTS: usize = 256;

/// The grant tokens that are out.
pub(crate) struct Grants {
    lifetime: Duration,
    /// Oldest first.
    open: VecDeque<(Instant, String)>,
}

impl Grants {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, open: VecDeque::new() }
    }

    /// A new token.
    pub(crate) fn issue(&mut self, now: Instant) -> String {
        self.expire(now);
        if self.open.len() == MAX_GRANTS {
            self.open.pop_front();
        }
        let token = random_token();
        self.open.push_back((now + self.lifetime, token.clone()));
        token
    }

    /// Uses a token up. False where it was never issued, is used, or too old.
    pub(crate) fn redeem(&mut self, token: &str, now: Instant) -> bool {
        self.expire(now);
        // Every token is compared in full, so that the time taken tells nothing about any of them.
        let mut found = None;
        for (index, (_, open)) in self.open.iter().enumerate() {
            if same(open, token) {
                found = Some(index);
            }
        }
        found.and_then(|index| self.open.remove(index)).is_some()
    }

    fn expire(&mut self, now: Instant) {
        while self.open.front().is_some_and(|(end, _)| *end <= now) {
            self.open.pop_front();
        }
    }
}

/// Whether two secrets are the same, in a time that depends on their length only, not on where they differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // `black_box` keeps the compiler from leaving at the first difference.
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| black_box(differ | (a ^ b))) == 0
}

/// 256 random bits as 64 hex digits.
pub(crate) fn random_token() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_the_same_in_every_byte_or_not_at_all() {
        assert!(same("abc", "abc"));
        assert!(["", "ab", "abd", "xbc", "abcd"].iter().all(|other| !same("abc", other)));
    }

    #[test]
    fn a_token_works_once() {
        let (mut grants, now) = (Grants::new(Duration::from_secs(30)), Instant::now());
        let token = grants.issue(now);
        assert_eq!(token.len(), 64);
        assert!(!grants.redeem("0000", now));
        assert!(grants.redeem(&token, now));
        assert!(!grants.redeem(&token, now));
    }

    #[test]
    fn a_token_dies_of_age() {
        let (mut grants, now) = (Grants::new(Duration::from_secs(30)), Instant::now());
        let token = grants.issue(now);
        assert!(!grants.redeem(&token, now + Duration::from_secs(30)));
    }

    #[test]
    fn the_oldest_token_makes_room() {
        let (mut grants, now) = (Grants::new(Duration::from_secs(30)), Instant::now());
        let first = grants.issue(now);
        let rest: Vec<_> = (0..MAX_GRANTS).map(|_| grants.issue(now)).collect();
        assert!(!grants.redeem(&first, now));
        assert!(rest.iter().all(|token| grants.redeem(token, now)));
    }
}
