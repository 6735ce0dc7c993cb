//! Runs a module in the interpreter wasmi, whose results are those of neither code generator.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasmi::{
    AsContextMut, Caller, Config, Engine, Error, Extern, ExternType, Func, Instance, Linker,
    Module, Nullable, Store, TrapCode, V128, Val, ValType,
};

use crate::host::{self, Call};

/// Exported functions that are called, and calls of each: as in execute.rs.
const FUNCTIONS: usize = 12;
const CALLS: usize = 2;

struct Host {
    functions: Vec<String>,
    memory: Option<String>,
    depth: u32,
    overflowed: bool,
}

pub struct Interpreter {
    engine: Engine,
    linker: Linker<Host>,
}

impl Interpreter {
    pub fn new() -> wasmtime::Result<Self> {
        let mut config = Config::default();
        config.wasm_relaxed_simd(false).wasm_memory64(false).wasm_multi_memory(false);
        config.set_max_recursion_depth(100_000).set_max_stack_height(64 << 20);
        let engine = Engine::new(&config);
        let linker = linker(&engine).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        Ok(Self { engine, linker })
    }

    /// Calls the exported functions of a module, as `execute` does. `None`: wasmi refuses the
    /// module.
    pub fn run(&self, module: &[u8]) -> Option<Vec<Call>> {
        let module = Module::new(&self.engine, module).ok()?;
        let exports = |wanted: fn(&ExternType) -> bool| {
            module
                .exports()
                .filter(move |export| wanted(export.ty()))
                .map(|export| export.name().to_owned())
        };
        let mut functions: Vec<_> = exports(|ty| matches!(ty, ExternType::Func(_))).collect();
        functions.sort_unstable();
        functions.truncate(FUNCTIONS);
        let memory = exports(|ty| matches!(ty, ExternType::Memory(_))).next();
        let mut calls = Vec::new();
        for (index, name) in functions.iter().enumerate() {
            let host = Host {
                functions: functions.clone(),
                memory: memory.clone(),
                depth: 0,
                overflowed: false,
            };
            calls.extend(self.instance(Store::new(&self.engine, host), &module, index, name));
        }
        Some(calls)
    }

    fn instance(
        &self,
        mut store: Store<Host>,
        module: &Module,
        index: usize,
        name: &str,
    ) -> Vec<Call> {
        let instance = match self.linker.instantiate_and_start(&mut store, module) {
            Ok(instance) => instance,
            Err(error) => {
                trap(&mut store, &error);
                let outcome = "Not instantiated".to_owned();
                let (function, state) = (host::name(name), String::new());
                return vec![Call { function, outcome, state, fuel: None, overflowed: false }];
            }
        };
        let Some(function) = instance.get_func(&store, name) else { return Vec::new() };
        let mut random = ChaCha8Rng::seed_from_u64(index as u64);
        let mut call = || {
            let ty = function.ty(&store);
            let arguments: Vec<_> =
                ty.params().iter().map(|ty| argument(*ty, &mut random)).collect();
            let mut results: Vec<_> =
                ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
            let outcome = match function.call(&mut store, &arguments, &mut results) {
                Ok(()) => results.iter().map(shown).collect::<Vec<_>>().join(" "),
                Err(error) => trap(&mut store, &error),
            };
            let (function, state) = (host::name(name), state(&store, instance));
            Call { function, outcome, state, fuel: None, overflowed: store.data().overflowed }
        };
        (0..CALLS).map(|_| call()).collect()
    }
}

fn linker(engine: &Engine) -> Result<Linker<Host>, Error> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("host", "mix", |x: i32| host::mix(x))?
        .func_wrap("host", "mix64", |x: i64, y: f64| host::mix64(x, y))?
        .func_wrap("host", "half", |x: f32| host::half(x))?
        .func_wrap("host", "many", |a: i32, b: i64, c: f32, d: f64, e: i32, f: i64| {
            host::many((a, b, c, d, e, f))
        })?
        .func_wrap("host", "grow", grow)?
        .func_wrap("host", "yield", || ())?
        .func_wrap("host", "enter", enter)?
        .func_wrap("host", "other", |_: i32| ())?;
    Ok(linker)
}

fn trap(mut store: impl AsContextMut<Data = Host>, error: &Error) -> String {
    let Some(trap) = error.as_trap_code() else { return format!("error {error}") };
    store.as_context_mut().data_mut().overflowed |= trap == TrapCode::StackOverflow;
    format!("{trap:?}")
}

fn argument(ty: ValType, random: &mut ChaCha8Rng) -> Val {
    let mut number = || host::number(random.next_u64());
    match ty {
        ValType::I32 => Val::I32(number() as i32),
        ValType::I64 => Val::I64(number()),
        ValType::F32 => Val::F32((number() as f32).into()),
        ValType::F64 => Val::F64((number() as f64).into()),
        ValType::V128 => {
            let low = u128::from(number().cast_unsigned());
            Val::V128(V128::from(u128::from(number().cast_unsigned()) << 64 | low))
        }
        ValType::FuncRef | ValType::ExternRef => Val::default_for_ty(ty),
    }
}

fn shown(value: &Val) -> String {
    match value {
        Val::I32(x) => format!("i32 {x}"),
        Val::I64(x) => format!("i64 {x}"),
        Val::F32(x) => format!("f32 {:08x}", x.to_bits()),
        Val::F64(x) => format!("f64 {:016x}", x.to_bits()),
        Val::V128(x) => format!("v128 {:032x}", x.as_u128()),
        Val::FuncRef(Nullable::Null) | Val::ExternRef(Nullable::Null) => "null".into(),
        Val::FuncRef(_) | Val::ExternRef(_) => "ref".into(),
    }
}

fn state(store: &Store<Host>, instance: Instance) -> String {
    let shown = instance.exports(store).filter_map(|export| {
        let name = export.name().to_owned();
        let text = match export.into_extern() {
            Extern::Memory(memory) => host::memory(memory.data(store)),
            Extern::Global(global) => shown(&global.get(store)),
            Extern::Table(table) => format!("{} entries", table.size(store)),
            Extern::Func(_) => return None,
        };
        Some((name, text))
    });
    host::state(shown.collect())
}

fn grow(mut caller: Caller<Host>, x: i32) -> i32 {
    let memory = caller.data().memory.clone();
    let memory = memory.and_then(|name| caller.get_export(&name)).and_then(Extern::into_memory);
    match memory.map(|memory| memory.grow(&mut caller, u64::from(host::pages(x)))) {
        Some(Ok(pages)) => pages as i32,
        _ => -1,
    }
}

fn enter(mut caller: Caller<Host>, x: i32) -> i32 {
    let count = caller.data().functions.len();
    if caller.data().depth >= host::DEEPEST || count == 0 {
        return -1;
    }
    let name = caller.data().functions[x.unsigned_abs() as usize % count].clone();
    let Some(Extern::Func(function)) = caller.get_export(&name) else { return -1 };
    caller.data_mut().depth += 1;
    let trapped = entered(&mut caller, function);
    caller.data_mut().depth -= 1;
    i32::from(trapped)
}

fn entered(caller: &mut Caller<Host>, function: Func) -> bool {
    let ty = function.ty(&*caller);
    let zeros: Vec<_> = ty.params().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    let mut results: Vec<_> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    match function.call(&mut *caller, &zeros, &mut results) {
        Ok(()) => false,
        Err(error) => {
            trap(&mut *caller, &error);
            true
        }
    }
}
