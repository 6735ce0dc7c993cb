//! Starts CPython once and writes its state back into the module, with
//! [wizer](https://docs.rs/wasmtime-wizer).

use wasmparser::ValType;
use wasmtime::{Engine, Instance, Module, Result, Store, Val, error::Context};
use wasmtime_wasi::{p1::WasiP1Ctx, p2::pipe::MemoryOutputPipe};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

use crate::host;

/// Bytes that CPython may print while it starts; more would trap.
const OUTPUT: usize = 1 << 20;

/// Runs `wizer-initialize` and returns the module with the memory and globals that it leaves.
///
/// # Errors
/// An export traps. Standard error then has the interpreter's traceback.
pub fn take(module: &[u8], guest: Vec<u8>) -> Result<Vec<u8>> {
    let engine = Engine::new(&host::config())?;
    let output = MemoryOutputPipe::new(OUTPUT);
    let wasi = host::wasi(guest, &output);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let result = runtime.block_on(async {
        let mut store = Store::new(&engine, wasi);
        let wizer = Wizer::new();
        let (context, instrumented) = wizer.instrument(module)?;
        let module = Module::new(&engine, &instrumented)?;
        let instance =
            host::linker(&engine, &module)?.instantiate_async(&mut store, &module).await?;
        for start in ["_initialize", "wizer-initialize"] {
            if let Ok(function) = instance.get_typed_func::<(), ()>(&mut store, start) {
                function
                    .call_async(&mut store, ())
                    .await
                    .with_context(|| format!("{start} trapped"))?;
            }
        }
        wizer.snapshot(&context, &mut Started { store, instance }).await
    });
    let printed = output.contents();
    if !printed.is_empty() {
        eprintln!("{}", String::from_utf8_lossy(&printed));
    }
    result
}

/// The started instance, as wizer reads it.
struct Started {
    store: Store<WasiP1Ctx>,
    instance: Instance,
}

impl InstanceState for Started {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global =
            self.instance.get_global(&mut self.store, name).expect("wizer exports every global");
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
        let memory =
            self.instance.get_memory(&mut self.store, name).expect("wizer exports every memory");
        contents(memory.data(&self.store));
    }
}
