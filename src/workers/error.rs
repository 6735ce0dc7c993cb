//! Errors of the pool and of a worker process.

use std::time::Duration;

use crate::sandbox::SandboxError;

/// Why workers cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The process or its pipe failed.
    #[error("worker process: {0}")]
    Io(#[from] std::io::Error),
    /// The lockdown is required, and the operating system does not grant these parts of it.
    #[error("the lockdown is required (SERPENTARIUM_LOCKDOWN), and these parts are missing: {0}")]
    Lockdown(String),
    /// Not all workers were set up in time. The log has the reason.
    #[error("{ready} of {workers} workers were set up within {} s", .within.as_secs())]
    NotReady {
        /// Workers that were set up.
        ready: usize,
        /// Workers of the pool.
        workers: usize,
        /// The time for which the pool waited.
        within: Duration,
    },
    /// The worker cannot build its sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
