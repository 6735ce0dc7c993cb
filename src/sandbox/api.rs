//! [`Sandbox`] and its builder: build the engine once, run each job in a fresh instance.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Semaphore;
use wasmtime::{InstancePre, PoolingAllocationConfig};

use super::{
    engine::{self, LinkedImage},
    error::SandboxError,
    host::HostCalls,
    image::{ImageFile, ImageInfo},
    instance::{FinishedInstance, ReadyInstance},
    job::Job,
    limits::Exceeded,
    outcome::Outcome,
    raw_outcome::{Exit, RawOutcome},
    restore::PoolMemory,
    state::GuestState,
    turns::Turns,
};

/// Slots of a sandbox that does not set them: far more than cores, because a task that waits for a
/// host call keeps its slot.
const DEFAULT_SLOTS: usize = 64;

/// Configures a [`Sandbox`]; see [`Sandbox::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SandboxBuilder {
    slots: usize,
    pooled: bool,
    /// Whether the pool may ask the kernel for the written pages (`PAGEMAP_SCAN`, Linux 6.7).
    scans: bool,
    image: Option<PathBuf>,
}

impl SandboxBuilder {
    /// Sets how many tasks run at the same time, waiting for host calls included; further ones
    /// queue. Each slot reserves 4 GiB of address space, and no memory. Default 64, at most 16,384;
    /// 0 counts as 1, because without a slot every task would queue forever.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// Sets whether instances come from a pool whose slots keep their address space. Default true.
    ///
    /// Without a pool each task maps its own address space, and a fresh instance costs several
    /// times as much. The fuel of a task stays the same; tests verify that with this setting.
    pub fn pooled(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// Sets the image: a file that `serpentarium image build` made. Default: the one in this
    /// executable.
    ///
    /// An image is native code, as trusted as an executable. [`build`](Self::build) refuses a file
    /// that others than root and the user of this process can write to.
    pub fn image(mut self, path: impl Into<PathBuf>) -> Self {
        self.image = Some(path.into());
        self
    }

    /// Behaves as on a kernel without `PAGEMAP_SCAN`.
    #[cfg(test)]
    pub(crate) fn without_pagemap_scan(mut self) -> Self {
        self.scans = false;
        self
    }

    /// Builds the engine and maps the image. Takes a few milliseconds, because the image is native
    /// code already.
    ///
    /// # Errors
    /// The CPU is too old, the address space is too small for the slots, or the image cannot be
    /// used ([`ImageError`](super::ImageError)).
    pub fn build(self) -> Result<Sandbox, SandboxError> {
        let Self { slots, pooled, scans, image } = self;
        let scans = pooled && scans && PoolingAllocationConfig::is_pagemap_scan_available();
        let file = image.as_deref().map(ImageFile::open).transpose()?;
        let LinkedImage { instances: image, info } = if pooled {
            engine::load(slots, scans, file)
        } else {
            engine::load_without_pool(file)
        }?;
        // Without a scan, wasmtime unmaps a slot's pages after each task.
        let pool = if scans {
            Some(Arc::new(PoolMemory::new(&image).map_err(SandboxError::Engine)?))
        } else {
            None
        };
        let slots = Arc::new(Semaphore::new(slots));
        Ok(Sandbox { image, info, slots, pool, turns: Turns::default() })
    }
}

/// Runs Python tasks, each in a fresh instance of the image.
///
/// Build one for a process and share it: cloning is cheap, and each further sandbox maps a copy of
/// the image (53 MB).
///
/// Needs a tokio runtime with timers. A task runs on the thread that polls it, and yields to other
/// tasks every few milliseconds.
///
/// ```
/// use serpentarium::sandbox::{NoHost, Program, Sandbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let sandbox = Sandbox::builder().slots(4).build()?;
/// let outcome = sandbox.run(Program::new("return 1 + 2"), NoHost).await;
/// assert_eq!(outcome.result?.value.get(), "3");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    image: InstancePre<GuestState>,
    info: Arc<ImageInfo>,
    slots: Arc<Semaphore>,
    /// Present if a slot's pages stay mapped after a task: with a pool, and with `PAGEMAP_SCAN`
    /// (Linux 6.7).
    pool: Option<Arc<PoolMemory>>,
    turns: Turns,
}

impl Sandbox {
    /// Creates a builder with the default settings.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder { slots: DEFAULT_SLOTS, pooled: true, scans: true, image: None }
    }

    /// Creates a sandbox without a pool that runs another guest than Python.
    #[cfg(fuzzing)]
    pub(crate) fn with_guest(image: InstancePre<GuestState>) -> Self {
        let info = Arc::default();
        let slots = Arc::new(Semaphore::new(1));
        Self { image, info, slots, pool: None, turns: Turns::default() }
    }

    /// Returns what the image says of itself.
    pub fn image(&self) -> &ImageInfo {
        &self.info
    }

    /// Runs one job to its end. Waits for a free slot first.
    ///
    /// Dropping the future stops the task at once and frees its memory.
    pub async fn run(&self, job: impl Into<Job>, host: impl HostCalls + 'static) -> Outcome {
        let job = job.into();
        let (limits, out) = (job.limits.clone(), job.out.clone());
        let (outcome, finished) = self.run_in(None, job, Arc::new(host)).await;
        // Reset the instance first: a task with an outcome must hold nothing.
        drop(finished);
        outcome.parse(&limits, out).await
    }

    /// Returns the imports of the image, as pairs of module and name: the whole interface between
    /// guest and host.
    pub fn imports(&self) -> Vec<(String, String)> {
        self.image
            .module()
            .imports()
            .map(|import| (import.module().to_owned(), import.name().to_owned()))
            .collect()
    }

    /// Makes an instance for a later job. `None` if no slot is free, or if memory
    /// is short.
    #[cfg(any(feature = "runner", test))]
    pub(crate) async fn prepare(&self) -> Option<ReadyInstance> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        ReadyInstance::new(&self.image, self.pool.clone(), slot).await.ok()
    }

    /// Runs a job as [`run`](Self::run) does, in `ready` if there is one. Leaves the reply
    /// unparsed, and the reset to the caller.
    pub(crate) async fn run_in(
        &self,
        ready: Option<ReadyInstance>,
        job: Job,
        host: Arc<dyn HostCalls>,
    ) -> (RawOutcome, Option<FinishedInstance>) {
        if job.input.len() as u64 > job.limits.input {
            let exit = Exit::Exceeded(Exceeded::Input(job.limits.input));
            return (RawOutcome::not_run(exit), None);
        }
        let ready = match ready {
            Some(ready) => Ok(ready),
            None => self.ready_instance().await,
        };
        match ready {
            Ok(ready) => {
                let (outcome, finished) = ready.run(job, host, &self.turns).await;
                (outcome, Some(finished))
            }
            Err(error) => {
                let exit = Exit::HostFault(format!("no instance can be made: {error:#}"));
                (RawOutcome::not_run(exit), None)
            }
        }
    }

    /// Makes an instance, in two attempts. For the first instance wasmtime seals the memory file of
    /// the image. The kernel refuses that (`EBUSY`) while it migrates one of the file's pages: 2 of
    /// 2,000 starts on a busy machine.
    async fn ready_instance(&self) -> wasmtime::Result<ReadyInstance> {
        match self.try_ready_instance().await {
            Ok(ready) => Ok(ready),
            Err(_) => self.try_ready_instance().await,
        }
    }

    /// Waits for a free slot.
    async fn try_ready_instance(&self) -> wasmtime::Result<ReadyInstance> {
        let slot = self.slots.clone().acquire_owned().await?;
        ReadyInstance::new(&self.image, self.pool.clone(), slot).await
    }

    #[cfg(test)]
    pub(crate) fn pool_memory(&self) -> Option<Arc<PoolMemory>> {
        self.pool.clone()
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("free_slots", &self.slots.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sandbox::{
        NoHost, Program,
        abi::{HOST_IMPORTS, HOST_MODULE, WASI_IMPORTS, WASI_MODULE},
    };

    #[tokio::test]
    async fn zero_slots_count_as_one() {
        let sandbox = Sandbox::builder().slots(0).build().unwrap();
        let run = sandbox.run(Program::new("return 1"), NoHost);
        let outcome = tokio::time::timeout(Duration::from_secs(10), run).await.unwrap();
        assert_eq!(outcome.result.unwrap().value.get(), "1");
    }

    #[test]
    fn the_image_imports_what_the_abi_lists() {
        let mut imports = Sandbox::builder().slots(1).build().unwrap().imports();
        imports.sort();
        let listed = [(HOST_MODULE, &HOST_IMPORTS[..]), (WASI_MODULE, &WASI_IMPORTS[..])];
        let listed: Vec<_> = listed
            .into_iter()
            .flat_map(|(module, names)| names.iter().map(move |name| (module, *name)))
            .map(|(module, name)| (module.to_owned(), name.to_owned()))
            .collect();
        assert_eq!(imports, listed);
    }
}
