//! Network helpers that the runner, the workers and the broker share.

mod backlog;
pub(crate) mod tls;

pub(crate) use backlog::Backlog;
