//! The data of an instance's store: the task's input and output, its clock, its counters.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Caller, Memory, ResourceLimiter};

use super::{
    clock::Clock,
    host::{HostCalls, NoHost},
    job::Job,
    limits::{Exceeded, Limits},
    pending::PendingCalls,
    random::Random,
    turns::yield_now,
};

/// The store's data.
pub(crate) struct GuestState {
    pub limits: Limits,
    pub host: Arc<dyn HostCalls>,
    pub clock: Clock,
    pub random: Random,
    /// Standard input that the guest has not read.
    pub input: Bytes,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Bytes of `stderr` that the host has; see [`HostCalls::stderr`].
    pub shown: usize,
    /// The guest's memory; set after instantiation.
    pub memory: Option<Memory>,
    pub limiter: MemoryLimiter,
    /// Host calls so far.
    pub calls: u32,
    /// Bytes of notifications so far.
    pub notified: u64,
    pub pending: PendingCalls,
    /// The answer whose length the guest has, until the guest takes it.
    pub answer: Option<String>,
    /// Fuel that the guest owes for the host's work; see [`charge`].
    pub owed: u64,
}

impl GuestState {
    /// Returns the state of an instance without a task.
    pub(crate) fn idle() -> Self {
        Self::new(Job::new(Bytes::new(), Limits::default()), Arc::new(NoHost))
    }

    /// Begins a task in an existing instance.
    pub(crate) fn assign(&mut self, job: Job, host: Arc<dyn HostCalls>) {
        let (memory, peak) = (self.memory, self.limiter.peak);
        *self = Self::new(job, host);
        self.memory = memory;
        self.limiter.peak = peak;
    }

    /// Ends the task: cancels its pending calls and frees its buffers outside linear memory.
    pub(crate) fn end(&mut self) {
        *self = Self::idle();
    }

    fn new(job: Job, host: Arc<dyn HostCalls>) -> Self {
        Self {
            limiter: MemoryLimiter { limit: job.limits.memory, ..MemoryLimiter::default() },
            limits: job.limits,
            host,
            clock: Clock::new(job.seed.is_some()),
            random: Random::new(job.seed),
            input: job.input,
            stdout: Vec::new(),
            stderr: Vec::new(),
            shown: 0,
            memory: None,
            calls: 0,
            notified: 0,
            pending: PendingCalls::default(),
            answer: None,
            owed: 0,
        }
    }

    /// Appends to standard output. `bytes` is a prefix of `all` bytes that the guest is about to
    /// write. Reserves capacity for all of them, so that a growing reply is not copied.
    ///
    /// # Errors
    /// The output exceeds [`Limits::output`].
    pub(crate) fn write_stdout(&mut self, bytes: &[u8], all: usize) -> Result<(), Exceeded> {
        let room = self.limits.output.saturating_sub(self.stdout.len() as u64);
        if bytes.len() as u64 > room {
            return Err(Exceeded::Output(self.limits.output));
        }
        self.stdout.reserve(all.min(usize::try_from(room).unwrap_or(usize::MAX)));
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends to standard error, and drops the excess over [`Limits::stderr`]. Gives complete lines
    /// to the host.
    pub(crate) fn write_stderr(&mut self, bytes: &[u8]) {
        let room = self.limits.stderr.saturating_sub(self.stderr.len() as u64);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let before = self.stderr.len();
        self.stderr.extend_from_slice(&bytes[..fits]);
        if let Some(last) = bytes[..fits].iter().rposition(|byte| *byte == b'\n') {
            self.show_stderr(before + last + 1);
        }
    }

    /// Gives the host a last line without an end.
    pub(crate) fn flush_stderr(&mut self) {
        self.show_stderr(self.stderr.len());
    }

    fn show_stderr(&mut self, end: usize) {
        if self.shown < end {
            self.host.stderr(&self.stderr[self.shown..end]);
            self.shown = end;
        }
    }
}

/// Enforces [`Limits::memory`].
#[derive(Default)]
pub(crate) struct MemoryLimiter {
    limit: u64,
    /// The largest size so far, in bytes.
    pub peak: u64,
    /// True if the guest needed more than its limit. Python then raises `MemoryError` where it can.
    pub denied: bool,
    /// True if the last request was refused. The guest's heap asks for a large step first, and then
    /// for only the bytes that it needs (`wasm/heap.c`). So only the second refusal in a row means
    /// that memory is short.
    refused: bool,
}

impl ResourceLimiter for MemoryLimiter {
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

/// A pointer or length from the guest is outside its memory.
#[derive(Debug, thiserror::Error)]
#[error("the guest passed an address outside its memory")]
pub(crate) struct BadAddress;

/// Returns `len` bytes of the guest's memory at `ptr`, and the state.
pub(crate) fn memory<'a>(
    caller: &'a mut Caller<'_, GuestState>,
    ptr: u32,
    len: u32,
) -> Result<(&'a mut [u8], &'a mut GuestState), BadAddress> {
    let memory = caller.data().memory.ok_or(BadAddress)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let start = ptr as usize;
    let range = start..start.checked_add(len as usize).ok_or(BadAddress)?;
    Ok((bytes.get_mut(range).ok_or(BadAddress)?, state))
}

/// Returns the units of fuel that the guest has consumed so far, including its debt.
pub(crate) fn consumed(caller: &Caller<'_, GuestState>) -> wasmtime::Result<u64> {
    let left = caller.get_fuel()?.saturating_sub(caller.data().owed);
    Ok(caller.data().limits.fuel.saturating_sub(left))
}

/// Units of fuel after which a running guest yields to the runtime: less than a millisecond. A
/// longer interval delays cancellation and the other tasks of the thread.
pub(crate) const YIELD_INTERVAL: u64 = 5_000_000;

/// Charges the guest for work that the host does for it, and yields once it owes [`YIELD_INTERVAL`]
/// units.
///
/// Collects the units in `owed` first. Setting the store's fuel restarts its yield interval, so a
/// guest that calls the host all the time would never yield.
pub(crate) async fn charge(
    caller: &mut Caller<'_, GuestState>,
    units: u64,
) -> wasmtime::Result<()> {
    let owed = caller.data().owed.saturating_add(units);
    caller.data_mut().owed = owed;
    let left = caller.get_fuel()?.checked_sub(owed).ok_or(wasmtime::Trap::OutOfFuel)?;
    if owed >= YIELD_INTERVAL {
        caller.set_fuel(left)?;
        caller.data_mut().owed = 0;
        yield_now().await;
    }
    Ok(())
}
