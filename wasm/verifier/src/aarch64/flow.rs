//! How instructions of aarch64 direct the control flow.

use super::{
    decode::decode,
    instruction::{Address, Condition, Instruction, Memory, Operation},
};
use crate::{
    analysis::flow::{self, Broken, Reference, Way},
    image::{Function, Role},
};

/// Instructions before a jump among which those that form its target are looked for.
const LOOK_BACK: usize = 16;

pub(super) type Flow = flow::Flow<Instruction>;

/// Follows a function.
pub(super) fn follow(text: &[u8], function: &Function) -> Result<Flow, Broken> {
    let range = function.start..function.end;
    flow::follow(text, range, function.role == Role::Entry, |at| {
        let end = at.checked_add(4).filter(|end| at % 4 == 0 && *end <= function.end)?;
        let bytes = text.get(at as usize..end as usize)?;
        decode(u32::from_le_bytes(bytes.try_into().ok()?), at)
    })
}

impl flow::Instruction for Instruction {
    /// Jumps by a register have no condition on the flags.
    type Condition = Option<Condition>;

    fn at(&self) -> u32 {
        self.at
    }

    fn end(&self) -> u32 {
        self.at.saturating_add(4)
    }

    fn way(&self) -> Way<Option<Condition>> {
        match self.operation {
            Operation::Jump { to } => Way::Jump(to),
            Operation::Branch { to, condition } => Way::Branch(to, condition),
            Operation::JumpRegister { .. } => Way::Table,
            Operation::Return | Operation::Trap => Way::Ends,
            _ => Way::Next,
        }
    }

    fn reference(&self) -> Option<Reference> {
        match self.operation {
            Operation::Address { to, .. } => Some(Reference::Address(to)),
            Operation::Memory(Memory { address: Address::Code(at), size, .. }) => {
                Some(Reference::Read(at, size as u32))
            }
            _ => None,
        }
    }

    /// Recognises `adr table`, and `csel` with `lo` of its length less one.
    fn jump_table(until: &[Self]) -> Option<(u32, u32)> {
        let mut at = None;
        let mut bound = None;
        for before in until.iter().rev().take(LOOK_BACK) {
            match before.operation {
                Operation::Address { to, .. } if at.is_none() => at = u32::try_from(to).ok(),
                Operation::Choose { no, condition: Condition::BELOW, changed: false, .. }
                    if bound.is_none() =>
                {
                    bound = no;
                }
                Operation::Constant { d, number } if bound.is_some() && bound == d => {
                    return at.zip(u32::try_from(number).ok()?.checked_add(1));
                }
                _ => {}
            }
        }
        None
    }
}
