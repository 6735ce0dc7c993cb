//! The wasmtime engine and the Python image: built once for a process, shared by all its tasks.

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

use super::{
    calls,
    codegen::{self, target::HOST},
    error::SandboxError,
    image::{self, ImageFile, ImageInfo},
    limits::MAX_MEMORY,
    state::GuestState,
    wasi,
};
use crate::platform::memory::{Access, page_size, protect};

/// The version of the Python image in this executable: 16 hexadecimal digits. See
/// [`ImageInfo::version`].
pub const IMAGE_VERSION: &str = env!("SERPENTARIUM_IMAGE_VERSION");

/// Bytes of a finished instance's memory that are reset in place instead of unmapped, where the
/// kernel has `PAGEMAP_SCAN` (Linux 6.7). A trivial task writes 0.4 MiB. Copying much more costs
/// more than the saved page faults.
pub(crate) const KEEP_RESIDENT: usize = 4 << 20;

/// Function table entries of the image, at most. CPython takes the address of about 11,000
/// functions.
const TABLE_ELEMENTS: usize = 32_768;

/// Bytes of wasmtime's own data for one instance (globals, functions, …), at most. The pool
/// reserves them.
const INSTANCE_SIZE: usize = 8 << 20;

/// The Python image, compiled ahead of time, inside the executable file: the kernel maps its pages
/// on demand and shares them between processes.
static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/python.cwasm")));

/// True once an engine of this process runs [`IMAGE`] in place. wasmtime registers code by its
/// address, so every further engine needs a copy.
static IN_PLACE: AtomicBool = AtomicBool::new(false);

/// Aligns native code to a page, for page sizes up to 64 KiB: `mprotect(2)` acts on whole pages. The
/// formats of executables on macOS and Windows allow less, and pages there are no larger.
#[cfg_attr(target_os = "linux", repr(C, align(65536)))]
#[cfg_attr(target_os = "macos", repr(C, align(16384)))]
#[cfg_attr(windows, repr(C, align(4096)))]
struct Aligned<T: ?Sized>(T);

/// Checks the CPU, builds the engine and links the image: `file`, or the embedded one. `scans`: the
/// pool asks the kernel for the written pages.
pub(crate) fn load(
    slots: usize,
    scans: bool,
    file: Option<ImageFile>,
) -> Result<LinkedImage, SandboxError> {
    check_cpu()?;
    link(file, &engine(slots, scans).map_err(SandboxError::Engine)?, InPlace::Allowed)
}

/// Links an image for instances that map their own memory.
pub(crate) fn load_without_pool(file: Option<ImageFile>) -> Result<LinkedImage, SandboxError> {
    check_cpu()?;
    let engine = Engine::new(&codegen::config(HOST)).map_err(SandboxError::Engine)?;
    link(file, &engine, InPlace::Forbidden)
}

/// Loads the native code of any guest, without a manifest.
///
/// # Safety
/// wasmtime made the code: it runs without validation.
#[cfg(fuzzing)]
pub(crate) unsafe fn load_guest(code: &[u8]) -> Result<InstancePre<GuestState>, SandboxError> {
    check_cpu()?;
    let engine = Engine::new(&codegen::config(HOST)).map_err(SandboxError::Engine)?;
    // SAFETY: the caller promises it.
    let module = unsafe { Module::deserialize(&engine, code) }.map_err(SandboxError::Image)?;
    with_imports(&module)
}

/// An image that is ready to make instances, and what it says of itself.
#[derive(Clone)]
pub(crate) struct LinkedImage {
    pub(crate) instances: InstancePre<GuestState>,
    pub(crate) info: Arc<ImageInfo>,
}

/// Whether an engine may run the embedded image in place: it must make the code executable itself.
#[derive(PartialEq)]
enum InPlace {
    Allowed,
    Forbidden,
}

/// Returns native code and manifest of the image in this executable.
pub(crate) fn embedded_image() -> Option<(&'static [u8], ImageInfo)> {
    image::split(&IMAGE.0)
}

fn link(
    file: Option<ImageFile>,
    engine: &Engine,
    in_place: InPlace,
) -> Result<LinkedImage, SandboxError> {
    let (module, info) = match file {
        Some(ImageFile { file, info }) => {
            // SAFETY: nobody but root and this user can write to the file (`ImageFile::open`). They
            // can change this executable as well.
            let module = unsafe { Module::deserialize_open_file(engine, file) };
            (module, info)
        }
        None => {
            let (code, info) = embedded_image()
                .ok_or_else(|| SandboxError::Image(wasmtime::Error::msg("it has no manifest")))?;
            // SAFETY: the bytes are a constant of this executable, made by `wasm/compiler` in the
            // same build. They are never written, and live as long as the process.
            let module = unsafe {
                if in_place == InPlace::Forbidden || IN_PLACE.swap(true, Ordering::Relaxed) {
                    Module::deserialize(engine, code)
                } else {
                    Module::deserialize_raw(engine, NonNull::from(code))
                }
            };
            (module, info)
        }
    };
    let instances = with_imports(&module.map_err(SandboxError::Image)?)?;
    Ok(LinkedImage { instances, info: Arc::new(info) })
}

fn with_imports(module: &Module) -> Result<InstancePre<GuestState>, SandboxError> {
    let mut linker = Linker::new(module.engine());
    wasi::add_to_linker(&mut linker).map_err(SandboxError::Image)?;
    calls::add_to_linker(&mut linker).map_err(SandboxError::Image)?;
    linker.instantiate_pre(module).map_err(SandboxError::Image)
}

fn engine(slots: usize, scans: bool) -> wasmtime::Result<Engine> {
    // One more for `MemoryReset`, in which nothing ever runs.
    let slots = u32::try_from(slots)?.saturating_add(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_core_instance_size(INSTANCE_SIZE)
        .table_elements(TABLE_ELEMENTS)
        // The store enforces a task's own limit; a slot must fit the largest one.
        .max_memory_size(usize::try_from(MAX_MEMORY)?);
    if scans {
        // Keep no function table resident: `restore` cannot reset them, and one instance must never
        // call through an entry that another left.
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEEP_RESIDENT);
    }
    let mut config = codegen::config(HOST);
    config
        .with_custom_code_memory(Some(Arc::new(InExecutable)))
        // A page of a file costs more to map than one of a memory file: 0.15 ms instead of 0.11 ms for
        // a trivial task on an image file (`cargo bench --bench fresh_task -- --image FILE`).
        .force_memory_init_memfd(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Makes the image's code executable in place, inside the mapping of this executable or of the image's file.
struct InExecutable;

impl CustomCodeMemory for InExecutable {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: the range is the code section of an image: whole pages that hold nothing else and
        // are never written.
        Ok(unsafe { protect(ptr, len, Access::Execute) }?)
    }

    fn unpublish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: as above. wasmtime calls this when no code of the range runs any more.
        Ok(unsafe { protect(ptr, len, Access::Read) }?)
    }
}

/// Refuses a CPU that lacks a feature of the target's level: native code would die with `SIGILL` on
/// it.
fn check_cpu() -> Result<(), SandboxError> {
    let missing: Vec<&str> =
        HOST.features.iter().copied().filter(|feature| !has(feature)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(SandboxError::Cpu { baseline: HOST.level, missing: missing.join(", ") })
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
    fn the_check_knows_every_feature_of_the_baseline() {
        assert!(check_cpu().is_ok(), "the tests need a CPU with the baseline");
        assert!(!has("no-such-feature"));
    }
}
