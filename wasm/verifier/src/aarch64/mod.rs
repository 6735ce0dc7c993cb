//! The rules for aarch64.
//!
//! Register x21 holds the fuel (../../compiler/patches). The base of linear memory has no register of
//! its own: each function loads it from the context.

mod calls;
mod decode;
mod flow;
mod instruction;
mod memory;
mod operands;
mod registers;
mod solve;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use instruction::Instruction;
use instruction::{Operand, Operation, SP};

use crate::{
    analysis::{
        flow::{Broken, Flow},
        padding::Unused,
        record::Record,
        solve::examine,
        world::{Code, World},
    },
    image::Function,
};

impl Instruction {
    /// Reports a rule that is not proved.
    fn refuse(&self, record: &mut Record, function: &Function, reason: &str) {
        record.refuse(function, self.at, self.words(), reason);
    }

    /// The constant that is added to the stack pointer, or subtracted from it.
    fn moves_stack(&self, subtracts: bool) -> Option<u16> {
        match self.operation {
            Operation::Add {
                subtracts: is_subtracted,
                sets_flags: false,
                d: Some(SP),
                n: Some(SP),
                by: Operand::Number(number),
            } if is_subtracted == subtracts => u16::try_from(number).ok(),
            _ => None,
        }
    }
}

impl Code for Instruction {
    fn follow(text: &[u8], function: &Function) -> Result<Flow<Self>, Broken> {
        flow::follow(text, function)
    }

    /// The decoder knows no others.
    fn forbidden(&self, _: &[u8]) -> Option<&'static str> {
        None
    }

    fn words(&self) -> String {
        format!("{:08x}, {:?}", self.word, self.operation)
    }

    fn callee(&self) -> Option<u64> {
        match self.operation {
            Operation::Call { to } => Some(to),
            _ => None,
        }
    }

    fn popped_by_return(instructions: &[Self], index: usize) -> Option<u16> {
        let is_return = instructions[index].operation == Operation::Return;
        let before = index.checked_sub(1).map(|before| &instructions[before]);
        is_return.then(|| before.and_then(|before| before.moves_stack(false)).unwrap_or(0))
    }

    fn popped_by_callee(instructions: &[Self], call: usize) -> u16 {
        let next = instructions.get(call + 1);
        let next = next.filter(|next| next.at == instructions[call].at + 4);
        next.and_then(|next| next.moves_stack(true)).unwrap_or(0)
    }

    /// Zeros align data and functions. Instructions are aligned: zeros may be part of one.
    fn classify(bytes: &[u8], at: u32) -> Unused {
        match *bytes {
            [0, 0, 0, 0, ..] if at.is_multiple_of(4) => Unused::Padding(4),
            [0, ..] if !at.is_multiple_of(4) => Unused::Padding(1),
            [a, b, c, d, ..] => {
                let decoded = decode::decode(u32::from_le_bytes([a, b, c, d]), at);
                match decoded.map(|decoded| decoded.operation) {
                    Some(Operation::Jump { to }) => {
                        u32::try_from(to).map_or(Unused::Other, |to| Unused::Jump(4, to))
                    }
                    _ => Unused::Other,
                }
            }
            _ => Unused::Other,
        }
    }

    fn examine(world: &World<'_>, function: &Function, flow: &Flow<Self>, record: &mut Record) {
        examine(solve::Rules { world, function, flow }, flow, record);
    }
}
