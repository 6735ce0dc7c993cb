//! Divides the runner's file descriptors: strangers at the health endpoint must not take those that
//! workers and the broker connection need to come back.

use crate::net::descriptors;

/// Descriptors of a worker: its socket, its process (`pidfd_open(2)`), its standard error.
#[cfg(feature = "cli")]
const PER_WORKER: usize = 3;
/// Descriptors that must stay free beside those of workers and health connections. The broker takes
/// two: the token request overlaps with the WebSocket. The start of a worker takes four for a
/// moment, and a look-up of the broker's name as many at the same time.
const RESERVED: usize = 8;
/// Health connections at most. A probe takes milliseconds; more connections are strangers'.
const MAX_HEALTH_CONNECTIONS: usize = 32;
/// Health connections at least: one that ends, and one that takes its place.
const MIN_HEALTH_CONNECTIONS: usize = 2;

/// Checks before the start of the workers that the process may open enough descriptors.
///
/// # Errors
/// The limit is too low.
#[cfg(feature = "cli")]
pub(crate) fn require(workers: usize, health: bool) -> Result<(), descriptors::TooFewDescriptors> {
    let listener = if health { 1 + MIN_HEALTH_CONNECTIONS } else { 0 };
    descriptors::require(workers * PER_WORKER + listener + RESERVED)
}

/// Returns the number of health connections, once the workers run and the endpoint listens.
pub(crate) fn health_connections() -> usize {
    let free = descriptors::free().saturating_sub(RESERVED);
    free.clamp(MIN_HEALTH_CONNECTIONS, MAX_HEALTH_CONNECTIONS)
}
