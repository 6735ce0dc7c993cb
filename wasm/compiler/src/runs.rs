//! The straight runs of a function: instructions that follow one another, and that control enters at the first one only.
//!
//! How often a run is entered says all about the branches between them; so one counter for each run is enough.

use std::ops::Range;

use wasm_encoder::{Module, RawSection, SectionId};
use wasmparser::{FunctionBody, Operator, Parser, Payload};
use wasmtime::Result;

/// A function of the module, taken apart.
pub struct Function {
    /// The bytes of its body in the module, declarations of locals first.
    pub body: Range<usize>,
    /// The places in the module where its runs start, in order; the first is its first instruction.
    pub starts: Vec<usize>,
    /// In order.
    pub branches: Vec<Branch>,
}

/// An instruction after which control goes one of two ways. Runs are named by their number.
pub struct Branch {
    /// Its place in the module.
    pub at: usize,
    /// The run that it ends.
    pub run: usize,
    /// Where control goes from there.
    pub way: Way,
}

pub enum Way {
    /// `if`: into the run `then`, or past it.
    If { then: usize },
    /// `br_if`: on to the run `next`, or to the run `target`, which is not known where that is the head of a loop, or
    /// the end of the function.
    Leave { next: usize, target: Option<usize> },
}

/// What is open around an instruction.
#[derive(Clone, Copy)]
enum Frame {
    /// A block, or an `if`, by its number: a run starts behind its end, where branches out of it lead.
    Block(usize),
    /// A loop, or the function.
    Other,
}

/// All functions that the module defines, in their order.
pub fn of(module: &[u8]) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload? {
            functions.push(Function::read(&body)?);
        }
    }
    Ok(functions)
}

/// How many runs there are in these functions.
pub fn number(functions: &[Function]) -> usize {
    functions.iter().map(|function| function.starts.len()).sum()
}

/// The module with its code section as `write` puts it down; all else stays as it is.
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
        let mut function = Self { body: body.range(), starts: vec![reader.original_position()], branches: Vec::new() };
        let (mut frames, mut ends, mut targets) = (vec![Frame::Other], Vec::new(), Vec::new());
        while !reader.eof() {
            let at = reader.original_position();
            let operator = reader.read()?;
            let (run, next) = (function.starts.len() - 1, function.starts.len());
            let starts_run = match operator {
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
                function.branches.push(Branch { at, run, way: Way::If { then: next } });
            }
            if let Operator::BrIf { relative_depth } = operator {
                let frame = frames.iter().rev().nth(relative_depth as usize).copied().unwrap_or(Frame::Other);
                targets.push((function.branches.len(), frame));
                function.branches.push(Branch { at, run, way: Way::Leave { next, target: None } });
            }
            if starts_run {
                function.starts.push(reader.original_position());
            }
        }
        for (branch, frame) in targets {
            if let (Way::Leave { target, .. }, Frame::Block(block)) = (&mut function.branches[branch].way, frame) {
                *target = ends[block];
            }
        }
        Ok(function)
    }
}
