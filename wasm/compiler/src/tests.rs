//! Tests counters and hints with a small generated module.

mod registers;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{BinaryReader, BranchHintSectionReader, Parser, Payload};
use wasmtime::{Engine, Instance, Store};

use crate::{blocks, counters, hints};

/// Bytes of a stack that is large enough for counters.
const STACK: i32 = 8 << 20;

/// Makes a module with the function `run(n)`, a loop of n rounds. Each round tests the rounds left
/// against 7 (an `if` with `else`) and against 1000 (a `br_if` out of a block).
fn module(stack: i32) -> Vec<u8> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.loop_(BlockType::Empty);
    code.local_get(0).i32_const(7).i32_eq().if_(BlockType::Empty).nop().else_().nop().end();
    code.block(BlockType::Empty).block(BlockType::Empty);
    code.local_get(0).i32_const(1000).i32_eq().br_if(0).br(1).end().nop().end();
    code.local_get(0).i32_const(1).i32_sub().local_tee(0).br_if(0).end().end();
    let pages = MemoryType {
        minimum: 129,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    let pointer = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    let (mut types, mut functions, mut memories) =
        (TypeSection::new(), FunctionSection::new(), MemorySection::new());
    let (mut globals, mut exports, mut bodies) =
        (GlobalSection::new(), ExportSection::new(), CodeSection::new());
    types.ty().function([ValType::I32], []);
    functions.function(0);
    memories.memory(pages);
    globals.global(pointer, &ConstExpr::i32_const(stack));
    exports.export("run", ExportKind::Func, 0).export("memory", ExportKind::Memory, 0);
    bodies.function(&function);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&bodies);
    module.finish()
}

/// The entries of each basic block over these calls.
fn counted(module: &[u8], calls: &[i32]) -> Vec<u64> {
    let functions = blocks::functions(module).unwrap();
    let engine = Engine::default();
    let counting =
        wasmtime::Module::new(&engine, counters::add(module, &functions).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &counting, &[]).unwrap();
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").unwrap();
    for rounds in calls {
        run.call(&mut store, *rounds).unwrap();
    }
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    counters::read(&memory.data(&store)[counters::addresses(&functions)]).collect()
}

/// The hints after these calls, as offset and whether the branch is likely, in order.
fn hinted(module: &[u8], calls: &[i32]) -> Vec<(u32, bool)> {
    let functions = blocks::functions(module).unwrap();
    let module = hints::add(module, &functions, &counted(module, calls)).unwrap();
    wasmtime::Module::new(&Engine::default(), &module).unwrap();
    let sections = Parser::new(0).parse_all(&module).filter_map(|payload| match payload.unwrap() {
        Payload::CustomSection(section) if section.name() == "metadata.code.branch_hint" => {
            Some(section)
        }
        _ => None,
    });
    let mut all = Vec::new();
    for section in sections {
        let reader = BinaryReader::new(section.data(), section.data_offset());
        for function in BranchHintSectionReader::new(reader).unwrap() {
            let function = function.unwrap();
            all.extend(
                function
                    .hints
                    .into_iter()
                    .map(|hint| hint.unwrap())
                    .map(|hint| (hint.func_offset, hint.taken)),
            );
        }
    }
    let branches =
        functions[0].branches.iter().map(|branch| (branch.at - functions[0].body.start) as u32);
    assert!(
        all.iter().all(|(at, _)| branches.clone().any(|branch| branch == *at)),
        "hints are for branches"
    );
    all
}

#[test]
fn counters_count_entries_of_each_block() {
    // Function, loop, then, else, after if, stay in the inner block, leave it, continue, end.
    assert_eq!(counted(&module(STACK), &[10]), [1, 10, 1, 9, 10, 10, 0, 10, 1]);
    assert_eq!(counted(&module(STACK), &[2000, 3]), [2, 2003, 1, 2002, 2003, 2002, 1, 2003, 2]);
}

#[test]
fn only_branches_with_a_rare_path_get_hints() {
    let hints = |calls: &[i32]| {
        hinted(&module(STACK), calls).into_iter().map(|(_, taken)| taken).collect::<Vec<_>>()
    };
    // Seven rounds: only the way out of the inner block is never taken.
    assert_eq!(hints(&[7]), [false]);
    // 999 rounds: the `then` path is rare too, and so is the end of the loop.
    assert_eq!(hints(&[999]), [false, false, true]);
}

#[test]
fn hints_move_to_another_module_with_the_same_functions() {
    let module = module(STACK);
    let functions = blocks::functions(&module).unwrap();
    let hinted = hints::add(&module, &functions, &counted(&module, &[7])).unwrap();
    let section = hints::of(&hinted).unwrap();
    assert_eq!(hints::put(&module, &section).unwrap(), hinted);
    assert!(hints::of(&module).unwrap_err().to_string().contains("has no branch hints"));
}

#[test]
fn a_function_without_counts_gets_no_hints() {
    assert_eq!(hinted(&module(STACK), &[]), []);
}

#[test]
fn counters_that_leave_too_little_stack_are_refused() {
    let module = module(1 << 20);
    let refused = counters::add(&module, &blocks::functions(&module).unwrap()).unwrap_err();
    assert!(refused.to_string().contains("a stack that begins at 1048576"), "{refused}");
}
