//! The examination of an image: all of its functions, and what must agree among them.

use super::{
    flow::{Broken, Flow, Instruction},
    padding::{self, Unused},
    parallel::in_parallel,
    record::Record,
    value,
};
use crate::{
    image::{Function, Image},
    module::Module,
    report::{Finding, Report},
};

/// An instruction of an architecture that has rules.
pub(crate) trait Code: Instruction + Send + Sync {
    /// Follows a function's control flow.
    fn follow(text: &[u8], function: &Function) -> Result<Flow<Self>, Broken>;
    /// Why the instruction may not occur at all.
    fn forbidden(&self, text: &[u8]) -> Option<&'static str>;
    /// The instruction in words, for a finding.
    fn words(&self) -> String;
    /// The address that a direct call leads to.
    fn callee(&self) -> Option<u64>;
    /// If this is a return: what the function takes off the stack, beside a return address.
    fn popped_by_return(instructions: &[Self], index: usize) -> Option<u16>;
    /// What the callee of a call takes off the stack: the caller puts it back right behind the call.
    fn popped_by_callee(instructions: &[Self], call: usize) -> u16;
    /// What bytes are that no way leads to.
    fn classify(bytes: &[u8], at: u32) -> Unused;
    /// Examines a function with the rules.
    fn examine(world: &World<'_>, function: &Function, flow: &Flow<Self>, record: &mut Record);
}

/// A function's control flow, and what its returns take off the stack.
pub(crate) type Followed<C> = Result<(Flow<C>, Option<u16>), Finding>;

/// What all functions share.
pub(crate) struct World<'a> {
    pub(crate) image: &'a Image<'a>,
    pub(crate) text: &'a [u8],
    /// For each function: the bytes of arguments that it takes off the stack.
    pub(crate) pops: Vec<u16>,
}

impl<'a> World<'a> {
    /// Follows all functions of an image.
    pub(crate) fn new<C: Code>(image: &'a Image<'a>) -> (Self, Vec<Followed<C>>) {
        let flows = in_parallel(image.functions.len(), |index| follow(image, image.text, index));
        let pops = pops(image, &flows);
        (Self { image, text: image.text, pops }, flows)
    }

    /// Examines all functions of an image.
    pub(crate) fn verify<C: Code>(image: &'a Image<'a>, module: Option<&Module>) -> Report {
        let (world, flows) = Self::new::<C>(image);
        let mut all = Record::default();
        for record in in_parallel(flows.len(), |index| world.examine(index, &flows[index])) {
            all.absorb(record);
        }
        padding::check_between(image, C::classify, &mut all);
        for (function, flow) in image.functions.iter().zip(&flows) {
            let signature = function.signature(image.layout.imports(), module);
            if let (Some(signature), Ok((_, Some(pops)))) = (signature, flow) {
                all.signature_pops.insert((signature, *pops));
                all.report.count("calls: functions with the stack of their signature");
            }
        }
        all.finish(image);
        all.report
    }

    /// Examines one function in a copy of the code that was changed within it.
    pub(crate) fn examine_changed<C: Code>(&self, text: &[u8], index: usize) -> Report {
        let world = World { image: self.image, text, pops: self.pops.clone() };
        let mut record = world.examine::<C>(index, &follow(self.image, text, index));
        record.finish(self.image);
        record.report
    }

    fn examine<C: Code>(&self, index: usize, flow: &Followed<C>) -> Record {
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
            if let Some(reason) = instruction.forbidden(self.text) {
                record.refuse(function, instruction.at(), instruction.words(), reason);
            }
        }
        padding::check(self.text, function, flow, C::classify, &mut record);
        C::examine(self, function, flow, &mut record);
        record
    }

    /// What a function takes off the stack.
    pub(crate) fn popped_by(&self, function: &Function) -> u16 {
        self.pops[self.image.function_at(function.start).unwrap_or(0)]
    }
}

/// Follows a function's control flow, and returns what it takes off the stack.
fn follow<C: Code>(image: &Image<'_>, text: &[u8], index: usize) -> Followed<C> {
    let function = &image.functions[index];
    let finding = |broken: Broken| Finding {
        function: function.name.clone(),
        offset: broken.at,
        instruction: String::new(),
        reason: broken.reason.to_owned(),
    };
    let flow = C::follow(text, function).map_err(finding)?;
    let instructions = &flow.instructions;
    if instructions.len() > value::MOST_INSTRUCTIONS {
        return Err(finding(Broken { at: function.start, reason: "the function is too large" }));
    }
    let mut returns =
        (0..instructions.len()).filter_map(|index| C::popped_by_return(instructions, index));
    let first = returns.next();
    if first.is_some_and(|first| returns.any(|pops| pops != first)) {
        let reason = "its returns take different numbers of bytes off the stack";
        return Err(finding(Broken { at: function.start, reason }));
    }
    Ok((flow, first))
}

/// What each function takes off the stack. Of one that never returns, its direct callers say so:
/// the least number counts.
fn pops<C: Code>(image: &Image<'_>, flows: &[Followed<C>]) -> Vec<u16> {
    let mut said = vec![u16::MAX; flows.len()];
    for (flow, _) in flows.iter().flatten() {
        for (index, call) in flow.instructions.iter().enumerate() {
            let target = call.callee().and_then(|at| u32::try_from(at).ok());
            if let Some(callee) = target.and_then(|at| image.function_at(at)) {
                said[callee] = said[callee].min(C::popped_by_callee(&flow.instructions, index));
            }
        }
    }
    let own = flows.iter().map(|flow| flow.as_ref().ok().and_then(|(_, pops)| *pops));
    own.zip(said)
        .map(|(own, said)| own.unwrap_or(if said == u16::MAX { 0 } else { said }))
        .collect()
}
