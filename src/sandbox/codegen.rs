//! The engine settings that the native code of the Python image depends on.
//!
//! `wasm/compiler`, which makes the native code, and this crate, which runs it, both include this
//! file. wasmtime refuses code that was compiled with other settings. The patches of the code
//! generator change none of them, so patched and stock code load alike.

use wasmtime::Config;

/// The target triple of the image: this machine's, without its CPU's extensions.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
pub(crate) const TARGET: &str = "aarch64-unknown-linux-gnu";

/// CPU features that x86-64 code requires: the level
/// [x86-64-v2](https://gitlab.com/x86-psABIs/x86-64-ABI), in CPUs since about 2011.
#[cfg(target_arch = "x86_64")]
pub(crate) const BASELINE: &[&str] = &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"];

/// CPU features that 64-bit Arm code requires: none beyond Armv8.0-A.
#[cfg(target_arch = "aarch64")]
pub const BASELINE: &[&str] = &[];

/// Native stack for guest code in bytes. With 4 MiB, deep recursion in C code (a nested literal, a
/// chain of `__repr__`) may trap before CPython's recursion limit raises `RecursionError`.
const WASM_STACK: usize = 8 << 20;

/// The shared engine configuration. The runtime adds its instance pool and code memory, which
/// compiled code does not depend on.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + (512 << 10))
        // The image's memory is one dense block: map it copy-on-write, never copy its segments.
        .memory_guaranteed_dense_image_size(1 << 30)
        .memory_init_cow(true)
        // 4 MB that nothing here reads: places in the module for the traces of traps, and tables for
        // native debuggers.
        .generate_address_map(false)
        .native_unwind_info(false)
        // Proposals that CPython does not use.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}
