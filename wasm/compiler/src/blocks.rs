//! Finds the basic blocks of functions and the branches between them.
//!
//! The entries of each block determine how often each branch is taken, so a counter per block
//! suffices.

use std::ops::Range;

use wasm_encoder::{Module, RawSection, SectionId};
use wasmparser::{FunctionBody, Operator, Parser, Payload};
use wasmtime::Result;

/// The basic blocks and branches of a function.
pub struct Function {
    /// The byte range of the body in the module, from the declarations of locals.
    pub body: Range<usize>,
    /// Module offsets of the starts of the blocks, in order; the first is the first instruction.
    pub starts: Vec<usize>,
    /// The branches, in order of their offsets.
    pub branches: Vec<Branch>,
}

/// An instruction with two successors. Blocks are identified by their index.
pub struct Branch {
    /// The module offset of the instruction.
    pub at: usize,
    /// The block that it ends.
    pub block: usize,
    /// Its successors.
    pub kind: BranchKind,
}

/// The successors of a branch.
pub enum BranchKind {
    /// `if`: enters the block `then`, or skips it.
    If { then: usize },
    /// `br_if`: falls through to the block `next`, or branches to `target`. `None` stands for the
    /// head of a loop or the end of the function.
    BrIf { next: usize, target: Option<usize> },
}

/// A control frame around an instruction.
#[derive(Clone, Copy)]
enum Frame {
    /// A `block` or `if`, by its index. Branches to it lead to the basic block behind its end.
    Block(usize),
    /// A `loop`, or the function.
    Other,
}

/// Reads all functions that the module defines, in order.
pub fn functions(module: &[u8]) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload? {
            functions.push(Function::read(&body)?);
        }
    }
    Ok(functions)
}

/// The number of basic blocks in these functions.
pub fn count(functions: &[Function]) -> usize {
    functions.iter().map(|function| function.starts.len()).sum()
}

/// Copies the module, with the code section as `write` writes it.
pub fn with_code(module: &[u8], write: impl Fn(&mut Module, RawSection)) -> Result<Vec<u8>> {
    let mut written = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Some((id, range)) = payload?.as_section() {
            let section = RawSection { id, data: &module[range] };
            if id == SectionId::Code as u8 {
                write(&mut written, section);
            } else {
                written.section(&section);
            }
        }
    }
    Ok(written.finish())
}

impl Function {
    fn read(body: &FunctionBody) -> Result<Self> {
        let mut reader = body.get_operators_reader()?;
        let mut function = Self {
            body: body.range(),
            starts: vec![reader.original_position()],
            branches: Vec::new(),
        };
        let (mut frames, mut ends, mut targets) = (vec![Frame::Other], Vec::new(), Vec::new());
        while !reader.eof() {
            let at = reader.original_position();
            let operator = reader.read()?;
            let (block, next) = (function.starts.len() - 1, function.starts.len());
            let starts_block = match operator {
                Operator::Block { .. } | Operator::If { .. } => {
                    frames.push(Frame::Block(ends.len()));
                    ends.push(None);
                    matches!(operator, Operator::If { .. })
                }
                Operator::Loop { .. } => {
                    frames.push(Frame::Other);
                    true
                }
                Operator::End => match frames.pop() {
                    Some(Frame::Block(block)) => {
                        ends[block] = Some(next);
                        true
                    }
                    Some(Frame::Other) | None => false,
                },
                Operator::BrIf { .. } | Operator::Else => true,
                _ => false,
            };
            if let Operator::If { .. } = operator {
                function.branches.push(Branch { at, block, kind: BranchKind::If { then: next } });
            }
            if let Operator::BrIf { relative_depth } = operator {
                let frame = frames
                    .iter()
                    .rev()
                    .nth(relative_depth as usize)
                    .copied()
                    .unwrap_or(Frame::Other);
                targets.push((function.branches.len(), frame));
                function.branches.push(Branch {
                    at,
                    block,
                    kind: BranchKind::BrIf { next, target: None },
                });
            }
            if starts_block {
                function.starts.push(reader.original_position());
            }
        }
        for (branch, frame) in targets {
            if let (BranchKind::BrIf { target, .. }, Frame::Block(block)) =
                (&mut function.branches[branch].kind, frame)
            {
                *target = ends[block];
            }
        }
        Ok(function)
    }
}
