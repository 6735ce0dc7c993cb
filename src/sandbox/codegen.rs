//! The engine settings that the native code of the Python image depends on.
//!
//! `wasm/compiler`, which makes the native code, and this crate, which runs it, both include this
//! file. wasmtime refuses code that was compiled with other settings. The patches of the code
//! generator change none of them, so patched and stock code load alike.

#[path = "target.rs"]
pub(crate) mod target;

use target::Target;
use wasmtime::Config;

/// Native stack for guest code in bytes. With 4 MiB, deep recursion in C code (a nested literal, a
/// chain of `__repr__`) may trap before CPython's recursion limit raises `RecursionError`.
const WASM_STACK: usize = 8 << 20;

/// The shared engine configuration for a target. The runtime adds its instance pool and code memory,
/// which compiled code does not depend on.
pub(crate) fn config(target: &Target) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + (512 << 10))
        // The image's memory is one dense block: map it copy-on-write, never copy its segments.
        .memory_guaranteed_dense_image_size(1 << 30)
        .memory_init_cow(true)
        // 4 MB that nothing here reads: places in the module for the traces of traps, and tables for
        // native debuggers. Windows itself unwinds by these tables.
        .generate_address_map(false)
        .native_unwind_info(target.os == "windows")
        // Proposals that CPython does not use.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}
