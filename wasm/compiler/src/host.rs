//! The deterministic host of the snapshot and the training: equal inputs give equal images.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use wasmtime::{Config, Engine, Linker, Module, Result};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder,
    p1::{self, WasiP1Ctx},
    p2::pipe::{MemoryInputPipe, MemoryOutputPipe},
};

/// Native stack of the interpreter in bytes, as in `WASM_STACK` of the runtime.
const STACK: usize = 8 << 20;

/// The engine configuration of the snapshot and the training.
pub fn config() -> Config {
    let mut config = Config::new();
    config.max_wasm_stack(STACK).async_stack_size(STACK + (1 << 20));
    // Copies memory instead of mapping a sealed memfd: sealing fails at times on a busy machine
    // (EBUSY, fcntl(2), F_SEAL_WRITE), and only few instances are made.
    config.memory_init_cow(false);
    config
}

/// WASI with `input` as standard input. Standard output and standard error share `output`.
pub fn wasi(input: Vec<u8>, output: &MemoryOutputPipe) -> WasiP1Ctx {
    WasiCtxBuilder::new()
        .stdin(MemoryInputPipe::new(input))
        .stdout(output.clone())
        .stderr(output.clone())
        .wall_clock(Fixed)
        .monotonic_clock(Steps::default())
        .secure_random(Deterministic::new((1..=64).collect()))
        .build_p1()
}

/// Links WASI, notifications that are discarded, and host calls that trap.
pub fn linker(engine: &Engine, module: &Module) -> Result<Linker<WasiP1Ctx>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |wasi| wasi)?;
    linker.func_wrap("host", "notify", |_: i32, _: i32, _: i32, _: i32| {})?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// A wall clock that stands still: the image must not depend on the time of its build.
struct Fixed;

impl HostWallClock for Fixed {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

/// A monotonic clock that advances with each read, so that a loop that waits for time ends.
#[derive(Default)]
struct Steps(AtomicU64);

impl HostMonotonicClock for Steps {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        1_000_000_000 + self.0.fetch_add(self.resolution(), Ordering::Relaxed)
    }
}
