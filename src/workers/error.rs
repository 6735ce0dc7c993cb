//! Errors of the pool and of a worker process.

use crate::sandbox::SandboxError;

/// Why workers cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The process or its pipe failed.
    #[error("worker process: {0}")]
    Io(#[from] std::io::Error),
    /// The worker cannot build its sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
