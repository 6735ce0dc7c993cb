//! Starts CPython once and keeps what it looks like then.

use std::time::Duration;

use wasmparser::ValType;
use wasmtime::{Config, Engine, Instance, Linker, Module, Result, Store, Val, error::Context};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder,
    p1::{self, WasiP1Ctx},
    p2::pipe::{MemoryInputPipe, MemoryOutputPipe},
};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

/// What CPython may print while it starts, in bytes.
const OUTPUT: usize = 1 << 20;

/// Runs `wizer-initialize` and returns the module with its memory and globals as they are afterwards.
pub fn take(module: &[u8], guest: Vec<u8>) -> Result<Vec<u8>> {
    let mut config = Config::new();
    config.max_wasm_stack(8 << 20).async_stack_size(9 << 20);
    let engine = Engine::new(&config)?;
    let output = MemoryOutputPipe::new(OUTPUT);
    let wasi = WasiCtxBuilder::new()
        .stdin(MemoryInputPipe::new(guest))
        .stdout(output.clone())
        .stderr(output.clone())
        .wall_clock(Fixed)
        .monotonic_clock(Fixed)
        .secure_random(Deterministic::new((1..=64).collect()))
        .build_p1();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let result = runtime.block_on(async {
        let mut store = Store::new(&engine, wasi);
        let wizer = Wizer::new();
        let (context, instrumented) = wizer.instrument(module)?;
        let module = Module::new(&engine, &instrumented)?;
        let instance = linker(&engine, &module)?.instantiate_async(&mut store, &module).await?;
        for start in ["_initialize", "wizer-initialize"] {
            if let Ok(function) = instance.get_typed_func::<(), ()>(&mut store, start) {
                function.call_async(&mut store, ()).await.with_context(|| format!("{start} trapped"))?;
            }
        }
        Ok(wizer.snapshot(&context, &mut State { store, instance }).await?)
    });
    let printed = output.contents();
    if !printed.is_empty() {
        eprintln!("{}", String::from_utf8_lossy(&printed));
    }
    result
}

/// WASI, and host calls that fail: nothing may call out of the snapshot.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<WasiP1Ctx>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |wasi| wasi)?;
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

impl HostMonotonicClock for Fixed {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        1_000_000_000
    }
}

/// What wizer reads from the started instance.
struct State {
    store: Store<WasiP1Ctx>,
    instance: Instance,
}

impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("wizer exports every global");
        match global.get(&mut self.store) {
            Val::I32(x) => SnapshotVal::I32(x),
            Val::I64(x) => SnapshotVal::I64(x),
            Val::F32(x) => SnapshotVal::F32(x),
            Val::F64(x) => SnapshotVal::F64(x),
            Val::V128(x) => SnapshotVal::V128(x.as_u128()),
            other => unreachable!("a global of C code is a number, not {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("wizer exports every memory");
        contents(memory.data(&self.store));
    }
}
