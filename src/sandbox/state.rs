//! What belongs to one running task: its input and output, its clock, its counters.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Caller, Memory, ResourceLimiter};

use super::{
    Exceeded, HostCalls, Job, Limits, NoHost, clock::Clock, flight::Flight, random::Random,
};

/// The store's data.
pub(crate) struct State {
    pub limits: Limits,
    pub host: Arc<dyn HostCalls>,
    pub clock: Clock,
    pub random: Random,
    /// What is left of standard input.
    pub input: Bytes,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The guest's memory; set right after instantiation.
    pub memory: Option<Memory>,
    pub growth: Growth,
    /// Host calls so far.
    pub calls: u32,
    /// Bytes told so far.
    pub told: u64,
    /// Calls that the guest began and has not fetched the answer of.
    pub flight: Flight,
    /// The answer that was handed out last, until the guest takes it.
    pub answer: Option<String>,
    /// Fuel that the guest owes for work of the host; see [`charge`].
    pub owed: u64,
}

impl State {
    /// Of an instance that has no task yet.
    pub(crate) fn idle() -> Self {
        Self::new(
            Job { input: Bytes::new(), limits: Limits::default(), deterministic: None },
            Arc::new(NoHost),
        )
    }

    /// The beginning of a task in an instance that is there.
    pub(crate) fn assign(&mut self, job: Job, host: Arc<dyn HostCalls>) {
        let (memory, peak) = (self.memory, self.growth.peak);
        *self = Self::new(job, host);
        self.memory = memory;
        self.growth.peak = peak;
    }

    /// The end of the task: stops the calls that it began, and lets go of all that it held outside of its memory.
    pub(crate) fn end(&mut self) {
        *self = Self::idle();
    }

    fn new(job: Job, host: Arc<dyn HostCalls>) -> Self {
        Self {
            growth: Growth { limit: job.limits.memory, ..Growth::default() },
            limits: job.limits,
            host,
            clock: Clock::new(job.deterministic.is_some()),
            random: Random::new(job.deterministic),
            input: job.input,
            stdout: Vec::new(),
            stderr: Vec::new(),
            memory: None,
            calls: 0,
            told: 0,
            flight: Flight::default(),
            answer: None,
            owed: 0,
        }
    }

    /// Appends to standard output, within its limit. The bytes are the first of so many that are there to be written.
    pub(crate) fn write_stdout(&mut self, bytes: &[u8], all: usize) -> Result<(), Exceeded> {
        let room = self.limits.output.saturating_sub(self.stdout.len() as u64);
        if bytes.len() as u64 > room {
            return Err(Exceeded::Output(self.limits.output));
        }
        self.stdout.reserve(all.min(usize::try_from(room).unwrap_or(usize::MAX)));
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends to standard error what fits.
    pub(crate) fn write_stderr(&mut self, bytes: &[u8]) {
        let room = self.limits.stderr.saturating_sub(self.stderr.len() as u64);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.stderr.extend_from_slice(&bytes[..fits]);
    }
}

/// Grants and counts memory.
#[derive(Default)]
pub(crate) struct Growth {
    limit: u64,
    /// The largest size granted so far, in bytes.
    pub peak: u64,
    /// Whether the guest needed more than its limit. Python then raises `MemoryError` where it can.
    pub denied: bool,
    /// Whether the last request was refused. The guest's heap asks for a large step first, and where that is refused for
    /// what it needs (`wasm/heap.c`): only the second refusal in a row is one of need.
    refused: bool,
}

impl ResourceLimiter for Growth {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.limit {
            self.denied |= self.refused;
            self.refused = true;
            return Ok(false);
        }
        self.refused = false;
        self.peak = desired;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// A pointer or length from the guest that does not lie within its memory.
#[derive(Debug, thiserror::Error)]
#[error("the guest passed an address outside its memory")]
pub(crate) struct BadAddress;

/// The part of the guest's memory at `ptr`, and the state beside it.
pub(crate) fn memory<'a>(
    caller: &'a mut Caller<'_, State>,
    ptr: u32,
    len: u32,
) -> Result<(&'a mut [u8], &'a mut State), BadAddress> {
    let memory = caller.data().memory.ok_or(BadAddress)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let start = ptr as usize;
    let range = start..start.checked_add(len as usize).ok_or(BadAddress)?;
    Ok((bytes.get_mut(range).ok_or(BadAddress)?, state))
}

/// Fuel that the guest has burnt so far, with what it owes.
pub(crate) fn burnt(caller: &Caller<'_, State>) -> wasmtime::Result<u64> {
    let left = caller.get_fuel()?.saturating_sub(caller.data().owed);
    Ok(caller.data().limits.fuel.saturating_sub(left))
}

/// Fuel after which a running guest lets others run: about a millisecond.
pub(crate) const YIELD_INTERVAL: u64 = 5_000_000;

/// Makes the guest pay for work that the host does for it, and lets others run when that has become much.
///
/// What is owed is not taken from the store's fuel at once: that would begin its yield interval anew, and a guest that
/// calls the host all the time would never be interrupted.
pub(crate) async fn charge(caller: &mut Caller<'_, State>, units: u64) -> wasmtime::Result<()> {
    let owed = caller.data().owed.saturating_add(units);
    caller.data_mut().owed = owed;
    let left = caller.get_fuel()?.checked_sub(owed).ok_or(wasmtime::Trap::OutOfFuel)?;
    if owed >= YIELD_INTERVAL {
        caller.set_fuel(left)?;
        caller.data_mut().owed = 0;
        tokio::task::yield_now().await;
    }
    Ok(())
}
