//! A module that counts how often each of its runs is entered.

use std::ops::Range;

use wasm_encoder::{CodeSection, InstructionSink, MemArg};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Result, ensure};

use crate::runs::{self, Function};

/// Where the counters lie: at the far end of the C stack, which lies at the bottom of memory and grows down. Not at its very
/// end, so that an address that is too small meets nothing.
const BEGIN: u64 = 64 << 10;

/// Bytes of that stack which are left to it. The tasks of the training must do with that.
const STACK: u64 = 4 << 20;

/// Bytes of a counter.
const SIZE: usize = size_of::<u32>();

/// The module with a counter at the start of each run.
pub fn add(module: &[u8], functions: &[Function]) -> Result<Vec<u8>> {
    let end = addresses(functions).end as u64;
    let stack = top_of_stack(module)?;
    ensure!(end + STACK <= stack, "counters up to {end} leave too little of a stack that begins at {stack}");
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
    runs::with_code(module, |counting, _| {
        counting.section(&code);
    })
}

/// Where all counters of these functions lie in memory.
pub fn addresses(functions: &[Function]) -> Range<usize> {
    BEGIN as usize..BEGIN as usize + runs::number(functions) * SIZE
}

/// What the counters say, from their bytes.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (counters, _) = bytes.as_chunks::<SIZE>();
    counters.iter().map(|counter| u64::from(u32::from_le_bytes(*counter)))
}

fn count(body: &mut Vec<u8>, address: u64) {
    let at = MemArg { offset: address, align: 2, memory_index: 0 };
    InstructionSink::new(body).i32_const(0).i32_const(0).i32_load(at).i32_const(1).i32_add().i32_store(at);
}

/// What the stack pointer, the first global, begins with.
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
