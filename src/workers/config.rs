//! Settings of the pool.

use std::path::PathBuf;

use super::lockdown::Lockdown;
use crate::platform::process::own_program;

/// Number of workers, of concurrent tasks in each, and how the system locks them in.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Worker processes, at least 1. Default: one per core.
    pub workers: usize,
    /// Tasks that one worker runs concurrently, at least 1; further ones wait in it. Default: 64.
    /// An idle worker prepares one instance more.
    pub slots: usize,
    /// Executable, started as `PROGRAM worker --slots N --lockdown MODE`, with `--image PATH` if there
    /// is an image. Default: the running one.
    pub program: PathBuf,
    /// How much the operating system must lock the workers in. Default: as much as it can.
    pub lockdown: Lockdown,
    /// The image; see [`SandboxBuilder::image`](crate::sandbox::SandboxBuilder::image). Default: the
    /// one in the executable.
    pub image: Option<PathBuf>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            slots: 64,
            program: own_program(),
            lockdown: Lockdown::default(),
            image: None,
        }
    }
}
