//! A pool of worker processes, each running tasks in a sandbox of its own.

use std::{future::Future, sync::Arc};

use crate::sandbox::{HostCalls, Job, Outcome};

/// How many workers, and how many tasks at once in each.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Worker processes; one for each core by default.
    pub workers: usize,
    /// Tasks that one worker holds at once.
    pub slots: usize,
}

/// The pool. Dropping it ends the workers.
#[derive(Debug, Clone)]
pub struct Pool {}

/// Why the pool could not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// A worker process could not be started.
    #[error("cannot start a worker process: {0}")]
    Spawn(#[from] std::io::Error),
}

impl Pool {
    /// Starts the workers. Must be called within a tokio runtime; returns before the workers are ready, jobs wait.
    ///
    /// # Errors
    /// A worker process could not be started.
    pub fn start(_config: PoolConfig) -> Result<Self, WorkersError> {
        Ok(Self {})
    }

    /// Runs a job on the worker with the fewest. Dropping the future stops the task.
    pub fn run(&self, _job: Job, _host: Arc<dyn HostCalls>) -> impl Future<Output = Outcome> + Send + 'static {
        async { todo!("the pool lands before this is used") }
    }
}
