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

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use self::flow::Flow;
use crate::{
    analysis::{
        flow::Broken, padding as unused, parallel::in_parallel, record::Record, solve as fixpoint,
        value,
    },
    image::Image,
    report::{Finding, Report},
};

/// A function's control flow, and what its returns take off the stack.
pub(crate) type Followed = Result<(Flow, Option<u16>), Finding>;

/// What all functions share.
pub(crate) struct World<'a> {
    image: &'a Image<'a>,
    text: &'a [u8],
    /// For each function: the bytes of arguments that it takes off the stack.
    pops: Vec<u16>,
}

impl<'a> World<'a> {
    /// Follows all functions of an image.
    pub(crate) fn new(image: &'a Image<'a>) -> (Self, Vec<Followed>) {
        let flows = in_parallel(image.functions.len(), |index| follow(image, image.text, index));
        let pops = pops(image, &flows);
        (Self { image, text: image.text, pops }, flows)
    }

    /// Examines one function in a copy of the code that was changed within it.
    pub(crate) fn examine_changed(&self, text: &[u8], index: usize) -> Report {
        let world = World { image: self.image, text, pops: self.pops.clone() };
        let mut record = world.examine(index, &follow(self.image, text, index));
        record.finish(self.image);
        record.report
    }

    fn examine(&self, index: usize, flow: &Followed) -> Record {
        let mut record = Record::default();
        record.report.count("code: functions");
        let function = &self.image.functions[index];
        let flow = match flow {
            Ok((flow, _)) => flow,
            Err(finding) => {
                record.report.findings.push(finding.clone());
                return record;
            }
        };
        let count = flow.instructions.len() as u64;
        record.report.counts.insert("code: instructions", count);
        for instruction in &flow.instructions {
            if let Some(reason) = allowed::forbidden(instruction, self.text) {
                step::refuse(&mut record, function, instruction, reason);
            }
        }
        unused::check(self.text, function, flow, padding::classify, &mut record);
        let info = InstructionInfoFactory::new();
        let rules = solve::Rules { world: self, function, flow, info };
        fixpoint::examine(rules, flow, &mut record);
        record
    }
}

/// Examines all functions of an image.
pub(crate) fn verify(image: &Image<'_>) -> Report {
    let (world, flows) = World::new(image);
    let mut all = Record::default();
    for record in in_parallel(flows.len(), |index| world.examine(index, &flows[index])) {
        all.absorb(record);
    }
    unused::check_between(image, padding::classify, &mut all);
    all.finish(image);
    all.report
}

/// Follows a function's control flow, and returns what it takes off the stack.
fn follow(image: &Image<'_>, text: &[u8], index: usize) -> Followed {
    let function = &image.functions[index];
    let finding = |broken: Broken| Finding {
        function: function.name.clone(),
        offset: broken.at,
        instruction: String::new(),
        reason: broken.reason.to_owned(),
    };
    let flow = flow::follow(text, function).map_err(finding)?;
    if flow.instructions.len() > value::MOST_INSTRUCTIONS {
        return Err(finding(Broken { at: function.start, reason: "the function is too large" }));
    }
    let mut returns = flow.instructions.iter().filter_map(popped_by_return);
    let first = returns.next();
    if first.is_some_and(|first| returns.any(|pops| pops != first)) {
        let reason = "its returns take different numbers of bytes off the stack";
        return Err(finding(Broken { at: function.start, reason }));
    }
    Ok((flow, first))
}

/// What a return takes off the stack, beside the address.
fn popped_by_return(instruction: &Instruction) -> Option<u16> {
    let is_return = instruction.mnemonic() == Mnemonic::Ret;
    is_return.then(|| instruction.try_immediate(0).map_or(0, |pops| pops as u16))
}

/// What the callee of a call takes off the stack: the caller puts it back with the next instruction.
fn popped_by_callee(instructions: &[Instruction], call: usize) -> u16 {
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

/// What each function takes off the stack. Of one that never returns, its direct callers say so:
/// the least number counts.
fn pops(image: &Image<'_>, flows: &[Followed]) -> Vec<u16> {
    let mut said = vec![u16::MAX; flows.len()];
    for (flow, _) in flows.iter().flatten() {
        for (index, call) in flow.instructions.iter().enumerate().filter(|(_, i)| i.is_call_near())
        {
            let callee =
                u32::try_from(call.near_branch_target()).ok().and_then(|at| image.function_at(at));
            if let Some(callee) = callee {
                said[callee] = said[callee].min(popped_by_callee(&flow.instructions, index));
            }
        }
    }
    let own = flows.iter().map(|flow| flow.as_ref().ok().and_then(|(_, pops)| *pops));
    own.zip(said)
        .map(|(own, said)| own.unwrap_or(if said == u16::MAX { 0 } else { said }))
        .collect()
}
