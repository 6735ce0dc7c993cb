//! The rules for x86-64.
//!
//! Register r14 holds the base of linear memory, and r15 the fuel (../../compiler/patches).

mod allowed;
mod arithmetic;
mod calls;
mod flow;
mod operands;
mod padding;
mod place;
mod registers;
mod solve;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use iced_x86::Instruction;
use iced_x86::{
    Formatter as _, InstructionInfoFactory, IntelFormatter, Mnemonic, OpKind, Register,
};

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

impl Code for Instruction {
    fn follow(text: &[u8], function: &Function) -> Result<Flow<Self>, Broken> {
        flow::follow(text, function)
    }

    fn forbidden(&self, text: &[u8]) -> Option<&'static str> {
        allowed::forbidden(self, text)
    }

    fn words(&self) -> String {
        let mut words = String::new();
        IntelFormatter::new().format(self, &mut words);
        words
    }

    fn callee(&self) -> Option<u64> {
        self.is_call_near().then(|| self.near_branch_target())
    }

    fn popped_by_return(instructions: &[Self], index: usize) -> Option<u16> {
        let instruction = &instructions[index];
        let is_return = instruction.mnemonic() == Mnemonic::Ret;
        is_return.then(|| instruction.try_immediate(0).map_or(0, |pops| pops as u16))
    }

    fn popped_by_callee(instructions: &[Self], call: usize) -> u16 {
        let next = instructions.get(call + 1).filter(|next| {
            next.ip() == instructions[call].next_ip()
                && next.mnemonic() == Mnemonic::Sub
                && next.op0_register() == Register::RSP
                && next.op1_kind() != OpKind::Register
        });
        next.and_then(|next| next.try_immediate(1).ok())
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or(0)
    }

    fn classify(bytes: &[u8], at: u32) -> Unused {
        padding::classify(bytes, at)
    }

    fn examine(world: &World<'_>, function: &Function, flow: &Flow<Self>, record: &mut Record) {
        let info = InstructionInfoFactory::new();
        examine(solve::Rules { world, function, flow, info }, flow, record);
    }
}
