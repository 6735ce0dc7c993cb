//! Runs a module in this executable's code generator, on a fiber, as the sandbox does.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasmtime::{
    AsContextMut, Caller, Engine, Extern, ExternType, Func, Instance, Linker, Module, Ref, Result,
    Store, Trap, Val, ValType,
};

use crate::{
    generate::Mode,
    host::{self, Call},
    settings,
};

/// Fuel of one call. A module of [`Mode::Ending`] takes less: a few instructions that cost up to
/// 2^32 each, such as a refused growth of a table.
const ENOUGH: u64 = 1 << 45;
/// Fuel of one call of a module of [`Mode::OutOfFuel`].
const LITTLE: u64 = 20_000;
/// Fuel between two yields of a fiber.
const YIELD_INTERVAL: u64 = 500;
/// Exported functions that are called.
const FUNCTIONS: usize = 12;
/// Calls of each in one instance.
const CALLS: usize = 2;

/// The data of a store.
struct Host {
    module: Module,
    linker: Linker<Host>,
    depth: u32,
    /// Whether a trap ended a call. Fuel then differs: patched code lacks what open functions owe,
    /// and stock code loses more at a signal
    /// (https://github.com/bytecodealliance/wasmtime/issues/13802).
    trapped: bool,
    overflowed: bool,
}

/// The engine and the functions of the host.
pub struct Executor {
    engine: Engine,
    linker: Linker<Host>,
    runtime: tokio::runtime::Runtime,
}

impl Executor {
    pub fn new() -> Result<Self> {
        let engine = settings::engine()?;
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "mix", |x: i32| host::mix(x))?;
        linker.func_wrap("host", "mix64", |x: i64, y: f64| host::mix64(x, y))?;
        linker.func_wrap("host", "half", |x: f32| host::half(x))?;
        linker.func_wrap("host", "many", |a: i32, b: i64, c: f32, d: f64, e: i32, f: i64| {
            host::many((a, b, c, d, e, f))
        })?;
        linker
            .func_wrap("host", "grow", |mut caller: Caller<Host>, x: i32| grow(&mut caller, x))?;
        linker.func_wrap_async("host", "yield", |_, (): ()| Box::new(tokio::task::yield_now()))?;
        linker.func_wrap_async("host", "enter", |mut caller: Caller<Host>, (x,): (i32,)| {
            Box::new(async move { enter(&mut caller, x).await })
        })?;
        linker.func_wrap_async("host", "other", |caller: Caller<Host>, (x,): (i32,)| {
            Box::new(async move { other(&caller, x).await })
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { engine, linker, runtime })
    }

    /// Calls the exported functions of a module, each in an instance of its own.
    ///
    /// # Errors
    /// The module does not compile.
    pub fn run(&self, module: &[u8], mode: Mode) -> Result<Vec<Call>> {
        let module = Module::new(&self.engine, module)?;
        self.runtime.block_on(async {
            let mut calls = Vec::new();
            for (index, name) in functions(&module).into_iter().enumerate() {
                calls.extend(instance(&module, &self.linker, mode, index, &name).await?);
            }
            Ok(calls)
        })
    }
}

/// Returns the names of exported functions, in the order of the names: engines order exports
/// differently.
fn functions(module: &Module) -> Vec<String> {
    let is_function = |ty| matches!(ty, ExternType::Func(_));
    let exports = module.exports().filter(|export| is_function(export.ty()));
    let mut names: Vec<_> = exports.map(|export| export.name().to_owned()).collect();
    names.sort_unstable();
    names.truncate(FUNCTIONS);
    names
}

fn store(module: &Module, linker: &Linker<Host>, depth: u32, fuel: u64) -> Result<Store<Host>> {
    let host = Host {
        module: module.clone(),
        linker: linker.clone(),
        depth,
        trapped: false,
        overflowed: false,
    };
    let mut store = Store::new(module.engine(), host);
    store.set_fuel(fuel)?;
    store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
    Ok(store)
}

/// Calls one function of a new instance.
async fn instance(
    module: &Module,
    linker: &Linker<Host>,
    mode: Mode,
    index: usize,
    name: &str,
) -> Result<Vec<Call>> {
    let fuel = if mode == Mode::Ending { ENOUGH } else { LITTLE };
    let mut store = store(module, linker, 0, fuel)?;
    let instance = match linker.instantiate_async(&mut store, module).await {
        Ok(instance) => instance,
        // A segment is out of bounds, for which each engine has its own text.
        Err(error) => {
            trap(&mut store, &error);
            let outcome = "Not instantiated".to_owned();
            let (function, state) = (host::name(name), String::new());
            return Ok(vec![Call { function, outcome, state, fuel: None, overflowed: false }]);
        }
    };
    let Some(function) = instance.get_func(&mut store, name) else { return Ok(Vec::new()) };
    let mut random = ChaCha8Rng::seed_from_u64(index as u64);
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        store.set_fuel(fuel)?;
        let arguments = arguments(&mut store, &function, &mut random);
        let outcome = call(&mut store, &function, &arguments).await;
        let state = state(&mut store, instance);
        let fuel = store.get_fuel()?;
        let overflowed = store.data().overflowed;
        let fuel = (!store.data().trapped).then_some(fuel);
        calls.push(Call { function: host::name(name), outcome, state, fuel, overflowed });
    }
    Ok(calls)
}

async fn call(store: &mut Store<Host>, function: &Func, arguments: &[Val]) -> String {
    let mut results = vec![Val::I32(0); function.ty(&mut *store).results().len()];
    match function.call_async(&mut *store, arguments, &mut results).await {
        Ok(()) => results.iter().map(shown).collect::<Vec<_>>().join(" "),
        Err(error) => trap(store, &error),
    }
}

/// Returns the kind of a trap, and notes what it does to the fuel.
fn trap(mut store: impl AsContextMut<Data = Host>, error: &wasmtime::Error) -> String {
    let Some(trap) = error.downcast_ref::<Trap>() else { return format!("error {error}") };
    let mut context = store.as_context_mut();
    let host = context.data_mut();
    host.overflowed |= *trap == Trap::StackOverflow;
    host.trapped |= *trap != Trap::OutOfFuel;
    format!("{trap:?}")
}

fn arguments(
    store: impl AsContextMut<Data = Host>,
    function: &Func,
    random: &mut ChaCha8Rng,
) -> Vec<Val> {
    let number = |random: &mut ChaCha8Rng| host::number(random.next_u64());
    let argument = |ty: ValType| match ty {
        ValType::I32 => Val::I32(number(random) as i32),
        ValType::I64 => Val::I64(number(random)),
        ValType::F32 => Val::F32((number(random) as f32).to_bits()),
        ValType::F64 => Val::F64((number(random) as f64).to_bits()),
        ValType::V128 => {
            let low = u128::from(number(random).cast_unsigned());
            Val::V128((u128::from(number(random).cast_unsigned()) << 64 | low).into())
        }
        ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
    };
    function.ty(store).params().map(argument).collect()
}

/// Formats a value; of a reference, only whether it is null.
fn shown(value: &Val) -> String {
    match value {
        Val::I32(x) => format!("i32 {x}"),
        Val::I64(x) => format!("i64 {x}"),
        Val::F32(bits) => format!("f32 {bits:08x}"),
        Val::F64(bits) => format!("f64 {bits:016x}"),
        Val::V128(x) => format!("v128 {:032x}", x.as_u128()),
        other => match other.ref_() {
            Some(Ref::Func(Some(_)) | Ref::Extern(Some(_))) => "ref".into(),
            _ => "null".into(),
        },
    }
}

/// Returns the memory's size and hash, and the exported globals.
fn state(store: &mut Store<Host>, instance: Instance) -> String {
    let exports: Vec<_> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let shown = exports.into_iter().filter_map(|(name, export)| {
        let text = match export {
            Extern::Memory(memory) => host::memory(memory.data(&*store)),
            Extern::Global(global) => shown(&global.get(&mut *store)),
            Extern::Table(table) => format!("{} entries", table.size(&*store)),
            _ => return None,
        };
        Some((name, text))
    });
    host::state(shown.collect())
}

/// Grows the memory from a call of the host.
fn grow(caller: &mut Caller<Host>, x: i32) -> i32 {
    let memory = caller.data().module.exports().find_map(|export| {
        matches!(export.ty(), ExternType::Memory(_)).then(|| export.name().to_owned())
    });
    let memory = memory.and_then(|name| caller.get_export(&name)).and_then(Extern::into_memory);
    match memory.map(|memory| memory.grow(caller, u64::from(host::pages(x)))) {
        Some(Ok(pages)) => pages as i32,
        _ => -1,
    }
}

/// Calls an exported function of the same instance, with zeros. Returns whether it trapped.
async fn enter(caller: &mut Caller<'_, Host>, x: i32) -> i32 {
    let names = functions(&caller.data().module);
    if caller.data().depth >= host::DEEPEST || names.is_empty() {
        return -1;
    }
    let name = &names[x.unsigned_abs() as usize % names.len()];
    let Some(Extern::Func(function)) = caller.get_export(name) else { return -1 };
    let ty = function.ty(&mut *caller);
    let zeros: Vec<Val> =
        ty.params().map(|ty| Val::default_for_ty(&ty)).map(Option::unwrap).collect();
    let mut results = vec![Val::I32(0); ty.results().len()];
    caller.data_mut().depth += 1;
    let called = function.call_async(&mut *caller, &zeros, &mut results).await;
    caller.data_mut().depth -= 1;
    match called {
        Ok(()) => 0,
        Err(error) => {
            trap(&mut *caller, &error);
            1
        }
    }
}

/// Runs a function of another instance, in a store of its own. Nothing of it may be visible here.
async fn other(caller: &Caller<'_, Host>, x: i32) {
    let Host { module, linker, depth, .. } = caller.data();
    let names = functions(module);
    if *depth >= host::DEEPEST || names.is_empty() {
        return;
    }
    let Ok(mut store) = store(module, linker, host::DEEPEST, LITTLE) else { return };
    let Ok(instance) = linker.instantiate_async(&mut store, module).await else { return };
    let name = &names[x.unsigned_abs() as usize % names.len()];
    if let Some(function) = instance.get_func(&mut store, name) {
        let arguments = arguments(&mut store, &function, &mut ChaCha8Rng::seed_from_u64(0));
        call(&mut store, &function, &arguments).await;
    }
}
