//! Settings of the pool.

use std::path::PathBuf;

/// Number of workers, and of concurrent tasks in each.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Worker processes, at least 1. Default: one per core.
    pub workers: usize,
    /// Tasks that one worker runs concurrently, at least 1; further ones wait in it. Default: 64.
    /// An idle worker prepares one instance more.
    pub slots: usize,
    /// Executable, started as `PROGRAM worker --slots N`. Default: the running one.
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
