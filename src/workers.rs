//! A pool of worker processes, each running tasks in a sandbox of its own.
//!
//! The parent does I/O only; guests burn their fuel in the workers. One worker process for each core, one busy thread in
//! each: two threads of one process would fight over its address space at every fresh instance. The process is also a
//! second wall: a fault in the engine, or the machine's out-of-memory killer, takes one worker and its tasks, never the
//! connection to the broker.

mod child;
mod pipe;
mod pool;

use std::path::PathBuf;

pub use child::run as run_worker;
pub use pool::Pool;

use crate::sandbox::SandboxError;

/// How many workers, and how many tasks at once in each.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Worker processes, at least 1. Default: one for each core.
    pub workers: usize,
    /// Tasks that one worker holds at once, at least 1, and one more where it was idle; further ones wait in it. Default 64.
    pub slots: usize,
    /// The executable that is started as `PROGRAM worker --slots N`. Default: this one.
    pub program: PathBuf,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            slots: 64,
            program: "/proc/self/exe".into(),
        }
    }
}

/// Why workers cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// The process or its pipe failed.
    #[error("worker process: {0}")]
    Io(#[from] std::io::Error),
    /// The worker cannot build its sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
