//! Instruments a module: a counter in linear memory at the start of each basic block.

use std::ops::Range;

use wasm_encoder::{CodeSection, InstructionSink, MemArg};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Result, ensure};

use crate::blocks::{self, Function};

/// Address of the first counter. The C stack is at the bottom of memory and grows down, so counters
/// take its far end. The first 64 KiB stay free: a null pointer with an offset must hit no counter.
const BEGIN: u64 = 64 << 10;

/// Bytes of the C stack that counters must leave to the training tasks.
const STACK: u64 = 4 << 20;

/// Bytes of a counter.
const SIZE: usize = size_of::<u32>();

/// Adds a counter to the start of each basic block.
///
/// # Errors
/// The counters would leave less than [`STACK`] bytes of the C stack.
pub fn add(module: &[u8], functions: &[Function]) -> Result<Vec<u8>> {
    let end = addresses(functions).end as u64;
    let stack = top_of_stack(module)?;
    ensure!(
        end + STACK <= stack,
        "counters up to {end} leave too little of a stack that begins at {stack}"
    );
    let (mut code, mut address) = (CodeSection::new(), BEGIN);
    for function in functions {
        let mut body = Vec::new();
        let mut from = function.body.start;
        for start in &function.starts {
            body.extend_from_slice(&module[from..*start]);
            count(&mut body, address);
            (from, address) = (*start, address + SIZE as u64);
        }
        body.extend_from_slice(&module[from..function.body.end]);
        code.raw(&body);
    }
    blocks::with_code(module, |counting, _| {
        counting.section(&code);
    })
}

/// The address range of all counters of these functions.
pub fn addresses(functions: &[Function]) -> Range<usize> {
    BEGIN as usize..BEGIN as usize + blocks::count(functions) * SIZE
}

/// Reads counters from their bytes in memory.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (counters, _) = bytes.as_chunks::<SIZE>();
    counters.iter().map(|counter| u64::from(u32::from_le_bytes(*counter)))
}

fn count(body: &mut Vec<u8>, address: u64) {
    let at = MemArg { offset: address, align: 2, memory_index: 0 };
    InstructionSink::new(body)
        .i32_const(0)
        .i32_const(0)
        .i32_load(at)
        .i32_const(1)
        .i32_add()
        .i32_store(at);
}

/// The initial value of the stack pointer, which wasm-ld makes the first global; 0 without one.
fn top_of_stack(module: &[u8]) -> Result<u64> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::GlobalSection(globals) = payload?
            && let Some(global) = globals.into_iter().next()
            && let Operator::I32Const { value } = global?.init_expr.get_operators_reader().read()?
        {
            return Ok(u64::from(value.cast_unsigned()));
        }
    }
    Ok(0)
}
