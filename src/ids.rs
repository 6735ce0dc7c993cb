//! Ids that nobody can guess.

use rand::{Rng, distr::Alphanumeric};

/// Length of an id, as n8n's runners have it: 130 bits of randomness, more than a UUID.
const LENGTH: usize = 22;

/// A fresh id: 22 random alphanumerics from a cryptographic generator.
pub(crate) fn random_id() -> String {
    rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()
}
