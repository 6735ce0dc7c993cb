//! The engine and the image: built once for a process, shared by all its tasks.

use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use wasmtime::{
    CustomCodeMemory, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig,
};

use super::{MAX_MEMORY, SandboxConfig, SandboxError, calls, codegen, state::State, wasi};

/// Bytes of a finished instance's memory that are rewritten in place rather than given back to the kernel, where the
/// kernel can tell which pages were written (`PAGEMAP_SCAN`, Linux 6.7). A trivial task writes 0.4 MiB.
pub(crate) const KEEP_RESIDENT: usize = 4 << 20;

/// Function table entries that the image may have; CPython has about 11,000 functions whose address is taken.
const TABLE_ELEMENTS: usize = 32_768;

/// Bytes of an instance's own bookkeeping (its globals, functions, …).
const INSTANCE_SIZE: usize = 8 << 20;

/// The Python image, compiled ahead of time, as a part of the executable file: its pages are mapped from there, shared
/// between processes, and read only when they are needed.
static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/python.cwasm")));

/// Whether an engine of this process has run the image where it lies. wasmtime keeps a list of all code by its address, so
/// that another one, which may live at the same time, runs a copy.
static IN_PLACE: AtomicBool = AtomicBool::new(false);

/// Native code must start on a page of its own, whatever the page size.
#[repr(C, align(65536))]
struct Aligned<T: ?Sized>(T);

/// The baseline's name, for people.
#[cfg(target_arch = "x86_64")]
const BASELINE_NAME: &str = "x86-64-v2";

/// The baseline's name, for people.
#[cfg(target_arch = "aarch64")]
const BASELINE_NAME: &str = "armv8-a";

/// Checks the CPU, builds the engine and links the image.
pub(crate) fn load(config: &SandboxConfig) -> Result<InstancePre<State>, SandboxError> {
    check_cpu()?;
    let engine = engine(config).map_err(SandboxError::Engine)?;
    let module = if IN_PLACE.swap(true, Ordering::Relaxed) {
        // SAFETY: as below.
        unsafe { Module::deserialize(&engine, &IMAGE.0) }
    } else {
        // SAFETY: the bytes are a constant of this executable, made by `wasm/compiler` in the same build; nothing writes to
        // them, and they live as long as the process.
        unsafe { Module::deserialize_raw(&engine, NonNull::from(&IMAGE.0)) }
    };
    link(&module.map_err(SandboxError::Image)?)
}

/// As [`load`], with a copy of the image, and with instances that are mapped when they are made.
pub(crate) fn load_without_pool() -> Result<InstancePre<State>, SandboxError> {
    check_cpu()?;
    let engine = Engine::new(&codegen::config()).map_err(SandboxError::Engine)?;
    // SAFETY: as above.
    let module = unsafe { Module::deserialize(&engine, &IMAGE.0) }.map_err(SandboxError::Image)?;
    link(&module)
}

fn link(module: &Module) -> Result<InstancePre<State>, SandboxError> {
    let mut linker = Linker::new(module.engine());
    wasi::add_to_linker(&mut linker).map_err(SandboxError::Image)?;
    calls::add_to_linker(&mut linker).map_err(SandboxError::Image)?;
    linker.instantiate_pre(module).map_err(SandboxError::Image)
}

fn engine(sandbox: &SandboxConfig) -> wasmtime::Result<Engine> {
    // One more, in which nothing ever runs.
    let slots = u32::try_from(sandbox.slots)?.saturating_add(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_core_instance_size(INSTANCE_SIZE)
        .table_elements(TABLE_ELEMENTS)
        // The limit of a task is the store's business; the slot is as large as any task may ask for.
        .max_memory_size(usize::try_from(MAX_MEMORY)?);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // The function table goes back to the kernel: `restore` cannot reach it, and what one instance left there must never be
        // called by the next one.
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEEP_RESIDENT);
    }
    let mut config = codegen::config();
    config
        .with_custom_code_memory(Some(Arc::new(InExecutable)))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Makes the image's code executable where it lies, within this executable's own mapping.
struct InExecutable;

impl CustomCodeMemory for InExecutable {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        use rustix::mm::{MprotectFlags, mprotect};
        // SAFETY: the range is the code section of `IMAGE`: whole pages that hold nothing else and that nobody writes to.
        Ok(unsafe {
            mprotect(ptr.cast_mut().cast(), len, MprotectFlags::READ | MprotectFlags::EXEC)
        }?)
    }

    fn unpublish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        use rustix::mm::{MprotectFlags, mprotect};
        // SAFETY: as above; wasmtime calls this when no code of the range runs any more.
        Ok(unsafe { mprotect(ptr.cast_mut().cast(), len, MprotectFlags::READ) }?)
    }
}

/// Refuses a CPU that lacks a feature that the native code uses.
fn check_cpu() -> Result<(), SandboxError> {
    let missing: Vec<&str> =
        codegen::BASELINE.iter().copied().filter(|feature| !has(feature)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(SandboxError::Cpu { baseline: BASELINE_NAME, missing: missing.join(", ") })
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    match feature {
        "sse3" => is_x86_feature_detected!("sse3"),
        "ssse3" => is_x86_feature_detected!("ssse3"),
        "sse4.1" => is_x86_feature_detected!("sse4.1"),
        "sse4.2" => is_x86_feature_detected!("sse4.2"),
        "popcnt" => is_x86_feature_detected!("popcnt"),
        _ => false,
    }
}

#[cfg(target_arch = "aarch64")]
fn has(_feature: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_the_baseline_is_one_that_the_check_knows() {
        assert!(check_cpu().is_ok(), "the machine that runs the tests has the baseline");
        assert!(!has("a feature that nobody has"));
    }
}
