//! The rules for one function, as the search for the fixed point applies them.

use iced_x86::{ConditionCode, Instruction, InstructionInfoFactory};

use super::{
    flow::Flow,
    registers::{BASE, COUNT, FUEL, Host, RBP, RDI, RSI, RSP, State},
    step::{self, Step},
};
use crate::{
    analysis::{
        compare,
        record::Record,
        solve,
        value::{Id, Kind, Sum, Value},
        world::{Code as _, World},
    },
    image::{Function, Role},
};

/// A function, and what its examination needs.
pub(super) struct Rules<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) function: &'a Function,
    pub(super) flow: &'a Flow,
    pub(super) info: InstructionInfoFactory,
}

impl solve::Rules<COUNT> for Rules<'_> {
    type Instruction = Instruction;
    const POINTERS: [usize; 2] = [RSP, RBP];

    fn entry(&self) -> State {
        let mut registers = [Value::UNKNOWN; COUNT];
        for (register, value) in registers.iter_mut().enumerate() {
            value.id = Id::entry(register);
        }
        registers[RSP].kind = Kind::Stack(0);
        match self.function.role {
            Role::Wasm | Role::Builtin(_) => registers[RDI].kind = Kind::Context,
            Role::Entry => {
                let [context, _, values, _] = Host::new(self.world.image.convention).arguments;
                registers[context].kind = Kind::Context;
                registers[values].kind = Kind::Values;
            }
            Role::Exit => {
                registers[RDI].kind = Kind::HostContext;
                registers[RSI].kind = Kind::Context;
            }
        }
        if self.function.role != Role::Entry {
            registers[BASE].kind = Kind::Memory(Sum::default());
            registers[FUEL].kind = Kind::Fuel;
        }
        State::new(registers)
    }

    fn step(&mut self, state: &mut State, index: usize, record: Option<&mut Record>) {
        Step {
            world: self.world,
            function: self.function,
            flow: self.flow,
            state,
            instruction: &self.flow.instructions[index],
            index,
            record,
            info: &mut self.info,
        }
        .run();
    }

    fn is_call(&self, index: usize) -> bool {
        let instruction = &self.flow.instructions[index];
        instruction.is_call_near() || instruction.is_call_near_indirect()
    }

    fn refined(mut state: State, when: Option<(ConditionCode, bool)>) -> State {
        if let Some((condition, holds)) = when {
            compare::refine(&mut state, step::outcome(condition, holds));
        }
        state
    }

    fn refuse(&self, record: &mut Record, index: usize, reason: &str) {
        let instruction = &self.flow.instructions[index];
        record.refuse(self.function, instruction.ip32(), instruction.words(), reason);
    }
}
