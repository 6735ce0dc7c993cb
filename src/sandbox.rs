//! The glass: one engine, one Python image, and a fresh instance of it for every task, under limits.
//!
//! This room knows nothing of n8n: a [`Job`] is input bytes and limits, an [`Outcome`] is JSON or a named failure. What
//! the input means is the guest's business; who answers host calls is the caller's ([`HostCalls`]).

pub(crate) mod aside;
mod calls;
mod clock;
mod codegen;
mod engine;
mod flight;
mod host;
mod instance;
mod limits;
mod outcome;
mod pages;
mod random;
mod reply;
mod restore;
mod state;
mod wasi;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wasmtime::{InstancePre, PoolingAllocationConfig};

#[cfg(feature = "runner")]
pub(crate) use flight::{fitting, text, within};
pub use host::{Answer, HostCalls, METHOD_NOT_ALLOWED, NoHost, PendingAnswer};
pub(crate) use instance::{Fresh, Remains};
pub use limits::{Exceeded, FUEL_PER_SECOND, Limits, MAX_MEMORY};
pub use outcome::{End, Exception, Extras, ItemContext, Outcome, Usage};
pub(crate) use outcome::{Stop, Stopped};
use pages::SinglePages;
use restore::Pristine;

/// Which Python image is in this executable: 16 hexadecimal digits that change whenever anything in the image does, and
/// with it the fuel that code burns. Amounts of fuel can be compared only where this is the same.
pub const IMAGE_VERSION: &str = env!("SERPENTARIUM_IMAGE_VERSION");

/// One task to run: what it reads on standard input, and what it may use.
#[derive(Debug, Clone)]
pub struct Job {
    /// The settings JSON; [`TaskSettings::to_input`](crate::protocol::TaskSettings::to_input) makes it.
    pub input: Bytes,
    /// What the task may use.
    pub limits: Limits,
    /// Run with a clock that only passes when it is read or slept, and with all randomness drawn from this seed: the same
    /// input then burns exactly the same fuel, everywhere.
    pub deterministic: Option<u64>,
}

/// How a [`Sandbox`] is built.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Tasks that run or wait at the same time; further ones queue. Each slot reserves 4 GiB of address space, and no
    /// memory. Default 64, at most 16,384.
    pub slots: usize,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { slots: 64 }
    }
}

/// Why a sandbox cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The CPU is older than the native code in this executable expects.
    #[error("this CPU lacks {missing}: this build of serpentarium needs {baseline} or newer")]
    Cpu {
        /// The name of the CPU level.
        baseline: &'static str,
        /// The missing features.
        missing: String,
    },
    /// The engine refused its configuration, or there is not enough address space for the slots.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(#[source] wasmtime::Error),
    /// The Python image does not fit the engine: the executable was built wrongly.
    #[error("cannot load the Python image: {0:#}")]
    Image(#[source] wasmtime::Error),
}

/// Runs Python tasks, each in a fresh instance of the image. Build one and share it: it is cheap to clone.
///
/// Must be used within a tokio runtime that has timers enabled. A task runs on the thread that polls it, and lets others
/// run every few milliseconds.
#[derive(Clone)]
pub struct Sandbox {
    image: InstancePre<state::State>,
    slots: Arc<Semaphore>,
    /// Of the pool's slots, where what they have mapped stays: with a pool, and with `PAGEMAP_SCAN`.
    kept: Option<Arc<Kept>>,
}

/// What is done with memory of the pool that stays with its slot.
pub(crate) struct Kept {
    pages: SinglePages,
    pristine: Pristine,
}

impl Sandbox {
    /// Builds the engine and maps the image: a few milliseconds, nothing is compiled. A process needs only one; each further
    /// one has a copy of the image, of 44 MB.
    ///
    /// # Errors
    /// The CPU is too old, or address space is short.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let image = engine::load(&config)?;
        // Without it, all that a slot has mapped goes with each task, and would come back one page at a time.
        let kept = if PoolingAllocationConfig::is_pagemap_scan_available() {
            let pages = SinglePages::new();
            // In two attempts, as in `fresh`.
            let pristine = Pristine::new(&image, &pages).or_else(|_| Pristine::new(&image, &pages));
            Some(Arc::new(Kept { pages, pristine: pristine.map_err(SandboxError::Engine)? }))
        } else {
            None
        };
        Ok(Self { image, slots: Arc::new(Semaphore::new(config.slots)), kept })
    }

    /// As [`new`](Self::new), with address space that is mapped for each task and given back after it, instead of slots
    /// that are kept, and with a copy of the image of its own. A fresh instance costs several times as much; the same code
    /// still burns the same fuel, which is what this is for: to show that.
    ///
    /// # Errors
    /// The CPU is too old.
    pub fn without_pool(config: SandboxConfig) -> Result<Self, SandboxError> {
        let image = engine::load_without_pool()?;
        Ok(Self { image, slots: Arc::new(Semaphore::new(config.slots)), kept: None })
    }

    /// Runs one job to its end; how it ended is in the outcome. Waits for a free slot first. Dropping the future stops
    /// the task at once and frees all that it held.
    pub async fn run(&self, job: Job, host: Arc<dyn HostCalls>) -> Outcome {
        let (stopped, remains) = self.run_in(None, job, host).await;
        // They go before the outcome is handed out: a task that has ended holds nothing any more.
        drop(remains);
        stopped.outcome().await
    }

    /// An instance for a job that is yet to come. `None` where there is no free slot, or no memory for it.
    #[cfg(any(feature = "runner", test))]
    pub(crate) async fn prepare(&self) -> Option<Fresh> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        Fresh::new(&self.image, self.kept.clone(), slot).await.ok()
    }

    /// As [`run`](Self::run), in an instance that was prepared if there is one, for a caller that hands the output on instead
    /// of reading it, and drops what is left when there is time.
    pub(crate) async fn run_in(
        &self,
        fresh: Option<Fresh>,
        job: Job,
        host: Arc<dyn HostCalls>,
    ) -> (Stopped, Option<Remains>) {
        if job.input.len() as u64 > job.limits.input {
            return (Stopped::at_once(Stop::Exceeded(Exceeded::Input(job.limits.input))), None);
        }
        let fresh = match fresh {
            Some(fresh) => Ok(fresh),
            None => self.fresh().await,
        };
        match fresh {
            Ok(fresh) => {
                let (stopped, remains) = fresh.run(job, host).await;
                (stopped, Some(remains))
            }
            Err(error) => (
                Stopped::at_once(Stop::Broken(format!("no instance can be made: {error:#}"))),
                None,
            ),
        }
    }

    /// Makes an instance, in two attempts: the kernel may refuse to seal the memory of the image, as wasmtime does for the
    /// first instance, while it moves one of its pages. (On a busy machine it did so in 2 of some 2,000 starts.)
    async fn fresh(&self) -> wasmtime::Result<Fresh> {
        match self.attempt().await {
            Ok(fresh) => Ok(fresh),
            Err(_) => self.attempt().await,
        }
    }

    /// Waits for a free slot.
    async fn attempt(&self) -> wasmtime::Result<Fresh> {
        let slot = self.slots.clone().acquire_owned().await?;
        Fresh::new(&self.image, self.kept.clone(), slot).await
    }

    /// What the image imports, as `module name` pairs: the whole surface between guest and host.
    pub fn imports(&self) -> Vec<(String, String)> {
        self.image
            .module()
            .imports()
            .map(|import| (import.module().to_owned(), import.name().to_owned()))
            .collect()
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("free_slots", &self.slots.available_permits())
            .finish_non_exhaustive()
    }
}
