//! Unguessable ids.

use rand::{Rng, distr::Alphanumeric};

/// Characters of an id: as many as n8n's runners use. 22 alphanumerics carry 130 bits of
/// randomness, more than a UUID.
const LENGTH: usize = 22;

/// Returns 22 random alphanumerics from a cryptographic generator.
pub(crate) fn random_id() -> String {
    rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()
}
