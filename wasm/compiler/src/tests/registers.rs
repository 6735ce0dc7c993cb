//! Tests the reserved registers of the patched code generator: on every path into and out of
//! compiled code, the runtime sees the fuel, and each instance its own memory.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, ImportSection, MemArg, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};
use wasmtime::{Caller, Config, Engine, Func, Instance, Store, Trap};

use crate::{codegen::target::HOST, compile};

const PAGE: MemoryType =
    MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };

/// Makes a module with `number` in its memory. `call` calls the host and returns that number.
/// `spin(rounds, end)` loops and then ends: 0 returns, 1 is `unreachable`, 2 reads out of bounds.
fn module(number: u8) -> Vec<u8> {
    let at = |offset| MemArg { offset, align: 2, memory_index: 0 };
    let mut call = Function::new([]);
    call.instructions().call(0).i32_const(0).i32_load(at(0)).end();
    let mut spin = Function::new([]);
    let mut code = spin.instructions();
    code.loop_(BlockType::Empty).local_get(0).i32_const(1).i32_sub().local_tee(0).br_if(0).end();
    code.local_get(1).i32_const(1).i32_eq().if_(BlockType::Empty).unreachable().end();
    code.local_get(1)
        .i32_const(2)
        .i32_eq()
        .if_(BlockType::Empty)
        .i32_const(-1)
        .i32_load(at(64))
        .drop()
        .end()
        .end();
    let (mut types, mut imports, mut functions) =
        (TypeSection::new(), ImportSection::new(), FunctionSection::new());
    let (mut memories, mut exports) = (MemorySection::new(), ExportSection::new());
    let (mut bodies, mut data) = (CodeSection::new(), DataSection::new());
    types.ty().function([], []);
    types.ty().function([], [ValType::I32]);
    types.ty().function([ValType::I32, ValType::I32], []);
    imports.import("host", "call", EntityType::Function(0));
    functions.function(1).function(2);
    memories.memory(PAGE);
    exports.export("call", ExportKind::Func, 1).export("spin", ExportKind::Func, 2);
    bodies.function(&call).function(&spin);
    data.active(0, &ConstExpr::i32_const(0), [number]);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories);
    module.section(&exports).section(&bodies).section(&data);
    module.finish()
}

fn engine() -> Engine {
    Engine::new(Config::new().consume_fuel(true)).unwrap()
}

/// Makes an instance with [`FUEL`], whose host calls run `host`.
fn instance(
    engine: &Engine,
    number: u8,
    host: impl Fn(Caller<()>) + Send + Sync + 'static,
) -> (Store<()>, Instance) {
    let module = wasmtime::Module::new(engine, module(number)).unwrap();
    let mut store = Store::new(engine, ());
    store.set_fuel(FUEL).unwrap();
    let host = Func::wrap(&mut store, host);
    let instance = Instance::new(&mut store, &module, &[host.into()]).unwrap();
    (store, instance)
}

const FUEL: u64 = 1_000_000;

/// Calls `call` and returns its result.
fn called((store, instance): &mut (Store<()>, Instance)) -> i32 {
    let call = instance.get_typed_func::<(), i32>(&mut *store, "call").unwrap();
    call.call(store, ()).unwrap()
}

/// Runs `spin` and returns the consumed fuel and the trap.
fn consumed(rounds: i32, end: i32) -> (u64, Option<Trap>) {
    let (mut store, instance) = instance(&engine(), 0, |_| ());
    store.set_fuel(FUEL).unwrap();
    let spin = instance.get_typed_func::<(i32, i32), ()>(&mut store, "spin").unwrap();
    let trap = spin
        .call(&mut store, (rounds, end))
        .err()
        .map(|error| *error.downcast_ref::<Trap>().unwrap());
    (FUEL - store.get_fuel().unwrap(), trap)
}

#[test]
fn memory_stays_its_own_after_a_nested_instance() {
    let engine = engine();
    let inner = engine.clone();
    let mut outer = instance(&engine, 1, move |_| {
        // The first nested call returns, the second traps.
        assert_eq!(called(&mut instance(&inner, 2, |_| ())), 2);
        let (mut store, instance) = instance(&inner, 3, |_| ());
        let spin = instance.get_typed_func::<(i32, i32), ()>(&mut store, "spin").unwrap();
        assert!(spin.call(&mut store, (10, 2)).is_err());
    });
    assert_eq!(called(&mut outer), 1);
    assert_eq!(called(&mut outer), 1);
}

#[test]
fn a_host_call_reads_and_sets_the_fuel() {
    let mut outer = instance(&engine(), 1, |mut caller| {
        // Open functions may still owe a few units.
        assert!((FUEL - 10..=FUEL).contains(&caller.get_fuel().unwrap()));
        caller.set_fuel(500).unwrap();
    });
    outer.0.set_fuel(FUEL).unwrap();
    called(&mut outer);
    assert!((490..500).contains(&outer.0.get_fuel().unwrap()));
}

#[test]
fn every_kind_of_trap_leaves_the_consumed_fuel() {
    let (whole, none) = consumed(1000, 0);
    assert!(none.is_none() && (1000..10_000).contains(&whole));
    for (end, expected) in [(1, Trap::UnreachableCodeReached), (2, Trap::MemoryOutOfBounds)] {
        let (fuel, trap) = consumed(1000, end);
        assert_eq!(trap, Some(expected));
        // A signal in stock code loses the fuel since the last call:
        // https://github.com/bytecodealliance/wasmtime/issues/13802
        let is_lost = cfg!(feature = "stock") && expected == Trap::MemoryOutOfBounds;
        let consumed = if is_lost { 0 } else { whole };
        assert!(fuel.abs_diff(consumed) < 10, "{fuel} and {consumed}");
    }
    let (fuel, trap) = consumed(i32::MAX, 0);
    assert_eq!((fuel, trap), (FUEL, Some(Trap::OutOfFuel)));
}

#[test]
fn a_module_that_imports_a_memory_is_refused() {
    let mut imports = ImportSection::new();
    imports.import("other", "memory", EntityType::Memory(PAGE));
    let mut module = Module::new();
    module.section(&imports);
    let refused = compile::native(&module.finish(), HOST).unwrap_err().to_string();
    assert!(refused.contains("other.memory"), "{refused}");
}
