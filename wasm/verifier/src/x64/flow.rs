//! How instructions of x86-64 direct the control flow.

use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use crate::analysis::flow::{self, Broken, Reference, Way};
use crate::image::{Function, Role};

/// Instructions before a jump among which those that form its target are looked for.
const LOOK_BACK: usize = 16;

pub(crate) type Flow = flow::Flow<Instruction>;

/// Follows a function.
pub(super) fn follow(text: &[u8], function: &Function) -> Result<Flow, Broken> {
    let range = function.start..function.end;
    let mut decoder = Decoder::with_ip(64, &text[..range.end as usize], 0, DecoderOptions::NONE);
    flow::follow(text, range, function.role == Role::Entry, |at| {
        decoder.set_position(at as usize).ok()?;
        decoder.set_ip(u64::from(at));
        Some(decoder.decode()).filter(|instruction| !instruction.is_invalid())
    })
}

impl flow::Instruction for Instruction {
    type Condition = ConditionCode;

    fn at(&self) -> u32 {
        self.ip32()
    }

    fn end(&self) -> u32 {
        self.next_ip32()
    }

    fn way(&self) -> Way<ConditionCode> {
        match self.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => Way::Next,
            FlowControl::ConditionalBranch => {
                Way::Branch(self.near_branch_target(), self.condition_code())
            }
            FlowControl::UnconditionalBranch => Way::Jump(self.near_branch_target()),
            FlowControl::IndirectBranch => Way::Table,
            FlowControl::Return | FlowControl::Exception => Way::Ends,
            _ => Way::Forbidden,
        }
    }

    fn reference(&self) -> Option<Reference> {
        if self.memory_base() != Register::RIP {
            return None;
        }
        let address = self.ip_rel_memory_address();
        Some(match self.mnemonic() {
            Mnemonic::Lea => Reference::Address(address),
            _ => Reference::Read(address, self.memory_size().size() as u32),
        })
    }

    /// Recognises `lea table`, and `cmovb` of its length less one.
    fn jump_table(until: &[Self]) -> Option<(u32, u32)> {
        let mut at = None;
        let mut bound = None;
        for before in until.iter().rev().take(LOOK_BACK) {
            match before.mnemonic() {
                Mnemonic::Lea if before.memory_base() == Register::RIP && at.is_none() => {
                    at = Some(before.ip_rel_memory_address() as u32);
                }
                Mnemonic::Cmovb if bound.is_none() => bound = Some(before.op0_register()),
                Mnemonic::Mov
                    if bound == Some(before.op0_register())
                        && before.op1_kind() == OpKind::Immediate32 =>
                {
                    return at.zip(before.immediate32().checked_add(1));
                }
                _ => {}
            }
        }
        None
    }
}
