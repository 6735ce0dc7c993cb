//! Grant tokens: a runner exchanges the auth token for one, which admits a single connection.

use std::{
    collections::VecDeque,
    hint::black_box,
    time::{Duration, Instant},
};

use rand::RngCore;

/// Unused grant tokens; a new one evicts the oldest. Bounds the memory that repeated requests can
/// take.
const MAX_GRANTS: usize = 256;

/// The unused grant tokens.
pub(crate) struct Grants {
    lifetime: Duration,
    /// Oldest first.
    open: VecDeque<(Instant, String)>,
}

impl Grants {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, open: VecDeque::new() }
    }

    /// Creates a token.
    pub(crate) fn issue(&mut self, now: Instant) -> String {
        self.expire(now);
        if self.open.len() == MAX_GRANTS {
            self.open.pop_front();
        }
        let token = random_token();
        self.open.push_back((now + self.lifetime, token.clone()));
        token
    }

    /// Consumes a token. Returns false if it is unknown, used or expired.
    pub(crate) fn redeem(&mut self, token: &str, now: Instant) -> bool {
        self.expire(now);
        // Compares with every token, so the time taken does not depend on the match (timing
        // attack).
        let mut found = None;
        for (index, (_, open)) in self.open.iter().enumerate() {
            if equal_secrets(open, token) {
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

/// Compares two secrets in constant time for a given length.
pub(crate) fn equal_secrets(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // `black_box` keeps the compiler from returning at the first difference.
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| black_box(differ | (a ^ b))) == 0
}

/// Returns 256 random bits as 64 hex digits.
pub(crate) fn random_token() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_in_every_byte() {
        assert!(equal_secrets("abc", "abc"));
        assert!(["", "ab", "abd", "xbc", "abcd"].iter().all(|other| !equal_secrets("abc", other)));
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
    fn a_token_expires() {
        let (mut grants, now) = (Grants::new(Duration::from_secs(30)), Instant::now());
        let token = grants.issue(now);
        assert!(!grants.redeem(&token, now + Duration::from_secs(30)));
    }

    #[test]
    fn a_new_token_evicts_the_oldest() {
        let (mut grants, now) = (Grants::new(Duration::from_secs(30)), Instant::now());
        let first = grants.issue(now);
        let rest: Vec<_> = (0..MAX_GRANTS).map(|_| grants.issue(now)).collect();
        assert!(!grants.redeem(&first, now));
        assert!(rest.iter().all(|token| grants.redeem(token, now)));
    }
}
