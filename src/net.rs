//! Network helpers that the runner, the workers and the broker share.

#[cfg(feature = "runner")]
mod backlog;
pub(crate) mod descriptors;
pub(crate) mod server;
pub(crate) mod tls;

#[cfg(feature = "runner")]
pub(crate) use backlog::Backlog;
