//! One task in one instance: instantiate, run under limits, name the end, reset.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Instant,
};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{InstancePre, Memory, Store, Trap, TypedFunc};

use super::{
    abi::{ENTRY_EXPORT, MEMORY_EXPORT},
    host::HostCalls,
    job::Job,
    limits::{Exceeded, Limits, MAX_MEMORY},
    outcome::Usage,
    raw_outcome::{Exit, RawOutcome},
    restore::PoolMemory,
    state::{GuestState, YIELD_INTERVAL},
    turns::Turns,
    wasi,
};
use crate::platform::memory::advise_huge_pages;

/// Bytes of input from which a task's memory grows in huge pages. A smaller task would have the
/// kernel clear 2 MiB for the few KiB that it needs.
const LARGE_INPUT: usize = 1 << 20;

/// Bytes that linear memory grows for each byte of input: the text, the values parsed from it, and
/// the reply (measured on n8n items; at least this many).
const GROWTH_PER_INPUT_BYTE: usize = 8;

/// Bytes that a task has added to the memory of its image, from which the instance is reset on
/// another thread: 10 ms for each 100 MiB, and other guests would wait. The memory of the image does
/// not count: a task writes to few of its pages, and large images would reset small tasks slowly.
const LARGE_GROWTH: usize = 24 << 20;

/// An instance in which nothing has run yet.
pub(crate) struct ReadyInstance {
    store: Instance,
    entry: TypedFunc<(), i32>,
}

/// An instance whose task has ended. Dropping it resets its memory and frees its slot.
pub(crate) struct FinishedInstance {
    _store: Instance,
}

#[cfg(test)]
impl ReadyInstance {
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.store.0.as_mut().expect(HELD).memory()
    }
}

#[cfg(test)]
impl FinishedInstance {
    /// Returns the memory as the task left it.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self._store.0.as_mut().expect(HELD).memory()
    }
}

/// Why an [`Instance`] has its parts.
const HELD: &str = "only the drop takes the parts of an instance";

/// A store with its one instance. Dropping it resets its memory, even if the task never finished.
struct Instance(Option<InstanceParts>);

/// The parts of an [`Instance`]. Fields drop in order: the instance must be gone before its slot is
/// free.
struct InstanceParts {
    store: Store<GuestState>,
    memory: Option<Memory>,
    /// Bytes of the memory before the task.
    initial_size: usize,
    pool: Option<Arc<PoolMemory>>,
    _slot: OwnedSemaphorePermit,
}

#[cfg(test)]
impl InstanceParts {
    fn memory(&mut self) -> &mut [u8] {
        self.memory.expect("an instance has memory").data_mut(&mut self.store)
    }
}

impl Drop for InstanceParts {
    fn drop(&mut self) {
        if let (Some(pool), Some(memory)) = (&self.pool, self.memory) {
            pool.restore(memory.data_mut(&mut self.store));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(parts) = self.0.take() else { return };
        let size = parts.memory.map_or(0, |memory| memory.data_size(&parts.store));
        if size < parts.initial_size + LARGE_GROWTH {
            return;
        }
        // Outside a runtime, or while it shuts down, the parts are dropped here.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(parts)));
        }
    }
}

impl Deref for Instance {
    type Target = Store<GuestState>;

    fn deref(&self) -> &Store<GuestState> {
        &self.0.as_ref().expect(HELD).store
    }
}

impl DerefMut for Instance {
    fn deref_mut(&mut self) -> &mut Store<GuestState> {
        &mut self.0.as_mut().expect(HELD).store
    }
}

impl ReadyInstance {
    pub(crate) async fn new(
        image: &InstancePre<GuestState>,
        pool: Option<Arc<PoolMemory>>,
        slot: OwnedSemaphorePermit,
    ) -> wasmtime::Result<Self> {
        let mut store = Store::new(image.module().engine(), GuestState::idle());
        store.limiter(|state| &mut state.limiter);
        // Where memory cannot be mapped from the image, start-up code of the module copies it.
        store.set_fuel(Limits::MAX_FUEL)?;
        let instance = image.instantiate_async(&mut store).await?;
        let memory = instance.get_memory(&mut store, MEMORY_EXPORT);
        if let (Some(memory), Some(pool)) = (memory, &pool) {
            pool.add(memory.data(&store));
        }
        let initial_size = memory.map_or(0, |memory| memory.data_size(&store));
        store.data_mut().memory = memory;
        let entry = instance.get_typed_func::<(), i32>(&mut store, ENTRY_EXPORT)?;
        let parts = InstanceParts { store, memory, initial_size, pool, _slot: slot };
        Ok(Self { store: Instance(Some(parts)), entry })
    }

    /// Runs the instance's only job. Dropping the future stops it.
    pub(crate) async fn run(
        self,
        job: Job,
        host: Arc<dyn HostCalls>,
        turns: &Turns,
    ) -> (RawOutcome, FinishedInstance) {
        let started = Instant::now();
        let limits = job.limits.clone();
        let Self { mut store, entry } = self;
        store.data_mut().assign(job, host);
        let guest = turns.take(execute(&mut store, &entry, &limits));
        // The timer is outside the turns: the limit holds for a guest that waits for its turn, too.
        let result = match tokio::time::timeout(limits.time, guest).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Exceeded::Time(limits.time).into()),
        };
        let left = store.get_fuel().unwrap_or(0).saturating_sub(store.data().owed);
        // wasmtime checks fuel at branches only, so a guest can return with none left.
        let ran_out = left == 0;
        let fuel = limits.fuel.saturating_sub(left);
        let state = store.data_mut();
        state.flush_stderr();
        let stderr = String::from_utf8_lossy(&state.stderr).into_owned();
        let memory = state.limiter.peak;
        let stdout = std::mem::take(&mut state.stdout);
        let exit = match result {
            Ok(_) if ran_out => Exit::Exceeded(Exceeded::Fuel(limits.fuel)),
            Ok(0) => Exit::Output,
            Ok(code) => broken(state, format!("the guest's entry point returned {code}")),
            Err(error) => stopped(state, &error),
        };
        // Pending calls end here, and not when the instance is dropped later.
        state.end();
        let usage = Usage { fuel, memory, duration: started.elapsed() };
        let outcome = RawOutcome { exit, stdout, usage, stderr };
        (outcome, FinishedInstance { _store: store })
    }
}

async fn execute(
    store: &mut Store<GuestState>,
    entry: &TypedFunc<(), i32>,
    limits: &Limits,
) -> wasmtime::Result<i32> {
    store.set_fuel(limits.fuel)?;
    // The instance was made before its task, and so its limit, was known.
    if store.data().limiter.peak > limits.memory {
        return Err(Exceeded::Memory(limits.memory).into());
    }
    store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
    let _growth = match (store.data().memory, store.data().input.len()) {
        (Some(memory), LARGE_INPUT..) => Some(HugePageGrowth::new(memory, store)),
        _ => None,
    };
    entry.call_async(store, ()).await
}

/// Advises huge pages for the address range into which a large task's memory will grow, while this
/// value lives. The task writes most of that range for the first time, and each first write to a
/// page costs a page fault.
struct HugePageGrowth {
    address: usize,
    length: usize,
}

impl HugePageGrowth {
    fn new(memory: Memory, store: &Store<GuestState>) -> Self {
        let begin = memory.data_size(store);
        let growth = GROWTH_PER_INPUT_BYTE * store.data().input.len();
        let end = (begin + growth).min(MAX_MEMORY as usize);
        let this = Self {
            address: memory.data_ptr(store).addr() + begin,
            length: end.saturating_sub(begin),
        };
        this.advise(true);
        this
    }

    fn advise(&self, huge: bool) {
        let address = std::ptr::without_provenance_mut(self.address);
        // SAFETY: the slot's reservation reaches to `MAX_MEMORY` and outlives this value.
        unsafe { advise_huge_pages(address, self.length, huge) };
    }
}

impl Drop for HugePageGrowth {
    fn drop(&mut self) {
        self.advise(false);
    }
}

/// Returns the exit of a task that trapped or that the host stopped.
fn stopped(state: &GuestState, error: &wasmtime::Error) -> Exit {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Exit::Exceeded(*exceeded);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Exit::Exceeded(Exceeded::Fuel(state.limits.fuel)),
        Some(Trap::StackOverflow) => Exit::Broken(
            "the guest ran out of stack: its data or calls are nested too deeply".into(),
        ),
        Some(trap) => broken(state, format!("the guest trapped: {trap}")),
        None => match error.downcast_ref::<wasi::ProcExit>() {
            Some(exit) => Exit::Broken(exit.to_string()),
            None => broken(state, format!("the guest was stopped: {}", error.root_cause())),
        },
    }
}

/// Returns the exit of a guest that broke. Denied memory, if any, counts as the cause.
fn broken(state: &GuestState, reason: String) -> Exit {
    if state.limiter.denied {
        Exit::Exceeded(Exceeded::Memory(state.limits.memory))
    } else {
        Exit::Broken(reason)
    }
}
