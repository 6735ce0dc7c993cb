//! One task in one fresh instance: make it, run it under its limits, name its end, clear it away.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Instant,
};

use rustix::mm::{Advice, madvise};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{InstancePre, Memory, Store, Trap, TypedFunc};

use super::{
    Exceeded, HostCalls, Job, Kept, Limits, MAX_MEMORY, Usage,
    outcome::{Stop, Stopped},
    state::{State, YIELD_INTERVAL},
    wasi,
};

/// Bytes of input from which on a task is a large one.
const LARGE_INPUT: usize = 1 << 20;

/// Bytes that the memory of a task grows for each byte of input, at least: the input, what it says, and the reply.
const GROWTH: usize = 8;

/// An instance that nothing has run in yet, and its place among those that there may be at once.
pub(crate) struct Fresh {
    store: Instance,
    entry: TypedFunc<(), i32>,
    slot: OwnedSemaphorePermit,
}

/// What a task leaves behind: an instance whose memory is reset, and whose place is free again, when this is dropped.
pub(crate) struct Remains {
    _store: Instance,
    _slot: OwnedSemaphorePermit,
}

#[cfg(test)]
impl Fresh {
    /// The memory that nothing has run in yet.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.store.memory.expect("an instance has memory").data_mut(&mut self.store.store)
    }
}

#[cfg(test)]
impl Remains {
    /// The memory as the task left it.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self._store.memory.expect("an instance has memory").data_mut(&mut self._store.store)
    }
}

/// An instance with all that belongs to it. Its memory is put right when this is dropped, however far it came.
struct Instance {
    store: Store<State>,
    memory: Option<Memory>,
    kept: Option<Arc<Kept>>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let (Some(kept), Some(memory)) = (&self.kept, self.memory) {
            kept.pristine.restore(memory.data_mut(&mut self.store));
        }
    }
}

impl Deref for Instance {
    type Target = Store<State>;

    fn deref(&self) -> &Store<State> {
        &self.store
    }
}

impl DerefMut for Instance {
    fn deref_mut(&mut self) -> &mut Store<State> {
        &mut self.store
    }
}

impl Fresh {
    /// Makes an instance in a place that is free.
    pub(crate) async fn new(
        image: &InstancePre<State>,
        kept: Option<Arc<Kept>>,
        slot: OwnedSemaphorePermit,
    ) -> wasmtime::Result<Self> {
        let mut store = Store::new(image.module().engine(), State::idle());
        store.limiter(|state| &mut state.growth);
        let instance = image.instantiate_async(&mut store).await?;
        let memory = instance.get_memory(&mut store, "memory");
        if let (Some(memory), Some(kept)) = (memory, &kept) {
            kept.pages.add(memory.data(&store));
        }
        store.data_mut().memory = memory;
        let entry = instance.get_typed_func::<(), i32>(&mut store, "run_task")?;
        Ok(Self { store: Instance { store, memory, kept }, entry, slot })
    }

    /// Runs a job, the only one. Dropping the future stops it.
    pub(crate) async fn run(self, job: Job, host: Arc<dyn HostCalls>) -> (Stopped, Remains) {
        let started = Instant::now();
        let limits = job.limits.clone();
        // Dropped from the last to the first: the instance goes before its place is free.
        let Self { slot, mut store, entry } = self;
        store.data_mut().assign(job, host);
        let result =
            match tokio::time::timeout(limits.time, execute(&mut store, &entry, &limits)).await {
                Ok(result) => result,
                Err(_elapsed) => Err(Exceeded::Time(limits.time).into()),
            };
        let left = store.get_fuel().unwrap_or(0).saturating_sub(store.data().owed);
        // What is burnt after the last look at the fuel stops nothing by itself, and counts all the same.
        let ran_out = left == 0;
        let fuel = limits.fuel.saturating_sub(left);
        let state = store.data_mut();
        let stderr = String::from_utf8_lossy(&state.stderr).into_owned();
        let memory = state.growth.peak;
        let stdout = std::mem::take(&mut state.stdout);
        let stop = match result {
            Ok(_) if ran_out => Stop::Exceeded(Exceeded::Fuel(limits.fuel)),
            Ok(0) => Stop::Output,
            Ok(code) => failed(state, format!("the guest's entry point returned {code}")),
            Err(error) => stopped(state, &error),
        };
        // Calls that it began are stopped with it, and not when it is cleared away.
        state.end();
        let stopped = Stopped {
            stop,
            stdout,
            usage: Usage { fuel, memory, duration: started.elapsed() },
            stderr,
        };
        (stopped, Remains { _store: store, _slot: slot })
    }
}

async fn execute(
    store: &mut Store<State>,
    entry: &TypedFunc<(), i32>,
    limits: &Limits,
) -> wasmtime::Result<i32> {
    store.set_fuel(limits.fuel)?;
    // The instance was made before its task, and so its limit, was known.
    if store.data().growth.peak > limits.memory {
        return Err(Exceeded::Memory(limits.memory).into());
    }
    store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
    let _growth = match (store.data().memory, store.data().input.len()) {
        (Some(memory), LARGE_INPUT..) => Some(InLargePages::new(memory, store)),
        _ => None,
    };
    entry.call_async(store, ()).await
}

/// Where the memory of a task with large input is going to grow. What is read and made then is written for the first time, at
/// the price of a page fault for each page: so the kernel is asked for large ones, for as long as this lives. A small task
/// would have a whole one cleared for the little that it needs.
struct InLargePages {
    address: usize,
    length: usize,
}

impl InLargePages {
    fn new(memory: Memory, store: &Store<State>) -> Self {
        let begin = memory.data_size(store);
        let end = (begin + GROWTH * store.data().input.len()).min(MAX_MEMORY as usize);
        let this = Self {
            address: memory.data_ptr(store).addr() + begin,
            length: end.saturating_sub(begin),
        };
        this.advise(Advice::LinuxHugepage);
        this
    }

    /// A kernel without large pages refuses, which does no harm.
    fn advise(&self, advice: Advice) {
        // SAFETY: the memory's own reservation reaches up to `MAX_MEMORY`, and outlives this within `execute`; the advice changes
        // nothing of what it holds.
        let _refused =
            unsafe { madvise(std::ptr::without_provenance_mut(self.address), self.length, advice) };
    }
}

impl Drop for InLargePages {
    fn drop(&mut self) {
        self.advise(Advice::LinuxNoHugepage);
    }
}

/// Names the end of a task that was stopped from outside, or that trapped.
fn stopped(state: &State, error: &wasmtime::Error) -> Stop {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Stop::Exceeded(*exceeded);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Stop::Exceeded(Exceeded::Fuel(state.limits.fuel)),
        Some(Trap::StackOverflow) => Stop::Broken(
            "the guest ran out of stack: its data or calls are nested too deeply".into(),
        ),
        Some(trap) => failed(state, format!("the guest trapped: {trap}")),
        None => match error.downcast_ref::<wasi::Exit>() {
            Some(exit) => Stop::Broken(exit.to_string()),
            None => failed(state, format!("the guest was stopped: {}", error.root_cause())),
        },
    }
}

/// The end of a guest that broke: for want of memory if it was ever denied some, for the given reason otherwise.
fn failed(state: &State, reason: String) -> Stop {
    if state.growth.denied {
        Stop::Exceeded(Exceeded::Memory(state.limits.memory))
    } else {
        Stop::Broken(reason)
    }
}
