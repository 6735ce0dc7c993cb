//! The settings that the native code of the Python image depends on.
//!
//! Two programs need exactly the same ones: `wasm/compiler`, which makes the native code, and this crate, which runs it.
//! wasmtime refuses code that was compiled under other settings, so they live in this one file, which both include.

use wasmtime::Config;

/// The CPU that x86-64 code is compiled for: the level "x86-64-v2", which every 64-bit server, desktop and small board
/// since about 2011 has. Names as `/proc/cpuinfo` gives them.
#[cfg(target_arch = "x86_64")]
pub(super) const BASELINE: &[&str] = &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"];

/// The CPU that 64-bit Arm code is compiled for: plain Armv8.0.
#[cfg(target_arch = "aarch64")]
pub const BASELINE: &[&str] = &[];

/// Native stack that guest code may use, in bytes. With 4 MiB deep recursion in C code (a nested literal, a
/// chain of `__repr__`) may trap before CPython's own recursion limit turns it into a `RecursionError`.
const WASM_STACK: usize = 8 << 20;

/// The engine configuration, but for what only the running side has (instance pool, code memory).
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + (512 << 10))
        // The image's heap is one dense block: always map it copy-on-write, never copy it segment by segment.
        .memory_guaranteed_dense_image_size(1 << 30)
        .memory_init_cow(true)
        // Nothing outside core WebAssembly as CPython uses it.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}
