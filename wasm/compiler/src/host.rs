//! What the interpreter finds outside while the image is made: always the same.

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

/// Native stack of the interpreter, in bytes.
const STACK: usize = 8 << 20;

/// An engine's settings, where code runs only to make the image.
pub fn config() -> Config {
    let mut config = Config::new();
    config.max_wasm_stack(STACK).async_stack_size(STACK + (1 << 20));
    // A copy for each of the few instances, and no file in memory to map: to seal one fails now and then on a busy machine.
    config.memory_init_cow(false);
    config
}

/// WASI with this input, and both outputs in one.
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

/// WASI, messages that nobody hears, and host calls that fail.
pub fn linker(engine: &Engine, module: &Module) -> Result<Linker<WasiP1Ctx>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |wasi| wasi)?;
    linker.func_wrap("host", "notify", |_: i32, _: i32, _: i32, _: i32| {})?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// A clock that stands still: the image must not depend on when it was made.
struct Fixed;

impl HostWallClock for Fixed {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

/// A clock that goes on when it is looked at: who waits for it must not wait for ever.
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
